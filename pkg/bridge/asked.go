package bridge

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/suggest"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// tellProfile tells what a client has to know of a profile.
func (c *client) tellProfile(_ context.Context, req wire.Request) (wire.Reply, error) {
	if req.Profile == "" {
		req.Profile = config.DefaultProfile
	}
	p, err := c.b.Config.Profile(req.Profile)
	if errors.Is(err, config.ErrNoProfile) {
		names, _ := c.b.Config.Profiles() // for the message only
		if near := suggest.Nearest(req.Profile, names); near != "" {
			return wire.Reply{}, refusal("unknown-profile", "unknown alias %s: did you mean %s? To run a program: aaau -- CMD ARGS", argv.Quote(req.Profile, 40), near)
		}
		return wire.Reply{}, refusal("unknown-profile", "unknown alias %s: there is %s; to run a program, aaau -- CMD ARGS",
			argv.Quote(req.Profile, 40), strings.Join(names, ", "))
	}
	if err != nil {
		return wire.Reply{}, refusal("broken-profile", "profile %s has a mistake, and starts nothing until your administrator has mended it: %s",
			req.Profile, shown(err.Error(), maxMessage/2))
	}
	return wire.Reply{Profile: &wire.ProfileReply{
		Name: p.Name, Workspace: p.Workspace, Tools: p.Tools, WorkspaceTools: !p.NoTools, Env: p.Env,
		Watch: p.Watch, Install: p.Install != "", Login: p.Login != "", Tape: p.Tape,
	}}, nil
}

// page is how many sessions a list tells at a time. All that can be long of one is
// bounded, and so their frame is.
const page = 64

func (c *client) list(_ context.Context, req wire.Request) (reply wire.Reply, err error) {
	type listed struct {
		id   string
		info func() wire.SessionInfo
	}
	var all []listed
	for _, s := range c.b.visible(c.who) {
		all = append(all, listed{s.ID, func() wire.SessionInfo { return s.info(s.as) }})
	}
	for _, s := range c.b.strandedOf(c.who) {
		all = append(all, listed{s.info.ID, func() wire.SessionInfo { return s.info }})
	}
	slices.SortFunc(all, func(x, y listed) int { return strings.Compare(x.id, y.id) })
	reply.Sessions = []wire.SessionInfo{}
	for _, s := range all {
		if s.id <= req.After {
			continue
		}
		if len(reply.Sessions) == page {
			reply.More = true
			break
		}
		reply.Sessions = append(reply.Sessions, s.info())
	}
	return reply, nil
}

func (c *client) subscribe(context.Context, wire.Request) (wire.Reply, error) {
	c.listens.Store(true)
	return wire.Reply{}, nil
}

func (c *client) status(_ context.Context, _ wire.Request, l *live) (wire.Reply, error) {
	return wire.Reply{Sessions: []wire.SessionInfo{l.status(l.role(c), c.b.policy())}}, nil
}

func (p past) status() wire.Reply { return wire.Reply{Sessions: []wire.SessionInfo{p.Info}} }

func (p past) ended() wire.Reply { return wire.Reply{Ended: p.Info.Ended} }

// maxWaits is how many requests of a client may be waiting for an end.
const maxWaits = 64

func (c *client) wait(ctx context.Context, req wire.Request, l *live) (wire.Reply, error) {
	if c.waits.Add(1) > maxWaits {
		c.waits.Add(-1)
		return wire.Reply{}, refusal("too-many-waits", "this connection waits for %d sessions already", maxWaits)
	}
	c.b.running.Go(func() {
		defer c.waits.Add(-1)
		select {
		case <-l.Ended():
			note := l.endedNote()
			c.out.send(item{frame: c.enc.Answer(wire.Reply{Seq: req.Seq, Ended: &note})})
		case <-ctx.Done():
		}
	})
	return wire.Reply{}, errLater
}

