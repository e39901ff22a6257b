package system

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// wall is a tmux of a test's own. What its panes show says somebody who has no part in
// this project.
type wall struct {
	t   *testing.T
	who account
	// erased says that this tmux tells the colour of what was erased at a line's end,
	// which older ones do not.
	erased bool
	panes  int
}

// pane is one of them, with one program on it.
type pane struct {
	*wall
	id, raw string // raw is the file with the bytes that it was given
}

func newWall(t *testing.T, who account) *wall {
	t.Helper()
	w := &wall{t: t, who: who}
	w.tmux(t, "start-server", ";", "set-option", "-g", "exit-empty", "off", ";", "set-option", "-g", "status", "off", ";",
		"set-option", "-g", "history-limit", "20000", ";", "set-option", "-g", "default-terminal", "xterm-256color", ";",
		"set-option", "-g", "remain-on-exit", "on")
	t.Cleanup(func() { w.tmux(t, "kill-server") })
	p := w.open(t, 2, 10, "sh", "-c", `printf '\033[41m\033[K\033[m\n.'; exec cat`)
	p.shows(t, `\.`)
	w.erased = strings.Contains(p.tmux(t, "capture-pane", "-e", "-p", "-N", "-t", p.id), "41m")
	p.close(t)
	return w
}

func (w *wall) tmux(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, w.who, append([]string{"tmux", "-L", "golden", "-f", "/dev/null"}, args...)...)
}

// open runs a program in a pane.
func (w *wall) open(t *testing.T, rows, cols int, argv ...string) *pane {
	t.Helper()
	w.panes++
	go_ := fmt.Sprintf("go%d", w.panes)
	p := &pane{wall: w, raw: filepath.Join(w.who.home, go_+".raw")}
	w.t.Cleanup(func() { os.Remove(p.raw) })
	wait := []string{"sh", "-c", `tmux -L golden wait-for "$0" && exec "$@"`, go_}
	p.id = w.tmux(t, append(append([]string{"new-session", "-d", "-P", "-F", "#{pane_id}", "-x", strconv.Itoa(cols), "-y", strconv.Itoa(rows)}, wait...), argv...)...)
	w.tmux(t, "pipe-pane", "-O", "-t", p.id, "exec cat >"+p.raw, ";", "wait-for", "-S", go_)
	return p
}

func (p *pane) close(t *testing.T) {
	t.Helper()
	p.tmux(t, "kill-pane", "-t", p.id)
}

func (p *pane) resize(t *testing.T, rows, cols int) {
	t.Helper()
	p.tmux(t, "resize-window", "-t", p.id, "-x", strconv.Itoa(cols), "-y", strconv.Itoa(rows))
}

// typed types keys, given as what they send.
func (p *pane) typed(t *testing.T, keys string) {
	t.Helper()
	args := []string{"send-keys", "-t", p.id, "-H"}
	for _, b := range []byte(keys) {
		args = append(args, fmt.Sprintf("%02x", b))
	}
	p.tmux(t, args...)
}

// text is what the pane shows, without looks.
func (p *pane) text(t *testing.T) string {
	t.Helper()
	return p.tmux(t, "capture-pane", "-p", "-t", p.id)
}

// shows waits until the pane's text matches, and returns the match with its submatches.
func (p *pane) shows(t *testing.T, pattern string) (found []string) {
	t.Helper()
	re, text := regexp.MustCompile("(?m)"+pattern), ""
	if !eventually(func() bool {
		text = p.text(t)
		found = re.FindStringSubmatch(text)
		return found != nil
	}) {
		t.Fatalf("in vain waited for %q; the terminal shows\n%s", pattern, text)
	}
	return found
}

// glyph is what a cell shows, without the marks on it, or one of its marks.
type glyph struct {
	r    rune
	look look
}

type look struct {
	attributes string // the numbers of SGR, in order
	fg, bg, us string
	set        bool // line drawing
}

