package tape

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The memory of a tape, which other processes map after this one:
//
//	┌────────┬────────┬────────┬──────────────┬───────────┬───────────┐
//	│ header │ note 0 │ note 1 │ ring         │ picture 0 │ picture 1 │
//	└────────┴────────┴────────┴──────────────┴───────────┴───────────┘
//
// A process may be killed at any instruction, also inside the read that fills the
// ring: the kernel has then copied bytes that nobody has counted. So it is said before
// each read how many bytes it will return, which the kernel knows (FIONREAD), and the
// space for them is filled with what hardly any program prints, bytes that UTF-8 never
// has. After a death there is nothing but the fill, and nothing was read; or there is
// something else, and all of it was. (Raw output that is exactly the fill, all of a
// read, is lost: one byte of 0xF8 to 0xFF by itself with a probability of 1/8, of
// eight such in a row 1/16,777,216.)
const (
	// version is of all that stands here and in a session's words and note. Whoever
	// changes what it means raises it, and still takes what was made before: a package
	// is upgraded under its sessions.
	version = 1
	noteAt  = 4096
	// MaxNote bounds a Note, in bytes.
	MaxNote = 128<<10 - 8
	ringAt  = noteAt + 2*(MaxNote+8)
	// MaxPicture bounds a Picture, in bytes. It takes no memory before it is there.
	MaxPicture = 2<<20 + 4096 - 8
	// Words is how many words of its own the tape's owner has in the header.
	Words = 448
)

var magic = [8]byte{'A', 'a', 'a', 'U', 't', 'a', 'p', 'e'}

// header is what stands at the memory's beginning. It is written by the one process
// that has the tape, and read by the next.
type header struct {
	magic   [8]byte
	version uint32
	_       uint32
	size    int64        // of the ring
	head    atomic.Int64 // end of what was written
	armed   atomic.Int64 // end of what the writer may be writing just now
	filled  atomic.Int64 // up to here there is the fill from head on, or what was read
	wanted  atomic.Int64 // where head is when the read under way is done
	notes   atomic.Int64 // how many were written; the last is in slot notes%2
	drawn   atomic.Int64 // how many pictures were
	_       [(512 - 72) / 8]int64
	words   [Words]atomic.Uint64
}

// memory is how many bytes a tape's is in all.
func memory(size int) int64 { return int64(ringAt + size + 2*(8+MaxPicture)) }

func (t *Tape) begin(size int) {
	t.magic, t.version, t.header.size = magic, version, int64(size)
}

// ErrVersion is returned for a tape that was made by a newer program. It stays as it is.
var ErrVersion = errors.New("its tape is of a newer version")

// check reads only what every version has where it is: there is no telling how the
// rest of a newer one is to be read.
func check(fd int) error {
	var start [unsafe.Offsetof(header{}.version) + unsafe.Sizeof(header{}.version)]byte
	if _, err := unix.Pread(fd, start[:], 0); err != nil { // what it lacks stays 0
		return fmt.Errorf("looking at the tape: %w", err)
	}
	made := binary.NativeEndian.Uint32(start[len(magic):])
	switch {
	case [len(magic)]byte(start[:]) != magic || made == 0:
		return errors.New("no tape")
	case made > version:
		return fmt.Errorf("%w: %d, and this program knows %d", ErrVersion, made, version)
	}
	return nil
}

// Open takes over the tape whose memory fd is, from a process that is no more, and
// says how many bytes were read by that one and not counted. The descriptor is the
// tape's, also beside an error.
func Open(fd int) (t *Tape, recovered int64, err error) {
	if err := check(fd); err != nil {
		unix.Close(fd)
		return nil, 0, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, 0, fmt.Errorf("looking at the tape: %w", err)
	}
	if st.Size < ringAt {
		unix.Close(fd)
		return nil, 0, fmt.Errorf("no tape: it has %d bytes", st.Size)
	}
	if t, err = mapped(fd); err != nil {
		return nil, 0, err
	}
	size, head, armed, filled, wanted := t.header.size, t.head.Load(), t.armed.Load(), t.filled.Load(), t.wanted.Load()
	if size < 4*MaxChunk || size > 1<<40 || size%int64(unix.Getpagesize()) != 0 || st.Size != memory(int(size)) ||
		head < 0 || wanted > filled || filled > armed || armed > head+MaxChunk || armed < head && armed != 0 {
		unix.Close(fd)
		return nil, 0, errors.New("the tape's header makes no sense")
	}
	if err = t.mapRing(); err != nil {
		return nil, 0, err
	}
	for at := head; at < wanted; at++ {
		if t.ring[at%size] != filling(at) {
			recovered = wanted - head
			t.head.Store(wanted)
			break
		}
	}
	return t, recovered, nil
}

