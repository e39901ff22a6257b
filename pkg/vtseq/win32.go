package vtseq

// Bits of the control key state in win32-input-mode.
const (
	win32RightAlt = 1 << iota
	win32LeftAlt
	win32RightCtrl
	win32LeftCtrl
	win32Shift
	win32NumLock
	_ // scroll lock
	win32CapsLock

	win32AltGr = win32RightAlt | win32LeftCtrl
)

// win32Finals has the keys without a character that have a letter as Final, by Windows'
// virtual key codes.
var win32Finals = map[int]byte{0x23: 'F', 0x24: 'H', 0x25: 'D', 0x26: 'A', 0x27: 'C', 0x28: 'B'}

// win32Key is parseKey for win32-input-mode (mode 9001), in which a terminal of Windows
// reports every key event as CSI Vk ; Sc ; Uc ; Kd ; Cs ; Rc _: the virtual key code, the
// scan code, the character, 1 for a press, the control key state, and how often it repeats.
func win32Key(ps [6][3]int) Key {
	vk, char, state := ps[0][0], rune(ps[2][0]), ps[4][0]
	key := Key{Kind: Release, Mods: win32Mods(state)}
	if ps[3][0] == 1 {
		key.Kind = Press
	}
	switch {
	case char >= ' ': // AltGr has chosen the character, and is no modifier of it
		key.Code, key.Text = char, char
		if state&win32AltGr == win32AltGr {
			key.Mods &^= Ctrl | Alt
		}
	case char > 0: // Ctrl has made it a control character
		key.Code = char
		key.Mods &^= Ctrl | Shift
	case win32Modifier(vk):
		key.Code = firstModifier
	default:
		key.Code, key.Final = rune(vk), '_'
		if final, ok := win32Finals[vk]; ok {
			key.Code, key.Final = 0, final
		}
	}
	return key
}

func win32Mods(state int) (mods Mods) {
	for _, m := range []struct {
		bits int
		is   Mods
	}{{win32Shift, Shift}, {win32LeftAlt | win32RightAlt, Alt}, {win32LeftCtrl | win32RightCtrl, Ctrl}, {win32NumLock, numLock}, {win32CapsLock, capsLock}} {
		if state&m.bits != 0 {
			mods |= m.is
		}
	}
	return mods
}

// win32Modifier says whether a virtual key code is that of a modifier or a lock.
func win32Modifier(vk int) bool {
	switch {
	case 0x10 <= vk && vk <= 0x12, vk == 0x14, 0x5b <= vk && vk <= 0x5c, 0x90 <= vk && vk <= 0x91, 0xa0 <= vk && vk <= 0xa5:
		return true
	}
	return false
}
