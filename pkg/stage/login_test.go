package stage

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever a login shell has made of PATH, the session's comes first again, and nothing twice.
func TestRestorePath(t *testing.T) {
	for _, shell := range []string{"sh", "bash"} {
		for _, c := range []struct{ session, now, want string }{
			{"/a:/usr/bin:/bin", "/usr/local/bin:/usr/bin:/bin:/usr/games", "/a:/usr/bin:/bin:/usr/local/bin:/usr/games"},
			{"/usr/bin:/bin", "/usr/bin:/bin", "/usr/bin:/bin"},
			{"/it's/a b:/bin", "/bin:/x y/*:/bin", "/it's/a b:/bin:/x y/*"},
			{"/bin", "", "/bin"},
		} {
			out, err := exec.Command(shell, "-c", `PATH=$1; eval "$2"; echo "$PATH"; set | grep ^aaau_`, shell, c.now, restorePath(c.session)).Output()
			got, rest, _ := strings.Cut(string(out), "\n")
			if got != c.want || rest != "" {
				t.Errorf("%s: %q became %q of %q, %v; left is %q", shell, c.now, got, c.session, err, rest)
			}
		}
	}
}

func TestReadProfiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("a.sh", "echo a\n", 0o644)
	write("secret.sh", "no", 0o640)
	if err := os.Symlink("a.sh", filepath.Join(dir, "b.sh")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := readProfiles(dir)
	if err != nil || len(got) != 2 || got["a.sh"] != "echo a\n" || got["b.sh"] != "echo a\n" {
		t.Errorf("%q, %v", got, err)
	}
	write("large.sh", strings.Repeat("x", maxProfile+1), 0o644)
	if got, err := readProfiles(dir); got != nil || err != nil {
		t.Errorf("with a large one %d files, %v", len(got), err)
	}
	if got, err := readProfiles(filepath.Join(dir, "none")); got != nil || err != nil {
		t.Errorf("without a directory %d files, %v", len(got), err)
	}
}
