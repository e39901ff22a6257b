package vtseq

import "bytes"

const (
	maxHeldClipboard = 32  // of a sequence that may yet be one for the clipboard, in bytes
	maxHeldQuery     = 256 // of one that may yet be a query
)

type verdict uint8

const (
	pass        verdict = iota // n bytes are nothing to be cut
	unclear                    // more bytes will tell
	leave                      // n bytes are to be left out
	leaveString                // n bytes, and on to the string's end
)

// judge looks at a sequence that p begins with. What is unclear for too long is
// no honest program's: without its introducer it is shown as text.
func judge(p []byte, cut Cut) (n int, v verdict) {
	if p[0] == enq {
		return 1, leave
	}
	at, intro, v := introducer(p, cut)
	if v != pass {
		return at, v
	}
	if intro == ']' {
		return judgeOSC(p, at, cut)
	}
	if cut&sequences == 0 {
		return at, pass
	}
	most := p[:min(len(p), maxHeldQuery)]
	switch intro {
	case 'Z':
		if cut&Queries == 0 {
			return at, pass
		}
		return at, leave
	case ' ':
		n, v = judgeEightBit(most, at, cut)
	case '[':
		n, v = judgeCSI(most, at, cut)
	case 'P':
		n, v = judgeDCS(most, at, cut)
	case '_':
		n, v = judgeAPC(most, at, cut)
	default:
		return at, pass
	}
	if v == unclear && len(most) == maxHeldQuery {
		return at, leave
	}
	return n, v
}

// introducer finds the byte that says what begins, and the index after it. All ESC
// and ignored bytes in a row belong to the sequence: one left alone before what is
// cut would make an introducer with what follows.
func introducer(p []byte, cut Cut) (at int, intro byte, v verdict) {
	if p[0] == c1 {
		switch {
		case len(p) == 1:
			return 0, 0, unclear
		case isC1(p[1]):
			return 2, p[1] - 0x40, pass
		case p[1]&0xc0 == 0x80:
			return 2, 0, pass
		default: // half a character, which could be completed too
			return 1, 0, leave
		}
	}
	for at = 1; at < len(p) && at <= maxHeldClipboard; at++ {
		switch b := p[at]; {
		case b >= 0x80: // some terminals wait on for an ASCII one
			return at, 0, leave
		case b == enq && cut&(Queries|Harm) != 0:
			return at + 1, 0, leave
		case b != esc && !ignored(b):
			return at + 1, b, pass
		}
	}
	if at > maxHeldClipboard {
		return at, 0, leave
	}
	return at, 0, unclear
}

// judgeOSC decides by the number and the beginning of the data.
func judgeOSC(p []byte, at int, cut Cut) (n int, v verdict) {
	s := reader{p: p[:min(len(p), maxHeldClipboard)], at: at}
	number, digits := 0, 0
	b := s.next()
	for ; '0' <= b && b <= '9'; b = s.next() {
		number = min(number*10+b-'0', anything)
		digits++
	}
	n, v = at, pass
	clipboard := cut & (Clipboard | ClipboardReads)
	switch {
	case b == none:
		v = unclear
	case cut&Queries != 0 && digits > 0 && (number == 60 || number == 61): // they ask without an argument, too
		n, v = s.last, leaveString
	case b == esc || b == c1: // the string ends, or is interrupted
		n, v = s.ends()
	case b != ';' || digits == 0:
	case clipboard != 0 && number == 52:
		v = judgeOSC52(&s, clipboard)
		n = s.at
	case clipboard != 0 && number == 5522: // kitty's, both ways
		n, v = s.at, leaveString
	case cut&Harm != 0 && (number == 5113 || namesFiles(number)): // kitty's file transfers
		n, v = s.at, leaveString
	case cut&Harm != 0 && number == 9:
		n, v = judgeConEmu(&s, at)
	case number == 1337 && cut != 0:
		return judgeITerm(p[:min(len(p), maxHeldQuery)], at, s.at, cut)
	case cut&Queries != 0 && asker(number):
		n, v = judgeOSCQuery(p[:min(len(p), maxHeldQuery)], at, s.at, number)
		if v == unclear && len(p) >= maxHeldQuery {
			return at, leave
		}
		return n, v
	}
	if v == unclear && len(s.p) == maxHeldClipboard {
		return at, leave
	}
	return n, v
}

// judgeOSC52 reads the selection and whether ? follows it. What is oddly written
// is cut.
func judgeOSC52(s *reader, cut Cut) verdict {
	if cut == Clipboard|ClipboardReads {
		return leaveString
	}
	b := s.next()
	for ' ' <= b && b <= '~' && b != ';' {
		b = s.next()
	}
	kind := cut
	if b == ';' {
		kind = Clipboard
		if b = s.next(); b == '?' {
			if b = s.next(); b == bel || b == esc || b == c1 {
				kind = ClipboardReads
			}
		}
	}
	s.at = s.last // what ends the string is for who looks for its end
	switch {
	case b == none && len(s.p) < maxHeldClipboard:
		return unclear
	case b == none || cut&kind != 0:
		return leaveString
	}
	return pass
}

// asker says whether OSC strings of this number can be queries.
func asker(number int) bool {
	for i := range queries {
		if r := &queries[i]; r.intro == ']' && r.from <= number && number <= r.to {
			return true
		}
	}
	return false
}

