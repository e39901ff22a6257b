package launcher

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/scope"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/stage"
)

// start makes a session for whoever is at the other end of client, hands it to
// the bridge, and releases it when the bridge says that it holds it. Until then
// every way out closes the orders' socket, upon which the stage ends.
func (l *Launcher) start(ctx context.Context, c *net.UnixConn, req privsep.Start, client int, dirs []int) error {
	select {
	case l.places <- struct{}{}:
		defer func() { <-l.places }()
	case <-time.After(patience):
		return privsep.Errorf("busy", "the launcher is starting %d sessions already, and none gets on: see journalctl -u aaau-launcher", maxStarts)
	}
	took := laps{last: time.Now()}
	// On its way while we plan and fork: systemd takes its time to greet.
	connect := sync.OnceValues(func() (*scope.Systemd, error) { return scope.Connect(ctx) })
	go connect()
	defer func() {
		if systemd, err := connect(); err == nil {
			systemd.Close()
		}
	}()

	plan, err := l.plan(req, client, dirs)
	if err != nil {
		return err
	}
	took.lap("plan")
	std, err := openStreams(plan.orders.UID, plan.orders.GID, req.Session)
	if err != nil {
		return err
	}
	defer std.close()
	took.lap("streams")
	st, err := forkStage(std)
	if err != nil {
		return err
	}
	defer st.close()
	took.lap("stage")
	mounts := prepareMounts(plan)
	defer mounts.close()

	description := scope.Description(plan.orders.ID, fmt.Sprintf("uid %d", plan.human.UID))
	systemd, err := connect()
	if err != nil {
		return err
	}
	took.lap("systemd")
	err = systemd.StartScope(plan.profile.Name, plan.orders.ID, description, st.pid)
	if errors.Is(err, scope.ErrExists) {
		return privsep.Errorf("replayed", "this connection has a session already")
	}
	if err != nil {
		return privsep.Errorf("scope-refused", "systemd refused the session's scope: %v", err)
	}
	took.lap("scope")
	if plan.orders.Mounts, err = mounts.wait(); err != nil {
		return err
	}
	took.lap("mounts")

	made := privsep.Session{
		ID:          plan.orders.ID,
		Scope:       scope.Name(plan.profile.Name, plan.orders.ID),
		User:        plan.user,
		Argv:        plan.orders.Argv,
		PID:         st.pid,
		UID:         plan.orders.UID,
		GID:         plan.orders.GID,
		Pipes:       plan.orders.Pipes,
		ErrorsApart: plan.orders.ErrorsApart,
		Dirs:        plan.shown(),
		Secrets:     plan.secrets,
		Watch:       plan.profile.Watch,
		Locks:       plan.locks(),

		HomeBounded: mounts.homeBounded,

		Tape: plan.profile.Tape,
	}
	fds := append([]int{std.bridge[0], st.pidfd, st.status, st.mounts}, std.bridge[1:]...)
	if err := privsep.Send(c, privsep.Reply{Session: &made}, fds...); err != nil {
		return fmt.Errorf("handing over the session: %w", err)
	}
	var released privsep.Go
	c.SetDeadline(time.Now().Add(patience))
	if _, err := privsep.Receive(c, &released, 0); err != nil || !released.Go {
		return fmt.Errorf("the bridge did not release session %s: %v", plan.orders.ID, err)
	}
	kept, err := keepMounted(plan.dirs)
	if err != nil {
		return err
	}
	if err := privsep.SendFD(st.orders, plan.orders, append(slices.Clone(mounts.fds), kept...)...); err != nil {
		return fmt.Errorf("releasing session %s: %w", plan.orders.ID, err)
	}
	took.lap("handover")
	about := about(made.Scope)
	about.AgentUser, about.UID = plan.user, fmt.Sprint(plan.human.UID)
	l.Log.Tell(journal.Launch, about, "session %s: for uid %d (pid %d) as %s, program %.80q", plan.orders.ID,
		plan.human.UID, plan.human.PID, plan.user, plan.orders.Argv[0])
	l.Log.Tell(journal.LaunchTimes, about, "session %s took (%s)", plan.orders.ID, took)
	return nil
}

// preparation is the mounts of a session, made while systemd makes its scope.
type preparation struct {
	done   chan struct{} // closed when what follows is set
	mounts []privsep.Mount
	fds    []int // of detached mounts
	err    error

	homeBounded bool // by the kernel
}

