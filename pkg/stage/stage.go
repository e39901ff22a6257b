// Package stage is the process between the launcher and an agent's program: PID 1
// of the session's namespaces.
//
// It is born as root in a new pid and mount namespace, and blocked: until its
// orders come it does nothing, and if they never come it ends. Then, in this
// order, it
//
//  1. mounts what is the session's own (mounts.go),
//  2. becomes the agent's user for good, and proves it (drop.go),
//  3. starts the program on the session's terminal (program.go),
//  4. reaps, until the program ends; reports its wait status; and ends itself,
//     upon which the kernel kills whatever is left of the session.
//
// It never reads the terminal. It holds one descriptor of it open until it ends,
// so that the bridge sees the terminal's end when the session has ended, and not
// when a program closes its standard streams for a while.
package stage

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
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
	if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&append([]byte(Name), 0)[0])), 0, 0, 0); err != nil {
		fmt.Fprintf(os.Stderr, "stage: naming itself: %v\n", err)
	}
	for fd := privsep.OrdersFD; fd <= privsep.DevptsFD; fd++ {
		unix.CloseOnExec(fd)
	}
	// A scope is stopped by SIGTERM and SIGHUP to everything in it, and an agent
	// may send its own init any signal: the stage outlives them all but SIGKILL,
	// to see the program end. Caught, not ignored: ignored ones are inherited.
	signal.Notify(make(chan os.Signal, 1))
	signal.Reset(unix.SIGCHLD)

	var orders privsep.Orders
	if err := readOrders(&orders); err != nil {
		fmt.Fprintf(os.Stderr, "stage: no orders: %v\n", err)
		return 1
	}
	go endWithReader(privsep.StatusFD)

	pid, err := begin(orders)
	if err != nil {
		if err := report(privsep.Status{Error: err}); err != nil {
			fmt.Fprintf(os.Stderr, "stage of %s: %v\n", orders.ID, err)
		}
		return 1
	}
	tty, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", privsep.SlaveFD))
	if err := report(privsep.Status{Started: &privsep.Started{TTY: tty}}); err != nil {
		fmt.Fprintf(os.Stderr, "stage of %s: %v\n", orders.ID, err)
		return 1
	}
	wait, err2 := reap(pid)
	if err2 == nil {
		err2 = report(privsep.Status{Ended: &privsep.Ended{Wait: wait}})
	}
	if err2 != nil {
		fmt.Fprintf(os.Stderr, "stage of %s: %v\n", orders.ID, err2)
		return 1
	}
	return 0
}

func readOrders(o *privsep.Orders) error {
	f := os.NewFile(privsep.OrdersFD, "orders")
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 2*privsep.MaxMessage))
	if err != nil {
		return err
	}
	if len(b) == 0 {
		return io.ErrUnexpectedEOF // nobody holds the session: never run
	}
	return json.Unmarshal(b, o)
}

func begin(o privsep.Orders) (pid int, refused *privsep.Error) {
	if err := mounts(); err != nil {
		return 0, privsep.Errorf("session-failed", "preparing the session: %v", err)
	}
	if err := setLoginUID(o.LoginUID); err != nil {
		return 0, privsep.Errorf("session-failed", "preparing the session: %v", err)
	}
	if err := drop(o.UID, o.GID, o.Groups); err != nil {
		return 0, privsep.Errorf("session-failed", "becoming the agent's user: %v", err)
	}
	if err := os.Chdir(o.Home); err != nil {
		return 0, privsep.Errorf("home-missing", "the agent's home %s is missing or not its own: sudo systemd-tmpfiles --create", o.Home)
	}
	return startProgram(o.Argv, o.Env)
}

// report writes one line, which a pipe takes whole (pipe(7), PIPE_BUF).
func report(s privsep.Status) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if _, err := unix.Write(privsep.StatusFD, append(b, '\n')); err != nil {
		return fmt.Errorf("reporting: %w", err)
	}
	return nil
}

// endWithReader ends the session when nobody can read its status any more: then
// its terminal is held by nobody either, and its record would have a hole.
func endWithReader(status int) {
	p := []unix.PollFd{{Fd: int32(status)}} // POLLERR comes unasked (poll(2))
	for {
		_, err := unix.Poll(p, -1)
		if err != unix.EINTR {
			break
		}
	}
	os.Exit(1)
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
