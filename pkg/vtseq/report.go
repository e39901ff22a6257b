package vtseq

// maxReport is how long a report in a CSI sequence may be, in bytes of its parameters.
const maxReport = 256

type answer uint8

const (
	no     answer = iota // n bytes are typed
	yes                  // n bytes are a report
	notYet               // more bytes will tell
)

// report looks at p, which begins with ESC, and of which seen bytes were looked at
// before and told nothing.
func report(p []byte, seen int) (n int, a answer) {
	if len(p) <= 2 {
		return min(len(p), 1), no
	}
	switch p[1] {
	case '[':
		n, a = csiReport(p)
	case ']', 'P', '_':
		n, a = stringReport(p, seen)
	case '/': // a VT52 says that it is one by ESC / Z
		if p[2] == 'Z' {
			return 3, yes
		}
		return 1, no
	default:
		return 1, no
	}
	if a == notYet && len(p) >= maxHeld {
		return 1, no
	}
	return n, a
}

// csiReport looks at a CSI sequence.
func csiReport(p []byte) (int, answer) {
	for i, b := range p[2:min(len(p), 2+maxReport)] {
		switch {
		case b < ' ' || b > '~':
			return i + 2, no
		case b == '$' && onlyDigits(p[2:i+2]): // rxvt's keys with Shift end like this
			return i + 3, no
		case b >= '@':
			if isReport(p[2:i+2], b) {
				return i + 3, yes
			}
			return i + 3, no
		}
	}
	if len(p) >= 2+maxReport {
		return 1, no
	}
	return 0, notYet
}

// isReport says whether a CSI sequence that a terminal sends is a report. The rest are
// keys and the mouse, which have no intermediate bytes, and no marker but < and >.
func isReport(params []byte, final byte) bool {
	var marker byte
	if len(params) > 0 && params[0] > ';' {
		marker = params[0]
	}
	if marker == '?' || hasIntermediate(params) {
		return true
	}
	switch final {
	case 'R': // the cursor's place, unless it is F3 with modifiers
		row, n := number(params)
		if n == 0 || n == len(params) || params[n] != ';' {
			return false
		}
		col, m := number(params[n+1:])
		key := row == 1 && 2 <= col && col <= 16
		return m > 0 && n+1+m == len(params) && !key
	case 'I', 'O': // focus
		return len(params) == 0
	case 'n', 't', 'x': // status, window, parameters
		return true
	case 'c': // DA2
		return marker == '>'
	case 'm': // modifyOtherKeys, and attributes (XTREPORTSGR); with < it is the mouse
		return marker != '<'
	}
	return false
}

// hasIntermediate says whether there is an intermediate byte among the parameters.
func hasIntermediate(params []byte) bool {
	return len(params) > 0 && params[len(params)-1] < '0'
}

// stringReport looks at an OSC, DCS or APC string.
func stringReport(p []byte, seen int) (int, answer) {
	known, whole := reportString(p[1], p[2:])
	if whole && !known {
		return 1, no
	}
	from := max(seen-1, 2) // the last byte may have been half of ST
	f := finder{p: p, needles: escOrBEL}
	end := f.next(from)
	switch {
	case end >= maxHeld-1:
		return 1, no
	case end == len(p) || p[end] == esc && end+1 == len(p):
		return 0, notYet
	case p[end] == esc && p[end+1] != '\\':
		return end, no
	case !known:
		return 1, no
	case p[end] == esc:
		end++
	}
	return end + 1, yes
}

// onlyDigits says whether p is a decimal number.
func onlyDigits(p []byte) bool {
	_, n := number(p)
	return n > 0 && n == len(p)
}

// reportString says whether a string with this beginning is a report, and whether
// the beginning is enough to tell.
func reportString(intro byte, s []byte) (known, whole bool) {
	switch intro {
	case '_': // kitty's graphics
		return s[0] == 'G', true
	case 'P':
		return dcsReport(s)
	}
	if s[0] == 'l' || s[0] == 'L' { // titles
		return true, true
	}
	const most = 8
	digits := 0
	for digits < min(len(s), most) && '0' <= s[digits] && s[digits] <= '9' {
		digits++
	}
	switch {
	case digits == len(s) && digits < most:
		return false, false
	case digits == 0 || digits == most:
		return false, true
	}
	return s[digits] == ';', true // of any number: no key sends an OSC string
}

// dcsReport is reportString for DCS. All answers have a marker or an intermediate byte
// before the final one, like >| and 1$r, but for kitty's own.
func dcsReport(s []byte) (known, whole bool) {
	const most = 16
	special := false
	for i, b := range s[:min(len(s), most)] {
		switch {
		case b == '@' && i == 0:
			own, mayBe := kittys(s)
			return own, !mayBe
		case b < '!' || b > '~':
			return false, true
		case b >= '@':
			return special, true
		case b < '0' || b > ';':
			special = true
		}
	}
	return false, len(s) >= most
}
