package screen

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/AgentaaU/AaaU/pkg/vtseq"
)

// show is what is on a new screen after some output.
func show(rows, cols int, output string) *Screen {
	s := New(rows, cols)
	s.Write([]byte(output))
	return s
}

func TestScreen(t *testing.T) {
	for _, c := range []struct{ output, want string }{
		{"hello\r\nworld", "hello\nworld"},
		{"a\r\n\r\n\r\nb", "a\n\n\nb"},
		{"  x  \r\n   ", "  x"},
		{"0123456789abc", "0123456789\nabc"},
		{"\x1b[?7l0123456789abc", "012345678c"},
		{"日本", "日本"},
		{"12345678日本", "12345678日\n本"},
		{"123456789日本", "123456789\n日本"},
		{"12345678\u1112\u1161\u11abx", "12345678\u1112\u1161\u11ab\nx"},
		{"12345678\u0915\u093fx", "12345678\u0915\u093f\nx"},
		{"日本\x1b[1;2Hx", " x本"},
		{"日本\x1b[1;1Hx", "x 本"},
		{"01234567日\x1b[1;1H\x1b[Px", "x234567日"},
		{"e\u0301e", "e\u0301e"},
		{"\u0301x", "x"},
		{"x\x1b[1;1H\u0301", "x"},
		{"a\u202eb\u200bc\u2028d", "abcd"},
		{"a\xffb\xe6\x97", "a\ufffdb"},
		{"a\xe6\x97b", "a\ufffdb"},
		{"a\x1b]0;title\ab\x1bPq;\x07x\x1b\\c\xc2\x9d0;x\xc2\x9cd", "abcd"},
		{"a\x1b]0;\xc3\x9cx\ab", "ab"},
		{"a\x1b[5Cb\x1b[1`c\x1b[2ad", "c  d  b"},
		{"\x1b(0lqk\x1b(Bq", "┌─┐q"},
		{"\x1b)0q\x0eq\x0fq", "q─q"},
		{"ab\x1b[3b", "abbbb"},
		{"ab\x1b[999999999b", "abbbbbbbbb\nbb"},
		{"abc\x1b[1G\x1b[4hx\x1b[4ly", "xybc"},
		{"shell\x1b[?1049h\x1b[2J\x1b[Hvim\x1b[?1049l$", "shell$"},
		{"shell\x1b[?1049h\x1b[2J\x1b[Hvim", "vim"},
		{"a\x1b[999999999Sb", " b"},
		{"a\x1b[6n\x1b[c\x05b", "ab"},
		{"a\x1bcb", "b"},
		{"\x1b8\x1b[1mx", "x"},
		{"\x1b[8;50;50tx", "x"},
	} {
		for size := 1; size <= len(c.output); size++ {
			s := New(4, 10)
			for p := []byte(c.output); len(p) > 0; p = p[min(size, len(p)):] {
				s.Write(p[:min(size, len(p))])
			}
			if got := s.Text(); got != c.want {
				t.Fatalf("%q in chunks of %d: %q, not %q", c.output, size, got, c.want)
			}
		}
	}
}

func TestCursor(t *testing.T) {
	s := show(4, 10, "ab\r\ncd\x1b[3;5H")
	if row, col := s.Cursor(); row != 2 || col != 4 {
		t.Errorf("%d, %d", row, col)
	}
	s.Write([]byte("\x1b[99;99H"))
	if row, col := s.Cursor(); row != 3 || col != 9 {
		t.Errorf("%d, %d", row, col)
	}
}

func TestResize(t *testing.T) {
	s := show(4, 10, "one\r\ntwo\r\nthree\r\nfour")
	s.Resize(2, 4)
	if got := s.Text(); got != "thre\nfour" {
		t.Errorf("%q", got)
	}
	if row, col := s.Cursor(); row != 1 || col != 3 {
		t.Errorf("%d, %d", row, col)
	}
	s.Resize(3, 20)
	s.Write([]byte("\r\n\x1b[1mmore\x1b[S"))
	if got := s.Text(); got != "four\nmore" {
		t.Errorf("%q", got)
	}
	s.Resize(0, 1_000_000)
	if rows, cols := s.Size(); rows != 1 || cols != maxSide {
		t.Errorf("%d, %d", rows, cols)
	}
}

func TestResizeOnTheAlternateScreen(t *testing.T) {
	s := show(4, 10, "one\r\ntwo\r\nthree\r\n$\x1b[?1049hvim")
	s.Resize(2, 8)
	s.Write([]byte("\x1b[?1049l>"))
	if got := s.Text(); got != "three\n$>" {
		t.Errorf("%q", got)
	}
}

// TestPanic is about what remains of the screen after a mistake of ours.
func TestPanic(t *testing.T) {
	s := show(4, 10, "before")
	s.lines = nil
	s.Write([]byte("x\x1b[Hafter"))
	if got := s.Text(); got != "after" || s.panics != 1 {
		t.Errorf("%q after %d panics", got, s.panics)
	}
}

