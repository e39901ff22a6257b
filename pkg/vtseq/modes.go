package vtseq

import "slices"

// MaxSequence is the longest CSI sequence that Modes obeys: bytes of parameters
// and intermediates.
const MaxSequence = 128

// Modes follows what output puts a terminal into: what must be undone when somebody
// leaves (Restore), and done for those who join later (AppendSet): modes, and how the
// terminal looks. It does not follow what is on the screen. Of what goes with that
// (margins, attributes, character sets) it knows only whether there is something to
// undo. Its zero value is a terminal's beginning.
//
// Scan looks for the sequences itself. Who parses the output anyway calls CSI and
// Escape instead.
type Modes struct {
	state  state
	cut    bool
	n      int
	params [MaxSequence]byte

	told      uint64 // private modes that were set or reset, by their index
	on        uint64 // those that were set
	mouse     int    // which of 9, 1000, 1001, 1002, 1003
	mice      mice   // those that a terminal which keeps them apart may still have
	alternate int    // the mode that showed the alternate screen; 0: the main one is shown
	insert    bool   // IRM
	locked    bool   // KAM: the keyboard is
	echo      bool   // SRM is reset: the terminal shows itself what is typed
	newLine   bool   // LNM
	wide      bool   // DECCOLM: 132 columns
	vt52      bool   // DECANM is reset
	keypad    bool   // DECKPAM
	shape     int    // DECSCUSR
	otherKeys int    // xterm's modifyOtherKeys
	titles    int    // that were pushed (XTWINOPS)
	keys      [2]keyboard

	traces traces // what else is to be undone
	place  place  // of the cursor
	before place  // before the alternate screen
	kept   place  // where ESC 7 has kept the cursor
	keeps  bool   // nothing was written since then, and the cursor has moved with the margins only
	looks  looks
	body   []byte // of an OSC string
}

// keyboard is the flags of kitty's keyboard protocol, of which each screen has a
// stack of its own.
type keyboard struct {
	flags  [maxKeyboards]byte // the lowest is what was never pushed
	pushed int
}

// MaxTitles bounds the stack of titles, as in xterm.
const MaxTitles = 10

// maxKeyboards bounds the stack. What is lowest gets lost, as in kitty.
const maxKeyboards = 16

// Is says whether a private mode is set. One that the terminal decides itself is not.
func (m *Modes) Is(number int) bool {
	switch number {
	case 9, 1000, 1001, 1002, 1003:
		return m.mouse == number
	case 47, 1047, 1049:
		return m.alternate > 0
	case 66:
		return m.keypad
	}
	i := private(number)
	return i >= 0 && m.is(i)
}

func (m *Modes) is(i int) bool {
	if m.told&(1<<i) == 0 {
		return privates[i].normal == on
	}
	return m.on&(1<<i) != 0
}

// Insert says whether new characters push the rest of the line.
func (m *Modes) Insert() bool { return m.insert }

// Scan takes the next bytes of the output.
func (m *Modes) Scan(p []byte) {
	f := finder{p: p, needles: introduces}
	for i := 0; i < len(p); {
		if m.state == csi {
			i += m.sequence(p[i:])
			continue
		}
		if m.state == ground || m.state == str {
			from := i
			i = f.next(i)
			m.run(p[from:i])
			if i == len(p) {
				return
			}
		}
		if m.state == ground { // as nearly all sequences are
			if n, _ := csi7(p[i:]); n > 0 && n <= MaxSequence {
				m.CSI(p[i+2:i+n-1], p[i+n-1])
				i += n
				continue
			}
		}
		if m.after(p[i]) {
			i++
		}
	}
}

// introduces has the bytes that mean something outside of sequences, or in strings.
var introduces = newNeedles("\x1b\a\x0e\x0f\x18\x1a\xc2")

// run takes bytes that are the inside of a string, or are shown.
func (m *Modes) run(p []byte) {
	switch {
	case len(p) == 0:
	case m.state == ground:
		m.keeps = false
		m.place.shows(p, m.traces&confined != 0)
	case m.n == ']':
		m.body = append(m.body, p[:min(len(p), MaxString-len(m.body))]...)
	}
}

// endString takes the end of a string.
func (m *Modes) endString() {
	if m.state != ground && m.n == ']' {
		m.OSC(m.body)
	}
	m.state = ground
}

