package bridge

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	api "github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/screen"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// viewer is a client with a terminal, that it draws what it gets on.
type viewer struct {
	*bare
	terminal *screen.Screen
	reads    bool   // but does not draw output
	undrawn  []byte // what it has read so
	next     int64  // the offset of what comes next; negative while it is shown pictures
	redrawn  int    // how often the screen was drawn, in whole
	skipped  int64  // how many bytes it was told to have been left out
	why      string // and in which words, the last time
	under    []byte // what takes away the words that stand on the terminal
	overlaid int    // how often words were put there
	id       string // the session's
}

func (h *harness) viewer(req wire.OpenRequest) *viewer {
	h.t.Helper()
	if req.Rows == 0 {
		req.Size = wire.Size{Rows: 24, Cols: 80}
	}
	req.Screen = true
	c, reply := h.in(req)
	return &viewer{bare: c, terminal: screen.New(int(req.Rows), int(req.Cols)), next: reply.Offset, id: reply.ID}
}

// sees reads on until the terminal shows a text.
func (v *viewer) sees(text string) {
	v.t.Helper()
	for !strings.Contains(v.terminal.Text(), text) {
		v.one()
	}
}

// follows reads on until a text comes, or the screen that it is shown has it, and then
// draws all that came: to draw it takes this test longer than it takes a terminal, and more
// so where others work.
func (v *viewer) follows(text string) {
	v.t.Helper()
	v.reads = true
	for !bytes.Contains(v.undrawn[max(0, len(v.undrawn)-2*wire.MaxPayload):], []byte(text)) && !strings.Contains(v.terminal.Text(), text) {
		v.one()
	}
	v.terminal.Write(v.undrawn)
	v.reads, v.undrawn = false, nil
}

// one takes a frame.
func (v *viewer) one() {
	v.t.Helper()
	typ, payload, err := v.Next()
	if err != nil {
		v.t.Fatalf("%v; the terminal shows\n%s", err, v.terminal.Text())
	}
	switch typ {
	case wire.Output, wire.Redraw, wire.Overlay:
		v.terminal.Write(v.under)
		v.under = nil
	}
	switch typ {
	case wire.Overlay:
		show, restore, err := wire.ParseOverlay(payload)
		if err != nil {
			v.t.Fatal(err)
		}
		v.terminal.Write(show)
		if v.under = bytes.Clone(restore); len(show) > 0 {
			v.overlaid++
		}
	case wire.Output:
		at, data, err := wire.ParseOutput(payload)
		if err != nil || at != v.next {
			v.t.Fatalf("output of %d, not %d; %v", at, v.next, err)
		}
		if v.reads {
			v.undrawn = append(v.undrawn, data...)
		} else {
			v.terminal.Write(data)
		}
		v.next = at + int64(len(data))
	case wire.Redraw:
		at, data, err := wire.ParseOutput(payload)
		if err != nil {
			v.t.Fatal(err)
		}
		v.terminal.Write(data)
		v.next = at
		if at >= 0 {
			v.redrawn++
		}
	case wire.Lost:
		v.t.Fatal("something was lost")
	case wire.News:
		var e wire.Event
		if err := wire.Decode(payload, &e); err != nil {
			v.t.Fatal(err)
		}
		if e.Kind == wire.EventSkipped {
			v.skipped += int64(e.Count)
			v.why = e.Message
		}
	}
}

// cells is all of a screen that can be told of it.
func cells(s *screen.Screen) string {
	snapshot, _ := s.Snapshot(0)
	return string(snapshot)
}

// printer is a session whose program draws something, says so, and then prints what is
// typed. Nobody is in it.
func (h *harness) printer(draws string, size wire.Size) string {
	h.t.Helper()
	if !strings.Contains(draws, "drawn") {
		draws += "; printf drawn"
	}
	script := "stty raw -echo; " + draws + "; cat"
	s, err := h.open(wire.OpenRequest{Session: spec.Session{Argv: []string{"bash", "-c", script}, Size: size}, Detached: true})
	if err != nil {
		h.t.Fatal(err)
	}
	s.Close()
	return s.ID
}

// shows waits until a session's screen shows something.
func (h *harness) shows(id, text string) {
	h.t.Helper()
	for until := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		s, err := h.asking().Peek(h.t.Context(), id)
		if err != nil || time.Now().After(until) {
			h.t.Fatalf("%+v, %v", s, err)
		}
		if strings.Contains(s.Text, text) {
			return
		}
	}
}

