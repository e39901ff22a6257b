package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/tape"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// handshake is how long a client may take until its first request is there.
const handshake = 10 * time.Second

// client is one connection. serve runs on a goroutine of its own; within a
// session a second one, the sender, writes.
type client struct {
	b       *Bridge
	conn    *net.UnixConn
	who     peer.Peer
	role    auth.Role
	greeted bool // our hello is out
}

// serve does all for one client. The caller closes the connection.
func (c *client) serve(ctx context.Context) {
	in := &fdReader{conn: c.conn}
	frames := wire.NewReader(in)
	s, cursor, err := c.open(ctx, frames, in)
	in.close() // the session has its own
	if err != nil {
		c.refuse(err)
		return
	}
	defer cursor.Close()

	out := newSender(c.conn, cursor, s)
	out.patient = cursor.Hold() == tape.Always
	go out.run(c.greet(wire.Frame(wire.Opened, c.b.reply(s, c.role, cursor.Pos()))))
	c.b.mu.Lock()
	c.b.clients[c] = out
	c.b.mu.Unlock()
	c.b.tellAttached(s, c.who, c.role)
	for reason, why := range s.Frozen() {
		out.offer(wire.Frame(wire.Notice, wire.ErrorNote{Code: reason, Message: why}))
	}
	err = c.receive(ctx, frames, s, out)
	c.conn.Close() // which ends a write under way
	out.close()
	if errors.Is(out.err, errOvertaken) {
		err = out.err
	}
	select {
	case <-s.Ended():
		return
	default:
	}
	c.b.tellDetached(s, c.who, err)
	if out.patient && err != nil { // the rest of the pipe has gone
		c.b.running.Go(func() { c.b.end(s) })
	}
}

// packing is how long a client may take between an answer and its next request: it
// looks through the person's directories meanwhile.
const packing = 2 * time.Minute

// maxAsks is how many questions a client has before it must open something.
const maxAsks = 8

// open hears the client's hello and requests, and finds or starts what it
// asks for. The cursor is the caller's to close.
func (c *client) open(ctx context.Context, in *wire.Reader, fds *fdReader) (*session.Session, *tape.Cursor, error) {
	c.conn.SetDeadline(time.Now().Add(handshake))
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	if err2 := raw.Control(func(fd uintptr) { c.who, err = peer.Of(int(fd)) }); err2 != nil || err != nil {
		return nil, nil, errors.Join(err, err2)
	}
	if err := c.b.policy().Admit(c.who); err != nil {
		return nil, nil, err
	}
	if err := in.Hello(); err != nil {
		return nil, nil, err
	}
	var req wire.OpenRequest
	for asks := 0; ; asks++ {
		t, payload, err := in.Next()
		if err != nil {
			return nil, nil, err
		}
		if t == wire.Ask && asks < maxAsks {
			if err := c.answer(payload); err != nil {
				return nil, nil, err
			}
			c.conn.SetDeadline(time.Now().Add(packing))
			continue
		}
		if t != wire.Open {
			return nil, nil, fmt.Errorf("%w: a frame of type %#x, not Open", wire.ErrProtocol, byte(t))
		}
		if err := wire.Decode(payload, &req); err != nil {
			return nil, nil, err
		}
		break
	}
	if err := req.Check(); err != nil {
		return nil, nil, refusal("malformed", "%v", err)
	}
	if len(fds.fds) != len(req.Dirs) {
		return nil, nil, fmt.Errorf("%w: %d directories with %d descriptors", wire.ErrProtocol, len(req.Dirs), len(fds.fds))
	}
	if req.Profile == "" {
		req.Profile = config.DefaultProfile
	}
	c.conn.SetDeadline(time.Time{})

	var s *session.Session
	if req.Attach == "" {
		if c.role, err = c.b.mayStart(c.who, req.Profile); err != nil {
			return nil, nil, err
		}
	} else if s, c.role = c.b.findFor(c.who, req.Attach); s == nil {
		return nil, nil, refusal("no-session", "no session %.40q", req.Attach)
	}
	if req.ReadOnly {
		c.role = min(c.role, auth.ReadOnly)
	}
	// Who may type is waited for while they read; who only watches never is; and
	// what a session is piped into gets all of it, as from any pipe.
	hold := tape.Never
	if c.role >= auth.Interactive {
		hold = tape.WhileReading
	}
	if req.Attach == "" {
		if req.Piped {
			hold = tape.Always
		}
		s, cursor, err := c.b.launch(ctx, c.conn, c.who, req, fds.fds, hold)
		if err != nil {
			return nil, nil, err
		}
		if gone, err := c.hungUp(); gone || err != nil {
			c.b.running.Go(func() { c.b.end(s) }) // nobody knows its id
			cursor.Close()
			return nil, nil, errors.Join(errors.New("the client went away while its session started"), err)
		}
		return s, cursor, nil
	}
	if c.role.May(auth.Resize, c.owns(s)) && req.Rows > 0 && req.Cols > 0 {
		if err := s.Resize(req.Rows, req.Cols); err != nil {
			return nil, nil, refusal("no-session", "session %s has ended", s.ID)
		}
	}
	cursor, err := s.Read(0, hold)
	if err != nil {
		return nil, nil, refusal("no-session", "session %s has ended", s.ID)
	}
	return s, cursor, nil
}

