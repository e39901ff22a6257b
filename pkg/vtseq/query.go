package vtseq

import (
	"bytes"
	"fmt"
)

// Query is something that a program asks its terminal, which answers on the
// program's input as if it were typed.
type Query uint8

const (
	NoQuery        Query = iota
	AskStatus            // DSR
	AskCursor            // CPR
	AskCursorExt         // DECXCPR
	AskDSR               // other reports of the private DSR
	AskID                // DA1, and DECID
	AskID2               // DA2
	AskID3               // DA3
	AskVersion           // XTVERSION
	AskMode              // DECRQM
	AskPrivateMode       // DECRQM of a private mode
	AskKeyboard          // kitty's keyboard protocol
	AskCells             // the window's size in cells
	AskWindow            // what else a window has, its title too
	AskState             // DECRQPSR, DECRQCRA, XTREPORTCOLORS and the like
	AskColour            // of text, background, cursor …
	AskPalette           // a colour by its number
	AskClipboard         // OSC 52
	AskDesktop           // kitty: can it notify?
	AskSetting           // DECRQSS
	AskCapability        // XTGETTCAP
	AskGraphics          // kitty's graphics protocol
	AskAnswerback        // ENQ
	AskFont              // OSC 50
	AskPointer           // the pointer's shape, OSC 22
	AskAllowed           // which features xterm allows, OSC 60 and 61
	AskOther             // numbers of OSC that one terminal or another answers
	AskITerm             // ReportCellSize, ReportVariable and the like, OSC 1337
	AskResource          // XTGETXRES
	AskControl           // tmux's control mode: the terminal sends commands from then on
	AskEightBit          // S8C1T: answers have C1 controls, which Input does not look for
)

// State is what answers depend on.
type State struct {
	Rows, Cols int // of the screen
	Row, Col   int // of the cursor, from 0

	Width, Height int          // of the screen in pixels; 0: not known
	Modes         map[int]bool // private modes whose state is known
}

// anything is the end of a range without one.
const anything = 1 << 20

