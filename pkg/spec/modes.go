package spec

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// Modes are how a terminal is set: the characters and switches that stty(1) tells, by
// stty's names. A switch is 0 or 1. They travel so that the session's terminal is like
// the person's own: what Backspace sends erases, and ^S stops output only if it does so
// for them.
type Modes map[string]uint8

// maxModes is more than there are.
const maxModes = 64

// characters are the special characters (termios(3), c_cc).
var characters = map[string]int{
	"intr": unix.VINTR, "quit": unix.VQUIT, "erase": unix.VERASE, "kill": unix.VKILL, "eof": unix.VEOF,
	"eol": unix.VEOL, "eol2": unix.VEOL2, "start": unix.VSTART, "stop": unix.VSTOP, "susp": unix.VSUSP,
	"rprnt": unix.VREPRINT, "werase": unix.VWERASE, "lnext": unix.VLNEXT, "discard": unix.VDISCARD,
}

// switches are the flags, each in one of three words. Left out are those that only a serial
// line has; icanon, since a program must begin with a terminal that takes lines; and echo,
// since what is typed without it is taken for a password and left out of the record.
var switches = map[string]struct {
	word func(*unix.Termios) *uint32
	bit  uint32
}{
	"inlcr": {input, unix.INLCR}, "igncr": {input, unix.IGNCR}, "icrnl": {input, unix.ICRNL},
	"ixon": {input, unix.IXON}, "ixany": {input, unix.IXANY}, "ixoff": {input, unix.IXOFF},
	"imaxbel": {input, unix.IMAXBEL}, "iutf8": {input, unix.IUTF8},
	"opost": {output, unix.OPOST}, "onlcr": {output, unix.ONLCR}, "ocrnl": {output, unix.OCRNL},
	"onocr": {output, unix.ONOCR}, "onlret": {output, unix.ONLRET},
	"isig": {local, unix.ISIG}, "iexten": {local, unix.IEXTEN}, "echoe": {local, unix.ECHOE}, "echok": {local, unix.ECHOK},
	"echonl": {local, unix.ECHONL}, "echoctl": {local, unix.ECHOCTL}, "echoke": {local, unix.ECHOKE},
	"noflsh": {local, unix.NOFLSH}, "tostop": {local, unix.TOSTOP},
}

func input(t *unix.Termios) *uint32  { return &t.Iflag }
func output(t *unix.Termios) *uint32 { return &t.Oflag }
func local(t *unix.Termios) *uint32  { return &t.Lflag }

// ModesOf returns the modes of a terminal that is set to t. Of one that takes no lines, some
// program has it to itself, and the switches are that program's: only the characters count.
func ModesOf(t unix.Termios) Modes {
	m := Modes{}
	for name, at := range characters {
		m[name] = t.Cc[at]
	}
	if t.Lflag&unix.ICANON == 0 {
		return m
	}
	for name, s := range switches {
		m[name] = 0
		if *s.word(&t)&s.bit != 0 {
			m[name] = 1
		}
	}
	return m
}

// Apply sets in t what m names, and leaves the rest. Names that are not known mean nothing.
func (m Modes) Apply(t *unix.Termios) {
	for name, value := range m {
		if at, ok := characters[name]; ok {
			t.Cc[at] = value
		}
		if s, ok := switches[name]; ok {
			*s.word(t) &^= s.bit
			if value != 0 {
				*s.word(t) |= s.bit
			}
		}
	}
}

// Check bounds the modes. A name that is not known is no error: a newer client may send it.
func (m Modes) Check() error {
	if len(m) > maxModes {
		return fmt.Errorf("%d modes of a terminal, at most %d", len(m), maxModes)
	}
	for name := range m {
		if len(name) > 16 {
			return fmt.Errorf("no mode of a terminal: %s", strconv.Quote(name[:16]))
		}
	}
	return nil
}
