package vtseq

// normal says what a mode is when nobody has told.
type normal uint8

const (
	off        normal = iota
	on                //
	usuallyOn         // it is a person's choice, or terminals differ: only what was changed is undone
	usuallyOff        // the same
	forgone           // it is undone, but not done for those who join later
)

// privates are the private modes, but for those of the mouse's kinds, of the alternate
// screen, of 132 columns (3) and of the VT52 (2). AppendSet sets them in this order.
//
// Some modes that terminals have are left out on purpose. 18, 19 and 43 to 47 are about
// printing and logging. 30, 1010, 1011, 1034, 1036 and 1039 to 1044 (the scroll bar, the
// Meta key, selections) are choices that terminals and people make in both ways and that
// programs make once, for ever, as their person does: undoing them would do harm. 38 is
// another terminal (Tektronix), which has sequences of its own.
var privates = [...]struct {
	number int
	normal normal
}{
	{1, off},            // DECCKM
	{4, off},            // DECSCLM: slow scrolling
	{5, off},            // DECSCNM
	{7, on},             // DECAWM
	{8, on},             // DECARM: held keys repeat
	{12, usuallyOff},    // the cursor blinks
	{25, on},            // DECTCEM
	{40, usuallyOff},    // mode 3 may change the width
	{42, off},           // DECNRCM: national characters instead of some of ASCII
	{45, off},           // the cursor goes back over a line's beginning
	{67, usuallyOff},    // DECBKM: backspace sends BS
	{69, forgone},       // DECLRMM, which goes with the margins
	{80, off},           // sixel pictures do not scroll
	{1004, off},         // focus
	{1005, off},         // the mouse's coordinates: in UTF-8
	{1015, off},         // urxvt's
	{1006, off},         // SGR's
	{1016, off},         // in pixels
	{1007, usuallyOn},   // the wheel is arrow keys on the alternate screen
	{1035, usuallyOn},   // num lock changes what keys send
	{1037, usuallyOff},  // delete sends DEL
	{1045, off},         // the cursor goes back over many lines' beginnings
	{1046, usuallyOn},   // there is an alternate screen
	{1050, usuallyOff},  // function keys as terminfo has them
	{1051, usuallyOff},  // as Sun's
	{1052, usuallyOff},  // as HP's
	{1053, usuallyOff},  // as SCO's
	{1060, usuallyOff},  // as old xterm's
	{1061, usuallyOff},  // as a VT220's
	{1070, usuallyOn},   // each sixel picture has colours of its own
	{2001, off},         // readline's mouse: clicks
	{2002, off},         // readline's mouse: drags
	{2003, off},         // readline's mouse: double clicks
	{2004, off},         // bracketed paste
	{2005, off},         // each pasted character is quoted
	{2006, off},         // each pasted new line is quoted
	{2026, forgone},     // synchronized output: those who join late must see something
	{2027, usuallyOff},  // widths go by grapheme clusters; in some terminals always
	{2029, off},         // the mouse is reported, and selects too (Contour)
	{2031, off},         // reports of the colour scheme
	{2048, forgone},     // reports of the size, the first of them at once
	{5522, off},         // what is pasted is announced in its types (kitty)
	{7727, off},         // Escape sends a sequence (mintty)
	{8452, off},         // the cursor is right of a sixel picture afterwards
	{9001, off},         // keys as Windows has them (win32-input-mode)
	{737769, usuallyOn}, // input methods (foot)
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

// undone says whether a mode is to be undone, and what it should be.
func (m *Modes) undone(i int) (changed, set bool) {
	told, is := m.told&(1<<i) != 0, m.on&(1<<i) != 0
	switch privates[i].normal {
	case on, usuallyOn:
		return told && !is, true
	default:
		return told && is, false
	}
}
