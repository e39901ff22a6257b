package vtseq

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// scan is what an Output finds in p, cut into chunks of size.
func scan(p []byte, size int) (all []Found) {
	var o Output
	for len(p) > 0 {
		n := min(size, len(p))
		o.Scan(p[:n], func(f Found) { all = append(all, f) })
		p = p[n:]
	}
	return all
}

func TestOutput(t *testing.T) {
	long := strings.Repeat("é", 3000)
	for _, c := range []struct {
		in   string
		want []Found
	}{
		{"plain text, naïve, 日本 «x»", nil},
		{"a\ab", []Found{{Kind: Bell}}},
		{"\x1b[1\a;1H", []Found{{Kind: Bell}}},
		{"\x1b]9;done\a", []Found{{Kind: Notice, Text: "done"}}},
		{"\x1b]9;4;1;50\a", nil},
		{"\xc2\x9d9;done\xc2\x9c", []Found{{Kind: Notice, Text: "done"}}},
		{"\x1b]777;notify;Build;is red; again\x1b\\", []Found{{Kind: Notice, Title: "Build", Text: "is red; again"}}},
		{"\x1b]777;precmd\x1b\\", nil},
		{"\x1b]99;;Hello\x1b\\", []Found{{Kind: Notice, Title: "Hello"}}},
		{"\x1b]99;i=1:d=0:p=body:e=1;SGVsbG8=\x1b\\", []Found{{Kind: Notice, Text: "Hello"}}},
		{"\x1b]99;i=1:p=icon;x\x1b\\", nil},
		{"\x1b]99;i=1:p=?;\x1b\\", []Found{{Kind: Asked, Query: AskDesktop, Param: 99}}},
		{"\x1b]0;a\x01b\u202ec\xffd\te\a", []Found{{Kind: Title, Text: "abcde"}}},
		{"\x1b]2;\a", []Found{{Kind: Title}}},
		{"\x1b]2;" + long + "\a\a", []Found{{Kind: Title, Text: long[:400]}, {Kind: Bell}}},
		{"\x1b]2;not ended\x1b[31m\a", []Found{{Kind: Bell}}},
		{"\x1b]2;taken back\x18\a", []Found{{Kind: Bell}}},
		{"\x1bPtmux;\x1b\x1b]9;inside\a\x1b\\", []Found{{Kind: Notice, Text: "inside"}}},
		{"\x1bP0q\a", nil},
		{"\x1b(]9;not a string\a", []Found{{Kind: Bell}}},
		{"\x1b[6n", []Found{{Kind: Asked, Query: AskCursor, Param: 6}}},
		{"\xc2\x9b6n", []Found{{Kind: Asked, Query: AskCursor, Param: 6}}},
		{"\x1b[?2026$p", []Found{{Kind: Asked, Query: AskPrivateMode, Param: 2026}}},
		{"\x1b[0c\x1b[>c\x1b[=c\x1b[1c", []Found{{Kind: Asked, Query: AskID}, {Kind: Asked, Query: AskID2}, {Kind: Asked, Query: AskID3}}},
		{"\x1b[?u\x1b[>1u\x1b[18t\x1b[22;0t", []Found{{Kind: Asked, Query: AskKeyboard}, {Kind: Asked, Query: AskCells, Param: 18}}},
		{"\x1b]10;?;?\a", []Found{{Kind: Asked, Query: AskColour, Param: 10, BEL: true}, {Kind: Asked, Query: AskColour, Param: 11, BEL: true}}},
		{"\x1b]11;#000000\a\x1b]4;1;?\x1b\\", []Found{{Kind: Asked, Query: AskPalette, Param: 4}}},
		{"\x1bP$qm\x1b\\\x1bP+q544e\x1b\\", []Found{{Kind: Asked, Query: AskSetting}, {Kind: Asked, Query: AskCapability}}},
		{"\x1b_Gi=31,a=q;AAAA\x1b\\\x1b_Ga=T,q=2;AAAA\x1b\\", []Found{{Kind: Asked, Query: AskGraphics}}},
		{"\x1b[" + strings.Repeat("0", 100) + "6n", nil},
		{"\x1b[?1004h\x1b[?25;2048l\x1b[?25h\x1b[4h\x1b[1004h", []Found{{Kind: Mode, Param: ModeFocus, On: true}, {Kind: Mode, Param: ModeInBandSize}}},
		{"\x1bc", []Found{{Kind: Mode, Param: ModeFocus}, {Kind: Mode, Param: ModeInBandSize}}},
		{"\x1b G\x1b F\x1b]60\x1b\\\x1b]22;?x\a", []Found{{Kind: Asked, Query: AskEightBit}, {Kind: Asked, Query: AskAllowed, Param: 60}, {Kind: Asked, Query: AskPointer, Param: 22, BEL: true}}},
		{"\x1b]1337;ReportCellSize\a\x1b]1337;SetMark\a", []Found{{Kind: Asked, Query: AskITerm, Param: 1337, BEL: true}}},
	} {
		for size := 1; size <= len(c.in); size++ {
			if got := scan([]byte(c.in), size); !reflect.DeepEqual(got, c.want) {
				t.Fatalf("%.80q in chunks of %d: %+v, not %+v", c.in, size, got, c.want)
			}
		}
	}
}

