package launcher

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// namespaces starts a process in namespaces of its own, and returns what opens one of
// them.
func namespaces(t *testing.T, attr *syscall.SysProcAttr) func(name string) int {
	t.Helper()
	cmd := exec.Command("cat")
	cmd.SysProcAttr = attr
	hold, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hold.Close(); _ = cmd.Wait() })
	return func(name string) int {
		fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/%s", cmd.Process.Pid, name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
}

func TestCheckNamespace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test makes namespaces: run it as root (sudo make check)")
	}
	roots := namespaces(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID})
	anybodys := namespaces(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWUSER})
	ours := namespaces(t, nil)
	p, err := os.Open("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for name, c := range map[string]struct {
		fd   int
		good bool
	}{
		"a session's":             {roots("mnt"), true},
		"another kind":            {roots("pid"), false},
		"of a user namespace":     {anybodys("mnt"), false},
		"a user namespace itself": {anybodys("user"), false},
		"our own":                 {ours("mnt"), false},
		"a file":                  {int(p.Fd()), false},
	} {
		if err := checkNamespace(c.fd); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
