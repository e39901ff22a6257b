package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/tape"
)

// A session outlives the bridge that has it: its descriptors are kept elsewhere, and
// what is known of it stands in its tape. These are the tape's words.
const (
	wordRan     = iota // 1: its program was started
	wordEnd            // 1<<32 | its wait status
	wordTold           // 1: its end was recorded and told
	wordReports        // what the program asked its terminal to report: see SetReports
	wordDriver         // the token of the client that drives: see SetDriver
	wordKills          // how many times AaaU has had it killed: see Killing
	wordStarved        // how many processes killed for want of memory people were told of: see SetStarved
	wordLooks   = 8    // lookWords for each Look
	wordMoments = 32   // one for each Moment
	wordPlaces  = 64   // placeWords for each place
)

const (
	placeWords = 4
	maxPlaces  = (tape.Words - wordPlaces) / placeWords
)

func (s *Session) word(i int) *atomic.Uint64 { return s.tracks[0].tape.Word(i) }

// Focus is what a program was told of its terminal's focus.
type Focus uint8

const (
	FocusUnknown Focus = iota // nothing yet
	FocusIn
	FocusOut
)

// SetReports keeps, for the next process, whether the program asked for reports of its
// terminal's focus and of its size, and what it was told of the focus.
func (s *Session) SetReports(focusOn, sizeOn bool, told Focus) {
	v := uint64(told) << 2
	if focusOn {
		v |= 1
	}
	if sizeOn {
		v |= 2
	}
	s.word(wordReports).Store(v)
}

// Reports is what SetReports was told last.
func (s *Session) Reports() (focusOn, sizeOn bool, told Focus) {
	v := s.word(wordReports).Load()
	return v&1 != 0, v&2 != 0, Focus(v >> 2 & 3)
}

// SetDriver keeps, for the next process, the token of the client whose terminal the session
// follows; 0 if that client has none.
func (s *Session) SetDriver(token uint64) { s.word(wordDriver).Store(token) }

// Driver is what SetDriver was told last.
func (s *Session) Driver() uint64 { return s.word(wordDriver).Load() }

// SetStarved keeps, for the next process, of how many processes people were told that the kernel
// killed them for want of memory.
func (s *Session) SetStarved(told int64) { s.word(wordStarved).Store(uint64(told)) }

// Starved is what SetStarved was told last.
func (s *Session) Starved() int64 { return int64(s.word(wordStarved).Load()) }

// Killing notes, for the next process too, that AaaU itself is about to end the session by
// SIGKILL: an end without a word of the stage's is then that one. It comes before the kill.
// The caller calls undo if the kill was not sent.
func (s *Session) Killing() (undo func()) {
	s.word(wordKills).Add(1)
	return func() { s.word(wordKills).Add(^uint64(0)) }
}

// isKilled says whether AaaU has ended the session by SIGKILL.
func (s *Session) isKilled() bool { return s.word(wordKills).Load() != 0 }

// Lend has f keep what another process needs to Adopt the session: its tapes and its
// descriptors, which stay the session's, and stay open until f returns. ErrEnded if
// they are not open any more. With noInput, which is the caller's, the program's input
// is not among them, but that.
func (s *Session) Lend(noInput int, f func(parcel []int) error) error {
	s.lending.Lock()
	defer s.lending.Unlock()
	if s.fds == nil {
		return ErrEnded
	}
	var fds []int
	for _, t := range s.tracks {
		fds = append(fds, t.tape.FD())
	}
	fds = append(fds, s.fds...)
	if noInput >= 0 {
		fds[len(s.tracks)] = noInput
	}
	return f(fds)
}

// recall ends all lending: the descriptors are about to be closed.
func (s *Session) recall() {
	s.lending.Lock()
	defer s.lending.Unlock()
	s.fds = nil
}

// SetNote keeps what the session's owner has to know of it.
func (s *Session) SetNote(note []byte) error { return s.tracks[0].tape.SetNote(note) }

// A Look is one way to go through a session's output. What does so may fall over it, and
// the bridge with it; the next one must not do so again and again.
type Look int

const (
	Scan  Look = iota // for what concerns people
	Draw              // onto a screen
	looks             // how many there are
)

const (
	lookDone  = iota // up to where it has come
	lookBusy         // 1: while it goes on from there
	lookFell         // where a bridge died while it did
	lookFalls        // how often in a row just there
	lookWords
)

func (s *Session) lookWord(l Look, which int) *atomic.Uint64 {
	return s.word(wordLooks + int(l)*lookWords + which)
}

// Looking notes that output from an offset on is gone through, Looked that it was, up to
// another.
func (s *Session) Looking(l Look, from int64) {
	s.lookWord(l, lookDone).Store(uint64(from))
	s.lookWord(l, lookBusy).Store(1)
}

