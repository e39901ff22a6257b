package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/tape"
	"github.com/AgentaaU/AaaU/pkg/vtseq"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

const (
	// handshake is how long a client may take until its first request is there.
	handshake = 10 * time.Second
	// packing is how long it may take between an answer and its next request: it
	// looks through the person's directories meanwhile.
	packing = 2 * time.Minute
	// shortest1 is how long a session seems to last to a client of version 1, which
	// does not bear less.
	shortest1 = 300 * time.Millisecond
)

// client is one connection. serve runs on a goroutine of its own, and receives; a
// second one, the sender, writes.
//
//	             Ask                    Ask, Input, Resize …
//	           ┌─────┐                  ┌─────┐
//	hello ────▶│ out │──── Open ───────▶│ in  │──── Detach, the end ────▶
//	           └─────┘                  └─────┘
type client struct {
	b       *Bridge
	conn    *net.UnixConn
	id      uint64
	since   time.Time
	who     peer.Peer
	user    string  // who's name
	login   *uint32 // as who they came to the machine; nil: not known
	version int
	enc     wire.Encoder
	out     *sender
	fds     *fdReader

	features wire.Features // of the client's side

	waits   atomic.Int32   // requests that are answered later
	backs   sync.WaitGroup // those that look back
	listens atomic.Bool    // it asked for events

	// In a session:
	in      *live // set once
	cursors []*tape.Cursor
	place   *session.Place
	drives  atomic.Bool  // it is the one that drives
	shown   *display     // how it is shown the screen; nil: it is not
	seat    seating      // whether it has been told
	drove   bool         // it drove in another bridge's time; set before it joins
	wants   string       // the session that it asked to be in, as it called it
	most    auth.Role    // what it wants to be there at most
	role    atomic.Int32 // an auth.Role: what it is, at most most
	size    wire.Size    // guarded by in.mu

	unfocused bool      // its terminal said so; guarded by in.mu
	inBand    wire.Size // what its terminal said of its size itself; guarded by in.mu

	typing sync.Mutex // held while input is taken; guards what follows
	input  vtseq.Input
	held   *time.Timer // has what input holds be typed
	left   bool        // nothing is typed any more
}

// allowed is what the client may in its session.
func (c *client) allowed() auth.Role { return auth.Role(c.role.Load()) }

func (c *client) may(a auth.Action) bool {
	return c.allowed().May(a, c.who.UID == c.in.Owner.UID)
}

// token is the client's own secret, by which its place is found; 0 if it has none.
func (c *client) token() uint64 {
	if c.place == nil {
		return 0
	}
	return c.place.Token()
}

// frames is what a client of either version sends.
type frames interface {
	Next() (wire.Type, []byte, error)
}

// serve does all for one client. The caller closes the connection.
func (c *client) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		c.backs.Wait()
	}()
	c.fds = &fdReader{b: c.b, uid: c.who.UID, conn: c.conn}
	defer c.fds.close()
	c.conn.SetDeadline(time.Now().Add(handshake))
	reader := wire.NewReader(c.fds)
	admitted := c.b.policy().Admit(c.who)
	if admitted != nil {
		c.fds.close() // it may send none
	}
	opening, err := reader.Opening()
	if errors.Is(err, io.EOF) {
		return // it connected and went: nothing was asked, nothing refused
	}
	c.features = opening.Features
	var from frames = reader
	if c.version = opening.Version; c.version == 1 {
		c.enc, from = wire.NewEncoder1(opening.Request), reader.Version1()
		c.out = newSender(c.conn, c.enc, nil)
	} else {
		c.enc = wire.Encoder2{}
		c.out = newSender(c.conn, c.enc, wire.Hello())
	}
	c.conn.SetWriteDeadline(time.Time{})
	go c.out.run()
	if admitted != nil {
		err = admitted
	}
	if err == nil && c.version == 1 {
		err = c.open(ctx, opening.Request)
		c.conn.SetReadDeadline(time.Time{}) // who watches sends no frame
	}
	if err == nil {
		err = c.receive(ctx, from)
	}
	if c.in == nil {
		c.bye(err)
		return
	}
	if c.version == 1 && errors.Is(err, io.EOF) {
		c.watch1()
	}
	c.leave(err)
}

// identify learns who is there.
func (c *client) identify() error {
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return err
	}
	err2 := raw.Control(func(fd uintptr) {
		if c.who, err = peer.Of(int(fd)); err != nil {
			return
		}
		if uid, ok := peer.Login(int(fd), c.who); ok {
			c.login = &uid
		}
	})
	c.user = name(c.who.UID)
	return errors.Join(err, err2)
}

// receive takes the client's frames until it leaves. Nil: it said so.
func (c *client) receive(ctx context.Context, from frames) error {
	for {
		t, payload, err := from.Next()
		if err != nil {
			return err
		}
		switch {
		case t == wire.Detach:
			return nil
		case t == wire.Ping && len(payload) <= wire.MaxPing:
			c.out.send(item{frame: c.enc.Pong(payload)})
		case t == wire.Ask:
			err = c.ask(ctx, payload)
		case t == wire.Open && c.in == nil:
			var req wire.OpenRequest
			if err = wire.Decode(payload, &req); err == nil {
				err = c.open(ctx, req)
			}
			if err == nil && c.in == nil {
				return nil // it is to go on with nobody
			}
		case c.in != nil && (t == wire.Input || t == wire.Resize || t == wire.EndInput):
			err = c.drive(t, payload)
		case t&wire.Optional == 0:
			err = fmt.Errorf("%w: a frame of type %#x, with %d bytes, now", wire.ErrProtocol, byte(t), len(payload))
		}
		if err != nil {
			return err
		}
		if c.in != nil || c.waits.Load() > 0 || c.listens.Load() {
			c.conn.SetReadDeadline(time.Time{})
		} else {
			c.conn.SetReadDeadline(time.Now().Add(packing))
		}
	}
}

