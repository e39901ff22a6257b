package tape

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// dead is what the next process finds when the one of t was killed just now.
func dead(t *testing.T, old *Tape) (*Tape, int64, error) {
	t.Helper()
	fd, err := unix.FcntlInt(uintptr(old.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	next, recovered, err := Open(fd)
	if err == nil {
		t.Cleanup(func() { next.Close() })
	}
	return next, recovered, err
}

func TestDeathAtAnyMoment(t *testing.T) {
	const size = 4 * MaxChunk
	now, err := New(size)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { now.Close() }()
	source := rand.New(rand.NewPCG(3, 4))
	var all []byte
	for range 400 { // several times around the ring
		n := 1 + source.IntN(20000)
		chunk := make([]byte, n)
		for i := range chunk {
			chunk[i] = byte(source.Uint32())
		}
		if n > 8 && source.IntN(4) == 0 { // the very fill, but for its first bytes
			fill(chunk[8:], now.Head()+8)
		}
		moment := source.IntN(4)
		if moment == 0 { // it dies before it reads
			now.Space(n)
		}
		if moment > 0 {
			copy(now.Space(n), chunk)
			all = append(all, chunk...)
		}
		if moment > 1 {
			now.Advance(n)
		}
		if moment < 3 {
			next, recovered, err := dead(t, now)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[int]int64{0: 0, 1: int64(n), 2: 0}[moment]; recovered != want {
				t.Fatalf("killed at moment %d of %d bytes: %d recovered", moment, n, recovered)
			}
			now = next
		}
		if now.Head() != int64(len(all)) {
			t.Fatalf("%d bytes, not %d", now.Head(), len(all))
		}
	}
	c, err := now.Read(0, Never)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	at := c.Pos()
	if at < now.Head()-size || at > now.Head()-size/2 {
		t.Errorf("the oldest byte is %d of %d", at, now.Head())
	}
	for c.Behind() {
		data, lost := c.View(MaxChunk)
		if lost != 0 || !bytes.Equal(data, all[c.Pos():c.Pos()+int64(len(data))]) {
			t.Fatalf("at %d other bytes, %d lost", c.Pos(), lost)
		}
		c.Advance(len(data))
	}
}

func TestNotes(t *testing.T) {
	now, err := New(4 * MaxChunk)
	if err != nil {
		t.Fatal(err)
	}
	defer now.Close()
	if now.Note() != nil {
		t.Error("a new tape has a note")
	}
	for _, note := range []string{"one", "another", "", string(bytes.Repeat([]byte("x"), MaxNote))} {
		if err := now.SetNote([]byte(note)); err != nil {
			t.Fatal(err)
		}
		now.Word(Words - 1).Add(1)
		next, _, err := dead(t, now)
		if err != nil || string(next.Note()) != note || next.Word(Words-1).Load() != now.Word(Words-1).Load() {
			t.Errorf("%.10q: %v", note, err)
		}
	}
	if now.SetNote(make([]byte, MaxNote+1)) == nil {
		t.Error("a note that is too long")
	}
}

func TestPictures(t *testing.T) {
	now, err := New(4 * MaxChunk)
	if err != nil {
		t.Fatal(err)
	}
	defer now.Close()
	if now.Picture() != nil {
		t.Error("a new tape has a picture")
	}
	copy(now.Space(MaxChunk), bytes.Repeat([]byte("o"), MaxChunk))
	now.Advance(MaxChunk)
	for _, picture := range []string{"one", string(bytes.Repeat([]byte("x"), MaxPicture)), "another", ""} {
		if err := now.SetPicture([]byte(picture)); err != nil {
			t.Fatal(err)
		}
		next, _, err := dead(t, now)
		if err != nil || string(next.Picture()) != picture {
			t.Errorf("%.10q: %v", picture, err)
		}
	}
	if now.SetPicture(make([]byte, MaxPicture+1)) == nil {
		t.Error("a picture that is too large")
	}
	c, err := now.Read(0, Never)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if data, _ := c.View(MaxChunk); len(data) != MaxChunk || bytes.Count(data, []byte("o")) != MaxChunk {
		t.Error("a picture has spoilt the ring")
	}
}

// What another program made, or none, is refused, and said to be so.
func TestOpenRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Tape){
		"another file": func(t *Tape) { t.magic[0]++ },
		"a newer one":  func(t *Tape) { t.version++ },
		"a newer one with another header": func(t *Tape) {
			t.version++
			_ = unix.Ftruncate(t.FD(), ringAt+t.size-1)
		},
		"no version":   func(t *Tape) { t.version = 0 },
		"another size": func(t *Tape) { t.header.size++ },
		"head is bad":  func(t *Tape) { t.head.Store(-1) },
		"armed is bad": func(t *Tape) { t.armed.Store(1 << 40) },
	} {
		now, err := New(4 * MaxChunk)
		if err != nil {
			t.Fatal(err)
		}
		spoil(now)
		if _, _, err := dead(t, now); err == nil || errors.Is(err, ErrVersion) != strings.HasPrefix(name, "a newer one") {
			t.Errorf("%s: %v", name, err)
		}
		now.Close()
	}
	fd, err := unix.MemfdCreate("x", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(fd); err == nil {
		t.Error("an empty file is a tape")
	}
}

// A client that comes back gets what was on its way to it when the process died, though the
// writer had come as near as it may; and it is waited for again for as long as one that has
// just begun.
func TestBackAfterADeath(t *testing.T) {
	const onItsWay = 400 << 10
	for _, size := range []int{16 * MaxChunk, 64 * MaxChunk, 1024 * MaxChunk} {
		old, err := New(size)
		if err != nil {
			t.Fatal(err)
		}
		defer old.Close()
		c, err := old.Read(0, WhileReading)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for !old.blocked(false) {
			put(old, make([]byte, MaxChunk))
			if c.Pos() < 2*int64(size) { // around the ring
				c.Advance(MaxChunk)
			}
		}
		want := c.Pos() - onItsWay
		for range 3 { // deaths, before it has come any further
			now, _, err := dead(t, old)
			if err != nil {
				t.Fatal(err)
			}
			back, err := now.Read(0, Always)
			if err != nil {
				t.Fatal(err)
			}
			defer back.Close()
			if !now.blocked(true) {
				t.Error("the writer goes on before the client is back")
			}
			back.Move(want)
			back.SetHold(WhileReading)
			if !now.blocked(true) {
				t.Error("the client is given up as soon as it is back")
			}
			if data, lost := back.View(MaxChunk); lost > 0 || back.Pos() != want || len(data) != MaxChunk {
				t.Errorf("of a tape of %d bytes it gets %d bytes at %d, not at %d; %d are lost", size, len(data), back.Pos(), want, lost)
			}
			old = now
		}
	}
}
