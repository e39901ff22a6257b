package searchpath

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMachine(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test makes directories of root's and of others: run it as root (sudo make check)")
	}
	// Not t.TempDir alone: it lies in /tmp, whose entries Machine never takes.
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	make := func(name string, mode os.FileMode, uid int) string {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(name, uid, -1); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for dir := root; dir != "/"; dir = filepath.Dir(dir) {
		fi, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm()&0o001 == 0 { // testing makes it 0700 beneath some umasks
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	good := make("go/bin", 0o755, 0)
	link := filepath.Join(root, "link")
	if err := os.Symlink(good, link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	make("theirs", 0o755, 4321)
	make("closed", 0o711, 0)
	make("shut/bin", 0o755, 0)
	make("shut", 0o700, 0)
	make("store/bin", 0o755, 0)
	make("store", 0o1775|os.ModeSticky, 0)
	make("loose/bin", 0o755, 0)
	make("loose", 0o775, 0)
	for _, c := range []struct{ entry, want string }{
		{good, good},
		{good + "/../bin/", good},
		{link, good},
		{root + "/store/bin", root + "/store/bin"},
		{root + "/store", ""},                            // others may add files there
		{root + "/loose/bin", ""},                        // others may replace it
		{make("group", 0o775, 0), ""},                    //
		{make("others", 0o757, 0), ""},                   //
		{make("sticky", 0o777|os.ModeSticky, 0), ""},     //
		{root + "/theirs", ""},                           // its owner may
		{make("theirs/bin", 0o755, 0), ""},               //
		{root + "/closed", ""},                           // nobody may list it
		{root + "/shut/bin", ""},                         // nobody gets there
		{make("hidden/bin", 0o755, 0), ""},               //
		{root + "/go/../hidden/bin", ""},                 //
		{make("colon:here", 0o755, 0), ""},               // it would be two entries
		{file, ""}, {root + "/none", ""}, {"go/bin", ""}, //
		{"", ""}, {".", ""}, {"/", ""},
	} {
		got, ok := machine(c.entry, []string{root + "/hidden"})
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%q is %q %v, want %q", c.entry, got, ok, c.want)
		}
	}
	for _, no := range []string{good, "/proc", "/dev/shm", "/run/lock", "/var/tmp", "/home/x", "/home"} {
		if got, ok := Machine(no, []string{"/home"}); ok {
			t.Errorf("%q is %q", no, got)
		}
	}
	if got, ok := Machine("/usr/bin", []string{"/home"}); !ok || got != "/usr/bin" {
		t.Errorf("/usr/bin is %q %v", got, ok)
	}
}
