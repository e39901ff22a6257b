package screen

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/vtseq"
)

// difference is what differs between two screens, "" for nothing.
func difference(a, b *Screen) string {
	if a.rows != b.rows || a.cols != b.cols {
		return "in size"
	}
	if (a.main == nil) != (b.main == nil) {
		return "in which screen is shown"
	}
	for i, lines := range [][2][]*line{{a.lines, b.lines}, {a.main, b.main}} {
		for y := range lines[0] {
			for x := range a.cols {
				m, n := a.shown(lines[0][y].at(x)), b.shown(lines[1][y].at(x))
				if m != n {
					return fmt.Sprintf("in screen %d at %d, %d: %s and %s", i, y, x, m, n)
				}
			}
		}
	}
	for i, c := range [][2]cursor{{a.cursor, b.cursor}, {a.saved[0], b.saved[0]}, {a.saved[1], b.saved[1]}} {
		if i > 0 && i-1 != a.showing() && a.main == nil {
			continue
		}
		c[0].full, c[1].full = a.isFull(&c[0]), b.isFull(&c[1])
		l, m := a.links, b.links
		if m, n := c[0].shown(&l), c[1].shown(&m); m != n {
			return fmt.Sprintf("in cursor %d: %s and %s", i, m, n)
		}
	}
	if a.margins != b.margins || !reflect.DeepEqual(a.tabs, b.tabs) || a.title != b.title || !slices.Equal(a.titles, b.titles) || a.wrap != b.wrap || a.insert != b.insert {
		return fmt.Sprintf("in margins, tabs, title or modes: %v %v %v, %v %v %v", a.margins, a.title, a.titles, b.margins, b.title, b.titles)
	}
	if m, n := setting(&a.modes), setting(&b.modes); m != n {
		return fmt.Sprintf("in modes: %q and %q", m, n)
	}
	if m, n := a.history.text(), b.history.text(); m != n {
		return fmt.Sprintf("in history: %.200q and %.200q", m, n)
	}
	return ""
}

// text is the lines that are given at most.
func (h *history) text() string {
	var b strings.Builder
	for i := h.last(maxLines, maxBytes); i < len(h.lines); i++ {
		text, _ := h.line(i)
		b.Write(append(text[:len(text):len(text)], '\n'))
	}
	return b.String()
}

func setting(m *vtseq.Modes) string {
	return string(m.AppendSet(m.AppendKeyboard(m.AppendKeyboard(nil, false), true)))
}

// shown is a cell in words, in which numbers of links and clusters are what they
// stand for.
func (s *Screen) shown(c cell) string {
	r, link := fmt.Sprint(c.r), ""
	if c.r >= 0 && c.r < cluster || c.r > cluster {
		r = string(s.appendRune(nil, c.r))
	}
	if c.link > 0 {
		link = s.links.text(c.link)
	}
	c.link = 0
	return fmt.Sprintf("%q %v %q", r, c.style, link)
}

func (c cursor) shown(links *table) string {
	link := ""
	if c.style.link > 0 {
		link = links.text(c.style.link)
	}
	c.style.link = 0
	return fmt.Sprintf("%+v %q", c, link)
}

// dirty is output that leaves a terminal in about the worst state.
const dirty = "left\x1b[41;1;4munder\r\n\x1b[?1049h\x1b[2;3r\x1b[?6h\x1b[4h\x1b[?7l\x1b[?25l\x1b[?1003h\x1b[?1006h\x1b[?2004h\x1b[?1004h\x1b[?1h\x1b=\x1b(0\x1b)0\x0e\x1b[7m\x1b[>31u\x1b[>5u\x1b[>4;2m\x1b[3g\x1b[5 q\x1b7\x1b]8;;http://x\x1b\\zz\x1bPunfinished"

// again is a screen that was given another's snapshot and what goes on then.
func again(s *Screen, output, rest string) *Screen {
	snapshot, behind := s.Snapshot(maxLines)
	to := show(s.rows, s.cols, dirty)
	to.title = title{}
	blank := bytes.Index(snapshot, []byte(cleared)) + len(cleared)
	to.Write(snapshot[:blank])
	to.history = history{} // where what was there before went
	to.Write(snapshot[blank:])
	to.Write([]byte(output[len(output)-behind:] + rest))
	return to
}

