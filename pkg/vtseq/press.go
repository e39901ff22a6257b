package vtseq

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/AgentaaU/AaaU/pkg/argv"
)

// KeyModes are those of a program's modes that decide what reaches it of keys and
// pastes.
type KeyModes struct {
	Cursor    bool  // DECCKM
	Keypad    bool  // DECKPAM
	Paste     bool  // bracketed paste
	Kitty     uint8 // the flags of kitty's keyboard protocol
	OtherKeys int   // xterm's modifyOtherKeys
}

// The flags of kitty's keyboard protocol that matter to a key that is pressed alone.
const (
	kittyDisambiguate = 1
	kittyAll          = 8
	kittyText         = 16
)

// KeyModes are the modes as they are now.
func (m *Modes) KeyModes() KeyModes {
	k := &m.keys[m.screen()]
	return KeyModes{Cursor: m.Is(1), Keypad: m.keypad, Paste: m.Is(2004), Kitty: k.flags[k.pushed], OtherKeys: m.otherKeys}
}

// named is a key that is known by a name.
type named struct {
	code  int  // of kitty's CSI u, or the number before ~
	final byte // 0: it is a control character, code; else of its sequence, '~', a letter, or 'k' for the keypad
	ss3   byte // of the keypad, in its application mode
	text  byte // of the keypad otherwise
}

var names = map[string]named{
	"enter": {code: '\r'}, "tab": {code: '\t'}, "escape": {code: esc}, "bspace": {code: del}, "space": {code: ' '},
	"up": {final: 'A'}, "down": {final: 'B'}, "right": {final: 'C'}, "left": {final: 'D'}, "home": {final: 'H'}, "end": {final: 'F'},
	"insert": {2, '~', 0, 0}, "delete": {3, '~', 0, 0}, "pageup": {5, '~', 0, 0}, "pagedown": {6, '~', 0, 0},
	"f1": {final: 'P'}, "f2": {final: 'Q'}, "f3": {final: 'R'}, "f4": {final: 'S'}, "f5": {15, '~', 0, 0}, "f6": {17, '~', 0, 0},
	"f7": {18, '~', 0, 0}, "f8": {19, '~', 0, 0}, "f9": {20, '~', 0, 0}, "f10": {21, '~', 0, 0}, "f11": {23, '~', 0, 0}, "f12": {24, '~', 0, 0},
	"kpenter": {57414, 'k', 'M', '\r'}, "kp.": {57409, 'k', 'n', '.'}, "kp/": {57410, 'k', 'o', '/'}, "kp*": {57411, 'k', 'j', '*'},
	"kp-": {57412, 'k', 'm', '-'}, "kp+": {57413, 'k', 'k', '+'},
}

// aliases are other names that people know, tmux's among them.
var aliases = map[string]string{
	"return": "enter", "cr": "enter", "esc": "escape", "backspace": "bspace", "bs": "bspace", "btab": "s-tab", "backtab": "s-tab",
	"ic": "insert", "ins": "insert", "dc": "delete", "del": "delete", "ppage": "pageup", "pgup": "pageup", "npage": "pagedown",
	"pgdn": "pagedown", "pgdown": "pagedown",
}

func init() {
	for d := range 10 {
		names["kp"+strconv.Itoa(d)] = named{57399 + d, 'k', byte('p' + d), byte('0' + d)}
	}
}

var modifiers = map[string]Mods{"c": Ctrl, "ctrl": Ctrl, "control": Ctrl, "m": Alt, "a": Alt, "alt": Alt, "meta": Alt, "s": Shift, "shift": Shift}

// AppendKey appends what a terminal sends for a key with a name, such as C-c, Escape, M-x,
// S-Tab, F5, C-Left, ^D, or any character.
func AppendKey(b []byte, name string, modes KeyModes) ([]byte, error) {
	mods, base := Mods(0), name
	if len(base) == 2 && base[0] == '^' {
		mods, base = Ctrl, base[1:]
	}
	for {
		i := strings.IndexAny(base, "-+")
		if i < 1 || i == len(base)-1 {
			break
		}
		m, ok := modifiers[strings.ToLower(base[:i])]
		if !ok {
			break
		}
		mods, base = mods|m, base[i+1:]
	}
	if r, n := utf8.DecodeRuneInString(base); n == len(base) && r >= ' ' && r != del && r != utf8.RuneError {
		return modes.appendCharacter(b, r, mods), nil
	}
	base = strings.ToLower(base)
	if a, ok := aliases[base]; ok {
		if base = strings.TrimPrefix(a, "s-"); base != a {
			mods |= Shift
		}
	}
	key, ok := names[base]
	switch {
	case !ok:
		return b, fmt.Errorf("there is no key %s: write a character, C-c, M-x, Enter, Escape, Tab, S-Tab, BSpace, Up, PageDown, F5, C-Left or the like", argv.Quote(name, 40))
	case key.final == 'k':
		return modes.appendKeypad(b, key, mods), nil
	case key.final != 0:
		return modes.appendFunction(b, key, mods), nil
	case key.code == ' ':
		return modes.appendCharacter(b, ' ', mods), nil
	}
	return modes.appendControl(b, rune(key.code), mods), nil
}

