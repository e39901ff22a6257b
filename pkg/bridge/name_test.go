package bridge

import (
	"strings"
	"testing"
)

func TestIsName(t *testing.T) {
	for name, want := range map[string]bool{
		"shop": true, "a": true, "9": true, "a.b_c-d": true, "日本": true, "café": true, "हिन्दी": true, "Ελλάδα": true, strings.Repeat("日", 40): true,
		"": false, ".a": false, "-a": false, "_a": false, "a b": false, "a/b": false, "a\n": false, "a\x1b[m": false, "a\u0085": false,
		"cafe\u0301":               false, // another spelling of café, which looks the same
		"a\u200b":                  false, // no width
		"a\u202eb":                 false, // turns the direction
		"\u115f":                   false, // a letter that is not seen
		"a\ufe0f":                  false, // a variation
		"a\u3164":                  false,
		"\u0301a":                  false, // a mark without a letter
		"a\xff":                    false,
		"a\ufffd":                  false,
		strings.Repeat("x", 41):    false,
		strings.Repeat("𝒳", 31):    false, // too many bytes
		"😀":                        false,
		"a\u00a0b":                 false,
		"a" + string(rune(0xe001)): false,
	} {
		if got := isName(name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}

func TestAsName(t *testing.T) {
	for from, want := range map[string]string{
		"shop": "shop", "my shop": "my-shop", "日本": "日本", "café": "café", "cafe\u0301": "café", "中国 2": "中国-2",
		".config": "config", "--": "", "": "", "😀": "", "a\x1bb": "a-b", "a\u202eb": "a-b", "\u115f\u115f": "",
		strings.Repeat("x", 50): strings.Repeat("x", 40), strings.Repeat("日", 60): strings.Repeat("日", 40),
		"a\xffb": "a-b",
	} {
		got := asName(from)
		if got != want || got != "" && !isName(got) {
			t.Errorf("%q: %q", from, got)
		}
	}
}