// picture is all that a pane tells of itself.
type picture struct {
	state          string
	screen, behind []([]glyph) // behind is the main screen, while the alternate one is shown
}

// state is the cursor and the modes. What a tmux does not know is empty.
var state = func() string {
	var format []string
	for f := range strings.FieldsSeq(`cursor_x cursor_y cursor_flag cursor_shape cursor_blinking alternate_on
		mouse_any_flag mouse_standard_flag mouse_button_flag mouse_all_flag mouse_sgr_flag mouse_utf8_flag insert_flag keypad_flag keypad_cursor_flag
		bracket_paste_flag synchronized_output_flag wrap_flag origin_flag scroll_region_upper scroll_region_lower pane_tabs pane_title pane_dead`) {
		format = append(format, f+"=#{"+f+"}")
	}
	return strings.Join(format, " ")
}()

func (p *pane) picture(t *testing.T) picture {
	t.Helper()
	const between = "<here the next begins>"
	said := p.tmux(t, "display-message", "-p", "-t", p.id, state+between, ";", "capture-pane", "-e", "-p", "-N", "-t", p.id, ";",
		"display-message", "-p", between, ";", "capture-pane", "-q", "-a", "-e", "-p", "-N", "-t", p.id)
	parts := strings.Split(said, between+"\n")
	if len(parts) != 3 {
		t.Fatalf("tmux said %q", said)
	}
	x := picture{parts[0], glyphs(strings.TrimSuffix(parts[1], "\n")), glyphs(parts[2])}
	if len(x.behind) != len(x.screen) {
		x.behind = nil // there is none, or tmux will give it this size when it is shown again
	}
	return x
}

// scrollback is what has left the pane's main screen at its top.
func (p *pane) scrollback(t *testing.T) [][]glyph {
	t.Helper()
	n := number(t, p.tmux(t, "display-message", "-p", "-t", p.id, "#{history_size}"))
	if n == 0 {
		return nil
	}
	return glyphs(p.tmux(t, "capture-pane", "-e", "-p", "-N", "-t", p.id, "-S", "-", "-E", "-1"))
}

// glyphs reads what capture-pane -e prints: text, SGR, and SO and SI around line
// drawing. The looks go on from line to line.
func glyphs(captured string) (lines [][]glyph) {
	var now look
	for text := range strings.SplitSeq(captured, "\n") {
		var line []glyph
		for text != "" {
			switch {
			case strings.HasPrefix(text, "\x1b["):
				var numbers string
				numbers, text, _ = strings.Cut(text[2:], "m")
				now.apply(numbers)
				continue
			case strings.HasPrefix(text, "\x1b]"): // a link
				_, text, _ = strings.Cut(text, "\x1b\\")
				continue
			case text[0] == '\x0e' || text[0] == '\x0f':
				now.set, text = text[0] == '\x0e', text[1:]
				continue
			}
			r, n := utf8.DecodeRuneInString(text)
			line, text = append(line, glyph{r, now}), text[n:]
		}
		lines = append(lines, line)
	}
	return lines
}

// apply is SGR as tmux writes it.
func (l *look) apply(numbers string) {
	fields := strings.Split(numbers, ";")
	for i := 0; i < len(fields); i++ {
		f := fields[i]
		n, _ := strconv.Atoi(strings.SplitN(f, ":", 2)[0])
		colour := f
		if (n == 38 || n == 48 || n == 58) && !strings.Contains(f, ":") && i+1 < len(fields) {
			more := map[string]int{"5": 3, "2": 5}[fields[i+1]]
			colour = strings.Join(fields[i:min(i+more, len(fields))], ";")
			i += more - 1
		}
		switch {
		case n == 0:
			*l = look{set: l.set}
		case n == 39:
			l.fg = ""
		case n == 49:
			l.bg = ""
		case n == 59:
			l.us = ""
		case n == 38 || 30 <= n && n <= 37 || 90 <= n && n <= 97:
			l.fg = colour
		case n == 48 || 40 <= n && n <= 47 || 100 <= n && n <= 107:
			l.bg = colour
		case n == 58:
			l.us = colour
		default:
			all := strings.Fields(l.attributes)
			if !slices.Contains(all, f) {
				all = append(all, f)
				slices.Sort(all)
			}
			l.attributes = strings.Join(all, " ")
		}
	}
}

