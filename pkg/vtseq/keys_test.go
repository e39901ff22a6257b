package vtseq

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// pieces shows what Keys makes of chunks, of which the last ends the input.
func pieces(chunks ...string) string {
	var (
		k Keys
		b strings.Builder
	)
	to := func(piece []byte, key Key) {
		fmt.Fprintf(&b, "%s%q ", []string{"text", "paste", "report", "press", "release"}[key.Kind], piece)
	}
	for _, c := range chunks {
		k.Split([]byte(c), to)
	}
	k.Flush(to)
	return strings.TrimSuffix(b.String(), " ")
}

func TestKeys(t *testing.T) {
	for _, c := range []struct {
		chunks []string
		want   string
	}{
		{[]string{"ab\x1dé"}, `text"ab" press"\x1d" text"é"`},
		{[]string{"\x1b"}, `press"\x1b"`},
		{[]string{"\x1b\x1b\x03"}, `press"\x1b" press"\x1b" press"\x03"`},
		{[]string{"\x1bxy\x1béO"}, `press"\x1bx" text"y" press"\x1bé" text"O"`},
		{[]string{"\x1b[A\x1bOC\x1bO"}, `press"\x1b[A" press"\x1bOC" text"\x1bO"`},
		{[]string{"\x1b[93;5u\x1b[93;5:3u"}, `press"\x1b[93;5u" release"\x1b[93;5:3u"`},
		{[]string{"\x1b[1;5", ":3Cx"}, `release"\x1b[1;5:3C" text"x"`},
		{[]string{"\x1b", "[93", ";5u"}, `press"\x1b[93;5u"`},
		{[]string{"\x1b[27;5;93~\x1b[3~"}, `press"\x1b[27;5;93~" press"\x1b[3~"`},
		{[]string{"\x1b[5;5R\x1b[I\x1b[<0;1;2M\x1b[M !\x1d\x1d"}, `report"\x1b[5;5R" report"\x1b[I" report"\x1b[<0;1;2M" report"\x1b[M !\x1d" press"\x1d"`},
		{[]string{"\x1b[67;10;10M\x1b[221;27;29;1;8", ";1_\x1b[221;27;29;0;8;1_"}, `report"\x1b[67;10;10M" press"\x1b[221;27;29;1;8;1_" release"\x1b[221;27;29;0;8;1_"`},
		{[]string{"\x1b]11;rgb:0/0/0\a\x07"}, `report"\x1b]11;rgb:0/0/0\a" press"\a"`},
		{[]string{"\x1b]x"}, `press"\x1b]" text"x"`},
		{[]string{"\x1b[200~\x1d\x1b[201", "~\x1d"}, `paste"\x1b[200~" paste"\x1d\x1b[201" paste"~" press"\x1d"`},
		{[]string{"\x1b[93;\x1d"}, `text"\x1b[93;" press"\x1d"`},
		{[]string{"\x1b[9"}, `text"\x1b[9"`},
	} {
		if got := pieces(c.chunks...); got != c.want {
			t.Errorf("%q: %s, not %s", c.chunks, got, c.want)
		}
	}
}

// only is the one key that an input is.
func only(t *testing.T, input string) (key Key) {
	t.Helper()
	var k Keys
	n := 0
	to := func(piece []byte, got Key) {
		if n++; string(piece) != input {
			t.Errorf("%q has the piece %q", input, piece)
		}
		key = got
	}
	k.Split([]byte(input), to)
	k.Flush(to)
	if n != 1 {
		t.Errorf("%q is %d pieces", input, n)
	}
	return key
}

