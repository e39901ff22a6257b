package bridge

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/screen"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// says has everybody in a session be told something.
func (h *harness) says(id, text string) {
	h.t.Helper()
	h.mu.Lock()
	l := h.sessions[id]
	h.mu.Unlock()
	h.publish(l.event(wire.EventTrouble, text), l)
}

// hears reads on until words stand on the terminal.
func (v *viewer) hears(text string) {
	v.t.Helper()
	for len(v.under) == 0 || !strings.Contains(v.terminal.Text(), text) {
		v.one()
	}
}

// without is the terminal without words.
func (v *viewer) without() string {
	v.terminal.Write(v.under)
	v.under = nil
	return cells(v.terminal)
}

// Words stand on the screens of all who are there, whatever the program does, and are gone
// without a trace: for who was there from the start, for who joins later, and for who has a
// terminal of another size.
func TestWordsStand(t *testing.T) {
	const box = `printf '\342\225\255\342\224\200\342\225\256\r\n\342\224\202>\342\224\202\r\n\342\225\260\342\224\200\342\225\257\033[1A\033[3G'`
	for name, draws := range map[string]string{
		"a prompt":              `printf '\033[32m$\033[m '`,
		"a box":                 box,
		"a full-screen program": `printf '\033[?1049h\033[H\033[2J\033[44mtitle\033[K\033[m\033[24;1Hstatus\033[5;20r\033[?6h\033[3;4H\033[1;35m'`,
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, nil)
			size := wire.Size{Rows: 24, Cols: 80}
			first := h.viewer(wire.OpenRequest{Session: spec.Session{Argv: []string{"bash", "-c", "stty raw -echo; " + draws + "; cat"}, Size: size}})
			// With the whole screen to itself, its terminal is the one that this is compared to.
			first.terminal.Write([]byte("\x1b[H\x1b[2J"))
			id := first.id
			for first.terminal.Text() == "" {
				first.one()
			}
			second := h.viewer(wire.OpenRequest{Attach: id, ReadOnly: true, Session: spec.Session{Size: size}})
			other := h.viewer(wire.OpenRequest{Attach: id, ReadOnly: true, Session: spec.Session{Size: wire.Size{Rows: 10, Cols: 30}}})
			for i, typed := range []string{"x", "yz", "\r\n"} {
				first.send(wire.Input, []byte(typed))
				h.says(id, strings.Repeat("!", i+1)+" said")
				for _, v := range []*viewer{first, second, other} {
					v.hears(strings.Repeat("!", i+1) + " said")
				}
			}
			first.send(wire.Input, []byte("the end"))
			for _, v := range []*viewer{first, second, other} {
				v.sees("the end")
			}
			if a, b := first.without(), second.without(); a != b {
				t.Errorf("who was there from the start sees\n%q\nand who came later\n%q", a, b)
			}
			fresh := h.viewer(wire.OpenRequest{Attach: id, ReadOnly: true, Session: spec.Session{Size: size}})
			fresh.sees("the end")
			if a, b := second.without(), fresh.without(); a != b {
				t.Errorf("with words there was\n%q\nand without\n%q", a, b)
			}
			view := h.viewer(wire.OpenRequest{Attach: id, ReadOnly: true, Session: spec.Session{Size: wire.Size{Rows: 10, Cols: 30}}})
			view.sees("the end")
			if a, b := other.without(), view.without(); a != b {
				t.Errorf("on another terminal there was with words\n%q\nand without\n%q", a, b)
			}
		})
	}
}

// Words go by themselves, and what waited comes then.
func TestWordsGo(t *testing.T) {
	h := start(t, nil)
	id := h.printer("printf hello", wire.Size{Rows: 24, Cols: 80})
	h.shows(id, "drawn")
	v := h.viewer(wire.OpenRequest{Attach: id})
	v.sees("drawn")
	before := cells(v.terminal)
	began := time.Now()
	h.says(id, "one")
	h.says(id, "two")
	v.hears("aaau: one")
	v.hears("aaau: two")
	for len(v.under) > 0 {
		v.one()
	}
	if took := time.Since(began); took < standFor+standAtLeast {
		t.Errorf("words stood for %v", took)
	}
	if after := cells(v.terminal); after != before {
		t.Errorf("the terminal shows\n%q, not\n%q", after, before)
	}
}

// A key of who only watches is refused on their own terminal, and nowhere else.
func TestWatchersKey(t *testing.T) {
	h := start(t, nil)
	id := h.printer("printf hello", wire.Size{Rows: 24, Cols: 80})
	h.shows(id, "drawn")
	v := h.viewer(wire.OpenRequest{Attach: id})
	w := h.viewer(wire.OpenRequest{Attach: id, ReadOnly: true})
	v.sees("drawn")
	w.sees("drawn")
	for range 100 {
		w.send(wire.Input, []byte("x"))
	}
	w.hears("aaau: typing is not allowed to you here")
	v.send(wire.Input, []byte("typed"))
	for _, each := range []*viewer{v, w} {
		each.sees("typed")
	}
	if v.overlaid > 0 {
		t.Error("who drives was told, too")
	}
	if a, b := v.without(), w.without(); a != b {
		t.Errorf("one sees\n%q\nand the other\n%q", a, b)
	}
}

