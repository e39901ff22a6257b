package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Export writes a session's record to w, in one of wire's formats; also that of a
// session which ended long ago. It goes no faster than w takes it. What is said to be
// incomplete, for people, is missing in the record; else that is empty.
func (c *Conn) Export(ctx context.Context, session, format string, w io.Writer) (incomplete string, err error) {
	return c.back(ctx, wire.Request{Do: wire.DoExport, Session: session, Format: format}, w)
}

// Replay is Export as an asciicast to somebody who looks at it; so it is recorded.
func (c *Conn) Replay(ctx context.Context, session string, w io.Writer) (incomplete string, err error) {
	return c.back(ctx, wire.Request{Do: wire.DoReplay, Session: session}, w)
}

// Search hands on what is found in the record of a session, or with an empty one of all
// that the caller may see.
func (c *Conn) Search(ctx context.Context, session string, q wire.Query, each func(wire.Found) error) (incomplete string, err error) {
	return c.back(ctx, wire.Request{Do: wire.DoSearch, Session: session, Query: &q}, &finds{each: each})
}

// Changes hands on what clients of a session's owner have told of changed files, in the order
// in which they did.
func (c *Conn) Changes(ctx context.Context, session string, each func(wire.Found) error) (incomplete string, err error) {
	return c.back(ctx, wire.Request{Do: wire.DoChanges, Session: session}, &finds{each: each})
}

func (c *Conn) back(ctx context.Context, r wire.Request, w io.Writer) (string, error) {
	if err := c.needs(wire.Records, "way to look back"); err != nil {
		return "", err
	}
	reply, err := c.stream(ctx, r, func(p []byte) error {
		_, err := w.Write(p)
		return err
	})
	return reply.Incomplete, err
}

// finds are lines of JSON that come in pieces.
type finds struct {
	each func(wire.Found) error
	line []byte
}

func (f *finds) Write(p []byte) (int, error) {
	n := len(p)
	for {
		part, rest, ends := bytes.Cut(p, []byte{'\n'})
		f.line = append(f.line, part...)
		if !ends {
			return n, nil
		}
		var found wire.Found
		if err := json.Unmarshal(f.line, &found); err != nil {
			return 0, err
		}
		if err := f.each(found); err != nil {
			return 0, err
		}
		f.line, p = f.line[:0], rest
	}
}
