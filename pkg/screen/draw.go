package screen

import (
	"bytes"
	"strconv"
	"unicode"

	"github.com/gdamore/tcell/v3/vt"
)

// maxCluster is how long a character with its marks may become, in bytes: the
// emulator looks at all of it with each mark.
const maxCluster = 64

// lineDrawing is what the line drawing characters are instead of ` to ~.
var lineDrawing = []rune("◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·")

// character draws one.
func (s *Screen) character(r rune) {
	if s.sets[s.set] && '`' <= r && r <= '~' {
		r = lineDrawing[r-'`']
	}
	const joiner = '\u200d'
	mark := r >= 0x300 && (unicode.Is(unicode.M, r) || r == joiner)
	switch {
	case mark && (!s.joining || len(s.grid.at(s.grid.put).C) > maxCluster):
		return // nothing to join, or enough has
	case r >= 0x80 && !mark && !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r) && !unicode.Is(unicode.Co, r):
		return // it has no width: the emulator would have it replace what is there
	case len(s.grid.at(s.grid.put).C) > maxCluster:
		s.feed("\x0f") // SI, which does nothing, and so ends the cluster
	}
	if s.insert && !mark {
		s.feed("\x1b[@")
	}
	s.rune(r)
	if c := s.grid.at(s.grid.put); c.W == 2 && s.grid.put.X == s.grid.size.X-1 && s.wrap && s.grid.put.X > 0 {
		// The emulator puts half of it at the line's end. It belongs to the next line,
		// where the emulator is about to go.
		s.grid.Put(s.grid.put, vt.Cell{S: c.S})
		s.rune(r)
	}
	s.joining = true
	if !mark {
		s.last = r
	}
}

func (s *Screen) rune(r rune) {
	if r < 0x80 {
		(*s.inb)(byte(r))
		return
	}
	var c [4]byte
	for _, b := range append(c[:0], string(r)...) {
		(*s.inb)(b)
	}
}

// control obeys a control character.
func (s *Screen) control(b byte) {
	switch b {
	case '\b', '\t', '\n', '\v', '\f', '\r':
		s.joining = false
		(*s.inb)(b)
	case so:
		s.set = 1
	case si:
		s.set = 0
	}
}

// escape obeys ESC and a final byte.
func (s *Screen) escape(final byte) {
	switch final {
	case 'c':
		s.feed("\x1bc")
		s.insert, s.wrap, s.sets, s.set = false, true, [2]bool{}, 0
	case '7', '8', 'D', 'E', 'H', 'M':
		s.feed("\x1b" + string(rune(final)))
	default:
		return
	}
	s.joining = false
}

// designate obeys ESC with intermediates: character sets, and the screen of E's.
func (s *Screen) designate(intermediates []byte, final byte) {
	switch string(intermediates) {
	case "(":
		s.sets[0] = final == '0'
	case ")":
		s.sets[1] = final == '0'
	case "#":
		if final == '8' {
			s.feed("\x1b#8")
			s.joining = false
		}
	}
}

// sequence obeys a CSI sequence that draws.
func (s *Screen) sequence(params []byte, final byte) {
	s.joining = false
	switch {
	case len(params) > 0 && params[0] == '?':
		if final == 'h' || final == 'l' {
			s.modes(params[1:], final)
		}
	case final == 'm' && plain(params, "0123456789;:"):
		s.csi(params, 'm')
	case final == 'q' && len(params) == 2 && params[1] == ' ':
		s.csi(params, 'q')
	case !plain(params, "0123456789;"):
	case final == 'b':
		s.repeat(params)
	case final == 'h' || final == 'l':
		if string(params) == "4" {
			s.insert = final == 'h'
			break
		}
		s.csi(params, final)
	case final == '`': // HPA and HPR, which the emulator lacks
		s.csi(s.bounded(params), 'G')
	case final == 'a':
		s.csi(s.bounded(params), 'C')
	case bytes.IndexByte([]byte("@ABCDEFGHIJKLMPSTXZdefgrsu"), final) >= 0:
		if final == 'u' { // SCO's
			s.feed("\x1b8")
			break
		}
		s.csi(s.bounded(params), final)
	}
}

func (s *Screen) csi(params []byte, final byte) {
	s.feed("\x1b[")
	for _, b := range params {
		(*s.inb)(b)
	}
	(*s.inb)(final)
}

func plain(params []byte, of string) bool {
	return len(bytes.Trim(params, of)) == 0
}

// bounded is the parameters, none beyond what the screen has: the emulator does
// one step after the other.
func (s *Screen) bounded(params []byte) []byte {
	rows, cols := s.Size()
	out := s.scratch[:0]
	for i, p := range bytes.Split(params, []byte(";")) {
		if i > 0 {
			out = append(out, ';')
		}
		if len(p) > 0 {
			n, err := strconv.Atoi(string(p))
			if err != nil {
				n = maxSide
			}
			out = strconv.AppendInt(out, int64(min(n, max(rows, cols))), 10)
		}
	}
	s.scratch = out
	return out
}

// repeat draws the last character again (REP), at most to fill a line.
func (s *Screen) repeat(params []byte) {
	n, err := strconv.Atoi(string(params))
	if err != nil {
		n = 1
	}
	_, cols := s.Size()
	if s.last == 0 {
		return
	}
	for range min(max(n, 1), cols) {
		s.character(s.last)
	}
}

// modes sets or resets private modes.
func (s *Screen) modes(params []byte, final byte) {
	for p := range bytes.SplitSeq(params, []byte(";")) {
		switch mode := string(p); mode {
		case "47", "1047", "1049":
			s.alternate(final == 'h')
		case "7":
			s.wrap = final == 'h'
			s.csi([]byte("?7"), final)
		case "12", "25", "69":
			s.csi([]byte("?"+mode), final)
		}
	}
}

// alternate changes to the alternate screen or back.
func (s *Screen) alternate(on bool) {
	if on {
		s.grid.alternate()
		return
	}
	if at, ok := s.grid.back(); ok {
		s.csi(s.place(at), 'H')
	}
}

func (s *Screen) place(at vt.Coord) []byte {
	s.scratch = strconv.AppendInt(s.scratch[:0], int64(at.Y)+1, 10)
	s.scratch = append(s.scratch, ';')
	s.scratch = strconv.AppendInt(s.scratch, int64(at.X)+1, 10)
	return s.scratch
}
