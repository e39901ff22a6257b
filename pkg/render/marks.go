// Package render makes plain text of what a session's program has written to its terminal:
// an emulator draws it, so that what stood in columns does so in the text.
//
// The output is a stranger's. Time and memory are bounded as those of pkg/screen are, and
// what is written by the length of the output.
package render

import "bytes"

// maxMark is longer than a mark, in bytes; what is longer is none.
const maxMark = 16

// reset is the mark that empties both screens (RIS).
const reset = "\x1bc"

// A mark is a control sequence after which a screen may show nothing of what it showed
// before: it is erased, or the alternate one begins or ends.
type mark struct {
	length int  // 0: it is no mark
	whole  bool // false: it may become one, with more bytes
}

// markAt says whether p, which begins with ESC, begins with a mark.
func markAt(p []byte) mark {
	if len(p) < 2 {
		return mark{len(p), false}
	}
	switch p[1] {
	case 'c': // RIS
		return mark{2, true}
	case '[':
	default:
		return mark{}
	}
	for i, b := range p[2:min(len(p), maxMark)] {
		switch {
		case '0' <= b && b <= ';' || b == '?':
		case b == 'J' && string(p[2:2+i]) == "2", (b == 'h' || b == 'l') && switches(p[2:2+i]):
			return mark{2 + i + 1, true}
		default:
			return mark{}
		}
	}
	if len(p) >= maxMark {
		return mark{}
	}
	return mark{len(p), false}
}

// switches says so of the parameters of a mode, or of several, that switch to the alternate
// screen or back.
func switches(params []byte) bool {
	modes, private := bytes.CutPrefix(params, []byte("?"))
	if !private {
		return false
	}
	for mode := range bytes.SplitSeq(modes, []byte(";")) {
		switch string(mode) {
		case "47", "1047", "1049":
			return true
		}
	}
	return false
}

// Pieces cuts output at its marks, the sequences that erase a screen or have the other one
// shown: do gets each piece and the mark after it, which may be
// empty. What may become a mark is left over, to come again before what follows.
func Pieces(p []byte, do func(piece, mark []byte)) (left []byte) {
	from := 0
	for at := 0; at < len(p); {
		n := bytes.IndexByte(p[at:], 0x1b)
		if n < 0 {
			break
		}
		at += n
		switch m := markAt(p[at:]); {
		case m.length == 0:
			at++
		case m.whole:
			do(p[from:at], p[at:at+m.length])
			at += m.length
			from = at
		default:
			do(p[from:at], nil)
			return p[at:]
		}
	}
	do(p[from:], nil)
	return nil
}
