package vtseq

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// A finder finds what a search byte by byte finds, from wherever it begins.
func TestFinder(t *testing.T) {
	source := rand.New(rand.NewPCG(3, 4))
	for _, n := range []*needles{introducers, introducersAndENQ, stringEnds, controls, escOrBEL, introduces} {
		// Neighbours of the needles, and what a search by words could take for one.
		others := "\x00\t\r\n\x06\x08\x1c\x1f !~\x7f\x80\x87\x9b\xc1\xc3\xff"
		for range 300 {
			p := make([]byte, source.IntN(3*lookahead))
			plain := source.IntN(200)
			for i := range p {
				switch k := source.IntN(plain + 1); {
				case k > 2:
					p[i] = byte(' ' + source.IntN(95))
				case k > 0:
					p[i] = others[source.IntN(len(others))]
				default:
					p[i] = n.bytes[source.IntN(len(n.bytes))]
				}
			}
			f := finder{p: p, needles: n}
			for from := 0; from <= len(p); from++ {
				want := from
				for want < len(p) && !strings.Contains(n.bytes, string(p[want:want+1])) {
					want++
				}
				if from = f.next(from); from != want {
					t.Fatalf("%q in %q: at %d, not %d", n.bytes, p, from, want)
				}
			}
		}
	}
}

// A CSI sequence that is whole and usual is known by its length.
func TestCSI7(t *testing.T) {
	for text, want := range map[string]struct {
		n      int
		simple bool
	}{
		"\x1b[m": {3, true}, "\x1b[0;38:2::1:2:3mx": {16, true}, "\x1b[?25h": {6, false}, "\x1b[2 q": {5, false}, "\x1b[>c": {4, false},
		"\x1b[12~": {5, true}, "\x1b[" + strings.Repeat("1;", 200) + "H\x1b": {403, true},
		"": {}, "\x1b": {}, "\x1b[": {}, "\x1b[1": {}, "\x1b]m": {}, "[m ": {}, "\x1b[1\x1bm": {}, "\x1b[1\nm": {}, "\x1b[1\x7fm": {}, "\x1b[1\u00e9m": {}, "\xc2\x9b1m": {},
	} {
		n, simple := csi7([]byte(text))
		if n != want.n || n > 0 && simple != want.simple {
			t.Errorf("%q: %d %t", text, n, simple)
		}
	}
}
