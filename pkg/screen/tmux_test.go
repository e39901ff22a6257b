package screen

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/vtseq"
)

// pane is a pane of a tmux of the test's own, whose terminal nobody else uses.
type pane struct {
	t          *testing.T
	tmux       func(args ...string) string
	id         string
	tty        *os.File
	rows, cols int
}

// terminals starts a tmux and returns what opens a pane in it.
func terminals(t *testing.T) func(rows, cols int) *pane {
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Fatal("tmux is the judge here, and is missing: test/deps check installs it")
	}
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("TMUX_TMPDIR", t.TempDir())
	t.Setenv("TMUX", "")
	tmux := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("tmux", append([]string{"-L", "screen", "-f", "/dev/null"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %q: %v: %s", args, err, out)
		}
		return strings.TrimSuffix(string(out), "\n")
	}
	tmux("start-server", ";", "set-option", "-g", "exit-empty", "off", ";", "set-option", "-g", "status", "off", ";", "set-option", "-g", "history-limit", "20000")
	t.Cleanup(func() { tmux("kill-server") })
	n := 0
	return func(rows, cols int) *pane {
		n++
		ready := fmt.Sprintf("ready%d", n)
		where := tmux("new-session", "-d", "-P", "-F", "#{pane_id} #{pane_tty}", "-x", strconv.Itoa(cols), "-y", strconv.Itoa(rows),
			"stty raw -echo; tmux -L screen wait-for -S "+ready+"; exec sleep infinity")
		tmux("wait-for", ready)
		id, tty, _ := strings.Cut(where, " ")
		fd, err := unix.Open(tty, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fd), tty)
		t.Cleanup(func() { f.Close() })
		return &pane{t, tmux, id, f, rows, cols}
	}
}

// write has the pane show p, which ends with no unfinished sequence, and returns
// what the pane answered.
func (p *pane) write(output string) (answers string) {
	p.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	if err := p.tty.SetDeadline(deadline); err != nil {
		p.t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(p.tty, output+"\x1b[5n")
		written <- err
	}()
	var got []byte
	for buf := make([]byte, 4096); !bytes.HasSuffix(got, []byte("\x1b[0n")); {
		n, err := p.tty.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			p.t.Fatal(errors.Join(err, <-written))
		}
	}
	if err := <-written; err != nil {
		p.t.Fatal(err)
	}
	return strings.TrimSuffix(string(got), "\x1b[0n")
}

// state is the cursor and the modes, as far as tmux tells.
func (p *pane) state() string {
	var format []string
	for f := range strings.FieldsSeq("cursor_x cursor_y alternate_on mouse_any_flag mouse_standard_flag mouse_button_flag mouse_all_flag mouse_sgr_flag mouse_utf8_flag " +
		"cursor_flag insert_flag keypad_flag keypad_cursor_flag wrap_flag origin_flag scroll_region_upper scroll_region_lower pane_tabs pane_title") {
		format = append(format, f+"=#{"+f+"}")
	}
	return p.tmux("display-message", "-p", "-t", p.id, strings.Join(format, " "))
}

// shows is what the pane shows, its other screen if it is to be that: drawn on a
// Screen, since tmux may say the same in several ways.
func (p *pane) shows(other bool) *Screen {
	args := []string{"capture-pane", "-e", "-p", "-N", "-t", p.id}
	if other {
		args = append(args, "-a")
	}
	s := show(p.rows, p.cols, "\x1b)0") // line drawing comes between SO and SI
	s.Write([]byte(strings.ReplaceAll(p.tmux(args...), "\n", "\r\n")))
	return s
}

// scrollback is the last lines of the pane's history.
func (p *pane) scrollback() []string {
	return strings.Split(p.tmux("capture-pane", "-e", "-p", "-t", p.id, "-S", "-", "-E", "-1"), "\n")
}

// same fails if the cells of two screens differ, but for what tmux does not know.
func same(t *testing.T, what string, as, bs []*line, a, b *Screen) bool {
	t.Helper()
	for y := range as {
		for x := range a.cols {
			c, d := as[y].at(x), bs[y].at(x)
			if c.r == half || d.r == half {
				continue
			}
			if (c == cell{}) && (d == cell{style: style{bg: d.bg}} || d == cell{r: ' ', style: style{bg: d.bg}}) {
				continue // capture-pane leaves out what was erased at the line's end
			}
			c.link, d.link = 0, 0
			if p, q := a.shown(c), b.shown(d); p != q {
				t.Errorf("%s: at %d, %d %s, not %s\n%s\n\n%s", what, y, x, p, q, a.lineText(as[y]), b.lineText(bs[y]))
				return false
			}
		}
	}
	return true
}

