package launcher

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/spec"
)

// memfd is one of the given size that begins with text, and has seals.
func memfd(t *testing.T, text string, size int64, seals int) int {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Ftruncate(fd, size); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fd, []byte(text)); err != nil { // and its offset is not 0
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		t.Fatal(err)
	}
	return fd
}

const allSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

func TestSealedSize(t *testing.T) {
	file := func(name string, flags int) int {
		fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	dir := t.TempDir()
	fifo, plain := filepath.Join(dir, "fifo"), "/dev/shm/aaau-test-plain"
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plain, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(plain)
	whole := memfd(t, "x", spec.MaxFile, allSeals)
	for name, c := range map[string]struct {
		fd   int
		want int64 // -1: refused
	}{
		"sealed":               {whole, spec.MaxFile},
		"empty":                {memfd(t, "", 0, allSeals), 0},
		"too large":            {memfd(t, "", spec.MaxFile+1, allSeals), -1},
		"not sealed":           {memfd(t, "x", 1, 0), -1},
		"may be written":       {memfd(t, "x", 1, allSeals&^unix.F_SEAL_WRITE), -1},
		"only in the future":   {memfd(t, "x", 1, allSeals&^unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE), -1},
		"may grow":             {memfd(t, "x", 1, allSeals&^unix.F_SEAL_GROW), -1},
		"may shrink":           {memfd(t, "x", 1, allSeals&^unix.F_SEAL_SHRINK), -1},
		"may be sealed":        {memfd(t, "x", 1, allSeals&^unix.F_SEAL_SEAL), -1},
		"a file":               {file("/etc/passwd", unix.O_RDONLY), -1},
		"a file in memory":     {file(plain, unix.O_RDONLY), -1},
		"a FIFO":               {file(fifo, unix.O_RDWR), -1},
		"a directory":          {file(dir, unix.O_RDONLY), -1},
		"a name only (O_PATH)": {file(fmt.Sprintf("/proc/self/fd/%d", whole), unix.O_PATH), -1},
	} {
		size, err := sealedSize(c.fd)
		if c.want < 0 && err == nil || c.want >= 0 && (err != nil || size != c.want) {
			t.Errorf("%s: %d, %v", name, size, err)
		}
	}
}

func TestPutBeneath(t *testing.T) {
	dir := t.TempDir()
	treasure := filepath.Join(t.TempDir(), "treasure")
	if err := os.Symlink(treasure, filepath.Join(dir, "a.b.png")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "README"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("what is to be read\n", 100_000)
	fd := memfd(t, text, int64(len(text)), allSeals)
	for _, c := range [][2]string{{"a.b.png", "a.b-2.png"}, {"a.b.png", "a.b-3.png"}, {"README", "README-2"}, {"c", "c"}} {
		path, err := putBeneath(dir, c[0], fd, int64(len(text)))
		if err != nil || path != filepath.Join(dir, c[1]) {
			t.Errorf("%s: %s, %v", c[0], path, err)
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
		if fi, err := os.Lstat(path); err != nil || fi.Mode() != 0o600 {
			t.Errorf("%s: %v %v", path, fi.Mode(), err)
		}
	}
	if _, err := os.Lstat(treasure); err == nil {
		t.Error("it went where the link leads")
	}
	for range 99 {
		if _, err := putBeneath(dir, "d", fd, 1); err != nil {
			t.Fatal(err)
		}
	}
	if path, err := putBeneath(dir, "d", fd, 1); err == nil || !strings.Contains(err.Error(), "99 files") {
		t.Errorf("the hundredth: %s, %v", path, err)
	}
	// Nothing is left of what cannot be whole.
	if path, err := putBeneath(dir, "e", fd, int64(len(text))+1); err == nil {
		t.Errorf("longer than it is: %s", path)
	}
	if _, err := os.Lstat(filepath.Join(dir, "e")); err == nil {
		t.Error("a part of it is left")
	}
}
