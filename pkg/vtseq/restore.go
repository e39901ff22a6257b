package vtseq

import "strconv"

// ResetBegins is how what AppendReset appends begins.
const ResetBegins = "\x18\x1b\\\x1b[<99u"

// AppendReset appends what takes a terminal out of whatever it is in: a sequence, the
// alternate screen, any mode that Modes knows and no person chooses, margins, attributes
// and character sets. Then the cursor is anywhere. Titles that were pushed stay, and so
// do colours, since those of before may be the person's: Undo is for them.
func AppendReset(b []byte) []byte {
	b = append(b, ResetBegins+"\x1b[?1049l\x1b[<99u\x1b[=0;1u\x1b[!p\x1b[2l\x1b[4l\x1b[12h\x1b[20l\x1b>\x1b[?9l\x1b[?1000l\x1b[?1001l\x1b[?1002l\x1b[?1003l"...)
	for i := range privates {
		switch privates[i].normal {
		case off, forgone:
			b = appendMode(b, privates[i].number, false)
		case on:
			b = appendMode(b, privates[i].number, true)
		}
	}
	return append(b, "\x1b[>4m\x1b[0 q"+unconfined+unstyled...)
}

const (
	// unconfined takes a terminal out of origin mode and margins, and the cursor to the
	// first place.
	unconfined = "\x1b[?6l\x1b[r"
	// unstyled takes it out of attributes, a link, and character sets.
	unstyled = "\x1b[m\x1b]8;;\x1b\\\x0f\x1b(B\x1b)B"
)

// AppendSet appends what puts a terminal that was reset into the modes, but for the
// alternate screen and the keyboards.
func (m *Modes) AppendSet(b []byte) []byte {
	if m.insert {
		b = append(b, "\x1b[4h"...)
	}
	for _, mode := range []struct {
		is  bool
		set string
	}{{m.locked, "\x1b[2h"}, {m.echo, "\x1b[12l"}, {m.newLine, "\x1b[20h"}, {m.keypad, "\x1b="}} {
		if mode.is {
			b = append(b, mode.set...)
		}
	}
	for i := range privates {
		switch p := privates[i]; {
		case p.normal == forgone:
		case p.normal == usuallyOn || p.normal == usuallyOff:
			if m.told&(1<<i) != 0 {
				b = appendMode(b, p.number, m.is(i))
			}
		case m.is(i) != (p.normal == on):
			b = appendMode(b, p.number, m.is(i))
		}
	}
	if m.mouse > 0 {
		b = appendMode(b, m.mouse, true)
	}
	if m.otherKeys > 0 {
		b = append(b, "\x1b[>4;"...)
		b = append(strconv.AppendInt(b, int64(m.otherKeys), 10), 'm')
	}
	if m.shape > 0 {
		b = append(b, "\x1b["...)
		b = append(strconv.AppendInt(b, int64(m.shape), 10), " q"...)
	}
	return m.looks.appendTo(b)
}

// AppendKeyboard appends what makes the keyboard and the mouse pointer of the main
// screen, or of the alternate one, what they are, on a terminal that shows that screen
// and was reset.
func (m *Modes) AppendKeyboard(b []byte, alternate bool) []byte {
	i := 0
	if alternate {
		i = 1
	}
	b = m.looks.pointers[i].appendTo(b)
	k := &m.keys[i]
	if k.flags[0] > 0 {
		b = append(b, "\x1b[="...)
		b = append(strconv.AppendInt(b, int64(k.flags[0]), 10), ";1u"...)
	}
	for _, f := range k.flags[1 : k.pushed+1] {
		b = append(b, "\x1b[>"...)
		b = append(strconv.AppendInt(b, int64(f), 10), 'u')
	}
	return b
}

func appendMode(b []byte, number int, set bool) []byte {
	b = append(b, "\x1b[?"...)
	b = strconv.AppendInt(b, int64(number), 10)
	if set {
		return append(b, 'h')
	}
	return append(b, 'l')
}

// appendPopped appends what pops so many titles. Where there are none, it does nothing.
func appendPopped(b []byte, titles int) []byte {
	for range titles {
		b = append(b, "\x1b[23;2t"...)
	}
	return b
}

// Undo is what gives a terminal its own colours, pointer and title back, before
// AppendReset's bytes do the rest.
func (m *Modes) Undo() []byte {
	b := m.looks.appendPointer(m.looks.pointers[m.screen()].pop(nil))
	b = appendPopped(m.looks.undo(b), m.titles)
	if len(b) == 0 {
		return nil
	}
	return append([]byte(interrupted), b...)
}

// interrupted ends whatever sequence a terminal is in the midst of.
const interrupted = "\x18\x1b\\"

