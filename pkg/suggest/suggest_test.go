package suggest

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	words := []string{"status", "start", "share", "send", "list", "kill", "wait", "put", "claude", "codex", "p"}
	for typed, want := range map[string]string{
		"statsu":                       "status",
		"stauts":                       "status",
		"status":                       "status",
		"statuss":                      "status",
		"lst":                          "list",
		"lits":                         "list",
		"strat":                        "start",
		"cluade":                       "claude",
		"clod":                         "",
		"top":                          "",
		"":                             "",
		"q":                            "",
		strings.Repeat("status", 1000): "",
	} {
		if got := Nearest(typed, words); got != want {
			t.Errorf("%.20q: %q, want %q", typed, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "axc", 1}, {"abc", "ab", 1}, {"usr", "user", 1}, {"kitten", "sitting", 3}} {
		if got, back := Distance(c.a, c.b), Distance(c.b, c.a); got != c.want || back != c.want {
			t.Errorf("%q and %q: %d and %d, want %d", c.a, c.b, got, back, c.want)
		}
	}
}
