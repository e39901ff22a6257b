package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// resume finds out where the chain is: from its last file, or one before if that has
// no record. With pipes both streams' offsets are looked for.
func (c *Chain) resume(pipes bool) error {
	opened := Opened{PID: os.Getpid(), Version: c.store.o.Version}
	segments, err := c.store.segments(c.name)
	if err != nil {
		return err
	}
	if n := len(segments); n > 0 {
		if err := c.reopen(segments[n-1], &opened); err != nil {
			return err
		}
		for i := n - 1; i >= 0 && c.at.Seq == 0; i-- {
			if c.at, err = c.stateAfter(segments[i], pipes); err != nil {
				return err
			}
			if i == n-1 {
				c.fresh = c.at.Seq == 0
			} else if c.before == "" {
				c.before = segments[i].name()
			}
		}
	}
	switch {
	case IsBridge(c.name):
		c.opening = BridgeStart{opened}
	case len(segments) > 0:
		c.opening = BridgeResume{opened, c.at.Offsets}
	}
	c.safe = c.here()
	c.publish()
	return nil
}

// reopen opens the last segment to go on in it, unless it is compressed or about to be.
// What stands after its last record it leaves to the next that is written.
func (c *Chain) reopen(seg segment, opened *Opened) error {
	c.seg, c.until = seg, endOf(seg.day)
	if seg.packed || c.store.isPacking(seg) {
		return nil
	}
	f, err := c.store.o.open(filepath.Join(c.store.dir, seg.name()), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has just been compressed
	}
	if err != nil {
		return err
	}
	if err := lockSegment(f); err != nil {
		f.Close()
		return fmt.Errorf("opening %s: %w", seg.name(), err)
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	c.end = fi.Size()
	good, whole, err := lastRecord(f, c.end)
	if err != nil {
		f.Close()
		return err
	}
	// Lines that are none of the chain's are evidence of something: they stay. The
	// beginning of one, or what a file system gives for what it had not written, was
	// a crash's.
	c.f, c.size = f, whole
	opened.Damaged, opened.Cut = whole-good, c.end-whole
	c.unnamed = true
	return nil
}

// lastRecord finds where the last record of a file ends, and where its last line does
// that is whole. Without a record good is 0.
func lastRecord(f io.ReaderAt, size int64) (good, whole int64, err error) {
	whole = -1
	err = backwards(f, size, func(line []byte, end int64, newline bool) bool {
		if !newline || len(bytes.Trim(line, "\x00")) == 0 {
			return true
		}
		if whole < 0 {
			whole = end
		}
		if e, err := parse(line); err == nil && e.Hash == e.sum {
			good = end
			return false
		}
		return true
	})
	return good, max(whole, 0), err
}

// stateAfter reads from a segment where the chain is after it. Without any record in
// it, it is the zero state.
func (c *Chain) stateAfter(seg segment, pipes bool) (at state, err error) {
	r, name, err := openSegment(c.store.dir, seg)
	if err != nil {
		return at, err
	}
	defer r.Close()
	var f io.ReaderAt
	var size int64
	if plain, ok := r.(*os.File); ok {
		fi, err := plain.Stat()
		if err != nil {
			return at, err
		}
		f, size = plain, fi.Size()
	} else {
		b, err := io.ReadAll(io.LimitReader(r, c.store.o.SegmentSize+MaxLine))
		if err != nil && !errors.As(err, new(damage)) { // of what is damaged, what is before
			return at, fmt.Errorf("reading %s: %w", name, err)
		}
		f, size = bytes.NewReader(b), int64(len(b))
	}
	var found [2]bool
	wanted := [2]bool{!IsBridge(c.name), !IsBridge(c.name) && pipes}
	var bad error
	err = backwards(f, size, func(line []byte, _ int64, newline bool) bool {
		e, err := parse(line)
		if !newline || err != nil || e.Hash != e.sum {
			return true
		}
		if at.Seq == 0 {
			at.Head, at.ended = Head{e.Seq, e.Hash}, e.Kind == KindSessionEnd
		}
		if found, bad = at.learn(e, found); bad != nil {
			return false
		}
		return wanted[Stdout] && !found[Stdout] || wanted[Stderr] && !found[Stderr]
	})
	return at, errors.Join(err, bad)
}

// learn takes from a record what it says of the offsets that were not found yet.
func (at *state) learn(e *Entry, found [2]bool) ([2]bool, error) {
	switch e.Kind {
	case KindOutput, KindHole, KindSegment, KindBridgeResume, KindSessionStart:
	default:
		return found, nil
	}
	m, err := e.Decode()
	if err != nil {
		return found, err
	}
	var all Offsets // of a session that starts
	switch m := m.(type) {
	case *Output:
		if !found[m.Stream] {
			*at.of(m.Stream), found[m.Stream] = m.Offset+int64(m.Bytes), true
		}
		return found, nil
	case *Hole:
		if !found[m.Stream] {
			*at.of(m.Stream), found[m.Stream] = m.Offset+m.Bytes, true
		}
		return found, nil
	case *Segment:
		all = m.Offsets
	case *BridgeResume:
		all = m.Offsets
	}
	for s := range found {
		if !found[s] {
			*at.of(Stream(s)), found[s] = *all.of(Stream(s)), true
		}
	}
	return found, nil
}

// backwards tells see the lines of a file from the last on, without their newlines and
// with where they end, until it returns false. Only the last can lack its newline.
func backwards(f io.ReaderAt, size int64, see func(line []byte, end int64, newline bool) bool) error {
	end := size // of what was not seen yet
	for window := int64(256 << 10); end > 0; window *= 16 {
		start := max(0, end-window)
		b := make([]byte, end-start)
		if _, err := f.ReadAt(b, start); err != nil {
			return err
		}
		for len(b) > 0 {
			last, newline := b, false
			if b[len(b)-1] == '\n' {
				last, newline = b[:len(b)-1], true
			}
			i := bytes.LastIndexByte(last, '\n')
			if i < 0 && start > 0 {
				break // its beginning is further up
			}
			if !see(last[i+1:], start+int64(len(b)), newline) {
				return nil
			}
			b = b[:i+1]
		}
		end = start + int64(len(b))
	}
	return nil
}
