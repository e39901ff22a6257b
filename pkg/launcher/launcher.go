// Package launcher is the root half: it makes sessions, and ends them, for the
// bridge.
//
// It obeys one user, the bridge's, and does not believe it: who asks for a
// session it learns from the client's own connection, what may be run and as
// whom from root's own files. It keeps no state between requests but how many
// anchors it wrote lately, never reads a byte of a terminal, and may be restarted at
// any time.
//
// What a bridge gone bad can still do to a session that it holds, it can do as the
// agent at most: type, signal, and put files into the session's own /tmp.
//
// It must stay small enough to read in one sitting, and must not import what
// parses people's and agents' bytes (wire, session, bridge), nor the CLI
// library: a test says so.
package launcher

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"os/user"

	"github.com/AgentaaU/AaaU/pkg/anchor"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/scope"
	"github.com/AgentaaU/AaaU/pkg/spec"
)

const (
	// patience is how long the bridge may take for each of its messages.
	patience = 10 * time.Second
	// maxStarts is how many sessions are started at a time; more wait. To stop one
	// nothing waits.
	maxStarts = 32
)

// Launcher serves requests from one listening socket.
type Launcher struct {
	Dirs   config.Dirs
	Log    *journal.Log
	BootID string // makes ids unlike those of the machine's other lives

	procs   string        // see startGracePeriod
	places  chan struct{} // of maxStarts
	anchors anchors
}

// Serve answers requests until ctx ends, then waits for those under way. It
// closes ln.
func (l *Launcher) Serve(ctx context.Context, ln *net.UnixListener) error {
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	l.procs = ownProcs()
	reaped := l.reapStages(ctx)
	var requests sync.WaitGroup
	defer func() { requests.Wait(); <-reaped }()
	l.places = make(chan struct{}, maxStarts)
	l.anchors.dir, l.anchors.journald, l.anchors.say = anchor.Dir, "/run/systemd/journal/socket", l.Log.Printf
	for {
		c, err := ln.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
			l.Log.Printf("accepting: %v", err)
			select { // a request under way gives back what it holds
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		case err != nil:
			return fmt.Errorf("accepting: %w", err)
		}
		requests.Go(func() {
			defer c.Close()
			l.serve(ctx, c)
		})
	}
}

// serve answers the one request of a connection.
func (l *Launcher) serve(ctx context.Context, c *net.UnixConn) {
	c.SetDeadline(time.Now().Add(patience))
	warm := make(chan struct{})
	go func() {
		defer close(warm)
		l.startGracePeriod()
	}()
	defer func() { <-warm }()
	asker, err := l.admit(c)
	if err != nil {
		// Unread, its request would take our answer with it (unix(7), ECONNRESET).
		_, _ = c.Read(make([]byte, 1)) // drops the packet, unseen
		l.refuse(c, asker, nil, privsep.Errorf("refused", "the launcher refused the bridge: %v", err))
		return
	}
	var req privsep.Request
	fds, err := privsep.Receive(c, &req, 1+spec.MaxDirs)
	if err != nil {
		l.refuse(c, asker, nil, privsep.Errorf("malformed", "%v", err))
		return
	}
	defer privsep.Close(fds...)

	// The dispatch: what is asked, with how many descriptors. The bridge may always
	// stop agents, which is the safe direction, and let them go on again.
	switch {
	case !req.OneThing():
		err = privsep.Errorf("malformed", "a request must be for one thing")
	case req.Start != nil && len(fds) == 1+len(req.Start.Dirs):
		err = l.start(ctx, c, *req.Start, fds[0], fds[1:])
	case req.Kill != nil && len(fds) == 0:
		err = l.kill(ctx, c, *req.Kill)
	case req.Freeze != nil && len(fds) == 0:
		err = l.control(ctx, c, "froze", req.Freeze.Name, (*scope.Systemd).Freeze)
	case req.Thaw != nil && len(fds) == 0:
		err = l.control(ctx, c, "thawed", req.Thaw.Name, (*scope.Systemd).Thaw)
	case req.Measure != nil && len(fds) == 0:
		err = l.measure(ctx, c, *req.Measure)
	case req.Reconcile != nil && len(fds) == 0:
		err = l.reconcile(ctx, c, *req.Reconcile)
	case req.Relock != nil && len(fds) == 1:
		err = l.relock(c, *req.Relock, fds[0])
	case req.Sweep != nil && len(fds) == 1:
		err = l.sweep(c, *req.Sweep, fds[0])
	case req.Put != nil && len(fds) == 2:
		err = l.put(c, *req.Put, fds[0], fds[1])
	case req.Anchor != nil && len(fds) == 0:
		err = l.anchor(c, *req.Anchor)
	default:
		err = privsep.Errorf("malformed", "a request must come with the descriptors that belong to it")
	}
	if err != nil {
		l.refuse(c, asker, &req, err)
	}
}