// peekTime is how long a screen may take to be drawn.
const peekTime = 10 * time.Second

func (c *client) peek(ctx context.Context, _ wire.Request, l *live) (wire.Reply, error) {
	var screen wire.Screen
	if err := l.drawn(ctx, func(d *drawing) { screen = d.text() }); err != nil {
		return wire.Reply{}, err
	}
	return wire.Reply{Screen: &screen}, nil
}

// drawn calls do with the session's screen as it is now.
func (l *live) drawn(ctx context.Context, do func(*drawing)) error {
	ctx, cancel := context.WithTimeout(ctx, peekTime)
	defer cancel()
	err := l.watch.call(ctx.Done(), do)
	switch {
	case errors.Is(err, errGone):
		return refusal("busy", "the screen of session %s could not be drawn within %v: try again", l.ID, peekTime)
	case err != nil:
		return refusal(poisonous, "the output of session %s cannot be shown", l.ID)
	}
	return nil
}

// put brings a file into the session's /tmp, and pastes where it is, as terminals do
// with a file that is dropped on them.
func (c *client) put(ctx context.Context, req wire.Request, l *live) (wire.Reply, error) {
	fds := c.fds.take()
	defer c.fds.drop(fds)
	if len(fds) != 1 {
		return wire.Reply{}, refusal("malformed", "a file comes with one descriptor, before the connection is in a session")
	}
	if err := l.takesInput(); err != nil {
		return wire.Reply{}, err
	}
	path, err := c.b.put(ctx, l.Session, string(req.File), fds[0])
	if err != nil {
		return wire.Reply{}, err
	}
	c.b.tellPut(l, c, path)
	// The space keeps two apart that are put one after the other.
	if err := c.pastes(ctx, l, []byte(path+" ")); err != nil {
		return wire.Reply{}, err
	}
	return wire.Reply{Path: path}, nil
}

func (c *client) kill(ctx context.Context, req wire.Request, l *live) (wire.Reply, error) {
	signal := syscall.SIGKILL
	switch {
	case req.Signal != 0:
		signal = syscall.Signal(req.Signal)
	case req.Gently && len(l.Frozen()) == 0:
		c.b.tellKill(l, c, syscall.SIGTERM)
		c.b.running.Go(func() { c.b.endGently(l) })
		return wire.Reply{}, nil
	}
	if signal < 1 || signal > 64 {
		return wire.Reply{}, refusal("malformed", "there is no signal %d", req.Signal)
	}
	c.b.tellKill(l, c, signal)
	return wire.Reply{}, c.b.kill(ctx, l.Session, signal)
}

// byAdmin is the reason why people freeze sessions, beside those of the bridge's
// own.
const byAdmin = "admin"

// frozenBy begins the message of such a freeze, which is kept with it.
const frozenBy = "frozen by "

// freezer returns who froze a session, out of the message of byAdmin; empty if nobody did.
func freezer(message string) string {
	who, ok := strings.CutPrefix(message, frozenBy)
	if !ok {
		return ""
	}
	who, _, _ = strings.Cut(who, ";")
	return who
}

func (c *client) freeze(ctx context.Context, _ wire.Request, l *live) (wire.Reply, error) {
	e := by(l.event(wire.EventFreeze, frozenBy+name(c.who.UID)+"; to let it continue: aaau thaw "+l.ID), c)
	err := c.b.freeze(ctx, l, byAdmin, e)
	if err == nil {
		c.b.tellControl(l, c, "freeze")
	}
	return wire.Reply{}, err
}

