package system

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
)

func TestProgramRunsAsTheAgent(t *testing.T) {
	begin(t)
	for _, test := range []struct{ program, want string }{
		{"id -un", `agent`},
		{"id -Gn", `agent`},
		{"pwd", `/var/lib/aaau/agent`},
		{"tty", `/dev/pts/\d+`},
		{`sh -c 'stat --format "%U %G %a" "$(tty)"'`, `agent agent 620`},
		{`sh -c 'echo it controls >/dev/tty'`, `it controls`},
		{`sh -c 'sed -n s/^0:://p /proc/self/cgroup; echo "$AAAU_SESSION"'`,
			`(?s)(?:/.*)?/aaau\.slice/aaau-shell\.slice/aaau-shell-([0-9a-z]+)\.scope` + "\n" + `[0-9a-z]+`},
	} {
		t.Run(test.program, func(t *testing.T) {
			got := output(t, as(t, "operator"), "aaau", "-t", "-p", test.program)
			m := regexp.MustCompile("^" + test.want + "$").FindStringSubmatch(got)
			if m == nil {
				t.Fatalf("it printed %q, not %q", got, test.want)
			}
			if len(m) == 2 && !strings.HasSuffix(got, "\n"+m[1]) {
				t.Errorf("the scope is not named after the session: %q", got)
			}
		})
	}
}

// An administrator may give agents groups beside their own.
func TestAgentHasItsSupplementaryGroups(t *testing.T) {
	begin(t)
	root := as(t, "root")
	output(t, root, "groupadd", "aaau-test-group")
	t.Cleanup(func() { run(t, root, "groupdel", "aaau-test-group") })
	output(t, root, "usermod", "-aG", "aaau-test-group", "agent")
	if got := output(t, as(t, "operator"), "aaau", "-p", "id -Gn"); got != "agent aaau-test-group" {
		t.Errorf("the agent's groups are %q", got)
	}
}

func TestExitStatusIsTheAgents(t *testing.T) {
	begin(t)
	for _, test := range []struct {
		program string
		want    int
	}{
		{"true", 0},
		{"sh -c 'exit 7'", 7},
		{"sh -c 'exit 255'", 255},
		{"sh -c 'kill -KILL $$'", 137},
		{"sh -c 'kill -TERM $$'", 143},
		{"sh -c 'kill -HUP $$'", 129},
		// Nothing that is left open, or closed too soon, is taken for the end.
		{"sh -c 'sleep 1000 & exit 3'", 3},
		{"sh -c 'exec <&- >&- 2>&-; sleep 0.1; exit 4'", 4},
		{"sh -c 'exec setsid -f sleep 1000'", 0},
	} {
		t.Run(test.program, func(t *testing.T) {
			for _, argv := range [][]string{{"aaau"}, {"aaau", "connect"}} {
				r := run(t, as(t, "operator"), append(argv, "-p", test.program)...)
				if r.status != test.want || r.stdout != "" || r.stderr != "" {
					t.Errorf("%q: status %d instead of %d, stdout %q, stderr %q", argv, r.status, test.want, r.stdout, r.stderr)
				}
			}
		})
	}
}

func TestEnvironmentIsExact(t *testing.T) {
	begin(t)
	operator := as(t, "operator").with("LANG=de_DE.UTF-8", "TERM=screen-256color", "SECRET=1", "LD_PRELOAD=", "AAAU_SESSION=mine")
	c := sit(t, operator, "aaau", "-p", "env")
	id := c.session()
	_, rest := c.leave()
	got := map[string]string{}
	for line := range strings.Lines(rest) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			got[k] = v
		}
	}
	const home = "/var/lib/aaau/agent"
	want := map[string]string{
		"HOME": home, "USER": "agent", "LOGNAME": "agent", "SHELL": "/bin/bash",
		"TERM": "screen-256color", "LANG": "de_DE.UTF-8", "AAAU_SESSION": id, "SESSION_ID": id,
		"PATH": got["PATH"], "PWD": home, "XDG_RUNTIME_DIR": fmt.Sprintf("/run/user/%d", as(t, "agent").uid),
	}
	if fmt.Sprint(got) != fmt.Sprint(want) { // maps are printed in order
		t.Errorf("the environment is %v,\ninstead of %v", got, want)
	}
	path := filepath.SplitList(got["PATH"])
	own, system := slices.Index(path, home+"/bin"), slices.Index(path, "/usr/bin")
	if own < 0 || system < own {
		t.Errorf("the agent's own programs do not come first in PATH=%s", got["PATH"])
	}
}

