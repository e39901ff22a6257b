package system

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func init() { programs["lease"] = takeLease }

// takeLease asks for a lease on a file of its own, and says how that went.
func takeLease(args []string) int {
	fd, err := unix.Open(args[0], unix.O_RDWR|unix.O_CREAT, 0o644)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_WRLCK)
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		err = errno
	}
	fmt.Println(err)
	return 0
}

// A lease on a person's file would keep them waiting whenever they open it.
func TestNoLeaseOnPeoplesFiles(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	dir := tree(t, operator, "project")
	if got := output(t, operator, helper, "lease", dir+"/own"); got != "<nil>" {
		t.Fatalf("a person gets none either: %s", got)
	}
	if got := inside(t, operator, dir, helper+" lease theirs"); got != "invalid argument" {
		t.Errorf("a program in a session gets a lease: %s", got)
	}
}
