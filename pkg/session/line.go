package session

import "golang.org/x/sys/unix"

// MaxLine is the longest line, in bytes without its end, that a terminal takes which
// collects lines for its program (canonical mode, termios(3)). The kernel drops the rest.
const MaxLine = 4095

// modes are the terminal's as the program has set them; false with pipes, and when the
// session has ended.
func (s *Session) modes() (*unix.Termios, bool) {
	if s.Pipes {
		return nil, false
	}
	raw, err := s.input.SyscallConn()
	if err != nil {
		return nil, false
	}
	var modes *unix.Termios
	err2 := raw.Control(func(fd uintptr) { modes, err = unix.IoctlGetTermios(int(fd), unix.TCGETS) }) // the slave's: tty_ioctl(4)
	return modes, err == nil && err2 == nil
}

// AsksSecret says whether the terminal takes a line without showing it, as programs have
// it that ask for a password.
func (s *Session) AsksSecret() bool {
	modes, ok := s.modes()
	return ok && modes.Lflag&unix.ICANON != 0 && modes.Lflag&unix.ECHO == 0
}

// TakesLines says whether the terminal collects lines for the program, rather than that
// the program reads each key; and whether a carriage return, which Enter sends, ends one.
func (s *Session) TakesLines() (lines, byReturn bool) {
	modes, ok := s.modes()
	if !ok || modes.Lflag&unix.ICANON == 0 {
		return false, true
	}
	return true, modes.Iflag&unix.ICRNL != 0 && modes.Iflag&unix.IGNCR == 0
}

// Unread is how many bytes of what was typed the program has not read yet; 0 where that is
// not known. The kernel tells it at the program's end of the terminal only, which is
// opened for that, and closed again.
func (s *Session) Unread() (n int) {
	if s.Pipes {
		return 0
	}
	raw, err := s.input.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { // it fails once the session has ended
		peer, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC)
		if errno != 0 {
			return
		}
		defer unix.Close(int(peer))
		n, _ = unix.IoctlGetInt(int(peer), unix.TIOCINQ)
	})
	return n
}
