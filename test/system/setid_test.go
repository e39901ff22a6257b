package system

import (
	"os"
	"strings"
	"testing"
	"time"
)

// A program of the person's with the setuid bit, into which the agent writes through shared
// memory, has lost the bit when its session is over, and its person is told.
func TestSetIDFileWithTheAgentsBytes(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	dir := tree(t, operator, "setid")
	sh(t, operator, dir, "for f in mine other; do head -c 4096 /dev/zero >$f; chmod 4755 $f; done; chmod 6711 other")
	c := sit(t, operator, at(dir, "aaau", "-C", ".", "--", "python3", "-c", `
import mmap, os
for name in ("mine", "other"):
    with open(name, "r+b") as f:
        m = mmap.mmap(f.fileno(), 0)
        m[:6] = b"agent\n"
        m.flush()
os.rename("other", "renamed")
print("modes", oct(os.stat("mine").st_mode & 0o6000), oct(os.stat("renamed").st_mode & 0o6000))
`)...)
	status, said := c.leave()
	if status != 0 || !strings.Contains(said, "modes 0o4000 0o6000") {
		t.Fatalf("status %d, %q", status, said)
	}
	for name, mode := range map[string]os.FileMode{"mine": 0o755, "renamed": 0o711} {
		fi, err := os.Stat(dir + "/" + name)
		if err != nil || fi.Mode() != mode {
			t.Errorf("%s is %v, %v", name, fi.Mode(), err)
		}
		if !strings.Contains(said, dir+"/"+name+": setuid, new or changed: the bit was taken away; back with: chmod ") {
			t.Errorf("of %s nothing was told: %q", name, said)
		}
	}
}

// Nobody is in the session when it ends: its set-id files lose the bits all the same, and its owner
// finds that in what changed. Those that stood there before, and were not touched, keep theirs.
func TestSetIDFileOfADetachedSession(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	dir := ext4(t) + "/operator"
	sh(t, operator, dir, "for f in mine old; do head -c 4096 /dev/zero >$f; chmod 4755 $f; done; mkdir -p deep/er; cp mine deep/er/other; chmod 6711 deep/er/other")
	made := time.Now()
	await(t, "the files to be older than the session", func() bool { return time.Since(made) > 3*time.Second })
	id := began(t, operator, dir, "--workspace", ".", "--", "python3", "-c", `
import mmap
for name in ("mine", "deep/er/other"):
    with open(name, "r+b") as f:
        m = mmap.mmap(f.fileno(), 0)
        m[:6] = b"agent\n"
        m.flush()
`)
	if r := run(t, operator, "aaau", "wait", id); r.status != 0 {
		t.Fatalf("%+v", r)
	}
	for name, mode := range map[string]os.FileMode{"mine": 0o755, "deep/er/other": 0o711, "old": 0o755 | os.ModeSetuid} {
		fi, err := os.Stat(dir + "/" + name)
		if err != nil || fi.Mode() != mode {
			t.Errorf("%s is %v, %v", name, fi.Mode(), err)
		}
	}
	said := run(t, operator, "aaau", "changes", id).stdout
	for _, name := range []string{"mine", "deep/er/other"} {
		if !strings.Contains(said, dir+"/"+name+": setuid or setgid, new or changed: the bit was taken away") {
			t.Errorf("of %s nothing is told: %q", name, said)
		}
	}
}
