package audit

import (
	"fmt"
	"path/filepath"
)

// writer collects records, and the state after them. Both of c's locks are held as
// long as it is used, but that mu is let go of while a Sync is waited for.
type writer struct {
	c    *Chain
	b    []byte
	pool *[]byte
	at   state
	told bool // what the chain had to say first is in b
	n    int  // records of the caller's in b
	done int  // and those that are written
}

// begin makes c ready for records.
func (c *Chain) begin() (*writer, error) {
	if c.closed {
		return nil, ErrClosed
	}
	if err := c.ready(); err != nil {
		return nil, err
	}
	pool := buffers.Get().(*[]byte)
	c.w = writer{c: c, b: (*pool)[:0], pool: pool, at: c.at}
	w := &c.w
	if err := w.tellFirst(); err != nil {
		w.free()
		return nil, err
	}
	return w, nil
}

// free gives the buffer back, unless one huge record has made it huge.
func (w *writer) free() {
	if cap(w.b) <= 8*batch {
		*w.pool = w.b[:0]
		buffers.Put(w.pool)
	}
	w.b, w.pool = nil, nil
}

// tell puts first what the chain has to say by itself.
func (w *writer) tell() (err error) {
	c := w.c
	if c.fresh && w.at.Seq > 0 {
		if w.b, err = w.own(Segment{Previous: filepath.Base(c.before), Offsets: w.at.Offsets}); err != nil {
			return err
		}
	}
	if c.opening != nil && !w.told {
		if w.b, err = w.own(c.opening); err != nil {
			return err
		}
		w.told = true
	}
	return nil
}

// tellFirst is tell, and writes at once what was lost, so that what comes next is counted from
// after it.
func (w *writer) tellFirst() error {
	if err := w.tell(); err != nil || w.c.gap == nil {
		return err
	}
	if err := w.addGap(w.c.gap); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return err
	}
	w.c.gap = nil
	w.c.publish()
	return nil
}

func (w *writer) own(m Metadata) ([]byte, error) {
	r := Record{Source: System, User: "system", Metadata: m}
	if !IsBridge(w.c.name) {
		r.SessionID = w.c.name
	}
	return w.at.appendRecord(w.b, w.c.store.o.now(), r)
}

// add adds one record.
func (w *writer) add(r Record) (err error) {
	if !IsBridge(w.c.name) {
		if r.SessionID != "" && r.SessionID != w.c.name {
			return fmt.Errorf("a record of session %.80q in the chain of %s", r.SessionID, w.c.name)
		}
		r.SessionID = w.c.name
	}
	before, start := w.at, len(w.b)
	if w.b, err = w.at.appendRecord(w.b, w.c.store.o.now(), r); err != nil {
		return err
	}
	if w.full(start) {
		if err := w.turn(before, start); err != nil {
			return err
		}
		if w.b, err = w.at.appendRecord(w.b, w.c.store.o.now(), r); err != nil {
			return err
		}
	}
	w.n++
	w.at.ended = r.Metadata.Kind() == KindSessionEnd
	return nil
}

// addOutput adds one record of output: as add does, and without allocating.
func (w *writer) addOutput(p []byte, text bool, stream Stream) error {
	before, start := w.at, len(w.b)
	offset := *w.at.of(stream)
	w.b = w.at.appendOutput(w.b, w.c.store.o.now(), w.c.user, w.c.name, p, text, stream, offset)
	if w.full(start) {
		if err := w.turn(before, start); err != nil {
			return err
		}
		w.b = w.at.appendOutput(w.b, w.c.store.o.now(), w.c.user, w.c.name, p, text, stream, offset)
	}
	*w.at.of(stream) += int64(len(p))
	return nil
}

// full says whether the record that begins at start has no place in the segment. One
// that is alone has.
func (w *writer) full(start int) bool {
	return w.c.size+int64(len(w.b)) > w.c.store.o.SegmentSize && w.c.size+int64(start) > 0
}

// turn takes back the record that begins at start, and begins a segment for it.
func (w *writer) turn(before state, start int) error {
	w.at, w.b = before, w.b[:start]
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.c.next(); err != nil {
		return err
	}
	w.at, w.told = w.c.at, false // a record may have been lost meanwhile
	return w.tellFirst()
}

// flush writes what was collected: all of it, or none.
func (w *writer) flush() error {
	c := w.c
	if len(w.b) == 0 {
		return nil
	}
	_, err := c.f.WriteAt(w.b, c.size)
	end := c.size + int64(len(w.b))
	if err == nil && c.end > end { // what was torn was longer
		if err = c.f.Truncate(end); err == nil {
			c.end = end
		}
	}
	if err != nil {
		c.end = max(c.end, end)
		// If this fails too, the next to be written takes its place.
		if cut := c.f.Truncate(c.size); cut == nil {
			c.end = c.size
		}
		w.at, w.b, w.n = c.at, w.b[:0], 0
		return fmt.Errorf("writing the record: %w", err)
	}
	c.size, c.end, c.at, c.fresh = end, max(c.end, end), w.at, false
	if w.told {
		c.opening = nil
	}
	c.publish()
	w.done += w.n
	w.b, w.n = w.b[:0], 0
	c.arm()
	return nil
}
