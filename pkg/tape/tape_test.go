package tape

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const size = 4 * MaxChunk

func newTape(t testing.TB) *Tape {
	t.Helper()
	tp, err := New(size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tp.Close() })
	return tp
}

func put(tp *Tape, data []byte) {
	tp.Advance(copy(tp.Space(MaxChunk), data))
	tp.Tell()
}

func cursor(t testing.TB, tp *Tape, from int64) *Cursor {
	t.Helper()
	c, err := tp.Read(from, Never)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Of a tape that is forgotten nothing is mapped, and what was known of it still is.
func TestForget(t *testing.T) {
	mapped := func(of *Tape) int {
		var st unix.Stat_t
		if err := unix.Fstat(of.fd, &st); err != nil {
			t.Fatal(err)
		}
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(maps, fmt.Appendf(nil, " %d ", st.Ino))
	}
	tp, err := New(size)
	if err != nil {
		t.Fatal(err)
	}
	put(tp, []byte("some"))
	tp.words[3].Store(7)
	if mapped(tp) == 0 {
		t.Fatal("it is not found")
	}
	fd, err := unix.FcntlInt(uintptr(tp.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := tp.Close(); err != nil {
		t.Fatal(err)
	}
	if err := tp.Forget(); err != nil {
		t.Fatal(err)
	}
	if n := mapped(&Tape{fd: fd}); n > 0 || tp.Head() != 4 || tp.words[3].Load() != 7 {
		t.Errorf("it is mapped %d times, %d bytes, %d", n, tp.Head(), tp.words[3].Load())
	}
	tp.words[3].Store(8)
	if tp.words[3].Load() != 8 {
		t.Error("its words are no more")
	}
}

// A reader that keeps up gets every byte, once, across many turns of the ring.
func TestKeepingUp(t *testing.T) {
	tp := newTape(t)
	c := cursor(t, tp, 0)
	wrote, read := sha256.New(), sha256.New()
	chunk := make([]byte, MaxChunk)
	rnd := rand.NewChaCha8([32]byte{})
	for i := range 200 {
		rnd.Read(chunk)
		part := chunk[:1+(i*7919)%MaxChunk]
		wrote.Write(part)
		put(tp, part)
		for c.Behind() {
			data, lost := c.View(5000)
			if lost != 0 {
				t.Fatalf("lost %d bytes", lost)
			}
			read.Write(data)
			if !c.Intact() {
				t.Fatal("overtaken by nobody")
			}
			c.Advance(len(data))
		}
	}
	if c.Pos() != tp.Head() || !bytes.Equal(wrote.Sum(nil), read.Sum(nil)) {
		t.Errorf("read something else than was written")
	}
}

// One that falls behind is told exactly how much it lost, and goes on with what
// is there.
func TestFallingBehind(t *testing.T) {
	tp := newTape(t)
	c := cursor(t, tp, 0)
	line := make([]byte, MaxChunk)
	for i := range 20 {
		for j := range line {
			line[j] = byte(i)
		}
		put(tp, line)
	}
	data, lost := c.View(10)
	if lost <= 0 || c.Pos() != lost || lost != 20*MaxChunk-size/2 {
		t.Fatalf("lost %d, now at %d", lost, c.Pos())
	}
	if want := byte(c.Pos() / MaxChunk); data[0] != want {
		t.Errorf("byte %d where %d was written", data[0], want)
	}
	if _, lost := c.View(10); lost != 0 {
		t.Errorf("lost %d more", lost)
	}
}

// Spoilt is noticed: a view that the writer has gone over is not intact.
func TestIntact(t *testing.T) {
	tp := newTape(t)
	put(tp, make([]byte, 100))
	c := cursor(t, tp, 0)
	if _, lost := c.View(100); lost != 0 || !c.Intact() {
		t.Fatal("spoilt at once")
	}
	for range size/MaxChunk - 1 {
		put(tp, make([]byte, MaxChunk))
	}
	tp.Space(MaxChunk) // armed: the writer may be writing there now
	if c.Intact() {
		t.Error("not noticed")
	}
}

func TestLateReader(t *testing.T) {
	tp := newTape(t)
	put(tp, []byte("hello"))
	for from, want := range map[int64]string{-1: "hello", 0: "hello", 2: "llo", 5: "", 99: ""} {
		c := cursor(t, tp, from)
		if data, lost := c.View(100); string(data) != want || lost != 0 {
			t.Errorf("from %d: %q, lost %d", from, data, lost)
		}
	}
}

// The memory outlives the writer while somebody reads it.
func TestCloseOrder(t *testing.T) {
	tp := newTape(t)
	put(tp, []byte("last words"))
	c := cursor(t, tp, 0)
	if err := tp.Close(); err != nil {
		t.Fatal(err)
	}
	if data, _ := c.View(100); string(data) != "last words" {
		t.Errorf("%q", data)
	}
	if _, err := tp.Read(0, Never); err != ErrClosed {
		t.Errorf("%v", err)
	}
	if err := c.Close(); err != nil || tp.ring != nil {
		t.Errorf("not freed: %v", err)
	}
}

func TestMore(t *testing.T) {
	tp := newTape(t)
	c := cursor(t, tp, 0)
	<-c.More()
	select {
	case <-c.More():
		t.Fatal("told of nothing")
	default:
	}
	put(tp, []byte("x"))
	put(tp, []byte("y"))
	<-c.More()
	if data, _ := c.View(10); string(data) != "xy" {
		t.Errorf("%q", data)
	}
}

func TestNothingIsAllocatedPerChunk(t *testing.T) {
	tp := newTape(t)
	c := cursor(t, tp, 0)
	data := make([]byte, 4096)
	if n := testing.AllocsPerRun(1000, func() {
		put(tp, data)
		<-c.More()
		for c.Behind() {
			d, _ := c.View(MaxChunk)
			io.Discard.Write(d)
			c.Advance(len(d))
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A reader that must have every byte gets it, however slow; one that reads on is
// waited for too; one that stopped is not, and gets its hold back by catching up.
func TestWait(t *testing.T) {
	const stall = 20 * time.Millisecond
	tp := newTape(t)
	always, err := tp.Read(0, Always)
	if err != nil {
		t.Fatal(err)
	}
	stopped, err := tp.Read(0, WhileReading)
	if err != nil {
		t.Fatal(err)
	}
	defer stopped.Close()
	const chunks = 60
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		for i := range chunks {
			tp.Wait(stall)
			for j, space := 0, tp.Space(MaxChunk); j < MaxChunk; j++ {
				space[j] = byte(i)
			}
			tp.Advance(MaxChunk)
		}
	}()
	for want := int64(0); want < chunks*MaxChunk; {
		<-always.More()
		for always.Behind() {
			data, lost := always.View(1000)
			if lost != 0 || data[0] != byte(always.Pos()/MaxChunk) {
				t.Fatalf("at %d: lost %d, read %d", always.Pos(), lost, data[0])
			}
			always.Advance(len(data))
			want = always.Pos()
		}
	}
	<-wrote
	if _, lost := stopped.View(1000); lost == 0 {
		t.Error("a reader that had stopped was waited for to the end")
	}
	if stopped.held.Load() {
		t.Error("held before it caught up")
	}
	for stopped.Behind() {
		data, _ := stopped.View(MaxChunk)
		stopped.Advance(len(data))
	}
	if !stopped.held.Load() {
		t.Error("not held again")
	}
	// Gone is not waited for.
	always.Close()
	stopped.Advance(0)
}

// Readers are told of a full chunk, or of what there is when the writer says so.
func TestTelling(t *testing.T) {
	tp := newTape(t)
	c, err := tp.Read(0, Always)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	<-c.More() // the first look is free
	told := func() bool {
		select {
		case <-c.More():
			return true
		default:
			return false
		}
	}
	for _, step := range []struct {
		bytes int
		tell  bool
		want  bool
	}{{MaxChunk - 1, false, false}, {1, false, true}, {1, false, false}, {0, true, true}, {0, true, false}, {MaxChunk - 1, false, false}} {
		tp.Space(step.bytes)
		tp.Advance(step.bytes)
		if step.tell {
			tp.Tell()
		}
		if told() != step.want {
			t.Errorf("%+v", step)
		}
	}
}

// A reader that goes away while the writer waits for it wakes it.
func TestCloseWakes(t *testing.T) {
	tp := newTape(t)
	c, err := tp.Read(0, Always)
	if err != nil {
		t.Fatal(err)
	}
	for !tp.blocked(false) {
		put(tp, make([]byte, MaxChunk))
	}
	done := make(chan struct{})
	go func() { tp.Wait(time.Hour); close(done) }()
	c.Close()
	<-done
}

// A reader that is waited for may go back some frames, as a client does that comes back: also
// when the writer has come as near as it may, and also when it is waited for only while it
// reads from then on.
func TestBackByAFrame(t *testing.T) {
	for name, hold := range map[string]Hold{"always": Always, "while reading": WhileReading} {
		t.Run(name, func(t *testing.T) { backByAFrame(t, hold) })
	}
}

func backByAFrame(t *testing.T, hold Hold) {
	tp, err := New(16 * MaxChunk) // the smallest that a profile may have
	if err != nil {
		t.Fatal(err)
	}
	defer tp.Close()
	c, err := tp.Read(0, Always)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for !tp.blocked(false) {
		put(tp, make([]byte, MaxChunk))
		if c.Pos() < 100*MaxChunk { // several times around the ring
			c.Advance(MaxChunk)
		}
	}
	const back = 7 * MaxChunk // as much as may be on its way
	at := c.Pos()
	c.Move(at - back)
	c.SetHold(hold)
	if c.Pos() != at-back {
		t.Errorf("it is at %d, not %d", c.Pos(), at-back)
	}
	if data, lost := c.View(MaxChunk); lost > 0 || len(data) != MaxChunk {
		t.Errorf("%d bytes, %d lost", len(data), lost)
	}
	if !tp.blocked(true) || hold == WhileReading && tp.blocked(true) {
		t.Error("it is not waited for as it should be")
	}
	if data, lost := c.View(MaxChunk); hold == WhileReading && (lost == 0 || len(data) != MaxChunk) {
		t.Errorf("given up, it gets %d bytes, %d lost", len(data), lost)
	}
}