// appendCharacter appends a key that has a character.
func (m KeyModes) appendCharacter(b []byte, r rune, mods Mods) []byte {
	if 'A' <= r && r <= 'Z' {
		if r |= 0x20; mods&Ctrl == 0 { // C-A is C-a, as people write it
			mods |= Shift
		}
	}
	shifted := r
	if mods&Shift != 0 && 'a' <= r && r <= 'z' {
		shifted &^= 0x20
	}
	typed := mods&^Shift == 0 // it types its character
	switch {
	case m.Kitty&kittyAll != 0:
		return m.appendU(b, r, shifted, mods, typed)
	case typed:
		return utf8.AppendRune(b, shifted)
	case m.Kitty&kittyDisambiguate != 0:
		return m.appendU(b, r, shifted, mods, false)
	}
	c, is := controlOf(r, false)
	is = is && mods&Ctrl != 0
	if m.OtherKeys >= 2 || m.OtherKeys == 1 && mods&Ctrl != 0 && (!is || mods&Shift != 0) {
		return appendOther(b, shifted, mods)
	}
	if mods&Alt != 0 {
		b = append(b, esc)
	}
	if is {
		return append(b, c)
	}
	return utf8.AppendRune(b, shifted)
}

// appendControl appends Enter, Tab, Escape or Backspace.
func (m KeyModes) appendControl(b []byte, r rune, mods Mods) []byte {
	switch {
	case m.Kitty&kittyAll != 0, m.Kitty&kittyDisambiguate != 0 && (mods != 0 || r == esc):
		return m.appendU(b, r, r, mods, false)
	case m.OtherKeys > 0 && mods != 0 && (r != '\t' || mods != Shift):
		return appendOther(b, r, mods)
	}
	if mods&Alt != 0 {
		b = append(b, esc)
	}
	switch {
	case r == '\t' && mods&Shift != 0:
		return append(b, "\x1b[Z"...)
	case r == del && mods&Ctrl != 0:
		return append(b, '\b')
	}
	return append(b, byte(r))
}

// appendFunction appends a key that has a sequence of its own.
func (m KeyModes) appendFunction(b []byte, key named, mods Mods) []byte {
	final, code, kitty := key.final, key.code, m.Kitty&(kittyDisambiguate|kittyAll) != 0
	if final == 'R' && (kitty || mods != 0) { // F3, which looks like where the cursor is
		if kitty {
			final, code = '~', 13
		}
	}
	function := 'P' <= final && final <= 'S'
	switch {
	case final == '~' && mods == 0:
		return append(strconv.AppendInt(append(b, "\x1b["...), int64(code), 10), '~')
	case final == '~':
		b = strconv.AppendInt(append(b, "\x1b["...), int64(code), 10)
	case mods == 0 && !kitty && (function || m.Cursor):
		return append(b, esc, 'O', final)
	case mods == 0:
		return append(b, esc, '[', final)
	default:
		b = append(b, "\x1b[1"...)
	}
	return append(strconv.AppendInt(append(b, ';'), int64(mods)+1, 10), final)
}

// appendKeypad appends a key of the keypad.
func (m KeyModes) appendKeypad(b []byte, key named, mods Mods) []byte {
	switch {
	case m.Kitty&kittyAll != 0, m.Kitty&kittyDisambiguate != 0 && (mods != 0 || key.text == '\r'):
		return m.appendU(b, rune(key.code), rune(key.text), mods, mods == 0 && key.text != '\r')
	case m.Keypad && mods == 0:
		return append(b, esc, 'O', key.ss3)
	case key.text == '\r':
		return m.appendControl(b, '\r', mods)
	}
	return m.appendCharacter(b, rune(key.text), mods)
}

// appendU appends kitty's CSI u.
func (m KeyModes) appendU(b []byte, code, text rune, mods Mods, typed bool) []byte {
	b = strconv.AppendInt(append(b, "\x1b["...), int64(code), 10)
	typed = typed && m.Kitty&kittyText != 0
	if mods != 0 {
		b = strconv.AppendInt(append(b, ';'), int64(mods)+1, 10)
	} else if typed {
		b = append(b, ';')
	}
	if typed {
		b = strconv.AppendInt(append(b, ';'), int64(text), 10)
	}
	return append(b, 'u')
}

// appendOther appends xterm's modifyOtherKeys.
func appendOther(b []byte, code rune, mods Mods) []byte {
	b = strconv.AppendInt(append(b, "\x1b[27;"...), int64(mods)+1, 10)
	return append(strconv.AppendInt(append(b, ';'), int64(code), 10), '~')
}

// AppendPaste appends what a terminal sends when a text is pasted. Lines end as with
// Enter. A program that asked for bracketed pastes is told where it begins and ends; of
// control characters only tabs are in it, so the text can neither end it nor press a key.
func AppendPaste(b, text []byte, modes KeyModes) []byte {
	if !modes.Paste {
		return appendPlain(b, text, false)
	}
	return append(appendPlain(append(b, pasteBegin...), text, true), pasteEnd...)
}

func appendPlain(b, text []byte, only bool) []byte {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\n' && i > 0 && text[i-1] == '\r': // CR LF is one line's end
		case c == '\n':
			b = append(b, '\r')
		case only && c == c1 && i+1 < len(text) && isC1(text[i+1]):
			i++
		case only && (c < ' ' && c != '\t' && c != '\r' || c == del):
		default:
			b = append(b, c)
		}
	}
	return b
}