// Looked is the end of a Looking.
func (s *Session) Looked(l Look, to int64) {
	s.lookWord(l, lookBusy).Store(0)
	s.lookWord(l, lookDone).Store(uint64(to))
}

// Pause has something done amid a Looking that is no part of it: a bridge that dies meanwhile
// does not die of the output.
func (s *Session) Pause(l Look, do func()) {
	busy := s.lookWord(l, lookBusy)
	busy.Store(0)
	do()
	busy.Store(1)
}

// LookedTo is up to where the output was gone through.
func (s *Session) LookedTo(l Look) int64 { return int64(s.lookWord(l, lookDone).Load()) }

// maxFalls is how often a bridge may die over the very same output.
const maxFalls = 3

// fall counts how often a bridge died over the output where the last one was; where it
// was elsewhere, or at nothing, it died of something else.
func (s *Session) fall() {
	for l := range looks {
		busy, fell, falls := s.lookWord(l, lookBusy), s.lookWord(l, lookFell), s.lookWord(l, lookFalls)
		at := s.lookWord(l, lookDone).Load()
		switch {
		case busy.Load() == 0:
			falls.Store(0)
		case fell.Load() != at:
			fell.Store(at)
			falls.Store(1)
		default:
			falls.Add(1)
		}
		busy.Store(0)
	}
}

// Poisonous says whether bridges die over the session's output: it is only to be kept,
// and not to be gone through.
func (s *Session) Poisonous() bool {
	for l := range looks {
		if s.lookWord(l, lookFalls).Load() >= maxFalls {
			return true
		}
	}
	return false
}

// SetPoisonous says so, where one fell over it and could get up again.
func (s *Session) SetPoisonous() { s.lookWord(Scan, lookFalls).Store(maxFalls) }

// A Picture is what makes a new screen of a size show what the session's showed at an
// offset of its output.
type Picture struct {
	At         int64
	Rows, Cols uint16
	Snapshot   []byte // at most MaxPicture
}

const pictureHead = 8 + 2 + 2

// MaxPicture bounds a Picture, in bytes.
const MaxPicture = tape.MaxPicture - pictureHead

// SetPicture keeps a picture for the next process; see SetNote.
func (s *Session) SetPicture(p Picture) error {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, pictureHead+len(p.Snapshot)), uint64(p.At))
	b = binary.LittleEndian.AppendUint16(b, p.Rows)
	b = binary.LittleEndian.AppendUint16(b, p.Cols)
	return s.tracks[0].tape.SetPicture(append(b, p.Snapshot...))
}

// Picture is the last picture that was kept; false if there is none.
func (s *Session) Picture() (Picture, bool) {
	b := s.tracks[0].tape.Picture()
	if len(b) < pictureHead {
		return Picture{}, false
	}
	return Picture{
		At:       int64(binary.LittleEndian.Uint64(b)),
		Rows:     binary.LittleEndian.Uint16(b[8:]),
		Cols:     binary.LittleEndian.Uint16(b[10:]),
		Snapshot: b[pictureHead:],
	}, true
}

// PictureAt is the offset of the last picture that was kept; 0 if there is none.
func (s *Session) PictureAt() int64 {
	at := make([]byte, 8)
	if !s.tracks[0].tape.PictureHead(at) {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(at))
}

// Close lets go of a session that was never started.
func (s *Session) Close() {
	for _, f := range []*os.File{s.input, s.pidfd, s.status, s.Mounts} {
		f.Close()
	}
	for _, t := range s.tracks {
		t.from.Close()
		t.tape.Close()
	}
}

// Told says whether the session's end was told; SetTold that it is.
func (s *Session) Told() bool { return s.word(wordTold).Load() != 0 }
func (s *Session) SetTold()   { s.word(wordTold).Store(1) }

// Adopt takes a session over from a process that is no more. info is called with the
// note. The descriptors are the session's, also beside an error. Recovered is how
// many bytes of output that process had read and not counted.
func Adopt(parcel []int, info func(note []byte) (Info, error)) (s *Session, recovered int64, err error) {
	if len(parcel) == 0 {
		return nil, 0, errors.New("an empty parcel")
	}
	t, recovered, err := tape.Open(parcel[0])
	if err != nil {
		privsep.Close(parcel[1:]...)
		return nil, 0, err
	}
	tapes, rest := []*tape.Tape{t}, parcel[1:]
	i, err := info(t.Note())
	for err == nil && len(tapes) < ways(i.SeparateErrors()) && len(rest) > 0 {
		var more int64
		if t, more, err = tape.Open(rest[0]); err == nil {
			tapes = append(tapes, t)
		}
		recovered, rest = recovered+more, rest[1:]
	}
	if err != nil {
		privsep.Close(rest...)
		closeTapes(tapes)
		return nil, 0, fmt.Errorf("taking a session over: %w", err)
	}
	if s, err = take(i, tapes, rest); err != nil {
		return nil, 0, err
	}
	for n := range maxPlaces {
		if token := s.placeWord(n, placeToken).Load(); token != 0 {
			s.places.taken = append(s.places.taken, &Place{s: s, n: n})
		}
	}
	s.fall()
	s.ran.Store(s.word(wordRan).Load() != 0)
	if len(s.Locks) > 0 {
		s.expose() // it may have been said to who is no more
	}
	return s, recovered, nil
}

