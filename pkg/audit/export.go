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

// The exports take what Read gives. What is no record they leave out; there, and where the
// chain breaks, they put a mark if their format has room for one. They return the first
// *BadLine when they are done; other errors end them.

// lenient goes through records, and keeps the first bad line. A line without its end is being
// written, as a rule, and gets no mark.
func lenient(records iter.Seq2[*Entry, error], see func(*Entry) error, mark func(*BadLine) error) error {
	var first *BadLine
	for e, err := range records {
		var bad *BadLine
		switch {
		case errors.As(err, &bad):
			if first == nil || first.Torn {
				first = bad
			}
			if !bad.Torn {
				if err := mark(bad); err != nil {
					return err
				}
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
	}, func(bad *BadLine) error {
		line, err := bad.marked()
		if err == nil {
			_, err = w.Write(line)
		}
		return err
	})
}

// Raw writes what the program wrote to a stream, byte for byte, and so without marks.
func Raw(w io.Writer, records iter.Seq2[*Entry, error], stream Stream) error {
	return lenient(records, func(e *Entry) error {
		p, s, err := e.output()
		if err != nil || s != stream {
			return err
		}
		_, err = w.Write(p)
		return err
	}, func(*BadLine) error { return nil })
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
	}, func(bad *BadLine) error {
		for s := range streams {
			streams[s].rest(put)
		}
		put(fmt.Appendf(nil, "[%s]", bad.Mark()))
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
	err := lenient(records, c.see, c.mark)
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
	early  []string // marks that come before the header is known
	b      []byte
}

func (c *caster) begin(at time.Time) error {
	c.begun, c.start, c.header.Timestamp = true, at, at.Unix()
	if c.until.After(at) {
		c.header.Duration = c.until.Sub(at).Round(time.Millisecond).Seconds()
	}
	if err := json.NewEncoder(c.w).Encode(c.header); err != nil {
		return err
	}
	for _, text := range c.early {
		if err := c.show(at, text); err != nil {
			return err
		}
	}
	c.early = nil
	return nil
}

// maxEarly is how many marks are kept that come before anything else.
const maxEarly = 16

// mark puts a marker, which players list, and a line on the terminal, which people see.
func (c *caster) mark(bad *BadLine) error {
	if c.begun {
		return c.show(bad.Time, bad.Mark())
	}
	if len(c.early) < maxEarly {
		c.early = append(c.early, bad.Mark())
	}
	return nil
}

func (c *caster) show(at time.Time, text string) error {
	if err := c.event(at, "m", text); err != nil {
		return err
	}
	return c.event(at, "o", "\r\n["+string(readable([]byte(text)))+"]\r\n")
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
		c.header.Title, c.pipes, c.header.Command = start.Name, start.Pipes, start.Argv.Command()
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
