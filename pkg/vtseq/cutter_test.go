package vtseq

import (
	"bytes"
	"strings"
	"testing"
)

// sent is what a client gets of p when the stream comes in chunks of size, and how
// much of that it gets only at the stream's end.
func sent(t *testing.T, p []byte, cut Cut, size int) (got string, late int) {
	var (
		c    Cutter
		out  []byte
		from int
	)
	for to := 0; to < len(p); {
		to = min(to+size, len(p))
		for from < to {
			send, skip := c.Next(p[from:to], cut)
			out = append(out, p[from:from+send]...)
			from += send + skip
			if send+skip == 0 {
				break
			}
		}
		if to-from > maxHeldQuery || cut&sequences == 0 && to-from > maxHeldClipboard {
			t.Fatalf("%d bytes are held", to-from)
		}
	}
	n := c.Flush(p[from:])
	return string(append(out, p[from:from+n]...)), n
}

func TestCutter(t *testing.T) {
	const all = Clipboard | ClipboardReads | Queries
	long := strings.Repeat("QUFB", 5000)
	for _, c := range []struct {
		cut      Cut
		in, want string
	}{
		{0, "a\x1b]52;c;eA==\ab", "a\x1b]52;c;eA==\ab"},
		{all, "plain «é» 日本 \x1b[31mred\x1b[0m\x1b]0;title\a", "plain «é» 日本 \x1b[31mred\x1b[0m\x1b]0;title\a"},
		{Clipboard, "a\x1b]52;c;eA==\ab", "ab"},
		{Clipboard, "a\x1b]52;c;" + long + "\ab", "ab"},
		{Clipboard, "a\x1b]052;c;eA==\x1b\\b", "a\x1b\\b"},
		{Clipboard, "a\xc2\x9d52;pc;eA==\xc2\x9cb", "ab"},
		{Clipboard, "a\x1b]52;c;\ab", "ab"},
		{Clipboard, "a\x1b]52;c;?\ab", "a\x1b]52;c;?\ab"},
		{Clipboard, "a\x1b]52;c;?x\ab", "ab"},
		{ClipboardReads, "a\x1b]52;c;?\ab\x1b]52;c;eA==\ac", "ab\x1b]52;c;eA==\ac"},
		{ClipboardReads, "a\x1b]52;s0;?\x1b\\b", "a\x1b\\b"},
		{ClipboardReads, "a\x1b]52;" + strings.Repeat("c", 100) + ";?\ab", "ab"},
		{Clipboard | ClipboardReads, "a\x1b]52;c;?\ab\x1b]52;c;eA==\ac", "abc"},
		{Clipboard, "a\x1b]520;x\a\x1b]5;52;x\a", "a\x1b]520;x\a\x1b]5;52;x\a"},
		{Clipboard, "a\x1b]104\x1b\\b\x1b]112\ac", "a\x1b]104\x1b\\b\x1b]112\ac"},
		{Clipboard, "\x1b]1337;CopyToClipboard=\a\x1b]1337;File=x:y\a", "\x1b]1337;File=x:y\a"},
		{Clipboard, "\x1b]5522;type=write\x1b\\", "\x1b\\"},
		// C0 controls do not interrupt a sequence.
		{Clipboard, "a\x1b\x00\n]5\x002\r;c;eA==\ab", "ab"},
		// In tmux and screen.
		{Clipboard, "\x1bPtmux;\x1b\x1b]52;c;eA==\a\x1b\\b", "\x1bPtmux;\x1b\\b"},
		{Clipboard, "\x1bPtmux;\x1b\x1b]52;c;eA==\x1b\x1b\\\x1b\\b", "\x1bPtmux;\x1b\x1b\\\x1b\\b"},
		{Clipboard, "\x1bP\x1b]52;c;eA==\a\x1b\\b", "\x1bP\x1b\\b"},
		// What is left must not become whole by the cut.
		{Clipboard, "\x1b]5\x1b]52;c;\a2;c;eA==\a", "2;c;eA==\a"},
		{Clipboard, "\x1b\x1b\x1b]52;c;\a]52;c;eA==\a", "]52;c;eA==\a"},
		{Clipboard, "\x1b\x00\x1b]52;c;\a]52;c;eA==\a", "]52;c;eA==\a"},
		{Clipboard, "\xc2\x1b]52;c;\a\x9d52;c;eA==\a", "\x9d52;c;eA==\a"},
		{Clipboard, "\x1b\xc2\x9d52;c;\a\x1b\xe2]52;c;eA==\a", "\xe2]52;c;eA==\a"},
		{all, "\x1b[6\x1b]52;c;\an", "n"},
		// Too long to be honest.
		{Clipboard, "\x1b]" + strings.Repeat("0", 100) + "52;c;eA==\a", strings.Repeat("0", 100) + "52;c;eA==\a"},

		{Queries, "a\x1b[6n\x1b[?6n\x1b[c\x1b[>c\x1b[=c\x1b[>q\x1b[?u\x1b[18t\x1b[?2026$p\x05\x1bZb", "ab"},
		{Queries, "\x1b[1;2H\x1b[22;0t\x1b[>1u\x1b[?25h\x1b[>4;1m", "\x1b[1;2H\x1b[22;0t\x1b[>1u\x1b[?25h\x1b[>4;1m"},
		{Queries, "a\x1b]11;?\a\x1b]11;#000\a\x1b]10;#fff;?\x1b\\b", "a\x1b]11;#000\a\x1b\\b"},
		{Queries, "a\x1bP$qm\x1b\\\x1bP1;1q#0~\x1b\\\x1bP+q544e\x1b\\b", "a\x1b\\\x1bP1;1q#0~\x1b\\\x1b\\b"},
		{Queries, "a\x1b_Gi=1,a=q;AA\x1b\\\x1b_Ga=T;AA\x1b\\b", "a\x1b\\\x1b_Ga=T;AA\x1b\\b"},
		{Queries, "a\xc2\x9b6nb\x1b]52;c;?\ac\x1b]52;c;eA==\a", "abc\x1b]52;c;eA==\a"},
		{Queries, "\x1b\x05]\x1b[3\x051m", "]\x1b[31m"},
		{Queries, "\x1b[\xff0\x1b[cb", "\xff0b"},
		{Queries, "\x1b]10;\x1b]10;?\x1a?\a\x1b_Ga=\x1b[cq;\a", "?\aq;\a"},
		{Queries, "\x1b]10;#fff\x1b\x1b\\", "\x1b]10;#fff\x1b\x1b\\"},
		{Queries, "\x1b]10;?\xc2\a\x1b]11;?\x01\a\x1b]99;;why?\a", "\x1b]99;;why?\a"},
		{Queries, "\x1b]10;" + strings.Repeat("x", 250) + "\x1b\x1b\x1b\\", "10;" + strings.Repeat("x", 250) + "\x1b\x1b\x1b\\"},
		{Queries, "\x1bP\x1b[31m\x1b\\", "\x1bP\x1b[31m\x1b\\"},
	} {
		for size := 1; size <= min(len(c.in), 300); size++ {
			if got, _ := sent(t, []byte(c.in), c.cut, size); got != c.want {
				t.Fatalf("%.80q without %d in chunks of %d: %.80q, not %.80q", c.in, c.cut, size, got, c.want)
			}
		}
	}
}