func (c *client) thaw(ctx context.Context, _ wire.Request, l *live) (wire.Reply, error) {
	if _, is := l.Frozen()[byAdmin]; is {
		if err := c.b.thaw(ctx, l, byAdmin, by(l.event(wire.EventThaw, "thawed by "+name(c.who.UID)), c)); err != nil {
			return wire.Reply{}, err
		}
		c.b.tellControl(l, c, "thaw")
	}
	if _, is := l.Frozen()[budget]; is && l.role(c) == auth.Admin {
		if err := c.b.grant(ctx, l, by(l.event(wire.EventThaw, "granted as much output again by "+c.user), c)); err != nil {
			return wire.Reply{}, err
		}
		c.b.tellControl(l, c, "thaw")
	}
	for _, why := range l.Frozen() {
		return wire.Reply{}, refusal("still-frozen", "%s", why)
	}
	return wire.Reply{}, nil
}

// maxShares is with how many a session may be shared.
const maxShares = 256

func (c *client) share(_ context.Context, req wire.Request, l *live) (wire.Reply, error) {
	role := auth.Interactive
	if req.ReadOnly {
		role = auth.ReadOnly
	}
	if req.UID == nil {
		return wire.Reply{}, refusal("malformed", "whom to share with is missing")
	}
	if err := c.b.canUse(*req.UID, l.rights()); err != nil {
		return wire.Reply{}, err
	}
	l.mu.Lock()
	_, is := l.shared[*req.UID]
	full := !is && len(l.shared) >= maxShares
	if !full {
		if l.shared == nil {
			l.shared = map[uint32]auth.Role{}
		}
		l.shared[*req.UID] = role
	}
	err := l.save()
	l.mu.Unlock()
	if err != nil {
		return wire.Reply{}, err
	}
	if full {
		return wire.Reply{}, refusal("too-many-shares", "session %s is shared with %d people already", l.ID, maxShares)
	}
	c.b.tellShare(l, c, wire.EventShare, *req.UID, role)
	c.b.reviewAll(l)
	return wire.Reply{}, nil
}

func (c *client) unshare(_ context.Context, req wire.Request, l *live) (wire.Reply, error) {
	if req.UID == nil {
		return wire.Reply{}, refusal("malformed", "whom to unshare from is missing")
	}
	l.mu.Lock()
	role, was := l.shared[*req.UID]
	delete(l.shared, *req.UID)
	err := l.save()
	l.mu.Unlock()
	if err != nil {
		return wire.Reply{}, err
	}
	if !was {
		return wire.Reply{}, refusal("not-shared", "session %s is not shared with %s", l.ID, name(*req.UID))
	}
	c.b.tellShare(l, c, wire.EventUnshare, *req.UID, role)
	c.b.reviewAll(l)
	return wire.Reply{}, nil
}

// dismiss takes clients out of a session, which goes on: one's own, and for who may,
// anybody's.
func (c *client) dismiss(_ context.Context, req wire.Request, l *live) (reply wire.Reply, err error) {
	any := l.role(c).May(auth.Dismiss, c.who.UID == l.Owner.UID)
	l.mu.Lock()
	people := slices.Clone(l.people)
	l.mu.Unlock()
	for _, p := range people {
		switch {
		case p == c || req.Client != 0 && p.id != req.Client:
		case !any && p.who.UID != c.who.UID:
			if req.Client != 0 {
				return reply, refusal("denied", "you may not take client %d out of session %s: that is not allowed to you, as it is %s's", p.id, l.ID, name(p.who.UID))
			}
		default:
			l.reviewing.Lock()
			if p.allowed() != auth.None { // else it is out
				p.dismissed(wire.ErrorNote{Code: wire.CodeDismissed, Message: "detached by " + name(c.who.UID)})
				reply.Count++
			}
			l.reviewing.Unlock()
		}
	}
	if req.Client != 0 && reply.Count == 0 {
		return reply, refusal("no-client", "there is no client %d in session %s", req.Client, l.ID)
	}
	return reply, nil
}

// dismissed ends a client's being in its session, from outside, at once: what it still
// sends counts no more. l.reviewing is held.
func (c *client) dismissed(note wire.ErrorNote) {
	c.role.Store(int32(auth.None))
	c.out.finish(c.enc.Error(note))
	c.in.leave(c)
}
