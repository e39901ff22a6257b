package stage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNoInterpreterIsNamed(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for text, c := range map[string]struct{ hidden, want string }{
		"#!/home/ada/venv/bin/python3\n": {"/home", `tool is "/home/ada/venv/bin/python3", which this session does not see, as it lies in /home: begin the script with #!/usr/bin/env python3,`},
		"#!/homes/no/python3\n":          {"/home", `tool is "/homes/no/python3", which does not exist in this session: begin the script with #!/usr/bin/env python3,`},
		"#!" + plain + "\n":              {"/home", `the interpreter of ` + dir + `/tool is "` + plain + `", which the agent's user may not run`},
		"#!/bin/sh\r\n":                  {"/home", `ends in a carriage return`},
	} {
		name := filepath.Join(dir, "tool")
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		p := command{argv: []string{name}, who: account{uid: uint32(os.Getuid()), gid: uint32(os.Getgid())}, hidden: []string{c.hidden}}
		_, refused := p.start()
		if refused == nil || refused.Code != "program-not-executable" || !strings.Contains(refused.Error(), c.want) {
			t.Errorf("%q: %v", text, refused)
		}
	}
}