// The words of -p are a shell's, and no shell ever sees them.
func TestProgramIsSplitAndNeverInterpreted(t *testing.T) {
	begin(t)
	for _, test := range []struct {
		words string
		want  []string
	}{
		{`a b`, []string{"a", "b"}},
		{`'a b' "c d" e\ f ''`, []string{"a b", "c d", "e f", ""}},
		{`"it's" 'say "hi"' "a\"b"`, []string{"it's", `say "hi"`, `a"b`}},
		{`$HOME "$HOME" ~`, []string{"$HOME", "$HOME", "~"}},
		{`* ? [a-z]* {a,b}`, []string{"*", "?", "[a-z]*", "{a,b}"}},
		{`; touch x & | > out < in`, []string{";", "touch", "x", "&", "|", ">", "out", "<", "in"}},
		{"$(id) `id`", []string{"$(id)", "`id`"}},
		{`ä 日本`, []string{"ä", "日本"}},
		{"not-\xff-utf8", []string{"not-\xff-utf8"}}, // a program's arguments are bytes
	} {
		t.Run(test.words, func(t *testing.T) {
			want := ""
			for _, w := range test.want {
				want += fmt.Sprintf("%q\n", w)
			}
			r := run(t, as(t, "operator"), "aaau", "-p", helper+" argv "+test.words)
			if r.stdout != want || r.status != 0 {
				t.Errorf("the arguments are %s(status %d), not %s", r.stdout, r.status, want)
			}
		})
	}
}

func printArguments(args []string) int {
	for _, a := range args {
		fmt.Printf("%q\n", a)
	}
	return 0
}

// Prompts are long, and full of what encodings have to escape.
func TestLongArguments(t *testing.T) {
	begin(t)
	for _, unit := range []string{"x", "&", "<", "\x01", "\\\\", "é", "\xff"} { // \\ is one for -p
		t.Run(fmt.Sprintf("%q", unit), func(t *testing.T) {
			long := strings.Repeat(unit, 30_000/len(unit))
			sum := sha256.Sum256([]byte(strings.ReplaceAll(long, `\\`, `\`)))
			if got, want := output(t, as(t, "operator"), "aaau", "-p", helper+" sum "+long), fmt.Sprintf("%x", sum); got != want {
				t.Errorf("another argument came: %s, not %s", got, want)
			}
			refused(t, as(t, "operator"), []string{"32768 bytes"}, "aaau", "-p", helper+" sum "+long+long+long)
		})
	}
}

// sumArgument says what it was given, in short.
func sumArgument(args []string) int {
	fmt.Printf("%x\n", sha256.Sum256([]byte(args[0])))
	return 0
}

func TestProgramIsLookedUpInsideTheSession(t *testing.T) {
	begin(t)
	t.Run("the agent's own wins", func(t *testing.T) {
		script(t, homeFor(t, "operator")+"/bin/id", "#!/bin/sh\necho the agent\\'s own\n", 0o755)
		if got := output(t, as(t, "operator"), "aaau", "-p", "id -un"); got != "the agent's own" {
			t.Errorf("it printed %q", got)
		}
	})
	// A session's /tmp is its own: what the launcher would see there is not meant.
	t.Run("not outside", func(t *testing.T) {
		script(t, "/tmp/outside", "#!/bin/sh\necho outside\n", 0o755)
		if r := run(t, as(t, "operator"), "aaau", "-p", "/tmp/outside"); r.status != 127 || r.stdout != "" {
			t.Errorf("status %d, stdout %q", r.status, r.stdout)
		}
	})
}

// script puts a file there for the length of a test, owned by the agent.
func script(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	agent := as(t, "agent")
	if dir := filepath.Dir(name); os.Mkdir(dir, 0o755) == nil {
		t.Cleanup(func() { os.Remove(dir) })
		if err := os.Chown(dir, int(agent.uid), int(agent.gid)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(name) })
	if err := os.Chown(name, int(agent.uid), int(agent.gid)); err != nil {
		t.Fatal(err)
	}
}

func TestTerminalHasTheClientsSize(t *testing.T) {
	begin(t)
	c := sitAt(t, as(t, "operator"), 37, 113, nil, "aaau", "-p", helper+" winch")
	c.expect("it is 37 113")
	c.resize(45, 132)
	c.expect("now it is 45 132")
	c.ends(0)

	c = sitAt(t, as(t, "operator"), 11, 222, nil, "aaau", "-p", "stty size")
	c.expect("11 222")
	c.ends(0)
}

// awaitResize says the size of its terminal, and again when it is told of another.
func awaitResize([]string) int {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	rows, cols, err := pty.Getsize(os.Stdin)
	fmt.Println("it is", rows, cols, err)
	<-changed
	rows, cols, err = pty.Getsize(os.Stdin)
	fmt.Println("now it is", rows, cols, err)
	return 0
}
