package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// batch is how many bytes of records are collected for one write, before the one that
// exceeds it.
const batch = 256 << 10

// buffers are what records are written in: the chains are many, and few write at the
// same moment.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 2*batch); return &b }}

// Chain is a chain that is being written. Any goroutine may call it.
type Chain struct {
	store *Store
	name  string
	user  string

	// writing is held by who records, from beginning to end and so across write(2), for
	// a chain has an order; it is taken before mu.
	writing sync.Mutex
	w       writer // of who holds it

	mu      sync.Mutex // guards what follows
	f       file       // nil: the next record begins a segment
	seg     segment    // the file's
	until   time.Time  // when its day is over
	before  string     // the name of the segment before
	fresh   bool       // the file has no record yet
	size    int64      // what of the file is the chain's
	end     int64      // what the file may have beyond that: torn lines
	at      state
	opening Metadata // what the chain has to say first; nil: nothing, or said

	safe    point     // up to where the file is on the disk
	durable Head      // the last record of which that is known
	gap     *gap      // what was lost, and is not told yet; nil: nothing
	unnamed bool      // the file's name may not be
	failed  bool      // so may not be what was written since
	syncing bool      // a Sync is at it, without mu: f stays
	idle    sync.Cond // on mu: syncing has ended
	timer   *time.Timer
	armed   bool
	closed  bool

	out outcome
}

// outcome is what others may ask of a chain at any time, also while its disk is stalled: mu is
// held across write(2) and fsync(2).
type outcome struct {
	mu      sync.Mutex // guards what follows, and is held for no longer than a copy takes
	at      state      // with what is lost counted as recorded
	durable Head
}

// publish is called when at, durable or gap has changed. c.mu is held.
func (c *Chain) publish() {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.at, c.out.durable = c.at, c.durable
	if c.gap != nil {
		c.out.at.Offsets = c.gap.Offsets
	}
}

func (c *Chain) published() (at state, durable Head) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.at, c.out.durable
}

// state is where a chain is.
type state struct {
	Head
	Offsets
	ended bool // the last record is a session's end
}

// point is a place in the file that is open, and the chain's state there.
type point struct {
	size    int64
	at      state
	opening Metadata
	fresh   bool
}

// here is the point after the last record. c.mu is held.
func (c *Chain) here() point { return point{c.size, c.at, c.opening, c.fresh} }

// Head is the last record. Like Durable, Recorded and Ended it waits for no disk.
func (c *Chain) Head() Head {
	at, _ := c.published()
	return at.Head
}

// Durable is the last record that is on the disk: the one to anchor. An anchor of a
// later one would make a power cut look like tampering.
func (c *Chain) Durable() Head {
	_, durable := c.published()
	return durable
}

// Recorded is how much of a stream is recorded: where Output goes on.
func (c *Chain) Recorded(s Stream) int64 {
	at, _ := c.published()
	return *at.of(s)
}

// Ended says whether the last record is the session's end, whichever bridge wrote it.
func (c *Chain) Ended() bool {
	at, _ := c.published()
	return at.ended
}

// Announce records that this process writes the chain from now on, if it has not been
// yet. Append and Output do it by themselves.
func (c *Chain) Announce() error {
	_, err := c.Append()
	return err
}

// Append records, and says how many of the records it has. Those are written when it
// returns, and on the disk soon after: see Sync.
func (c *Chain) Append(records ...Record) (n int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	w, err := c.begin()
	if err != nil {
		return 0, err
	}
	defer w.free()
	for _, r := range records {
		if err = w.add(r); err != nil {
			break
		}
		if len(w.b) > batch {
			if err = w.flush(); err != nil {
				break
			}
		}
	}
	err = errors.Join(err, w.flush()) // what came before an error is good
	return w.done, err
}

// Output records p, which follows what is recorded of the stream, and says how much of
// it it has. If that is not all, then for an error, or because p ends amid a character:
// what follows is to be offered with the beginning of it. If last, nothing follows.
func (c *Chain) Output(stream Stream, p []byte, last bool) (n int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	w, err := c.begin()
	if err != nil {
		return 0, err
	}
	defer w.free()
	began := *c.at.of(stream)
	for len(p) > 0 {
		size, text := chunk(p, last)
		if size == 0 {
			break
		}
		if err = w.addOutput(p[:size], text, stream); err != nil {
			break
		}
		p = p[size:]
		if len(w.b) > batch {
			if err = w.flush(); err != nil {
				break
			}
		}
	}
	if err == nil {
		err = w.flush()
	}
	return int(*c.at.of(stream) - began), err
}

