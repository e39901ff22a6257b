package launcher

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/spec"
)

// maxTerminals is how many terminals a session can have open at a time, its own included. The
// kernel has some 3000 for all sessions together (kernel.pty.max less kernel.pty.reserve).
const maxTerminals = 128

// newDevpts makes a devpts instance, whose terminals are owned by uid:gid with mode
// 0620. As each session has its own instance and only it mounts that, one agent has
// no name for another's terminal. The mount is attached nowhere; the caller closes
// it.
func newDevpts(uid, gid uint32) (mount int, err error) {
	fs, err := unix.Fsopen("devpts", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("fsopen devpts: %w", err)
	}
	defer unix.Close(fs)
	for _, o := range [][2]string{
		{"uid", strconv.FormatUint(uint64(uid), 10)}, {"gid", strconv.FormatUint(uint64(gid), 10)},
		{"mode", "0620"}, {"ptmxmode", "0666"}, {"max", strconv.Itoa(maxTerminals)},
	} {
		if err := unix.FsconfigSetString(fs, o[0], o[1]); err != nil {
			return -1, fmt.Errorf("devpts option %s: %w", o[0], err)
		}
	}
	if err := unix.FsconfigSetFlag(fs, "newinstance"); err != nil {
		return -1, fmt.Errorf("devpts option newinstance: %w", err)
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("making a devpts: %w", err)
	}
	mount, err = unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return -1, fmt.Errorf("fsmount devpts: %w", err)
	}
	return mount, nil
}

// addTerminal makes the first PTY of the devpts instance, of the given size, and with the
// modes of the person's own terminal where these are known.
func (s *streams) addTerminal(size spec.Size, modes spec.Modes) error {
	master, err := unix.Openat(s.devpts, "ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("opening ptmx: %w", err)
	}
	s.bridge = []int{master}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return fmt.Errorf("unlocking the terminal: %w", err)
	}
	if err := unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Cols, Xpixel: size.XPixel, Ypixel: size.YPixel}); err != nil {
		return fmt.Errorf("sizing the terminal: %w", err)
	}
	// The flags are the argument itself (ioctl_tty(2)).
	slave, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER,
		unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return fmt.Errorf("TIOCGPTPEER: %w", errno)
	}
	s.program = []int{int(slave)}
	now, err := unix.IoctlGetTermios(int(slave), unix.TCGETS)
	if err != nil {
		return fmt.Errorf("reading the terminal's modes: %w", err)
	}
	now.Iflag |= unix.IUTF8 // Backspace at a prompt takes a whole character (termios(3))
	modes.Apply(now)
	if err := unix.IoctlSetTermios(int(slave), unix.TCSETS, now); err != nil {
		return fmt.Errorf("setting the terminal's modes: %w", err)
	}
	return nil
}
