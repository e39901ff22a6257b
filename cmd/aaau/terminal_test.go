package main

import (
	"testing"
	"time"
)

func TestDetachKeys(t *testing.T) {
	const k = "\x1d"
	for name, c := range map[string]struct {
		typed  []string
		want   string
		detach bool
	}{
		"three at once":        {[]string{k + k + k}, k + k, true},
		"one by one":           {[]string{k, k, k}, k + k, true},
		"among other things":   {[]string{"ab" + k, k + k + "cd"}, "ab" + k + k, true},
		"two":                  {[]string{k, k}, k + k, false},
		"something in between": {[]string{k + k + "x" + k}, k + k + "x" + k, false},
		"none":                 {[]string{"hello"}, "hello", false},
	} {
		var d detachKeys
		got, detach := "", false
		for _, s := range c.typed {
			var part []byte
			part, detach = d.cut([]byte(s))
			got += string(part)
		}
		if got != c.want || detach != c.detach {
			t.Errorf("%s: %q %v", name, got, detach)
		}
	}
	// Too slow is not meant.
	d := detachKeys{first: time.Now().Add(-2 * detachTime), count: 2}
	if _, detach := d.cut([]byte(k)); detach {
		t.Error("three keys in more than a second")
	}
}