// Who comes late sees what somebody sees who was there from the start, however long ago
// the screen was drawn, and goes on at the very byte: also amid a character.
func TestLateViewer(t *testing.T) {
	const draws = `printf 'normal\r\n'; printf '\033[?1049h\033[?2004h\033[?1h\033]2;its title\033\\\033[31;44mred\033[m\033[5;10r'; ` +
		`yes $'\033[7;1Hworking \033[38;2;1;2;3mhard\033[m' | head -c %d | tr -d '\n'; printf '\033[0m\033[3;3Hdrawn\346\274'`
	for name, printed := range map[string]int{"a little": 100, "more than the tape": 6 << 20} {
		t.Run(name, func(t *testing.T) {
			h := start(t, nil)
			id := h.printer(fmt.Sprintf(draws, printed), wire.Size{Rows: 24, Cols: 80})
			first := h.viewer(wire.OpenRequest{Attach: id})
			first.follows("drawn")
			first.send(wire.Input, []byte("\xb4\x1b[1mtyped"))
			first.sees("typed")
			second := h.viewer(wire.OpenRequest{Attach: id, ReadOnly: true})
			first.send(wire.Input, []byte(", and so on"))
			first.sees("and so on")
			second.sees("and so on")
			if got := second.terminal.Text(); !strings.Contains(got, "working hard") || !strings.Contains(got, "red") || !strings.Contains(got, "漴") {
				t.Errorf("the screen is\n%s", got)
			}
			if a, b := cells(first.terminal), cells(second.terminal); a != b {
				t.Errorf("one sees\n%q\nand the other\n%q", a, b)
			}
			if first.redrawn != 1 || second.redrawn != 1 || first.skipped+second.skipped > 0 {
				t.Errorf("drawn %d and %d times, %d and %d bytes left out", first.redrawn, second.redrawn, first.skipped, second.skipped)
			}
		})
	}
}

// History is of whole lines, and not more than was asked for.
func TestHistory(t *testing.T) {
	h := start(t, nil)
	id := h.printer(`for i in $(seq 100); do printf 'line %d\r\n' $i; done`, wire.Size{Rows: 10, Cols: 80})
	h.shows(id, "drawn")
	for _, n := range []int{0, 20} {
		v := h.viewer(wire.OpenRequest{Attach: id, History: n, Session: spec.Session{Size: wire.Size{Rows: 10, Cols: 80}}})
		v.sees("drawn")
		all, _ := v.terminal.Snapshot(1000)
		if got := bytes.Count(all, []byte("line")); got != 9+n {
			t.Errorf("with a history of %d there are %d lines", n, got)
		}
		v.conn.Close()
	}
}

// Who does not read is not waited for, unless they drive, and then not for long; when
// they read again they see the screen as it is, and hear what was left out.
func TestSlowViewer(t *testing.T) {
	for name, c := range map[string]struct {
		readOnly bool
		flood    string
	}{
		"by more than the tape": {true, `yes $'too much of it\r' | head -c 12000000`},
		"by some seconds":       {true, `yes $'too much of it\r' | head -c 1500000`},
		"though it drives":      {false, `yes $'too much of it\r' | head -c 12000000`},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, nil)
			id := h.printer(`printf ready; read -rn1; `+c.flood, wire.Size{Rows: 24, Cols: 80})
			v := h.viewer(wire.OpenRequest{Attach: id, ReadOnly: c.readOnly})
			v.sees("ready")
			if err := h.asking().Send(t.Context(), id, []byte("x")); err != nil {
				t.Fatal(err)
			}
			h.shows(id, "drawn")
			time.Sleep(tooLate + 100*time.Millisecond)
			v.sees("drawn")
			if v.redrawn < 2 || v.skipped == 0 {
				t.Errorf("the screen was drawn %d times; %d bytes were left out", v.redrawn, v.skipped)
			}
			if err := h.asking().Send(t.Context(), id, []byte("on")); err != nil {
				t.Fatal(err)
			}
			v.sees("drawnon")
		})
	}
}

