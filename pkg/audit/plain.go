package audit

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// maxPlain bounds a line of plain text, in bytes.
const maxPlain = 64 << 10

// plain makes of a terminal's output the text that a person would read there, line by
// line. It knows no screen: what moves the cursor elsewhere ends a line, what was
// deleted with a backspace is gone, and all else that is for the terminal is left out.
type plain struct {
	line  []byte
	state byte // 0: text; ESC: after it; [: CSI; ]: a string; \: ESC in a string; sp: ESC and an intermediate
	cr    bool // a carriage return was the last
}

// feed takes what the program has written, and tells lines, without their ends. The
// slice is good during the call.
func (t *plain) feed(p []byte, lines func(line []byte)) {
	end := func() {
		if len(t.line) > 0 {
			lines(t.line)
		}
		t.line = t.line[:0]
	}
	for _, c := range p {
		switch t.state {
		case 0:
			if t.cr && c != '\n' && c != '\r' { // what follows would overwrite it
				end()
			}
			t.cr = c == '\r'
			switch {
			case c == 0x1b:
				t.state = c
			case c == '\n':
				lines(t.line)
				t.line = t.line[:0]
			case c == '\b':
				_, n := utf8.DecodeLastRune(t.line)
				t.line = t.line[:len(t.line)-n]
			case c >= 0x20 && c != 0x7f || c == '\t':
				if len(t.line) >= maxPlain && utf8.RuneStart(c) {
					end()
				}
				t.line = append(t.line, c)
			}
		case 0x1b:
			switch {
			case c == '[':
				t.state = c
			case c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_':
				t.state = ']'
			case c >= 0x20 && c < 0x30:
				t.state = ' '
			case c == 0x1b:
			default:
				t.state = 0
			}
		case ' ':
			if c < 0x20 || c >= 0x30 {
				t.state = 0
			}
		case '[':
			if c < 0x40 && c != 0x1b {
				continue
			}
			t.state = 0
			switch c {
			case 0x1b:
				t.state = c
			case 'A', 'B', 'E', 'F', 'H', 'f', 'd':
				end()
			case 'C', 'G':
				t.line = append(t.line, ' ')
			}
		case ']':
			switch c {
			case 0x07, 0x18, 0x1a:
				t.state = 0
			case 0x1b:
				t.state = '\\'
			}
		case '\\':
			t.state = 0
			if c != '\\' { // no ST: the string ended, and another sequence begins
				t.state = 0x1b
				t.feed([]byte{c}, lines)
			}
		}
	}
}

// readable is a line as it can be shown on a terminal.
func readable(line []byte) []byte {
	return bytes.Map(func(r rune) rune { // what is no UTF-8 comes as U+FFFD
		if unicode.IsControl(r) && r != '\t' {
			return -1
		}
		return r
	}, line)
}

// rest tells the line that has not ended.
func (t *plain) rest(lines func(line []byte)) {
	if len(t.line) > 0 {
		lines(t.line)
	}
	t.line = t.line[:0]
}