// queries are all queries known, and their answers where the bridge has one. A
// terminal that were missing would leave a program waiting for some of them; the
// rest it does without.
var queries = []struct {
	intro    byte   // how it begins: the byte after ESC, or ENQ
	key      string // of CSI and DCS: marker, intermediates and final byte
	from, to int    // of CSI the first parameter, of OSC its number
	query    Query
	answer   func(Found, State) string
}{
	{'[', "n", 5, 5, AskStatus, func(Found, State) string { return "\x1b[0n" }},
	{'[', "n", 6, 6, AskCursor, func(_ Found, s State) string { return fmt.Sprintf("\x1b[%d;%dR", s.Row+1, s.Col+1) }},
	{'[', "?n", 6, 6, AskCursorExt, func(_ Found, s State) string { return fmt.Sprintf("\x1b[?%d;%d;1R", s.Row+1, s.Col+1) }},
	{'[', "?n", 0, anything, AskDSR, nil},
	{'[', "n", 0, anything, AskDSR, nil}, // rxvt's
	{'[', "c", 0, 0, AskID, func(Found, State) string { return "\x1b[?62;22c" }},
	{'Z', "", 0, 0, AskID, func(Found, State) string { return "\x1b[?62;22c" }},
	{'[', ">c", 0, 0, AskID2, func(Found, State) string { return "\x1b[>1;10;0c" }},
	{'[', "=c", 0, 0, AskID3, nil},
	{'[', ">q", 0, 0, AskVersion, func(Found, State) string { return "\x1bP>|AaaU\x1b\\" }},
	{'[', "$p", 0, anything, AskMode, func(f Found, _ State) string { return fmt.Sprintf("\x1b[%d;0$y", f.Param) }},
	{'[', "?$p", 0, anything, AskPrivateMode, privateMode},
	{'[', "?u", 0, anything, AskKeyboard, func(Found, State) string { return "\x1b[?0u" }},
	{'[', "t", 18, 18, AskCells, func(_ Found, s State) string { return fmt.Sprintf("\x1b[8;%d;%dt", s.Rows, s.Cols) }},
	{'[', "t", 11, 11, AskWindow, nil},
	{'[', "t", 14, 14, AskWindow, func(_ Found, s State) string { return pixels("\x1b[4;%d;%dt", s, 1, 1) }},
	{'[', "t", 16, 16, AskWindow, func(_ Found, s State) string { return pixels("\x1b[6;%d;%dt", s, s.Rows, s.Cols) }},
	{'[', "t", 13, 15, AskWindow, nil},
	{'[', "t", 19, 21, AskWindow, nil},
	{'[', "> q", 0, 0, AskState, nil},        // kitty's cursors
	{'[', "> q", 100, 101, AskState, nil},    // their places and colours
	{'[', "#S", 0, anything, AskWindow, nil}, // XTTITLEPOS
	{'[', "x", 0, 1, AskState, nil},          // DECREQTPARM
	{'[', "+x", 0, anything, AskState, nil},  // DECRQPKFM
	{'[', "*y", 0, anything, AskState, nil},  // DECRQCRA
	{'[', "$w", 0, anything, AskState, nil},  // DECRQPSR
	{'[', "$u", 0, anything, AskState, nil},  // DECRQTSR
	{'[', "&u", 0, anything, AskState, nil},  // DECRQUPSS
	{'[', "\"v", 0, anything, AskState, nil}, // DECRQDE
	{'[', "'|", 0, anything, AskState, nil},  // DECRQLP
	{'[', "#|", 0, anything, AskState, nil},  // XTREPORTSGR
	{'[', "#R", 0, anything, AskState, nil},  // XTREPORTCOLORS
	{'[', "?m", 0, anything, AskState, nil},  // XTQMODKEYS
	{'[', "?S", 1, anything, AskState, nil},  // XTSMGRAPHICS
	{']', "", 10, 10, AskColour, func(f Found, _ State) string { return colour(f, "ffff/ffff/ffff") }},
	{']', "", 11, 11, AskColour, func(f Found, _ State) string { return colour(f, "0000/0000/0000") }},
	{']', "", 12, 19, AskColour, nil},
	{']', "", 4, 5, AskPalette, nil},
	{']', "", 21, 21, AskPalette, nil}, // kitty
	{']', "", 52, 52, AskClipboard, nil},
	{']', "", 50, 50, AskFont, nil},
	{']', "", 22, 22, AskPointer, nil},
	{']', "", 60, 61, AskAllowed, nil},
	{']', "", 1337, 1337, AskITerm, nil},
	{']', "", 20, 20, AskOther, nil},     // rxvt: the background's picture
	{']', "", 39, 39, AskOther, nil},     // rxvt: colours
	{']', "", 49, 49, AskOther, nil},     // rxvt
	{']', "", 176, 176, AskOther, nil},   // foot: the application's name
	{']', "", 701, 713, AskOther, nil},   // rxvt: locale, version, colours, fonts
	{']', "", 7704, 7704, AskOther, nil}, // mintty: palette
	{']', "", 7750, 7771, AskOther, nil}, // mintty: emoji, font size, glyphs
	{']', "", 99, 99, AskDesktop, nil},
	{'P', "$q", 0, anything, AskSetting, nil},
	{'P', "+q", 0, anything, AskCapability, nil},
	{'P', "+Q", 0, anything, AskResource, nil},
	{'P', "p", 1000, 1000, AskControl, nil},
	{'_', "G", 0, anything, AskGraphics, nil},
	{enq, "", 0, 0, AskAnswerback, nil},
}

// Answer is what the bridge says to a query in place of a terminal, nil for
// nothing.
func Answer(f Found, s State) []byte {
	for _, q := range queries {
		if f.Kind == Asked && q.query == f.Query && q.answer != nil && (q.intro != ']' && q.query != AskWindow || q.from <= f.Param && f.Param <= q.to) {
			return []byte(q.answer(f, s))
		}
	}
	return nil
}

// privateMode says whether a private mode is set (1), reset (2) or not known (0).
func privateMode(f Found, s State) string {
	state := 0
	if set, known := s.Modes[f.Param]; known {
		state = 2
		if set {
			state = 1
		}
	}
	return fmt.Sprintf("\x1b[?%d;%d$y", f.Param, state)
}

// pixels is the screen's height and width, divided; nothing where they are not known.
func pixels(format string, s State, rows, cols int) string {
	if s.Width == 0 || s.Height == 0 || rows == 0 || cols == 0 {
		return ""
	}
	return fmt.Sprintf(format, s.Height/rows, s.Width/cols)
}

func colour(f Found, rgb string) string {
	end := "\x1b\\"
	if f.BEL {
		end = "\a"
	}
	return fmt.Sprintf("\x1b]%d;rgb:%s%s", f.Param, rgb, end)
}

