package main

import (
	"strings"
	"testing"
)

func TestMade(t *testing.T) {
	before, now := state{"user agent", "directory /a"}, state{"group aaau", "user agent", "directory /a", "directory /b"}
	if got := now.made(before); got != "Made group aaau\nMade directory /b\n" {
		t.Errorf("%q", got)
	}
	if got := now.made(now); got != "" {
		t.Errorf("%q", got)
	}
	s := setup{user: "root", group: "root", logDir: t.TempDir(), home: "/no/such/directory"}
	if there := strings.Join(s.present(), "\n"); !strings.Contains(there, "group root") || !strings.Contains(there, "user root") ||
		!strings.Contains(there, "directory "+s.logDir) || strings.Contains(there, s.home) {
		t.Errorf("there is %s", there)
	}
}

func TestUnlimited(t *testing.T) {
	if got := unlimited(nil); got != "" {
		t.Errorf("%q", got)
	}
	if got := unlimited([]string{"memory", "pids"}); !strings.Contains(got, "no controller for memory and pids") {
		t.Errorf("%q", got)
	}
}
