package launcher

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// streams are a program's standard streams, from both ends: a terminal, or three
// pipes. All are descriptors, close-on-exec.
//
// The bridge's ends are made non-blocking here, once, before anybody else has them:
// O_NONBLOCK belongs to the open file description that the bridge will share.
type streams struct {
	devpts  int   // a file system for terminals, mounted nowhere yet
	program []int // the terminal's slave; or the read end of input, the write ends of output and errors
	bridge  []int // the terminal's master; or the other ends, in the same order
}

func (s streams) close() {
	unix.Close(s.devpts)
	privsep.Close(s.program...)
	privsep.Close(s.bridge...)
}

// stdio are the program's descriptors 0, 1 and 2.
func (s streams) stdio() (in, out, errs uintptr) {
	last := len(s.program) - 1 // a terminal is all three
	return uintptr(s.program[0]), uintptr(s.program[min(1, last)]), uintptr(s.program[last])
}

// openStreams makes the streams for a program of uid:gid. Also one that has pipes
// has a file system for the terminals that it may make itself.
func openStreams(uid, gid uint32, pipes bool, rows, cols uint16) (s streams, err error) {
	if s.devpts, err = newDevpts(uid, gid); err != nil {
		return streams{}, err
	}
	if pipes {
		err = s.addPipes(uid, gid)
	} else {
		err = s.addTerminal(rows, cols)
	}
	if err != nil {
		s.close()
		return streams{}, err
	}
	return s, nil
}

// addPipes makes three pipes that are the program's own: it may open them once more
// by their names in /dev (proc_pid_fd(5)), as it may a terminal.
func (s *streams) addPipes(uid, gid uint32) error {
	for i := range 3 {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			return fmt.Errorf("pipe: %w", err)
		}
		if i > 0 { // the program writes, and the bridge reads
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
