package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"unicode/utf8"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Sessions are named by id, by the beginning of one if no other begins so, or by
// name. A refusal is a *wire.ErrorNote, and the Conn goes on.

// maxRef is longer than what any session may be called, in bytes.
const maxRef = 256

// do sends a request and waits for its answer.
func (c *Conn) do(ctx context.Context, r wire.Request, files ...*os.File) (wire.Reply, error) {
	return c.stream(ctx, r, nil, files...)
}

// stream is do for what is answered in pieces, too.
func (c *Conn) stream(ctx context.Context, r wire.Request, piece func([]byte) error, files ...*os.File) (wire.Reply, error) {
	var reply wire.Reply
	if err := c.needs(wire.Requests, "requests"); err != nil {
		return reply, err
	}
	if len(r.Session) > maxRef {
		return reply, errors.New("no session has an id or a name that long")
	}
	c.seq++
	r.Seq = c.seq
	payload, err := c.converse(ctx, wire.Frame(wire.Ask, r), files, wire.Answer, func(payload []byte) error {
		seq, data, err := wire.ParsePiece(payload)
		if err == nil && (seq != r.Seq || piece == nil) {
			err = fmt.Errorf("%w: a piece of another answer", wire.ErrProtocol)
		}
		if err != nil {
			return err
		}
		return piece(data)
	})
	if err != nil {
		return reply, err
	}
	if err := wire.Decode(payload, &reply); err != nil {
		return reply, err
	}
	if reply.Seq != r.Seq {
		return reply, fmt.Errorf("%w: the answer to another request", wire.ErrProtocol)
	}
	return reply, nil
}

// Profile asks what there is to know of a profile; an empty name is the default's.
func (c *Conn) Profile(ctx context.Context, name string) (wire.ProfileReply, error) {
	reply, err := c.do(ctx, wire.Request{Do: wire.DoProfile, Profile: name})
	if err == nil && reply.Profile == nil {
		err = fmt.Errorf("%w: no profile in the answer", wire.ErrProtocol)
	}
	if err != nil {
		return wire.ProfileReply{}, err
	}
	return *reply.Profile, nil
}

// List lists the sessions that the caller may see, the oldest first.
func (c *Conn) List(ctx context.Context) ([]wire.SessionInfo, error) {
	all := []wire.SessionInfo{}
	after := ""
	for {
		reply, err := c.do(ctx, wire.Request{Do: wire.DoList, After: after})
		if err != nil {
			return nil, err
		}
		all = append(all, reply.Sessions...)
		if !reply.More || len(reply.Sessions) == 0 {
			return all, nil
		}
		after = reply.Sessions[len(reply.Sessions)-1].ID
	}
}

// Status tells of one session, also of one that ended a while ago, who is in it and
// whom it is shared with.
func (c *Conn) Status(ctx context.Context, session string) (wire.SessionInfo, error) {
	reply, err := c.do(ctx, wire.Request{Do: wire.DoStatus, Session: session})
	if err == nil && len(reply.Sessions) != 1 {
		err = fmt.Errorf("%w: %d sessions in the answer", wire.ErrProtocol, len(reply.Sessions))
	}
	if err != nil {
		return wire.SessionInfo{}, err
	}
	return reply.Sessions[0], nil
}

// maxTyped is how much one request types, in bytes: it is base64 on its way.
const maxTyped = wire.MaxPayload / 2

// Send types bytes into a session, as they are.
func (c *Conn) Send(ctx context.Context, session string, p []byte) error {
	for first := true; first || len(p) > 0; first = false {
		part := p[:min(len(p), maxTyped)]
		if _, err := c.do(ctx, wire.Request{Do: wire.DoSend, Session: session, Bytes: part}); err != nil {
			return err
		}
		p = p[len(part):]
	}
	return nil
}

// Submit types a text into a session and presses Enter, in such a way that the program
// takes the one for a text and the other for the key.
func (c *Conn) Submit(ctx context.Context, session string, text []byte) error {
	return c.typeText(ctx, wire.Request{Session: session, Paste: true, Enter: true}, text)
}

// Paste pastes a text into a session. A program that has asked for bracketed pastes gets
// one; a text that is longer than some ten thousand characters comes as several.
func (c *Conn) Paste(ctx context.Context, session string, text []byte) error {
	return c.typeText(ctx, wire.Request{Session: session, Paste: true}, text)
}

// TypeAndEnter types bytes into a session, as they are, and then presses Enter.
func (c *Conn) TypeAndEnter(ctx context.Context, session string, p []byte) error {
	return c.typeText(ctx, wire.Request{Session: session, Enter: true}, p)
}

// Press presses keys in a session, one after the other, by their names: C-c, Escape, Enter,
// Up, F5, M-x, or any character.
func (c *Conn) Press(ctx context.Context, session string, keys ...string) error {
	_, err := c.do(ctx, wire.Request{Do: wire.DoType, Session: session, Keys: keys})
	return err
}

// typeText has a text typed in parts, of which the last has what comes after it.
func (c *Conn) typeText(ctx context.Context, last wire.Request, text []byte) error {
	last.Do = wire.DoType
	for len(text) > maxTyped {
		n := textPart(text)
		r := last
		r.Bytes, r.Enter = text[:n], false
		if _, err := c.do(ctx, r); err != nil {
			return err
		}
		text = text[n:]
	}
	last.Bytes = text
	_, err := c.do(ctx, last)
	return err
}