// compare fails if two panes differ.
func compare(t *testing.T, what string, a, b *pane) {
	t.Helper()
	was, is := a.state(), b.state()
	if was != is {
		t.Errorf("%s: the terminal is in\n%s, with the snapshot in\n%s", what, was, is)
	}
	x, y := a.shows(false), b.shows(false)
	if !same(t, what, x.lines, y.lines, x, y) || !strings.Contains(was, "alternate_on=1") {
		return
	}
	x, y = a.shows(true), b.shows(true)
	same(t, what+", the main screen", x.lines, y.lines, x, y)
}

// cuts are places to take a snapshot at: some regular, some in the midst of
// characters and of sequences.
func cuts(p []byte) (at []int) {
	for i := 1; i <= 6; i++ {
		n := len(p) * i / 6
		at = append(at, n)
		if k := bytes.IndexByte(p[:n], esc); k >= 0 && i < 6 {
			k = bytes.LastIndexByte(p[:n], esc)
			at = append(at, k+1, k+2)
		}
		for k := n - 1; k > len(p)*(i-1)/6; k-- {
			if p[k] >= 0xe0 {
				at = append(at, k+1, k+2)
				break
			}
		}
	}
	return at
}

// TestTmux has tmux judge: with what a program printed, a pane of its must show what
// Screen does, and so must a pane in disorder that is given a snapshot and what came
// after. The recordings are testdata/record's:
//
//	vim    24 80  'vim -u NONE -c "syntax on" tape.go' 2 G 1 :vsplit Enter 1 …
//	htop   30 100 'htop -d 10' 3 F6 1 Escape 1 F5 1 F2 2 Escape …
//	less   24 80  'less -R tape.go' 1 Space j k b G g /func Enter n q
//	top    24 80  'top -d 1' 3 z 1 x 2 V 1
//	tmux   24 80  'tmux -f /dev/null new "bash --norc"', splits, seq, copy mode
//	claude, codex 30 100, with an empty HOME, no network, and no key
//	claude-prompt 30 100, with a HOME that has been welcomed, and a made-up key
func TestTmux(t *testing.T) {
	open := terminals(t)
	for _, name := range recordings(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".raw"), func(t *testing.T) {
			p, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			rows, cols := size(name)
			a, b := open(rows, cols), open(rows, cols)
			a.t, b.t = t, t
			done := 0
			all := open(rows, cols)
			all.t = t
			all.write(string(p))
			for _, cut := range cuts(p) {
				s := show(rows, cols, string(p[:cut]))
				snapshot, behind := s.Snapshot(maxLines)
				end := cut
				for ; s.pending > 0 && end < len(p); end++ {
					s.Write(p[end : end+1])
				}
				if end < done {
					continue
				}
				a.write(string(p[done:end]))
				done = end
				what := fmt.Sprintf("at %d (%.20q)", cut, p[max(0, cut-10):cut])
				tmux := a.shows(false)
				if !same(t, what+": tmux and Screen", tmux.lines, s.lines, tmux, s) {
					return
				}
				io.WriteString(b.tty, dirty)
				if got := b.write(string(snapshot)); got != "" {
					t.Errorf("%s: the terminal answers %q", what, got)
				}
				b.write(string(p[cut-behind : end]))
				compare(t, what, a, b)
				b.write(string(p[end:]))
				compare(t, what+", in the end", all, b)
				if t.Failed() {
					return
				}
			}
		})
	}
}

// TestTmuxPrograms is about sequences in any order, of which programs are random.
func TestTmuxPrograms(t *testing.T) {
	open := terminals(t)
	a, b := open(8, 20), open(8, 20)
	r := rand.New(rand.NewPCG(1, 2))
	for program := range 150 {
		p := "\x1b[?1049l\x1bc\x1b[H\x1b[2J\x1b7" + randomProgram(r)
		what := fmt.Sprintf("program %d, %q", program, p)
		a.write(p)
		s := show(8, 20, p)
		tmux := a.shows(false)
		if x, y := s.x, s.y; !same(t, what+": tmux and Screen", tmux.lines, s.lines, tmux, s) {
			t.Errorf("the cursor is at %d, %d, in tmux %s", y, x, a.state())
			return
		}
		snapshot, _ := s.Snapshot(0)
		io.WriteString(b.tty, dirty)
		b.write(string(snapshot))
		if compare(t, what, a, b); t.Failed() {
			return
		}
	}
}

