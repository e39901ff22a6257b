package vtseq

import "bytes"

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
	for i, b := range p[2:min(len(p), 2+maxParams)] {
		switch {
		case b < ' ' || b > '~':
			return i + 2, no
		case b >= '@':
			if isReport(p[2:i+2], b) {
				return i + 3, yes
			}
			return i + 3, no
		}
	}
	if len(p) >= 2+maxParams {
		return 1, no
	}
	return 0, notYet
}

// isReport knows the reports among the CSI sequences that terminals send. The rest
// are keys and the mouse.
func isReport(params []byte, final byte) bool {
	var marker byte
	if len(params) > 0 && params[0] > ';' {
		marker = params[0]
	}
	switch final {
	case 'R': // the cursor's place, unless it is F3 with modifiers
		row, n := number(params)
		if n == 0 || n == len(params) || params[n] != ';' {
			return marker == '?'
		}
		col, m := number(params[n+1:])
		key := row == 1 && 2 <= col && col <= 16
		return m > 0 && n+1+m == len(params) && !key
	case 'I', 'O': // focus
		return len(params) == 0
	case 'n', 't', 'x': // status, window, parameters
		return true
	case 'c':
		return marker == '?' || marker == '>'
	case 'u', 'S': // kitty's keyboard, graphics
		return marker == '?'
	case 'm': // modifyOtherKeys; < is the mouse
		return marker == '>'
	case 'y': // modes
		return bytes.HasSuffix(params, []byte("$"))
	}
	return false
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

// reportString says whether a string with this beginning is a report, and whether
// the beginning is enough to tell.
func reportString(intro byte, s []byte) (known, whole bool) {
	switch intro {
	case '_':
		return s[0] == 'G', true
	case 'P':
		for i, b := range s {
			switch {
			case b == '|':
				return i > 0 && (s[i-1] == '>' || s[i-1] == '!'), true
			case b == 'r':
				return i > 0 && (s[i-1] == '$' || s[i-1] == '+'), true
			case b < '!' || b > '>' || i >= 16:
				return false, true
			}
		}
		return false, false
	}
	if s[0] == 'l' || s[0] == 'L' { // titles
		return true, true
	}
	n, digits := number(s[:min(len(s), 8)])
	switch {
	case digits == len(s) && digits < 8:
		return false, false
	case digits == 0 || digits == 8 || s[digits] != ';':
		return false, true
	}
	switch {
	case n == 4 || n == 5 || 10 <= n && n <= 19, n == 21, n == 52, n == 99, n == 5522:
		return true, true
	}
	return false, true
}
