package bridge

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// rationed is a harness in which each person has so many controls, and gets no more.
func rationed(t *testing.T, most int) *harness {
	t.Helper()
	return start(t, func(b *Bridge) { b.controls.every, b.controls.most = time.Hour, most })
}

// used says how many controls are used up.
func (h *harness) used() (n int) {
	h.controls.mu.Lock()
	defer h.controls.mu.Unlock()
	for _, full := range h.controls.full {
		n += int((time.Until(full) + time.Hour - time.Minute) / time.Hour)
	}
	return n
}

// Whatever adds to a session's record, beside its output and what is typed, is taken of the
// person's one allowance.
func TestControlsHaveOneAllowance(t *testing.T) {
	h := rationed(t, 1000)
	s := h.sh("read x")
	asking := h.asking()
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	for n := range 5 {
		do(asking.Share(t.Context(), s.ID, 5000, true))
		do(asking.Unshare(t.Context(), s.ID, 5000))
		do(asking.Freeze(t.Context(), s.ID))
		do(asking.Thaw(t.Context(), s.ID))
		joined, err := h.open(wire.OpenRequest{Attach: s.ID})
		if do(err); err == nil {
			joined.Close()
		}
		if want := 5 * (n + 1); h.used() != want {
			t.Errorf("%d controls are used up, not %d", h.used(), want)
		}
	}
	if _, err := asking.Status(t.Context(), s.ID); err != nil || h.used() != 25 {
		t.Errorf("looking takes of it, too: %d, %v", h.used(), err)
	}
}

// A terminal that changes its size without end is given its last size, and the record has no
// more sizes than the person's allowance.
func TestSizesAreOfTheAllowance(t *testing.T) {
	h := rationed(t, 2)
	c, reply := h.in(wire.OpenRequest{Session: spec.Session{Argv: []string{"sh", "-c", "read x"}, Size: wire.Size{Rows: 24, Cols: 80}}})
	l := h.live(reply.ID)
	for rows := range uint16(50) {
		c.send(wire.Resize, wire.Size{Rows: 30 + rows, Cols: 80})
	}
	c.send(wire.Ask, wire.Request{Seq: 1, Do: wire.DoStatus})
	var answer wire.Reply
	if c.next(wire.Answer, &answer); answer.Sessions[0].Rows != 31 || h.used() != 2 {
		t.Errorf("the terminal has %d rows, and %d sizes were taken of the allowance", answer.Sessions[0].Rows, h.used())
	}
	h.controls.mu.Lock()
	clear(h.controls.full) // time has passed
	h.controls.mu.Unlock()
	l.mu.Lock()
	l.resizing.Reset(0)
	l.mu.Unlock()
	soon(t, "the last size", func() bool { return l.FullSize().Rows == 79 })
	if h.used() != 1 {
		t.Errorf("%d sizes were taken of the allowance", h.used())
	}
}

// Of a session that has ended nothing more is recorded, and its terminal is not sized.
func TestNothingIsRecordedAfterTheEnd(t *testing.T) {
	h := start(t, nil)
	c, reply := h.in(wire.OpenRequest{Session: spec.Session{Argv: []string{"sh", "-c", "read x"}, Size: wire.Size{Rows: 24, Cols: 80}}})
	l := h.live(reply.ID)
	c.send(wire.Resize, wire.Size{Rows: 25, Cols: 80})
	if err := l.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	c.next(wire.Ended, nil)
	before := h.Record.Bridge().Head().Seq
	for rows := range uint16(50) {
		c.send(wire.Resize, wire.Size{Rows: 30 + rows, Cols: 80})
	}
	c.send(wire.Detach, nil)
	soon(t, "it has been heard", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.clients) == 0
	})
	if after := h.Record.Bridge().Head().Seq; after != before {
		t.Errorf("the bridge's own chain has %d records more", after-before)
	}
}

// What falls over a session's screen brings down nothing, also after the session's end, and
// the screen is not used again.
func TestFallingOverTheScreen(t *testing.T) {
	h := start(t, nil)
	for _, ended := range []bool{false, true} {
		s := h.sh("read x")
		l := h.live(s.ID)
		if ended {
			if _, err := s.Write([]byte("\n")); err != nil {
				t.Fatal(err)
			}
			h.all(s)
			<-l.watch.done
		}
		if err := l.watch.call(nil, func(*drawing) { panic("a test") }); err != errBlind {
			t.Errorf("ended %v: %v", ended, err)
		}
		if err := l.watch.call(nil, func(*drawing) { t.Error("it is used again") }); err != errBlind {
			t.Errorf("ended %v, again: %v", ended, err)
		}
	}
}

// The record has the order in which the program gets what several people type.
func TestInputIsRecordedInOrder(t *testing.T) {
	h := start(t, nil)
	s, err := h.open(wire.OpenRequest{Session: spec.Session{Pipes: true, Argv: []string{"cat"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l := h.live(s.ID)
	var recorded []string // while it is the writer's turn
	var typists sync.WaitGroup
	for n := range 20 {
		typists.Go(func() {
			for range 20 {
				line := strings.Repeat("x", n+1) + "\n"
				err := l.TypeAfter(nil, []byte(line), nil, func() error {
					recorded = append(recorded, line)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	typists.Wait()
	if err := s.EndInput(); err != nil {
		t.Fatal(err)
	}
	out, _ := h.all(s)
	if got := slices.Collect(strings.Lines(out)); !slices.Equal(got, recorded) {
		t.Error("the program got another order than the record has")
	}
}
