package screen

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// sentences are of several lengths; the last have what a name may have in it.
var sentences = []string{
	"frozen", "aaau: frozen by operator; to let it continue: aaau thaw shop", strings.Repeat("a long story of 日本 ", 20),
	"a\x1b[31mb\r\nc\u202ed\u009be\x00f", "日本語日本語日本語日本語日本語", strings.Repeat("x", 500), "e\u0301 क्षि 👩\u200d💻",
}

// worded are outputs after which words are shown, and what the program prints next.
var worded = []struct{ name, output, next string }{
	{"text", "one\r\n\x1b[31mtwo\x1b[m three", "four\r\nfive"},
	{"colours to the end", "\x1b[41m\x1b[2J\x1b[8;1H\x1b[44m0123456789\x1b[K\x1b[1;1H", "x\r\n"},
	{"a style that is on", "\x1b[8;1Hlast\x1b[3;3H\x1b[1;4;35;48;2;1;2;3m", "styled\x1b[m plain"},
	{"wide characters", "\x1b[8;1H日本語日本語日本語日本\x1b[8;2H", "x"},
	{"half of a wide character under the end", "\x1b[8;8H日本語\x1b[1;1H", "x"},
	{"marks", "\x1b[8;1He\u0301a\u0308o\u0302 mark\x1b[2;1He", "\u0301x"},
	{"margins", "\x1b[2;5r\x1b[5;1Hregion", "\n\nmore\x1b[r"},
	{"origin mode", "\x1b[8;1Hlast\x1b[2;5r\x1b[?6h\x1b[2;3H", "inside\x1b[1;1Hx\x1b[?6l\x1b[r"},
	{"a full line", "\x1b[3;1H01234567890123456789", "next line"},
	{"a full last line", "\x1b[8;1H01234567890123456789", "next line"},
	{"a full line of wide characters", "\x1b[3;1H日本語日本語日本語日", "本"},
	{"no wrapping", "\x1b[?7l\x1b[3;1H0123456789012345678901", "zz\x1b[?7h"},
	{"insert mode", "\x1b[2;1Habcdef\x1b[8;1Hlast line\x1b[2;3H\x1b[4h", "XY\x1b[4l"},
	{"the alternate screen", "shell$ \x1b7\x1b[?1049h\x1b[2J\x1b[8;1Hstatus\x1b[H\x1b[1mvim", "!\x1b[?1049l more"},
	{"line drawing", "\x1b[8;1H\x1b(0lqqqk\x1b[2;2H", "tqqu\x1b(B plain"},
	{"line drawing by shifting", "\x1b)0\x1b[8;1H\x0elqqqk\x1b[2;2H", "tqqu\x0f plain"},
	{"a link", "\x1b[8;1H\x1b]8;id=7;http://x/y\x1b\\under\x1b[2;2H", "same link\x1b]8;;\x1b\\ none"},
	{"history", strings.Repeat("line that scrolls\r\n", 40) + "prompt$ ", "typed\r\n\r\n"},
	{"lines that were wrapped", strings.Repeat("wrapped over and over ", 9), "x\r\n"},
	{"a hidden cursor", "\x1b[?25lbusy", "x\x1b[?25h"},
	{"a saved cursor", "\x1b[4;4H\x1b[33m\x1b7\x1b[m\x1b[6;2Hx", "\x1b8saved"},
	{"tab stops", "\x1b[3g\x1b[5G\x1bH\r", "\ttab"},
	{"repeating", "\x1b[2;2Hab", "\x1b[3b"},
	{"an erased cell at the end", "\x1b[3;1H01234567890123456789\x1b[K", "x"},
	{"nothing", "", "x"},
	{"the cursor on the last line", "\x1b[1;1Hfirst\x1b[8;3H", "typed"},
	{"a box to the right border", "\x1b[6;1H╭──────────────────╮\r\n│ >                │\r\n╰──────────────────╯\x1b[7;5H", "try\x1b[2;2Hx"},
}