// FD is the tape's memory, and stays the tape's.
func (t *Tape) FD() int { return t.fd }

// Word is one of the words that are the owner's, from 0 to Words-1. They are 0 on a
// new tape.
func (t *Tape) Word(i int) *atomic.Uint64 { return &t.words[i] }

// SetNote replaces the note, at most MaxNote bytes of the owner's: a reader finds the
// one before or this one, and nothing between. It is for one goroutine at a time.
func (t *Tape) SetNote(note []byte) error {
	if len(note) > MaxNote {
		return fmt.Errorf("a note of %d bytes, at most %d", len(note), MaxNote)
	}
	n := t.notes.Load() + 1
	slot := t.slot(n)
	for i := range 8 {
		slot[i] = byte(len(note) >> (8 * i))
	}
	copy(slot[8:], note)
	t.notes.Store(n)
	return nil
}

// Note is a copy of the last note, nil if there was none.
func (t *Tape) Note() []byte {
	n := t.notes.Load()
	if n == 0 {
		return nil
	}
	slot, size := t.slot(n), 0
	for i := range 8 {
		size |= int(slot[i]) << (8 * i)
	}
	return append([]byte(nil), slot[8:8+max(0, min(size, MaxNote))]...)
}

func (t *Tape) slot(n int64) []byte {
	at := noteAt + int(n%2)*(MaxNote+8)
	return t.page[at : at+8+MaxNote]
}

// pwritev is the kernel's; a test has it write less.
var pwritev = unix.Pwritev

// SetPicture replaces the picture, which is like a note, but is large, and changes more
// rarely. It is for one goroutine at a time, while the tape or a cursor is open.
func (t *Tape) SetPicture(picture []byte) error {
	if len(picture) > MaxPicture {
		return fmt.Errorf("a picture of %d bytes, at most %d", len(picture), MaxPicture)
	}
	n := t.drawn.Load() + 1
	length := binary.LittleEndian.AppendUint64(nil, uint64(len(picture)))
	written, err := pwritev(t.fd, [][]byte{length, picture}, t.pictureAt(n))
	if err == nil && written < 8+len(picture) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("keeping a picture: %d of %d bytes were written: %w", max(written, 0), 8+len(picture), err)
	}
	t.drawn.Store(n)
	return nil
}

// Picture is a copy of the last picture, nil if there was none.
func (t *Tape) Picture() []byte {
	n := t.drawn.Load()
	length := make([]byte, 8)
	if n == 0 {
		return nil
	}
	if _, err := unix.Pread(t.fd, length, t.pictureAt(n)); err != nil {
		return nil
	}
	picture := make([]byte, min(binary.LittleEndian.Uint64(length), MaxPicture))
	if n, err := unix.Pread(t.fd, picture, t.pictureAt(n)+8); err != nil || n < len(picture) {
		return nil
	}
	return picture
}

// PictureHead reads the first bytes of the last picture into head, without the rest, and
// says whether the picture has so many.
func (t *Tape) PictureHead(head []byte) bool {
	n := t.drawn.Load()
	length := make([]byte, 8)
	if n == 0 {
		return false
	}
	if _, err := unix.Pread(t.fd, length, t.pictureAt(n)); err != nil || binary.LittleEndian.Uint64(length) < uint64(len(head)) {
		return false
	}
	got, err := unix.Pread(t.fd, head, t.pictureAt(n)+8)
	return err == nil && got == len(head)
}

func (t *Tape) pictureAt(n int64) int64 { return ringAt + t.size + n%2*(8+MaxPicture) }

// fillTable is the fill, which has a period of its length: 0xF8 to 0xFF, as random as
// need be, so that no output of a simple pattern runs along with it.
var fillTable = func() (table [1 << 16]byte) {
	x := uint32(0x9e3779b9)
	for i := range table {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		table[i] = 0xf8 | byte(x>>16)&7
	}
	return table
}()

func filling(offset int64) byte { return fillTable[offset%int64(len(fillTable))] }

// fill fills p, which is at this offset.
func fill(p []byte, offset int64) {
	for len(p) > 0 {
		n := copy(p, fillTable[offset%int64(len(fillTable)):])
		p, offset = p[n:], offset+int64(n)
	}
}