// judgeOSCQuery needs the whole string: a query may follow what is set.
func judgeOSCQuery(p []byte, at, data, number int) (int, verdict) {
	end, after := stringEnd(p, data)
	switch {
	case after == 0 && len(p) < maxHeldQuery:
		return 0, unclear
	case after == 0 || mayAsk(number, p[data:end]):
		return at, leaveString
	}
	return properly(p, at, end)
}

// mayAsk says whether the data of such an OSC string could ask for something in
// any terminal, whatever it ignores in there.
func mayAsk(number int, data []byte) bool {
	if number == 99 { // kitty's notices, whose text may well have a question mark
		data, _, _ = bytes.Cut(data, []byte(";"))
	}
	return bytes.IndexByte(data, '?') >= 0
}

// properly judges a string that is nothing to be cut, and that the control at end
// ends: unless that is ESC and not ST's.
func properly(p []byte, at, end int) (int, verdict) {
	if p[end] != esc {
		return at, pass
	}
	i := end
	for i < len(p) && p[i] == esc { // more than one in tmux
		i++
	}
	switch {
	case i == len(p):
		return 0, unclear
	case p[i] == '\\':
		return at, pass
	}
	return end, leave
}

// judgeCSI needs the whole sequence.
func judgeCSI(p []byte, at int, cut Cut) (int, verdict) {
	var params [maxHeldQuery]byte
	k := 0
	s := reader{p: p, at: at}
	for k < len(params) {
		b := s.next()
		switch {
		case b == none:
			return 0, unclear
		case b == bel:
		case b == can || b == sub:
			return at, pass
		case b < ' ' || b > '~': // interrupted
			return s.last, leave
		case b >= '@':
			if cutsCSI(params[:k], byte(b), cut) {
				return s.at, leave
			}
			return at, pass // there may be ENQ in it
		default:
			params[k] = byte(b)
			k++
		}
	}
	return 0, unclear
}

// judgeEightBit looks for S8C1T, ESC SP G.
func judgeEightBit(p []byte, at int, cut Cut) (int, verdict) {
	s := reader{p: p, at: at}
	for {
		switch b := s.next(); {
		case b == none:
			return 0, unclear
		case b == bel:
		case b == 'G' && cut&(Queries|Harm) != 0:
			return s.at, leave
		case b == esc || b > '~': // interrupted
			return s.last, leave
		default:
			return at, pass
		}
	}
}

// judgeDCS needs as much as names the request.
func judgeDCS(p []byte, at int, cut Cut) (int, verdict) {
	var head [maxHeldQuery]byte
	s := reader{p: p, at: at}
	for k := 0; ; k++ {
		b := s.next()
		if b == none {
			return 0, unclear
		}
		head[k] = byte(b)
		own, mayBe := kittys(head[:k+1])
		q, whole := NoQuery, true
		if cut&Queries != 0 {
			q, whole = dcsQuery(head[:k+1])
		}
		switch {
		case b == esc && k == 0:
			return judgeWrapped(p, at, s.last, cut)
		case q != NoQuery || own && cut&Harm != 0:
			return s.at, leaveString
		case b == esc:
			return properly(p, at, s.last)
		case b == c1:
			return s.last, leave
		case whole && !mayBe || b < ' ':
			return at, pass
		}
	}
}

// judgeWrapped judges a DCS that begins with another sequence, as one does that screen is
// to pass on. They are cut together: else what follows could complete the DCS.
func judgeWrapped(p []byte, at, inner int, cut Cut) (int, verdict) {
	i := inner
	for i < len(p) && (p[i] == esc || ignored(p[i])) {
		i++
	}
	switch {
	case i == len(p):
		return 0, unclear
	case p[i] == 'P':
		return inner, leave
	}
	n, v := judge(p[inner:], cut)
	switch v {
	case unclear:
		return 0, unclear
	case pass:
		return at, pass
	}
	return inner + n, v
}

// judgeAPC needs the control data, which ends with a semicolon or the string.
func judgeAPC(p []byte, at int, cut Cut) (int, verdict) {
	var control [maxHeldQuery]byte
	s := reader{p: p, at: at}
	for k := 0; ; k++ {
		switch b := s.next(); {
		case k == 0 && b > ' ' && b != 'G':
			return at, pass
		case b == none:
			return 0, unclear
		case b != ';' && b != esc && b != bel && b != c1:
			control[k] = byte(b)
		case cut&Queries != 0 && apcQuery(control[:k]) != NoQuery, cut&Harm != 0 && namesFile(control[:k]):
			return at, leaveString
		default:
			return properly(p, at, s.last)
		}
	}
}

// none is what a reader returns at the end.
const none = -1

// reader goes over the bytes of a sequence that terminals do not ignore.
type reader struct {
	p    []byte
	at   int // the next byte's index
	last int // that of the byte returned last
}

func (s *reader) next() int {
	for ; s.at < len(s.p); s.at++ {
		if b := s.p[s.at]; !ignored(b) || b == bel {
			s.last = s.at
			s.at++
			return int(b)
		}
	}
	s.last = s.at
	return none
}

// ends judges a string that ESC or C2 breaks off before it said anything: ST ends
// it properly.
func (s *reader) ends() (int, verdict) {
	want := byte('\\')
	if s.p[s.last] == c1 {
		want = st
	}
	switch {
	case s.at == len(s.p):
		return 0, unclear
	case s.p[s.at] == want:
		return s.at + 1, pass
	}
	return s.last, leave
}
