package vtseq

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// The scanners look at eight bytes at a time, since nearly all of them are printable ASCII and
// mean nothing. A word holds eight bytes, the first in its lowest ones.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// zeros returns a word in which the lowest byte with its high bit set is where w has its
// first byte 0; it is 0 if w has none.
func zeros(w uint64) uint64 { return (w - ones) &^ w & highs }

// special returns 0 if w has only printable ASCII and DEL.
func special(w uint64) uint64 { return ((w-ones*' ')&^w | w) & highs }

const (
	// nearby is how far a finder looks for all needles at once: sequences often stand close
	// together.
	nearby = 64
	// lookahead is how far it searches for one needle before it asks for the others,
	// so that a caller who stops at the first has not paid for all of p.
	lookahead = 1 << 10
)

// maxNeedles is how many bytes a finder looks for at most.
const maxNeedles = 7

// needles are what a finder looks for: control characters other than DEL, and bytes that are
// not ASCII.
type needles struct {
	bytes string
	words []uint64 // each of them, eight times
	is    [256]bool
}

func newNeedles(bytes string) *needles {
	n := &needles{bytes: bytes}
	for i := range len(bytes) {
		n.words = append(n.words, ones*uint64(bytes[i]))
		n.is[bytes[i]] = true
	}
	return n
}

// finder finds the bytes of p that are among the needles. It looks at each byte at most twice
// for each needle.
type finder struct {
	p []byte
	*needles
	clear [maxNeedles]int // no such needle from the last place asked about to here
}

// next is the index of the first needle at from or later, len(p) if there is none.
// from never goes back.
func (f *finder) next(from int) int {
	near := f.p[:min(from+nearby, len(f.p))]
	for ; len(near)-from >= 8; from += 8 {
		w := binary.LittleEndian.Uint64(near[from:])
		if special(w) == 0 {
			continue
		}
		found := uint64(0)
		for _, needle := range f.words {
			found |= zeros(w ^ needle)
		}
		if found != 0 {
			return from + bits.TrailingZeros64(found)/8
		}
	}
	for ; from < len(near); from++ {
		if f.is[near[from]] {
			return from
		}
	}
	for {
		first, at := len(f.p), 0
		for k := range len(f.bytes) {
			f.clear[k] = max(f.clear[k], from)
			if f.clear[k] < first {
				first, at = f.clear[k], k
			}
		}
		if first == len(f.p) || f.p[first] == f.bytes[at] {
			return first
		}
		window := f.p[first:min(first+lookahead, len(f.p))]
		if n := bytes.IndexByte(window, f.bytes[at]); n >= 0 {
			f.clear[at] = first + n
		} else {
			f.clear[at] = first + len(window)
		}
	}
}

// csi7 returns the length of the sequence that p begins with, if that is a whole CSI sequence
// which begins with ESC [ and has no control character and nothing that is not ASCII inside;
// else 0. It is simple if its parameters are only numbers, with no marker and no intermediate
// byte.
func csi7(p []byte) (n int, simple bool) {
	if len(p) < 3 || p[0] != esc || p[1] != '[' {
		return 0, false
	}
	n, simple = 2, true
	for ; n < len(p); n++ {
		switch b := p[n]; {
		case '0' <= b && b <= ';':
		case b < ' ' || b >= del:
			return 0, false
		case b < '@':
			simple = false
		default:
			return n + 1, simple
		}
	}
	return 0, false
}
