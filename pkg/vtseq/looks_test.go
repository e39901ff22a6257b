package vtseq

import (
	"fmt"
	"strings"
	"testing"
)

// What goes with the screen is undone also when no mode differs, and the rest of the
// looks is given to who comes later. Of each, Restore must undo all: what it writes is
// followed too, and must leave nothing.
func TestLooks(t *testing.T) {
	const bottom = "\x1b[9999;1H\r\n"
	for _, c := range []struct{ name, in, set, restore string }{
		{"a colour of text", "\x1b[41;30mx", "", unstyled},
		{"no colour any more", "\x1b[41;30mx\x1b[39;49m\x1b[0m", "", ""},
		{"zeros in a colour", "\x1b[38;5;0m\x1b[48;2;0;0;0m", "", unstyled},
		{"zeros in a colour after a reset", "\x1b[0;38;2;0;0;0m", "", unstyled},
		{"a reset after a colour", "\x1b[38;5;1;0m\x1b[58:5:0m\x1b[m", "", ""},
		{"an underline of kind 0", "\x1b[1m\x1b[4:0m", "", unstyled},
		{"a scroll region", "\x1b[1;9rx", "", "\x1b7\x1b[r\x1b8" + unstyled + bottom},
		{"none any more", "\x1b[1;9r\x1b[r", "", ""},
		{"origin mode", "\x1b[2;9r\x1b[?6h", "", unconfined + unstyled + bottom},
		{"a saved cursor", "\x1b[3s\x1b[s", "", ""},
		{"line drawing", "\x1b(0", "", unstyled + "\x1b*B\x1b+B\x1b%G"},
		{"in G1", "x\x1b)0\x0e", "", unstyled + "\x1b*B\x1b+B\x1b%G"},
		{"G1 in use", "\x0e", "", unstyled},
		{"no more", "\x0e\x0f\x1b(0\x1b(B", "", ""},
		{"a link", "\x1b]8;;http://a.example\x1b\\x", "", unstyled},
		{"after a link", "\x1b]8;;http://a.example\ax\x1b]8;;\a", "", ""},
		{"half an OSC", "\x1b]0;half", "", unstyled},
		{"half a CSI", "\x1b[3", "", unstyled},
		{"protected", "\x1b[1\"q", "", unstyled + "\x1b[0\"q"},
		{"tabs", "\x1b[3g", "", unstyled + "\x1b[?5W"},

		{"text", "\x1b]10;#ff0000\a", "\x1b]10;#ff0000\x1b\\", "\x1b]110\x1b\\"},
		{"text, background and cursor at once", "\x1b]10;red;blue;rgb:1/2/3\a", "\x1b]10;red\x1b\\\x1b]11;blue\x1b\\\x1b]12;rgb:1/2/3\x1b\\", "\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\"},
		{"only one beyond the last", "\x1b]19;red;blue\a", "\x1b]19;red\x1b\\", "\x1b]119\x1b\\"},
		{"a question between", "\x1b]10;?;blue\a\x1b]12;?\a", "\x1b]11;blue\x1b\\", "\x1b]111\x1b\\"},
		{"reset", "\x1b]11;#400000\x1b\\\x1b]111\x1b\\", "", ""},
		{"the palette", "\x1b]4;1;#123456;255;red;256;blue\a", "\x1b]4;1;#123456\x1b\\\x1b]4;255;red\x1b\\\x1b]5;0;blue\x1b\\", "\x1b]104;1;255\x1b\\\x1b]105;0\x1b\\"},
		{"one of two reset", "\x1b]4;1;red;2;blue\a\x1b]104;1\a", "\x1b]4;2;blue\x1b\\", "\x1b]104;2\x1b\\"},
		{"all reset", "\x1b]4;1;red;2;blue\a\x1b]5;0;red\a\x1b]104\a\x1b]105;\a", "", ""},
		{"no colours", "\x1b]4;1;?\a\x1b]4;x;red\a\x1b]4;300;red\a\x1b]4;1;\a\x1b]4;1;" + strings.Repeat("x", 65) + "\a\x1b]4;1;r\xc3\xa9d\a\x1b]11\a\x1b]4\a", "", ""},
		{"cut off", "\x1b]11;red\x18\x1b]12;red\x1a", "", ""},
		{"by name", "\x1b]21;cursor=red;foreground=;1=blue;x y=1;background=?\a", "\x1b]21;1=blue\x1b\\\x1b]21;cursor=red\x1b\\\x1b]21;foreground=\x1b\\", "\x1b]21;1;cursor;foreground\x1b\\"},
		{"reset by name", "\x1b]21;cursor=red\a\x1b]21;cursor\a", "", ""},
		{"the pointer", "\x1b]22;wait\a", "\x1b]22;wait\x1b\\", "\x1b]22;\x1b\\"},
		{"the usual one again", "\x1b]22;wait\a\x1b]22;\a\x1b]22;?__current__\a", "", ""},
		{"pushed", "\x1b]22;text\a\x1b]22;>wait,help\a\x1b]22;=cell\a\x1b]22;<\a", "\x1b]22;text\x1b\\\x1b]22;>wait\x1b\\", "\x1b]22;<\x1b\\\x1b]22;\x1b\\"},
		{"popped", "\x1b]22;>wait\a\x1b]22;<\a\x1b]22;<\a", "", ""},
		{"progress", "\x1b]9;4;1;50\a", "\x1b]9;4;1;50\x1b\\", "\x1b]9;4;0\x1b\\"},
		{"done", "\x1b]9;4;1;50\a\x1b]9;4;0;\a\x1b]9;a notice\a", "", ""},
		{"a status", "\x1b]7501;state=idle:app=codex\x1b\\", "\x1b]7501;state=idle:app=codex\x1b\\", "\x1b]7501;state=clear\x1b\\"},
		{"none any more", "\x1b]7501;state=done:app=codex\a\x1b]7501;state=clear\a", "", ""},
		{"a status with a colour", "\x1b]21337;status=Working…;indicator=#ff9500\a", "\x1b]21337;status=Working…;indicator=#ff9500\x1b\\",
			"\x1b]21337;status=;indicator=;status-color=;detail=\x1b\\"},
		{"cleared", "\x1b]21337;status=x\a\x1b]21337;status=;indicator=;status-color=;detail=\a", "", ""},
		{"a long status", "\x1b]7501;state=" + strings.Repeat("x", maxStatus) + "\a", "\x1b]7501;state=clear\x1b\\", "\x1b]7501;state=clear\x1b\\"},

		{"the tab", "\x1b]6;1;bg;red;brightness;255\a\x1b]6;1;bg;blue;brightness;0\a", "\x1b]6;1;bg;blue;brightness;0\x1b\\\x1b]6;1;bg;red;brightness;255\x1b\\", "\x1b]6;1;bg;*;default\x1b\\"},
		{"the tab and the palette", "\x1b]4;1;red\a\x1b]6;1;bg;red;brightness;1\a\x1b]5;0;red\a", "\x1b]4;1;red\x1b\\\x1b]5;0;red\x1b\\\x1b]6;1;bg;red;brightness;1\x1b\\", "\x1b]104;1\x1b\\\x1b]105;0\x1b\\\x1b]6;1;bg;*;default\x1b\\"},
		{"the usual tab again", "\x1b]6;1;bg;red;brightness;255\a\x1b]6;1;bg;*;default\a", "", ""},
		{"no tab", "\x1b]6;0;1\a\x1b]6;1;bg;red;brightness;x\a\x1b]6;1;bg;white;brightness;1\a\x1b]6;file:///x\a", "", ""},
		{"the cursor's shape, by iTerm2's OSC", "\x1b]1337;CursorShape=1\a", "\x1b[6 q", "\x1b[0 q"},
		{"by Konsole's", "\x1b]50;CursorShape=2\x1b\\", "\x1b[4 q", "\x1b[0 q"},
		{"a font", "\x1b]50;fixed\a\x1b]1337;CursorShape=7\a", "", ""},

		{"a locked keyboard", "\x1b[2h", "\x1b[2h", "\x1b[2l"},
		{"local echo", "\x1b[12l", "\x1b[12l", "\x1b[12h"},
		{"new line mode", "\x1b[20h", "\x1b[20h", "\x1b[20l"},
		{"132 columns", "\x1b[?3h", "", unconfined + "\x1b[?95h\x1b[?3l\x1b[?95l" + bottom},
		{"a VT52", "\x1b[?2l\x1b[?2004h", "\x1b[?2004h", "\x1b<\x1b[?2004l"},
		{"no repeat", "\x1b[?8l", "\x1b[?8l", "\x1b[?8h"},
		{"backspace", "\x1b[?67h", "\x1b[?67h", "\x1b[?67l"},
		{"widths by clusters", "\x1b[?2027h", "\x1b[?2027h", "\x1b[?2027l"},
		{"widths by clusters are off", "\x1b[?2027l", "\x1b[?2027l", ""},
		{"keys of Windows", "\x1b[?9001h", "\x1b[?9001h", "\x1b[?9001l"},
		{"pasted types", "\x1b[?5522h", "\x1b[?5522h", "\x1b[?5522l"},
		{"sixel pictures", "\x1b[?8452h\x1b[?80h\x1b[?1070l", "\x1b[?80h\x1b[?1070l\x1b[?8452h", "\x1b[?80l\x1b[?1070h\x1b[?8452l"},
		{"input methods", "\x1b[?737769l", "\x1b[?737769l", "\x1b[?737769h"},

		{"a prompt", "\x1b[?2004h$ ", "\x1b[?2004h", "\x1b[?2004l\r\n"},
		{"a prompt in the midst", "\x1b[5;1H\x1b[?2004h$ ", "\x1b[?2004h", "\x1b[?2004l" + bottom},
		{"nothing below it", "\x1b[5;1H\x1b[?2004h$ \x1b[J", "\x1b[?2004h", "\x1b[?2004l\r\n"},
		{"a cleared screen", "\x1b[H\x1b[2J\x1b[?2004h$ ", "\x1b[?2004h", "\x1b[?2004l\r\n"},
		{"the alternate screen", "one\r\n\x1b[?1049h\x1b[H\x1b[1mvim\x1b[5;5H", "", "\x1b[?1049l" + unstyled},
		{"from amid a line", "one\x1b[?1049h", "", "\x1b[?1049l" + unstyled + "\r\n"},
		{"from amid the screen", "one\x1b[A\x1b[?1049h", "", "\x1b[?1049l" + unstyled + "\x1b[1B\r\n"},
		{"from a place amid the screen", "one\x1b[1;1H\x1b[?1049h", "", "\x1b[?1049l" + unstyled + bottom},
		{"with margins", "\x1b[?1049h\x1b[2;3r", "", unconfined + "\x1b[?1049l" + unstyled},
		{"that keeps no cursor", "\x1b[?1047h", "", "\x1b[?1047l" + unstyled + bottom},
		{"tidily back, but for margins", "\x1b[?1049h\x1b[2;3r\x1b[?1049l", "", "\x1b7\x1b[r\x1b8" + unstyled},
		{"above what was written", "one\r\ntwo\r\n\x1b[2A\x1b[?2004h", "\x1b[?2004h", "\x1b[?2004l\x1b[1B\r\n"},
		{"and down again", "one\r\ntwo\r\n\x1b[2A\x1b[?2004hx\r\n\n", "\x1b[?2004h", "\x1b[?2004l"},
		{"down to the last line", "one\r\ntwo\x1b[2A\x1b[2B\x1b[?2004h", "\x1b[?2004h", "\x1b[?2004l\r\n"},
		{"above a line", "one\x1b[3F\x1b[?2004h", "\x1b[?2004h", "\x1b[?2004l\x1b[3B\r\n"},
		{"lines were inserted", "one\r\ntwo\x1b[A\x1b[2L\x1b[?2004h", "\x1b[?2004h", "\x1b[?2004l\x1b[3B\r\n"},
		{"a line to be written over", "50%\r\x1b[?2004h", "\x1b[?2004h", "\x1b[?2004l\r\n"},
		{"a place on a blank screen", "one\x1b[2J\x1b[1;1H\x1b[?2004h", "\x1b[?2004h", "\x1b[?2004l"},
		{"and another", "\x1b[2J\x1b[1;1Hone\x1b[5;1H\x1b[?2004h", "\x1b[?2004h", "\x1b[?2004l" + bottom},
		{"margins reset as who begins does", "one\r\n\x1b7\x1b[r\x1b8\x1b[?2004h", "\x1b[?2004h", "\x1b[?2004l"},
		{"a cursor kept and brought back", "one\x1b7\r\ntwo\x1b8\x1b[?2004h", "\x1b[?2004h", "\x1b[?2004l" + bottom},
		{"the last line within margins", "\x1b[1;9r\x1b[J1\r\n2\n\x1b[2A\n\n", "", "\x1b7\x1b[r\x1b8" + unstyled + "\x1b[2B\r\n"},
		{"back from it", "\x1b[?1049h\x1b[5;5H\x1b[?1049l\x1b[?2004h", "\x1b[?2004h", "\x1b[?2004l"},
	} {
		for size := 1; size <= len(c.in); size++ {
			var m Modes
			for p := []byte(c.in); len(p) > 0; p = p[min(size, len(p)):] {
				m.Scan(p[:min(size, len(p))])
			}
			set, undo := string(m.AppendSet(m.AppendKeyboard(m.AppendKeyboard(nil, false), true))), restored(&m)
			if set != c.set || strings.TrimPrefix(undo, interrupted) != c.restore {
				t.Fatalf("%s, in chunks of %d: %q, not %q; %q, not %q", c.name, size, set, c.set, undo, c.restore)
			}
			if m.Scan([]byte(undo)); restored(&m) != "" {
				t.Fatalf("%s: after %q are left %q", c.name, undo, restored(&m))
			}
		}
	}
}

// A terminal that is shown the screen anew is rid of what was set before, for the picture
// knows only what is set now.
func TestUndo(t *testing.T) {
	for in, want := range map[string]string{
		"plain\x1b[31m\x1b[?2004h":  "",
		"\x1b]11;red\a\x1b[22t":     interrupted + "\x1b]111\x1b\\\x1b[23;2t",
		"\x1b]22;>wait\a":           interrupted + "\x1b]22;<\x1b\\\x1b]22;\x1b\\",
		"\x1b]4;7;red\a\x1b[23;0tx": interrupted + "\x1b]104;7\x1b\\",
	} {
		var m Modes
		m.Scan([]byte(in))
		if got := string(m.Undo()); got != want {
			t.Errorf("%q: %q, not %q", in, got, want)
		}
	}
}

// However much a program sets, it is bounded, and all of it is undone.
func TestLooksAreBounded(t *testing.T) {
	var m Modes
	value := strings.Repeat("x", maxValue)
	for n := range 3000 {
		m.Scan(fmt.Appendf(nil, "\x1b]4;%d;%s\a\x1b]5;%d;%s\a\x1b]21;n%d=%s\a\x1b]22;>n%d\a", n, value, n, value, n, value, n))
	}
	if n := len(m.looks.colors); n > paletteSize+specialSize+10+maxNamed {
		t.Errorf("%d colours", n)
	}
	if n := len(m.AppendSet(m.AppendKeyboard(nil, false))); n > 64<<10 {
		t.Errorf("%d bytes for who comes later", n)
	}
	// What was too long to be read is undone as a whole.
	m = Modes{}
	m.Scan([]byte("\x1b]4;" + strings.Repeat("1;red;", 1000) + "2;blue\a"))
	if cap(m.body) > 2*MaxString {
		t.Errorf("%d bytes were kept", cap(m.body))
	}
	if got := restored(&m); got != interrupted+"\x1b]104\x1b\\" {
		t.Errorf("%q", got)
	}
}
