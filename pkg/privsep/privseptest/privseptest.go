// Package privseptest stands in for the root half where its privileges are not the
// point: it speaks the real protocol and starts real programs on real terminals and
// pipes, but as whoever runs it. The real one is tested on a real systemd (test/system).
//
// A session is a process group, so that a program which leaves it is neither killed nor
// frozen with it; a session without a program is /bin/sh; and a file that is put into a
// session is put into the Launcher's directory.
package privseptest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/AgentaaU/AaaU/pkg/anchor"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/spec"
)

// Launcher answers a bridge's requests.
type Launcher struct {
	dir string

	mu     sync.Mutex // guards what follows
	n      int        // sessions so far
	judge  func(privsep.Request) error
	groups map[string]int // programs' process groups, by scope
	errs   []error        // what went wrong and nobody was told

	anchors []anchor.Head
	home    int64 // bytes of every home
}

// New makes a Launcher, which puts files into a directory.
func New(dir string) *Launcher { return &Launcher{dir: dir, groups: map[string]int{}} }

// ErrSilent from an OnRequest's function has a session's first process end before it
// has said whether the program runs.
var ErrSilent = errors.New("the session's first process ended without a word")

// ErrMute from an OnRequest's function has a session's first process end without a word on
// how the program ended.
var ErrMute = errors.New("the session's first process did not tell how its program ended")

// OnRequest has every request from now on judged first: an error refuses it, a
// *privsep.Error in words for the person who asked. Nil undoes that.
func (l *Launcher) OnRequest(judge func(privsep.Request) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.judge = judge
}

// SetHome says how many bytes every home is found to have from now on.
func (l *Launcher) SetHome(bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.home = bytes
}

// Err is all that went wrong so far and was nobody's to be told.
func (l *Launcher) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.errs...)
}

// Anchors are all that it has taken so far, in order.
func (l *Launcher) Anchors() []anchor.Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.anchors)
}

// Serve answers until ln is closed, and until every session has ended.
func (l *Launcher) Serve(ln *net.UnixListener) {
	var requests sync.WaitGroup
	defer requests.Wait()
	for {
		c, err := ln.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			l.note(err)
			return
		}
		requests.Go(func() {
			defer c.Close()
			var req privsep.Request
			fds, err := privsep.Receive(c, &req, spec.MaxDirs+1)
			if errors.Is(err, io.EOF) {
				return // the bridge found its request too long
			}
			if err == nil {
				err = l.answer(c, req, fds)
			}
			l.note(err)
		})
	}
}

// note keeps what nobody is told.
func (l *Launcher) note(err error) {
	if err == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, fmt.Errorf("the launcher's stand-in: %w", err))
}

// answer does one thing. It closes the descriptors.
func (l *Launcher) answer(c *net.UnixConn, req privsep.Request, fds []int) error {
	defer privsep.Close(fds...)
	l.mu.Lock()
	judge := l.judge
	l.mu.Unlock()
	var reply privsep.Reply
	var says error
	if judge != nil {
		if err := judge(req); errors.Is(err, ErrSilent) || errors.Is(err, ErrMute) {
			says = err
		} else if err != nil && !errors.As(err, &reply.Error) {
			reply.Error = privsep.Errorf("refused", "%v", err)
		}
	}
	switch {
	case reply.Error != nil:
	case !req.OneThing():
		reply.Error = privsep.Errorf("malformed", "%s", req)
	case req.Start != nil:
		return l.start(c, *req.Start, fds, says)
	case req.Kill != nil:
		sig := syscall.Signal(req.Kill.Signal)
		if sig == 0 {
			sig = syscall.SIGKILL
		}
		reply.Error = l.signal(req.Kill.Name, sig)
	case req.Freeze != nil:
		reply.Error = l.signal(req.Freeze.Name, syscall.SIGSTOP)
	case req.Thaw != nil:
		reply.Error = l.signal(req.Thaw.Name, syscall.SIGCONT)
	case req.Measure != nil:
		l.mu.Lock()
		reply.Bytes = l.home
		l.mu.Unlock()
	case req.Put != nil:
		reply.Path, reply.Error = l.put(*req.Put, fds)
	case req.Anchor != nil:
		if err := req.Anchor.Check(); err != nil {
			reply.Error = privsep.Errorf("malformed", "%v", err)
			break
		}
		l.mu.Lock()
		l.anchors = append(l.anchors, req.Anchor.Heads...)
		l.mu.Unlock()
	}
	return privsep.Send(c, reply)
}

// signal does to a process group what systemd does to a scope.
func (l *Launcher) signal(scope string, sig syscall.Signal) *privsep.Error {
	l.mu.Lock()
	defer l.mu.Unlock() // a group that has ended is not in the table any more
	group := l.groups[scope]
	if group == 0 {
		return privsep.Errorf("failed", "no scope %s", scope)
	}
	if err := syscall.Kill(-group, sig); err != nil {
		return privsep.Errorf("failed", "signalling %s: %v", scope, err)
	}
	return nil
}

// Kill ends a session whose bridge does not ask for it any more. It may have ended.
func (l *Launcher) Kill(scope string) { _ = l.signal(scope, syscall.SIGKILL) }

// put copies the file, which comes after a mount namespace.
func (l *Launcher) put(req privsep.Put, fds []int) (string, *privsep.Error) {
	if err := spec.CheckName(req.Name); err != nil || len(fds) != 2 {
		return "", privsep.Errorf("malformed", "a file with %d descriptors: %v", len(fds), err)
	}
	failed := func(err error) (string, *privsep.Error) {
		return "", privsep.Errorf("failed", "putting %s: %v", req.Name, err)
	}
	from, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", fds[1]))
	if err != nil {
		return failed(err)
	}
	defer from.Close()
	dir, err := os.MkdirTemp(l.dir, "put")
	if err != nil {
		return failed(err)
	}
	path := filepath.Join(dir, req.Name)
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return failed(err)
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close()); err != nil {
		return failed(err)
	}
	return path, nil
}