// after takes a byte outside of CSI sequences; false if it is to be looked at again.
func (m *Modes) after(b byte) bool {
	switch {
	case b == esc:
		if m.state == str || m.state == strC1 {
			m.endString()
		}
		m.state = escape
	case b == can || b == sub:
		m.state = ground
	case b == bel && m.state == str && m.n == ']':
		m.endString()
	case m.state == strC1:
		m.state = str
		if b != st {
			m.run([]byte{c1})
			return false
		}
		m.endString()
	case m.state == str:
		if b == c1 {
			m.state = strC1
		}
	case m.state == ground2:
		m.state = ground
		if !isC1(b) {
			return false
		}
		m.begin(b - 0x40)
	case b == c1:
		m.state = ground2
	case b == so || b == si:
		m.traces.mark(shifted, b == so)
	case m.state == ground || ignored(b):
	case b > del:
		m.state = ground
	case b < '0':
		if m.n = int(b); m.state == nf {
			m.n = 0 // of more than one no set is known
		}
		m.state = nf
	case m.state == nf:
		m.state = ground
		m.traces.designate(m.n, b)
	default:
		m.begin(b)
	}
	return true
}

// begin takes the byte after ESC.
func (m *Modes) begin(b byte) {
	m.state = ground
	switch b {
	case '[':
		m.state, m.n, m.cut = csi, 0, false
	case ']', 'P', '_', 'X', '^':
		m.state, m.n, m.body = str, int(b), m.body[:0]
	default:
		if '0' <= b && b <= '~' {
			m.Escape(b)
		}
	}
}

// sequence takes bytes of a CSI sequence and says how many.
func (m *Modes) sequence(p []byte) int {
	for i, b := range p {
		switch {
		case '@' <= b && b <= '~':
			m.state = ground
			if !m.cut {
				m.CSI(m.params[:m.n], b)
			}
			return i + 1
		case ignored(b):
		case b < ' ' || b > del:
			m.state = ground
			return i // after looks at it
		case m.n == len(m.params):
			m.cut = true
		default:
			m.params[m.n] = b
			m.n++
		}
	}
	return len(p)
}

// Escape obeys ESC and a final byte.
func (m *Modes) Escape(final byte) {
	switch final {
	case 'c':
		*m = Modes{body: m.body[:0]}
	case '=':
		m.keypad = true
	case '>':
		m.keypad = false
	case '<':
		m.vt52 = false
	case 'n', 'o':
		m.traces.mark(shifted, true)
	case 'H':
		m.traces.mark(tabs, true)
	case 'E':
		m.place.inLine, m.keeps = false, false
	case '7':
		m.kept, m.keeps = m.place, true
	case '8':
		if m.place = m.kept; !m.keeps {
			m.place = somewhere
		}
	case 'M':
		m.place.up(1)
		m.keeps = false
	}
}

// CSI obeys a CSI sequence of these parameters, with marker and intermediates.
func (m *Modes) CSI(params []byte, final byte) {
	switch final {
	case 'h', 'l':
		if len(params) > 0 && params[0] == '?' {
			eachNumber(params[1:], func(n int) { m.private(n, final == 'h') })
		} else {
			eachNumber(params, func(n int) { m.ansi(n, final == 'h') })
		}
	case 'q':
		switch n, digits := number(params); {
		case string(params[digits:]) == " " && n <= 6:
			m.shape = n
		case string(params[digits:]) == "\"":
			m.traces.mark(protected, n == 1)
		}
	case 'p':
		if string(params) == "!" {
			m.softReset()
		}
	case 'm':
		if len(params) > 0 && params[0] > ';' {
			m.keyboard(params[0], params[1:], final)
		} else {
			m.traces.sgr(params)
		}
	case 'u', 'n':
		if len(params) > 0 {
			m.keyboard(params[0], params[1:], final)
		} else if final == 'u' {
			m.place = somewhere
		}
	case 'r', 's':
		m.margins(params, final)
	case 'g':
		m.traces.mark(tabs, true)
	case 'W':
		if string(params) == "?5" { // DECST8C
			m.traces.mark(tabs, false)
		}
	case 't':
		m.titles = max(0, min(m.titles+Titles(params), MaxTitles))
	default:
		m.keeps = false
		m.place.moves(params, final, m.traces&confined != 0)
	}
}

// ansi obeys what sets or resets a mode that is not private.
func (m *Modes) ansi(n int, set bool) {
	switch n {
	case 2:
		m.locked = set
	case 4:
		m.insert = set
	case 12:
		m.echo = !set
	case 20:
		m.newLine = set
	}
}