// randomProgram prints anything, but for what tmux has its own ways with.
func randomProgram(r *rand.Rand) string {
	n := func(most int) int { return r.IntN(most + 1) }
	var out strings.Builder
	const ascii = "\x0f\x1b(B\x1b)B"
	alternate := false
	for range 40 {
		switch n(26) {
		case 0, 1, 2, 3:
			fmt.Fprintf(&out, "%.*s", n(30), "The quick brown fox jumps over it")
		case 4:
			out.WriteString([]string{"日本語", "e\u0301", "─│", "🙂"}[n(3)])
		case 5, 6:
			out.WriteString("\r\n")
		case 7:
			out.WriteString([]string{"\n", "\r", "\x1b[7G\b", "\t", "\x1bM", "\x1bD", "\x1bE"}[n(6)])
		case 8:
			fmt.Fprintf(&out, "\x1b[%d;%dH", n(9), n(21))
		case 9:
			fmt.Fprintf(&out, "\x1b[%d%c", n(4), "ABCDEFGd"[n(7)])
		case 10:
			fmt.Fprintf(&out, "\x1b[%d%c", n(2), "JK"[n(1)])
		case 11:
			fmt.Fprintf(&out, "\x1b[%d%c", n(4), "PXST"[n(3)])
		case 26:
			out.WriteString("\x1b[@")
		case 25: // tmux obeys these outside of the margins too
			fmt.Fprintf(&out, "\x1b[r\x1b[%dd\x1b[%d%c", n(8), n(4), "LM"[n(1)])
		case 12:
			fmt.Fprintf(&out, "\x1b[?6l\x1b[%d;%dr", 1+n(7), 1+n(7)) // tmux goes home as if this mode were off
		case 13, 14, 15:
			fmt.Fprintf(&out, "\x1b[%d;%dm", n(9), 30+n(17))
		case 16:
			fmt.Fprintf(&out, "\x1b[38;5;%d;48;2;%d;2;3m\x1b[4:%dm", n(255), n(255), n(5))
		case 17:
			out.WriteString("\x1b[m")
		case 18:
			fmt.Fprintf(&out, "\x1b[?%d%c", []int{6, 7, 25, 1, 1000, 1006}[n(5)], "hl"[n(1)])
		case 19:
			out.WriteString("\x1b" + string("78"[n(1)]))
		case 20:
			out.WriteString("\r\x1b[4hxyz\x1b[4l") // not over the line's end, where tmux loses a cell
		case 21:
			out.WriteString([]string{"\x1b(0", "\x1b(B", "\x1b)0", "\x0e", "\x0f"}[n(4)])
		case 22:
			fmt.Fprintf(&out, "\x1b[%dg\x1bH", n(1)*3)
		case 23: // tmux has one saved cursor for both screens, and no more in it than the place and the style
			alternate = !alternate
			out.WriteString(map[bool]string{true: "\x1b[?6l\r" + ascii + "\x1b[?1049h\x1b7", false: "\x1b[?1049l" + ascii + "\x1b7"}[alternate])
		case 24:
			fmt.Fprintf(&out, "\rx\x1b[%db", n(5)) // tmux repeats to the end of the line only
		}
	}
	return out.String()
}

// TestTmuxTitles is about titles that were pushed, as vim does: they are to be popped.
func TestTmuxTitles(t *testing.T) {
	open := terminals(t)
	const push, pop = "\x1b[22;2t", "\x1b[23;0t"
	for _, output := range []string{
		push + "\x1b]2;one\a", "\x1b]2;one\a" + push + "\x1b]0;two\a", push + push + "\x1b]2;one\a\x1b[22;1t" + push + pop,
		"\x1b]2;one\a" + push + push + "\x1b]2;two\a" + push + "\x1b]2;three\a" + push + pop, push + pop + pop + "\x1b]2;one\a",
	} {
		a, b := open(8, 20), open(8, 20)
		a.write(output)
		snapshot, _ := show(8, 20, output).Snapshot(0)
		var m vtseq.Modes
		for range 2 { // the second time in place of the first
			b.write(string(m.Undo()) + string(snapshot))
			m.Scan(snapshot)
		}
		for n := range 4 {
			compare(t, fmt.Sprintf("%q, %d popped", output, n), a, b)
			a.write(pop)
			b.write(pop)
		}
	}
}

