package screen

import "bytes"

// Skip says how many bytes at p's beginning need not be written, because p goes on with
// so many plain lines that nothing of them would be left: neither on the screen nor
// among the newest lines of its history, of which lines are wanted. Whoever leaves them
// out goes on with the rest of p. Lines may have attributes (SGR): those that are on at
// the end of what is left out are on from here on.
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
	s.attributes(p[:end+1])
	return end + 1
}

// attributes obeys what of p, which is plain lines, sets attributes: from where they were
// all off.
func (s *Screen) attributes(p []byte) {
	if bytes.IndexByte(p, esc) < 0 {
		return
	}
	from := len(p)
	for reset := false; !reset; {
		at := bytes.LastIndexByte(p[:from], esc)
		if at < 0 {
			break
		}
		seq := string(p[at : at+sgr(p[at:])])
		from, reset = at, seq == "\x1b[0m" || seq == "\x1b[m"
	}
	for p = p[from:]; ; {
		at := bytes.IndexByte(p, esc)
		if at < 0 {
			return
		}
		n := sgr(p[at:])
		_, _ = s.Write(p[at : at+n]) // it takes everything
		p = p[at+n:]
	}
}

// plainEnd is how far p has nothing but characters, their attributes, and lines.
func plainEnd(p []byte) int {
	for i := 0; i < len(p); {
		if plainByte[p[i]] {
			i++
			continue
		}
		n := sgr(p[i:])
		if n == 0 {
			return i
		}
		i += n
	}
	return len(p)
}

// sgr is the length of the SGR sequence that p begins with, 0 if there is no whole one.
func sgr(p []byte) int {
	if len(p) < 3 || p[0] != esc || p[1] != '[' {
		return 0
	}
	for i, b := range p[2:] {
		switch {
		case b == 'm':
			return 2 + i + 1
		case (b < '0' || b > ';') || i > 64:
			return 0
		}
	}
	return 0
}

// plainByte are those that begin no control.
var plainByte = func() (is [256]bool) {
	for b := range is {
		is[b] = b >= ' ' && b != del && b != 0xc2 || b == '\t' || b == '\r' || b == '\n'
	}
	return is
}()
