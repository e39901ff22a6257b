package vtseq

import (
	"bytes"
	"strings"
	"testing"
)

func TestModes(t *testing.T) {
	for _, c := range []struct{ in, set, restore string }{
		{"plain \x1b[31mtext\x1b[0m\r\n", "", ""},
		{"\x1b[?1h\x1b=\x1b[?25l\x1b[?7l\x1b[4h", "\x1b[4h\x1b=\x1b[?1h\x1b[?7l\x1b[?25l", "\x1b[4l\x1b>\x1b[?1l\x1b[?7h\x1b[?25h"},
		{"\x1b[?25l\x1b[?25h\x1b[?2004h\x1b[?2004l", "", ""},
		{"\x1b[?1000h\x1b[?1002;1006h", "\x1b[?1006h\x1b[?1002h", "\x1b[?1000l\x1b[?1002l\x1b[?1006l"},
		{"\x1b[?1003h\x1b[?1000l", "", "\x1b[?1003l"}, // for a terminal that keeps them apart
		{"\x1b[?1000;1002;1003h\x1b[?1003l\x1b[?1002l\x1b[?1000l", "", ""},
		{"\x1b[?2004;1004h\xc2\x9b?5h", "\x1b[?5h\x1b[?1004h\x1b[?2004h", "\x1b[?5l\x1b[?1004l\x1b[?2004l"},
		{"\x1b[?1049h", "", "\x1b[?1049l" + unstyled},
		{"\x1b[?1049h\x1b[?1047l", "", ""},
		{"\x1b[?2026h\x1b[?2048h\x1b[?69h", "", "\x1b[?69l\x1b[?2026l\x1b[?2048l"},
		{"\x1b[?1007l\x1b[?12l", "\x1b[?12l\x1b[?1007l", "\x1b[?1007h"},
		{"\x1b[?1007h", "\x1b[?1007h", ""},
		{"\x1b[>1u\x1b[>5u\x1b[=2;2u", "\x1b[>1u\x1b[>7u", "\x1b[<2u"},
		{"\x1b[=5u\x1b[>1u\x1b[<u\x1b[=1;3u", "\x1b[=4;1u", "\x1b[=0;1u"},
		{"\x1b[>1u\x1b[<9u", "", ""},
		{"\x1b[>1u\x1b[?1049h\x1b[>3u\x1b[>4u", "\x1b[>1u\x1b[>3u\x1b[>4u", "\x1b[<2u\x1b[?1049l\x1b[<1u" + unstyled},
		{"\x1b[?1049h\x1b[>3u\x1b[?1049l", "\x1b[>3u", "\x1b[?1049h\x1b[<1u\x1b[?1049l"},
		{"\x1b[>4;2m\x1b[5 q", "\x1b[>4;2m\x1b[5 q", "\x1b[>4m\x1b[0 q"},
		{"\x1b[>4;2m\x1b[>4;0m\x1b[>4;1m\x1b[>4n\x1b[5 q\x1b[ q", "", ""},
		{"\x1b[?1h\x1b[4h\x1b[?2004h\x1b[!p", "\x1b[?2004h", "\x1b[?2004l"},
		{"\x1b[?1h\x1b[4h\x1b[?2004h\x1bc", "", ""},
		{"\x1b[22;2t\x1b]2;x\a\x1b[22;0t\x1b[22;1t\x1b[23;2t", "", "\x1b[23;2t"},
		{"\x1b[22t\x1b[23t\x1b[23t\x1b[22t", "", "\x1b[23;2t"},
		{strings.Repeat("\x1b[22t", 12), "", strings.Repeat("\x1b[23;2t", 10)},
		{"\x1b[22t\x1bc\x1b[18t", "", ""},
		// In strings, and not whole.
		{"\x1b]2;[?1h\a\x1bPq[?1h\x1b\\\x1b[?1\x18h\x1b[?1\x1b[4h", "\x1b[4h", "\x1b[4l\r\n"},
		{"\x1b[?1\r\nh\x1b[?1\x80h", "\x1b[?1h", "\x1b[?1l\r\n"},
		{"\x1bP\xc2\xc2\x9c\x1b[?1h\x1b]\xc2\a\x1b[4h", "\x1b[4h\x1b[?1h", "\x1b[4l\x1b[?1l"},
		{"\x1b[?" + strings.Repeat("1;", 100) + "1h", "", ""},
		{"\x1b[?1x1h\x1b[?1$h\x1b[4 h", "", ""},
	} {
		for size := 1; size <= len(c.in); size++ {
			var m Modes
			for p := []byte(c.in); len(p) > 0; p = p[min(size, len(p)):] {
				m.Scan(p[:min(size, len(p))])
			}
			set := string(m.AppendSet(m.AppendKeyboard(m.AppendKeyboard(nil, false), true)))
			undo, _ := m.Restore()
			restore := strings.TrimPrefix(string(undo), interrupted)
			if set != c.set || restore != c.restore {
				t.Errorf("%q in chunks of %d: %q, not %q; %q, not %q", c.in, size, set, c.set, restore, c.restore)
			}
		}
	}
}

// FuzzModes finds a terminal that is not clean when somebody has left it, or that
// does not come into the same modes again.
func FuzzModes(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s), 3)
	}
	f.Add([]byte("\x1b[?1h\x1b=\x1b[4h\x1b[?1049h\x1b[>4;2m\x1b[>1u\x1b[5 q\x1b[?1003;1006;2004;2026h"), 2)
	f.Fuzz(func(t *testing.T, p []byte, size int) {
		var m, chunked Modes
		m.Scan(p)
		for rest, n := p, min(max(size, 1), 100); len(rest) > 0; rest = rest[min(n, len(rest)):] {
			chunked.Scan(rest[:min(n, len(rest))])
		}
		if m.told != chunked.told || m.on != chunked.on || m.keys != chunked.keys || m.alternate != chunked.alternate || restored(&m) != restored(&chunked) {
			t.Errorf("in chunks of %d otherwise", size)
		}
		var again Modes
		again.Scan(AppendReset(nil))
		again.Scan(again.Undo())
		again.Scan(m.AppendKeyboard(m.AppendSet(nil), false))
		if !bytes.Equal(again.AppendSet(nil), m.AppendSet(nil)) {
			t.Errorf("%q, and then %q", m.AppendSet(nil), again.AppendSet(nil))
		}
		m.Scan([]byte(restored(&m)))
		clean := restored(&m)
		if clean != "" {
			t.Errorf("left are %q", clean)
		}
		var o Output
		o.Scan(append(AppendReset(nil), restored(&chunked)...), func(f Found) {
			if f.Kind == Asked {
				t.Errorf("it asks %v", f.Query)
			}
		})
	})
}

func restored(m *Modes) string {
	undo, _ := m.Restore()
	return string(undo)
}

func BenchmarkModes(b *testing.B) {
	for _, c := range []struct {
		name string
		p    []byte
	}{{"plain", plainText}, {"tui", tui}, {"short", short}, {"sgr", sgr}, {"build", build}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.p)))
			b.ReportAllocs()
			var m Modes
			for b.Loop() {
				m.Scan(c.p)
			}
		})
	}
}
