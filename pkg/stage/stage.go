// Package stage is the process between the launcher and an agent's program: PID 1
// of the session's namespaces.
//
// It is born as root in new pid, mount and ipc namespaces. In this order, it
//
//  1. mounts what is the session's own (mounts.go), and waits for its orders,
//     which come when it sits in its scope and the bridge holds the session's
//     descriptors; if they never come it ends, having started nothing,
//  2. mounts what the session may see of people's files (view.go),
//  3. becomes an unprivileged user for good, who is the agent to files and nobody whom the
//     agent may signal, and proves it (drop.go); and gives up what would leave setuid files in
//     people's directories (filter.go),
//  4. starts the program on the session's terminal or pipes, as the agent alone (program.go),
//  5. reaps, until the program ends; reports its wait status; and ends itself,
//     upon which the kernel kills whatever is left of the session.
//
// It never reads the terminal. It holds it open until it ends, so that the bridge sees
// the terminal's end when the session has ended, and not when a program closes its
// standard streams for a while. Pipes it does not hold: when a program closes one,
// that is the pipe's end.
package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/spec"
)

// Name is a stage's argv[0]: the launcher's program, started under this name, is
// a stage.
const Name = "aaau-stage"

// Main runs the stage and returns its exit status. It must be called from the
// main goroutine, from init or main, before anything has been started.
func Main() int {
	// Identities and no_new_privs are a thread's own: the one that forks the
	// program must be the one that was proven.
	runtime.LockOSThread()
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", Name, err)
		return 1
	}
	return 0
}

func run() error {
	name := append([]byte(Name), 0)
	if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0, 0, 0); err != nil {
		return fmt.Errorf("naming itself: %w", err)
	}
	for fd := privsep.OrdersFD; fd <= privsep.StderrFD; fd++ {
		unix.CloseOnExec(fd)
	}
	if err := defaultSignals(); err != nil {
		return err
	}
	// A scope is stopped by SIGTERM and SIGHUP to everything in it, and an agent
	// may send its own init any signal: the stage outlives them all but SIGKILL,
	// to see the program end. Caught, not ignored: ignored ones are inherited.
	signal.Notify(make(chan os.Signal, 1))
	signal.Reset(unix.SIGCHLD)

	// While systemd makes the scope: this starts nothing.
	mountErr := mounts()

	orders, view, err := readOrders()
	if err != nil {
		return fmt.Errorf("no orders: %w", err)
	}
	if err := unix.SetNonblock(privsep.StatusFD, true); err != nil {
		return err
	}
	status := os.NewFile(privsep.StatusFD, "status")
	go func() {
		err := awaitNoReader(status)
		fmt.Fprintf(os.Stderr, "%s of %s: nobody holds the session any more (%v)\n", Name, orders.ID, err)
		os.Exit(1)
	}()

	pid, guard, refused := begin(orders, view, mountErr)
	if refused != nil {
		return report(status, privsep.Status{Error: refused})
	}
	// Go catches every signal but these, and an agent may send them: not before
	// the program was started, which would have inherited it.
	for _, sig := range []uintptr{32, 34} {
		if err := setSignal(sig, ignored); err != nil {
			return err
		}
	}
	if err := report(status, privsep.Status{Started: true}); err != nil {
		return err
	}
	if guard != nil {
		guard.end = func(why string) {
			if err := report(status, privsep.Status{Tripped: why}); err != nil {
				fmt.Fprintf(os.Stderr, "%s: %s\n", Name, why)
			}
			os.Exit(1) // without a word on how it ended: by SIGKILL
		}
		if err := guard.start(func() error { return report(status, privsep.Status{Exposed: true}) }); err != nil {
			guard.fail("beginning to watch", err)
		}
	}
	wait, err := reap(pid)
	if err != nil {
		return err
	}
	if guard != nil && guard.tripping.Load() {
		select {} // it has the last word
	}
	return report(status, privsep.Status{Ended: &privsep.Ended{Wait: wait}})
}

// The kernel's own view of signals, of which Go and libc keep some to themselves:
// see rt_sigaction(2).
type sigaction struct{ handler, flags, restorer, mask uintptr }

const ignored, signals = 1, 64

func setSignal(sig, handler uintptr) error {
	action := sigaction{handler: handler}
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&action)), 0, unsafe.Sizeof(action.mask), 0, 0)
	if errno != 0 {
		return fmt.Errorf("setting signal %d: %w", sig, errno)
	}
	return nil
}