// Who cannot be shown words is told as before, and who asked for no pictures.
func TestWordsForThoseWhoKnowThem(t *testing.T) {
	h := start(t, nil)
	id := h.printer("printf hello", wire.Size{Rows: 24, Cols: 80})
	h.shows(id, "drawn")
	plain, _ := h.in(wire.OpenRequest{Attach: id})
	h.says(id, "something")
	for {
		typ, payload, err := plain.Next()
		if err != nil || typ == wire.Overlay {
			t.Fatal(typ, err)
		}
		var e wire.Event
		if typ == wire.News && wire.Decode(payload, &e) == nil && e.Kind == wire.EventTrouble {
			break
		}
	}
}

// Words wait for the end of a sequence, and for that of a frame, but not for ever.
func TestWordsWait(t *testing.T) {
	h := start(t, nil)
	id := h.printer(`printf 'drawn\033[31'`, wire.Size{Rows: 24, Cols: 80})
	h.shows(id, "drawn")
	v := h.viewer(wire.OpenRequest{Attach: id})
	v.sees("drawn")
	h.says(id, "something")
	v.send(wire.Input, []byte("m\x1b[?2026hred"))
	v.sees("red")
	if v.overlaid > 0 {
		t.Error("words stood amid a sequence")
	}
	v.hears("something")
	v.send(wire.Input, []byte("!\x1b[?2026l"))
	v.sees("red!")
	w := screen.New(24, 80)
	w.Write([]byte("drawn\x1b[31m\x1b[?2026hred!\x1b[?2026l"))
	if a, b := v.without(), cells(w); a != b {
		t.Errorf("the terminal shows\n%q, not\n%q", a, b)
	}
}

func TestSay(t *testing.T) {
	d := &display{hears: true}
	for _, s := range strings.Fields("a b a c b d e") {
		d.say(s)
	}
	if want := []string{"a", "c", "d", "e"}; !slices.Equal(d.words.waiting, want) {
		t.Errorf("%q wait, not %q", d.words.waiting, want)
	}
	now := time.Now()
	d.words.since = now.Add(-standAtLeast)
	d.words.pop(now)
	if d.words.waiting[0] != "c" || !d.words.since.IsZero() {
		t.Errorf("after the first there is %+v", d.words)
	}
	d.words.pop(now.Add(noRoomFor - time.Second))
	if d.words.waiting[0] != "c" {
		t.Error("it was given up too soon")
	}
	d.words.pop(now.Add(noRoomFor))
	if d.words.waiting[0] != "d" {
		t.Error("it waits for ever")
	}
	var nobody *display
	nobody.say("x")
	deaf := &display{}
	deaf.say("x")
	if len(deaf.words.waiting) > 0 {
		t.Error("something waits for who cannot be shown it")
	}
}

func TestCameBack(t *testing.T) {
	for _, c := range []struct {
		sent, typed uint64
		known       bool
		missing     uint64
		away        float64
		want        string
	}{
		{0, 0, true, 0, 0.1, ""},
		{10, 10, true, 0, 1.9, ""},
		{10, 10, true, 0, 3, "the bridge was away for 3 s"},
		{10, 7, true, 0, 0.1, "the bridge was restarted: the last 3 bytes that were typed before did not arrive, or may not have"},
		{10, 7, true, 0, 61.2, "the bridge was away for 61 s: the last 3 bytes that were typed before did not arrive, or may not have"},
		{10, 7, false, 0, 0, ""},
		{5, 7, true, 0, 0, ""},
		{10, 10, true, 4, 0.1, "the bridge was restarted: the last 4 bytes that were typed before did not arrive, or may not have"},
		{10, 7, true, 4, 0.1, "the bridge was restarted: the last 7 bytes that were typed before did not arrive, or may not have"},
		{5, 7, true, 4, 0.1, "the bridge was restarted: the last 4 bytes that were typed before did not arrive, or may not have"},
	} {
		got := cameBack(wire.OpenRequest{Sent: c.sent, Away: c.away, Missing: c.missing}, wire.OpenReply{Known: c.known, Typed: c.typed})
		if got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// Words that nobody could read because the bridge died are said by the next one.
func TestSaidAgain(t *testing.T) {
	h := start(t, nil)
	id := h.printer("printf hello", wire.Size{Rows: 24, Cols: 80})
	h.shows(id, "drawn")
	v := h.viewer(wire.OpenRequest{Attach: id, Back: true, From: -1, Skipped: 77, Missing: 5})
	v.sees("drawn")
	v.hears("aaau: the bridge was restarted: the last 5 bytes")
	v.hears("aaau: 77 bytes of output were left out")
}

func TestFooting(t *testing.T) {
	for output, known := range map[string]bool{"": true, "x\r\n": true, "x\x1b[5;5H": false, "x\x1b[H\x1b[2J": true} {
		s := screen.New(24, 80)
		s.Write([]byte(output))
		snapshot, _ := s.Snapshot(0)
		again := screen.New(24, 80)
		again.Write(mark(snapshot, s))
		again.SetFooting(footing(mark(snapshot, s)))
		if s.IsKnown() != known || again.Footing() != s.Footing() || cells(again) != cells(s) {
			t.Errorf("%q: %v and %v", output, s.Footing(), again.Footing())
		}
	}
	if f := footing([]byte("\x18\x1b\\\x1b[<99u\x1b[?1049l")); f != 0 {
		t.Errorf("of a picture without a mark %v is known", f)
	}
}
