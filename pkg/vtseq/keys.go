package vtseq

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// InputKind says what a piece of a terminal's input is.
type InputKind uint8

// The kinds of input.
const (
	Text    InputKind = iota // printable characters, in UTF-8: keys that were typed, one after the other
	Paste                    // a part of a bracketed paste, its marks included
	Report                   // what the terminal says by itself, and the mouse
	Press                    // a key was pressed, or is still held down
	Release                  // a key was released
)

// Mods are the modifiers of a key, as bits: those of kitty's keyboard protocol, of which
// the first three are xterm's too.
type Mods uint8

// The modifiers. The last two are locks: whether they are on says nothing about a key.
const (
	Shift Mods = 1 << iota
	Alt
	Ctrl
	Super
	Hyper
	Meta
	capsLock
	numLock

	locks = capsLock | numLock
)

// Key is a key, as a terminal reports it.
type Key struct {
	Kind InputKind
	// Code is the key's character without Shift, in the person's layout; or a control
	// character, or one of kitty's numbers for keys that have no character. 0 for keys that
	// are named by Final.
	Code    rune
	Shifted rune // its character with Shift; 0: the terminal has not said
	Base    rune // what is at that place of a US keyboard; 0: not told
	Text    rune // the character that the key types; 0: not told
	Mods    Mods
	Final   byte // of a CSI or SS3 sequence that names the key: 'A' is Up, 'C' is Right, '~' one with a number
}

// Keys takes what a terminal sends apart into keys and the rest, whichever keyboard
// protocol is on: control bytes, kitty's CSI u, xterm's modifyOtherKeys in both formats,
// and win32-input-mode. Its zero value is ready for a stream's beginning.
//
// An unfinished sequence at the end of what has come is held: it may be a key that was
// cut in two, or the Escape key. Only the caller knows how long to wait: see Flush.
type Keys struct {
	held  []byte // the beginning of a sequence
	seen  int    // how much of it has been looked at
	paste Input  // of which only the state within a bracketed paste is used
}

// Unfinished says whether something is held.
func (k *Keys) Unfinished() bool { return len(k.held) > 0 }

// Split calls to with the pieces of the stream in order, and what each is. It may keep
// some of p's end for the next call. A piece is to's only until it returns.
func (k *Keys) Split(p []byte, to func(piece []byte, key Key)) {
	if len(k.held) > 0 {
		k.held = append(k.held, p...)
		p = k.held
	}
	for len(p) > 0 {
		n, key := k.next(p)
		if n == 0 {
			k.seen = len(p)
			k.held = append(k.held[:0], p...)
			return
		}
		k.seen = 0
		to(p[:n], key)
		p = p[n:]
	}
	k.held = k.held[:0]
}

// Flush gives what is held to to: nothing came that would finish it. An ESC alone is the
// Escape key.
func (k *Keys) Flush(to func(piece []byte, key Key)) {
	if p := k.held; len(p) == 1 {
		to(p, Key{Kind: Press, Code: esc})
	} else if len(p) > 1 {
		to(p, Key{Kind: Text})
	}
	k.held, k.seen = k.held[:0], 0
}

// next says how long the first piece of p is, 0 if more bytes will tell, and what it is.
func (k *Keys) next(p []byte) (int, Key) {
	if k.paste.paste > 0 {
		return k.paste.inPaste(p), Key{Kind: Paste}
	}
	switch b := p[0]; {
	case b == esc:
		return k.escape(p)
	case b < ' ' || b == del:
		return 1, Key{Kind: Press, Code: rune(b)}
	}
	for n, b := range p {
		if b < ' ' || b == del {
			return n, Key{Kind: Text}
		}
	}
	return len(p), Key{Kind: Text}
}

// escape is next for what begins with ESC.
func (k *Keys) escape(p []byte) (int, Key) {
	if len(p) == 1 {
		return 0, Key{}
	}
	switch b := p[1]; {
	case b < ' ' || b == del: // the Escape key, and then another
		return 1, Key{Kind: Press, Code: esc}
	case b == 'O':
		if len(p) == 2 {
			return 0, Key{}
		}
		if p[2] < '@' || p[2] > '~' { // Alt and O
			return 2, Key{Kind: Press, Code: 'O', Mods: Alt}
		}
		return 3, Key{Kind: Press, Final: p[2]}
	case b == '[', b == ']', b == 'P', b == '_':
		if len(p) == 2 {
			return 0, Key{}
		}
		return k.sequence(p)
	}
	r, n := utf8.DecodeRune(p[1:])
	return 1 + n, Key{Kind: Press, Code: r, Mods: Alt}
}

// sequence is next for what begins with ESC and [, ], P or _, and is longer.
func (k *Keys) sequence(p []byte) (int, Key) {
	n, what := report(p, k.seen)
	switch {
	case what == yes:
		return n, Key{Kind: Report}
	case what == notYet:
		return 0, Key{}
	case p[1] != '[' || n < 3: // no sequence: Alt and that character
		return 2, Key{Kind: Press, Code: rune(p[1]), Mods: Alt}
	case p[n-1] < '@' || p[n-1] > '~': // it ends in the midst
		return n, Key{Kind: Text}
	case string(p[:n]) == pasteBegin:
		k.paste.paste = 1
		return n, Key{Kind: Paste}
	case string(p[:n]) == "\x1b[M": // the mouse, and three bytes that are no sequence
		if len(p) < 6 {
			return 0, Key{}
		}
		return 6, Key{Kind: Report}
	}
	return n, parseKey(p[2:n-1], p[n-1])
}