func TestControlKeys(t *testing.T) {
	for _, c := range []struct {
		key byte
		yes []string
		no  []string
	}{
		{0x1d, []string{
			"\x1d", "\x1b[93;5u", "\x1b[93;69u", "\x1b[93;133u", "\x1b[93;197u", "\x1b[93;5:1u", "\x1b[93;5:2u", "\x1b[93:125;5u", "\x1b[93:125:93;5u",
			"\x1b[93;5;93u", "\x1b[27;5;93~", "\x1b[1098::93;5u", "\x1b[1098:1066:93;133:1u", "\x1b[53;5u", "\x1b[29u",
			"\x1b[221;27;29;1;8;1_", "\x1b[221;27;29;1;4;3_", "\x1b[221;27;29;1;168_",
		}, []string{
			"\x1b[93u", "\x1b[93;1u", "\x1b[93;5:3u", "\x1b[93;7u", "\x1b[93;6u", "\x1b[125;6u", "\x1b[93;3u", "\x1b[94;5u", "\x1b[43::93;5u", "\x1b[1098;5u",
			"\x1b[93;5~", "\x1b[1;5C", "]", "\x1b[27;6;93~",
			"\x1b[221;27;29;0;8;1_", "\x1b[221;27;29;1;10;1_", "\x1b[221;27;93;1;0;1_", "\x1b[57;10;93;1;9;1_", "\x1b[17;29;0;1;8;1_", "\x1b[29;1;0;1;8;1_", "\x1b[_",
		}},
		{0x1b, []string{"\x1b", "\x1b[27u", "\x1b[27;129u", "\x1b[91;5u", "\x1b[51;5u", "\x1b[27;5;91~", "\x1b[27;1;27;1;0;1_"}, []string{"\x1b[A", "\x1b[27;5u", "\x1b[91u", "\x1b["}},
		{0x1c, []string{"\x1c", "\x1b[92;5u", "\x1b[52;5u", "\x1b[27;5;92~"}, []string{"\x1b[124;6u", "\x1b[92;6u", "\\"}},
		{0x1e, []string{"\x1e", "\x1b[54;5u", "\x1b[54;6u", "\x1b[54:94;6u", "\x1b[94;5u", "\x1b[27;6;94~"}, []string{"\x1b[54u", "\x1b[54;2u"}},
		{0x1f, []string{"\x1f", "\x1b[45;6u", "\x1b[45:95;6u", "\x1b[95;5u", "\x1b[47;5u", "\x1b[55;5u", "\x1b[27;6;95~"}, []string{"\x1b[45;5u", "\x1b[45;2u"}},
		{1, []string{"\x01", "\x1b[97;5u", "\x1b[97;69u", "\x1b[27;5;97~", "\x1b[27;5;65~", "\x1b[1092::97;5u"}, []string{"\x1b[97;6u", "a", "\x1b[98;5u"}},
		{9, []string{"\t", "\x1b[9u", "\x1b[105;5u"}, []string{"\x1b[9;2u", "\x1b[Z"}},
		{13, []string{"\r", "\x1b[13u", "\x1b[109;5u"}, []string{"\x1b[13;2u", "\n"}},
	} {
		for _, input := range c.yes {
			if k := only(t, input); !k.IsControl(c.key) {
				t.Errorf("%q is not ^%c: %+v", input, c.key|0x40, k)
			}
		}
		for _, input := range c.no {
			if k := only(t, input); k.IsControl(c.key) {
				t.Errorf("%q is ^%c: %+v", input, c.key|0x40, k)
			}
		}
	}
	for input, want := range map[string]bool{"\x1b[93;5:3u": true, "\x1b[93;1:3u": true, "\x1b[93;133:3u": true, "\x1b[93;5u": false, "\x1b[94;5:3u": false, "\x1b[1;1:3C": false,
		"\x1b[221;27;29;0;8;1_": true, "\x1b[221;27;93;0;0;1_": true, "\x1b[221;27;29;1;8;1_": false, "\x1b[17;29;0;0;0;1_": false} {
		if got := only(t, input).ReleasesControl(0x1d); got != want {
			t.Errorf("%q releases ^]: %v", input, got)
		}
	}
}

