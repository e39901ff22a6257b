package main

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// What is written to our standard streams goes through these.
var stdout, stderr = standard{&os.Stdout}, standard{&os.Stderr}

// standard is a standard stream to write to. Others have it too, and one of them may make it
// non-blocking at any time, as node does with a pipe. Then it is waited for until it takes more.
type standard struct{ f **os.File }

func (s standard) Write(p []byte) (n int, err error) {
	for {
		wrote, err := (*s.f).Write(p[n:])
		n += max(wrote, 0)
		if !errors.Is(err, unix.EAGAIN) {
			return n, err
		}
		raw, err := (*s.f).SyscallConn()
		if err != nil {
			return n, err
		}
		err = raw.Control(func(fd uintptr) {
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1) // what is wrong the next Write says
		})
		if err != nil {
			return n, err
		}
	}
}

func (s standard) WriteString(text string) (int, error) { return s.Write([]byte(text)) }