// Miss records that the next n bytes of a stream are not in the record, and why: Output
// goes on after them.
func (c *Chain) Miss(stream Stream, n int64, why string) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	w, err := c.begin()
	if err != nil {
		return err
	}
	defer w.free()
	hole := Hole{Stream: stream, Offset: *c.at.of(stream), Bytes: n}
	if err := w.add(Record{Source: System, User: "system", Content: why, Metadata: hole}); err != nil {
		return err
	}
	*w.at.of(stream) += n
	return w.flush()
}

// Close brings the record to the disk and leaves the chain to the next bridge.
func (c *Chain) Close() error { return c.shut(false) }

// Finish does the same when the chain has its last record: what is left of it is
// compressed.
func (c *Chain) Finish() error { return c.shut(true) }

func (c *Chain) shut(finished bool) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	err := c.sync()
	if err == nil && c.gap != nil {
		if err = c.tellGap(); err == nil {
			err = c.sync()
		}
	}
	if err != nil && finished {
		return err // to be tried again
	}
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.f != nil && c.end == 0 { // nothing came
		err = errors.Join(err, os.Remove(filepath.Join(c.store.dir, c.seg.name())))
	}
	if finished {
		err = errors.Join(err, c.put())
	} else if c.f != nil {
		err = errors.Join(err, c.f.Close())
	}
	c.store.forget(c.name)
	if c.at.ended {
		c.store.settled(c.name)
	}
	return err
}

// ready sees to it that there is a file for the next record. Both locks are held.
func (c *Chain) ready() error {
	if c.failed {
		if err := c.sync(); err != nil {
			return err
		}
	}
	if c.f != nil && c.store.o.now().Before(c.until) && c.size < c.store.o.SegmentSize {
		return nil
	}
	return c.next()
}

// endOf is when a day is over. A chain whose day lies ahead, since the clock was wrong,
// goes on in it.
func endOf(day string) time.Time {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return time.Time{}
	}
	return t.AddDate(0, 0, 1)
}

func today(now time.Time) string { return now.UTC().Format(time.DateOnly) }

// next begins a segment. What was written before is on the disk first, so that the disk
// never has a later record without those before it. Both locks are held.
func (c *Chain) next() error {
	c.wait()
	if c.f != nil && c.end > c.size { // what a crash tore
		if err := c.f.Truncate(c.size); err != nil {
			return fmt.Errorf("cutting off what is torn: %w", err)
		}
		c.end = c.size
	}
	if err := c.sync(); err != nil {
		return err
	}
	seg := segment{chain: c.name, day: max(today(c.store.o.now()), c.seg.day), number: 1}
	if seg.day == c.seg.day {
		seg.number = c.seg.number + 1
	}
	create := func() (file, error) {
		return c.store.o.open(filepath.Join(c.store.dir, seg.name()), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	}
	f, err := create()
	for range 100 {
		if !errors.Is(err, fs.ErrExist) {
			break
		}
		seg.number++ // somebody has put one there
		f, err = create()
	}
	if err != nil {
		return fmt.Errorf("opening the record: %w", err)
	}
	if err := lockSegment(f); err != nil {
		f.Close()
		return fmt.Errorf("opening %s: %w", seg.name(), err)
	}
	if c.f != nil && c.size == 0 {
		err = os.Remove(filepath.Join(c.store.dir, c.seg.name())) // nothing came in its day
	} else if c.seg.day != "" {
		c.before = c.seg.name()
	}
	err = errors.Join(err, c.put())
	c.f, c.seg, c.until = f, seg, endOf(seg.day)
	c.fresh, c.size, c.end, c.unnamed = true, 0, 0, true
	c.safe = c.here()
	return err
}

// put closes the file that is open, and has it compressed. All of it is on the disk.
func (c *Chain) put() error {
	if c.f == nil {
		return nil
	}
	err := c.f.Close()
	c.f = nil
	if c.size > 0 {
		c.store.done(c.seg)
	}
	return err
}
