package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/tape"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// launchTimeout bounds all that the launcher does for one request.
const launchTimeout = 30 * time.Second

// launch asks the launcher for a session for the client's person, and returns when
// its program runs, or ran: a short one may have ended. The cursors were there
// first; they are the caller's to close, as dirs stay.
func (b *Bridge) launch(ctx context.Context, c *client, req wire.OpenRequest, dirs []int, hold tape.Hold) (_ *live, _ []*tape.Cursor, err error) {
	if err := b.mayRecord(); err != nil {
		return nil, nil, err
	}
	owner, memory := c.who, b.memory(req)
	if err := b.reserve(owner.UID, req.Name, memory); err != nil {
		return nil, nil, err
	}
	entered := false
	defer func() {
		if !entered {
			b.release(owner.UID)
			b.resized(-memory)
		}
	}()
	l, err := b.dialLauncher(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	err2 := raw.Control(func(fd uintptr) {
		err = privsep.Send(l, privsep.Request{Start: &privsep.Start{Session: req.Session, User: b.AgentUser}},
			append([]int{int(fd)}, dirs...)...)
	})
	if err := errors.Join(err, err2); err != nil {
		if errors.Is(err, privsep.ErrMalformed) {
			return nil, nil, refusal("malformed", "the arguments, the environment and the paths to protect are too long together: %v", err)
		}
		return nil, nil, fmt.Errorf("asking the launcher: %w", err)
	}
	var reply privsep.Reply
	fds, err := privsep.Receive(l, &reply, privsep.MaxFDs)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("hearing the launcher: %w", err)
	case reply.Error != nil:
		privsep.Close(fds...)
		return nil, nil, reply.Error
	case reply.Session == nil || len(fds) != reply.Session.FDs():
		privsep.Close(fds...)
		return nil, nil, errors.New("hearing the launcher: not a session")
	}
	info := session.Info{
		Session: *reply.Session, Profile: req.Profile, Owner: owner, Began: time.Now(),
		Private: len(reply.Session.Dirs)+len(reply.Session.Secrets) > 0,
	}
	setTime(&info, req)
	s, err := session.New(info, fds)
	if err != nil {
		return nil, nil, err
	}
	live, err := b.enter(s, req.Name, c)
	if err != nil {
		return nil, nil, refusal(record, "the record cannot be written, so no session starts: %v", err)
	}
	live.mu.Lock()
	live.expected = !req.Detached
	live.mu.Unlock()
	var ending <-chan struct{}
	defer func() {
		if ending != nil { // its place is free, and no list has it, when its person hears that it failed
			select {
			case <-ending:
			case <-ctx.Done():
			case <-time.After(grace):
			}
		}
	}()
	defer close(live.begun) // for which its end waits
	entered = true
	b.resized(s.Memory() - memory) // the profile may have been changed meanwhile
	cursors, err := live.read(0, 0, hold)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			closeAll(cursors)
		}
	}()
	if err := live.rec.begin(); err != nil {
		b.running.Go(func() { b.end(s) })
		return nil, nil, refusal(record, "the record cannot be written, so no session starts: %v", err)
	}
	if err := b.keep(s); err != nil {
		b.running.Go(func() { b.end(s) })
		return nil, nil, err
	}
	if err := privsep.Send(l, privsep.Go{Go: true}); err != nil {
		b.running.Go(func() { b.end(s) })
		return nil, nil, fmt.Errorf("releasing the session: %w", err)
	}
	timer := time.AfterFunc(launchTimeout, func() { b.end(s) })
	defer timer.Stop()
	if err := s.Started(); err != nil {
		b.running.Go(func() { b.end(s) })
		ending = s.Ended()
		return nil, nil, err
	}
	b.tellStarted(live, c)
	return live, cursors, nil
}

// grace is how long a session may take to end by itself.
const grace = 5 * time.Second

// end ends a session that nobody wants any more, and returns when it has ended. Its
// stage ends when nobody holds it, the store included, but for one that is frozen.
func (b *Bridge) end(s *session.Session) {
	b.drop(s)
	s.Abandon()
	b.insist(s)
}

