package screen

import "bytes"

// Skip says how many bytes at p's beginning need not be written, because p goes on with
// so many plain lines that nothing of them would be left: neither on the screen nor
// among the newest lines of its history, of which lines are wanted. Whoever leaves them
// out goes on with the rest of p.
func (s *Screen) Skip(p []byte, lines int) int {
	if s.state != text || s.have > 0 || s.insert || s.margins != s.whole() {
		return 0
	}
	end := plainEnd(p)
	// So many to come to the last line, so many to have all lines be new ones.
	for range 2*s.rows + lines + 1 {
		if end = bytes.LastIndexByte(p[:end], '\n'); end <= 0 {
			return 0
		}
	}
	if p[end-1] != '\r' { // the next line does not begin at the first column
		return 0
	}
	return end + 1
}

// plainEnd is how far p has nothing but characters and lines.
func plainEnd(p []byte) int {
	for i, b := range p {
		if !plainByte[b] {
			return i
		}
	}
	return len(p)
}

// plainByte are those that begin no control.
var plainByte = func() (is [256]bool) {
	for b := range is {
		is[b] = b >= ' ' && b != del && b != 0xc2 || b == '\t' || b == '\r' || b == '\n'
	}
	return is
}()