func prepareMounts(p plan) *preparation {
	m := &preparation{done: make(chan struct{})}
	go func() {
		defer close(m.done)
		home, bounded, err := openHome(p.user, p.orders.UID, p.orders.GID, p.human.UID, p.homeMax)
		if err != nil {
			m.err = err
			return
		}
		mounts, fds, err := mountDirs(p)
		m.mounts = append([]privsep.Mount{{Path: argv.String(p.orders.Home)}}, mounts...)
		m.fds = append([]int{home}, fds...)
		m.homeBounded, m.err = bounded, err
	}()
	return m
}

func (m *preparation) wait() ([]privsep.Mount, error) {
	<-m.done
	return m.mounts, m.err
}

func (m *preparation) close() {
	<-m.done
	privsep.Close(m.fds...)
}

// shown is what the session sees of the person's.
func (p plan) shown() (list []spec.Shown) {
	for _, d := range p.dirs {
		list = append(list, spec.Shown{Path: argv.String(d.path), ReadOnly: d.ReadOnly, Tool: d.Tool})
	}
	return list
}

// locks are those of the session's mounts.
func (p plan) locks() (list []privsep.Relock) {
	for _, m := range p.orders.Mounts {
		if len(m.Lock) > 0 {
			list = append(list, privsep.Relock{Mount: m, UID: p.orders.UID, GID: p.orders.GID})
		}
	}
	return list
}

// child is a stage that waits for orders: descriptors, all the launcher's to
// close.
type child struct {
	pid    int
	pidfd  int
	orders int // a socket
	status int // read end
	mounts int // its mount namespace
}

func (c child) close() { privsep.Close(c.pidfd, c.orders, c.status, c.mounts) }

// forkStage starts this very program again, as PID 1 of new namespaces.
func forkStage(s streams) (child, error) {
	var status [2]int
	orders, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return child{}, fmt.Errorf("socketpair: %w", err)
	}
	defer unix.Close(orders[0])
	if err := unix.Pipe2(status[:], unix.O_CLOEXEC); err != nil {
		unix.Close(orders[1])
		return child{}, fmt.Errorf("pipe: %w", err)
	}
	defer unix.Close(status[1])
	c := child{orders: orders[1], status: status[0]}
	stdin, stdout, stderr := s.stdio()
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(null)
		c.pid, err = syscall.ForkExec("/proc/self/exe", []string{stage.Name}, &syscall.ProcAttr{
			Dir: "/",
			// A process that waits needs one thread of Go's at a time.
			Env: []string{"GOMAXPROCS=1"},
			Files: []uintptr{ // 0, 1, 2, then privsep.OrdersFD and on
				uintptr(null), uintptr(null), 2,
				uintptr(orders[0]), uintptr(status[1]), uintptr(s.devpts), stdin, stdout, stderr,
			},
			Sys: &syscall.SysProcAttr{
				Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC,
				PidFD:      &c.pidfd,
			},
		})
	}
	if err != nil {
		privsep.Close(c.orders, c.status)
		return child{}, fmt.Errorf("starting the stage: %w", err)
	}
	// Now, while it is like us; later it cannot be looked into.
	c.mounts, err = unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", c.pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		privsep.Close(c.orders, c.status, c.pidfd)
		return child{}, fmt.Errorf("opening the session's mount namespace: %w", err)
	}
	if err := c.lives(); err != nil { // else its pid may have been another's when it was used
		c.close()
		return child{}, err
	}
	return c, nil
}

// lives is an error if the stage has ended: from then on its pid may be another process's.
func (c child) lives() error {
	p := []unix.PollFd{{Fd: int32(c.pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(p, 0)
	switch {
	case err != nil:
		return fmt.Errorf("looking whether the stage lives: %w", err)
	case n > 0:
		return errors.New("the stage has ended before it was started")
	}
	return nil
}

// laps tells in the journal where a start's time went.
type laps struct {
	last time.Time
	text []string
}

func (l *laps) lap(name string) {
	now := time.Now()
	l.text = append(l.text, fmt.Sprintf("%s %.2f ms", name, now.Sub(l.last).Seconds()*1000))
	l.last = now
}

func (l laps) String() string { return strings.Join(l.text, ", ") }