// A Place is a client's in a session, while it is there and until it comes back: how
// much of its input the program got. What was being written when a bridge died may
// have been written or not; it is never written again.
type Place struct {
	s     *Session
	n     int
	users int // connections that have it, of one client; guarded by places.mu

	typing sync.Mutex // held by Type: its end is what Typed waits for
}

const (
	placeToken  = iota // the client's own secret; 0: the place is free
	placeTyped         // how many bytes of it were written
	placeIntent        // how many will have been, when the Write under way is done
	placeHold          // a tape.Hold
)

type places struct {
	mu    sync.Mutex // guards taken, and which places are
	taken []*Place
}

func (s *Session) placeWord(n, which int) *atomic.Uint64 {
	return s.word(wordPlaces + n*placeWords + which)
}

// Place finds the place of a client by its token, or makes one; nil if it has no token,
// or there are too many clients.
func (s *Session) Place(token uint64, hold tape.Hold) *Place {
	if token == 0 {
		return nil
	}
	s.places.mu.Lock()
	defer s.places.mu.Unlock()
	used := map[int]bool{}
	for _, p := range s.places.taken {
		if p.s.placeWord(p.n, placeToken).Load() == token {
			p.s.placeWord(p.n, placeHold).Store(uint64(hold))
			p.users++
			return p
		}
		used[p.n] = true
	}
	for n := range maxPlaces {
		if used[n] {
			continue
		}
		for which, v := range map[int]uint64{placeTyped: 0, placeIntent: 0, placeHold: uint64(hold)} {
			s.placeWord(n, which).Store(v)
		}
		s.placeWord(n, placeToken).Store(token)
		p := &Place{s: s, n: n, users: 1}
		s.places.taken = append(s.places.taken, p)
		return p
	}
	return nil
}

// Places are those that are taken.
func (s *Session) Places() []*Place {
	s.places.mu.Lock()
	defer s.places.mu.Unlock()
	return append([]*Place(nil), s.places.taken...)
}

// Free gives a place up, as often as it was found: else it could be another's while the
// client still types. A nil Place has nothing to give up, and so on.
func (p *Place) Free() {
	if p == nil {
		return
	}
	p.s.places.mu.Lock()
	defer p.s.places.mu.Unlock()
	if p.users--; p.users > 0 {
		return
	}
	p.s.placeWord(p.n, placeToken).Store(0)
	for i, q := range p.s.places.taken {
		if q.n == p.n {
			p.s.places.taken = append(p.s.places.taken[:i], p.s.places.taken[i+1:]...)
			return
		}
	}
}

// Token is the client's.
func (p *Place) Token() uint64 { return p.s.placeWord(p.n, placeToken).Load() }

// Hold is how the client's cursors were made.
func (p *Place) Hold() tape.Hold { return tape.Hold(p.s.placeWord(p.n, placeHold).Load()) }

// Typed is how many bytes of the client's the program got, and how many after those
// it may have got or not. It settles the latter: they count as typed from now on.
func (p *Place) Typed() (typed, unknown uint64) {
	if p == nil {
		return 0, 0
	}
	p.typing.Lock()
	defer p.typing.Unlock()
	t, intent := p.s.placeWord(p.n, placeTyped), p.s.placeWord(p.n, placeIntent)
	typed = t.Load()
	unknown = intent.Load() - typed
	t.Store(intent.Load())
	return typed, unknown
}

// Skip counts n bytes of the client's as dealt with that the program is not to get.
func (p *Place) Skip(n int) {
	if p == nil || n <= 0 {
		return
	}
	p.typing.Lock()
	defer p.typing.Unlock()
	p.done(n)
}

func (p *Place) intends(n int) {
	if p != nil {
		p.s.placeWord(p.n, placeIntent).Store(p.s.placeWord(p.n, placeTyped).Load() + uint64(n))
	}
}

// done says that n bytes of what was intended were written, and no more will be.
func (p *Place) done(n int) {
	if p != nil {
		typed := p.s.placeWord(p.n, placeTyped).Add(uint64(n))
		p.s.placeWord(p.n, placeIntent).Store(typed)
	}
}
