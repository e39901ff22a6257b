package peer

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// accepted makes a real connection and returns both ends' descriptors.
func accepted(t *testing.T) (path string, server, client int) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close(); c.Close(); s.Close() })
	return path, fdOf(t, s), fdOf(t, c)
}

func fdOf(t *testing.T, c net.Conn) (n int) {
	t.Helper()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { n = int(fd) }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOf(t *testing.T) {
	_, server, _ := accepted(t)
	p, err := Of(server)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	if int(p.UID) != os.Getuid() || int(p.GID) != os.Getgid() || int(p.PID) != os.Getpid() || len(p.Groups) != len(groups) {
		t.Errorf("%+v, but we are %d:%d %v", p, os.Getuid(), os.Getgid(), groups)
	}
	for _, g := range groups {
		if !slices.Contains(p.Groups, uint32(g)) || !p.In(uint32(g)) {
			t.Errorf("group %d is missing in %v", g, p.Groups)
		}
	}
	if _, err := Of(0); err == nil {
		t.Error("standard input has a peer")
	}
}

func TestListenerFile(t *testing.T) {
	path, server, client := accepted(t)
	name, st, err := ListenerFile(server)
	if err != nil {
		t.Fatal(err)
	}
	var want unix.Stat_t
	if err := unix.Lstat(path, &want); err != nil {
		t.Fatal(err)
	}
	if name != path || st.Ino != want.Ino || st.Dev != want.Dev {
		t.Errorf("%s, inode %d, not %s, inode %d", name, st.Ino, path, want.Ino)
	}
	// The calling end was accepted nowhere: a bridge that calls a service of
	// root's must not pass for root's connection.
	if name, _, err := ListenerFile(client); err == nil {
		t.Errorf("the calling end is said to be accepted at %s", name)
	}
	// Nor must the listening socket itself, whose peer is said to be its maker: root.
	ln, err := net.Listen("unix", path+".2")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if name, _, err := ListenerFile(int(f.Fd())); err == nil {
		t.Errorf("a listening socket is said to be a connection to %s", name)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	if name, _, err := ListenerFile(fds[0]); err == nil {
		t.Errorf("a socketpair is said to be accepted at %s", name)
	}
}

func TestCookie(t *testing.T) {
	_, server, client := accepted(t)
	dup, err := unix.Dup(server)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dup)
	a, err1 := Cookie(server)
	b, err2 := Cookie(dup)
	c, err3 := Cookie(client)
	if err1 != nil || err2 != nil || err3 != nil || a != b || a == c {
		t.Errorf("%d %d %d, %v %v %v", a, b, c, err1, err2, err3)
	}
}

func TestUse(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test sets a socket's mark: run it as root (sudo make check)")
	}
	_, server, client := accepted(t)
	dup, err := unix.Dup(server)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dup)
	if err := Use(server); err != nil {
		t.Fatal(err)
	}
	if err := Use(dup); err != ErrUsed {
		t.Errorf("again: %v", err)
	}
	if err := Use(client); err != nil {
		t.Errorf("the other end: %v", err)
	}
}

func TestHungUp(t *testing.T) {
	_, server, client := accepted(t)
	if gone, err := HungUp(server); gone || err != nil {
		t.Errorf("alive: %v %v", gone, err)
	}
	if err := unix.Shutdown(client, unix.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	if gone, err := HungUp(server); !gone || err != nil {
		t.Errorf("gone: %v %v", gone, err)
	}
}
