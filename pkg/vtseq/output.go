package vtseq

// Kind is what was found in output.
type Kind uint8

const (
	Bell   Kind = iota + 1
	Notice      // the program wants its people's attention, in words
	Title       // the window's title
	Asked       // a Query
	Mode        // one of ModeFocus and ModeInBandSize was set or reset
)

// The modes in which a terminal reports changes.
const (
	ModeFocus      = 1004
	ModeInBandSize = 2048
)

// Found is one thing found in output.
type Found struct {
	Kind  Kind
	Title string // of a Notice, if it has one; sanitised
	Text  string // of a Notice or a Title; sanitised

	Query Query
	Param int  // of a Query: the mode, or the number of the OSC sequence; of a Mode: which
	On    bool // of a Mode: it was set
	BEL   bool // of a Query: it ended with BEL, and so should the answer
}

const (
	maxBody   = 1 << 10 // what is kept of a string, in bytes
	maxParams = 64      // what is kept of a CSI sequence, in bytes
)

// Output finds what a program's output says besides what it draws. Its zero value
// is ready for a stream's beginning.
//
//	ground ─ESC─▶ escape ─[─▶ csi ──────── final byte ──▶ ground
//	   │             ├─ SP…/ ─▶ nf ─────── final byte ──▶ ground
//	  C2─▶ ground2 ──┴─ ]P_X^ ─▶ str ─BEL, ST, CAN ─────▶ ground
//
// An ESC that does not begin ST ends a string unheard, as it does in xterm. So what
// is wrapped for tmux or screen (DCS tmux; ESC ESC ] …) is found too.
type Output struct {
	state state
	intro byte // of the string: the byte after ESC
	n     int  // bytes of body
	cut   bool // body lacks some
	body  [maxBody]byte
}

type state uint8

const (
	ground  state = iota
	ground2       // after C2
	escape
	nf // after ESC and an intermediate byte
	csi
	str
	strEsc // after ESC in a string
	strC1  // after C2 in a string
)

// Amid says whether the stream so far ends within a sequence.
func (o *Output) Amid() bool { return o.state != ground }

// Scan looks at the next bytes of the stream and tells found what they complete.
func (o *Output) Scan(p []byte, found func(Found)) {
	plain := finder{p: p, needles: controls}
	inside := finder{p: p, needles: stringEnds}
	for i := 0; i < len(p); {
		switch o.state {
		case ground:
			i = plain.next(i)
			if n := unasking(p[i:]); n > 0 { // as nearly all are
				i += n
			} else if i < len(p) {
				o.control(p[i], found)
				i++
			}
		case csi:
			i += o.params(p[i:], found)
		case str:
			j := inside.next(i)
			o.keep(p[i:j], maxBody)
			if i = j; i < len(p) {
				o.inString(p[i], found)
				i++
			}
		default:
			if o.after(p[i], found) {
				i++
			}
		}
	}
}

// unasking is the length of the CSI sequence that p begins with, if it is whole and
// asks nothing.
func unasking(p []byte) int {
	n, simple := csi7(p)
	if n == 0 {
		return 0
	}
	final := p[n-1]
	setsPrivate := p[2] == '?' && (final == 'h' || final == 'l')
	if setsPrivate || mayAskCSI(simple, final) {
		return 0
	}
	return n
}

// control takes a control character outside of strings.
func (o *Output) control(b byte, found func(Found)) {
	switch b {
	case bel:
		found(Found{Kind: Bell})
	case enq:
		found(Found{Kind: Asked, Query: AskAnswerback})
	case esc:
		o.state = escape
	case can, sub:
		o.state = ground
	case c1:
		o.state = ground2
	}
}

// after takes the byte after ESC, C2 and the like; false if it is to be looked at
// again in the new state.
func (o *Output) after(b byte, found func(Found)) bool {
	switch o.state {
	case ground2:
		o.state = ground
		if !isC1(b) {
			return false
		}
		o.begin(b-0x40, found)
	case escape, nf:
		switch {
		case b < ' ' || b == del:
			o.control(b, found)
		case b < '0':
			o.state, o.intro = nf, b
		case b > del || o.state == nf:
			if o.state == nf && o.intro == ' ' && b == 'G' {
				found(Found{Kind: Asked, Query: AskEightBit})
			}
			o.state = ground
			return b <= del
		default:
			o.begin(b, found)
		}
	case strEsc:
		if b != '\\' {
			o.state = escape
			return false
		}
		o.end(false, found)
	case strC1:
		if b == st {
			o.end(false, found)
			break
		}
		o.state = str
		o.keep([]byte{c1}, maxBody)
		return false
	}
	return true
}

// begin takes the byte after ESC that says what begins.
func (o *Output) begin(b byte, found func(Found)) {
	o.state, o.intro, o.n, o.cut = ground, b, 0, false
	switch b {
	case '[':
		o.state = csi
	case ']', 'P', '_', 'X', '^':
		o.state = str
	case 'Z':
		found(Found{Kind: Asked, Query: AskID})
	case 'c': // RIS
		found(Found{Kind: Mode, Param: ModeFocus})
		found(Found{Kind: Mode, Param: ModeInBandSize})
	}
}

// params takes bytes of a CSI sequence and says how many.
func (o *Output) params(p []byte, found func(Found)) int {
	for i := 0; ; i++ {
		from := i
		for i < len(p) && ' ' <= p[i] && p[i] < '@' {
			i++
		}
		o.keep(p[from:i], maxParams)
		if i == len(p) {
			return i
		}
		switch b := p[i]; {
		case b < ' ' || b == del:
			if o.control(b, found); o.state != csi {
				return i + 1
			}
		case b < del:
			o.state = ground
			if (b == 'h' || b == 'l') && !o.cut && o.n > 0 && o.body[0] == '?' {
				eachNumber(o.body[1:o.n], func(n int) {
					if n == ModeFocus || n == ModeInBandSize {
						found(Found{Kind: Mode, Param: n, On: b == 'h'})
					}
				})
			}
			if len(csiFinals[b]) > 0 && !o.cut {
				if q, first := csiQuery(o.body[:o.n], b); q != NoQuery {
					found(Found{Kind: Asked, Query: q, Param: first})
				}
			}
			return i + 1
		default:
			o.state = ground
			return i
		}
	}
}

// keep adds to the body what has room.
func (o *Output) keep(p []byte, most int) {
	n := copy(o.body[o.n:most], p)
	o.n += n
	o.cut = o.cut || n < len(p)
}

// inString takes a byte that may end a string.
func (o *Output) inString(b byte, found func(Found)) {
	switch b {
	case esc:
		o.state = strEsc
	case c1:
		o.state = strC1
	case bel:
		o.end(true, found)
	default:
		o.state = ground
	}
}

// end takes a whole string.
func (o *Output) end(byBEL bool, found func(Found)) {
	o.state = ground
	body := o.body[:o.n]
	switch o.intro {
	case ']':
		osc(body, byBEL, found)
	case 'P':
		if q, _ := dcsQuery(body); q != NoQuery {
			found(Found{Kind: Asked, Query: q})
		}
	case '_':
		if q := apcQuery(body); q != NoQuery {
			found(Found{Kind: Asked, Query: q})
		}
	}
}
