package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/config"
)

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	dirs := config.Dirs{Admin: dir, Owner: uint32(os.Getuid())}
	for _, c := range []struct{ text, says, fails string }{
		{"group=root\nbridge-user=root\nroot-groups=\nagent-users=root", "", ""},
		{"group=root\nbridge-user=root\nagent-users=no-such", "note: agent-users=no-such: there is no such user", ""},
		{"group=root\nbridge-user=root\nagent-users=root\nx=1", dir + "/aaau.conf:4: x: unknown key\n", "a mistake"},
		{"group=root\nbridge-user=root\nagent-users=root\nx=1\ny", dir + "/aaau.conf:5: not of the form", "2 mistakes"},
	} {
		if err := os.WriteFile(filepath.Join(dir, "aaau.conf"), []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		err := check(dirs, &said)
		if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) ||
			!strings.Contains(said.String(), c.says) || (said.Len() == 0) != (c.says == "") {
			t.Errorf("%q: %q, %v", c.text, said.String(), err)
		}
	}
}
