// Package client is the client's side of AaaU: it knows the wire protocol, and
// nothing of terminals or of the daemon's side.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"
	"sync"
	"syscall"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// ErrLost is returned when the connection ended before the session did.
var ErrLost = errors.New("lost the bridge: the session's end is unknown (see journalctl -u aaau)")

// Conn is a connection that is in no session yet.
type Conn struct {
	conn    *net.UnixConn
	in      *wire.Reader
	greeted bool // both hellos were said
}

// Session is a session that this client is in.
type Session struct {
	wire.OpenReply
	conn *net.UnixConn
	in   *wire.Reader
	mu   sync.Mutex // guards writing whole frames to conn
}

// Dial connects to a bridge; Close or Open end the Conn. When ctx ends, so does the
// connection, unless it is in a session by then.
func Dial(ctx context.Context, socket string) (*Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, explain(socket, err)
	}
	return &Conn{conn: conn.(*net.UnixConn), in: wire.NewReader(conn)}, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Profile asks what there is to know of a profile; an empty name is the default's.
func (c *Conn) Profile(ctx context.Context, name string) (wire.ProfileReply, error) {
	var reply wire.ProfileReply
	err := c.ask(ctx, wire.Frame(wire.Ask, wire.AskRequest{Profile: name}), nil, wire.Profile, &reply)
	return reply, err
}

// Open starts the session that req asks for, with the directories that it names, or
// joins it. Errors are one line that says what to do; a refusal is a
// *wire.ErrorNote, after which the connection is over. The directories stay the
// caller's. The session has the connection from here on.
func (c *Conn) Open(ctx context.Context, req wire.OpenRequest, dirs ...*os.File) (*Session, error) {
	if err := req.Check(); err != nil {
		return nil, err
	}
	if payload, err := json.Marshal(req); err != nil || len(payload) > wire.MaxPayload {
		return nil, errors.Join(errors.New("the arguments, the environment and the paths to protect are too long together"), err)
	}
	s := &Session{conn: c.conn, in: c.in}
	if err := c.ask(ctx, wire.Frame(wire.Open, req), dirs, wire.Opened, &s.OpenReply); err != nil {
		return nil, err
	}
	return s, nil
}

// Open is Dial and Conn's Open.
func Open(ctx context.Context, socket string, req wire.OpenRequest) (*Session, error) {
	c, err := Dial(ctx, socket)
	if err != nil {
		return nil, err
	}
	s, err := c.Open(ctx, req)
	if err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

// ask sends one request and reads the answer, which must be of the wanted type.
func (c *Conn) ask(ctx context.Context, frame []byte, dirs []*os.File, want wire.Type, into any) (err error) {
	stop := context.AfterFunc(ctx, func() { c.conn.Close() })
	defer func() {
		if !stop() {
			err = ctx.Err()
		}
	}()
	if !c.greeted { // together, to save a round trip
		frame = append(wire.Hello(), frame...)
	}
	writeErr := c.send(frame, dirs) // a refusal may have overtaken it
	if !c.greeted {
		if err := c.in.Hello(); err != nil {
			return errors.Join(err, writeErr)
		}
		c.greeted = true
	}
	t, payload, err := c.in.Next()
	if err != nil {
		return fmt.Errorf("the bridge ended the connection: %w", errors.Join(err, writeErr))
	}
	switch t {
	case want:
		return wire.Decode(payload, into)
	case wire.Error:
		return errorNote(payload)
	default:
		return fmt.Errorf("%w: frame of type %#x instead of an answer", wire.ErrProtocol, byte(t))
	}
}

// send writes b, with descriptors beside its first byte.
func (c *Conn) send(b []byte, files []*os.File) error {
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		n, _, err := c.conn.WriteMsgUnix(b, syscall.UnixRights(fds...), nil)
		if err != nil {
			return err
		}
		b = b[n:]
	}
	_, err := c.conn.Write(b)
	return err
}

func errorNote(payload []byte) error {
	var note wire.ErrorNote
	if err := wire.Decode(payload, &note); err != nil {
		return err
	}
	return &note
}