// Titles says of the parameters of a CSI t whether it pushes the window's title on a
// stack, 1, or pops it, -1.
func Titles(params []byte) int {
	var ns [2]int
	n := 0
	eachNumber(params, func(number int) {
		if n < len(ns) {
			ns[n] = number
		}
		n++
	})
	switch {
	case ns[1] != 0 && ns[1] != 2: // the icon's
	case ns[0] == 22:
		return 1
	case ns[0] == 23:
		return -1
	}
	return 0
}

// eachNumber tells the numbers between semicolons; none if there is anything else.
func eachNumber(params []byte, to func(int)) {
	for _, b := range params {
		if b != ';' && (b < '0' || b > '9') {
			return
		}
	}
	for len(params) > 0 {
		n, digits := number(params)
		if digits > 0 {
			to(n)
		}
		params = params[min(digits+1, len(params)):]
	}
}

func (m *Modes) private(n int, set bool) {
	switch n {
	case 9, 1000, 1001, 1002, 1003: // one at a time
		m.mouse = 0
		if set {
			m.mouse = n
		}
		m.mice.mark(n, set)
	case 47, 1047, 1049:
		m.show(n, set)
	case 66:
		m.keypad = set
	case 2:
		m.vt52 = !set
	case 3:
		m.wide, m.place = set, somewhere
	case 6:
		m.traces.mark(origin, set)
		m.place.goTo(true)
	default:
		i := private(n)
		if i < 0 {
			return
		}
		m.told |= 1 << i
		m.on &^= 1 << i
		if set {
			m.on |= 1 << i
		}
	}
}

// mice are modes of the mouse. In some terminals (xterm, kitty) one takes the place of
// another, and whichever is reset, none is left. Others (VTE, WezTerm) keep each of them
// until that one is reset.
type mice uint8

var mouseModes = [...]int{9, 1000, 1001, 1002, 1003}

func (m *mice) mark(mode int, set bool) {
	bit := mice(1) << slices.Index(mouseModes[:], mode)
	*m &^= bit
	if set {
		*m |= bit
	}
}

// appendReset appends what resets them.
func (m mice) appendReset(b []byte) []byte {
	for i, mode := range mouseModes {
		if m&(1<<i) != 0 {
			b = appendMode(b, mode, false)
		}
	}
	return b
}

// show shows the alternate screen, or the main one again. Only mode 1049 brings the
// cursor back to where it was on that.
func (m *Modes) show(mode int, alternate bool) {
	m.keeps = false
	switch {
	case alternate && m.alternate == 0:
		m.alternate, m.before = mode, m.place
	case !alternate && m.alternate > 0:
		if m.place = m.before; mode != 1049 || m.alternate != 1049 {
			m.place = somewhere
		}
		m.alternate = 0
	}
}

// softReset is DECSTR. In xterm it leaves the mouse alone, and the lines wrap.
func (m *Modes) softReset() {
	m.insert, m.locked, m.keypad, m.shape = false, false, false, 0
	m.traces &= tabs | linked
	m.otherKeys, m.keys[m.screen()] = 0, keyboard{}
	for i := range privates {
		switch privates[i].number {
		case 1, 7, 25, 69:
			m.told &^= 1 << i
		}
	}
}

func (m *Modes) screen() int {
	if m.alternate > 0 {
		return 1
	}
	return 0
}

// keyboard obeys kitty's CSI > u, CSI < u, CSI = u and xterm's CSI > m, CSI > n.
func (m *Modes) keyboard(marker byte, params []byte, final byte) {
	var ns [2]int
	for i := range ns {
		n, digits := number(params)
		ns[i] = n
		params = params[min(digits+1, len(params)):]
	}
	if len(params) > 0 {
		return
	}
	k := &m.keys[m.screen()]
	switch {
	case marker == '>' && final == 'm' && (ns[0] == 4 || ns[0] == 0):
		m.otherKeys = min(ns[1], 3)
	case marker == '>' && final == 'n' && ns[0] == 4:
		m.otherKeys = 0
	case final != 'u':
	case marker == '>':
		if k.pushed == len(k.flags)-1 {
			copy(k.flags[:], k.flags[1:])
			k.pushed--
		}
		k.pushed++
		k.flags[k.pushed] = byte(ns[0]) & 31
	case marker == '<':
		if k.pushed -= max(ns[0], 1); k.pushed < 0 {
			*k = keyboard{}
		}
	case marker == '=':
		flags := byte(ns[0]) & 31
		switch ns[1] {
		case 0, 1:
			k.flags[k.pushed] = flags
		case 2:
			k.flags[k.pushed] |= flags
		case 3:
			k.flags[k.pushed] &^= flags
		}
	}
}
