package launcher

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/spec"
)

// streams are a program's standard streams, from both ends: a terminal, a terminal and a
// pipe for errors, or three pipes. All are descriptors, close-on-exec.
//
// The bridge's ends are made non-blocking here, once, before anybody else has them:
// O_NONBLOCK belongs to the open file description that the bridge will share.
type streams struct {
	devpts  int   // a file system for terminals, mounted nowhere yet
	program []int // the terminal's slave, or the read end of input and the write end of output; the write end of errors
	bridge  []int // the terminal's master, or the other ends of the pipes, in the same order
}

func (s streams) close() {
	unix.Close(s.devpts)
	privsep.Close(s.program...)
	privsep.Close(s.bridge...)
}

// stdio are the program's descriptors 0, 1 and 2. A terminal is both input and output,
// and errors too where these have no pipe.
func (s streams) stdio() (in, out, errs uintptr) {
	last := len(s.program) - 1
	out = uintptr(s.program[0])
	if last == 2 {
		out = uintptr(s.program[1])
	}
	return uintptr(s.program[0]), out, uintptr(s.program[last])
}

// openStreams makes the streams that are asked for, for a program of uid:gid. Also a
// program that has pipes gets a file system for the terminals that it may make itself.
func openStreams(uid, gid uint32, asked spec.Session) (s streams, err error) {
	if s.devpts, err = newDevpts(uid, gid); err != nil {
		return streams{}, err
	}
	pipes := []bool{false, true, true} // which of three the program writes
	if !asked.Pipes {
		err = s.addTerminal(asked.Size, asked.Modes)
		if pipes = nil; asked.ErrorsApart {
			pipes = []bool{true}
		}
	}
	if err == nil {
		err = s.addPipes(uid, gid, pipes)
	}
	if err != nil {
		s.close()
		return streams{}, err
	}
	return s, nil
}

// addPipes makes pipes that are the program's own: it may open them once more by their
// names in /dev (proc_pid_fd(5)), as it may a terminal. writes says for each whether the
// program writes it.
func (s *streams) addPipes(uid, gid uint32, writes []bool) error {
	for _, writes := range writes {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			return fmt.Errorf("pipe: %w", err)
		}
		if writes { // and the bridge reads
			slices.Reverse(p[:])
		}
		s.program, s.bridge = append(s.program, p[0]), append(s.bridge, p[1])
		if err := unix.Fchown(p[0], int(uid), int(gid)); err != nil {
			return fmt.Errorf("giving the agent its pipes: %w", err)
		}
		if err := unix.SetNonblock(p[1], true); err != nil {
			return err
		}
	}
	return nil
}
