package screen

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/vtseq"
)

// What shows nothing itself but says how its neighbours are written is kept in what is
// read, and for who joins.
func TestInvisible(t *testing.T) {
	for name, text := range map[string]string{
		"Persian":                  "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
		"a joiner at a word's end": "\u0647\u200d.",
		"Hindi":                    "\u0915\u094d\u200d\u0937",
		"a family":                 "\U0001f468\u200d\U0001f469\u200d\U0001f467",
		"a flag of tags":           "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e007f",
		"marks of direction":       "a\u200fb\u200ec\u061cd",
		"a soft hyphen":            "a\u00adb",
		"a variation":              "\u2764\ufe0f",
	} {
		s := show(4, 20, text+"<")
		if got := s.Text(); got != text+"<" {
			t.Errorf("%s: the text is %q", name, got)
		}
		snapshot, _ := s.Snapshot(0)
		if !bytes.Contains(snapshot, []byte(cleared+text)) {
			t.Errorf("%s: who joins gets %q", name, snapshot)
		}
		to := again(s, text+"<", "more")
		s.Write([]byte("more"))
		if d := difference(s, to); d != "" {
			t.Errorf("%s: they differ %s", name, d)
		}
		s.Write([]byte(strings.Repeat("\r\n", 4)))
		if got := s.history.text(); !strings.Contains(got, text) {
			t.Errorf("%s: in the history is %q", name, got)
		}
	}
}

// Text of another size (OSC 66) is text.
func TestSizedText(t *testing.T) {
	for _, c := range []struct {
		output, want string
		col          int
	}{
		{"\x1b]66;w=2;AB\x1b\\after", "ABafter", 7},
		{"\x1b]66;s=2;AB\aafter", "A B after", 9},
		{"\x1b]66;s=2:w=2;AB\a<", "AB  <", 5},
		{"\x1b]66;n=1:d=2:w=1;AB\a<", "A<", 2},
		{"\x1b]66;;e\u0301日\a<", "e\u0301日<", 4},
		{"\x1b]66;w=9;ab\a\x1b]66;x=y:s=0:w=22;c\a\x1b]66;;a\nb\u0085\xff\a<", "abc<", 0},
		{"12345678\x1b]66;w=3;abc\a", "12345678\nabc", 3},
		{"\x1b]66;s=7;123\x1b\\", "1\n2\n3", 7},
		{"\x1b]66;w=2\x1b\\\x1b]66\x1b\\", "", 0},
	} {
		s := show(4, 10, c.output)
		_, col := s.Cursor()
		if got := s.Text(); c.col > 0 && (got != c.want || col != c.col) || s.panics > 0 {
			t.Errorf("%q: %q and column %d, not %q and %d", c.output, got, col, c.want, c.col)
		}
	}
}

// Styles that were pushed come back, also where the screen is shown anew.
func TestPushedStyles(t *testing.T) {
	const red, plain = "\x1b[31m", "\x1b[0m"
	for _, c := range []struct{ output, rest, same string }{
		{"\x1b[#{" + red, "\x1b[#}x", plain},
		{red + "\x1b[#p" + plain, "\x1b[#qx", red},
		{"\x1b[1;4;41m\x1b[1;31#{\x1b[0;32m", "\x1b[#}x", "\x1b[1;32;41m"},
		{"\x1b[4:3m\x1b[21;30#{\x1b[4:1;35m", "\x1b[#}x", "\x1b[0;4:3m"},
		{red + strings.Repeat("\x1b[#{", 12) + plain, strings.Repeat("\x1b[#}", 10) + "\x1b[32m\x1b[#}x", "\x1b[32m"},
		{red + "\x1b[#{\x1b[32m\x1b[#{" + plain, "\x1b[#}\x1b[#}\x1b[#}x", red},
	} {
		s := show(4, 10, c.output)
		to := again(s, c.output, c.rest)
		s.Write([]byte(c.rest))
		if got, want := s.lines[0].at(0), show(4, 10, c.same+"x").lines[0].at(0); got != want {
			t.Errorf("%q: %v, not %v", c.output, got, want)
		}
		if d := difference(s, to); d != "" {
			t.Errorf("%q: they differ %s", c.output, d)
		}
	}
}

// After a picture the cursor is on its last line.
func TestSixelCursor(t *testing.T) {
	const bands = "~-~-~-~-~-~-~" // 42 pixels
	for _, c := range []struct {
		output   string
		row, col int
	}{
		{"ab\x1bPq" + bands + "\x1b\\", 2, 2},
		{"ab\x1bP0;1;8q\"1;1;300;60#0;2;0;0;0#0~\x1b\\", 2, 2},
		{"ab\x1bPq" + bands + "-\xc2\x9c", 2, 2}, // what has nothing on it is no band
		{"ab\x1bPq!250~$!20~\x1b\\", 0, 2},
		{"ab\x1b[?8452h\x1bPq!25~" + bands + "\x1b\\", 2, 5},
		{"ab\x1b[?8452h\x1bPq!9999999999~\x1b\\", 0, 9},
		{"ab\x1b[?80h\x1bPq" + bands + "\x1b\\", 0, 2},
		{"ab\x1bPq" + bands + "\x18", 0, 2},
		{"ab\x1bPq" + strings.Repeat("-", 70_000) + "~\x1b\\", 3, 2}, // it has scrolled
		{"ab\x1bP+q544e\x1b\\\x1bP$qm" + bands + "\x1b\\\x1b_q" + bands + "\x1b\\", 0, 2},
	} {
		for _, size := range []int{1, 7, len(c.output)} {
			s := New(4, 10)
			for p := []byte(c.output); len(p) > 0; p = p[min(size, len(p)):] {
				s.Write(p[:min(size, len(p))])
			}
			if row, col := s.Cursor(); row != c.row || col != c.col || s.panics > 0 {
				t.Errorf("%.40q in chunks of %d: %d, %d", c.output, size, row, col)
			}
		}
	}
	s := New(4, 10)
	s.SetCell(8, 42)
	s.Write([]byte("\x1bPq" + bands + "\x1b\\"))
	if row, _ := s.Cursor(); row != 0 {
		t.Errorf("with larger cells it is in row %d", row)
	}
}