// Copy writes the session's output to w until the session ends, and says how it
// did. What the bridge says beside it goes to notice, a line at a time: a
// wire.Refused of something that was asked, a wire.Notice or a wire.Lost.
func (s *Session) Copy(w io.Writer, notice func(wire.Type, string)) (wire.EndedNote, error) {
	var ended wire.EndedNote
	for {
		t, payload, err := s.in.Next()
		if err != nil {
			if errors.Is(err, wire.ErrProtocol) {
				return ended, err
			}
			return ended, ErrLost
		}
		switch t {
		case wire.Output:
			_, data, err := wire.ParseOutput(payload)
			if err != nil {
				return ended, err
			}
			if _, err := w.Write(data); err != nil {
				return ended, fmt.Errorf("writing the session's output: %w", err)
			}
		case wire.Ended:
			return ended, wire.Decode(payload, &ended)
		case wire.Error:
			return ended, errorNote(payload)
		case wire.Refused, wire.Notice:
			notice(t, errorNote(payload).Error())
		case wire.Lost:
			var lost wire.LostNote
			if err := wire.Decode(payload, &lost); err != nil {
				return ended, err
			}
			notice(t, fmt.Sprintf("%d bytes of output were too fast for this client", lost.To-lost.From))
		default:
			if t&wire.Optional == 0 {
				return ended, fmt.Errorf("%w: unknown frame of type %#x", wire.ErrProtocol, byte(t))
			}
		}
	}
}

// Write types p into the session.
func (s *Session) Write(p []byte) (int, error) {
	n := 0
	for len(p) > 0 {
		part := p[:min(len(p), wire.MaxPayload)]
		if err := s.frame(wire.Input, part); err != nil {
			return n, err
		}
		n, p = n+len(part), p[len(part):]
	}
	return n, nil
}

// Resize tells the session the size of this client's terminal.
func (s *Session) Resize(rows, cols uint16) error {
	return s.frame(wire.Resize, wire.Size{Rows: rows, Cols: cols})
}

// Kill ends the session by force, with every process in it.
func (s *Session) Kill() error { return s.frame(wire.Kill, struct{}{}) }

// Detach takes leave.
func (s *Session) Detach() error { return s.frame(wire.Detach, struct{}{}) }

// Close ends the connection.
func (s *Session) Close() error { return s.conn.Close() }

func (s *Session) frame(t wire.Type, v any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.conn.Write(wire.Frame(t, v))
	return err
}

// explain says why a socket cannot be connected to, and what to do.
func explain(socket string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no socket %s: is aaau.socket enabled? sudo systemctl enable --now aaau.socket", socket)
	case errors.Is(err, fs.ErrPermission):
		group, err := groupOf(socket)
		if err != nil {
			return err
		}
		name := "USER"
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
		return fmt.Errorf("you may not use %s: sudo usermod -aG %s %s, then newgrp %s (works at once)", socket, group, name, group)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody listens at %s: sudo systemctl restart aaau.socket, or start again what listened there", socket)
	case errors.Is(err, syscall.EINVAL):
		return fmt.Errorf("%.40s… is too long for a socket's name: choose a shorter one with -s", socket)
	default:
		return fmt.Errorf("connecting to %s: %w", socket, err)
	}
}

// groupOf names the group that may use a socket.
func groupOf(socket string) (string, error) {
	fi, err := os.Stat(socket)
	if err != nil {
		return "", fmt.Errorf("you may not use %s: %w", socket, err)
	}
	gid := fi.Sys().(*syscall.Stat_t).Gid
	if fi.Mode()&os.ModeSocket == 0 || fi.Mode()&0o020 == 0 || gid == 0 {
		return "", fmt.Errorf("%s is no socket of AaaU's: is -s right?", socket)
	}
	g, err := user.LookupGroupId(strconv.FormatUint(uint64(gid), 10))
	if err != nil {
		return "", fmt.Errorf("you may not use %s: it belongs to group %d, which has no name", socket, gid)
	}
	return g.Name, nil
}
