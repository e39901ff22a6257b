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
// The tape outlives the process that writes it (Open): what is known of it stands in
// the same memory, before the ring (header.go).
//
// Whether the writer waits for a reader is the reader's Hold. One that it does not
// wait for, and that falls behind by more than the ring, loses its place and is
// told so.
package tape

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Hold says how long the writer waits for a reader.
type Hold int

const (
	Never        Hold = iota // it looks on
	WhileReading             // as long as it moves at all: see Wait
	Always                   // it must have every byte
)

// MaxChunk is the most that one read of a terminal returns, in bytes.
const MaxChunk = 64 << 10

// Tape is a ring. Writing (Wait, Space, Advance, Tell) is for one goroutine.
type Tape struct {
	fd      int
	size    int64  // of the ring
	ring    []byte // 2*size: the same memory twice
	page    []byte // the memory before it
	*header        // in page

	untold  int           // bytes since readers were told last; the writer's
	waiting atomic.Bool   // the writer waits for room
	room    chan struct{} // told by readers, while it does

	lookers atomic.Int64 // how many readers only looked on when they were told last
	late    atomic.Bool  // later is under way, which tells those who look on
	later   *time.Timer

	mu      sync.Mutex // guards readers, their was, closed, and the memory's end
	readers map[*Cursor]struct{}
	closed  bool
	freed   chan struct{} // closed when the ring's memory is nobody's any more
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
	if err := unix.Ftruncate(fd, memory(size)); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("sizing the tape: %w", err)
	}
	t, err := mapped(fd)
	if err != nil {
		return nil, err
	}
	t.begin(size)
	return t, t.mapRing()
}

// mapped maps what is before a tape's ring. The descriptor is the tape's, also beside
// an error.
func mapped(fd int) (t *Tape, err error) {
	t = &Tape{fd: fd, readers: map[*Cursor]struct{}{}, room: make(chan struct{}, 1), freed: make(chan struct{})}
	t.later = time.AfterFunc(time.Hour, t.lookersTurn)
	t.later.Stop()
	if t.page, err = unix.Mmap(fd, 0, ringAt, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("mapping the tape: %w", err)
	}
	t.header = (*header)(unsafe.Pointer(&t.page[0]))
	// Not at Close: what stands there may be asked for as long as somebody can.
	runtime.AddCleanup(t, func(page []byte) { _ = unix.Munmap(page) }, t.page)
	return t, nil
}

// mapRing maps the ring, and closes the descriptor where it cannot.
func (t *Tape) mapRing() (err error) {
	t.size = t.header.size
	if t.ring, err = mapTwice(t.fd, int(t.size)); err != nil {
		unix.Close(t.fd)
	}
	return err
}

