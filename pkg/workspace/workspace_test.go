package workspace

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The tests run once more, in a mount namespace of their own.
func TestMain(m *testing.M) {
	const inside = "AAAU_TEST_NAMESPACE"
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests mount: run them as root (sudo make check)")
		os.Exit(1)
	}
	if os.Getenv(inside) != "" {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const human, humans, team, agent, agents = 4321, 4322, 4323, 990, 991

var owner = Owner{UID: human, GID: humans, Groups: []uint32{team}}

// tree makes a tmpfs with a directory of the human's, and a repository in that.
func tree(t *testing.T) string {
	t.Helper()
	base := t.TempDir()
	if err := unix.Mount("tmpfs", base, "tmpfs", 0, "mode=0755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(base, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	dir := filepath.Join(base, "project")
	for _, d := range []string{"", "/.git", "/.git/hooks", "/team"} {
		if err := os.Mkdir(dir+d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(dir+"/.git/config", []byte("[core]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := filepath.Walk(dir, func(name string, _ os.FileInfo, err error) error {
		return errors.Join(err, os.Lchown(name, human, humans))
	}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chown(dir+"/team", human, team), os.Chmod(dir+"/team", 0o2770|os.ModeSetgid)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t *testing.T, name string, flags int) int {
	t.Helper()
	fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func TestCheck(t *testing.T) {
	dir := tree(t)
	m, err := Ours()
	if err != nil {
		t.Fatal(err)
	}
	if path, err := m.Check(open(t, dir, unix.O_RDONLY|unix.O_DIRECTORY), human); err != nil || path != dir {
		t.Errorf("%q %v", path, err)
	}
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err == nil {
		err = unix.FsconfigCreate(fs)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fs)
	detached, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(detached)
	nowhere, err := unix.Openat(detached, ".", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(nowhere)
	gone := open(t, dir+"/.git/hooks", unix.O_RDONLY)
	if err := os.Remove(dir + "/.git/hooks"); err != nil {
		t.Fatal(err)
	}
	null := open(t, "/dev/null", unix.O_RDONLY)
	for name, c := range map[string]struct {
		fd    int
		owner uint32
		want  string
	}{
		"another's":       {open(t, dir, unix.O_RDONLY), human + 1, "belongs to uid 4321"},
		"O_PATH":          {open(t, dir, unix.O_PATH), human, "was not opened to be read"},
		"a file":          {open(t, dir+"/.git/config", unix.O_RDONLY), human, "not a directory"},
		"a device":        {null, human, "not a directory"},
		"in no namespace": {nowhere, 0, "only you see"},
		"deleted":         {gone, human, "has been deleted"},
		"the root":        {open(t, "/", unix.O_RDONLY), 0, "cannot be shared"},
		"no descriptor":   {9999, human, "no such file"},
	} {
		if _, err := m.Check(c.fd, c.owner); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	var theirs *Error
	if _, err := m.Check(null, human); !errors.As(err, &theirs) {
		t.Errorf("not for the person who asked: %v", err)
	}
}

// mounted shares dir with the agent, at a place of the test's.
func mounted(t *testing.T, dir string, readOnly bool) string {
	t.Helper()
	idmap, err := Idmap(owner, agent, agents)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(idmap)
	mount, err := Mount(open(t, dir, unix.O_RDONLY), dir, idmap, readOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(mount)
	at := t.TempDir()
	if err := os.Chmod(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.MoveMount(mount, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return at
}

// asAgent runs a shell with the agent's ids.
func asAgent(t *testing.T, dir, script string) (string, error) {
	t.Helper()
	// By descriptor: the directories above are the tests' own.
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command("/bin/sh", "-ec", "cd /proc/self/fd/3; "+script)
	cmd.ExtraFiles = []*os.File{f}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: agent, Gid: agents}}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func stat(t *testing.T, name string) (st unix.Stat_t) {
	t.Helper()
	if err := unix.Lstat(name, &st); err != nil {
		t.Fatal(err)
	}
	return st
}

func TestWhatTheAgentWritesIsTheHumans(t *testing.T) {
	dir := tree(t)
	at := mounted(t, dir, false)
	if out, err := asAgent(t, at, "mkdir new; echo x >new/file; echo y >team/file; mkdir team/below"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, gid := range map[string]uint32{"new": humans, "new/file": humans, "team/file": team, "team/below": team} {
		if st := stat(t, dir+"/"+name); st.Uid != human || st.Gid != gid {
			t.Errorf("%s is %d:%d's", name, st.Uid, st.Gid)
		}
	}
	// Others' files are nobody's, and cannot be given to anybody.
	if err := os.WriteFile(dir+"/roots", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := asAgent(t, at, "echo z >roots"); err == nil {
		t.Errorf("the agent writes root's file: %s", out)
	}
	if out, err := asAgent(t, mounted(t, dir, true), "echo x >other"); err == nil || !strings.Contains(out, "Read-only") {
		t.Errorf("read-only it is not: %v %s", err, out)
	}
}

func TestLock(t *testing.T) {
	dir := tree(t)
	at := mounted(t, dir, false)
	locks := []string{".git/config", ".git/hooks"}
	if err := Lock(at, locks, agent, agents); err != nil {
		t.Fatal(err)
	}
	for _, script := range []string{
		"echo x >>.git/config", "rm .git/config", "mv .git/config .git/x", "echo >x; mv x .git/config", "ln -f x .git/config",
		"echo x >.git/hooks/pre-commit", "rmdir .git/hooks", "mv .git/hooks .git/x", "mv .git x", "rm -rf .git && mkdir .git",
	} {
		if out, err := asAgent(t, at, script); err == nil {
			t.Errorf("%s: done %s", script, out)
		}
	}
	if out, err := asAgent(t, at, "cat .git/config; echo ref >.git/HEAD.lock; mv .git/HEAD.lock .git/HEAD"); err != nil {
		t.Errorf("%v %s", err, out)
	}
	mounts := func() int {
		text, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), at)
	}
	before := mounts()
	if before != 4 { // the workspace, .git, and the locks
		t.Errorf("%d mounts", before)
	}
	// Again: nothing new; and what was replaced from outside is locked again.
	if err := Relock(at, locks, now(t), agent, agents, false); err != nil || mounts() != before {
		t.Errorf("%v, %d mounts", err, mounts())
	}
	// What is mounted stays covered: to lock what is above it would show what is below it.
	if err := os.MkdirAll(dir+"/a/b", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", at+"/a/b", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"a", "a/c"} {
		if err := Relock(at, []string{path}, now(t), agent, agents, false); err == nil || mounts() != before+1 {
			t.Errorf("%s is locked, over what is mounted beneath it: %d mounts", path, mounts())
		}
	}
	if err := unix.Unmount(at+"/a/b", 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // children first
		for _, name := range []string{"/.git/hooks", "/.git/config", "/.git"} {
			if err := unix.Unmount(at+name, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}
	})
	// The thread is root again for the file system.
	if uid, err := unix.SetfsuidRetUid(-1); err != nil || uid != 0 {
		t.Errorf("fsuid %d %v", uid, err)
	}
	if gid, err := unix.SetfsgidRetGid(-1); err != nil || gid != 0 {
		t.Errorf("fsgid %d %v", gid, err)
	}
}

// now is what is mounted.
func now(t *testing.T) []MountPoint {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return ParseMounts(string(text))
}

func TestParseMounts(t *testing.T) {
	got := ParseMounts("36 35 98:0 /m /a\\040b\\134c rw,nosuid,idmapped shared:1 - ext3 /dev/root rw,errors=continue\nno line of it\n" +
		"37 36 0:5 / / ro - tmpfs aaau-session rw\n")
	want := []MountPoint{{"36", `/a b\c`, "rw,nosuid,idmapped", "ext3", "/dev/root"}, {"37", "/", "ro", "tmpfs", "aaau-session"}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	if !got[0].Idmapped() || got[1].Idmapped() || (MountPoint{Options: "rw,notidmapped"}).Idmapped() {
		t.Error("which of them are idmapped is not told")
	}
}

func TestLockRefusals(t *testing.T) {
	dir := tree(t)
	for name, target := range map[string]string{"link": "/etc/passwd", "away": "../..", "dirlink": ".git"} {
		if err := os.Symlink(target, dir+"/"+name); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(dir+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir+"/fifo", human, humans); err != nil {
		t.Fatal(err)
	}
	at := mounted(t, dir, false)
	for _, path := range []string{"nothing", "link", "away/x", "dirlink/config", "../x", "/etc/passwd", "fifo"} {
		if err := Lock(at, []string{path}, agent, agents); err == nil {
			t.Errorf("%s can be locked", path)
		}
	}
}

func TestGroupMap(t *testing.T) {
	for want, o := range map[string]Owner{
		"100 991 1\n":                          {GID: 100},
		"100 991 1\n5 5 1\n7 7 3\n":            {GID: 100, Groups: []uint32{9, 5, 8, 7, 100, 7}},
		"100 991 1\n990 990 1\n992 992 1\n":    {GID: 100, Groups: []uint32{992, 991, 990}}, // the agent's own cannot be mapped twice
		"100 991 1\n4294967294 4294967294 1\n": {GID: 100, Groups: []uint32{4294967294}},
	} {
		if got := groupMap(o, agents); got != want {
			t.Errorf("%+v: %q", o, got)
		}
	}
	var many []uint32
	for i := range uint32(1000) {
		many = append(many, 100000+2*i)
	}
	if got := groupMap(Owner{GID: 5, Groups: many}, agents); len(got) > maxMap || len(got) < maxMap-50 || !strings.HasSuffix(got, "\n") {
		t.Errorf("%d bytes", len(got))
	}
	// The kernel takes the largest of them.
	fd, err := Idmap(Owner{UID: human, GID: 5, Groups: many}, agent, agents)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
}
