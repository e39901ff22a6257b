package render

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// recorded are what real programs have printed, and the sizes of their terminals.
var recorded = map[string]struct{ rows, cols int }{
	"vim": {24, 80}, "htop": {30, 100}, "less": {24, 80}, "shell": {24, 80}, "claude": {30, 100}, "codex": {30, 100},
}

func output(t *testing.T, name string) []byte {
	t.Helper()
	p, err := os.ReadFile(filepath.Join("..", "screen", "testdata", name+".raw"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: it is\n%s\nand not\n%s", name, got, want)
	}
}

// text is what Text makes of output that comes in pieces of a size.
func text(t *testing.T, p []byte, size, rows, cols int) string {
	t.Helper()
	var b strings.Builder
	r := NewText(&b, rows, cols)
	for len(p) > 0 {
		n := min(size, len(p))
		if _, err := r.Write(p[:n]); err != nil {
			t.Fatal(err)
		}
		p = p[n:]
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Full-screen programs keep their columns, however their output was cut when it was recorded.
func TestTextOfPrograms(t *testing.T) {
	for name, at := range recorded {
		p := output(t, name)
		got := text(t, p, len(p), at.rows, at.cols)
		golden(t, name+".text", got)
		for _, size := range []int{1, 7, 100} {
			if cut := text(t, p, size, at.rows, at.cols); cut != got {
				t.Errorf("%s in pieces of %d bytes: %q, not %q", name, size, cut, got)
			}
		}
	}
}

func TestText(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("line\r\n", n) }
	long := strings.Repeat("0123456789", 20)
	for _, test := range []struct{ name, output, want string }{
		{"nothing", "", ""},
		{"a line without its end", "$ ", "$\n"},
		{"lines that scroll away", "first\r\n" + lines(50), "first\n" + strings.Repeat("line\n", 50)},
		{"overwritten", "10 %\r100 %\r\n", "100 %\n"},
		{"wrapped lines are one", long + "\r\n" + lines(30), long + "\n" + strings.Repeat("line\n", 30)},
		{"columns", "a\x1b[1;20Hb\x1b[2;10Hc\r\n", "a                  b\n         c\n"},
		{"cleared", "one\r\n\x1b[H\x1b[2J\x1b[3Jtwo\r\n", "one\ntwo\n"},
		{"cleared, and the same again", "one\x1b[H\x1b[2Jone\x1b[H\x1b[2Jone", "one\none\none\n"},
		{"cleared on the alternate screen", "\x1b[?1049hone\x1b[H\x1b[2Jone\x1b[H\x1b[2Jtwo\x1b[?1049l", "one\ntwo\n"},
		{"reset", "one\x1bctwo", "one\ntwo\n"},
		{"the alternate screen", "before\r\n\x1b[?1049h\x1b[Hone\x1b[3;5Htwo\x1b[?1049lafter", "one\n\n    two\nbefore\nafter\n"},
		{"still on the alternate screen", "before\r\n\x1b[?1049h\x1b[Hone", "one\nbefore\n"},
		{"what cannot be a mark", "a\x1b[0Kb\x1b[?25hc\x1b[?25;1;1;1;1;1;1;1;1;1;1hd\x1b", "abcd\n"},
		{"hostile", "\x1b]0;title\aa\x1b[31m\u202e\x07b", "ab\n"},
	} {
		for _, size := range []int{1, 1 << 20} {
			if got := text(t, []byte(test.output), size, 24, 80); got != test.want {
				t.Errorf("%s, %d at a time: %q, not %q", test.name, size, got, test.want)
			}
		}
	}
}

func TestTextNotesAndSizes(t *testing.T) {
	var b strings.Builder
	r := NewText(&b, 2, 10)
	for _, do := range []func() error{
		func() error { _, err := r.Write([]byte("0123456789abcdef\r\n\r\n")); return err },
		func() error { return r.Note("[a note]") },
		func() error { return r.Resize(3, 20) },
		func() error { _, err := r.Write([]byte("0123456789abcdef\r\n\r\n\r\n")); return err },
		r.Close,
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	if want := "0123456789abcdef\n[a note]\n\n0123456789abcdef\n"; b.String() != want {
		t.Errorf("%q, not %q", b.String(), want)
	}
}

// A few bytes can fill a screen; what is written is bounded nevertheless.
func TestScreensAreBounded(t *testing.T) {
	hostile := []byte(strings.Repeat("\x1b#8a\x1b[2J\x1b#8b\x1b[2J", 10_000)) // DECALN
	for name, got := range map[string]string{"text": text(t, hostile, 1000, 24, 80), "screens": screens(t, hostile, 4, 24, 80, time.Second)} {
		if most := screensFree + screensPerByte*len(hostile) + 1<<20; len(got) > most {
			t.Errorf("%s: of %d bytes it writes %d", name, len(hostile), len(got))
		}
		if strings.Count(got, leftOut) != 1 {
			t.Errorf("%s: it does not say that something is left out", name)
		}
	}
}

// screens are what Screens makes of output of which so many bytes come at a time, with a
// pause between.
func screens(t *testing.T, p []byte, size, rows, cols int, pause time.Duration) string {
	t.Helper()
	var b strings.Builder
	s := NewScreens(&b, rows, cols)
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for len(p) > 0 {
		n := min(size, len(p))
		if err := s.Output(at, p[:n]); err != nil {
			t.Fatal(err)
		}
		at, p = at.Add(pause), p[n:]
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestScreensOfPrograms(t *testing.T) {
	for _, name := range []string{"vim", "htop", "codex"} {
		golden(t, name+".screens", screens(t, output(t, name), 1000, recorded[name].rows, recorded[name].cols, time.Second))
	}
}

func TestScreens(t *testing.T) {
	// Without a pause a screen is shown now and then.
	got := screens(t, []byte(strings.Repeat("\r|\r/", 100)), 2, 24, 80, 100*time.Millisecond)
	if n := strings.Count(got, "=== 2026-11-25 12:00:"); n < 2 || n > 4 {
		t.Errorf("a spinner that turns for 20 seconds is shown %d times: %q", n, got)
	}
	// What is as before is not shown again, and pauses are as long as they were.
	got = screens(t, []byte("ab\rab\rc"), 3, 24, 80, time.Second)
	want := "=== 2026-11-25 12:00:01.000: 24 rows, 80 columns, cursor in row 1, column 1 ===\nab\n\n" +
		"=== 2026-11-25 12:00:02.000: 24 rows, 80 columns, cursor in row 1, column 2 ===\ncb\n\n"
	want = strings.Replace(want, "12:00:01.000", "12:00:00.000", 1)
	if got != want {
		t.Errorf("%q, not %q", got, want)
	}
}
