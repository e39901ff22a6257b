package main

import (
	"strings"
	"testing"
)

func TestInitFiles(t *testing.T) {
	s := defaults
	s.group, s.socket, s.shell = "people", "/run/x/s.sock", "/bin/sh"
	text := ""
	for _, f := range s.files() {
		text += f.name + ":\n" + f.text
	}
	for _, want := range []string{
		"g people -\ng aaau-audit -\n", "d /var/log/aaau 2750 aaau-bridge aaau-audit -\n", "u agent - \"AaaU agent\" /var/lib/aaau/agent /usr/sbin/nologin\n", "d /run/x 0755 root root -\n",
		"group=people\nshell=/bin/sh\n", "[Socket]\nSocketGroup=people\nListenStream=\nListenStream=/run/x/s.sock\nSymlinks=/run/aaau/server.sock\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "ExecStart") {
		t.Errorf("the service is changed without need:\n%s", text)
	}
}

func TestInitRefusals(t *testing.T) {
	for name, change := range map[string]func(*setup){
		"user is group":  func(s *setup) { s.user, s.group = "x", "x" },
		"root":           func(s *setup) { s.user = "root" },
		"root's group":   func(s *setup) { s.group = "root" },
		"the auditors":   func(s *setup) { s.group = "aaau-audit" },
		"odd name":       func(s *setup) { s.user = "a b" },
		"relative":       func(s *setup) { s.home = "home" },
		"two lines":      func(s *setup) { s.logDir = "/x\nExecStart=/bin/sh" },
		"specifier":      func(s *setup) { s.socket = "/run/%n" },
		"no such shell":  func(s *setup) { s.shell = "/nosuch" },
		"shell is a dir": func(s *setup) { s.shell = "/etc/passwd" },
	} {
		s := defaults
		change(&s)
		if s.check() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