// mapTwice reserves room for two copies, then maps the file over each half.
func mapTwice(fd, size int) ([]byte, error) {
	base, err := unix.MmapPtr(-1, 0, nil, uintptr(2*size), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("reserving the tape's addresses: %w", err)
	}
	for i := range 2 {
		_, err := unix.MmapPtr(fd, ringAt, unsafe.Add(base, i*size), uintptr(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED)
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
	close(t.freed)
	return err
}

// Freed is closed when the ring's memory is nobody's any more in this process.
func (t *Tape) Freed() <-chan struct{} { return t.freed }

// Forget gives back the rest of the memory of a tape that is Freed and is not to be opened
// any more: as long as any of it is mapped the kernel keeps all of it, and what stands
// before the ring is until the Tape is collected. That is this process's own from here on.
func (t *Tape) Forget() error {
	own, err := unix.MmapPtr(-1, 0, nil, ringAt, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("freeing the tape: %w", err)
	}
	copy(unsafe.Slice((*byte)(own), noteAt), t.page) // all that somebody may still ask for
	// It takes the other's place at once, for whoever asks meanwhile.
	if _, err := unix.MremapPtr(own, ringAt, unsafe.Pointer(&t.page[0]), ringAt, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED); err != nil {
		return errors.Join(fmt.Errorf("freeing the tape: %w", err), unix.MunmapPtr(own, ringAt))
	}
	return nil
}

// Memory is how many bytes a tape of this size takes when all of it has been used.
func Memory(size int64) int64 { return memory(int(size)) }

// Memory is how many bytes the tape takes when all of it has been used.
func (t *Tape) Memory() int64 { return Memory(t.size) }

// Wait returns when Space takes nothing from a reader that is waited for. One
// that holds WhileReading and has not moved for the time of stall is waited for no
// longer, until it has caught up.
func (t *Tape) Wait(stall time.Duration) {
	if !t.blocked(false) {
		return
	}
	t.Tell()
	t.waiting.Store(true)
	defer t.waiting.Store(false)
	timer := time.NewTimer(stall)
	defer timer.Stop()
	for t.blocked(false) {
		select {
		case <-t.room:
			timer.Reset(stall)
		case <-timer.C:
			t.blocked(true)
			timer.Reset(stall)
		}
	}
}

// blocked says whether somebody who is waited for would lose bytes by the next
// Space. Those who have not moved since the last time are given up if asked for.
func (t *Tape) blocked(giveUp bool) (yes bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	need := t.head.Load() + MaxChunk - t.size + t.spare()
	for c := range t.readers {
		pos := c.pos.Load()
		if pos >= need || !c.held.Load() {
			continue
		}
		if giveUp && c.Hold() == WhileReading && pos == c.was {
			c.held.Store(false)
			continue
		}
		c.was = pos
		yes = true
	}
	return yes
}

// Space returns where the next bytes go, for a read that will return exactly n of
// them (or less, if the writer lives to say so): at most MaxChunk. What it overwrites
// is no longer the readers' from here on.
func (t *Tape) Space(n int) []byte {
	head := t.head.Load()
	end := head + int64(n)
	if end > t.armed.Load() {
		t.armed.Store(end) // first, for what is filled is overwritten
	}
	for from := max(t.filled.Load(), head); from < end; {
		at := from % t.size
		n := min(end-from, t.size-at)
		fill(t.ring[at:at+n], from)
		from += n
	}
	t.filled.Store(max(t.filled.Load(), end))
	t.wanted.Store(end)
	at := head % t.size
	return t.ring[at : at+int64(n)]
}

// Advance publishes the first n bytes of the last Space. Readers are told of it when
// that makes MaxChunk since they were told last: who writes at full speed does not wake
// all of them for every few thousand bytes.
func (t *Tape) Advance(n int) {
	t.head.Add(int64(n))
	if t.untold += n; t.untold >= MaxChunk {
		t.Tell()
	}
}

// Tell wakes readers, if there is something that they have not been told of: to be
// called when there is nothing more to write for now.
func (t *Tape) Tell() {
	if t.untold > 0 {
		t.untold = 0
		t.wake()
	}
}

func (t *Tape) wake() {
	lookers := int64(0)
	t.mu.Lock()
	for c := range t.readers {
		if c.Hold() == Never {
			lookers++
		} else {
			c.signal()
		}
	}
	t.mu.Unlock()
	if t.lookers.Store(lookers); lookers > 0 {
		t.wakeLookers()
	}
}

// perLooker is how much later those who only look on are told, for each of them: a
// hundred get what they see ten times a second, after whoever is waited for, and leave
// them the processor.
const perLooker = time.Millisecond

func (t *Tape) wakeLookers() {
	if !t.late.Swap(true) {
		t.later.Reset(time.Duration(t.lookers.Load()) * perLooker)
	}
}

func (t *Tape) lookersTurn() {
	t.late.Store(false)
	t.mu.Lock()
	for c := range t.readers {
		if c.Hold() == Never {
			c.signal()
		}
	}
	t.mu.Unlock()
}

// Head is the offset after the last byte.
func (t *Tape) Head() int64 { return t.head.Load() }

// oldest is the offset of the first byte that readers may begin with. It keeps an
// eighth of the ring between them and the writer, which is what the writer would
// have to fill during one system call of a reader to spoil what that one sends.
func (t *Tape) oldest() int64 { return t.oldestWith(t.armed.Load()) }

// spare is how far the writer stays away from the place of a reader that it waits for, in
// bytes. What a reader has sent is on its way to a client for a while; when the reader's
// process dies meanwhile, the client asks the next process for it again. So it must hold
// what a socket, the client and the terminal behind it have room for.
func (t *Tape) spare() int64 { return max(t.size/8, min(8*MaxChunk, t.size/2)) }

// oldestFor is oldest for a reader, which the writer waits for (held) or not. One that is
// waited for may begin earlier: when the process that served it died, what it was sent last
// may not all have arrived, and it reads that again. Only what the writer may be
// overwriting just now is gone.
func (t *Tape) oldestFor(held bool) int64 {
	if held {
		return max(0, t.armed.Load()-t.size+min(MaxChunk, t.size/8)) // never more than oldest
	}
	return t.oldest()
}

func (t *Tape) oldestWith(armed int64) int64 { return max(0, armed-t.size+t.size/8) }

// Cursor is one reader's place. It belongs to one goroutine, but for SetHold.
type Cursor struct {
	t    *Tape
	hold atomic.Int32 // a Hold
	pos  atomic.Int64
	more chan struct{}

	held atomic.Bool // the writer waits for it; written with t.mu held
	was  int64       // its place when the writer looked last; -1: it has been put there since
}

// ErrClosed is returned where the tape has gone.
var ErrClosed = errors.New("tape is closed")

// Read makes a cursor at offset from, or at the oldest byte if that is gone, or
// at the end if that is beyond it; ErrClosed if the tape is closed. The caller
// closes it.
func (t *Tape) Read(from int64, hold Hold) (*Cursor, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	c := &Cursor{t: t, more: make(chan struct{}, 1)}
	c.hold.Store(int32(hold))
	c.held.Store(hold != Never)
	c.pos.Store(min(max(from, t.oldestFor(hold != Never)), t.Head()))
	c.more <- struct{}{} // the first look is free
	t.readers[c] = struct{}{}
	return c, nil
}

// Move puts the cursor at another offset, as Read would have. It may be used on a tape
// that is closed.
func (c *Cursor) Move(from int64) {
	c.t.mu.Lock()
	c.held.Store(c.Hold() != Never)
	c.was = -1
	c.pos.Store(min(max(from, c.t.oldestFor(c.held.Load())), c.t.Head()))
	c.t.mu.Unlock()
	c.tell()
}

// Close gives the cursor up, and with it every View.
func (c *Cursor) Close() error {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	delete(c.t.readers, c)
	c.tell()
	return c.t.free()
}

// More is ready when there may be more to view.
func (c *Cursor) More() <-chan struct{} { return c.more }

func (c *Cursor) signal() {
	select {
	case c.more <- struct{}{}:
	default: // it has been told
	}
}

// GiveWay says whether a reader, after what it has just read, is to wait for More though
// there is more: as one that only looks on is. What is printed at full speed it need not
// all see.
func (c *Cursor) GiveWay() bool {
	if c.Hold() != Never || !c.Behind() {
		return false
	}
	c.t.wakeLookers()
	return true
}

// Hold is how long the writer waits for it.
func (c *Cursor) Hold() Hold { return Hold(c.hold.Load()) }

// SetHold changes how long the writer waits for the cursor. It is for any goroutine.
func (c *Cursor) SetHold(hold Hold) {
	c.t.mu.Lock()
	if Hold(c.hold.Swap(int32(hold))) != hold {
		c.held.Store(hold != Never)
		c.was = -1
	}
	c.t.mu.Unlock()
	c.tell()
}

// Pos is the offset of the next byte to be viewed.
func (c *Cursor) Pos() int64 { return c.pos.Load() }

// Head is the offset after the last byte that there is to view.
func (c *Cursor) Head() int64 { return c.t.Head() }

// Size is the ring's, in bytes.
func (c *Cursor) Size() int64 { return c.t.size }

// Behind says whether there is something to view.
func (c *Cursor) Behind() bool { return c.Pos() < c.t.Head() }

// View returns what is to be read, at most limit bytes, and how many bytes were
// lost since the last View because the writer came too close: then the cursor has
// skipped to the middle of the ring. The slice is the ring itself: use it at once,
// then ask Intact, then Advance.
func (c *Cursor) View(limit int) (data []byte, lost int64) {
	pos, head := c.Pos(), c.t.Head()
	if pos < c.t.oldestFor(c.held.Load()) {
		middle := head - c.t.size/2
		lost = middle - pos
		pos = middle
		c.pos.Store(pos)
	}
	n := min(head-pos, int64(limit))
	at := pos % c.t.size
	return c.t.ring[at : at+n], lost
}

// Intact says whether the bytes of the last View are still what they were, which
// is to be asked after they were used.
func (c *Cursor) Intact() bool { return c.Pos() >= c.t.armed.Load()-c.t.size }

// Advance moves past n viewed bytes.
func (c *Cursor) Advance(n int) {
	c.pos.Add(int64(n))
	if c.Hold() == Never {
		return
	}
	if c.t.waiting.Load() {
		c.tell()
	}
	if !c.Behind() {
		c.t.mu.Lock()
		c.held.Store(c.Hold() != Never)
		c.t.mu.Unlock()
	}
}

// tell wakes the writer if it waits.
func (c *Cursor) tell() {
	select {
	case c.t.room <- struct{}{}:
	default: // it has been told
	}
}