func TestAnswer(t *testing.T) {
	s := State{Rows: 24, Cols: 80, Row: 2, Col: 3, Width: 800, Height: 480, Modes: map[int]bool{1004: true, 2048: false}}
	for in, want := range map[string]string{
		"\x1b[5n":           "\x1b[0n",
		"\x1b[6n":           "\x1b[3;4R",
		"\x1b[?6n":          "\x1b[?3;4;1R",
		"\x1b[c":            "\x1b[?62;22c",
		"\x1bZ":             "\x1b[?62;22c",
		"\x1b[>c":           "\x1b[>1;10;0c",
		"\x1b[>0q":          "\x1bP>|AaaU\x1b\\",
		"\x1b[?2026$p":      "\x1b[?2026;0$y",
		"\x1b[4$p":          "\x1b[4;0$y",
		"\x1b[?u":           "\x1b[?0u",
		"\x1b[18t":          "\x1b[8;24;80t",
		"\x1b]10;?\a":       "\x1b]10;rgb:ffff/ffff/ffff\a",
		"\x1b]11;?\x1b\\":   "\x1b]11;rgb:0000/0000/0000\x1b\\",
		"\x1b]12;?\x1b\\":   "",
		"\x1b]4;1;?\a":      "",
		"\x1b[14t":          "\x1b[4;480;800t",
		"\x1b[16t":          "\x1b[6;20;10t",
		"\x1b[13t":          "",
		"\x1b[?1004$p":      "\x1b[?1004;1$y",
		"\x1b[?2048$p":      "\x1b[?2048;2$y",
		"\x1b]52;c;?\a":     "",
		"\x1b]0;only a nam": "",
	} {
		var got string
		for _, f := range scan([]byte(in), len(in)) {
			got += string(Answer(f, s))
		}
		if got != want {
			t.Errorf("to %q: %q, not %q", in, got, want)
		}
	}
}

// Where pixels are not known, no answer is better than none of them.
func TestAnswerWithoutPixels(t *testing.T) {
	for _, param := range []int{14, 16} {
		if got := Answer(Found{Kind: Asked, Query: AskWindow, Param: param}, State{Rows: 24, Cols: 80}); len(got) > 0 {
			t.Errorf("to CSI %d t: %q", param, got)
		}
	}
}

