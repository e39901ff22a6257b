// Package vtseq finds control sequences in streams of terminal bytes: in what a
// program prints (Output, Cutter, Modes) and in what a terminal sends (Input). It knows
// how sequences begin and end and what some of them mean, but not what a screen
// looks like after them.
//
// Everything here meets bytes of strangers, cut anywhere: each scanner keeps a
// bounded state, looks at each byte a bounded number of times, and does nothing
// but look for the next interesting byte while there is none. The streams are
// UTF-8, so a C1 control is C2 80 to C2 9F and never a single byte.
//
// See ECMA-48, and "XTerm Control Sequences" by Moy, Gildea and Dickey.
package vtseq

const (
	enq = 0x05
	bel = 0x07
	so  = 0x0e
	si  = 0x0f
	can = 0x18
	sub = 0x1a
	esc = 0x1b
	del = 0x7f
	c1  = 0xc2 // the first byte of a C1 control in UTF-8
	st  = 0x9c // the second byte of String Terminator
)

// isC1 says whether b makes a C1 control after c1.
func isC1(b byte) bool { return 0x80 <= b && b <= 0x9f }

// ignored says whether terminals carry on with a sequence after b as if it were
// not there: they execute most control characters in its midst, and drop DEL. ESC
// begins another sequence, CAN and SUB end it.
func ignored(b byte) bool {
	return b < ' ' && b != esc && b != can && b != sub || b == del
}

// number reads decimal digits up to the first byte that is none, and says how many
// there were. What is too large for any use is 1<<20.
func number[T string | []byte](s T) (n, digits int) {
	for digits < len(s) && '0' <= s[digits] && s[digits] <= '9' {
		n = min(n*10+int(s[digits]-'0'), 1<<20)
		digits++
	}
	return n, digits
}
