package vtseq

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
	m.place = somewhere
}

// place is what is known of where the cursor is.
type place struct {
	inLine bool // not in the first column
	above  bool // there may be something below it
}

// somewhere is a cursor of which nothing is known.
var somewhere = place{inLine: true, above: true}

// shows follows the cursor over text.
func (p *place) shows(text []byte) {
	end := len(text)
	for end > 0 && text[end-1] == '\n' {
		end--
	}
	if end > 0 {
		p.inLine = text[end-1] != '\r'
	}
}

// moves follows the cursor over a CSI sequence.
func (p *place) moves(params []byte, final byte) {
	switch final {
	case 'C', 'D', 'a':
		p.inLine = true
	case 'G', '`':
		n, _ := number(params)
		p.inLine = n > 1
	case 'E':
		p.inLine = false
	case 'F':
		p.inLine, p.above = false, true
	case 'A', 'd', 'k':
		p.above = true
	case 'H', 'f':
		p.above = true
		_, digits := number(params)
		n, _ := number(params[min(digits+1, len(params)):])
		p.inLine = n > 1
	case 'J':
		switch string(params) {
		case "", "0", "2":
			p.above = false
		}
	}
}
