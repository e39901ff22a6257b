package launcher

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// terminal is one PTY on a devpts instance of its own. All three are
// descriptors, close-on-exec.
type terminal struct {
	master, slave int
	mount         int // the instance, mounted nowhere yet
}

func (t terminal) close() {
	unix.Close(t.master)
	unix.Close(t.slave)
	unix.Close(t.mount)
}

// openTerminal makes a devpts instance and the first PTY on it, of the given
// size, owned by uid:gid with mode 0620. As each session has its own instance
// and only it mounts that, one agent has no name for another's terminal.
//
// The master is made non-blocking here, once, before anybody else has it:
// O_NONBLOCK belongs to the open file description that the bridge will share.
func openTerminal(uid, gid uint32, rows, cols uint16) (t terminal, err error) {
	fs, err := unix.Fsopen("devpts", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return t, fmt.Errorf("fsopen devpts: %w", err)
	}
	defer unix.Close(fs)
	for _, o := range [][2]string{
		{"uid", strconv.FormatUint(uint64(uid), 10)}, {"gid", strconv.FormatUint(uint64(gid), 10)},
		{"mode", "0620"}, {"ptmxmode", "0666"},
	} {
		if err := unix.FsconfigSetString(fs, o[0], o[1]); err != nil {
			return t, fmt.Errorf("devpts option %s: %w", o[0], err)
		}
	}
	if err := unix.FsconfigSetFlag(fs, "newinstance"); err != nil {
		return t, fmt.Errorf("devpts option newinstance: %w", err)
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return t, fmt.Errorf("making a devpts: %w", err)
	}
	t.mount, err = unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return t, fmt.Errorf("fsmount devpts: %w", err)
	}
	defer func() {
		if err != nil {
			unix.Close(t.mount)
		}
	}()
	t.master, err = unix.Openat(t.mount, "ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return t, fmt.Errorf("opening ptmx: %w", err)
	}
	defer func() {
		if err != nil {
			unix.Close(t.master)
		}
	}()
	if err := unix.IoctlSetPointerInt(t.master, unix.TIOCSPTLCK, 0); err != nil {
		return t, fmt.Errorf("unlocking the terminal: %w", err)
	}
	if err := unix.IoctlSetWinsize(t.master, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}); err != nil {
		return t, fmt.Errorf("sizing the terminal: %w", err)
	}
	// The flags are the argument itself (ioctl_tty(2)).
	slave, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(t.master), unix.TIOCGPTPEER,
		unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return t, fmt.Errorf("TIOCGPTPEER: %w", errno)
	}
	t.slave = int(slave)
	defer func() {
		if err != nil {
			unix.Close(t.slave)
		}
	}()
	// IUTF8 makes Backspace at a prompt take a whole character (termios(3)).
	modes, err := unix.IoctlGetTermios(t.slave, unix.TCGETS)
	if err != nil {
		return t, fmt.Errorf("reading the terminal's modes: %w", err)
	}
	modes.Iflag |= unix.IUTF8
	if err := unix.IoctlSetTermios(t.slave, unix.TCSETS, modes); err != nil {
		return t, fmt.Errorf("setting the terminal's modes: %w", err)
	}
	return t, nil
}
