package system

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What every program of the machine may write to, one session must not share with another.
func TestSessionsShareNoDirectory(t *testing.T) {
	begin(t)
	var made []string
	for _, dir := range []string{"/run/lock", "/run/screen", "/var/crash", "/var/metrics", "/var/spool/samba"} {
		fi, err := os.Stat(dir)
		if errors.Is(err, os.ErrNotExist) {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
		} else if err == nil {
			t.Cleanup(func() { os.Chmod(dir, fi.Mode()) })
		}
		if err := os.Chmod(dir, os.ModeSticky|0o777); err != nil {
			t.Fatal(err)
		}
		made = append(made, dir)
	}
	first, second := openShell(t, as(t, "operator")), openShell(t, as(t, "observer"))
	for _, dir := range made {
		first.prints("echo secret >"+dir+"/ours && cat "+dir+"/ours", "secret")
		second.prints("test -e "+dir+"/ours; echo $?", "1")
		if _, err := os.Lstat(dir + "/ours"); err == nil {
			t.Errorf("the machine has the session's %s/ours", dir)
		}
	}
	second.close()
	first.close()
}

// A search for what everybody may write to finds nothing in a session that is the machine's.
func TestNothingOfTheMachineIsWritable(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	// -xdev is of no use: what is looked for may be a mount.
	s.do(`find / \( -path /proc -o -path /sys -o -path /tmp -o -path /var/tmp -o -path /dev/shm -o -path /dev/pts -o -path /dev/mqueue` +
		` -o -path /run/lock -o -path /run/user -o -path /run/screen -o -path "$HOME" \) -prune` +
		` -o ! -type l ! -type c -writable -print >/tmp/found 2>/dev/null`)
	out, _ := s.do("cat /tmp/found")
	// The journal takes what is told it, and names are looked up; who may connect to a bridge is
	// for that to say.
	known := []string{"/run/systemd/journal/", "/run/systemd/resolve/", "/run/systemd/userdb/", "/run/nscd/", "/run/aaau/"}
	for line := range strings.Lines(plain(out)) {
		name := strings.TrimSpace(line)
		if name != "" && !slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(name, k) }) {
			t.Errorf("a session may write to %q", name)
		}
	}
	s.prints("ls -A /run/dbus 2>/dev/null | wc -l; ls -A /run/systemd/io.* 2>/dev/null | wc -l; test -d /run/systemd/system; echo $?", "0\n0\n0")
	s.prints("logger hello; echo $?", "0") // the journal is there
	s.close()
}

// Queues are the session's own, also in the directory that shows them.
func TestSessionsShareNoQueue(t *testing.T) {
	begin(t)
	if _, err := os.Stat("/dev/mqueue"); err != nil {
		if err := os.Mkdir("/dev/mqueue", 0o1777); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove("/dev/mqueue") })
	}
	first, second := openShell(t, as(t, "operator")), openShell(t, as(t, "observer"))
	first.prints("touch /dev/mqueue/ours && ls /dev/mqueue", "ours")
	second.prints("ls /dev/mqueue", "")
	second.close()
	first.close()
}

// An abstract socket has no file. Where the kernel can, a session reaches its own only; where it
// cannot, SECURITY.md says that they are shared.
func TestAbstractSockets(t *testing.T) {
	begin(t)
	version, _, _ := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	want := "operation not permitted"
	if int(version) < 6 { // Linux 6.12
		want = "connected"
	}
	first, second := openShell(t, as(t, "operator")), openShell(t, as(t, "observer"))
	first.do(helper + " abstract listen aaau-ours &")
	first.prints("until "+helper+" abstract dial aaau-ours | grep -q connected; do sleep 0.05; done; echo reached", "reached")
	second.prints(helper+" abstract dial aaau-ours", want)
	second.close()
	first.do("kill %1")
	first.close()
}

// abstractSocket listens on an abstract socket of a name, or connects to one and says how that
// went.
func abstractSocket(args []string) int {
	address := &net.UnixAddr{Name: "@" + args[1], Net: "unix"}
	if args[0] == "listen" {
		l, err := net.ListenUnix("unix", address)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		for {
			c, err := l.Accept()
			if err != nil {
				return 1
			}
			c.Close()
		}
	}
	c, err := net.DialUnix("unix", nil, address)
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		fmt.Println(errno)
		return 0
	}
	c.Close()
	fmt.Println("connected")
	return 0
}

// A session that opens all terminals it can get leaves some for others.
func TestTerminalsAreDivided(t *testing.T) {
	begin(t)
	first := openShell(t, as(t, "operator"))
	first.prints(helper+" ptys 1000", "127: no space left on device") // its own is the 128th
	// They are held while another person's session begins.
	first.do(helper + " ptys 1000 hold & until test -e /dev/pts/127; do sleep 0.05; done")
	second := openShell(t, as(t, "observer"))
	second.prints("tty", "/dev/pts/0")
	second.prints(helper+" ptys 5", "5: none was refused")
	second.close()
	first.do("kill %1; wait")
	first.close()
}

// openTerminals opens so many terminals, and says how many it got and why no more; with "hold" it
// keeps them until it is killed.
func openTerminals(args []string) int {
	most, err := strconv.Atoi(args[0])
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for n := range most {
		if _, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0); err != nil {
			if len(args) > 1 {
				select {}
			}
			fmt.Printf("%d: %v\n", n, err)
			return 0
		}
	}
	fmt.Printf("%d: none was refused\n", most)
	return 0
}
