package bridge

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	api "github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// listener is a program that tells what it is given, in hex, after it has switched modes.
const listener = `stty raw -echo; printf '%sready'; exec od -An -v -tx1 -w1`

// screenful is what somebody in a session has seen.
type screenful struct {
	*api.Session
	t    *testing.T
	mu   sync.Mutex
	text strings.Builder
	done chan struct{}
}

func (w *screenful) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

// given is what the program was given, as it has said so far.
func (w *screenful) given() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, said, _ := strings.Cut(w.text.String(), "ready")
	var got strings.Builder
	for hex := range strings.FieldsSeq(said) {
		var b byte
		fmt.Sscanf(hex, "%x", &b)
		got.WriteByte(b)
	}
	return got.String()
}

// gets waits until the program has been given exactly so much.
func (w *screenful) gets(want string) {
	w.t.Helper()
	for end := time.Now().Add(patience); w.given() != want; time.Sleep(time.Millisecond) {
		if got := w.given(); time.Now().After(end) || len(got) > len(want) {
			w.t.Fatalf("the program was given %q, not %q", got, want)
		}
	}
}

// types has the client's terminal send data.
func (w *screenful) types(data string) {
	w.t.Helper()
	if _, err := w.Session.Write([]byte(data)); err != nil {
		w.t.Fatal(err)
	}
}

func (h *harness) sit(req wire.OpenRequest) *screenful {
	h.t.Helper()
	s, err := h.open(req)
	if err != nil {
		h.t.Fatal(err)
	}
	w := &screenful{Session: s, t: h.t, done: make(chan struct{})}
	go func() { defer close(w.done); _, _ = s.Copy(api.Sink{Out: w}) }()
	h.t.Cleanup(func() { s.Close(); <-w.done })
	return w
}

// listens starts a program that switches modes on, and waits until the bridge knows.
func (h *harness) listens(modes string, size wire.Size) *screenful {
	h.t.Helper()
	w := h.sit(wire.OpenRequest{Session: spec.Session{Size: size, Argv: []string{"sh", "-c", fmt.Sprintf(listener, modes)}}})
	l := h.live(w.ID)
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		known := l.reports.focusOn == strings.Contains(modes, "1004") && l.reports.sizeOn == strings.Contains(modes, "2048")
		l.mu.Unlock()
		if w.mu.Lock(); strings.Contains(w.text.String(), "ready") && known {
			w.mu.Unlock()
			return w
		}
		w.mu.Unlock()
		if time.Now().After(end) {
			h.t.Fatal("the modes are not seen")
		}
	}
}

func (h *harness) live(id string) *live {
	h.Bridge.mu.Lock()
	defer h.Bridge.mu.Unlock()
	return h.sessions[id]
}

// The program is told that the focus is gone when its person goes, and is back when one
// comes; what another terminal says of its focus does not reach the program.
func TestFocusIsTold(t *testing.T) {
	h := start(t, nil)
	a := h.listens(`\033[?1004h`, wire.Size{Rows: 24, Cols: 80})
	a.types("\x1b[I")
	want := "\x1b[I"
	a.gets(want)
	b := h.sit(wire.OpenRequest{Attach: a.ID})
	b.types("\x1b[O\x1b[I\x1b[O") // b does not drive
	a.types("\x1b[Ox")
	want += "\x1b[Ox"
	a.gets(want)
	b.types("y") // b drives, and sits at the keyboard
	want += "\x1b[Iy"
	a.gets(want)
	a.types("\x1b[I\x1b[O") // a does not drive any more
	b.types("\x1b[I")       // known already, from the bridge
	b.types("\x1b[Oz")
	want += "\x1b[Oz"
	a.gets(want)
	b.types("\x1b[I")
	want += "\x1b[I"
	a.gets(want)
	b.Close() // a drives again, which has no focus
	want += "\x1b[O"
	a.gets(want)
	a.Close()
	c := h.sit(wire.OpenRequest{Attach: a.ID})
	c.types(">")
	want += "\x1b[I>"
	for end := time.Now().Add(patience); !strings.HasSuffix(c.given(), "\x1b[I>"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("who comes back: %q", c.given())
		}
	}
	if got := c.given(); got != want {
		t.Errorf("%q, not %q", got, want)
	}
	d := h.sit(wire.OpenRequest{Attach: a.ID, ReadOnly: true})
	c.Close()
	for end := time.Now().Add(patience); d.given() != want+"\x1b[O"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("with a watcher only: %q", d.given())
		}
	}
}

