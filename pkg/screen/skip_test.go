package screen

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// What Skip says to leave out makes no difference.
func TestSkip(t *testing.T) {
	source := rand.New(rand.NewPCG(5, 6))
	skipped := 0
	for range 300 {
		rows, cols, lines := 1+source.IntN(30), 1+source.IntN(100), source.IntN(50)
		whole, part := New(rows, cols), New(rows, cols)
		before := []string{"", "\x1b[41m", "\x1b[5;7r\x1b[6H", "\x1b[4h", "\x1b[?7l", "\x1b[?1049h", "abc\x1b[1m", "\x1b[?6h", "\x1b[3;9Hü\xcc", "\x1b[38;5"}[source.IntN(10)]
		whole.Write([]byte(before))
		part.Write([]byte(before))
		var p []byte
		rare := 6 - source.IntN(2) // half of them have no colours
		for i := range source.IntN(300) {
			p = fmt.Appendf(p, "%d %s", i, []string{"plain", "\tmärks é\u0301 漢字", "a longer line of text that goes on and on\rand again", "", "no dot", []string{"\x1b[32mgreen · dot", "\x1b[1;4mbold\x1b[m and not", "\x1b[48;5;3m on a colour", "\x1b[0mall off", "\x1b[38:2::1:2:3mtrue \x1b[7"}[source.IntN(5)]}[source.IntN(rare)])
			p = append(p, []string{"\r\n", "\r\n", "\r\n", "\r\n", "\n"}[source.IntN(5)]...)
			if rare == 6 && source.IntN(100) == 0 {
				p = append(p, "\x1b[0m\x1b[2;3H"...)
			}
		}
		whole.Write(p)
		n := part.Skip(p, lines)
		part.Write(p[n:])
		if n > 0 {
			skipped++
		}
		want, _ := whole.Snapshot(lines)
		got, _ := part.Snapshot(lines)
		if !bytes.Equal(got, want) {
			t.Fatalf("after %q, without %d bytes of %q:\n%q\nand not\n%q", before, n, p, got, want)
		}
	}
	if skipped < 30 {
		t.Errorf("only %d times there was something to leave out", skipped)
	}
}

func BenchmarkSkip(b *testing.B) {
	for name, line := range map[string]string{
		"plain": "The quick brown fox jumps over the lazy dog.\r\n",
		"short": "y\r\n",
		"sgr":   "\x1b[1;32mok\x1b[0m  \x1b[2mpkg/tape\x1b[22m \x1b[38;5;214m0.081s\x1b[39m a line of text with some colour in it\r\n",
		"utf-8": "Fünf große Wölfe – «so» │ ──── ✻\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			p := bytes.Repeat([]byte(line), 1<<20/len(line))
			s := New(24, 80)
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				s.Skip(p, 1000)
			}
		})
	}
}