func TestCutterFlush(t *testing.T) {
	for in, want := range map[string]int{"\x1b": 1, "\x1b]5": 3, "\xc2": 1} {
		var c Cutter
		if send, skip := c.Next([]byte(in), Clipboard); send+skip != 0 {
			t.Errorf("%q goes out: %d, %d", in, send, skip)
		}
		if n := c.Flush([]byte(in)); n != want {
			t.Errorf("%q: %d at the end", in, n)
		}
	}
}

// clipboardOf is a terminal of few words: it says which OSC strings there are, in
// the manner of xterm (an ESC ends a string) or kitty's (only ST does).
func clipboardOf(s []byte, escEnds bool) (touched bool) {
	s = bytes.ReplaceAll(bytes.ReplaceAll(s, []byte("\xc2\x9d"), []byte("\x1b]")), []byte("\xc2\x9c"), []byte("\x1b\\"))
	var body []byte
	state := 0 // text, after ESC, in a string, after ESC there
	for _, b := range s {
		switch {
		case ignored(b) && b != bel:
		case state == 3 && b != '\\' && !escEnds && b != ']':
			body, state = append(body, esc, b), 2
		case (b == can || b == sub) && escEnds:
			state = 0
		case state == 2 && b != bel && b != esc:
			body = append(body, b)
		case state == 2 && b == bel, state == 3 && b == '\\':
			n, digits := number(body)
			touched = touched || n == 52 && digits < len(body) && body[digits] == ';'
			state = 0
		case b == esc:
			state |= 1
		case (state == 1 || state == 3) && b == ']':
			body, state = nil, 2
		default:
			state = 0
		}
	}
	return touched
}

func FuzzCutter(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s), byte(7), 3)
	}
	f.Fuzz(func(t *testing.T, p []byte, bits byte, size int) {
		cut := Cut(bits) & (Clipboard | ClipboardReads | Queries | Windows | Harm)
		out, late := sent(t, p, cut, max(len(p), 1))
		if got, _ := sent(t, p, cut, min(max(size, 1), 100)); got != out {
			t.Errorf("in chunks of %d: %q, at once %q", size, got, out)
		}
		out = out[:len(out)-late]
		if cut&Clipboard != 0 && cut&ClipboardReads != 0 && (clipboardOf([]byte(out), true) || clipboardOf([]byte(out), false)) {
			t.Errorf("the clipboard is touched by %q", out)
		}
		if cut&Queries != 0 {
			for _, f := range scan([]byte(out), max(len(out), 1)) {
				if f.Kind == Asked && f.Query != AskClipboard {
					t.Errorf("%q asks %d", out, f.Query)
				}
			}
		}
	})
}

func BenchmarkCutter(b *testing.B) {
	for _, c := range []struct {
		name string
		p    []byte
		cut  Cut
	}{
		{"plain", plainText, Clipboard | ClipboardReads},
		{"tui", tui, Clipboard | ClipboardReads},
		{"plain-driver", plainText, Clipboard | ClipboardReads | Harm},
		{"tui-driver", tui, Clipboard | ClipboardReads | Harm},
		{"plain-queries", plainText, Clipboard | ClipboardReads | Queries},
		{"tui-queries", tui, Clipboard | ClipboardReads | Queries},
		{"short-driver", short, Clipboard | ClipboardReads | Harm},
		{"sgr-driver", sgr, ClipboardReads | Harm},
		{"sgr-viewer", sgr, All},
		{"build-driver", build, ClipboardReads | Harm},
		{"build-viewer", build, All},
		{"all-cut", bytes.Repeat([]byte("\xc2\x9d52;;\a"), 8000), Clipboard | ClipboardReads | Queries},
		{"wrapped", bytes.Repeat([]byte("\x1bP\x1b[m"), 8000), Clipboard | ClipboardReads | Queries | Harm},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.p)))
			b.ReportAllocs()
			var k Cutter
			for b.Loop() {
				for p := c.p; len(p) > 0; {
					send, skip := k.Next(p, c.cut)
					p = p[send+skip:]
				}
			}
		})
	}
}
