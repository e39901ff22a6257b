package vtseq

// MaxSequence is the longest CSI sequence that Modes obeys: bytes of parameters
// and intermediates.
const MaxSequence = 128

// Modes follows the modes that output puts a terminal into: what must be undone when
// somebody leaves (Restore), and done for who comes later (AppendSet). It does not
// follow what is on the screen, nor margins, origin and character sets, which go
// with it. Its zero value is a terminal's beginning.
//
// Scan looks for the sequences itself. Who parses the output anyway calls CSI and
// Escape instead.
type Modes struct {
	state  state
	cut    bool
	n      int
	params [MaxSequence]byte

	told      uint32 // private modes that were set or reset, by their index
	on        uint32 // those that were set
	mouse     int    // which of 9, 1000, 1002, 1003
	alternate bool   // the alternate screen is shown
	insert    bool   // IRM
	keypad    bool   // DECKPAM
	shape     int    // DECSCUSR
	otherKeys int    // xterm's modifyOtherKeys
	titles    int    // that were pushed (XTWINOPS)
	keys      [2]keyboard
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

// normal says what a mode is when nobody has told.
type normal uint8

const (
	off     normal = iota
	on             //
	anyhow         // terminals differ: it is left as it is
	forgone        // it is undone, but not done for who comes later
)

// privates are the private modes, but for those of the mouse's kinds and of the
// alternate screen. AppendSet sets them in this order.
var privates = [...]struct {
	number int
	normal normal
}{
	{1, off},        // DECCKM
	{5, off},        // DECSCNM
	{7, on},         // DECAWM
	{12, anyhow},    // the cursor blinks
	{25, on},        // DECTCEM
	{45, off},       // the cursor goes back over a line's beginning
	{69, forgone},   // DECLRMM, which goes with the margins
	{1004, off},     // focus
	{1005, off},     // the mouse's coordinates: in UTF-8
	{1015, off},     // urxvt's
	{1006, off},     // SGR's
	{1016, off},     // in pixels
	{1007, anyhow},  // the wheel is arrow keys on the alternate screen
	{2004, off},     // bracketed paste
	{2026, forgone}, // synchronized output: who comes late must see something
	{2031, off},     // reports of the colour scheme
	{2048, forgone}, // reports of the size, the first of them at once
}

// private is the index of a mode, -1 for none.
func private(number int) int {
	for i := range privates {
		if privates[i].number == number {
			return i
		}
	}
	return -1
}

// Is says whether a private mode is set. One that the terminal decides itself is not.
func (m *Modes) Is(number int) bool {
	switch number {
	case 9, 1000, 1002, 1003:
		return m.mouse == number
	case 47, 1047, 1049:
		return m.alternate
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
	for i := 0; i < len(p); {
		if m.state == csi {
			i += m.sequence(p[i:])
			continue
		}
		if m.state == ground || m.state == str {
			for i < len(p) && !introduces[p[i]] {
				i++
			}
			if i == len(p) {
				return
			}
		}
		if m.after(p[i]) {
			i++
		}
	}
}

// introduces has the bytes that mean something outside of sequences, or in strings.
var introduces = [256]bool{bel: true, can: true, sub: true, esc: true, c1: true}

// after takes a byte outside of CSI sequences; false if it is to be looked at again.
func (m *Modes) after(b byte) bool {
	switch {
	case b == esc:
		m.state = escape
	case b == can || b == sub, b == bel && m.state == str && m.n == ']':
		m.state = ground
	case m.state == strC1:
		m.state = str
		if b != st {
			return false
		}
		m.state = ground
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
	case m.state == ground || ignored(b):
	case b > del:
		m.state = ground
	case b < '0':
		m.state = nf
	case m.state == nf:
		m.state = ground
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
		m.state, m.n = str, int(b)
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
		*m = Modes{}
	case '=':
		m.keypad = true
	case '>':
		m.keypad = false
	}
}

// CSI obeys a CSI sequence of these parameters, with marker and intermediates.
func (m *Modes) CSI(params []byte, final byte) {
	switch final {
	case 'h', 'l':
		if len(params) > 0 && params[0] == '?' {
			eachNumber(params[1:], func(n int) { m.private(n, final == 'h') })
		} else {
			eachNumber(params, func(n int) { m.insert = final == 'h' && n == 4 || m.insert && n != 4 })
		}
	case 'q':
		if n, digits := number(params); string(params[digits:]) == " " && n <= 6 {
			m.shape = n
		}
	case 'p':
		if string(params) == "!" {
			m.softReset()
		}
	case 'u', 'm', 'n':
		if len(params) > 0 {
			m.keyboard(params[0], params[1:], final)
		}
	case 't':
		m.titles = max(0, min(m.titles+Titles(params), MaxTitles))
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
	case 9, 1000, 1002, 1003: // one at a time
		m.mouse = 0
		if set {
			m.mouse = n
		}
	case 47, 1047, 1049:
		m.alternate = set
	case 66:
		m.keypad = set
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

// softReset is DECSTR. In xterm it leaves the mouse alone, and the lines wrap.
func (m *Modes) softReset() {
	m.insert, m.keypad, m.shape = false, false, 0
	m.otherKeys, m.keys[m.screen()] = 0, keyboard{}
	for i := range privates {
		switch privates[i].number {
		case 1, 7, 25, 69:
			m.told &^= 1 << i
		}
	}
}

func (m *Modes) screen() int {
	if m.alternate {
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
