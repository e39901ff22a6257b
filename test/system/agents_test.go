package system

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// The programs that all this is for start in a session and draw their first
// screen. (There is no network here; they say so, or wait for a login.)
func TestRealAgents(t *testing.T) {
	begin(t)
	installAgents(t)
	// What a terminal answers to those who ask where its cursor is, what it is, and
	// what its colours are.
	answers := map[string]string{
		"\x1b[6n": "\x1b[1;1R", "\x1b[c": "\x1b[?62;22c",
		"\x1b]10;?\x1b\\": "\x1b]10;rgb:ffff/ffff/ffff\x1b\\", "\x1b]11;?\x1b\\": "\x1b]11;rgb:0000/0000/0000\x1b\\",
	}
	t.Run("codex", func(t *testing.T) {
		c := sitAt(t, as(t, "operator"), 40, 120, answers, "aaau", "codex")
		c.match(`Welcome to \S*Codex`)
		c.match(`> 1\.`)
		c.typed("\x1b[B") // one down in its menu
		c.match(`> 2\.`)
		c.typed("\x03")
		st, rest := c.leave()
		t.Logf("%d %q", st, rest)
	})
	t.Run("claude", func(t *testing.T) {
		c := sitAt(t, as(t, "operator"), 40, 120, answers, "aaau", "claude")
		id := c.session()
		c.match(`Welcome\S* ?to\S* ?Claude\S* ?Code`)
		_ = id
		st, rest := c.leave()
		t.Logf("%d %q", st, rest)
	})
}

// installAgents puts the agents where an administrator would, for the length of a
// test. The repository may be in a place that agents cannot go to.
func installAgents(t *testing.T) {
	t.Helper()
	const place = "/opt/aaau-test-agents"
	source, err := filepath.Abs("../../build/agents")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(place, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(place) })
	if err := unix.Mount(source, place, "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("%s: %v: install the agents by `test/deps agents`", source, err)
	}
	t.Cleanup(func() { unix.Unmount(place, unix.MNT_DETACH) })
	for _, name := range []string{"codex", "claude"} {
		link := "/usr/local/bin/" + name
		if err := os.Symlink(filepath.Join(place, "node_modules/.bin", name), link); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(link) })
		output(t, as(t, "agent"), name, "--version") // it can be run at all
	}
}