func TestWords(t *testing.T) {
	all := worded
	all = append(all, []struct{ name, output, next string }{
		{"margins at the sides", "\x1b[8;1Hlast line\x1b[?69h\x1b[4;12s\x1b[3;4Hinside", "01234567890\r\nx\x1b[?69l"},
		{"a full line at a margin", "\x1b[?69h\x1b[4;12s\x1b[3;4H012345678", "next\x1b[?69l"},
		{"margins and origin", "\x1b[?69h\x1b[2;6r\x1b[4;12s\x1b[?6h\x1b[2;2Hx", "y\x1b[1;1Hz"},
		{"synchronized output", "\x1b[8;1Hlast\x1b[?2026h\x1b[2;2Hhalf a frame", " more\x1b[?2026l"},
		{"a joiner", "\x1b[2;2H👩\u200d", "💻x"},
	}...)
	for _, c := range all {
		for _, sentence := range sentences {
			s := show(8, 20, c.output)
			before := s.Text()
			now, then := s.Words(sentence, true)
			if now == nil || then == nil {
				t.Errorf("%s: no words", c.name)
				continue
			}
			if s.Text() != before {
				t.Fatalf("%s: words have changed the screen itself", c.name)
			}
			s.Write(now)
			if s.x != show(8, 20, c.output).x || s.y != show(8, 20, c.output).y {
				t.Errorf("%s: with words the cursor is at %d, %d", c.name, s.y, s.x)
			}
			if !strings.Contains(s.Text(), sentence[:1]) || s.Text() == before {
				t.Errorf("%s: %q does not show\n%s", c.name, sentence, s.Text())
			}
			s.Write(then)
			if d := difference(show(8, 20, c.output), s); d != "" {
				t.Errorf("%s, %q: afterwards they differ %s: %q %q", c.name, sentence, d, now, then)
			}
			s.Write([]byte(c.next))
			if d := difference(show(8, 20, c.output+c.next), s); d != "" {
				t.Errorf("%s, %q: after more output they differ %s: %q %q", c.name, sentence, d, now, then)
			}
		}
	}
}

// TestNoWords is about when words would break what the terminal is in the midst of.
func TestNoWords(t *testing.T) {
	for _, output := range []string{"\x1b", "\x1b[3", "\x1b]0;title", "\x1bPq#0", "\xe6\x97", "\x1b(", "\x1b]8;;http://x\x1b"} {
		if now, then := show(8, 20, "x"+output).Words("hello", true); now != nil || then != nil {
			t.Errorf("after %q: %q %q", output, now, then)
		}
	}
	var s strings.Builder
	for y := range 8 {
		fmt.Fprintf(&s, "\x1b[%dH", y+1)
		for x := range 100 {
			fmt.Fprintf(&s, "\x1b]8;;http://%d-%d/%s\x1b\\x", y, x, strings.Repeat("y", 900))
		}
	}
	if now, then := show(8, 100, s.String()+"\x1b[H").Words(strings.Repeat("hello ", 50), true); len(now)+len(then) > MaxWords {
		t.Errorf("words of %d bytes", len(now)+len(then))
	}
}

// TestWordsAreClean is about what is in the words themselves.
func TestWordsAreClean(t *testing.T) {
	s := show(8, 20, "x")
	for _, sentence := range append(sentences, "\x1b]0;x\a\u0085\u2028\u2066") {
		for cols := 1; cols < 40; cols++ {
			lines, widths := s.fold(sentence, 3, cols)
			if len(lines) == 0 || len(lines) > 3 {
				t.Fatalf("%q in %d columns: %q", sentence, cols, lines)
			}
			for i, l := range lines {
				n := 0
				for _, r := range l {
					n += width(r)
					if !unicode.IsPrint(r) || width(r) < 1 {
						t.Errorf("%q in %d columns has %q", sentence, cols, r)
					}
				}
				if n != widths[i] || n > cols {
					t.Errorf("%q in %d columns: %q has %d, not %d", sentence, cols, l, n, widths[i])
				}
			}
		}
	}
	for _, c := range []struct {
		sentence   string
		rows, cols int
		want       string
	}{
		{"frozen by operator", 2, 20, "frozen by operator"},
		{"frozen by operator", 2, 10, "frozen by|operator"},
		{"frozen by operator", 1, 10, "frozen by…"},
		{"frozen by operator", 2, 4, "froz|en …"},
		{"日本語", 1, 5, "日本…"},
		{"日本語", 1, 4, "日…"},
	} {
		if lines, _ := s.fold(c.sentence, c.rows, c.cols); strings.Join(lines, "|") != c.want {
			t.Errorf("%q in %d rows of %d: %q", c.sentence, c.rows, c.cols, lines)
		}
	}
}

