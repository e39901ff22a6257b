package peer

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// unset is the login uid of processes that nobody's login has led to, as those of services.
const unset = ^uint32(0)

// Login is as who the user came to the machine who is at the other end of fd: it stays
// the same through su(1) and sudo(8). False if that is not known: the process has ended,
// or is of no login, or the kernel keeps none (CONFIG_AUDIT). p is the connection's, of
// Of; fd stays the caller's.
func Login(fd int, p Peer) (uid uint32, ok bool) {
	process, err := peerProcess(fd, p)
	if err != nil {
		return 0, false
	}
	defer unix.Close(process)
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/loginuid", p.PID))
	if err != nil {
		return 0, false
	}
	// While the process is there, and be it a zombie, nobody else has its number.
	if err := unix.PidfdSendSignal(process, 0, nil, 0); err != nil && !errors.Is(err, unix.EPERM) {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	return uint32(n), err == nil && uint32(n) != unset
}

// peerProcess is a pidfd of the process that connected.
func peerProcess(fd int, p Peer) (pidfd int, err error) {
	pidfd, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if errors.Is(err, unix.ENOPROTOOPT) { // before Linux 6.5
		return processOf(p)
	}
	return pidfd, err
}

// processOf is one of the process that has p's number now. It may be another than the one
// that connected; if so, of the same user.
func processOf(p Peer) (pidfd int, err error) {
	if pidfd, err = unix.PidfdOpen(int(p.PID), 0); err != nil {
		return -1, err
	}
	var st unix.Stat_t
	err = unix.Stat(fmt.Sprintf("/proc/%d", p.PID), &st)
	if err == nil && st.Uid != p.UID {
		err = unix.ESRCH
	}
	if err != nil {
		unix.Close(pidfd)
		return -1, err
	}
	return pidfd, nil
}
