package vtseq

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// split shows what an Input makes of chunks: reports in brackets.
func split(chunks ...string) string {
	var (
		i Input
		b strings.Builder
	)
	to := func(piece []byte, report bool) {
		if report {
			fmt.Fprintf(&b, "[%q]", piece)
		} else {
			q := fmt.Sprintf("%q", piece)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	for _, c := range chunks {
		i.Split([]byte(c), to)
	}
	i.Flush(to)
	return b.String()
}

func TestInput(t *testing.T) {
	for _, c := range []struct {
		chunks []string
		want   string
	}{
		{[]string{"ls\r"}, `ls\r`},
		{[]string{"a\x1b[3;4Rb"}, `a["\x1b[3;4R"]b`},
		{[]string{"\x1b[1;2R\x1b[1;16R"}, `\x1b[1;2R\x1b[1;16R`},
		{[]string{"\x1b[1;17R\x1b[1;1R\x1b[2;2R"}, `["\x1b[1;17R"]["\x1b[1;1R"]["\x1b[2;2R"]`},
		{[]string{"\x1b[?1;2;1R\x1b[0n\x1b[?997;1n"}, `["\x1b[?1;2;1R"]["\x1b[0n"]["\x1b[?997;1n"]`},
		{[]string{"\x1b[?62;22c\x1b[>1;10;0c\x1b[?2026;2$y"}, `["\x1b[?62;22c"]["\x1b[>1;10;0c"]["\x1b[?2026;2$y"]`},
		{[]string{"\x1b[8;24;80t\x1b[48;24;80;0;0t\x1b[?1u"}, `["\x1b[8;24;80t"]["\x1b[48;24;80;0;0t"]["\x1b[?1u"]`},
		{[]string{"\x1b[97;5u\x1b[A\x1bOP\x1b[15;2~\x1b[<0;1;2M\x1b[M !!"}, `\x1b[97;5u\x1b[A\x1bOP\x1b[15;2~\x1b[<0;1;2M\x1b[M !!`},
		{[]string{"\x1b[I\x1b[O"}, `["\x1b[I"]["\x1b[O"]`},
		{[]string{"\x1b]11;rgb:0/0/0\a\x1b]52;c;eA==\x1b\\x"}, `["\x1b]11;rgb:0/0/0\a"]["\x1b]52;c;eA==\x1b\\"]x`},
		{[]string{"\x1bP>|xterm\x1b\\\x1bP!|00\x1b\\\x1bP1$r0m\x1b\\\x1bP1+r54=41\x1b\\\x1b_Gi=1;OK\x1b\\"},
			`["\x1bP>|xterm\x1b\\"]["\x1bP!|00\x1b\\"]["\x1bP1$r0m\x1b\\"]["\x1bP1+r54=41\x1b\\"]["\x1b_Gi=1;OK\x1b\\"]`},
		{[]string{"\x1b]7\a\x1b]x\x1bPx\x1bP1q\x1b\\"}, `\x1b]7\a\x1b]x\x1bPx\x1bP1q\x1b\\`},
		// Keys of rxvt with Shift, and what is typed after them.
		{[]string{"\x1b[7$", "y\x1b[23$\x1b[8^\x1b[2@"}, `\x1b[7$y\x1b[23$\x1b[8^\x1b[2@`},
		// xterm's modified keys under modifyCursorKeys 3, Windows' keys, and the mouse.
		{[]string{"\x1b[>1;5C\x1b[65;30;97;1;0;1_\x1b[<0;3;4m\x1b[35;4;5M"}, `\x1b[>1;5C\x1b[65;30;97;1;0;1_\x1b[<0;3;4m\x1b[35;4;5M`},
		// Keys do not wait, what is longer does.
		{[]string{"\x1b", "[3;4R"}, `\x1b[3;4R`},
		{[]string{"\x1b[", "3;4R"}, `\x1b[3;4R`},
		{[]string{"\x1b[3", ";", "4Rx"}, `["\x1b[3;4R"]x`},
		{[]string{"\x1b]1", "1;rgb:0", "/0/0\x1b", "\\x"}, `["\x1b]11;rgb:0/0/0\x1b\\"]x`},
		{[]string{"\x1b]11;rgb", "\x1b[A"}, `\x1b]11;rgb\x1b[A`},
		{[]string{"\x1b]11;never ends"}, `\x1b]11;never ends`},
		// A paste is a person's, whatever it says.
		{[]string{"\x1b[200~\x1b[0n\x1b[201~\x1b[0n"}, `\x1b[200~\x1b[0n\x1b[201~["\x1b[0n"]`},
		{[]string{"\x1b[20", "0~\x1b[0n\x1b[2", "01\x1b[20", "1~\x1b[0n"}, `\x1b[200~\x1b[0n\x1b[201\x1b[201~["\x1b[0n"]`},
	} {
		if got := split(c.chunks...); got != c.want {
			t.Errorf("%q: %s, not %s", c.chunks, got, c.want)
		}
	}
}

func TestInputHoldsLittle(t *testing.T) {
	var i Input
	typed := 0
	i.Split([]byte("\x1b]11;"), nil)
	for range 2 * maxHeld {
		i.Split([]byte("x"), func(p []byte, report bool) { typed += len(p) })
		if len(i.held) > maxHeld {
			t.Fatalf("%d bytes are held", len(i.held))
		}
	}
	if typed != 5+2*maxHeld {
		t.Errorf("%d bytes were typed", typed)
	}
}

func FuzzInput(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, p []byte, size int) {
		size = min(max(size, 1), 100)
		pieces := func(size int) (out []byte, marks []bool) {
			var i Input
			to := func(piece []byte, report bool) {
				out = append(out, piece...)
				for range piece {
					marks = append(marks, report)
				}
			}
			for from := 0; from < len(p); {
				next := min(from+size, len(p))
				for next < len(p) && isKey(p[from:next]) { // there the chunk matters
					next++
				}
				i.Split(p[from:next], to)
				from = next
			}
			i.Flush(to)
			return out, marks
		}
		all, want := pieces(max(len(p), 1))
		some, got := pieces(size)
		if !bytes.Equal(all, p) || !bytes.Equal(some, p) {
			t.Errorf("typed and reports are %q, %q", all, some)
		}
		for k := range want {
			if want[k] != got[k] {
				t.Fatalf("byte %d is a report: %v in chunks of %d, %v at once", k, got[k], size, want[k])
			}
		}
	})
}

// isKey says whether p ends in what is passed on as a key.
func isKey(p []byte) bool {
	if bytes.HasSuffix(p, []byte{esc}) {
		return true
	}
	return len(p) >= 2 && p[len(p)-2] == esc && strings.IndexByte("[]P_/", p[len(p)-1]) >= 0
}

func BenchmarkInput(b *testing.B) {
	typed := []byte("\x1b[A\x1b[B and some text that was typed, \x1b[3;4R")
	b.SetBytes(int64(len(typed)))
	b.ReportAllocs()
	var i Input
	to := func([]byte, bool) {}
	for b.Loop() {
		i.Split(typed, to)
	}
}
