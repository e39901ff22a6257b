package main

import (
	"strings"
	"testing"
)

func TestNotOnPath(t *testing.T) {
	t.Setenv("HOME", "/nowhere/ada")
	long := "/opt/" + strings.Repeat("x", 60)
	for _, c := range []struct {
		leftOut []string
		want    string
	}{
		{nil, ""},
		{[]string{"/opt/a b"}, "not on PATH there: /opt/a b"},
		{[]string{"/a", "/b", "/c"}, "not on PATH there: /a, /b, /c"},
		{[]string{"/a", "/b", "/c", "/d", "/e"}, "not on PATH there: /a, /b, /c, and 2 more"},
		{[]string{long}, "not on PATH there: " + long[:39] + "…"},
		{[]string{"/a\x1b[2J"}, `not on PATH there: "/a\x1b[2J"`},
	} {
		if got := notOnPath(c.leftOut); got != c.want {
			t.Errorf("%q is %q, want %q", c.leftOut, got, c.want)
		}
	}
}