func TestCharacterKeys(t *testing.T) {
	for input, want := range map[string]rune{
		"\x1b[113u": 'q', "\x1b[113;129u": 'q', "\x1b[113;65;81u": 'q', "\x1b[1081::113u": 'q', "\x1b[32u": ' ', "\x1b[61:43;2u": '+', "\x1b[61;2;43u": '+',
		"\x1b[57413u": '+', "\x1b[57412;129u": '-', "\x1b[46;1:2u": '.',
		"\x1b[81;16;113;1;0;1_": 'q', "\x1b[81;16;113;1;32;1_": 'q', "\x1b[187;13;43;1;16;1_": '+', "\x1b[57;10;93;1;9;1_": ']', "\x1b[;;113;1_": 'q',
	} {
		if k := only(t, input); !k.Is(want) || k.Is('x') {
			t.Errorf("%q is not %q: %+v", input, want, k)
		}
	}
	for _, input := range []string{"\x1b[113;5u", "\x1b[113;1:3u", "\x1b[113;3u", "\x1b[113~", "\x1bq", "\x1b[113:81;2u",
		"\x1b[81;16;113;0;0;1_", "\x1b[81;16;17;1;8;1_", "\x1b[81;16;113;1;2;1_", "\x1b[81;16;81;1;16;1_", "\x1b[113;0;0;1;0;1_"} {
		if only(t, input).Is('q') {
			t.Errorf("%q is q", input)
		}
	}
	for input, want := range map[string]bool{"\x1b[C": true, "\x1bOC": true, "\x1b[1;129C": true, "\x1b[1;1:2C": true, "\x1b[57418u": true, "\x1b[1;1:3C": false, "\x1b[1;5C": false, "\x1b[A": false,
		"\x1b[39;77;0;1;256;1_": true, "\x1b[39;77;0;0;256;1_": false, "\x1b[39;77;0;1;264;1_": false} {
		if got := only(t, input).IsRight(); got != want {
			t.Errorf("%q is the arrow to the right: %v", input, got)
		}
	}
	for input, want := range map[string]bool{"\x1b[57442;5u": true, "\x1b[57442;1:3u": true, "\x1b[57360u": true, "\x1b[93;5u": false, "\x1b[57418u": false,
		"\x1b[17;29;0;1;8;1_": true, "\x1b[160;42;0;0;0;1_": true, "\x1b[39;77;0;1;0;1_": false} {
		if got := only(t, input).IsModifier(); got != want {
			t.Errorf("%q is a modifier: %v", input, got)
		}
	}
}

// Wherever an input is cut, the same keys come of it, as long as what completes them
// comes in time; and every byte does.
func TestKeysCutAnywhere(t *testing.T) {
	inputs := []string{
		"\x1b[93;5u\x1b[93;5:3u\x1b[1098:1066:93;133:1u", "\x1b[27;5;93~x\x1bOC\x1b[1;5:3C\x1b", "a\x1b[5;5R\x1b]11;rgb:0/0/0\x1b\\\x1b[M !!\x1d",
		"\x1b[200~\x1d \x1b[93;5u\x1b[201~\x1d\x1bx",
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 { // and what nobody sends
		b := []byte(inputs[r.IntN(len(inputs))])
		for range 1 + r.IntN(4) {
			at := r.IntN(len(b))
			switch r.IntN(3) {
			case 0:
				b[at] = "\x1b[;:u~O]P0123456789\x1d\x03\xc2\x9b"[r.IntN(23)]
			case 1:
				b = append(b[:at], b[at+1:]...)
			default:
				b = append(b[:at], b[max(at-8, 0):]...)
			}
		}
		inputs = append(inputs, string(b))
	}
	keys := func(chunks ...string) (found []string, all string) {
		var k Keys
		to := func(piece []byte, key Key) {
			all += string(piece)
			if key.Kind == Press || key.Kind == Release || key.Kind == Report {
				found = append(found, fmt.Sprintf("%q %v", piece, key))
			}
		}
		for _, c := range chunks {
			k.Split([]byte(c), to)
			if len(k.held) > maxHeld {
				t.Fatalf("%d bytes are held", len(k.held))
			}
		}
		k.Flush(to)
		return found, all
	}
	for _, input := range inputs {
		want, all := keys(input)
		if all != input {
			t.Fatalf("%q becomes %q", input, all)
		}
		for at := range len(input) {
			if cutsRune(input, at) {
				continue
			}
			got, all := keys(input[:at], input[at:])
			if all != input || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%q cut at %d:\n%v\nnot\n%v", input, at, got, want)
			}
		}
	}
}

// cutsRune says whether a cut is in the midst of a character, or of what was made of one.
func cutsRune(s string, at int) bool { return at > 0 && s[at] >= 0x80 || at > 0 && s[at-1] >= 0x80 }