// textPart is how much of a long text goes into one request: whole lines, if there is the
// end of one, or else whole characters.
func textPart(text []byte) int {
	if n := bytes.LastIndexByte(text[:maxTyped], '\n'); n >= 0 {
		return n + 1
	}
	n := maxTyped
	for n > maxTyped-utf8.UTFMax && !utf8.RuneStart(text[n]) {
		n--
	}
	return n
}

// Peek tells what a session shows at present.
func (c *Conn) Peek(ctx context.Context, session string) (wire.Screen, error) {
	reply, err := c.do(ctx, wire.Request{Do: wire.DoPeek, Session: session})
	if err == nil && reply.Screen == nil {
		err = fmt.Errorf("%w: no screen in the answer", wire.ErrProtocol)
	}
	if err != nil {
		return wire.Screen{}, err
	}
	return *reply.Screen, nil
}

// Wait waits for a session's end, and says how it ended.
func (c *Conn) Wait(ctx context.Context, session string) (wire.EndedNote, error) {
	reply, err := c.do(ctx, wire.Request{Do: wire.DoWait, Session: session})
	if err == nil && reply.Ended == nil {
		err = fmt.Errorf("%w: no end in the answer", wire.ErrProtocol)
	}
	if err != nil {
		return wire.EndedNote{}, err
	}
	return *reply.Ended, nil
}

// Kill sends a signal to every process of a session; 0 is SIGKILL.
func (c *Conn) Kill(ctx context.Context, session string, signal syscall.Signal) error {
	_, err := c.do(ctx, wire.Request{Do: wire.DoKill, Session: session, Signal: int(signal)})
	return err
}

// End has a session end: its processes are sent SIGTERM and what else asks a program to end,
// and SIGKILL only if they do not. It does not wait for that (see Wait).
func (c *Conn) End(ctx context.Context, session string) error {
	_, err := c.do(ctx, wire.Request{Do: wire.DoKill, Session: session, Gently: true})
	return err
}

// Freeze stops every process of a session where it is.
func (c *Conn) Freeze(ctx context.Context, session string) error {
	_, err := c.do(ctx, wire.Request{Do: wire.DoFreeze, Session: session})
	return err
}

// Thaw undoes Freeze. What else holds the session (a full disk) goes on doing so.
func (c *Conn) Thaw(ctx context.Context, session string) error {
	_, err := c.do(ctx, wire.Request{Do: wire.DoThaw, Session: session})
	return err
}

// Share lets somebody into a session that would not be theirs to join.
func (c *Conn) Share(ctx context.Context, session string, uid uint32, readOnly bool) error {
	_, err := c.do(ctx, wire.Request{Do: wire.DoShare, Session: session, UID: &uid, ReadOnly: readOnly})
	return err
}

// Unshare undoes Share, and takes them out.
func (c *Conn) Unshare(ctx context.Context, session string, uid uint32) error {
	_, err := c.do(ctx, wire.Request{Do: wire.DoUnshare, Session: session, UID: &uid})
	return err
}

// Put brings a file into the session's /tmp under this name, or one like it, and
// types its path, which is returned. The file is a memfd, sealed against every
// change, and stays the caller's.
func (c *Conn) Put(ctx context.Context, session, name string, file *os.File) (path string, err error) {
	if err := c.needs(wire.Put, "way to put files"); err != nil {
		return "", err
	}
	reply, err := c.do(ctx, wire.Request{Do: wire.DoPut, Session: session, File: argv.String(name)}, file)
	return reply.Path, err
}

// Dismiss takes a client out of a session, or with 0 all that the caller may: their
// own, and as the session's owner or an Admin everybody's. It says how many.
func (c *Conn) Dismiss(ctx context.Context, session string, client uint64) (int, error) {
	reply, err := c.do(ctx, wire.Request{Do: wire.DoDismiss, Session: session, Client: client})
	return reply.Count, err
}

// Events hands on what happens to the sessions that the caller may see, until ctx
// ends, the bridge goes, or each returns an error. It is the last use of a Conn.
func (c *Conn) Events(ctx context.Context, each func(wire.Event) error) error {
	if _, err := c.do(ctx, wire.Request{Do: wire.DoSubscribe}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { c.conn.Close() })
	defer stop()
	for {
		t, payload, err := c.in.Next()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return ErrEnded
		case t == wire.Error:
			return errorNote(payload)
		case t != wire.News:
			continue
		}
		var event wire.Event
		if err := wire.Decode(payload, &event); err != nil {
			return err
		}
		if err := each(event); err != nil {
			return err
		}
	}
}

// TellChanges has changed files recorded that the caller has found in a session of theirs, or
// after its end. What does not fit into one request is told in several.
func (c *Conn) TellChanges(ctx context.Context, session string, found wire.Changes) error {
	parts, err := found.Parts()
	if err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := c.do(ctx, wire.Request{Do: wire.DoChanges, Session: session, Changes: &part}); err != nil {
			return err
		}
	}
	return nil
}
