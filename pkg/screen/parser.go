package screen

import (
	"bytes"
	"unicode/utf8"

	"github.com/AgentaaU/AaaU/pkg/vtseq"
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

// maxString is what is kept of an OSC string, and how long an unfinished sequence
// may be to be given again, in bytes.
const maxString = 2 << 10

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
type parser struct {
	state   state
	kept    [vtseq.MaxSequence]byte // parameters and intermediates
	n       int
	long    bool              // there were more
	char    [utf8.UTFMax]byte // the beginning of a character
	have    int
	body    []byte // of an OSC string
	pending int    // bytes since the unfinished sequence's or character's beginning
}

// parse takes some of p, at least a byte, and says how many.
func (s *Screen) parse(p []byte) int {
	b := p[0]
	if s.state == text && s.have == 0 && ' ' <= b && b < del {
		n := 1
		for n < len(p) && ' ' <= p[n] && p[n] < del {
			n++
		}
		s.ascii(p[:n])
		return n
	}
	n := 1
	switch {
	case s.state >= osc:
		n = s.pass(p)
	case s.have > 0 && b&0xc0 != 0x80: // the character has no end
		s.have, s.pending = 0, 0
		s.character(utf8.RuneError)
		return 0
	case b < ' ':
		s.interrupt(b)
	case b == del:
	case s.state == text:
		s.part(b)
	case b > del: // no sequence has that
		s.state, s.pending = text, 0
		s.part(b)
	case s.state == csi:
		n = s.parameters(p)
	default:
		s.final(b)
	}
	s.pending += n
	if s.state == text && s.have == 0 {
		s.pending = 0
	}
	return n
}

// pass goes over the inside of a string, to its end or p's.
func (s *Screen) pass(p []byte) int {
	for n, b := range p {
		switch {
		case b == esc: // the rest of ST draws nothing
			s.endString(p[:n])
			s.state, s.n, s.pending = escape, 0, -n
			return n + 1
		case b == can, b == sub:
			s.state, s.have, s.sixel.begun = text, 0, false
			return n + 1
		case b == bel && s.state == osc, b == 0x9c && s.have == 1:
			s.endString(p[:n])
			s.state = text
			return n + 1
		}
		if s.have = 0; b == 0xc2 { // C2 9C is ST
			s.have = 1
		}
	}
	s.keepBody(p)
	return len(p)
}

func (s *Screen) keepBody(p []byte) {
	if s.sixel.begun && s.state == str {
		s.sixel.scan(p)
	}
	if s.state == osc {
		s.body = append(s.body, p[:min(len(p), maxString+1-len(s.body))]...)
	}
}

// endString obeys an OSC string with the rest of its body.
func (s *Screen) endString(rest []byte) {
	s.keepBody(rest)
	body := s.body
	if s.have == 1 { // C2 of ST
		body = body[:max(len(body)-1, 0)]
	}
	s.have = 0
	if s.state == osc && len(body) < maxString {
		s.command(body)
	}
	if s.state == str {
		s.picture()
	}
}

// interrupt takes a control character, which sequences do not end at.
func (s *Screen) interrupt(b byte) {
	switch b {
	case esc:
		s.state, s.n, s.pending = escape, 0, 0
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
			s.pending = 0
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
		s.state, s.body = osc, s.body[:0]
	case bytes.IndexByte([]byte("PX^_"), b) >= 0:
		s.state = str
		s.sixel = sixel{begun: b == 'P'}
	default:
		s.escape(b)
	}
}

// parameters takes bytes of a CSI sequence and says how many.
func (s *Screen) parameters(p []byte) int {
	for i, b := range p {
		switch {
		case b < ' ' || b >= del:
			return max(i, 1) // parse looks at it
		case b >= '@':
			s.state = text
			if !s.long {
				s.sequence(s.kept[:s.n], b)
			}
			return i + 1
		default:
			s.keep(b)
		}
	}
	return len(p)
}

func (s *Screen) keep(b byte) {
	if s.n == len(s.kept) {
		s.long = true
		return
	}
	s.kept[s.n] = b
	s.n++
}

// unfinished is how many of the last bytes are the beginning of a character or
// sequence. If they are too many it is 0, and what makes a terminal pass over the
// rest of it.
func (s *Screen) unfinished() (pending int, instead string) {
	if s.pending <= maxString {
		return s.pending, ""
	}
	switch s.state {
	case nf:
		return 0, "\x1b  "
	case csi:
		return 0, "\x1b[0<" // no parameter begins so: it is ignored
	case osc:
		return 0, "\x1b]60000;"
	default:
		return 0, "\x1b^"
	}
}