// csiFinals has the rows of queries for each final byte of CSI, since nearly every
// sequence is none.
var csiFinals = func() (rows [128][]int) {
	for i, q := range queries {
		if q.intro == '[' {
			final := q.key[len(q.key)-1]
			rows[final] = append(rows[final], i)
		}
	}
	return rows
}()

// mayAskCSI says whether a CSI sequence with this final byte may be a query. simple says that
// it has neither a marker nor intermediate bytes (csi7).
func mayAskCSI(simple bool, final byte) bool {
	if simple {
		return asksSimply[final]
	}
	return len(csiFinals[final]) > 0
}

// asksSimply has the final bytes of those queries that are simple (csi7).
var asksSimply = func() (is [128]bool) {
	for final, rows := range csiFinals {
		for _, i := range rows {
			is[final] = is[final] || len(queries[i].key) == 1
		}
	}
	return is
}()

// csiQuery says what the CSI sequence of these parameters, with intermediates, and
// final byte asks, and its first parameter.
func csiQuery(params []byte, final byte) (q Query, first int) {
	if len(csiFinals[final]) == 0 {
		return NoQuery, 0
	}
	var key [4]byte
	k := 0
	if len(params) > 0 && '<' <= params[0] && params[0] <= '?' {
		key[k] = params[0]
		k++
		params = params[1:]
	}
	first, _ = number(params)
	for _, b := range params {
		if b < '0' && k < len(key)-1 {
			key[k] = b
			k++
		}
	}
	key[k] = final
	k++
	for _, i := range csiFinals[final] {
		if r := &queries[i]; string(key[:k]) == r.key && r.from <= first && first <= r.to {
			return r.query, first
		}
	}
	return NoQuery, 0
}

// oscQuery says what an OSC string of this number and data asks.
func oscQuery(n int, data []byte) Query {
	for i := range queries {
		if r := &queries[i]; r.intro == ']' && r.from <= n && n <= r.to && asks(n, data) {
			return r.query
		}
	}
	return NoQuery
}

// asks says whether the data of an OSC string asks for something in place of
// setting it.
func asks(n int, data []byte) bool {
	switch n {
	case 60, 61:
		return true
	case 99:
		metadata, _, _ := bytes.Cut(data, []byte(";"))
		p, _ := option(metadata, "p", ":")
		return string(p) == "?"
	case 1337:
		return asksITerm(data)
	case 22:
		return len(data) > 0 && data[0] == '?'
	}
	for part := range bytes.SplitSeq(data, []byte(";")) {
		if len(part) > 0 && (part[0] == '?' || part[len(part)-1] == '?') { // kitty: name=?
			return true
		}
	}
	return false
}

// asksITerm says whether an OSC 1337 string has the terminal answer.
func asksITerm(data []byte) bool {
	return bytes.HasPrefix(data, []byte("Report")) || bytes.HasPrefix(data, []byte("Capabilities"))
}

// dcsQuery says what a DCS string with this beginning asks; whole is false when
// more of it could tell.
func dcsQuery(s []byte) (q Query, whole bool) {
	first, _ := number(s)
	for len(s) > 0 && (s[0] == ';' || '0' <= s[0] && s[0] <= '9') {
		s = s[1:]
	}
	switch {
	case len(s) == 0:
		return NoQuery, false
	case s[0] == 'p' && first == 1000:
		return AskControl, true
	case len(s) == 1:
		return NoQuery, s[0] != '$' && s[0] != '+'
	}
	switch string(s[:2]) {
	case "$q":
		return AskSetting, true
	case "+q":
		return AskCapability, true
	case "+Q":
		return AskResource, true
	}
	return NoQuery, true
}

// apcQuery says what an APC string asks. Kitty's terminal may answer any of its
// graphics commands; this is the one that is there for the answer.
func apcQuery(s []byte) Query {
	control, _, _ := bytes.Cut(s, []byte(";"))
	if len(control) > 0 && control[0] == 'G' {
		if a, _ := option(control[1:], "a", ","); string(a) == "q" {
			return AskGraphics
		}
	}
	return NoQuery
}

// option finds the value of a key in key=value pairs.
func option(pairs []byte, key, separator string) ([]byte, bool) {
	for pair := range bytes.SplitSeq(pairs, []byte(separator)) {
		if k, v, ok := bytes.Cut(pair, []byte("=")); ok && string(k) == key {
			return v, true
		}
	}
	return nil, false
}
