package audit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// After a failed fsync(2) the kernel takes for written what is not, and the next fsync reports
// success. So what was not on the disk before is written again. It is read back from the page
// cache, which may have dropped it meanwhile (ext4, XFS) or gone back to what the disk has
// (Btrfs): only records that still follow one another are written again. If any does not, all
// from there on is lost, and the chain goes back to the last point that is on the disk. It says
// so by a Hole.

// gap is what was lost.
type gap struct {
	Offsets        // where the streams were
	first   uint64 // the number of the first record that is lost
	last    Head
}

// rewrite writes again what may not have reached the disk. c.mu is held, and no Sync is under
// way.
func (c *Chain) rewrite() error {
	err := c.writeAgain()
	if errors.Is(err, errLost) {
		c.goBack()
		return nil
	}
	return err
}

var errLost = errors.New("what was recorded cannot be read back")

// writeAgain writes again each record since the last safe point, as long as it is the one that
// was written.
func (c *Chain) writeAgain() error {
	in := readers.Get().(*bufio.Reader)
	defer func() {
		in.Reset(nil)
		readers.Put(in)
	}()
	in.Reset(io.NewSectionReader(c.f, c.safe.size, c.size-c.safe.size))
	last, to := c.safe.at.Head, c.safe.size
	var b []byte
	put := func() error {
		_, err := c.f.WriteAt(b, to)
		to, b = to+int64(len(b)), b[:0]
		return err
	}
	var failed error
	scanFile(in, c.seg.name(), func(l raw, err error) bool {
		e, bad := l.entry()
		if err != nil || bad != nil || e.Hash != e.sum || e.Seq != last.Seq+1 || e.Prev != last.Hash {
			failed = errLost
			return false
		}
		last = Head{e.Seq, e.Hash}
		b = append(append(b, l.b...), '\n')
		if len(b) >= batch {
			failed = put()
		}
		return failed == nil
	})
	if failed == nil && last != c.at.Head {
		failed = errLost
	}
	if failed != nil {
		return failed
	}
	return put()
}

// goBack takes the chain back to what is on the disk, and notes what is lost by that.
func (c *Chain) goBack() {
	lost := gap{c.at.Offsets, c.safe.at.Seq + 1, c.at.Head}
	if c.gap != nil {
		lost.Offsets = c.gap.Offsets
	}
	c.size, c.at, c.opening, c.fresh = c.safe.size, c.safe.at, c.safe.opening, c.safe.fresh
	c.gap = &lost // what stands in the file beyond size is cut off by the next record
	c.publish()
}

// lost says whether the chain has a loss to tell.
func (c *Chain) lost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gap != nil
}

// tellGap records the loss. Both locks are held.
func (c *Chain) tellGap() error {
	w, err := c.begin()
	if err == nil {
		w.free()
	}
	return err
}

// addGap adds a Hole for each stream that lost something, and one for the output where only
// other records are lost.
func (w *writer) addGap(g *gap) error {
	why := fmt.Sprintf("the disk failed, and records %d to %d are lost, the last with the hash %s", g.first, g.last.Seq, g.last.Hash)
	told := false
	for _, stream := range []Stream{Stdout, Stderr} {
		from, to := *w.at.of(stream), *g.of(stream)
		if to <= from && (told || stream == Stdout && g.Errors > w.at.Errors) {
			continue
		}
		hole := Hole{Stream: stream, Offset: from, Bytes: max(to-from, 0)}
		r := Record{Source: System, User: "system", Content: why, Metadata: hole}
		if !IsBridge(w.c.name) {
			r.SessionID = w.c.name
		}
		var err error
		if w.b, err = w.at.appendRecord(w.b, w.c.store.o.now(), r); err != nil {
			return err
		}
		*w.at.of(stream) = max(from, to)
		told = true
	}
	return nil
}