// Who reads slowly but all the time gets every byte, also of more than the tape holds, if
// they drive.
func TestSteadyDriver(t *testing.T) {
	h := start(t, nil)
	id := h.printer(`printf ready; read -rn1; yes $'a line of it\r' | head -c 10000000`, wire.Size{Rows: 24, Cols: 80})
	v := h.viewer(wire.OpenRequest{Attach: id})
	v.sees("ready")
	v.reads = true // drawing takes longer than a terminal does
	v.send(wire.Input, []byte("x"))
	for v.next < 10_000_000 {
		v.one()
	}
	if v.redrawn != 1 || v.skipped > 0 {
		t.Errorf("the screen was drawn %d times; %d bytes were left out, up to %d", v.redrawn, v.skipped, v.next)
	}
}

// Who has a terminal of another size sees what fits of the screen, and no byte that was
// meant for another terminal; and has the size that counts once they type.
func TestViewerOfAnotherSize(t *testing.T) {
	h := start(t, nil)
	id := h.printer(`printf '\033[?1002h'`, wire.Size{Rows: 24, Cols: 80})
	driver := h.viewer(wire.OpenRequest{Attach: id})
	driver.sees("drawn")
	const near, far = "\x1b[Hnear drawn\x1b[K", "\x1b[20;70Hfar off"
	driver.send(wire.Input, []byte(far+near))
	driver.sees("near drawn")
	for _, size := range []wire.Size{{Rows: 10, Cols: 40}, {Rows: 30, Cols: 100}} {
		other := h.viewer(wire.OpenRequest{Attach: id, Session: spec.Session{Size: size}})
		other.sees("near drawn")
		if got := strings.Contains(other.terminal.Text(), "far off"); got != (size.Rows == 30) {
			t.Errorf("%+v: it shows\n%s", size, other.terminal.Text())
		}
		driver.send(wire.Input, []byte("\x1b[Hnews"))
		other.sees("news")
		driver.sees("news")
		if other.redrawn > 0 || other.next >= 0 {
			t.Errorf("%+v: it was given output", size)
		}
		other.send(wire.Input, []byte("!")) // it drives
		other.sees("news!")
		for other.redrawn == 0 {
			other.one()
		}
		for driver.next >= 0 {
			driver.one()
		}
		if rows, _ := h.sizeOf(id); rows != size.Rows {
			t.Errorf("the terminal has %d rows, not %d", rows, size.Rows)
		}
		driver.send(wire.Input, []byte(far+near))
		driver.sees("near drawn")
		for driver.next < 0 {
			driver.one()
		}
		other.conn.Close()
	}
}

func (h *harness) sizeOf(id string) (rows, cols uint16) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessions[id].Size()
}

// A client that was being shown a picture when its bridge died gets another.
func TestViewerComesBack(t *testing.T) {
	h := start(t, nil)
	id := h.printer(`printf 'what it shows '`, wire.Size{Rows: 24, Cols: 80})
	h.viewer(wire.OpenRequest{Attach: id}).sees("drawn")
	v := h.viewer(wire.OpenRequest{Attach: id, Back: true, From: -1})
	if v.next != -1 {
		t.Errorf("it goes on at %d", v.next)
	}
	v.sees("what it shows drawn")
	if v.redrawn != 1 || v.skipped > 0 {
		t.Errorf("the screen was drawn %d times; %d bytes were left out", v.redrawn, v.skipped)
	}
	v = h.viewer(wire.OpenRequest{Attach: id, Back: true, From: 14})
	v.sees("drawn")
	if v.redrawn > 0 {
		t.Error("the screen was drawn for who has it")
	}
}

// The client goes where a picture says, and hands it on.
func TestRedrawAtTheClient(t *testing.T) {
	h := start(t, nil)
	id := h.printer(`printf 'what it shows '`, wire.Size{Rows: 24, Cols: 80})
	h.shows(id, "drawn")
	s, err := h.open(wire.OpenRequest{Attach: id, Screen: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, drawn := &waiter{want: "more"}, &waiter{want: "drawn"}
	go func() {
		_, _ = s.Copy(api.Sink{Out: out, Redraw: func(p []byte) error { _, err := drawn.Write(p); return err }})
	}()
	drawn.wait(t)
	if _, err := s.Write([]byte("more")); err != nil {
		t.Fatal(err)
	}
	out.wait(t)
	if out.String() != "more" {
		t.Errorf("output is %q", out.String())
	}
}