func TestSnapshot(t *testing.T) {
	for _, c := range []struct{ output, rest string }{
		{"hello\r\nworld", "!"},
		{"one\r\ntwo\r\nthree\r\nfour\r\nfive\r\n\x1b[31msix", "\r\n\r\n"},
		{"0123456789", "x"},
		{"0123456789012345678901234567890123456789012345", "\r\n"},
		{"01234567日本語日本語日本語日本語e\u0301", "\u0301"},
		{"123456789日本", ""},
		{"\x1b[41m\x1b[2J\x1b[mx\x1b[44m\x1b[K\r\n\n\n\n\n", ""},
		{"\x1b[41mabcdefghijklm\r\n\n\n\x1b[K\n\x1b[42mabc\r\n0123456789\x1b[43ma\r\n", ""},
		{"shell$ \x1b[?1049h\x1b[2J\x1b[H\x1b[1mvim", "\x1b[?1049l more"},
		{"\x1b[2;2Hx\x1b[?1049h\x1b[>1u\x1b[2;3r\x1b[?6hvim\x1b7\x1b[1;1Hq", "\x1b8r\x1b[?1049ls\x1b[<u"},
		{"\x1b[>3u\x1b[=8;2u\x1b[>4;2m", "\x1b[<u"},
		{"a\x1b[1;31;4;58;5;3mb\x1b[0;38;2;1;2;3;48;5;200mc\x1b[4:3md\x1b[21me\x1b[53;9;7;8;5;3;2mf", "g"},
		{"\x1b]8;id=1;http://a.example\x1b\\link\x1b]8;;\x1b\\ed\x1b]8;;http://b\x1b\\", "x"},
		{"\x1b(0lqk\x1b7\x0e\x1b)0", "x\x0fx\x1b8x"},
		{"\x1b[2;3r\x1b[?6h\x1b[2;2H", "\n\n\n\x1b[1;1Hx"},
		{"\x1b[?69h\x1b[3;6s\x1b[?6habcdefgh", "ijklmnop\x1b[H\x1b[L"},
		{"\x1b[3g\x1b[4G\x1bH\x1b[1G", "\tx\tx"},
		{"\x1b[?7l0123456789ab", "c"},
		{"\x1b[4habc\x1b[2G", "xy"},
		{"\x1b]0;title\a\x1b[?1h\x1b=\x1b[?25l\x1b[?2004h\x1b[?1004h\x1b[?1002h\x1b[?1006h\x1b[?1007h\x1b[4 q\x1b[?2026h", ""},
		{"\x1b[22;2t\x1b]2;one\a\x1b[22t\x1b]2;two\a\x1b[22;1t\x1b[22;0t\x1b]2;three\a", "\x1b[23;2t\x1b[23t"},
		{"a\xe6\x97", "\xa5b"},
		{"a\x1b", "[1mb"},
		{"a\x1b[3", "1mb"},
		{"a\x1b]2;tit", "le\x1b\\b"},
		{"a\x1b]2;title\x1b", "\\b"},
		{"a\x1bPq" + strings.Repeat("x", 3000), "yyy\x1b\\b"},
		{"a\x1b]52;c;" + strings.Repeat("x", 3000), "yyy\ab"},
		{"a\x1b[" + strings.Repeat("1;", 1500), "1mb"},
		{"a\u200d", "x"},
	} {
		s := show(4, 10, c.output)
		to := again(s, c.output, c.rest)
		s.Write([]byte(c.rest))
		if d := difference(s, to); d != "" {
			t.Errorf("after %.200q and %q differ %s", c.output, c.rest, d)
		}
	}
}

