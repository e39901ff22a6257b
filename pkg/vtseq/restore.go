package vtseq

import "strconv"

// AppendReset appends what takes a terminal out of whatever it is in: a sequence, the
// alternate screen, any mode that Modes knows, pushed titles, margins, attributes and
// character sets. Then the cursor is anywhere.
func AppendReset(b []byte) []byte {
	b = append(b, "\x18\x1b\\"+"\x1b[<99u\x1b[?1049l\x1b[<99u\x1b[=0;1u\x1b[!p\x1b[4l\x1b>\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l"...)
	for i := range privates {
		switch privates[i].normal {
		case off, forgone:
			b = appendMode(b, privates[i].number, false)
		case on:
			b = appendMode(b, privates[i].number, true)
		}
	}
	b = appendPopped(b, MaxTitles)
	return append(b, "\x1b[>4m\x1b[0 q"+unstyled...)
}

// unstyled takes a terminal out of margins, origin mode, attributes, a link, and
// character sets.
const unstyled = "\x1b[?6l\x1b[r\x1b[m\x1b]8;;\x1b\\\x0f\x1b(B\x1b)B"

// AppendSet appends what puts a terminal that was reset into the modes, but for the
// alternate screen and the keyboards.
func (m *Modes) AppendSet(b []byte) []byte {
	if m.insert {
		b = append(b, "\x1b[4h"...)
	}
	if m.keypad {
		b = append(b, "\x1b="...)
	}
	for i := range privates {
		switch p := privates[i]; {
		case p.normal == forgone:
		case p.normal == anyhow && m.told&(1<<i) != 0, p.normal != anyhow && m.is(i) != (p.normal == on):
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
	return b
}

// AppendKeyboard appends what makes the keyboard of the main screen, or of the
// alternate one, what it is, on a terminal that shows that screen and was reset.
func (m *Modes) AppendKeyboard(b []byte, alternate bool) []byte {
	k := &m.keys[0]
	if alternate {
		k = &m.keys[1]
	}
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

// Restore is what takes the terminal out of the modes it is in, for who leaves: then
// the main screen is shown, and the cursor is at the beginning of an empty last line.
func (m *Modes) Restore() []byte {
	b := []byte("\x18\x1b\\")
	pop := m.keys[1].pop(nil)
	if !m.alternate && len(pop) > 0 {
		b = append(b, "\x1b[?1049h"...)
	}
	if m.alternate || len(pop) > 0 {
		b = append(append(b, pop...), "\x1b[?1049l"...)
	}
	b = m.keys[0].pop(b)
	if m.insert {
		b = append(b, "\x1b[4l"...)
	}
	if m.keypad {
		b = append(b, "\x1b>"...)
	}
	if m.mouse > 0 {
		b = appendMode(b, m.mouse, false)
	}
	for i := range privates {
		switch p := privates[i]; {
		case p.normal == anyhow:
			if m.told&(1<<i) != 0 && p.number == 1007 { // most terminals have it on
				b = appendMode(b, p.number, true)
			} else if m.is(i) {
				b = appendMode(b, p.number, false)
			}
		case m.is(i) != (p.normal == on):
			b = appendMode(b, p.number, p.normal == on)
		}
	}
	if m.otherKeys > 0 {
		b = append(b, "\x1b[>4m"...)
	}
	if m.shape > 0 {
		b = append(b, "\x1b[0 q"...)
	}
	b = appendPopped(b, m.titles)
	return append(b, unstyled+"\x1b[9999;1H\r\n"...)
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
