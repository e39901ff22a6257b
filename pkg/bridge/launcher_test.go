package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/auth"
	api "github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// localLauncher stands in for the root half where its privileges are not the
// point: it speaks the real protocol and starts real programs on real terminals,
// but as the tester. The real one is tested on a real systemd (test/system).
type localLauncher struct {
	t      *testing.T
	mu     sync.Mutex
	n      int
	silent bool           // the next stage ends without a word
	groups map[string]int // the program's process group, by scope
}

func (l *localLauncher) serve(ln *net.UnixListener) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := ln.AcceptUnix()
		if err != nil {
			return
		}
		wg.Go(func() {
			defer c.Close()
			var req privsep.Request
			fds, err := privsep.Receive(c, &req, 8)
			if errors.Is(err, io.EOF) {
				return // it found its request too long
			}
			if err != nil {
				l.t.Errorf("bad request: %v", err)
				return
			}
			privsep.Close(fds...)
			switch {
			case req.Start != nil:
				l.start(c, *req.Start)
			case req.Kill != nil:
				l.signal(c, req.Kill.Name, syscall.Signal(req.Kill.Signal))
			case req.Freeze != nil:
				l.signal(c, req.Freeze.Name, syscall.SIGSTOP)
			case req.Thaw != nil:
				l.signal(c, req.Thaw.Name, syscall.SIGCONT)
			case req.Put != nil:
				privsep.Send(c, privsep.Reply{Path: "/tmp/" + req.Put.Name})
			}
		})
	}
}

// signal does to a process group what systemd does to a scope.
func (l *localLauncher) signal(c *net.UnixConn, scope string, sig syscall.Signal) {
	l.mu.Lock()
	group := l.groups[scope]
	l.mu.Unlock()
	var reply privsep.Reply
	if err := syscall.Kill(-group, sig); group == 0 || err != nil {
		reply.Error = privsep.Errorf("failed", "no scope %s", scope)
	}
	privsep.Send(c, reply)
}

func (l *localLauncher) start(c *net.UnixConn, s privsep.Start) {
	if s.Profile == "refused" {
		privsep.Send(c, privsep.Reply{Error: privsep.Errorf("refused", "not this one")})
		return
	}
	l.mu.Lock()
	l.n++
	id, silent := fmt.Sprintf("s%d", l.n), l.silent
	l.mu.Unlock()
	master, slave, err := pty.Open()
	if err != nil {
		l.t.Error(err)
		return
	}
	defer slave.Close()
	pty.Setsize(master, &pty.Winsize{Rows: s.Rows, Cols: s.Cols})
	r, w, err := os.Pipe()
	if err != nil {
		l.t.Error(err)
		return
	}
	defer w.Close()
	// The stand-in for the stage: alive as long as the session is.
	stage := exec.Command("cat")
	hold, err := stage.StdinPipe()
	if err != nil {
		l.t.Error(err)
		return
	}
	pidfd := -1
	stage.SysProcAttr = &syscall.SysProcAttr{PidFD: &pidfd}
	if err := stage.Start(); err != nil {
		l.t.Error(err)
		return
	}
	mounts, err := os.Open("/proc/self/ns/mnt")
	if err != nil {
		l.t.Error(err)
		return
	}
	defer mounts.Close()
	err = privsep.Send(c, privsep.Reply{Session: &privsep.Session{ID: id, Scope: id, User: "tester", Argv: s.Argv, PID: stage.Process.Pid}},
		int(master.Fd()), pidfd, int(r.Fd()), int(mounts.Fd()))
	master.Close()
	r.Close()
	syscall.Close(pidfd)
	end := func() {
		slave.Close()
		w.Close()
		hold.Close()
		stage.Wait()
	}
	var released privsep.Go
	if err == nil {
		_, err = privsep.Receive(c, &released, 0)
	}
	if err != nil {
		l.t.Errorf("not released: %v", err)
		end()
		return
	}
	if silent {
		end()
		return
	}
	say := func(s privsep.Status) { json.NewEncoder(w).Encode(s) }
	cmd := exec.Command(s.Argv[0], s.Argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		say(privsep.Status{Error: privsep.Errorf("program-not-found", "program not found: %.100s", s.Argv[0])})
		end()
		return
	}
	l.mu.Lock()
	if l.groups == nil {
		l.groups = map[string]int{}
	}
	l.groups[id] = cmd.Process.Pid
	l.mu.Unlock()
	say(privsep.Status{Started: true})
	ended, watched := make(chan struct{}), make(chan struct{})
	go func() { // what the stage does when nobody reads its status any more
		defer close(watched)
		for {
			// Not for ever: a poll under way holds the pipe open.
			n, _ := unix.Poll([]unix.PollFd{{Fd: int32(w.Fd())}}, 20)
			if n > 0 {
				cmd.Process.Kill()
				return
			}
			select {
			case <-ended:
				return
			default:
			}
		}
	}()
	cmd.Wait()
	say(privsep.Status{Ended: &privsep.Ended{Wait: uint32(cmd.ProcessState.Sys().(syscall.WaitStatus))}})
	close(ended)
	<-watched
	end()
}

// harness is a bridge on a socket of its own.
type harness struct {
	*Bridge
	t        *testing.T
	socket   string
	launcher *localLauncher
	record   string
	stop     func() error
}

func start(t *testing.T, change func(*Bridge)) *harness {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t, goleak.IgnoreCurrent()) })
	dir := t.TempDir()
	listen := func(network, name string) *net.UnixListener {
		ln, err := net.ListenUnix(network, &net.UnixAddr{Name: filepath.Join(dir, name), Net: network})
		if err != nil {
			t.Fatal(err)
		}
		return ln
	}
	record, err := audit.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{t: t, socket: filepath.Join(dir, "server.sock"), launcher: &localLauncher{t: t}, record: dir}
	h.Bridge = &Bridge{
		Policy:      auth.Policy{Group: uint32(os.Getgid()), GroupName: "testers"},
		MaxSessions: 100, MaxPerUser: 100, LauncherSocket: filepath.Join(dir, "launcher.sock"),
		Log: log.New(io.Discard, "", 0), Record: record,
	}
	if change != nil {
		change(h.Bridge)
	}
	ln, lln := listen("unix", "server.sock"), listen("unixpacket", "launcher.sock")
	ctx, cancel := context.WithCancel(context.Background())
	served, launched := make(chan error, 1), make(chan struct{})
	go func() { h.launcher.serve(lln); close(launched) }()
	go func() { served <- h.Serve(ctx, ln) }()
	h.stop = sync.OnceValue(func() error {
		cancel()
		err := <-served
		lln.Close()
		<-launched
		record.Close()
		return err
	})
	t.Cleanup(func() {
		if err := h.stop(); err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return h
}

// open starts or joins a session.
func (h *harness) open(req wire.OpenRequest) (*api.Session, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if req.Rows == 0 {
		req.Size = wire.Size{Rows: 24, Cols: 80}
	}
	return api.Open(ctx, h.socket, req)
}

func (h *harness) sh(script string) *api.Session {
	h.t.Helper()
	s, err := h.open(wire.OpenRequest{Session: spec.Session{Argv: []string{"sh", "-c", script}}})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { s.Close() })
	return s
}

// all reads a session to its end.
func (h *harness) all(s *api.Session) (string, wire.EndedNote) {
	h.t.Helper()
	var out strings.Builder
	ended, err := s.Copy(api.Sink{Out: &out, Notice: func(line string) { h.t.Errorf("notice: %s", line) }})
	if err != nil {
		h.t.Fatalf("after %q: %v", out.String(), err)
	}
	return out.String(), ended
}