// insist returns when a session has ended that is to do so by itself: else, and at once
// if it is frozen, by force.
func (b *Bridge) insist(s *session.Session) {
	wait := grace
	if len(s.Frozen()) > 0 {
		wait = 0
	}
	for {
		select {
		case <-s.Gone():
			<-s.Ended()
			return
		case <-time.After(wait):
		}
		ctx, cancel := context.WithTimeout(context.Background(), launchTimeout)
		if err := b.kill(ctx, s, syscall.SIGKILL); err != nil {
			b.Log.Tell(journal.Trouble, journal.About{Session: s.ID, Profile: s.Profile}, "session %s: %v", s.ID, err)
		}
		cancel()
		wait = max(grace, min(2*wait, time.Minute)) // the launcher may not be there
	}
}

// kill asks the launcher to send a signal to everything in a session's scope. That it is
// SIGKILL is noted first: this bridge may die before the session does.
func (b *Bridge) kill(ctx context.Context, s *session.Session, sig syscall.Signal) error {
	undo := func() {}
	if sig == syscall.SIGKILL {
		undo = s.Killing()
	}
	_, err := b.ask(ctx, privsep.Request{Kill: &privsep.Kill{Name: s.Scope, Signal: int(sig)}})
	if err != nil && !errors.Is(err, errUnheard) {
		undo()
	}
	return err
}

// errUnheard is wrapped when the launcher was asked for something and its answer did not come:
// it may have done it.
var errUnheard = errors.New("hearing the launcher")

// put asks the launcher to copy a file, a memfd with all seals, into a session's /tmp,
// and says what it is called there: name, or like it. The file stays the caller's.
func (b *Bridge) put(ctx context.Context, s *session.Session, name string, file int) (path string, err error) {
	reply, err := b.askIn(ctx, s, privsep.Request{Put: &privsep.Put{Name: name, UID: s.UID, GID: s.GID}}, file)
	return reply.Path, err
}

// askIn is ask for something in a session's mount namespace, which goes before fds. Once
// there is none it is session.ErrEnded.
func (b *Bridge) askIn(ctx context.Context, s *session.Session, req privsep.Request, fds ...int) (reply privsep.Reply, err error) {
	mounts, err := s.Mounts.SyscallConn()
	if err != nil {
		return reply, session.ErrEnded
	}
	err2 := mounts.Control(func(ns uintptr) { reply, err = b.ask(ctx, req, append([]int{int(ns)}, fds...)...) })
	if err2 != nil { // it is closed
		return reply, session.ErrEnded
	}
	return reply, err
}

// ask asks the launcher for something that is not a session.
func (b *Bridge) ask(ctx context.Context, req privsep.Request, fds ...int) (privsep.Reply, error) {
	var reply privsep.Reply
	l, err := b.dialLauncher(ctx)
	if err != nil {
		return reply, err
	}
	defer l.Close()
	if err := privsep.Send(l, req, fds...); err != nil {
		return reply, fmt.Errorf("asking the launcher: %w", err)
	}
	if _, err := privsep.Receive(l, &reply, 0); err != nil {
		return reply, fmt.Errorf("%w: %w", errUnheard, err)
	}
	if reply.Error != nil {
		return reply, reply.Error
	}
	return reply, nil
}

func (b *Bridge) dialLauncher(ctx context.Context) (*net.UnixConn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unixpacket", b.LauncherSocket)
	if err != nil {
		b.Log.Tell(journal.NoLauncher, journal.About{}, "the launcher cannot be reached: %v", err)
		return nil, refusal("launcher-down", "the launcher is not running: sudo systemctl enable --now aaau.socket starts its socket too")
	}
	late, ok := ctx.Deadline()
	if soon := time.Now().Add(launchTimeout); !ok || late.After(soon) {
		late = soon
	}
	c.SetDeadline(late)
	return c.(*net.UnixConn), nil
}

// refusal is an error whose words are for the client.
func refusal(code, format string, args ...any) error {
	return &wire.ErrorNote{Code: code, Message: fmt.Sprintf(format, args...)}
}
