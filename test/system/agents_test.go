package system

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// answers are a terminal's to those who ask where its cursor is, what it is, and
// what its colours are.
var answers = map[string]string{
	"\x1b[6n":         "\x1b[1;1R",
	"\x1b[c":          "\x1b[?62;22c",
	"\x1b]10;?\x1b\\": "\x1b]10;rgb:ffff/ffff/ffff\x1b\\",
	"\x1b]11;?\x1b\\": "\x1b]11;rgb:0000/0000/0000\x1b\\",
}

// The programs that all this is for start in a session and draw their first
// screens. There is no network here: codex waits for a login, and claude says that
// it cannot connect, and ends.
func TestRealAgents(t *testing.T) {
	begin(t)
	installAgents(t)
	t.Run("codex", func(t *testing.T) {
		c := sitAt(t, as(t, "operator"), 40, 120, answers, "aaau", "--no-workspace", "codex")
		id := c.session()
		c.match(`Welcome to \S*Codex`)
		c.match(`> \S*1\. \S*Sign in`)
		output(t, as(t, "operator"), "aaau", "kill", id)
		c.ends(143)
	})
	t.Run("claude", func(t *testing.T) {
		c := sitAt(t, as(t, "operator"), 40, 120, answers, "aaau", "--no-workspace", "claude")
		c.match(`Welcome\S* ?to\S* ?Claude\S* ?Code`)
		c.match(`Unable\S* ?to\S* ?connect`)
		c.ends(1)
	})
}

// Scripts give real agents work without being there: a text that is submitted whole, keys
// that are pressed, a picture that is attached as one.
func TestAgentsTakeWhatIsSent(t *testing.T) {
	beginLong(t, 3*lifetime)
	installAgents(t)
	m := newModels(t)
	close(m.answer)
	configureAgents(t, m)
	operator := as(t, "operator").with("ANTHROPIC_API_KEY="+claudeKey, "ANTHROPIC_BASE_URL="+m.URL)
	picture := filepath.Join(operator.home, "shot.png")
	t.Cleanup(func() { os.Remove(picture) })
	var encoded bytes.Buffer
	if err := png.Encode(&encoded, image.NewRGBA(image.Rect(0, 0, 16, 16))); err != nil {
		t.Fatal(err)
	}
	if r := feed(t, operator, encoded.String(), "sh", "-c", `cat >"$0"`, picture); r.status != 0 {
		t.Fatalf("%+v", r)
	}
	for _, agent := range []struct {
		name, prompt string
		args         []string
	}{
		{"codex", "Ask Codex", []string{"--no-workspace", "codex"}},
		{"claude", "bypass permissions on", []string{"--no-workspace", "--env", "ANTHROPIC_API_KEY", "--env", "ANTHROPIC_BASE_URL", "claude"}},
	} {
		t.Run(agent.name, func(t *testing.T) {
			id := began(t, operator, "/", agent.args...)
			peek(t, id, agent.prompt)
			hears := func(want ...string) {
				t.Helper()
				var heard []string
				if !eventually(func() bool {
					heard = m.conversation()
					return len(heard) >= len(want) && slices.Equal(heard[len(heard)-len(want):], want)
				}) {
					t.Fatalf("the model does not hear %q, but %q; the session shows %s", want, heard, output(t, operator, "aaau", "peek", id))
				}
				peek(t, id, "the end of it")
			}
			output(t, operator, "aaau", "send", id, "--enter", "go on")
			hears("go on")
			output(t, operator, "aaau", "send", id, "--enter", "line one\nline two")
			hears("go on", "line one\nline two")

			output(t, operator, "aaau", "send", id, "a mistake")
			peek(t, id, "a mistake")
			output(t, operator, "aaau", "send", id, "--key", "C-u")
			if !eventually(func() bool { return !strings.Contains(output(t, operator, "aaau", "peek", id), "a mistake") }) {
				t.Fatal("^U has not erased the line")
			}
			output(t, operator, "aaau", "send", id, "--key", "y", "--key", "Enter")
			hears("line one\nline two", "y")

			output(t, operator, "aaau", "put", picture, id)
			peek(t, id, "[Image #1]")
			output(t, operator, "aaau", "send", id, "--enter", "what is it")
			if !eventually(func() bool { return slices.Contains(m.conversation(), "[image]") }) {
				t.Errorf("the model is not shown the picture: %q", m.conversation())
			}
		})
	}
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
	if err := os.MkdirAll(place, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(place) })
	if err := unix.Mount(source, place, "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("%s: %v: install the agents with test/deps agents", source, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(place, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	newHome(t, "operator")
	for _, name := range []string{"codex", "claude"} {
		link := "/usr/local/bin/" + name
		os.Remove(link) // the machine's own, if it has one: this root is a copy
		if err := os.Symlink(filepath.Join(place, "node_modules/.bin", name), link); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(link) })
		output(t, as(t, "agent"), name, "--version") // it can be run at all
	}
}

// homeFor is where the agent's home for a person is, which is made if there is none
// yet.
func homeFor(t *testing.T, person string) string {
	t.Helper()
	home := fmt.Sprintf("/var/lib/aaau/homes/agent/%d", as(t, person).uid)
	if _, err := os.Stat(home); err != nil {
		output(t, as(t, person), "aaau", "-p", "true")
	}
	return home
}

// newHome gives the agent an empty home for a person for the length of a test:
// agents greet only who is new.
func newHome(t *testing.T, person string) {
	t.Helper()
	home := homeFor(t, person)
	moveAway(t, home)
	t.Cleanup(func() { os.RemoveAll(home) })
	homeFor(t, person)
}
