package session

import (
	"errors"
	"io"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/tape"
)

// track is one way of what the program writes.
type track struct {
	from *os.File
	tape *tape.Tape
}

// read moves what the program writes onto the tape, until nobody can write any more:
// a pipe then has an end, and a terminal EIO (tty_ioctl(4) has no word on it; see
// pty(7)). Once gone is closed it waits for that no longer than linger; follow makes it
// look.
func (t track) read(gone <-chan struct{}) {
	left := int64(maxLeft)
	defer t.tape.Tell()
	for last := false; left > 0; {
		t.tape.Wait(stall)
		select {
		case <-gone:
			last = true
			t.from.SetReadDeadline(time.Now().Add(linger))
		default:
		}
		n, err := t.once()
		if n > 0 {
			t.tape.Advance(n)
		}
		if last {
			left -= int64(n)
		}
		if err != nil && (last || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return
		}
	}
}

// once waits until there is something, and reads exactly what there is: so that who
// takes the tape over knows what a read under way was to return.
func (t track) once() (n int, err error) {
	raw, err := t.from.SyscallConn()
	if err != nil {
		return 0, err
	}
	err2 := raw.Read(func(fd uintptr) bool {
		there, ioctlErr := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
		if ioctlErr == nil && there == 0 {
			// poll(2) of a terminal has the kernel hand over what is on its way, which
			// TIOCINQ does not: so it nearly always finds more of what is printed at full
			// speed, and those who read the tape are not woken for a few bytes.
			p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			if ready, pollErr := unix.Poll(p, 0); pollErr == nil && ready == 0 {
				// Those who read the tape have their turn; a program that prints without end
				// has printed more by then, and one need not sleep.
				t.tape.Tell()
				runtime.Gosched()
				if ready, pollErr := unix.Poll(p, 0); pollErr == nil && ready == 0 {
					return false
				}
			}
			// It has come just now; or nothing will, and the read says so.
			there, ioctlErr = unix.IoctlGetInt(int(fd), unix.TIOCINQ)
		}
		if err = ioctlErr; err != nil { // EIO: a terminal's end
			return true
		}
		space := t.tape.Space(min(max(there, 1), tape.MaxChunk))
		for n, err = unix.Read(int(fd), space); err == unix.EINTR; {
			n, err = unix.Read(int(fd), space)
		}
		if err == unix.EAGAIN {
			n, err = 0, nil
			t.tape.Tell()
			return false
		}
		if n == 0 && err == nil {
			err = io.EOF
		}
		return true
	})
	return max(n, 0), errors.Join(err, err2)
}
