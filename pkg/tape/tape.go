// Package tape is the one way of a session's output: a ring in shared memory,
// with one writer and any number of readers.
//
// Offsets count the session's output from its first byte and never go back. The
// ring is mapped twice in a row, so that any stretch of it is one slice. The
// writer reads the terminal straight into Space and then says how much came; a
// reader takes a View and writes it to its socket from there: between the two
// system calls nothing is copied, and no lock is held.
//
//	      oldest            head      armed
//	────────┬─────────────────┬─────────┬────▶ offsets
//	 gone   │ readable        │ writer's│
//
// A reader holds nobody back. One that falls behind by more than the ring loses
// its place, and is told so.
package tape

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxChunk is the most that one read of a terminal returns, in bytes.
const MaxChunk = 64 << 10

// Tape is a ring. Writing (Space, Advance) is for one goroutine.
type Tape struct {
	fd   int
	size int64
	ring []byte // 2*size: the same memory twice

	head  atomic.Int64 // end of what was written
	armed atomic.Int64 // end of what the writer may be writing just now

	mu      sync.Mutex // guards readers, closed, and ring's end
	readers map[*Cursor]struct{}
	closed  bool
}

// New makes an empty tape of size bytes, a multiple of the page size and at least
// four times MaxChunk. Close frees it.
func New(size int) (*Tape, error) {
	if size%unix.Getpagesize() != 0 || size < 4*MaxChunk {
		return nil, fmt.Errorf("a tape cannot have %d bytes", size)
	}
	fd, err := unix.MemfdCreate("aaau-tape", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	t := &Tape{fd: fd, size: int64(size), readers: map[*Cursor]struct{}{}}
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("sizing the tape: %w", err)
	}
	if t.ring, err = mapTwice(fd, size); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return t, nil
}

// mapTwice reserves room for two copies, then maps the file over each half.
func mapTwice(fd, size int) ([]byte, error) {
	base, err := unix.MmapPtr(-1, 0, nil, uintptr(2*size), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("reserving the tape's addresses: %w", err)
	}
	for i := range 2 {
		_, err := unix.MmapPtr(fd, 0, unsafe.Add(base, i*size), uintptr(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("mapping the tape: %w", err), unix.MunmapPtr(base, uintptr(2*size)))
		}
	}
	return unsafe.Slice((*byte)(base), 2*size), nil
}

// Close gives the writer's hold up; the memory is freed when the last cursor is
// closed too.
func (t *Tape) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return t.free()
}

// free unmaps a ring that nobody holds. t.mu is held.
func (t *Tape) free() error {
	if !t.closed || len(t.readers) > 0 || t.ring == nil {
		return nil
	}
	err := errors.Join(unix.MunmapPtr(unsafe.Pointer(&t.ring[0]), uintptr(2*t.size)), unix.Close(t.fd))
	t.ring = nil
	return err
}

// Space returns where the next bytes go, MaxChunk long. What it overwrites is
// no longer the readers' from here on.
func (t *Tape) Space() []byte {
	head := t.head.Load()
	t.armed.Store(head + MaxChunk)
	at := head % t.size
	return t.ring[at : at+MaxChunk]
}

// Advance publishes the first n bytes of the last Space.
func (t *Tape) Advance(n int) {
	t.head.Add(int64(n))
	t.wake()
}

func (t *Tape) wake() {
	t.mu.Lock()
	for c := range t.readers {
		select {
		case c.more <- struct{}{}:
		default: // it has been told
		}
	}
	t.mu.Unlock()
}

// Head is the offset after the last byte.
func (t *Tape) Head() int64 { return t.head.Load() }

// oldest is the offset of the first byte that readers may begin with. It keeps an
// eighth of the ring between them and the writer, which is what the writer would
// have to fill during one system call of a reader to spoil what that one sends.
func (t *Tape) oldest() int64 { return max(0, t.armed.Load()-t.size+t.size/8) }

// Cursor is one reader's place. It belongs to one goroutine.
type Cursor struct {
	t    *Tape
	pos  int64
	more chan struct{}
}

// ErrClosed is returned where the tape has gone.
var ErrClosed = errors.New("tape is closed")

// Read makes a cursor at offset from, or at the oldest byte if that is gone, or
// at the end if that is beyond it; ErrClosed if the tape is closed. The caller
// closes it.
func (t *Tape) Read(from int64) (*Cursor, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	c := &Cursor{t: t, pos: min(max(from, t.oldest()), t.Head()), more: make(chan struct{}, 1)}
	c.more <- struct{}{} // the first look is free
	t.readers[c] = struct{}{}
	return c, nil
}

// Close gives the cursor up, and with it every View.
func (c *Cursor) Close() error {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	delete(c.t.readers, c)
	return c.t.free()
}

// More is ready when there may be more to view.
func (c *Cursor) More() <-chan struct{} { return c.more }

// Pos is the offset of the next byte to be viewed.
func (c *Cursor) Pos() int64 { return c.pos }

// Behind says whether there is something to view.
func (c *Cursor) Behind() bool { return c.pos < c.t.Head() }

// View returns what is to be read, at most limit bytes, and how many bytes were
// lost since the last View because the writer came too close: then the cursor has
// skipped to the middle of the ring. The slice is
// the ring itself: use it at once, then ask Intact, then Advance.
func (c *Cursor) View(limit int) (data []byte, lost int64) {
	if c.pos < c.t.oldest() {
		middle := c.t.Head() - c.t.size/2
		lost = middle - c.pos
		c.pos = middle
	}
	n := min(c.t.Head()-c.pos, int64(limit))
	at := c.pos % c.t.size
	return c.t.ring[at : at+n], lost
}

// Intact says whether the bytes of the last View are still what they were, which
// is to be asked after they were used.
func (c *Cursor) Intact() bool { return c.pos >= c.t.armed.Load()-c.t.size }

// Advance moves past n viewed bytes.
func (c *Cursor) Advance(n int) { c.pos += int64(n) }
