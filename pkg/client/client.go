// Package client is the client's side of AaaU: it knows the wire protocol, and
// nothing of terminals or of the daemon's side.
//
// A Conn asks (List, Status, Peek, Kill …), any number of things one after the
// other; Open turns it into a Session, which is to be in one.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"syscall"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// ErrLost is returned when the connection ended before the session did.
var ErrLost = errors.New("lost the bridge: the session's end is unknown (see journalctl -u aaau)")

// ErrEnded is returned when the connection ended instead of an answer: to ask again,
// of the next bridge, may help.
var ErrEnded = errors.New("the bridge ended the connection")

// Conn is a connection that is in no session. Its methods are for one goroutine at
// a time.
type Conn struct {
	socket   string
	conn     *net.UnixConn
	in       *wire.Reader
	greeted  bool // both hellos were said
	features wire.Features
	seq      uint32
}

// Dial connects to a bridge; Close or Open end the Conn. When ctx ends, so does the
// connection, unless it is in a session by then.
func Dial(ctx context.Context, socket string) (*Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, explain(socket, err)
	}
	return &Conn{socket: socket, conn: conn.(*net.UnixConn), in: wire.NewClientReader(conn)}, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.conn.Close() }

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
	if req.Pipes {
		if err := c.needs(wire.Pipes, "pipes"); err != nil {
			return nil, err
		}
	}
	if req.Resume == 0 && !req.Detached {
		req.Resume = rand.Uint64() | 1
	}
	payload, err := c.exchange(ctx, wire.Frame(wire.Open, req), dirs, wire.Opened)
	if err != nil {
		return nil, err
	}
	s := newSession(c, req)
	if err := wire.Decode(payload, &s.OpenReply); err != nil {
		return nil, err
	}
	s.offset, s.offsetErrors = s.Offset, s.OffsetErrors
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

// needs fails if the bridge is known to lack a feature.
func (c *Conn) needs(f wire.Features, what string) error {
	if c.greeted && c.features&f == 0 {
		return fmt.Errorf("this bridge is older than the client, and has no %s: upgrade it, or restart it (sudo systemctl restart aaau)", what)
	}
	return nil
}

// exchange sends one frame and returns the payload of the answer, which must be of
// the wanted type. It is valid until the next exchange.
func (c *Conn) exchange(ctx context.Context, frame []byte, files []*os.File, want wire.Type) (payload []byte, err error) {
	return c.converse(ctx, frame, files, want, nil)
}

// converse is exchange, with the payloads of what comes in pieces before the answer.
func (c *Conn) converse(ctx context.Context, frame []byte, files []*os.File, want wire.Type, piece func([]byte) error) (payload []byte, err error) {
	stop := context.AfterFunc(ctx, func() { c.conn.Close() })
	defer func() {
		if !stop() {
			err = ctx.Err()
		}
	}()
	if !c.greeted { // together, to save a round trip
		frame = append(wire.Hello(), frame...)
	}
	writeErr := c.send(frame, files) // a refusal may have overtaken it
	if !c.greeted {
		if c.features, err = c.in.Hello(); err != nil {
			return nil, errors.Join(err, writeErr)
		}
		c.greeted = true
	}
	for {
		t, payload, err := c.in.Next()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEnded, errors.Join(err, writeErr))
		}
		switch {
		case t == want:
			return payload, nil
		case t == wire.Piece && piece != nil:
			if err := piece(payload); err != nil {
				return nil, err
			}
		case t == wire.Error || t == wire.Refused:
			return nil, errorNote(payload)
		case t&wire.Optional == 0:
			return nil, fmt.Errorf("%w: frame of type %#x instead of an answer", wire.ErrProtocol, byte(t))
		}
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
