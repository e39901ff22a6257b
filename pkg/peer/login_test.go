package peer

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain lets this binary be a process that connects, and stays until its input ends.
func TestMain(m *testing.M) {
	if path := os.Getenv("PEER_TEST_DIAL"); path != "" {
		if _, err := net.Dial("unix", path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// dialled is a connection of a process that was logged in as uid, where that can be had,
// and what ends that process.
func dialled(t *testing.T, uid string) (fd int, end func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `[ -z "$1" ] || echo "$1" >/proc/self/loginuid; exec "$0"`, os.Args[0], uid)
	cmd.Env, cmd.Stderr = append(os.Environ(), "PEER_TEST_DIAL="+path), os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	end = func() { stdin.Close(); _ = cmd.Wait() }
	t.Cleanup(func() { end(); c.Close(); ln.Close() })
	return fdOf(t, c), end
}

func TestLogin(t *testing.T) {
	ours := ""
	if text, err := os.ReadFile("/proc/self/loginuid"); err == nil { // else the kernel knows no logins
		ours = strings.TrimSpace(string(text))
	}
	logins := []string{""}
	if ours == fmt.Sprint(unset) { // who has a login cannot get another
		logins = append(logins, "4242")
	}
	for _, uid := range logins {
		fd, end := dialled(t, uid)
		p, err := Of(fd)
		if err != nil {
			t.Fatal(err)
		}
		want := uid
		if uid == "" && ours != fmt.Sprint(unset) {
			want = ours
		}
		got, ok := Login(fd, p)
		if ok != (want != "") || ok && fmt.Sprint(got) != want {
			t.Errorf("%d, %v, want %q", got, ok, want)
		}
		end()
		if got, ok := Login(fd, p); ok {
			t.Errorf("a process that is no more is logged in as %d", got)
		}
	}
}

// Where the kernel names a peer by number alone, it is not taken for another user's.
func TestProcessOf(t *testing.T) {
	fd, end := dialled(t, "")
	p, err := Of(fd)
	if err != nil {
		t.Fatal(err)
	}
	pidfd, err := processOf(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.PidfdSendSignal(pidfd, 0, nil, 0); err != nil {
		t.Error(err)
	}
	unix.Close(pidfd)
	other := p
	other.UID++
	if _, err := processOf(other); !errors.Is(err, unix.ESRCH) {
		t.Errorf("of another user: %v", err)
	}
	end()
	if _, err := processOf(p); err == nil {
		t.Error("it has ended")
	}
}