// TestTmuxScrollback is about what has left the screen, and comes to one of another
// width perhaps.
func TestTmuxScrollback(t *testing.T) {
	open := terminals(t)
	var out strings.Builder
	for i := range 300 {
		if i == 200 {
			out.WriteString("\x1b[H\x1b[2J")
		}
		fmt.Fprintf(&out, "\x1b[3%dm%d\x1b[m %s\r\n", i%8, i, strings.Repeat("wrap and 日本 ", i%9))
	}
	p := out.String()
	a, b := open(10, 40), open(10, 40)
	a.write(p)
	b.write("")
	io.WriteString(b.tty, dirty)
	snapshot, _ := show(10, 40, p).Snapshot(maxLines)
	b.write(string(snapshot))
	compare(t, "in the end", a, b)
	sameScrollback(t, a, b)

	out.Reset()
	for i := range 300 {
		fmt.Fprintf(&out, "\x1b[3%dm%d\x1b[m %s\r\n", i%8, i, strings.Repeat("wrap-and-", i%15))
	}
	p = out.String() + strings.Repeat("short\r\n", 20)
	for _, cols := range []int{31, 53} {
		a, b := open(10, 40), open(10, cols)
		a.write(p)
		a.tmux("resize-window", "-t", a.id, "-x", strconv.Itoa(cols))
		s := show(10, 40, p)
		s.Resize(10, cols)
		snapshot, _ := s.Snapshot(maxLines)
		b.write(string(snapshot))
		compare(t, "in the end", a, b)
		sameScrollback(t, a, b)
	}
}

func sameScrollback(t *testing.T, a, b *pane) {
	t.Helper()
	was, is := a.scrollback(), b.scrollback()
	if len(was) < 300 || len(is) < len(was) {
		t.Fatalf("%d lines and %d", len(was), len(is))
	}
	for i, l := range is[len(is)-len(was):] {
		x, y := show(1, 80, was[i]), show(1, 80, l)
		if !same(t, fmt.Sprintf("line %d of the history", i), x.lines, y.lines, x, y) {
			return
		}
	}
}

// TestTmuxRestore is about a terminal that was left.
func TestTmuxRestore(t *testing.T) {
	open := terminals(t)
	_, clean, _ := strings.Cut(open(8, 20).state(), "alternate_on")
	clean, _, _ = strings.Cut(clean, "pane_title")
	const last = 7
	for _, c := range []struct {
		output string
		text   string // that is then on the screen
		row    int    // of the cursor
		fresh  bool   // it is in the first column
	}{
		{"shell$ ", "shell$", 0, false},
		{"shell$ \x1b[41;30m", "shell$", 0, false},
		{"shell$ \x1b[?2004h", "shell$", 1, true},
		{"one\r\ntwo\x1b[H\x1b[?2004h", "two", last, true}, // and the first line above it
		{"\x1b[?1h\x1b=\x1b[?25l\x1b[?7l\x1b[4h\x1b[3;5r\x1b[?6h\x1b[?1002h\x1b[?1006h\x1b[?2004h\x1b(0\x1b[31m\x1b]2;unfin", "", last, true},
		{"aaau\r\n\x1b[?1049h\x1b[?1000h\x1b[H\x1b[2Jvim\x1b[2;4r\x1b[7;7H\x1b[31m\x1b(0", "aaau", 1, true},
		{"aaau\r\n\x1b[41mx\x1b[?1049h\x1b[H\x1b[2Jvim", "aaau\nx", 2, true},
		{"aaau\r\n\x1b[2;4r\x1b[?1049h\x1b[H\x1b[2Jvim", "", last, true},
		{"aaau\r\n\x1b[?1047h\x1b[H\x1b[2Jvim", "", last, true},
		{strings.Replace(dirty, "\x1b[3g", "", 1), "leftunder", 1, true},
	} {
		p := open(8, 20)
		io.WriteString(p.tty, c.output)
		var m vtseq.Modes
		m.Scan([]byte(c.output))
		undo, fresh := m.Restore()
		if got := p.write(string(undo)); got != "" {
			t.Errorf("the terminal answers %q", got)
		}
		where, state, _ := strings.Cut(p.state(), "alternate_on")
		if state, _, _ := strings.Cut(state, "pane_title"); state != clean {
			t.Errorf("after %q the terminal is in\n%s, not\n%s", c.output, state, clean)
		}
		want := fmt.Sprintf("cursor_x=0 cursor_y=%d ", c.row)
		if (where == want) != c.fresh || fresh != c.fresh || !strings.HasSuffix(where, want[len("cursor_x=0 "):]) {
			t.Errorf("after %q the cursor is at %s, and that is said to be a line's beginning: %v", c.output, where, fresh)
		}
		if got := p.shows(false).Text(); got != c.text {
			t.Errorf("after %q it shows %q", c.output, got)
		}
		p.write("\x1b[Hlq")
		if got := p.shows(false); got.lines[0].at(0) != (cell{r: 'l'}) {
			t.Errorf("after %q: %s", c.output, got.shown(got.lines[0].at(0)))
		}
	}
}

// size is what a recording was made with.
func size(name string) (rows, cols int) {
	switch strings.Trim(strings.TrimSuffix(filepath.Base(name), ".raw"), "2") {
	case "htop", "claude", "codex":
		return 30, 100
	}
	return 24, 80
}
