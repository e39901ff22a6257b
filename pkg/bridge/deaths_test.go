package bridge

import (
	"strings"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/tape"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// The watcher of a next bridge does not keep the program waiting: its cursors begin where
// the picture was made, or it draws at once, though nothing new is printed.
func TestNextBridgeIsNotWaitedFor(t *testing.T) {
	h := start(t, nil)
	id := h.printer(`yes $'a line of it\r' | head -c 10000000`, wire.Size{Rows: 24, Cols: 80})
	h.shows(id, "drawn")
	l := h.live(id)
	head := l.Bytes()
	next := newDrawing(l, tape.WhileReading)
	if at := next.cursor.Pos(); at != l.PictureAt() || head-at > 2*next.lot() {
		t.Errorf("the next drawing begins at %d, with the picture of %d, of %d bytes", at, l.PictureAt(), head)
	}
	next.keepUp(next.cursor.Pos()) // nothing is drawn, and nothing to be kept
	if next.screen != nil {
		t.Error("it was drawn for nothing")
	}
	next.cursor.Move(0) // as if the picture were older than what is on the tape
	next.keepUp(head)
	if got := next.cursor.Pos(); got != head || !strings.Contains(next.screen.Text(), "drawn") {
		t.Errorf("it was drawn up to %d of %d", got, head)
	}
	next.cursor.Close()
}

// What came while a client was without a bridge does not make it late; what comes then does.
func TestLateAfterADeath(t *testing.T) {
	const backlog = 10 * tooFar
	tp, err := tape.New(4 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer tp.Close()
	c, err := tp.Read(0, tape.WhileReading)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	print := func(n int) {
		for ; n > 0; n -= tape.MaxChunk {
			tp.Space(tape.MaxChunk)
			tp.Advance(tape.MaxChunk)
		}
	}
	print(backlog)
	d := &display{owed: c.Head() - c.Pos()}
	passes := func() { d.marked = d.marked.Add(-tooLate) }
	for _, step := range []struct {
		what         string
		prints, gets int
		late         bool
	}{
		{"it came back", 0, 0, false},
		{"it is as fast as the program", 4 * tooFar, 4 * tooFar, false},
		{"it is slow for a moment", 2 * tooFar, 0, false},
		{"it is slow for longer", 0, 0, true},
		{"it has caught up with some", 0, 4 * tooFar, false},
		{"it falls behind again", 2 * tooFar, 0, false},
		{"and stays there", 0, 0, true},
		{"it has caught up", 0, 10 * tooFar, false},
		{"it falls behind what it owed no more", 2 * tooFar, 0, false},
		{"for long", 0, 0, true},
	} {
		print(step.prints)
		c.Advance(step.gets)
		if step.late {
			passes()
		}
		if got := d.late(c); got != step.late {
			t.Errorf("%s: late is %v (%d behind, %d owed)", step.what, got, c.Head()-c.Pos(), d.owed)
		}
	}
	d.waits()
	d.stuck = time.Now().Add(-2 * tooLate)
	if d.owed = c.Head(); !d.late(c) {
		t.Error("who takes nothing is not late")
	}
}

// Who drove in an earlier bridge's time drives again, whoever comes back first, unless
// somebody types meanwhile.
func TestDriverComesBack(t *testing.T) {
	h := start(t, nil)
	id := h.printer(`printf ready`, wire.Size{Rows: 24, Cols: 80})
	l := h.live(id)
	cursors, err := l.read(0, 0, tape.Always)
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	l.drove, l.awaited = 7, map[uint64][]*tape.Cursor{7: cursors, 8: nil}
	l.allBack = make(chan struct{})
	l.mu.Unlock()
	drives := func() string {
		l.mu.Lock()
		defer l.mu.Unlock()
		switch d := l.drives(); {
		case d == nil:
			return "nobody"
		case d.token() == 7:
			return "the driver"
		}
		return "another"
	}
	first := h.viewer(wire.OpenRequest{Attach: id, Back: true, Resume: 8})
	first.sees("drawn")
	if got := drives(); got != "nobody" || !l.isDriven() {
		t.Errorf("%s drives while the driver is awaited", got)
	}
	second := h.viewer(wire.OpenRequest{Attach: id, Back: true, Resume: 7})
	second.sees("drawn")
	if got := drives(); got != "the driver" || l.Driver() != 7 {
		t.Errorf("%s drives, and %d is noted", got, l.Driver())
	}
	first.send(wire.Input, []byte("typed"))
	second.sees("typed")
	if got := drives(); got != "another" || l.Driver() != 8 {
		t.Errorf("%s drives, and %d is noted", got, l.Driver())
	}
}

// What is gone when a client comes back is told as what it is.
func TestGoneWhileWithoutABridge(t *testing.T) {
	h := start(t, nil)
	id := h.printer(`yes $'a line of it\r' | head -c 10000000`, wire.Size{Rows: 24, Cols: 80})
	h.shows(id, "drawn")
	v := h.viewer(wire.OpenRequest{Attach: id, Back: true, From: 10})
	v.sees("drawn")
	if want := h.live(id).Bytes() - 10; v.skipped != want {
		t.Errorf("it was told of %d bytes, not %d", v.skipped, want)
	}
	if strings.Contains(v.why, "too fast") || !strings.Contains(v.why, "without a bridge") {
		t.Errorf("it was told %q", v.why)
	}
}