// TestRecordings compares with tmux, whose pane (capture-pane -p) was recorded
// together with what the program printed.
func TestRecordings(t *testing.T) {
	recordings, _ := filepath.Glob("testdata/*.screen") // of the others TestTmux asks tmux now
	if len(recordings) == 0 {
		t.Fatal("there are none")
	}
	for _, name := range recordings {
		t.Run(filepath.Base(name), func(t *testing.T) {
			name := strings.TrimSuffix(name, ".screen") + ".raw"
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			pane, err := os.ReadFile(strings.TrimSuffix(name, ".raw") + ".screen")
			if err != nil {
				t.Fatal(err)
			}
			rows, cols := size(name)
			lines := strings.Split(strings.TrimRight(string(pane), "\n"), "\n")
			for i := range lines {
				lines[i] = strings.TrimRight(lines[i], " ")
			}
			got := strings.Split(show(rows, cols, string(raw)).Text(), "\n")
			for i := range max(len(got), len(lines)) {
				if nth(got, i) != nth(lines, i) {
					t.Errorf("line %d is %q, and was in tmux %q", i, nth(got, i), nth(lines, i))
				}
			}
		})
	}
}

func nth(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

func FuzzScreen(f *testing.F) {
	for _, s := range []string{
		"hello\r\n\x1b[1;31mred\x1b[0m\x1b[2J\x1b[H",
		"日本e\u0301\u200d\x1b[1;2Hx\x1b[2P\x1b[3@\x1b[L\x1b[M\x1b[S\x1b[T\x1b[X",
		"\x1b[?1049h\x1b[2;3r\x1b[?69h\x1b[2;4s\n\n\n\x1bM\x1bM\x1b[?1049l\x1b7\x1b8\x1bc",
		"\x1b(0lqk\x1b(B\x1b[4hins\x1b[4l\x1b[5b\t\x1bH\x1b[g\x1b[Z\x1b[I\x1b#8",
		"\x1b]0;x\a\x1bPq\x1b\\\xc2\x9b1m\xff\xe6\x97",
	} {
		f.Add([]byte(s), uint8(4), uint8(10), uint8(3))
	}
	f.Fuzz(func(t *testing.T, p []byte, rows, cols, size uint8) {
		whole := show(int(rows%40), int(cols%40), string(p))
		if whole.panics > 0 {
			t.Errorf("panic on %q", p)
		}
		s := New(whole.Size())
		for rest := p; len(rest) > 0; {
			n := min(max(int(size), 1), len(rest))
			s.Write(rest[:n])
			rest = rest[n:]
		}
		if d := difference(s, whole); d != "" {
			t.Errorf("in chunks of %d and at once differ %s", size, d)
		}
		var m vtseq.Modes
		if m.Scan(p); setting(&m) != setting(&s.modes) {
			t.Errorf("the modes are %q, and Modes alone sees %q", setting(&s.modes), setting(&m))
		}
		if text := s.Text(); !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) && !vtseq.IsInvisible(r) }) {
			t.Errorf("unclean: %q", text)
		}
		s.Resize(int(cols), int(rows))
		s.Write(p)
		s.Text()
		if s.panics > 0 {
			t.Errorf("panic on %q after being resized", p)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	vim, err := os.ReadFile("testdata/vim.raw")
	if err != nil {
		b.Fatal(err)
	}
	htop, _ := os.ReadFile("testdata/htop-setup.raw")
	claude, _ := os.ReadFile("testdata/claude-prompt.raw")
	var numbered []byte
	for i := range 10000 {
		numbered = fmt.Appendf(numbered, "%d\r\n", 100000+i)
	}
	var links []byte
	for i := range 3000 {
		links = fmt.Appendf(links, "\x1b]8;;%d\ax", i)
	}
	for _, c := range []struct {
		name       string
		rows, cols int
		p          []byte
	}{
		{"text", 24, 80, []byte(strings.Repeat("The quick brown fox jumps over the lazy dog.\r\n", 100))},
		{"large text", 50, 200, []byte(strings.Repeat("The quick brown fox jumps over the lazy dog.\r\n", 100))},
		{"seq", 24, 80, numbered},
		{"ls", 24, 80, []byte(strings.Repeat("\x1b[0m\x1b[01;34mbin\x1b[0m  \x1b[01;34mgames\x1b[0m  \x1b[01;36mlib32\x1b[0m  README.md  \x1b[01;32mrun.sh\x1b[0m\r\n", 100))},
		{"cjk", 24, 80, []byte(strings.Repeat("速い茶色の狐はのろまな犬を飛び越える。\r\n", 100))},
		{"htop", 30, 100, htop},
		{"claude", 30, 100, claude},
		{"line", 24, 80, []byte(strings.Repeat("The quick brown fox jumps over the lazy dog.\r", 100))},
		{"vim", 24, 80, vim},
		{"string", 24, 80, []byte("\x1bPq" + strings.Repeat("#0~~@@vv", 500))},
		{"marks", 50, 200, []byte(strings.Repeat("a\u0301\u0302\u0303\u0304\u0305", 100))},
		{"links", 50, 200, links},
		{"scrolling colour", 50, 200, []byte("\x1b[41m" + strings.Repeat("\n", 1000))},
		{"worst", 50, 200, []byte("\x1b[999S")},
		{"worst of the largest", maxSide, maxSide, []byte("\x1b[9S")},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := New(c.rows, c.cols)
			b.SetBytes(int64(len(c.p)))
			b.ReportAllocs()
			for b.Loop() {
				s.Write(c.p)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(c.p)), "ns/byte")
		})
	}
}
