package audit

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"
)

// arm has what was written brought to the disk in time. c.mu is held.
func (c *Chain) arm() {
	if c.armed {
		return
	}
	c.armed = true
	if c.timer == nil {
		c.timer = time.AfterFunc(c.store.o.SyncEvery, c.due)
	} else {
		c.timer.Reset(c.store.o.SyncEvery)
	}
}

// due is called when the timer rings. After a failure it sets the timer again: a session that
// prints nothing more has its record brought to the disk too.
func (c *Chain) due() {
	c.mu.Lock()
	known := c.failed
	c.mu.Unlock()
	err := c.Sync()
	if err == nil && c.lost() {
		err = c.Announce()
	}
	if err == nil || errors.Is(err, ErrClosed) {
		return
	}
	if !known { // else it was told
		c.store.o.OnError(c.name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if (c.failed || c.gap != nil) && !c.closed {
		c.arm()
	}
}

// Sync brings to the disk what is recorded. Others go on recording meanwhile.
func (c *Chain) Sync() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wait()
	if c.closed {
		return ErrClosed
	}
	c.armed = false
	if c.failed {
		return c.sync()
	}
	f, seg, unnamed, to := c.f, c.seg, c.unnamed, c.here()
	if f == nil || to.size == c.safe.size && !unnamed {
		return nil
	}
	c.syncing = true
	c.mu.Unlock()
	err := c.store.flush(f, seg, unnamed)
	c.mu.Lock()
	c.syncing = false
	c.idle.Broadcast()
	return c.settle(to, err)
}

// wait waits for a Sync that is under way, and lets go of mu meanwhile: an error of
// fsync(2) is told only once, to whoever asks first.
func (c *Chain) wait() {
	for c.syncing {
		c.idle.Wait()
	}
}

// sync does the same as Sync without letting go of mu, once no other is at it.
func (c *Chain) sync() error {
	c.wait()
	if c.failed {
		if err := c.rewrite(); err != nil {
			return fmt.Errorf("bringing the record to the disk: %w", err)
		}
	}
	if c.f == nil || c.size == c.safe.size && !c.unnamed && !c.failed {
		return nil
	}
	return c.settle(c.here(), c.store.flush(c.f, c.seg, c.unnamed))
}

var errRemoved = errors.New("the file was removed by somebody else")

// flush brings a file to the disk, and its name if that may not be there yet.
func (s *Store) flush(f file, seg segment, unnamed bool) error {
	if err := f.Sync(); err != nil {
		return err
	}
	if unnamed {
		if err := syncDir(filepath.Dir(filepath.Join(s.dir, seg.name()))); err != nil {
			return err
		}
	}
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && st.Nlink == 0 {
		return fmt.Errorf("%s: %w", seg.name(), errRemoved)
	}
	return nil
}

// settle notes the outcome of bringing the file to the disk up to a point.
func (c *Chain) settle(to point, err error) error {
	switch {
	case err == nil:
		c.safe, c.durable, c.unnamed, c.failed = to, to.at.Head, false, false
		c.publish()
		return nil
	case errors.Is(err, errRemoved):
		// It is told once; the chain goes on in a new file, and verify will miss these records.
		err = errors.Join(err, c.f.Close())
		c.f, c.failed = nil, false
	default:
		c.failed = true
	}
	return fmt.Errorf("bringing the record to the disk: %w", err)
}