// differ says where pictures do, "" for nowhere.
func (w *wall) differ(a, b picture) string {
	if a.state != b.state {
		was, is := strings.Fields(a.state), strings.Fields(b.state)
		return fmt.Sprintf("state: %q and %q",
			slices.DeleteFunc(slices.Clone(was), func(s string) bool { return slices.Contains(is, s) }),
			slices.DeleteFunc(slices.Clone(is), func(s string) bool { return slices.Contains(was, s) }))
	}
	if d := w.differLines(a.screen, b.screen); d != "" {
		return d
	}
	if a.behind == nil || b.behind == nil {
		return ""
	}
	if d := w.differLines(a.behind, b.behind); d != "" {
		return "behind the alternate screen: " + d
	}
	return ""
}

func (w *wall) differLines(a, b [][]glyph) string {
	if len(a) != len(b) {
		return fmt.Sprintf("%d and %d lines", len(a), len(b))
	}
	for y := range a {
		for x := range max(len(a[y]), len(b[y])) {
			if m, n := glyphAt(a[y], x), glyphAt(b[y], x); m != n && !(w.mayBe(m) && w.mayBe(n) && (x >= len(a[y]) || x >= len(b[y]))) {
				return fmt.Sprintf("line %d, glyph %d: %+v and %+v in\n%s\n%s", y, x, m, n, plainLine(a[y]), plainLine(b[y]))
			}
		}
	}
	return ""
}

var blank = glyph{r: ' '}

// glyphAt is what a line shows at a place; at its end it is blank.
func glyphAt(line []glyph, x int) glyph {
	if x < len(line) {
		return line[x]
	}
	return blank
}

// mayBe says whether this may be what a tmux leaves out at a line's end.
func (w *wall) mayBe(g glyph) bool {
	return g == blank || !w.erased && g.r == ' ' && g.look == look{bg: g.look.bg}
}

func plainLine(line []glyph) string {
	var b strings.Builder
	for _, g := range line {
		b.WriteRune(g.r)
	}
	return fmt.Sprintf("%q", b.String())
}

// same waits until two panes show the same, the first one before as well as after.
func (a *pane) same(t *testing.T, what string, b *pane) {
	t.Helper()
	differ := ""
	for end := time.Now().Add(patience); ; {
		before := a.picture(t)
		differ = a.differ(before, b.picture(t))
		if differ == "" && a.differ(before, a.picture(t)) == "" {
			return
		}
		if time.Now().After(end) {
			break
		}
	}
	const most = 32 << 10
	ends := func(b []byte) []byte { return b[max(0, len(b)-most):] }
	t.Errorf("%s: the terminals differ: %s\nthe first was given\n… %q\nthe second\n… %q", what, differ, ends(a.given(t)), ends(b.given(t)))
}

// hasScrollbackOf fails unless what has left a at its top is what has left b, or the
// last lines of it if it is more than so many, below what a had before.
func (a *pane) hasScrollbackOf(t *testing.T, b *pane, lines, before int) {
	t.Helper()
	got, want := a.scrollback(t), b.scrollback(t)
	want = want[max(0, len(want)-lines):]
	if len(got) < len(want) || len(got) > len(want)+before {
		t.Errorf("%d lines have left the terminal, of %d", len(got), len(want))
		return
	}
	if d := a.differLines(want, got[len(got)-len(want):]); d != "" {
		t.Errorf("of %d lines that have left the terminal: %s", len(want), d)
	}
}

// given is the bytes that the pane was given.
func (p *pane) given(t *testing.T) []byte {
	t.Helper()
	bytes, err := os.ReadFile(p.raw)
	if err != nil {
		t.Error(err)
	}
	return bytes
}