// owns says whether a session is the client's own.
func (c *client) owns(s *session.Session) bool { return c.who.UID == s.Owner.UID }

// answer tells what a client has to know of a profile.
func (c *client) answer(payload []byte) error {
	var ask wire.AskRequest
	if err := wire.Decode(payload, &ask); err != nil {
		return err
	}
	if ask.Profile == "" {
		ask.Profile = config.DefaultProfile
	}
	p, err := c.b.Config.Profile(ask.Profile)
	if errors.Is(err, config.ErrNoProfile) {
		names, _ := c.b.Config.Profiles() // for the message only
		return refusal("unknown-profile", "unknown alias %.40q: there is %s; to run a program, aaau -- CMD ARGS",
			ask.Profile, strings.Join(names, ", "))
	}
	if err != nil {
		return err
	}
	_, err = c.conn.Write(c.greet(wire.Frame(wire.Profile, wire.ProfileReply{
		Name: p.Name, Workspace: p.Workspace, Tools: p.Tools, Env: p.Env,
		Watch: p.Watch, Install: p.Install != "", Login: p.Login != "",
	})))
	return err
}

// greet puts our hello before the first frame.
func (c *client) greet(frame []byte) []byte {
	if c.greeted {
		return frame
	}
	c.greeted = true
	return append(wire.Hello(), frame...)
}

// hungUp says whether the client has closed its end.
func (c *client) hungUp() (gone bool, err error) {
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return false, err
	}
	err2 := raw.Control(func(fd uintptr) { gone, err = peer.HungUp(int(fd)) })
	return gone, errors.Join(err, err2)
}

// refuse journals why a client is turned away, and tells it.
func (c *client) refuse(err error) {
	if errors.Is(err, io.EOF) {
		return // it connected and went: nothing was asked, nothing refused
	}
	note := &wire.ErrorNote{Code: "failed", Message: err.Error()}
	var (
		denied *auth.Denied
		shown  *wire.ErrorNote
		theirs *privsep.Error
	)
	switch {
	case errors.As(err, &denied):
		note.Code = "denied"
	case errors.As(err, &shown):
		note = shown
	case errors.As(err, &theirs):
		note = &wire.ErrorNote{Code: theirs.Code, Message: theirs.Message}
	case errors.Is(err, wire.ErrProtocol):
		note.Code = "protocol"
	}
	c.b.tellRefused(c.who, "", note.Message)
	c.conn.SetDeadline(time.Now().Add(handshake))
	if _, err := c.conn.Write(c.greet(wire.Frame(wire.Error, note))); err != nil {
		return // it went: there is nobody to tell
	}
	// What it has sent meanwhile would make the kernel drop our answer with the
	// connection (unix(7), ECONNRESET): let it read and go first.
	c.conn.CloseWrite()
	io.Copy(io.Discard, c.conn)
}

// receive takes the client's frames until it leaves. Nil: it said so.
func (c *client) receive(ctx context.Context, in *wire.Reader, s *session.Session, out *sender) error {
	for {
		t, payload, err := in.Next()
		if err != nil {
			return err
		}
		switch t {
		case wire.Input:
			if !c.role.May(auth.Type, c.owns(s)) {
				out.send(refused("typing"))
			} else if err := s.Write(payload); err != nil {
				continue // it has ended, and the client is about to hear of it
			}
		case wire.Resize:
			var size wire.Size
			if err := wire.Decode(payload, &size); err != nil {
				return err
			}
			if c.role.May(auth.Resize, c.owns(s)) && size.Rows > 0 && size.Cols > 0 {
				if err := s.Resize(size.Rows, size.Cols); err != nil {
					return fmt.Errorf("resizing: %w", err)
				}
			}
		case wire.Kill:
			if !c.role.May(auth.Kill, c.owns(s)) {
				c.b.tellRefused(c.who, s.ID, "kill")
				out.send(refused("killing another's session"))
				continue
			}
			c.b.tellKill(s, c.who)
			if err := c.b.kill(ctx, s, unix.SIGKILL); err != nil {
				c.b.Log.Printf("session %s: %v", s.ID, err)
				out.send(wire.Frame(wire.Refused, wire.ErrorNote{Code: "failed", Message: err.Error()}))
			}
		case wire.Detach:
			return nil
		default:
			if t&wire.Optional == 0 {
				return fmt.Errorf("%w: unknown frame of type %#x", wire.ErrProtocol, byte(t))
			}
		}
	}
}

// refused tells a client that one request was not for its role.
func refused(what string) []byte {
	return wire.Frame(wire.Refused, wire.ErrorNote{Code: "denied", Message: what + " is not allowed to you here"})
}