// admit says who is asking, and whether that is the bridge or root.
func (l *Launcher) admit(c *net.UnixConn) (peer.Peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return peer.Peer{}, err
	}
	var asker peer.Peer
	if err2 := raw.Control(func(fd uintptr) { asker, err = peer.Of(int(fd)) }); err2 != nil || err != nil {
		return asker, errors.Join(err2, err)
	}
	if asker.UID == 0 {
		return asker, nil
	}
	cfg, err := l.Dirs.Load()
	if err != nil {
		return asker, err
	}
	bridge, err := user.Lookup(cfg.BridgeUser)
	if err != nil {
		return asker, fmt.Errorf("the bridge's user %q does not exist: run aaau-server init", cfg.BridgeUser)
	}
	if bridge.Uid != strconv.FormatUint(uint64(asker.UID), 10) {
		return asker, fmt.Errorf("uid %d is not the bridge", asker.UID)
	}
	return asker, nil
}

// refuse answers with an error, and journals it. A detail that is not for the
// person who asked goes to the journal alone.
func (l *Launcher) refuse(c *net.UnixConn, asker peer.Peer, req *privsep.Request, err error) {
	what := "a request"
	if req != nil {
		what = req.String()
	}
	l.Log.Tell(journal.LaunchDenied, journal.About{}, "refused %s, asked by uid %d, pid %d: %v", what, asker.UID, asker.PID, err)
	var shown *privsep.Error
	if !errors.As(err, &shown) {
		shown = privsep.Errorf("launcher-failed", "the launcher could not do it: %v", err)
	}
	if err := privsep.Send(c, privsep.Reply{Error: shown}); err != nil {
		l.Log.Printf("answering: %v", err)
	}
}

// signals is how many there are, the first being 1 (signal(7)).
const signals = 64

// kill sends a signal to everything in a session's scope.
func (l *Launcher) kill(ctx context.Context, c *net.UnixConn, k privsep.Kill) error {
	sig := syscall.Signal(k.Signal)
	if k.Signal == 0 {
		sig = syscall.SIGKILL
	}
	if sig < 1 || sig > signals {
		return privsep.Errorf("malformed", "there is no signal %d", k.Signal)
	}
	return l.control(ctx, c, fmt.Sprintf("sent signal %d to", sig), k.Name, func(systemd *scope.Systemd, unit string) error {
		return systemd.Kill(unit, sig)
	})
}

// control does something to a session's scope.
func (l *Launcher) control(ctx context.Context, c *net.UnixConn, done, unit string, do func(*scope.Systemd, string) error) error {
	if !scope.IsName(unit) {
		return privsep.Errorf("malformed", "not the scope of a session")
	}
	systemd, err := scope.Connect(ctx)
	if err != nil {
		return err
	}
	defer systemd.Close()
	if err := systemd.Check(unit); errors.Is(err, scope.ErrNotOurs) {
		return privsep.Errorf("malformed", "not the scope of a session")
	} else if err != nil {
		return err
	}
	if err := do(systemd, unit); err != nil {
		return err
	}
	l.Log.Tell(journal.Control, about(unit), "%s %s", done, unit)
	return privsep.Send(c, privsep.Reply{})
}

// about is what an entry of the journal about a scope is looked up by.
func about(unit string) journal.About {
	profile, id, _ := scope.Parse(unit)
	return journal.About{Session: id, Profile: profile}
}

// reconcile ends the frozen sessions that nobody holds.
func (l *Launcher) reconcile(ctx context.Context, c *net.UnixConn, r privsep.Reconcile) error {
	systemd, err := scope.Connect(ctx)
	if err != nil {
		return err
	}
	defer systemd.Close()
	frozen, err := systemd.Frozen()
	if err != nil {
		return err
	}
	for _, unit := range frozen {
		if slices.Contains(r.Keep, unit) {
			continue
		}
		if err := systemd.Kill(unit, syscall.SIGKILL); err != nil {
			return err
		}
		l.Log.Tell(journal.Orphan, about(unit), "killed %s, which was frozen and nobody's", unit)
	}
	return privsep.Send(c, privsep.Reply{})
}

// reapStages waits for the stages that this launcher started, which report their
// sessions' ends elsewhere. It returns a channel that closes when it has ended.
func (l *Launcher) reapStages(ctx context.Context) <-chan struct{} {
	died, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(died, syscall.SIGCHLD)
	go func() {
		defer close(ended)
		defer signal.Stop(died)
		for {
			select {
			case <-ctx.Done():
				return
			case <-died:
			}
			for {
				pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
				if err == syscall.EINTR {
					continue
				}
				if pid <= 0 {
					break
				}
			}
		}
	}()
	return ended
}
