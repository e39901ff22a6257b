package argv

import "testing"

func TestQuote(t *testing.T) {
	for _, c := range []struct {
		text string
		most int
		want string
	}{
		{"", 3, `""`}, {"abc", 3, `"abc"`}, {"abcd", 3, `"abc…"`}, {"日本語", 3, `"日本語"`}, {"日本語x", 3, `"日本語…"`},
		{"a\x1b[m", 3, `"a\x1b[…"`}, {"\xff\xfe", 1, `"\xff…"`}, {`a"b`, 5, `"a\"b"`},
	} {
		if got := Quote(c.text, c.most); got != c.want {
			t.Errorf("%q: %s, want %s", c.text, got, c.want)
		}
	}
}
