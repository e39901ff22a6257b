package vm

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long anything may take: the processor is emulated.
const patience = time.Minute

// people, and where the agent's home is for each of them.
var homes = map[string]string{
	"operator": "/var/lib/aaau/homes/agent/2001",
	"observer": "/var/lib/aaau/homes/agent/2002",
}

// root runs a program, and returns what it said.
func root(t *testing.T, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%.300q: %v: %s", argv, err, out)
	}
	return plain(string(out))
}

// as makes an argument list of a person's.
func as(person string, argv ...string) []string {
	home := "/home/" + person
	return append([]string{"runuser", "-u", person, "--", "env", "-i", "-C", home, "HOME=" + home, "USER=" + person,
		"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "TERM=xterm"}, argv...)
}

// agent runs a script in a session of a person's, and returns what that said. Scripts
// that fail say so in words.
func agent(t *testing.T, person, script string, options ...string) string {
	t.Helper()
	argv := append(append([]string{"aaau"}, options...), "--", "bash", "-c", "{ "+script+"\n} 2>&1; true")
	return root(t, as(person, argv...)...)
}

// session is one that goes on.
type session struct {
	cmd   *exec.Cmd
	said  string // the file that has it
	scope string // its cgroup's directory
}

// start runs a program that starts a session, and waits for that to be there.
func start(t *testing.T, argv ...string) *session {
	t.Helper()
	scopes := func() []string {
		dirs, _ := filepath.Glob("/sys/fs/cgroup/aaau.slice/aaau-*.slice/aaau-*.scope")
		return dirs
	}
	await(t, "the last session to be gone", func() bool { return len(scopes()) == 0 })
	s := &session{cmd: exec.Command(argv[0], argv[1:]...), said: filepath.Join(t.TempDir(), "said")}
	f, err := os.Create(s.said)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s.cmd.Stdout, s.cmd.Stderr = f, f
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.end(t) })
	await(t, "the session", func() bool {
		if dirs := scopes(); len(dirs) == 1 {
			s.scope = dirs[0]
		}
		return s.scope != ""
	})
	return s
}

// file is one of its cgroup's.
func (s *session) file(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(read(t, filepath.Join(s.scope, name)))
}

// saying is what it has said so far.
func (s *session) saying(t *testing.T) string {
	t.Helper()
	return plain(read(t, s.said))
}

// end ends it, and returns what it said.
func (s *session) end(t *testing.T) string {
	t.Helper()
	if s.cmd.ProcessState == nil {
		os.WriteFile(filepath.Join(s.scope, "cgroup.kill"), []byte("1"), 0) // it may have ended
		s.cmd.Wait()
	}
	return s.saying(t)
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// plain is what a session says without a terminal's line ends.
func plain(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

// await asks until the answer is yes.
func await(t *testing.T, what string, yes func() bool) {
	t.Helper()
	awaitFor(t, patience, what, yes)
}

// awaitFor is await for what takes more time.
func awaitFor(t *testing.T, most time.Duration, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(most); !yes(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain waited for %s", what)
		}
	}
}

// begin is every test's first line: no homes, and a limit of theirs.
func begin(t *testing.T, homeMax string) {
	t.Helper()
	removeHomes(t)
	configure(t, homeMax)
	since := time.Now().Format("2006-01-02 15:04:05.000000")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the journal:\n%s", root(t, "journalctl", "--quiet", "--no-pager", "--since="+since))
		}
	})
}

func removeHomes(t *testing.T) {
	t.Helper()
	for _, home := range homes {
		if err := os.RemoveAll(home); err != nil {
			t.Fatal(err)
		}
	}
}

// bridgeHas is the bridge's home-max=, which it reads once.
var bridgeHas string

// configure sets home-max=, for the bridge too.
func configure(t *testing.T, homeMax string) {
	t.Helper()
	setHomeMax(t, homeMax)
	if homeMax != bridgeHas {
		root(t, "systemctl", "stop", "aaau.service") // its socket starts it
		bridgeHas = homeMax
	}
}

// setHomeMax is for the launcher alone.
func setHomeMax(t *testing.T, homeMax string) {
	t.Helper()
	const file = "/etc/aaau/aaau.conf.d/90-test.conf"
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("home-max="+homeMax+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}