// The looks that the session has set are given to who joins, and to the next bridge.
func TestSnapshotOfLooks(t *testing.T) {
	const looks = "\x1b]22;wait\x1b\\\x1b]22;>help\x1b\\\x1b[20h\x1b[?67h\x1b[?9001h\x1b]11;#400000\x1b\\\x1b]4;1;#123456\x1b\\\x1b]9;4;1;50\x1b\\"
	s := show(4, 10, looks)
	snapshot, _ := s.Snapshot(0)
	if got := setting(&s.modes); got != looks || !bytes.Contains(snapshot, []byte("\x1b]11;#400000\x1b\\")) {
		t.Errorf("%q", got)
	}
	to := again(s, looks, "")
	if d := difference(s, to); d != "" {
		t.Errorf("they differ %s", d)
	}
}

// Who joins and leaves again has the prompt below what the session has shown, and not
// below the blanks under that; and beside an alternate screen below what was there before.
func TestPlaceAfterSnapshot(t *testing.T) {
	const bottom = "\x1b[9999;1H"
	moves := regexp.MustCompile(`\x1b\[[0-9;]*[BH]`)
	for output, down := range map[string]string{
		"one\r\ntwo$ \x1b[?2004h":              "",
		"one\r\n\x1b[?2004h":                   "",
		"one\r\n日\x1b[?2004h":                  "",
		"0123456789\x1b[?2004h":                "",
		"one\r\ntwo\x1b[1;2H\x1b[?2004h":       "\x1b[1B",
		"one\r\ntwo\x1b[2;2H\x1b[?2004h":       "",
		"1\r\n2\r\n3\r\n4\x1b[2;1H\x1b[?2004h": bottom,
		"1\r\n2\r\n3\x1b[H\x1b[?2004h":         "\x1b[2B",
		"one\r\n\x1b[?1049h\x1b[H\x1b[2Jvim":   "",
		"one\r\ntwo\x1b[H\x1b[?1049hvim":       "\x1b[1B",
		"\x1b[H\x1b[?1049hvim":                 "",
		"one\r\n\x1b[41m\x1b[2J\x1b[?2004h":    bottom,
		"one\x1b[1;9H\x1b[44m \r\x1b[?2004h":   "",
	} {
		s := show(4, 10, output)
		snapshot, _ := s.Snapshot(0)
		var m vtseq.Modes
		m.Scan(snapshot)
		undo, fresh := m.Restore()
		if got := string(moves.Find(undo)); !fresh || got != down {
			t.Errorf("%q: %q after %q", output, undo, snapshot)
		}
	}
}

// Whatever was shown, who leaves has a prompt that nothing is beside or below, whether the
// program has been there from the start or they have joined.
func TestPromptIsBelowAll(t *testing.T) {
	pieces := []string{"abc", "a line that is wrapped", "\r", "\n", "\r\n", "\n\n\n", "\x1b[A", "\x1b[3A", "\x1b[B", "\x1b[2B", "\x1b[C", "\x1b[2E", "\x1b[F", "\x1b[4G",
		"\x1b[H", "\x1b[3;2H", "\x1b[5d", "\x1b[J", "\x1b[2J", "\x1b[2J\x1b[H", "\x1b[K", "\x1b[L", "\x1b[2M", "\x1b[T", "\x1b[S", "\x1b[3@", "\x1b[5b", "\x1b7", "\x1b8", "\x1b7\x1b[r\x1b8",
		"\x1bM", "\x1bD", "\x1bE", "\x1b[2;4r", "\x1b[r", "\x1b[?6h", "\x1b[?6l", "\x1b[?1049h", "\x1b[?1049l", "\x1b[?2004h", "\x1b[41m", "\x1b[m", "\x1b[s", "\x1b[u"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		output := ""
		for range 1 + random.IntN(12) {
			output += pieces[random.IntN(len(pieces))]
		}
		joined, _ := show(6, 12, output).Snapshot(0)
		for _, output := range []string{output, string(joined)} {
			var m vtseq.Modes
			m.Scan([]byte(output))
			undo, fresh := m.Restore()
			s := show(6, 12, output+string(undo))
			if !fresh {
				continue
			}
			below := s.lines[s.cursor.y:]
			if s.cursor.x > 0 || slices.ContainsFunc(below, func(l *line) bool { return !isEmpty(l.cells[:l.used]) }) {
				t.Fatalf("%q, and then %q: the cursor is in row %d, column %d of\n%s", output, undo, s.cursor.y, s.cursor.x, s.Text())
			}
		}
	}
}