// TestViewWords is about a terminal of another size.
func TestViewWords(t *testing.T) {
	for _, size := range [][2]int{{8, 20}, {4, 10}, {12, 40}, {1, 1}, {5, 60}, {20, 7}} {
		for _, c := range worded {
			s := show(8, 20, c.output)
			view := string(s.View(size[0], size[1]))
			for _, sentence := range sentences {
				now, then := s.ViewWords(sentence, size[0], size[1])
				terminal := show(size[0], size[1], view)
				terminal.Write(now)
				if terminal.Text() == show(size[0], size[1], view).Text() {
					t.Errorf("%s in %v: %q does not show", c.name, size, sentence)
				}
				terminal.Write(then)
				want := show(size[0], size[1], view)
				if !want.modes.Is(25) { // the cursor is out of sight, wherever it is
					want.Write([]byte("\x1b[H"))
					terminal.Write([]byte("\x1b[H"))
				}
				if d := difference(want, terminal); d != "" {
					t.Errorf("%s in %v: afterwards they differ %s", c.name, size, d)
				}
			}
		}
	}
}

// A view shows the last column that there is room for.
func TestViewLastColumn(t *testing.T) {
	s := show(3, 10, "\x1b[41m0123456789\x1b[m\r\nabcdefghij\r\n12345678日")
	for cols, want := range map[int]string{10: "0123456789\nabcdefghij\n12345678日", 4: "0123\nabcd\n1234", 9: "012345678\nabcdefghi\n12345678"} {
		if got := show(3, cols, string(s.View(3, cols))).Text(); got != want {
			t.Errorf("in %d columns %q, not %q", cols, got, want)
		}
	}
}

// TestTmuxWords has tmux judge that a terminal on which words stood is what it would be
// without them: its screen, its modes, and where the next output appears.
func TestTmuxWords(t *testing.T) {
	open := terminals(t)
	a, b := open(8, 20), open(8, 20)
	judge := func(what, output, next string, n int) {
		t.Helper()
		for _, p := range []*pane{a, b} {
			p.write("\x1b[?1049l\x1bc\x1b[H\x1b[2J\x1b7" + output)
		}
		now, then := show(8, 20, output).Words(sentences[n%len(sentences)], true)
		if got := b.write(string(now)); got != "" {
			t.Errorf("%s: the terminal answers %q", what, got)
		}
		if now != nil && !strings.Contains(b.tmux("capture-pane", "-p", "-t", b.id), sentences[n%len(sentences)][:1]) {
			t.Errorf("%s: the words are not to be seen", what)
		}
		b.write(string(then))
		compare(t, what+", afterwards", a, b)
		a.write(next)
		b.write(next)
		compare(t, what+", after more output", a, b)
		if t.Failed() {
			t.Fatalf("%s: %q\n%q %q", what, output, now, then)
		}
	}
	for i, c := range worded {
		for n := range sentences {
			judge(c.name, c.output, c.next, i+n)
		}
	}
	r := rand.New(rand.NewPCG(3, 4))
	for program := range 60 {
		judge(fmt.Sprint("program ", program), randomProgram(r), randomProgram(r), program)
	}
	for _, name := range recordings(t) {
		rows, cols := size(name)
		output, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		a, b := open(rows, cols), open(rows, cols)
		s, done := New(rows, cols), 0
		shown := 0
		for _, cut := range cuts(output) {
			end := max(cut, done)
			for s.Write(output[done:end]); s.pending > 0 && end < len(output); end++ {
				s.Write(output[end : end+1])
			}
			part := output[done:end]
			done = end
			a.write(string(part))
			b.write(string(part))
			if now, then := s.Words(sentences[1], true); now != nil {
				shown++
				b.write(string(now))
				b.write(string(then))
			}
			if compare(t, fmt.Sprintf("%s at %d", filepath.Base(name), done), a, b); t.Failed() {
				return
			}
		}
		if shown < 6 {
			t.Errorf("%s: words were shown %d times", name, shown)
		}
	}
}

