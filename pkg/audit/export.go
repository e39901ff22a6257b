package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
)

// The exports take what Read gives. What is no record they leave out, and say so with
// the first *BadLine when they are done; other errors end them.

// lenient goes through records, and keeps the first bad line.
func lenient(records iter.Seq2[*Entry, error], see func(*Entry) error) error {
	var first *BadLine
	for e, err := range records {
		var bad *BadLine
		switch {
		case errors.As(err, &bad):
			if first == nil {
				first = bad
			}
			continue
		case err != nil:
			return err
		}
		if err := see(e); err != nil {
			return err
		}
	}
	if first != nil {
		return first
	}
	return nil
}

// JSONL writes the records as they are.
func JSONL(w io.Writer, records iter.Seq2[*Entry, error]) error {
	return lenient(records, func(e *Entry) error {
		if _, err := w.Write(e.Raw); err != nil {
			return err
		}
		_, err := w.Write([]byte{'\n'})
		return err
	})
}

// Raw writes what the program wrote to a stream, byte for byte.
func Raw(w io.Writer, records iter.Seq2[*Entry, error], stream Stream) error {
	return lenient(records, func(e *Entry) error {
		p, s, err := e.output()
		if err != nil || s != stream {
			return err
		}
		_, err = w.Write(p)
		return err
	})
}

// output is what a record of output holds; of another, nothing.
func (e *Entry) output() ([]byte, Stream, error) {
	if e.Kind != KindOutput {
		return nil, 0, nil
	}
	m, err := e.Decode()
	if err != nil {
		return nil, 0, fmt.Errorf("%s:%d: %w", e.File, e.Line, err)
	}
	p, err := e.Bytes(m)
	if err != nil {
		return nil, 0, fmt.Errorf("%s:%d: %w", e.File, e.Line, err)
	}
	return p, m.(*Output).Stream, nil
}

// Text writes what the program wrote as a person would read it, without what was for
// the terminal. What is no UTF-8 is replaced (U+FFFD). Where output is missing a line in
// brackets says so.
func Text(w io.Writer, records iter.Seq2[*Entry, error]) error {
	var streams [2]plain
	var failed error
	put := func(line []byte) {
		if failed == nil {
			_, failed = w.Write(append(readable(line), '\n'))
		}
	}
	err := lenient(records, func(e *Entry) error {
		if e.Kind == KindHole {
			m, err := e.Decode()
			if err != nil {
				return fmt.Errorf("%s:%d: %w", e.File, e.Line, err)
			}
			hole := m.(*Hole)
			streams[hole.Stream].rest(put)
			streams[hole.Stream] = plain{}
			put(fmt.Appendf(nil, "[%v]", hole))
			return failed
		}
		p, s, err := e.output()
		if err != nil {
			return err
		}
		streams[s].feed(p, put)
		return failed
	})
	for s := range streams {
		streams[s].rest(put)
	}
	return errors.Join(err, failed)
}

// Asciicast writes a recording that players play: asciicast v2, with output and
// resizes. It is JSON text, so what is no UTF-8 is replaced (U+FFFD), as asciinema
// does when it records; Raw has it exactly. A session without a size is 80 by 24. until
// is about when the record ends, for who shows progress; zero: nobody knows. Where output
// is missing there is a marker.
func Asciicast(w io.Writer, records iter.Seq2[*Entry, error], until time.Time) error {
	c := caster{w: w, header: castHeader{Version: 2, Width: 80, Height: 24}, until: until}
	err := lenient(records, c.see)
	if !c.begun && (err == nil || errors.As(err, new(*BadLine))) {
		err = errors.Join(err, c.begin(time.Unix(0, 0)))
	}
	return err
}

type castHeader struct {
	Version   int     `json:"version"`
	Width     int     `json:"width"`
	Height    int     `json:"height"`
	Timestamp int64   `json:"timestamp"`
	Duration  float64 `json:"duration,omitempty"` // seconds
	Command   string  `json:"command,omitempty"`
	Title     string  `json:"title,omitempty"`
}

type caster struct {
	w      io.Writer
	header castHeader
	begun  bool
	until  time.Time
	pipes  bool
	start  time.Time
	last   time.Duration
	b      []byte
}

func (c *caster) begin(at time.Time) error {
	c.begun, c.start, c.header.Timestamp = true, at, at.Unix()
	if c.until.After(at) {
		c.header.Duration = c.until.Sub(at).Round(time.Millisecond).Seconds()
	}
	return json.NewEncoder(c.w).Encode(c.header)
}

func (c *caster) see(e *Entry) error {
	switch e.Kind {
	case KindSessionStart, KindOutput, KindResize, KindHole:
	default:
		return nil
	}
	m, err := e.Decode()
	if err != nil {
		return fmt.Errorf("%s:%d: %w", e.File, e.Line, err)
	}
	if start, ok := m.(*SessionStart); ok && !c.begun {
		if start.Rows > 0 && start.Cols > 0 {
			c.header.Height, c.header.Width = int(start.Rows), int(start.Cols)
		}
		c.header.Title, c.pipes = start.Name, start.Pipes
		if c.header.Command, err = e.Text(); err != nil {
			return err
		}
	}
	if !c.begun {
		if err := c.begin(e.Time); err != nil {
			return err
		}
	}
	switch m := m.(type) {
	case *Output:
		p, err := e.Bytes(m)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", e.File, e.Line, err)
		}
		if c.pipes || m.Stream == Stderr { // no terminal has done it
			p = bytes.ReplaceAll(p, []byte{'\n'}, []byte("\r\n"))
		}
		return c.event(e.Time, "o", string(p))
	case *Resize:
		return c.event(e.Time, "r", fmt.Sprintf("%dx%d", m.Cols, m.Rows))
	case *Hole:
		return c.event(e.Time, "m", m.String())
	}
	return nil
}

func (c *caster) event(at time.Time, code, data string) error {
	c.last = max(c.last, at.Sub(c.start)) // the clock may have been set back
	us := c.last.Microseconds()
	c.b = fmt.Appendf(c.b[:0], `[%d.%06d, "%s", `, us/1e6, us%1e6, code)
	c.b = append(appendString(c.b, data), "]\n"...)
	_, err := c.w.Write(c.b)
	return err
}