func TestAppendKey(t *testing.T) {
	for _, c := range []struct {
		name                     string
		plain, other, kitty, all string // with modifyOtherKeys 2, kitty's flags 1 and 9
	}{
		{"a", "a", "a", "a", "\x1b[97u"},
		{"é", "é", "é", "é", "\x1b[233u"},
		{"S-a", "A", "A", "A", "\x1b[97;2u"},
		{"C-c", "\x03", "\x1b[27;5;99~", "\x1b[99;5u", "\x1b[99;5u"},
		{"^C", "\x03", "\x1b[27;5;99~", "\x1b[99;5u", "\x1b[99;5u"},
		{"ctrl+c", "\x03", "\x1b[27;5;99~", "\x1b[99;5u", "\x1b[99;5u"},
		{"^]", "\x1d", "\x1b[27;5;93~", "\x1b[93;5u", "\x1b[93;5u"},
		{"C-Space", "\x00", "\x1b[27;5;32~", "\x1b[32;5u", "\x1b[32;5u"},
		{"M-x", "\x1bx", "\x1b[27;3;120~", "\x1b[120;3u", "\x1b[120;3u"},
		{"M-X", "\x1bX", "\x1b[27;4;88~", "\x1b[120;4u", "\x1b[120;4u"},
		{"C-M-d", "\x1b\x04", "\x1b[27;7;100~", "\x1b[100;7u", "\x1b[100;7u"},
		{"Enter", "\r", "\r", "\r", "\x1b[13u"},
		{"S-Enter", "\r", "\x1b[27;2;13~", "\x1b[13;2u", "\x1b[13;2u"},
		{"M-Enter", "\x1b\r", "\x1b[27;3;13~", "\x1b[13;3u", "\x1b[13;3u"},
		{"Escape", "\x1b", "\x1b", "\x1b[27u", "\x1b[27u"},
		{"Tab", "\t", "\t", "\t", "\x1b[9u"},
		{"S-Tab", "\x1b[Z", "\x1b[Z", "\x1b[9;2u", "\x1b[9;2u"},
		{"BTab", "\x1b[Z", "\x1b[Z", "\x1b[9;2u", "\x1b[9;2u"},
		{"BSpace", "\x7f", "\x7f", "\x7f", "\x1b[127u"},
		{"C-BSpace", "\b", "\x1b[27;5;127~", "\x1b[127;5u", "\x1b[127;5u"},
		{"Up", "\x1b[A", "\x1b[A", "\x1b[A", "\x1b[A"},
		{"C-Left", "\x1b[1;5D", "\x1b[1;5D", "\x1b[1;5D", "\x1b[1;5D"},
		{"PgUp", "\x1b[5~", "\x1b[5~", "\x1b[5~", "\x1b[5~"},
		{"S-DC", "\x1b[3;2~", "\x1b[3;2~", "\x1b[3;2~", "\x1b[3;2~"},
		{"F1", "\x1bOP", "\x1bOP", "\x1b[P", "\x1b[P"},
		{"F3", "\x1bOR", "\x1bOR", "\x1b[13~", "\x1b[13~"},
		{"S-F3", "\x1b[1;2R", "\x1b[1;2R", "\x1b[13;2~", "\x1b[13;2~"},
		{"F5", "\x1b[15~", "\x1b[15~", "\x1b[15~", "\x1b[15~"},
		{"KP5", "5", "5", "5", "\x1b[57404u"},
		{"KPEnter", "\r", "\r", "\x1b[57414u", "\x1b[57414u"},
		{"-", "-", "-", "-", "\x1b[45u"},
		{"C--", "-", "\x1b[27;5;45~", "\x1b[45;5u", "\x1b[45;5u"},
	} {
		for i, m := range []KeyModes{{}, {OtherKeys: 2}, {Kitty: 1}, {Kitty: 9}} {
			want := []string{c.plain, c.other, c.kitty, c.all}[i]
			got, err := AppendKey(nil, c.name, m)
			if err != nil || string(got) != want {
				t.Errorf("%s with %+v: %q, %v, not %q", c.name, m, got, err, want)
			}
			if strings.HasPrefix(c.name, "C-") && len(c.name) == 3 && 'a' <= c.name[2] && !only(t, string(got)).IsControl(c.name[2]&0x1f) {
				t.Errorf("%s with %+v is not recognised", c.name, m)
			}
		}
	}
	for _, c := range []struct {
		name  string
		modes KeyModes
		want  string
	}{
		{"Up", KeyModes{Cursor: true}, "\x1bOA"},
		{"Home", KeyModes{Cursor: true}, "\x1bOH"},
		{"C-Up", KeyModes{Cursor: true}, "\x1b[1;5A"},
		{"Up", KeyModes{Cursor: true, Kitty: 1}, "\x1b[A"},
		{"KP7", KeyModes{Keypad: true}, "\x1bOw"},
		{"KPEnter", KeyModes{Keypad: true}, "\x1bOM"},
		{"a", KeyModes{Kitty: 24}, "\x1b[97;;97u"},
		{"A", KeyModes{Kitty: 24}, "\x1b[97;2;65u"},
		{"C-i", KeyModes{OtherKeys: 1}, "\t"},
		{"C-;", KeyModes{OtherKeys: 1}, "\x1b[27;5;59~"},
		{"C-?", KeyModes{}, "\x7f"},
	} {
		if got, err := AppendKey(nil, c.name, c.modes); err != nil || string(got) != c.want {
			t.Errorf("%s with %+v: %q, %v, not %q", c.name, c.modes, got, err, c.want)
		}
	}
	for _, name := range []string{"", "Entr", "C-", "X-a", "F99", "\x1b", "\n", "ab", "C-Entr", strings.Repeat("C-", 1000), "\xff"} {
		if got, err := AppendKey(nil, name, KeyModes{}); err == nil {
			t.Errorf("%.20q is %q", name, got)
		} else if !strings.Contains(err.Error(), "Escape") {
			t.Errorf("%.20q: %v", name, err)
		}
	}
}

