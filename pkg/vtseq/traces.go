package vtseq

import "bytes"

// traces are what output may leave on a terminal that goes with its screen. Whether one
// of them is there may be said too often, never too rarely.
type traces uint8

const (
	styled    traces = 1 << iota // text has attributes or colours (SGR)
	confined                     // there are margins
	origin                       // places are counted from them (DECOM)
	drawing                      // a character set that is not ASCII is designated
	shifted                      // another set than G0 is in use
	linked                       // text links to something (OSC 8)
	protected                    // characters are protected from erasure (DECSCA)
	tabs                         // tab stops are others
)

func (t *traces) mark(which traces, there bool) {
	*t &^= which
	if there {
		*t |= which
	}
}

// sgr obeys SGR, with an account of whether everything is off.
func (t *traces) sgr(params []byte) {
	if len(params) == 0 {
		*t &^= styled
		return
	}
	for len(params) > 0 {
		n, digits := number(params)
		params = params[digits:]
		plain := len(params) == 0 || params[0] == ';'
		for len(params) > 0 && params[0] != ';' {
			params = params[1:]
		}
		params = params[min(1, len(params)):]
		switch {
		case n == 0 && plain:
			*t &^= styled
		case n == 38 || n == 48 || n == 58:
			*t |= styled
			if plain {
				params = afterColor(params)
			}
		case 22 <= n && n <= 29, n == 39, n == 49, n == 54, n == 55, n == 59: // off
		default:
			*t |= styled
		}
	}
}

// afterColor is what follows the parameters of a colour.
func afterColor(params []byte) []byte {
	kind, digits := number(params)
	more := 0
	switch kind {
	case 5:
		more = 1
	case 2:
		more = 3
	}
	params = params[min(digits+1, len(params)):]
	for ; more > 0; more-- {
		_, digits = number(params)
		params = params[min(digits+1, len(params)):]
	}
	return params
}

// designate obeys ESC, an intermediate byte and a final one.
func (t *traces) designate(intermediate int, final byte) {
	switch intermediate {
	case '(', ')', '*', '+', '-', '.', '/':
		// Where one of several sets is ASCII again, others may still not be.
		if final != 'B' {
			*t |= drawing
		} else if intermediate == '(' {
			*t &^= drawing
		}
	case '%':
		if final == '@' {
			*t |= drawing
		}
	}
}

// margins obeys DECSTBM and DECSLRM.
func (m *Modes) margins(params []byte, final byte) {
	for _, b := range params {
		if b != ';' && (b < '0' || b > '9') {
			return
		}
	}
	if final == 's' {
		if m.Is(69) { // else it is the cursor that is saved
			m.place = somewhere
		}
		return
	}
	some := false
	eachNumber(params, func(n int) { some = some || n > 0 })
	m.traces.mark(confined, some)
	m.place.goTo(true)
}

// place is what is known of where the cursor is, in relation to what is on the screen.
// Its zero value is the beginning of an empty line, below everything.
type place struct {
	inLine bool // the cursor is not in the first column
	blank  bool // the screen was erased, and nothing was written since
	// used is how many lines, from the cursor's own on, may have something on them; never
	// too few. It follows moves up and down. When a program goes to a row by its number it
	// is not known, unless the screen is blank.
	used int
}

// tallest is more lines than a terminal has.
const tallest = 1 << 16

// somewhere is a cursor of which nothing is known.
var somewhere = place{inLine: true, used: tallest}

// isBelowAll says whether the cursor is at the beginning of an empty line, and nothing
// is below that.
func (p *place) isBelowAll() bool { return !p.inLine && p.used == 0 }

// up follows the cursor up so many lines, at most.
func (p *place) up(n int) { p.used = min(p.used+n, tallest) }

// down follows the cursor down so many lines, at most: at the screen's end nothing is below
// it, but margins may hold it above something.
func (p *place) down(n int, confined bool) {
	if !confined {
		p.used = max(p.used-n, 0)
	}
}

// written notes something in the cursor's line.
func (p *place) written() { p.used, p.blank = max(p.used, 1), false }

// shows follows the cursor over text.
func (p *place) shows(text []byte, confined bool) {
	end := len(text)
	for end > 0 && text[end-1] == '\n' {
		end--
	}
	if end > 0 {
		p.inLine = text[end-1] != '\r'
	}
	last := text[bytes.LastIndexByte(text, '\n')+1:]
	if confined {
		last = text
	} else if p.used > 0 || p.blank { // else this is the last line, and stays it
		p.blank = p.blank && len(bytes.Trim(text, "\r\n")) == 0
		p.down(bytes.Count(text, []byte("\n")), false)
	}
	if len(bytes.Trim(last, "\r\n")) > 0 {
		p.written()
	}
}

// moves follows the cursor over a CSI sequence.
func (p *place) moves(params []byte, final byte, confined bool) {
	n, digits := number(params)
	n = max(n, 1)
	switch final {
	case 'C', 'D', 'a', 'I', 'Z':
		p.inLine = true
	case 'G', '`':
		p.inLine = n > 1
	case 'A', 'k', 'L', 'T': // inserted lines, and scrolling down, push others down
		p.up(n)
	case 'F':
		p.inLine = false
		p.up(n)
	case 'B', 'e', 'E':
		p.inLine = p.inLine && final != 'E'
		if p.used > 0 && digits == len(params) {
			p.down(n, confined)
			p.used = max(p.used, 1) // in the screen's last line it stays in that
		}
	case '@', 'b':
		p.written()
	case 'd':
		p.goTo(p.inLine)
	case 'H', 'f':
		column, _ := number(params[min(digits+1, len(params)):])
		p.goTo(column > 1)
	case 'J':
		switch string(params) {
		case "", "0":
			p.used = min(p.used, 1)
			if !p.inLine {
				p.used = 0
			}
		case "2":
			p.used, p.blank = 0, true
		}
	}
}

// goTo follows the cursor to a row by its number.
func (p *place) goTo(inLine bool) {
	p.inLine = inLine
	if !p.blank {
		p.used = tallest
	}
}