// TestSnapshotBounds is about screens of which there is too much to say.
// Terminals differ in how wide some characters with marks are. What was printed after
// one looks as it did where it was printed; what was put somewhere is there.
func TestSnapshotOfMarks(t *testing.T) {
	const heart = "\u2764\ufe0f"
	for _, c := range []struct{ output, want string }{
		{heart + " x", heart + " x"},
		{heart + "\x1b[3Gx", heart + "\x1b[3Gx"},
		{"    x\r" + heart + "\x1b[5Gx", heart + "\x1b[5Gx"},
		{heart + "ab\x1b[8Gx", heart + "ab\x1b[8Gx"},
		{heart + "\x1b[1m x", heart + "\x1b[0;1m x"},
		{heart + "\x1b[3G\x1b[41m x", heart + "\x1b[0;41m\x1b[3G x"},
		{heart + "\x1b[41m\x1b[K", heart + "\x1b[2G\x1b[0;41m" + strings.Repeat(" ", 9)},
		{heart + "bcdefghij", heart + "\x1b[2Gbcdefghij"}, // which might be too long
	} {
		snapshot, _ := show(4, 10, c.output).Snapshot(0)
		if !bytes.Contains(snapshot, []byte(cleared+c.want)) {
			t.Errorf("%q: %q", c.output, snapshot)
		}
	}
}

func TestSnapshotBounds(t *testing.T) {
	for _, c := range []struct{ rows, cols, most int }{
		{24, 80, maxSnapshot}, {100, 300, maxSnapshot}, {maxSide, maxSide / 4, maxSnapshot + 2*4*maxSide*maxSide/4},
	} {
		s := New(c.rows, c.cols)
		var b []byte
		for range 2 {
			for i := range c.rows * c.cols {
				b = fmt.Appendf(b[:0], "\x1b]8;;%d%s\a\x1b[38;2;%d;1;200;48;2;1;%d;200m💣\u0301", i%900, strings.Repeat("x", 900*(i%100/99)), i%256, i/256%256)
				s.Write(b)
			}
			s.Write([]byte("\x1b[?1049h\x1b[H"))
		}
		if got, _ := s.Snapshot(maxLines); len(got) > c.most || s.panics > 0 {
			t.Errorf("%d rows of %d: %d bytes, %d panics", c.rows, c.cols, len(got), s.panics)
		}
		if held := cap(s.history.buf); held > 5*maxBytes {
			t.Errorf("%d bytes of history", held)
		}
	}
}

func recordings(t testing.TB) (names []string) {
	names, _ = filepath.Glob("testdata/*.raw")
	if len(names) == 0 {
		t.Fatal("there are none")
	}
	return names
}

func FuzzSnapshot(f *testing.F) {
	f.Add([]byte(dirty), uint8(4), uint8(10), uint16(20))
	f.Add([]byte("\x1b[41m\x1b[2J\x1b[?69h\x1b[3;6s日本\x1b[?6h\x1b[44m\r\n\n\n日\x1b7\x1b[?1049h\x1b]8;;a\x1b\\x\x1b[@"), uint8(4), uint8(10), uint16(30))
	for _, name := range recordings(f) {
		p, _ := os.ReadFile(name)
		f.Add(p[:min(len(p), 4000)], uint8(24), uint8(80), uint16(3500))
	}
	f.Fuzz(func(t *testing.T, p []byte, rows, cols uint8, cut uint16) {
		n := min(int(cut), len(p))
		s := show(int(rows%40), int(cols%100), string(p[:n]))
		snapshot, _ := s.Snapshot(maxLines)
		if len(snapshot) > maxSnapshot {
			t.Errorf("%d bytes", len(snapshot))
		}
		var o vtseq.Output
		o.Scan(snapshot, func(f vtseq.Found) {
			if f.Kind == vtseq.Asked {
				t.Errorf("it asks %v", f.Query)
			}
		})
		to, controlled := again(s, string(p[:n]), ""), s.controlled(p[:n])
		if s.panics+to.panics > 0 {
			t.Fatal("a panic")
		}
		if d := difference(s, to); d != "" && !controlled {
			t.Fatalf("the snapshot differs %s", d)
		}
		s.Write(p[n:])
		to.Write(p[n:])
		if s.panics+to.panics > 0 {
			t.Fatal("a panic")
		}
		if d := difference(s, to); d != "" && !controlled {
			t.Fatalf("the snapshot and the rest differ %s", d)
		}
	})
}