// drive does what comes from a client's terminal.
func (c *client) drive(t wire.Type, payload []byte) error {
	if t == wire.Resize {
		var size wire.Size
		if err := wire.Decode(payload, &size); err != nil {
			return err
		}
		if size.Rows > 0 && size.Cols > 0 { // who watches has a size too
			c.in.resize(c, size)
		}
		return nil
	}
	var err error
	switch {
	case !c.may(auth.Type):
		c.refuse(wire.ErrorNote{Code: "denied", Message: "typing is not allowed to you here"})
	case t == wire.EndInput:
		if err = c.in.EndInput(c.stays); err == nil {
			c.b.keepEnded(c.in)
		}
	default:
		err = c.in.typed(c, payload)
	}
	return c.refused(err)
}

// refused tells the client why its input was not taken; an error is to end the client.
func (c *client) refused(err error) error {
	var note *wire.ErrorNote
	switch {
	case errors.Is(err, session.ErrGivenUp):
		return err
	case errors.As(err, &note):
		c.refuse(*note)
	case c.shown != nil && c.shown.hears: // else they wait in vain for what they typed
		for _, why := range c.in.Frozen() {
			c.out.offerItem(item{words: why})
		}
	}
	return nil // the session has ended, as the client is about to hear
}

// refuse tells somebody that what they typed was not.
func (c *client) refuse(note wire.ErrorNote) {
	note = c.note(&note)
	c.out.send(item{frame: c.enc.Refused(note), words: note.Message})
}

// stays says whether what the client has sent is still to be written to a program that
// does not read: not when it is out, nor when it has gone and nobody would miss it. As
// the client is not heard meanwhile, it gets a sign of life.
func (c *client) stays() bool {
	select {
	case <-c.out.done:
		return false
	default:
	}
	if c.in != nil && c.features&wire.Requests != 0 {
		c.out.alive(c.enc.Pong(nil))
	}
	if c.in == nil || c.patient() {
		gone, err := c.is(peer.HungUp)
		return !gone && err == nil
	}
	return true
}

// patient says whether the session's program waits for the client, and ends with it.
func (c *client) patient() bool { return c.cursors[0].Hold() == tape.Always }

// watch1 lets a client of version 1 go on watching that has ended its line, and its
// input, by shutting its side.
func (c *client) watch1() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if gone, err := c.hungUp(); gone || err != nil {
			return
		}
		select {
		case <-c.out.done:
			return
		case <-tick.C:
		}
	}
}

// leave ends the client's being in its session.
func (c *client) leave(err error) {
	if errors.Is(err, wire.ErrProtocol) {
		c.out.finish(c.enc.Error(c.note(err)))
		c.linger()
	}
	c.conn.Close() // which ends a write under way
	c.out.close()
	c.endTyping()
	c.in.leave(c)
	if errors.Is(c.out.err, errOvertaken) {
		err = c.out.err
	}
	closeAll(c.cursors)
	if c.b.stopping.Load() {
		return // and back in a moment, with the next bridge
	}
	c.b.settle(c.in, c.place)
	select {
	case <-c.in.Ended():
		return
	default:
	}
	c.b.tellDetached(c, err)
	if c.patient() && err != nil && c.allowed() != auth.None { // the rest of the pipe has gone
		c.b.running.Go(func() { c.b.endGently(c.in) })
	}
}

// bye ends a client that is in no session, with what it is refused.
func (c *client) bye(err error) {
	defer c.out.close()
	defer c.conn.Close()
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return // it went, or this bridge does
	}
	if err != nil {
		note := c.note(err)
		c.b.tellRefused(c, c.wants, note.Message)
		c.out.finish(c.enc.Error(note))
	} else {
		c.out.send(item{last: true})
	}
	c.linger()
}

// linger lets the client read what was sent last. What it has sent meanwhile would
// make the kernel drop that with the connection (unix(7), ECONNRESET).
func (c *client) linger() {
	c.conn.SetDeadline(time.Now().Add(handshake))
	select {
	case <-c.out.done:
	case <-time.After(handshake):
	}
	c.conn.SetDeadline(time.Now().Add(handshake)) // the sender has set its own
	_, _ = io.Copy(io.Discard, c.conn)            // until it goes
}

// note words an error for the client, in a message that can be shown and is not long:
// what comes from the launcher, or quotes what a client sent, may be anything.
func (c *client) note(err error) wire.ErrorNote {
	note := noteOf(err)
	note.Message = shown(note.Message, maxMessage)
	return note
}

// noteOf is note before its message is bounded.
func noteOf(err error) wire.ErrorNote {
	var (
		denied *auth.Denied
		ours   *wire.ErrorNote
		theirs *privsep.Error
	)
	switch {
	case errors.As(err, &denied):
		return wire.ErrorNote{Code: "denied", Message: err.Error()}
	case errors.As(err, &ours):
		return *ours
	case errors.As(err, &theirs):
		return wire.ErrorNote{Code: theirs.Code, Message: theirs.Message}
	case errors.Is(err, wire.ErrProtocol):
		return wire.ErrorNote{Code: "protocol", Message: err.Error()}
	default:
		return wire.ErrorNote{Code: "failed", Message: err.Error()}
	}
}
