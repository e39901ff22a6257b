package project

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// setIDFiles are files by name, with their modes.
func makeSetID(t *testing.T, ws string, files map[string]uint32) {
	t.Helper()
	for name, mode := range files {
		write(t, ws+"/"+name, "program")
		if err := unix.Chmod(ws+"/"+name, mode); err != nil {
			t.Fatal(err)
		}
	}
}

func modeOf(t *testing.T, name string) uint32 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		t.Fatal(err)
	}
	return st.Mode & 0o7777
}

// What others could run as the person is taken away where it is new or has other bytes, wherever
// it is, and told.
func TestDisarmTakesSetIDAway(t *testing.T) {
	ws := t.TempDir() + "/ws"
	var st unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(ws), &st); err != nil || st.Type == unix.TMPFS_MAGIC {
		t.Fatalf("the test needs a file system with time stamps for mapped files: %v", err)
	}
	repo(t, ws)
	makeSetID(t, ws, map[string]uint32{"old": 0o4755, "mapped": 0o4755, "plain": 0o755})
	if err := os.Mkdir(ws+"/team", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Chmod(ws+"/team", 0o2775); err != nil { // of a directory the bit means something else
		t.Fatal(err)
	}
	time.Sleep(3 * granularity) // no program can set the time that is looked at
	since := time.Now()
	time.Sleep(3 * granularity)
	makeSetID(t, ws, map[string]uint32{
		"up/g": 0o2705, "it's": 0o4711, "node_modules/x/bin/s": 0o6755, ".git/objects/ab/s": 0o4755, ".git/hooks/s": 0o4755, "dark/s": 0o4755,
	})
	if err := os.Chmod(ws+"/dark", 0o311); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("old", ws+"/link"); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(ws+"/mapped", unix.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := unix.Mmap(fd, 0, 7, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	copy(m, "PROGRAM")
	if err := unix.Munmap(m); err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	if modeOf(t, ws+"/mapped") != 0o4755 {
		t.Fatal("the kernel has taken the bit away itself")
	}

	disarmed, _, _, err := Disarm(t.Context(), []string{ws}, since, nil, []string{ws + "/.git"})
	if err != nil {
		t.Error(err)
	}
	told := ""
	for _, d := range disarmed {
		told += d.String() + "\n"
	}
	for name, mode := range map[string]uint32{
		"old": 0o4755, "plain": 0o755, "team": 0o2775,
		"mapped": 0o755, "up/g": 0o705, "it's": 0o711, "node_modules/x/bin/s": 0o755, ".git/objects/ab/s": 0o755, ".git/hooks/s": 0o755, "dark/s": 0o755,
	} {
		if got := modeOf(t, ws+"/"+name); got != mode {
			t.Errorf("%s has mode %04o, not %04o", name, got, mode)
		}
		if is, want := strings.Contains(told, ws+"/"+name+": set"), name != "old" && name != "plain" && name != "team"; is != want {
			t.Errorf("of %s was told: %v, in\n%s", name, is, told)
		}
	}
	for _, want := range []string{
		"/up/g: setgid, new or changed: the bit was taken away; back with: chmod 2705 " + ws + "/up/g\n",
		"/it's: setuid, new or changed: the bit was taken away; back with: chmod 4711 $'" + ws + `/it\'s'` + "\n",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("no %q in\n%s", want, told)
		}
	}
	if modeOf(t, ws+"/dark") != 0o311 {
		t.Error("a directory has another mode than before")
	}
}

// An agent can make more of them than anybody reads.
func TestDisarmTellsOfManySetID(t *testing.T) {
	ws := t.TempDir() + "/ws"
	files := map[string]uint32{}
	for _, a := range "abcdefghij" {
		for _, b := range "abcdefghij" {
			files[string(a)+"/"+string(b)] = 0o4755
		}
	}
	makeSetID(t, ws, files)
	disarmed, _, _, err := Disarm(t.Context(), []string{ws}, time.Now().Add(-time.Hour), nil, []string{})
	if err != nil || len(disarmed) != maxSetID+1 || !strings.HasSuffix(disarmed[maxSetID].What, "80 more such files: the bits were taken away, where that could be") {
		t.Errorf("%d are told, %v: %v", len(disarmed), err, disarmed)
	}
	for name := range files {
		if got := modeOf(t, ws+"/"+name); got != 0o755 {
			t.Errorf("%s has mode %04o", name, got)
		}
	}
}