// A program in mode 2048 is told each size once, by the bridge alone.
func TestSizeIsToldInBand(t *testing.T) {
	h := start(t, nil)
	a := h.listens(`\033[?2048h`, wire.Size{Rows: 24, Cols: 80, XPixel: 800, YPixel: 480})
	want := "\x1b[48;24;80;480;800t"
	a.gets(want)
	a.types("\x1b[48;24;80;481;801tx") // its terminal, which was put into the mode, too
	want += "x"
	a.gets(want)
	b := h.sit(wire.OpenRequest{Attach: a.ID, Session: spec.Session{Size: wire.Size{Rows: 40, Cols: 120}}})
	b.types("\x1b[48;40;120;800;1200t") // does not drive; but where it does, pixels are known
	b.types("y")
	want += "\x1b[48;40;120;800;1200ty"
	a.gets(want)
	if err := b.Resize(wire.Size{Rows: 20, Cols: 60}); err != nil {
		t.Fatal(err)
	}
	b.types("\x1b[48;20;60;400;600tz")
	want += "\x1b[48;20;60;400;600tz"
	a.gets(want)
	if got, want := h.live(a.ID).FullSize(), (wire.Size{Rows: 20, Cols: 60, XPixel: 600, YPixel: 400}); got != want {
		t.Errorf("the terminal's size is %+v, not %+v", got, want)
	}
	b.Close()
	want += "\x1b[48;24;80;480;800t"
	a.gets(want)
}

// What a terminal says by itself makes nobody the driver, is given to the program from the
// driver alone, and is not recorded as typed.
func TestAnswersAreNotTyped(t *testing.T) {
	const answers = "\x1bP1!~00AF\x1b\\\x1b]1337;ReportCellSize=1;2\x1b\\\x1b]1337;ReportVariable=eA==\a\x1b[1;0;5;7;1&w\x1bP2$u9/17\x1b\\\x1b]60;x\x1b\\\x1b]50;fixed\a\x1b]22;1\x1b\\"
	h := start(t, nil)
	a := h.listens("", wire.Size{Rows: 24, Cols: 80})
	b := h.sit(wire.OpenRequest{Attach: a.ID})
	b.types(answers)
	a.types("a" + answers)
	a.gets("a" + answers)
	b.types(answers[:9])
	b.types(answers[9:])
	b.types("\x1b[5;7R")
	a.types("c")
	a.gets("a" + answers + "c")
	l := h.live(a.ID)
	l.mu.Lock()
	if d := l.drives(); d == nil || d.id != a.Client {
		t.Error("another one drives")
	}
	l.mu.Unlock()
	a.types("\x1b[1;2") // the beginning of a report, or keys: after a while keys
	a.gets("a" + answers + "c\x1b[1;2")
	var typed, said string
	for e, err := range audit.Read(h.record, a.ID) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != audit.KindInput {
			continue
		}
		m, err := e.Decode()
		if err != nil {
			t.Fatal(err)
		}
		content, err := e.Bytes(m)
		if err != nil {
			t.Fatal(err)
		}
		if e.Source == audit.Human {
			typed += string(content)
		} else {
			said += string(content)
		}
	}
	if typed != "ac\x1b[1;2" || said != answers {
		t.Errorf("recorded as typed is %q, as said by a terminal %q", typed, said)
	}
}

// Who does not drive is asked nothing; who drives is, but not for what reaches beyond the
// terminal.
func TestViewersAreAskedNothing(t *testing.T) {
	h := start(t, nil)
	const script = `stty raw -echo; printf ready; head -c 1 >/dev/null; printf '<\033[6n\033[14t\033[3;1;1t\033]11;?\033\\\033[5i\033[21t\033_Gt=f;L2V0Yw==\033\\>'; sleep 1000`
	a := h.sit(wire.OpenRequest{Session: spec.Session{Argv: []string{"sh", "-c", script}}})
	b := h.sit(wire.OpenRequest{Attach: a.ID})
	c := h.sit(wire.OpenRequest{Attach: a.ID, ReadOnly: true})
	all := func(w *screenful) string {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.text.String()
	}
	see := func(w *screenful, want string) {
		t.Helper()
		for end := time.Now().Add(patience); !strings.Contains(all(w), want); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%q, without %q", all(w), want)
			}
		}
	}
	for _, w := range []*screenful{a, b, c} {
		see(w, "ready")
	}
	a.types("x")
	see(a, "<\x1b[6n\x1b[14t\x1b[3;1;1t\x1b]11;?\x1b\\\x1b\\>")
	see(b, "<\x1b\\\x1b\\>")
	see(c, "<\x1b\\\x1b\\>")
}
