package screen

import (
	"bytes"
	"unicode/utf8"
)

const (
	bel = 0x07
	so  = 0x0e
	si  = 0x0f
	can = 0x18
	sub = 0x1a
	esc = 0x1b
	del = 0x7f
)

// maxParams is the longest CSI sequence that is taken, in bytes.
const maxParams = 128

type state uint8

const (
	text   state = iota
	escape       // after ESC
	nf           // after ESC and an intermediate byte
	csi          // after CSI
	osc          // in a string that BEL ends
	str          // in another, which it does not end
)

// parser cuts output into characters and whole sequences, however it comes.
// Strings (OSC, DCS and the like) draw nothing and are passed over.
type parser struct {
	state state
	kept  [maxParams]byte // parameters and intermediates
	n     int
	long  bool              // there were more
	char  [utf8.UTFMax]byte // the beginning of a character
	have  int
}

// parse takes some of p, at least a byte, and says how many.
func (s *Screen) parse(p []byte) int {
	b := p[0]
	switch {
	case s.state >= osc:
		return s.pass(p)
	case s.have > 0 && b&0xc0 != 0x80: // the character has no end
		s.have = 0
		s.character(utf8.RuneError)
	}
	switch {
	case b < ' ':
		s.interrupt(b)
	case s.state == text && b < del:
		s.character(rune(b))
	case b == del:
	case s.state == text:
		s.part(b)
	case b > del: // no sequence has that
		s.state = text
		s.part(b)
	case s.state == csi:
		s.parameter(b)
	default:
		s.final(b)
	}
	return 1
}

// pass goes over the inside of a string, to its end or p's.
func (s *Screen) pass(p []byte) int {
	for n, b := range p {
		switch {
		case b == esc: // the rest of ST draws nothing
			s.state, s.n = escape, 0
			return n + 1
		case b == can, b == sub, b == bel && s.state == osc, b == 0x9c && s.have == 1:
			s.state, s.have = text, 0
			return n + 1
		}
		if s.have = 0; b == 0xc2 { // C2 9C is ST
			s.have = 1
		}
	}
	return len(p)
}

// interrupt takes a control character, which sequences do not end at.
func (s *Screen) interrupt(b byte) {
	switch b {
	case esc:
		s.state, s.n = escape, 0
	case can, sub:
		s.state = text
	default:
		s.control(b)
	}
}

// part takes a byte of a character that has several.
func (s *Screen) part(b byte) {
	s.char[s.have] = b
	s.have++
	if c := s.char[:s.have]; utf8.FullRune(c) {
		r, size := utf8.DecodeRune(c)
		s.have = 0
		if 0x80 <= r && r <= 0x9f { // a C1 control is ESC and another byte
			s.n = 0
			s.final(byte(r) - 0x40)
			return
		}
		s.character(r)
		for _, b := range c[size:] { // what did not belong to it
			s.part(b)
		}
	}
}

// final takes a byte after ESC.
func (s *Screen) final(b byte) {
	if b < '0' {
		s.state = nf
		s.keep(b)
		return
	}
	s.state = text
	switch {
	case s.n > 0:
		s.designate(s.kept[:s.n], b)
	case b == '[':
		s.state, s.n, s.long = csi, 0, false
	case b == ']':
		s.state = osc
	case bytes.IndexByte([]byte("PX^_"), b) >= 0:
		s.state = str
	default:
		s.escape(b)
	}
}

// parameter takes a byte of a CSI sequence.
func (s *Screen) parameter(b byte) {
	if b < '@' {
		s.keep(b)
		return
	}
	s.state = text
	if !s.long {
		s.sequence(s.kept[:s.n], b)
	}
}

func (s *Screen) keep(b byte) {
	if s.long = s.n == len(s.kept); !s.long {
		s.kept[s.n] = b
		s.n++
	}
}