func TestAppendPaste(t *testing.T) {
	for text, want := range map[string][2]string{
		"go on":                  {"go on", "\x1b[200~go on\x1b[201~"},
		"y":                      {"y", "\x1b[200~y\x1b[201~"},
		"":                       {"", "\x1b[200~\x1b[201~"},
		"a\nb\r\nc\rd\n":         {"a\rb\rc\rd\r", "\x1b[200~a\rb\rc\rd\r\x1b[201~"},
		"a\x1b[201~b\x03\tü\x7f": {"a\x1b[201~b\x03\tü\x7f", "\x1b[200~a[201~b\tü\x1b[201~"},
		"a\u009b201~\u00a0b":     {"a\u009b201~\u00a0b", "\x1b[200~a201~\u00a0b\x1b[201~"},
	} {
		for i, bracketed := range []bool{false, true} {
			if got := AppendPaste(nil, []byte(text), KeyModes{Paste: bracketed}); string(got) != want[i] {
				t.Errorf("%q: %q, not %q", text, got, want[i])
			}
		}
	}
}

func TestKeyModes(t *testing.T) {
	for out, want := range map[string]KeyModes{
		"":                                     {},
		"\x1b[?1h\x1b=\x1b[?2004h":             {Cursor: true, Keypad: true, Paste: true},
		"\x1b[>1u\x1b[>9u":                     {Kitty: 9},
		"\x1b[>1u\x1b[?1049h":                  {},
		"\x1b[?1049h\x1b[>5u\x1b[?1049l":       {},
		"\x1b[>4;2m\x1b[?2004h\x1b[?2004l":     {OtherKeys: 2},
		"\x1b[>1u\x1b[>4;1m\x1b[<u\x1b[?2004h": {OtherKeys: 1, Paste: true},
	} {
		var m Modes
		m.Scan([]byte(out))
		if got := m.KeyModes(); got != want {
			t.Errorf("%q: %+v, not %+v", out, got, want)
		}
	}
}

func FuzzKeys(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, p []byte, size int) {
		size = min(max(size, 1), 100)
		var k Keys
		var all []byte
		to := func(piece []byte, key Key) {
			if len(piece) == 0 {
				t.Error("an empty piece")
			}
			all = append(all, piece...)
			key.IsControl(0x1d)
			key.Is('q')
		}
		for from := 0; from < len(p); from += size {
			k.Split(p[from:min(from+size, len(p))], to)
		}
		k.Flush(to)
		if !bytes.Equal(all, p) {
			t.Errorf("%q becomes %q", p, all)
		}
	})
}