// TestTmuxWordsBeneath is about a terminal on which a shell's lines stand above what the
// session has printed: nobody knows how many.
func TestTmuxWordsBeneath(t *testing.T) {
	open := terminals(t)
	a, b := open(8, 20), open(8, 20)
	// all is what the pane shows and what has scrolled off it, and on which line of that the
	// cursor is.
	all := func(p *pane) string {
		lines := p.tmux("capture-pane", "-e", "-p", "-S", "-", "-E", "-", "-t", p.id)
		drawn := show(100, p.cols, "\x1b)0") // tmux may say the same in several ways
		drawn.Write([]byte(strings.ReplaceAll(lines, "\n", "\r\n") + "\x0f\x1b[m\x1b[H"))
		snapshot, _ := drawn.Snapshot(0)
		var history, row int
		at := p.tmux("display-message", "-p", "-t", p.id, "#{history_size} #{cursor_y}")
		if _, err := fmt.Sscan(at, &history, &row); err != nil {
			t.Fatal(at, err)
		}
		_, modes, _ := strings.Cut(p.state(), "alternate_on")
		column, _, _ := strings.Cut(p.state(), " ")
		return fmt.Sprintf("%s\n%d %s %s", drawn.Text(), history+row, column, modes) + string(snapshot)
	}
	judge := func(what, output, next string, above, n int) (said bool) {
		t.Helper()
		for _, p := range []*pane{a, b} {
			p.write("\x1b[?1049l\x1bc\x1b[H\x1b[2J")
			p.tmux("clear-history", "-t", p.id)
			p.write("\x1b[31m" + strings.Repeat("shell\r\n", above) + "\x1b[m" + output)
		}
		now, then := show(8, 20, output).Words(sentences[n%len(sentences)], false)
		b.write(string(now))
		if now != nil && !strings.Contains(b.tmux("capture-pane", "-p", "-t", b.id), sentences[n%len(sentences)][:1]) {
			t.Errorf("%s: the words are not to be seen", what)
		}
		b.write(string(then))
		if was, is := all(a), all(b); was != is {
			t.Errorf("%s: the terminal has\n%s\n\nnot\n%s", what, is, was)
		}
		a.write(next)
		b.write(next)
		if was, is := all(a), all(b); was != is {
			t.Errorf("%s: after more output the terminal has\n%s\n\nnot\n%s", what, is, was)
		}
		if t.Failed() {
			t.Fatalf("%s, %d above: %q\n%q %q", what, above, output, now, then)
		}
		return now != nil
	}
	for i, c := range []struct {
		name, output, next string
		said               bool
	}{
		{"a prompt", "\x1b[32mprompt$ \x1b[m", "typed\r\nprompt$ ", true},
		{"some lines", "one\r\n\x1b[44mtwo\x1b[m\r\nthree", "\r\nfour\r\nfive\r\nsix\r\nseven", true},
		{"a full line", "01234567890123456789", "next", true},
		{"a box that is drawn again", "╭──────────────────╮\r\n│ >                │\r\n╰──────────────────╯\x1b[1A\x1b[5G\x1b[1Atop\x1b[1B\x1b[5G",
			"x\x1b[2A\r\x1b[J╭──────────────────╮\r\n│ > x              │\r\n╰──────────────────╯", true},
		{"a link, line drawing and a style", "\x1b(0\x1b[1;33m\x1b]8;;http://x\x1b\\lqk", "lqk\x1b(B\x1b]8;;\x1b\\x", true},
		{"no wrapping, inserting", "abcdef\x1b[3G\x1b[?7l\x1b[4h", "XYZ\x1b[4l\x1b[?7h", true},
		{"a cleared screen", "junk\r\n\x1b[H\x1b[2Jone\r\ntwo", "three\x1b[8;1Hlast\x1b[1;1Hx", true},
		{"a cleared screen, the other way", "\x1b[2J\x1b[Hone\r\ntwo", "three\x1b[8;1Hlast", true},
		{"many lines", strings.Repeat("line\r\n", 20), "x\x1b[8;1Hlast\x1b[1;1Hx", true},
		{"just as many as there is room for", strings.Repeat("line\r\n", 7), "x\x1b[8;1Hlast\x1b[1;1Hx", true},
		{"the alternate screen", "$ \x1b[?1049h\x1b[2J\x1b[8;1Hstatus\x1b[Hvim", "!\x1b[8;3Hx\x1b[?1049l more", true},
		{"back from the alternate screen", "$ \x1b[?1049h\x1b[2J\x1b[8;1Hstatus\x1b[Hvim\x1b[?1049l", "typed\r\n$ ", true},
		{"a cursor that was put somewhere", "one\r\ntwo\x1b[6;3Hx", "y", false},
		{"a saved cursor", "one\x1b7\r\ntwo\x1b8", "x", false},
		{"up beyond the beginning", "one\x1b[9A", "x", false},
		{"down into nothing", "one\x1b[3B", "x", false},
		{"margins", "one\x1b[2;5r\r\ntwo", "x\x1b[r", false},
	} {
		for above := range 9 {
			if said := judge(c.name, c.output, c.next, above, i+above); said != c.said {
				t.Errorf("%s: %v", c.name, said)
			}
		}
	}
	r := rand.New(rand.NewPCG(5, 6))
	for program := range 60 {
		judge(fmt.Sprint("program ", program), randomProgram(r), "next", program%8, program)
	}
}