// seeds are beginnings for all fuzz targets.
var seeds = []string{
	"plain\r\n\x1b[1;31mred\x1b[0m \x1b[2J\x1b[H\a",
	"\x1b]0;title\a\x1b]9;note\x1b\\\x1b]777;notify;a;b\a\x1b]99;e=1:p=body;SGVsbG8=\x1b\\",
	"\x1b]52;c;SGVsbG8=\a\x1b]52;c;?\x1b\\\xc2\x9d052;p;eA==\xc2\x9c\x1bPtmux;\x1b\x1b]52;;eA==\a\x1b\\",
	"\x1b]5\x1b]52;c;\a2;c;eA==\a\x1b\x1b\x1b]52;c;x\a]52;c;x\a\xc2\x1b]52;c;x\a\x9d52;c;x\a",
	"\x1b[6n\x1b[c\x1b[?u\x1b[>q\x1b[18t\x1b[?2026$p\x1b]10;?;?\a\x1b]4;1;?\a\x1bP$qm\x1b\\\x1b_Ga=q;\x1b\\\x05\x1bZ",
	"\x1b[3;4R\x1b[1;2R\x1b[?62c\x1b[I\x1bP>|x\x1b\\\x1b]11;rgb:0/0/0\a\x1b[200~\x1b[0n\x1b[201~\x1b[A\x1bOP",
}

func FuzzOutput(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, p []byte, size int) {
		want := scan(p, len(p))
		if got := scan(p, min(max(size, 1), 100)); !reflect.DeepEqual(got, want) {
			t.Errorf("in chunks of %d: %+v, at once %+v", size, got, want)
		}
		for _, f := range want {
			if !utf8.ValidString(f.Text+f.Title) || strings.ContainsFunc(f.Text+f.Title, func(r rune) bool { return r < ' ' || r == del }) {
				t.Errorf("unclean: %+v", f)
			}
		}
	})
}

// These are what benchmarks are run on: prose, a full-screen program, short lines, and
// coloured lines as a build or a test prints them.
var (
	short     = []byte(strings.Repeat("y\r\n", 20000))
	sgr       = []byte(strings.Repeat("\x1b[1;32mok\x1b[0m  \x1b[2mpkg/tape\x1b[22m \x1b[38;5;214m0.081s\x1b[39m a line of text with some colour in it\r\n", 600))
	plainText = []byte(strings.Repeat("The quick brown fox jumps over the lazy dog; naïve — «so».\r\n", 1000))
	tui       = []byte(strings.Repeat("\x1b[12;1H\x1b[38;5;246m│ \x1b[39m\x1b[1mreading\x1b[22m pkg/bridge/sender.go \x1b[38;2;215;119;87m✻\x1b[39m working…\x1b[K\r\n", 600))
)

// build is what no processor's branch predictor learns: words of any length, and colours of
// some of them.
var build = func() (p []byte) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		for range 2 + r.IntN(8) {
			word := "abcdefghijklmnopqrstuvwxyz"[:1+r.IntN(12)]
			switch r.IntN(4) {
			case 0:
				p = fmt.Appendf(p, "\x1b[%dm%s\x1b[0m ", 30+r.IntN(8), word)
			case 1:
				p = fmt.Appendf(p, "\x1b[38;5;%dm%s\x1b[39m ", r.IntN(256), word)
			default:
				p = fmt.Appendf(p, "%s ", word)
			}
		}
		p = append(p, "\r\n"...)
	}
	return p
}()

func BenchmarkOutput(b *testing.B) {
	for name, p := range map[string][]byte{"plain": plainText, "tui": tui, "short": short, "sgr": sgr, "build": build} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			var o Output
			found := func(Found) { b.Error("nothing is there") }
			for b.Loop() {
				o.Scan(p, found)
			}
		})
	}
}

// What is written beside the output does not go into the midst of a sequence.
func TestAmid(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "text": false, "\x1b": true, "\x1b[1": true, "\x1b[1m": false, "\x1b]0;title": true, "\x1b]0;title\a": false,
		"\x1b]0;title\x1b": true, "\x1b]0;title\x1b\\": false, "\x1b(": true, "\x1b(B": false, "\x1bP+q": true, "\xc2": true, "\u00e9": false,
	} {
		var o Output
		for i := range len(text) {
			o.Scan([]byte(text[i:i+1]), func(Found) {})
		}
		if got := o.Amid(); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}
