package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/tape"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// open puts the client into the session that it asks for, a new one or an old; or
// makes one in which nobody is.
func (c *client) open(ctx context.Context, req wire.OpenRequest) error {
	fds := c.fds.take()
	defer c.fds.drop(fds)
	defer c.fds.close() // from here on none is of use
	req.Name = ref(req.Name)
	if err := errors.Join(req.Check(), checkName(req.Name), checkTime(req.Time)); err != nil {
		return refusal("malformed", "%v", err)
	}
	if len(fds) != len(req.Dirs) {
		return refusal("protocol", "of %d directories of yours the bridge got %d: they come through its own socket only, not through one that is forwarded "+
			"(ssh -L, socat). Log in where the bridge runs, or leave them out: --no-workspace", len(req.Dirs), len(fds))
	}
	c.most, c.size = auth.Admin, req.Size
	if req.ReadOnly {
		c.most = auth.ReadOnly
	}
	if c.wants = req.Attach; req.Attach != "" {
		l, role, err := c.b.resolve(c.who, req.Attach)
		if ending := c.b.ending(req); ending != nil {
			l, role, err = ending, ending.role(c), nil
		}
		if err != nil {
			return err
		}
		if l.Poisonous() {
			return refusal("poisonous", "the output of session %s cannot be shown: aaau kill %s, or wait for its end", l.ID, l.ID)
		}
		if _, is := l.Frozen()[record]; is && !l.wasHere(req) {
			return refusal(record, "session %s cannot be recorded, and nobody joins it until it can: see journalctl -u aaau", l.ID)
		}
		if !l.wasHere(req) {
			if err := c.b.controls.wait(ctx, c.who.UID); err != nil {
				return err
			}
		}
		cursors, err := c.cursorsOf(l, role, req)
		if err != nil {
			return refusal("no-session", "session %s has ended", l.ID)
		}
		c.enter(l, role, cursors, req)
		return nil
	}
	if req.Profile == "" {
		req.Profile = config.DefaultProfile
	}
	role, err := c.b.mayStart(c.who, req.Profile)
	if err != nil {
		return err
	}
	l, cursors, err := c.b.launch(ctx, c, req, fds, c.hold(req, role))
	if err != nil {
		return err
	}
	if gone, err := c.hungUp(); gone || err != nil {
		closeAll(cursors)
		c.b.running.Go(func() { c.b.end(l.Session) }) // nobody knows its id
		return errors.Join(errors.New("the client went away while its session started"), err)
	}
	if req.Detached {
		closeAll(cursors)
		c.out.send(item{frame: c.enc.Opened(c.b.reply(l, role, c.id, 0))})
		return nil
	}
	c.enter(l, role, cursors, req)
	return nil
}

// cursorsOf are the client's in a session that it joins: where it had come to, if it
// was there in another bridge's time; else from the oldest output on.
func (c *client) cursorsOf(l *live, role auth.Role, req wire.OpenRequest) ([]*tape.Cursor, error) {
	if cursors, hold := l.back(c, req.Resume); cursors != nil {
		for i, from := range []int64{req.From, req.FromErrors}[:len(cursors)] {
			cursors[i].Move(from)
			cursors[i].SetHold(hold)
		}
		return cursors, nil
	}
	from, fromErrors := int64(0), int64(0)
	switch {
	case req.Back:
		from, fromErrors = req.From, req.FromErrors
	case c.version == 1:
		from = l.Bytes() - history1
	}
	return l.read(from, fromErrors, c.hold(req, role))
}

// hold is how long the program waits for the client's reading. For who may type it
// does while they read; for who only watches never; and what a new session is piped
// into gets all of it, as from any pipe.
func (c *client) hold(req wire.OpenRequest, role auth.Role) tape.Hold {
	switch {
	case req.Piped && !req.Detached && req.Attach == "":
		return tape.Always
	case min(role, c.most) >= auth.Interactive:
		return tape.WhileReading
	default:
		return tape.Never
	}
}

// enter makes the client one of a session's people. The cursors are the client's
// from here on.
func (c *client) enter(l *live, role auth.Role, cursors []*tape.Cursor, req wire.OpenRequest) {
	resumes := req.Attach != "" && req.Back
	at := &seat{session: l, patient: cursors[0].Hold() == tape.Always, drives: &c.drives}
	if req.Screen && !l.Pipes && !at.patient {
		c.shown = &display{watch: l.watch, history: max(0, req.History), from: -1}
		c.shown.hears = c.features&wire.Words != 0
		c.shown.fits.Store(true) // for all that is known
		at.shown = c.shown
	}
	if c.version == 1 {
		at.atLeast = time.Now().Add(shortest1)
	}
	for i, cursor := range cursors {
		s := &stream{kind: []wire.Type{wire.Output, wire.Errors}[i], cursor: cursor, plain: at.patient}
		if resumes {
			s.aligned = true
		} else if req.Attach != "" {
			s.replay = cursor.Head()
		}
		at.streams = append(at.streams, s)
	}
	c.role.Store(int32(min(role, c.most)))
	c.in, c.cursors = l, cursors
	c.place = l.Place(req.Resume, cursors[0].Hold())
	reply := c.b.reply(l, c.allowed(), c.id, cursors[0].Pos())
	if c.place != nil {
		reply.Known = true
		reply.Typed, reply.Unknown = c.place.Typed()
	}
	switch {
	case c.shown == nil:
	case req.Attach != "" && !resumes:
		c.shown.anew = true
	case resumes && (req.From < 0 || cursors[0].Pos() > req.From):
		c.shown.skip(req.From)
		c.shown.missed = true
		reply.Offset = req.From // what is missing is told when the screen is shown
	case resumes:
		c.shown.owed = cursors[0].Head() - req.From
	}
	if len(cursors) > 1 {
		reply.OffsetErrors = cursors[1].Pos()
	}
	c.unfocused = resumes && l.toldFocusOut()
	l.join(c)
	c.out.send(item{frame: c.enc.Opened(reply), seat: at})
	c.seat.take(c.out) // events come after it
	c.b.tellAttached(c)
	if resumes {
		c.out.offerItem(item{words: cameBack(req, reply)})
		c.out.offerItem(item{words: skippedBefore(req)})
	} else { // a client that comes back knows
		for _, why := range l.Frozen() {
			c.out.offerItem(item{frame: c.enc.News(l.event(wire.EventFreeze, why)), words: why})
		}
	}
	c.b.review(c) // what it may could have changed before it was one of the people
}

func closeAll(cursors []*tape.Cursor) {
	for _, c := range cursors {
		c.Close()
	}
}

// history1 is how much of the output so far a client of version 1 gets, in bytes.
const history1 = 100_000

// hungUp says whether the client has closed its end. In version 1 it may have shut it
// for sending, to end its line.
func (c *client) hungUp() (gone bool, err error) {
	if c.version == 1 {
		return c.is(peer.HungUp)
	}
	return c.is(peer.Shut)
}

// is says whether the connection is so.
func (c *client) is(how func(fd int) (bool, error)) (yes bool, err error) {
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return false, err
	}
	err2 := raw.Control(func(fd uintptr) { yes, err = how(int(fd)) })
	return yes, errors.Join(err, err2)
}

// checkName holds a session's name to what can be typed and shown.
func checkName(name string) error {
	if name == "" || isName(name) {
		return nil
	}
	return fmt.Errorf("%s is no name for a session: up to 40 letters and digits of any script and . _ - , beginning with a letter or digit", argv.Quote(name, 40))
}