// Words cover no sixel picture, as nobody but the terminal knows what it shows, if there is
// room for them elsewhere; and none that is gone is spared.
func TestWordsAvoidPictures(t *testing.T) {
	const (
		place = "\x1b[1;1H"
		three = "\x1bPq\"1;1;20;60#0~-~-~-~-~-~-~-~-~-~\x1b\\" // rows of 20 pixels
		sixth = "\x1b[6;1H" + three
		first = place + three
	)
	for name, c := range map[string]struct {
		output string
		row    int // of the words, from 1
	}{
		"no picture":                         {place, 8},
		"a picture on the last rows":         {sixth + "\x1b[3;1H", 5},
		"the cursor right above it":          {sixth + "\x1b[5;1H", 4},
		"a picture on the first rows":        {first + "\x1b[8;1H", 7},
		"it has scrolled up":                 {sixth + "\x1b[8;1H\r\n\r\n\x1b[2;1H", 8},
		"it has scrolled up by one":          {sixth + "\x1b[8;1H\r\n\x1b[2;1H", 8},
		"the screen was cleared":             {sixth + "\x1b[2J\x1b[1;1H", 8},
		"its rows were erased":               {sixth + "\x1b[6;1H\x1b[J\x1b[1;1H", 8},
		"a part of its row was erased":       {sixth + "\x1b[8;9H\x1b[K\x1b[1;1H", 5},
		"behind the alternate screen":        {sixth + "\x1b[?1049h\x1b[1;1H", 8},
		"before the alternate screen, again": {sixth + "\x1b[1;1H\x1b[?1049h\x1b[?1049l\x1b[3;1H", 5},
		"pictures everywhere":                {first + "\x1b[4;1H" + three + sixth + "\x1b[1;1H", 8},
	} {
		s := show(8, 20, c.output)
		now, then := s.Words("frozen", true)
		want := fmt.Sprintf("\x1b[%d;1H frozen", c.row)
		if c.row == 1 {
			want = "\x1b[H frozen"
		}
		if !strings.Contains(string(now), want) || !strings.Contains(string(then), fmt.Sprintf("\x1b[%d;1H", c.row)) {
			t.Errorf("%s: not in row %d: %q, %q", name, c.row, now, then)
		}
	}
	for rows := 1; rows < 12; rows++ { // and whatever the size, and the sentence
		for _, sentence := range sentences {
			s := show(rows, 20, sixth)
			s.Words(sentence, true)
			if s.panics > 0 {
				t.Fatalf("%d rows, %q: a mistake", rows, sentence)
			}
		}
	}
}
