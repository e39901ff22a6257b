package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// typing is what is typed, at times in milliseconds.
type typing struct {
	at   int
	keys string
}

// leaves runs what is typed through detachKeys, as time goes by. It returns what the
// program gets and when, until three seconds have gone or the person has left.
func leaves(key byte, typed ...typing) (got string, left bool) {
	d := detachKeys{key: key}
	began := time.Unix(1000, 0)
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	for ms := range 3000 {
		var pass []byte
		if wait, any := d.wait(at(ms)); any && wait == 0 {
			pass, left = d.late(at(ms))
		}
		got += note(pass, ms)
		for len(typed) > 0 && typed[0].at == ms && !left {
			pass, left = d.take([]byte(typed[0].keys), at(ms))
			got += note(pass, ms)
			typed = typed[1:]
		}
		if left {
			break
		}
	}
	if !left {
		got += note(d.rest(), 3000)
	}
	return strings.TrimSpace(got), left
}

func note(pass []byte, ms int) string {
	if len(pass) == 0 {
		return ""
	}
	return fmt.Sprintf("%d:%q ", ms, pass)
}

func TestDetachKeys(t *testing.T) {
	const k, u, w = "\x1d", "\x1b[93;5u", "\x1b[221;27;29;1;8;1_\x1b[221;27;29;0;8;1_"
	for name, c := range map[string]struct {
		key   byte
		typed []typing
		want  string
		left  bool
	}{
		"three at once":                {0x1d, []typing{{0, k + k + k}}, "", true},
		"one by one":                   {0x1d, []typing{{0, k}, {400, k}, {900, k}}, "", true},
		"among other things":           {0x1d, []typing{{0, "ab" + k}, {1, k + k + "cd"}}, `0:"ab"`, true},
		"one":                          {0x1d, []typing{{0, k}}, `1000:"\x1d"`, false},
		"two":                          {0x1d, []typing{{0, k + k}}, `1000:"\x1d\x1d"`, false},
		"two, and another key":         {0x1d, []typing{{0, k}, {100, k}, {200, "x"}, {300, k}}, `200:"\x1d\x1dx" 1300:"\x1d"`, false},
		"too slow":                     {0x1d, []typing{{0, k}, {600, k}, {1200, k}}, `1000:"\x1d" 1600:"\x1d" 2200:"\x1d"`, false},
		"the last three":               {0x1d, []typing{{0, k}, {900, k}, {1300, k}, {1700, k}}, `1000:"\x1d"`, true},
		"none":                         {0x1d, []typing{{0, "hello"}}, `0:"hello"`, false},
		"no key":                       {0, []typing{{0, k + k + k}}, `0:"\x1d\x1d\x1d"`, false},
		"CSI u":                        {0x1d, []typing{{0, u}, {1, u}, {2, u}}, "", true},
		"CSI u, num lock":              {0x1d, []typing{{0, "\x1b[93;133u\x1b[93;133u\x1b[93;133u"}}, "", true},
		"with releases":                {0x1d, []typing{{0, "\x1b[93;5:1u\x1b[93;5:3u"}, {100, "\x1b[93;5:1u\x1b[93;5:3u"}, {200, "\x1b[93;5:1u"}}, "", true},
		"held down":                    {0x1d, []typing{{0, u}, {500, "\x1b[93;5:2u"}, {530, "\x1b[93;5:2u"}}, "", true},
		"with Ctrl's own events":       {0x1d, []typing{{0, "\x1b[57442;5u"}, {1, u}, {2, "\x1b[93;5:3u\x1b[57442;1:3u"}, {3, "\x1b[57442;5u" + u + u}}, `0:"\x1b[57442;5u" 2:"\x1b[57442;1:3u" 3:"\x1b[57442;5u"`, true},
		"a press and its release":      {0x1d, []typing{{0, "\x1b[93;5u"}, {50, "\x1b[93;1:3u"}}, `1000:"\x1b[93;5u\x1b[93;1:3u"`, false},
		"a release, later":             {0x1d, []typing{{0, "\x1b[93;5u"}, {1500, "\x1b[93;5:3u"}}, `1000:"\x1b[93;5u" 1500:"\x1b[93;5:3u"`, false},
		"in all protocols":             {0x1d, []typing{{0, k + u + "\x1b[27;5;93~"}}, "", true},
		"reports in between":           {0x1d, []typing{{0, k}, {1, "\x1b[5;5R"}, {2, k + "\x1b[<35;1;1M" + k}}, `1:"\x1b[5;5R" 2:"\x1b[<35;1;1M"`, true},
		"win32-input-mode":             {0x1d, []typing{{0, "\x1b[17;29;0;1;8;1_"}, {1, w}, {100, w}, {200, w}}, `0:"\x1b[17;29;0;1;8;1_"`, true},
		"urxvt's mouse in between":     {0x1d, []typing{{0, k}, {1, "\x1b[67;10;10M"}, {2, k + "\x1b[67;10;11M" + k}}, `1:"\x1b[67;10;10M" 2:"\x1b[67;10;11M"`, true},
		"cut in the midst":             {0x1d, []typing{{0, u + u + "\x1b[9"}, {5, "3;5u"}}, "", true},
		"cut after ESC":                {0x1d, []typing{{0, u + u + "\x1b"}, {19, "[93;5u"}}, "", true},
		"cut, and too late":            {0x1d, []typing{{0, "x\x1b[9"}, {30, "3;5u"}}, `0:"x" 20:"\x1b[9" 30:"3;5u"`, false},
		"Escape alone":                 {0x1d, []typing{{0, "\x1b"}}, `20:"\x1b"`, false},
		"Escape between":               {0x1d, []typing{{0, k + k}, {100, "\x1b"}, {200, k}}, `120:"\x1d\x1d\x1b" 1200:"\x1d"`, false},
		"Escape, and three at once":    {0x1d, []typing{{0, "\x1b" + k + k + k}}, `0:"\x1b"`, true},
		"in a paste":                   {0x1d, []typing{{0, "\x1b[200~a" + k + k + k + "\x1b[201~"}}, `0:"\x1b[200~a\x1d\x1d\x1d\x1b[201~"`, false},
		"in a paste that never ends":   {0x1d, []typing{{0, "\x1b[200~a"}, {100, k}, {200, k}, {300, k}}, `0:"\x1b[200~a"`, true},
		"a mouse at that place":        {0x1d, []typing{{0, "\x1b[M \x1d\x1d" + k + k}}, `0:"\x1b[M \x1d\x1d" 1000:"\x1d\x1d"`, false},
		"three Escapes":                {0x1b, []typing{{0, "\x1b"}, {300, "\x1b"}, {600, "\x1b"}}, "", true},
		"three Escapes at once":        {0x1b, []typing{{0, "\x1b\x1b\x1b"}}, "", true},
		"three Escapes in CSI u":       {0x1b, []typing{{0, "\x1b[27u"}, {1, "\x1b[27u"}, {2, "\x1b[27u"}}, "", true},
		"three ^[ in CSI u":            {0x1b, []typing{{0, "\x1b[91;5u\x1b[91;5u\x1b[91;5u"}}, "", true},
		"three arrows are no Escape":   {0x1b, []typing{{0, "\x1b[A\x1b[A\x1b[A\x1bOB"}}, `0:"\x1b[A\x1b[A\x1b[A\x1bOB"`, false},
		"three ^_ by Shift in CSI u":   {0x1f, []typing{{0, "\x1b[45;6u\x1b[45;6u\x1b[45:95;6u"}}, "", true},
		"three ^^ by Shift in CSI u":   {0x1e, []typing{{0, "\x1b[54;6u\x1b[54;6u\x1b[54:94;6u"}}, "", true},
		"three ^\\ in CSI u":           {0x1c, []typing{{0, "\x1b[92;5u\x1b[92;5u\x1b[92;5u"}}, "", true},
		"a bell that ends a report":    {7, []typing{{0, "\x1b]11;rgb:0/0/0\a\x1b]11;rgb:0/0/0\a\x1b]11;rgb:0/0/0\a"}}, `0:"\x1b]11;rgb:0/0/0\a\x1b]11;rgb:0/0/0\a\x1b]11;rgb:0/0/0\a"`, false},
		"a press, and a paste":         {0x1d, []typing{{0, k}, {1, "\x1b[200~a\x1b[201~"}}, `1:"\x1d\x1b[200~a\x1b[201~"`, false},
		"a layout without Latin":       {0x1d, []typing{{0, "\x1b[1098::93;5u\x1b[1098::93;5u\x1b[1098::93;5u"}}, "", true},
		"what is near and another key": {0x1d, []typing{{0, "\x1b[93;7u\x1b[93;7u\x1b[93;7u"}}, `0:"\x1b[93;7u\x1b[93;7u\x1b[93;7u"`, false},
	} {
		if got, left := leaves(c.key, c.typed...); got != c.want || left != c.left {
			t.Errorf("%s: %s, %v, not %s, %v", name, got, left, c.want, c.left)
		}
	}
}

// Wherever three presses are cut, they are three presses, and nothing of them gets to
// the program; and two get there whole, wherever they are cut.
func TestDetachKeysCutAnywhere(t *testing.T) {
	for _, press := range []string{"\x1d", "\x1b[93;5u", "\x1b[93;133:1u\x1b[93;133:3u", "\x1b[27;5;93~", "\x1b[1098:1066:93;5u"} {
		three, two := press+press+press, press+press
		for at := 1; at < len(three); at++ {
			if got, left := leaves(0x1d, typing{0, three[:at]}, typing{10, three[at:]}); got != "" || !left {
				t.Errorf("%q cut at %d: %s, %v", three, at, got, left)
			}
		}
		for at := 1; at < len(two); at++ {
			d, now := detachKeys{key: 0x1d}, time.Unix(1000, 0)
			var got []byte
			for _, part := range []string{two[:at], two[at:], "x"} {
				pass, left := d.take([]byte(part), now)
				if got = append(got, pass...); left {
					t.Errorf("%q cut at %d detaches", two, at)
				}
			}
			if string(got) != two+"x" {
				t.Errorf("%q cut at %d becomes %q", two, at, got)
			}
		}
	}
}
