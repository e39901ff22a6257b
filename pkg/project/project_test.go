package project

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// home makes a home without any configuration of the machine's, and returns it,
// by its real name.
func home(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "GIT_") || name == "EMAIL" {
			t.Setenv(name, "") // so that it comes back afterwards
			os.Unsetenv(name)
		}
	}
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	t.Setenv("GIT_CONFIG_SYSTEM", "/dev/null")
	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(dir, ".gitconfig"))
	write(t, dir+"/.gitconfig", "[user]\n\tname = Olga Op\n\temail = olga@example.org\n[protocol \"file\"]\n\tallow = always\n[init]\n\tdefaultBranch = main\n")
	return dir
}

func write(t *testing.T, name, text string) {
	t.Helper()
	mkdir(t, filepath.Dir(name))
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, name string) string {
	t.Helper()
	if err := os.MkdirAll(name, 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func symlink(t *testing.T, target, name string) {
	t.Helper()
	mkdir(t, filepath.Dir(name))
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func gitIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// repo makes a repository with a commit, and without hooks, as some have it.
func repo(t *testing.T, dir string, args ...string) string {
	t.Helper()
	mkdir(t, dir)
	gitIn(t, dir, append([]string{"init", "-q"}, args...)...)
	write(t, dir+"/file", "text\n")
	gitIn(t, dir, "add", "file")
	gitIn(t, dir, "commit", "-q", "-m", "first")
	return dir
}

func open(t *testing.T, paths ...string) []Dir {
	t.Helper()
	var dirs []Dir
	for _, p := range paths {
		d, err := Open(p)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.File.Close() })
		dirs = append(dirs, d)
	}
	return dirs
}

// ask runs Git on directories of the session, and closes what it opens.
func ask(t *testing.T, paths ...string) ([]Dir, Found, error) {
	t.Helper()
	dirs := open(t, paths...)
	found, err := Git(context.Background(), dirs)
	for _, d := range found.Dirs {
		t.Cleanup(func() { d.File.Close() })
	}
	return dirs, found, err
}

func mustAsk(t *testing.T, paths ...string) ([]Dir, Found) {
	t.Helper()
	dirs, found, err := ask(t, paths...)
	if err != nil {
		t.Fatal(err)
	}
	return dirs, found
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %.3000q\nwant %q", what, got, want)
	}
}

func hasLine(t *testing.T, lines []string, parts ...string) {
	t.Helper()
	for _, line := range lines {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
			return
		}
	}
	t.Errorf("no line with %q in %.3000q", parts, lines)
}

// refused wants an error of one line with these parts.
func refused(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %q", parts)
		return
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than a line: %v", err)
	}
	hasLine(t, []string{err.Error()}, parts...)
}

func TestOpen(t *testing.T) {
	h := home(t)
	mkdir(t, h+"/ws")
	symlink(t, "ws", h+"/link")
	d, err := Open(h + "/link/../link/.")
	if err != nil {
		t.Fatal(err)
	}
	d.File.Close()
	if d.Path != h+"/ws" || d.ReadOnly || d.Tool {
		t.Errorf("%+v", d)
	}
	write(t, h+"/file", "")
	theirs := mkdir(t, h+"/theirs")
	if err := os.Chown(theirs, 65534, 65534); err != nil {
		t.Fatal(err) // as CONTRIBUTING.md has it, tests run as root
	}
	for path, want := range map[string]string{
		h + "/missing":   "no such directory",
		h + "/file":      "not a directory",
		h + "/file/x":    "not a directory",
		theirs:           "belongs to nobody: only your own directories can be shared",
		h + "/esc\x1b[m": `\x1b`,
	} {
		_, err := Open(path)
		refused(t, err, want)
	}
}

func TestEnvironment(t *testing.T) {
	got := Environment([]string{
		"PATH=/bin", "TERM=xterm", "LC_ALL=C", "LC_TIME=de", "LC_SECRET=x", "LANG=C", "SSH_AUTH_SOCK=/run/x", "GITHUB_TOKEN=x",
		"https_proxy=http://p", "HTTPS_PROXY=", "SSL_CERT_FILE=/a=b", "TERM=twice", "TERM_PROGRAM=x", "HOME=/home/op", "nonsense",
		"TERMCAP=x", "GIT_SSL_CAINFO=/ca", "GIT_SSL_KEY=/k",
	})
	want := []string{"TERM=xterm", "LC_ALL=C", "LC_TIME=de", "LANG=C", "https_proxy=http://p", "HTTPS_PROXY=", "SSL_CERT_FILE=/a=b",
		"TERM_PROGRAM=x", "GIT_SSL_CAINFO=/ca"}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

func sortAll(lists ...[]string) {
	for _, list := range lists {
		slices.Sort(list)
	}
}