// controlled says whether there are control characters, which are obeyed at once, in
// an unfinished sequence, which comes again.
func (s *Screen) controlled(p []byte) bool {
	_, behind := s.Snapshot(0)
	return strings.ContainsFunc(string(p[max(len(p)-behind, 0):]), func(r rune) bool { return r < ' ' && r != esc })
}

func BenchmarkSnapshot(b *testing.B) {
	vim, err := os.ReadFile("testdata/vim.raw")
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name, output string
	}{
		{"vim", string(vim)},
		{"history", strings.Repeat("The \x1b[31mquick\x1b[m brown fox jumps over the lazy dog.\r\n", 5000)},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := show(24, 80, c.output)
			n := 0
			for b.Loop() {
				p, _ := s.Snapshot(maxLines)
				n = len(p)
			}
			b.ReportMetric(float64(n), "bytes")
		})
	}
}

// TestSnapshotPrograms is about snapshots in the midst of sequences in any order, and
// of output in pieces.
func TestSnapshotPrograms(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	n := func(most int) int { return r.IntN(most + 1) }
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	for program := range 2000 {
		var out []byte
		for range n(30) {
			switch n(9) {
			case 0, 1:
				out = append(out, "The quick brown fox jumps over"[:n(30)]...)
			case 2:
				out = append(out, one("日本語", "e\u0301", "─│", "\u200d", "🙂", "⚠\ufe0f", "\xff", "\xe6\x97")...)
			case 3:
				out = append(out, one("\r\n", "\r\n", "\n", "\r", "\b", "\t", "\x0e", "\x0f", "\x1bM", "\x1bD", "\x1bE", "\x1b7", "\x1b8", "\x1bH", "\x1b(0", "\x1b(B", "\x1b)0", "\x1b#8", "\x1b=", "\x1b>", "\x1bc")...)
			case 4, 5:
				out = fmt.Appendf(out, "\x1b[%d%s", n(4), one("A", "B", "C", "D", "E", "F", "G", "d", "J", "K", "X", "L", "M", "P", "@", "S", "T", "I", "Z", "g", "b", "u", " q"))
			case 6:
				out = fmt.Appendf(out, "\x1b[%d;%d%s", n(9), n(21), one("H", "r", "r", "s", "m"))
			case 7:
				out = append(out, one("\x1b[m", "\x1b[38;5;200;4:3m", "\x1b[58:2::1:2:3;48;2;1;2;3m", "\x1b[1;31m", "\x1b[41m", "\x1b]8;id=1;http://a\a", "\x1b]8;;b\x1b\\", "\x1b]8;;\a", "\x1b]2;title\a", "\x1bPq...\x1b\\", "\x1b[42;1;1;2;9$x", "\x1b[2;2;3;9$z", "\x1b[!p")...)
			case 8:
				out = fmt.Appendf(out, "\x1b[%s%s", one("?6", "?7", "?25", "?69", "?69", "?47", "?1047", "?1048", "?1049", "?1049", "?1000", "?1002", "?1006", "?2004", "?12", "?1007", "4"), one("h", "h", "l"))
			case 9:
				out = append(out, one("\x1b[>1u", "\x1b[=5u", "\x1b[<u", "\x1b[>4;2m", "\x1b[>4m")...)
			}
		}
		cut := n(len(out))
		s := show(5, 20, string(out[:cut]))
		outside := func(c cursor) bool {
			m := s.margins
			return c.origin && (c.y < m.top || c.y > m.bottom || c.x < m.left || c.x > m.right)
		}
		if outside(s.cursor) || outside(s.saved[0]) || outside(s.saved[1]) {
			continue // no terminal can be told so
		}
		to := again(s, string(out[:cut]), "")
		if d := difference(s, to); d != "" {
			t.Fatalf("program %d: after %q differ %s", program, out[:cut], d)
		}
		if s.full && !s.joins {
			continue // a mark or REP would now find the character that was drawn again
		}
		for _, b := range out[cut:] {
			s.Write([]byte{b})
		}
		to.Write(out[cut:])
		if d := difference(s, to); d != "" || s.panics+to.panics > 0 {
			t.Fatalf("program %d: after %q and %q differ %s", program, out[:cut], out[cut:], d)
		}
	}
}