// defaultSignals undoes what somebody before the launcher ignored, which is
// inherited.
func defaultSignals() error {
	for sig := uintptr(1); sig <= signals; sig++ {
		var action sigaction
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, 0, uintptr(unsafe.Pointer(&action)), unsafe.Sizeof(action.mask), 0, 0)
		if errno != 0 || action.handler != ignored {
			continue
		}
		if err := setSignal(sig, 0); err != nil {
			return err
		}
	}
	return nil
}

// readOrders waits for the orders, and their descriptors.
func readOrders() (o privsep.Orders, mounts []int, err error) {
	f := os.NewFile(privsep.OrdersFD, "orders")
	c, err := net.FileConn(f)
	f.Close()
	if err != nil {
		return o, nil, err
	}
	defer c.Close()
	socket, ok := c.(*net.UnixConn)
	if !ok {
		return o, nil, errors.New("not a local socket")
	}
	// An end of file: nobody holds the session, and nothing may run.
	mounts, err = privsep.Receive(socket, &o, 1+spec.MaxDirs+privsep.MaxKept)
	return o, mounts, err
}

func begin(o privsep.Orders, mounts []int, mountErr error) (pid int, g *guard, refused *privsep.Error) {
	if mountErr != nil {
		return 0, nil, privsep.Errorf("session-failed", "preparing the session: %v", mountErr)
	}
	// What follows the mounts' descriptors stays open until the stage ends (privsep.MaxKept).
	env, err := view(o, mounts[:min(len(mounts), len(o.Mounts))])
	if errors.As(err, &refused) {
		return 0, nil, refused
	}
	if err == nil {
		g, err = newGuard(o)
	}
	if err != nil {
		return 0, nil, privsep.Errorf("session-failed", "preparing the session: %v", err)
	}
	if err := setLoginUID(o.LoginUID); err != nil {
		return 0, nil, privsep.Errorf("session-failed", "preparing the session: %v", err)
	}
	score, scoreErr := openScore()
	who := accountOf(o)
	if err := who.drop(); err != nil {
		return 0, nil, privsep.Errorf("session-failed", "becoming the agent's user: %v", err)
	}
	if err := scopeSockets(); err != nil {
		return 0, nil, privsep.Errorf("session-failed", "preparing the session: %v", err)
	}
	if err := filter(); err != nil {
		return 0, nil, privsep.Errorf("session-failed", "preparing the session: %v", err)
	}
	unix.Umask(int(o.Umask))
	dir := string(o.Cwd)
	if dir == "" {
		dir = o.Home
	}
	if err := os.Chdir(dir); err != nil {
		return 0, nil, privsep.Errorf("directory-missing", "the agent cannot go to %.200q: %v", dir, errors.Unwrap(err))
	}
	c := command{argv: o.Argv, env: append(append(o.Env, "PWD="+dir), env...), terminal: !o.Pipes, who: who, advice: o.Advice}
	for _, dir := range o.Hidden {
		c.hidden = append(c.hidden, string(dir))
	}
	pid, refused = c.start()
	if scoreErr == nil {
		scoreErr = score.lower()
	}
	if scoreErr != nil {
		fmt.Fprintf(os.Stderr, "%s of %s: for want of memory the kernel may kill it before the program: %v\n", Name, o.ID, scoreErr)
	}
	if err := who.renounce(); err != nil {
		return 0, nil, privsep.Errorf("session-failed", "giving up the right to start the program: %v", err)
	}
	if o.Pipes {
		privsep.Close(privsep.StdinFD, privsep.StdoutFD)
	}
	if o.Pipes || o.ErrorsApart {
		privsep.Close(privsep.StderrFD)
	}
	return pid, g, refused
}

// report writes one line, which a pipe takes whole (pipe(7), PIPE_BUF).
func report(to *os.File, s privsep.Status) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if _, err := to.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("reporting: %w", err)
	}
	return nil
}

// awaitNoReader returns when nobody can read the status any more: then nobody
// holds the session's terminal either, and its record would have a hole.
//
// It waits in the runtime's poller, not in poll(2): a thread that enters a system
// call to stay there, just when drop stops all threads, was seen to hang Go
// 1.26.8 (once in some ten thousand starts).
func awaitNoReader(status *os.File) error {
	raw, err := status.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd)}} // POLLERR comes unasked (poll(2))
		n, err := unix.Poll(p, 0)
		return err == nil && n > 0
	})
}

// reap waits for all children, ours and orphans, until pid has ended.
func reap(pid int) (wait uint32, err error) {
	for {
		var ws syscall.WaitStatus
		got, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 0, fmt.Errorf("wait4: %w", err)
		case got == pid:
			return uint32(ws), nil
		}
	}
}