// Restore is what takes the terminal out of all that it is in, for a person who leaves. It is
// empty if there is nothing. Nothing is erased. Whose program had the alternate screen
// has the main one again, and the cursor where it was. Where the cursor may be amid what
// is shown, it is taken to the beginning of the line below that; and fresh says whether it
// is known to be at the beginning of an empty line, with nothing below.
func (m *Modes) Restore() (restore []byte, fresh bool) {
	modes := m.undoModes(nil)
	looks := appendPopped(m.looks.undo(nil), m.titles)
	main, other := m.keys[0].pop(m.looks.pointers[0].pop(nil)), m.otherScreen()
	looks = m.looks.appendPointer(looks)
	if len(modes)+len(looks)+len(main)+len(other) == 0 && m.alternate == 0 && m.traces == 0 && m.state == ground && !m.wide && !m.vt52 {
		return nil, m.place.isBelowAll()
	}
	b := []byte(interrupted)
	if m.vt52 {
		b = append(b, "\x1b<"...)
	}
	where := m.place
	bounded := m.traces&(confined|origin) != 0 || m.wide
	homes := m.alternate > 0 || m.traces&origin != 0 || m.wide
	switch {
	case bounded && homes:
		b = append(b, unconfined...)
	case bounded: // without origin mode the cursor can come back
		b = append(b, "\x1b7\x1b[r\x1b8"...)
	}
	if m.wide { // without DECNCSM it would erase the screen
		b = append(b, "\x1b[?95h\x1b[?3l\x1b[?95l"...)
	}
	b = append(b, other...)
	if m.alternate > 0 {
		if where = m.before; m.alternate != 1049 {
			where = somewhere
		}
		if b = appendMode(b, m.alternate, false); where.used > 1 && bounded {
			b, where = append(b, unconfined...), somewhere
		}
	} else if bounded && homes {
		where = somewhere
	}
	b = append(append(append(b, main...), looks...), modes...)
	b = m.appendUnstyled(b)
	switch {
	case m.alternate == 0 && len(modes)+len(main) == 0 && !bounded:
	case where.isBelowAll():
	default:
		b, where = append(appendBelow(b, where.used-1), "\r\n"...), place{}
	}
	return b, where.isBelowAll()
}

// appendBelow appends what takes the cursor down so many lines, to the last at most.
func appendBelow(b []byte, lines int) []byte {
	switch {
	case lines < 1:
		return b
	case lines > 9998:
		return append(b, "\x1b[9999;1H"...)
	}
	return append(strconv.AppendInt(append(b, "\x1b["...), int64(lines), 10), 'B')
}

// Speaks says whether the terminal is in some mode that Restore undoes: it may then say
// things by itself.
func (m *Modes) Speaks() bool {
	keys := m.keys[0].pop(m.keys[1].pop(nil))
	return m.alternate > 0 || len(keys) > 0 || len(m.undoModes(nil)) > 0
}

// otherScreen appends what empties the stacks of the alternate screen.
func (m *Modes) otherScreen() []byte {
	pop := m.keys[1].pop(m.looks.pointers[1].pop(nil))
	if m.alternate > 0 || len(pop) == 0 {
		return pop
	}
	return append(append([]byte("\x1b[?1049h"), pop...), "\x1b[?1049l"...)
}

// undoModes appends what undoes the modes of both screens.
func (m *Modes) undoModes(b []byte) []byte {
	for _, mode := range []struct {
		is   bool
		undo string
	}{{m.insert, "\x1b[4l"}, {m.locked, "\x1b[2l"}, {m.echo, "\x1b[12h"}, {m.newLine, "\x1b[20l"}, {m.keypad, "\x1b>"}} {
		if mode.is {
			b = append(b, mode.undo...)
		}
	}
	b = m.mice.appendReset(b)
	for i := range privates {
		if changed, set := m.undone(i); changed {
			b = appendMode(b, privates[i].number, set)
		}
	}
	if m.otherKeys > 0 {
		b = append(b, "\x1b[>4m"...)
	}
	if m.shape > 0 {
		b = append(b, "\x1b[0 q"...)
	}
	return b
}

// appendUnstyled appends what undoes the traces that move no cursor. With the alternate
// screen's cursor the attributes of before have come back.
func (m *Modes) appendUnstyled(b []byte) []byte {
	if m.traces != 0 || m.alternate > 0 || m.state != ground {
		b = append(b, unstyled...)
	}
	if m.traces&drawing != 0 {
		b = append(b, "\x1b*B\x1b+B\x1b%G"...)
	}
	if m.traces&protected != 0 {
		b = append(b, "\x1b[0\"q"...)
	}
	if m.traces&tabs != 0 {
		b = append(b, "\x1b[?5W"...) // DECST8C: one at each eighth column
	}
	return b
}

// pop appends what empties the stack.
func (k *keyboard) pop(b []byte) []byte {
	if k.pushed > 0 {
		b = append(b, "\x1b[<"...)
		b = append(strconv.AppendInt(b, int64(k.pushed), 10), 'u')
	}
	if k.flags[0] > 0 {
		b = append(b, "\x1b[=0;1u"...)
	}
	return b
}
