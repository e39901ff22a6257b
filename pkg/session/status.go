package session

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// maxStatus bounds what the stage says at a time, in bytes.
const maxStatus = 16 << 10

// hearAgain is how long after a want of descriptors or memory it is tried to hear again.
const hearAgain = 100 * time.Millisecond

// pipe2 is the kernel's; a test has it fail.
var pipe2 = unix.Pipe2

// hear tells what a stage says, line by line, until it says no more. A line is taken
// out of the pipe only when it was told (tee(2)): should we die between, the next to
// hear it hears it again.
func hear(status *os.File, tell func(privsep.Status)) {
	raw, err := status.SyscallConn()
	if err != nil {
		return
	}
	var copied [2]int
	// Without this pipe the stage cannot be heard, and a session would be told to have been
	// killed that has another end. So it is tried until there is one, or the session is
	// abandoned.
	for pipe2(copied[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		if raw.Control(func(uintptr) {}) != nil {
			return
		}
		time.Sleep(hearAgain)
	}
	defer unix.Close(copied[0])
	defer unix.Close(copied[1])
	buf := make([]byte, maxStatus)
	for {
		n, err := int64(0), error(nil)
		err2 := raw.Read(func(fd uintptr) bool {
			n, err = unix.Tee(int(fd), copied[1], maxStatus, unix.SPLICE_F_NONBLOCK)
			return err != unix.EAGAIN
		})
		if err == unix.EINTR {
			continue
		}
		if err == unix.ENOMEM && err2 == nil {
			time.Sleep(hearAgain)
			continue
		}
		if n <= 0 || err != nil || err2 != nil {
			return
		}
		got, err := unix.Read(copied[0], buf[:n])
		if err != nil || int64(got) != n {
			return
		}
		whole := bytes.LastIndexByte(buf[:n], '\n') + 1 // lines come whole: pipe(7), PIPE_BUF
		for line := range bytes.Lines(buf[:whole]) {
			var st privsep.Status
			if json.Unmarshal(line, &st) != nil {
				return
			}
			tell(st)
		}
		if _, err := io.ReadFull(status, buf[:whole]); err != nil || whole == 0 {
			return
		}
	}
}
