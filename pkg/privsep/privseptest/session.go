package privseptest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"syscall"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/spec"
)

// streams are a program's, from both ends.
type streams struct {
	program []*os.File // its standard input, output and errors
	bridge  []*os.File // the terminal's master; or the other ends of three pipes
}

func (s streams) close() {
	for _, f := range append(s.program, s.bridge...) {
		f.Close() // a terminal is there three times
	}
}

func openStreams(req privsep.Start) (s streams, err error) {
	if !req.Pipes {
		master, slave, err := pty.Open()
		if err != nil {
			return s, err
		}
		s.program, s.bridge = []*os.File{slave, slave, slave}, []*os.File{master}
		if req.ErrorsApart {
			r, w, err := os.Pipe()
			if err != nil {
				s.close()
				return streams{}, err
			}
			s.program[2], s.bridge = w, append(s.bridge, r)
		}
		return s, pty.Setsize(master, &pty.Winsize{Rows: req.Rows, Cols: req.Cols, X: req.XPixel, Y: req.YPixel})
	}
	for i := range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			s.close()
			return streams{}, err
		}
		if i == 0 {
			s.program, s.bridge = append(s.program, r), append(s.bridge, w)
		} else {
			s.program, s.bridge = append(s.program, w), append(s.bridge, r)
		}
	}
	return s, nil
}

// stage stands in for a session's first process: something that is alive as long as
// the session is, and has the last word on it.
type stage struct {
	cmd    *exec.Cmd
	pidfd  int
	hold   *os.File // closed, it ends
	status *os.File // write end
}

func startStage() (st *stage, status *os.File, err error) {
	status, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	end, hold, err := os.Pipe()
	if err != nil {
		status.Close()
		w.Close()
		return nil, nil, err
	}
	defer end.Close()
	st = &stage{cmd: exec.Command("cat"), hold: hold, status: w}
	st.cmd.Stdin = end
	st.cmd.SysProcAttr = &syscall.SysProcAttr{PidFD: &st.pidfd}
	if err := st.cmd.Start(); err != nil {
		status.Close()
		w.Close()
		hold.Close()
		return nil, nil, err
	}
	return st, status, nil
}

func (st *stage) say(s privsep.Status) {
	_ = json.NewEncoder(st.status).Encode(s) // the bridge may be gone
}

func (st *stage) end() {
	st.status.Close()
	st.hold.Close()
	_ = st.cmd.Wait()
}

// start starts a session and stays until its end. says is ErrSilent or ErrMute, or nil for a
// session whose first process says all.
func (l *Launcher) start(c *net.UnixConn, req privsep.Start, fds []int, says error) error {
	if len(fds) != len(req.Dirs)+1 {
		return privsep.Send(c, privsep.Reply{Error: privsep.Errorf("malformed", "%d directories with %d descriptors", len(req.Dirs), len(fds))})
	}
	if len(req.Argv) == 0 {
		req.Argv = append(argv.Argv{"/bin/sh"}, req.Args...)
	}
	l.mu.Lock()
	l.n++
	id := fmt.Sprintf("s%d", l.n)
	l.mu.Unlock()
	std, err := openStreams(req)
	if err != nil {
		return err
	}
	defer std.close()
	st, status, err := startStage()
	if err != nil {
		return err
	}
	defer st.end()
	err = handOver(c, privsep.Session{
		ID: id, Scope: id, User: "tester", Argv: req.Argv, PID: st.cmd.Process.Pid, Pipes: req.Pipes, ErrorsApart: req.ErrorsApart && !req.Pipes, Dirs: shown(req.Dirs, fds[1:]),
		UID: uint32(os.Getuid()), GID: uint32(os.Getgid()),
	}, std, st, status)
	if err != nil || errors.Is(says, ErrSilent) {
		return err
	}
	if ended := l.run(id, req, std, st); ended != nil && !errors.Is(says, ErrMute) {
		st.say(privsep.Status{Ended: ended})
	}
	return nil
}

// handOver gives the session to the bridge, and waits for its word that it is safe
// there. The bridge's ends are closed here then.
func handOver(c *net.UnixConn, s privsep.Session, std streams, st *stage, status *os.File) error {
	defer unix.Close(st.pidfd)
	defer status.Close()
	mounts, err := os.Open("/proc/self/ns/mnt")
	if err != nil {
		return err
	}
	defer mounts.Close()
	theirs := []int{int(std.bridge[0].Fd()), st.pidfd, int(status.Fd()), int(mounts.Fd())}
	for _, f := range std.bridge[1:] {
		theirs = append(theirs, int(f.Fd()))
	}
	if err := privsep.Send(c, privsep.Reply{Session: &s}, theirs...); err != nil {
		return err
	}
	for _, f := range std.bridge {
		f.Close()
	}
	var released privsep.Go
	if _, err := privsep.Receive(c, &released, 0); err != nil {
		return fmt.Errorf("session %s was not released: %w", s.ID, err)
	}
	return nil
}

// shown are the directories by the kernel's names of them.
func shown(dirs []spec.Dir, fds []int) (all []spec.Shown) {
	for i, d := range dirs {
		name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fds[i]))
		if err != nil {
			continue // it is not looked for
		}
		all = append(all, spec.Shown{Path: argv.String(name), ReadOnly: d.ReadOnly, Tool: d.Tool})
	}
	return all
}

// run runs the program, as the stage does, and returns how it ended; nil if it did not start.
func (l *Launcher) run(id string, req privsep.Start, std streams, st *stage) *privsep.Ended {
	cmd := exec.Command(req.Argv[0], req.Argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = std.program[0], std.program[1], std.program[2]
	cmd.Env = append(append(os.Environ(), "AAAU_SESSION="+id), req.Env...)
	cmd.Dir = string(req.Cwd)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: !req.Pipes}
	l.mu.Lock() // so that whoever kills the scope finds it
	if err := cmd.Start(); err != nil {
		l.mu.Unlock()
		refusal := privsep.Errorf("program-not-found", "program not found: %.100s", req.Argv[0])
		if errors.Is(err, fs.ErrPermission) {
			refusal = privsep.Errorf("program-not-executable", "program not executable: %.100s", req.Argv[0])
		}
		st.say(privsep.Status{Error: refusal})
		return nil
	}
	l.groups[id] = cmd.Process.Pid
	l.mu.Unlock()
	for i, f := range std.program { // the stage holds a terminal, and no pipe
		if req.Pipes || i == 2 && req.ErrorsApart {
			f.Close()
		}
	}
	st.say(privsep.Status{Started: true})
	unwatch := st.watch(func() { _ = l.signal(id, syscall.SIGKILL) })
	_ = exited(cmd.Process.Pid)
	// What is left of the group goes with it, while the leader is still there to name it.
	_ = l.signal(id, syscall.SIGKILL)
	l.mu.Lock()
	delete(l.groups, id)
	l.mu.Unlock()
	_ = cmd.Wait() // its state says it all
	unwatch()
	return &privsep.Ended{Wait: uint32(cmd.ProcessState.Sys().(syscall.WaitStatus))}
}

// exited waits for a child's end, and leaves it to be waited for.
func exited(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err
		}
	}
}

// watch calls gone once nobody reads the status any more, which is the end of who
// held the session.
func (st *stage) watch(gone func()) (stop func()) {
	ended, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			// Not for ever: a poll under way holds the pipe open.
			n, _ := unix.Poll([]unix.PollFd{{Fd: int32(st.status.Fd())}}, 20)
			if n > 0 {
				gone()
				return
			}
			select {
			case <-ended:
				return
			default:
			}
		}
	}()
	return func() { close(ended); <-watched }
}
