package audit

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscapes(t *testing.T) {
	for in, want := range map[string]string{
		"":                             ``,
		"plain":                        `plain`,
		"a\"b\\c/d":                    `a\"b\\c/d`,
		"\n\r\t":                       `\n\r\t`,
		"\x00\x08\x0c\x1b\x1f\x7f":     `\u0000\u0008\u000c\u001b\u001f\u007f`,
		"\u0080\u0085\u009b\u00a0":     `\u0080\u0085\u009b` + "\u00a0",
		"\u2027\u2028\u2029\u202a":     "\u2027" + `\u2028\u2029` + "\u202a",
		"ü漢😀":                          "ü漢😀",
		"12345678\x1b[1m12345678ü\x1b": `12345678\u001b[1m12345678ü\u001b`,
	} {
		if got := string(appendEscaped(nil, []byte(in))); got != want {
			t.Errorf("%q is written %s, want %s", in, got, want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add([]byte("a\x1b[1m\"\\\u0085\u2028漢😀"))
	f.Add(bytes.Repeat([]byte("ab\x1bü"), 300))
	f.Fuzz(func(t *testing.T, in []byte) {
		in = bytes.ToValidUTF8(in, []byte("\ufffd"))
		out := appendEscaped([]byte("x"), in)[1:]
		back, err := unescape(nil, out)
		if err != nil || !bytes.Equal(back, in) {
			t.Fatalf("%q comes back as %q: %v", in, back, err)
		}
		var other string
		if err := json.Unmarshal([]byte(`"`+string(out)+`"`), &other); err != nil || other != string(in) {
			t.Fatalf("%q is %q to others: %v", in, other, err)
		}
		for _, r := range string(out) {
			if r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 {
				t.Fatalf("%q is not safe to print", out)
			}
		}
	})
}

// What unescape takes, others read as the same.
func FuzzUnescape(f *testing.F) {
	f.Add([]byte(`a\u001b\n\"\\ü`))
	f.Add([]byte(`\`))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := unescape(nil, in)
		if err != nil || !utf8.Valid(in) || bytes.ContainsFunc(in, func(r rune) bool { return r < 0x20 || r == utf8.RuneError }) {
			return
		}
		var other string
		if err := json.Unmarshal([]byte(`"`+string(in)+`"`), &other); err == nil && other != string(got) {
			t.Fatalf("%q is %q, and %q to others", in, got, other)
		}
	})
}

// Whatever a stream is cut into, its records make it up again, and text stays text.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("plain"), 3)
	f.Add([]byte("ü漢😀\xff\xe2\x82"), 1)
	f.Add([]byte(strings.Repeat("漢", 400)+"\xff"+strings.Repeat("x", 5000)), 70000)
	f.Fuzz(func(t *testing.T, stream []byte, piece int) {
		piece = max(1, min(piece, 1<<20))
		var got []byte
		allText := utf8.Valid(stream)
		for begin, end := 0, 0; begin < len(stream); {
			end = min(len(stream), max(end, begin)+piece)
			last := end == len(stream)
			for begin < end {
				p := stream[begin:end]
				n, text := chunk(p, last)
				if n == 0 {
					if last || len(p) >= utf8.UTFMax {
						t.Fatalf("nothing of %q, last: %v", p, last)
					}
					break
				}
				if n > maxText || text != utf8.Valid(p[:n]) && text || allText && !text {
					t.Fatalf("%d bytes, text: %v: %q", n, text, p[:n])
				}
				got = append(got, p[:n]...)
				begin += n
			}
		}
		if !bytes.Equal(got, stream) {
			t.Fatalf("%q became %q", stream, got)
		}
	})
}

// One byte that is no text costs only its surroundings that.
func TestMostlyText(t *testing.T) {
	p := []byte(strings.Repeat("text ", 4000) + "\xff" + strings.Repeat("text ", 4000))
	var sizes []int
	for len(p) > 0 {
		n, text := chunk(p, true)
		if !text {
			sizes = append(sizes, n)
		}
		p = p[n:]
	}
	if len(sizes) != 1 || sizes[0] > maxBinary {
		t.Errorf("chunks of %v bytes are not kept as text", sizes)
	}
}