// parseKey reads the parameters of a CSI sequence that is a key's.
func parseKey(params []byte, final byte) Key {
	if len(params) > 0 && params[0] > ';' { // the mouse
		return Key{Kind: Report}
	}
	key, ps := Key{Kind: Press}, parameters(params)
	switch {
	case final == '_':
		return win32Key(ps)
	case final == 'M' && ps[2][0] > 0: // the mouse, as urxvt reports it (mode 1015)
		return Key{Kind: Report}
	}
	if m := ps[1][0]; m > 0 {
		key.Mods = Mods(m - 1)
	}
	if ps[1][1] == 3 {
		key.Kind = Release
	}
	switch {
	case final == 'u':
		key.Code, key.Shifted, key.Base, key.Text = rune(ps[0][0]), rune(ps[0][1]), rune(ps[0][2]), rune(ps[2][0])
	case final == '~' && ps[0][0] == 27 && ps[2][0] > 0:
		key.Code = rune(ps[2][0])
	case final == '~':
		key.Code, key.Final = rune(ps[0][0]), final
	default:
		key.Final = final
	}
	return key
}

// parameters reads up to six groups, between semicolons, of up to three numbers, between
// colons. What is missing is 0.
func parameters(params []byte) (ps [6][3]int) {
	for group := range ps {
		var numbers []byte
		numbers, params, _ = bytes.Cut(params, []byte{';'})
		for i := range ps[group] {
			n, digits := number(numbers)
			ps[group][i] = n
			numbers = numbers[digits:]
			if len(numbers) == 0 || numbers[0] != ':' {
				break
			}
			numbers = numbers[1:]
		}
	}
	return ps
}

// IsControl says whether a key that was pressed is the one that types a control
// character, such as ^] or ^C, on a terminal without any keyboard protocol.
func (k Key) IsControl(b byte) bool { return k.Kind == Press && k.control(b, k.Mods&^locks) }

// ReleasesControl says whether a key that was released is the one that types a control
// character with Ctrl. Ctrl itself may have been released before.
func (k Key) ReleasesControl(b byte) bool {
	return k.Kind == Release && (k.control(b, k.Mods&^locks) || k.control(b, Ctrl) || k.control(b, Ctrl|Shift))
}

func (k Key) control(b byte, mods Mods) bool {
	if k.Final != 0 {
		return false
	}
	if mods == 0 && k.Code == rune(b) && k.Code < ' ' { // Tab, Enter, Escape, or the byte itself
		return true
	}
	if mods&^Shift != Ctrl {
		return false
	}
	for _, r := range []rune{k.Code, k.Shifted, k.latin()} {
		c, ok := controlOf(r, mods&Shift != 0)
		if ok && c == b {
			return true
		}
	}
	return false
}

// latin is what the key types on a US keyboard, if the person's layout has a letter of
// another script there: terminals without a keyboard protocol take that one too.
func (k Key) latin() rune {
	if unicode.IsLetter(k.Code) && !unicode.Is(unicode.Latin, k.Code) {
		return k.Base
	}
	return 0
}

// controlOf is the control character that Ctrl and a character make. With Shift only those
// count that need it on some keyboard: Ctrl, Shift and a letter are another key.
func controlOf(r rune, shift bool) (byte, bool) {
	switch {
	case r == '-': // where Shift makes it _
		return 0x1f, shift
	case r == '6', r == '^', r == '~':
		return 0x1e, true
	case r == '7', r == '_':
		return 0x1f, !shift || r == '_'
	case r == '2', r == '@':
		return 0, true
	case r == '?':
		return del, true
	case r == '{' || r == '|' || r == '}': // Shift and the keys of [, \ and ]
		return 0, false
	case shift:
		return 0, false
	case '3' <= r && r <= '5':
		return byte(r - '3' + esc), true
	case r == '/':
		return 0x1f, true
	case r == ' ':
		return 0, true
	case 'a' <= r && r <= 'z', 'A' <= r && r <= ']':
		return byte(r & 0x1f), true
	}
	return 0, false
}

// Is says whether a key that was pressed types a character.
func (k Key) Is(r rune) bool {
	if k.Kind != Press || k.Final != 0 || k.Mods&^locks&^Shift != 0 {
		return false
	}
	if k.Text != 0 && k.Text == r || keypad[k.Code] == r {
		return true
	}
	if k.Mods&Shift != 0 && k.Shifted != 0 {
		return k.Shifted == r
	}
	return k.Code == r || k.latin() == r
}

// keypad has the characters of those of kitty's numbers that are the keypad's.
var keypad = map[rune]rune{57409: '.', 57410: '/', 57411: '*', 57412: '-', 57413: '+', 57415: '='}

// IsRight says whether the key is the arrow to the right, pressed alone.
func (k Key) IsRight() bool {
	const keypadRight = 57418
	return k.Kind == Press && k.Mods&^locks == 0 && (k.Final == 'C' || k.Final == 0 && k.Code == keypadRight)
}

// Kitty's numbers of the keys that are locks and modifiers.
const (
	firstLock, lastLock         = 57358, 57360
	firstModifier, lastModifier = 57441, 57454
)

// IsModifier says whether the key is a modifier or a lock itself, as kitty's protocol can
// report them.
func (k Key) IsModifier() bool {
	c := k.Code
	return k.Final == 0 && (firstLock <= c && c <= lastLock || firstModifier <= c && c <= lastModifier)
}
