package main

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// What is read from our standard streams, and written to them, goes through these. A terminal's
// input is read by terminal.read.
var stdin, stdout, stderr = standard{&os.Stdin}, standard{&os.Stdout}, standard{&os.Stderr}

// standard is a standard stream. Others have it too, and one of them may make it non-blocking
// at any time, as node does with a pipe. Then it is waited for until it has more, or takes more.
type standard struct{ f **os.File }

func (s standard) Read(p []byte) (int, error) {
	for {
		n, err := (*s.f).Read(p)
		if !errors.Is(err, unix.EAGAIN) {
			return n, err
		}
		if err := s.await(unix.POLLIN); err != nil {
			return n, err
		}
	}
}

func (s standard) Write(p []byte) (n int, err error) {
	for {
		wrote, err := (*s.f).Write(p[n:])
		n += max(wrote, 0)
		if !errors.Is(err, unix.EAGAIN) {
			return n, err
		}
		if err := s.await(unix.POLLOUT); err != nil {
			return n, err
		}
	}
}

// await waits until the stream is ready for an event of poll(2).
func (s standard) await(event int16) error {
	raw, err := (*s.f).SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) {
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: event}}, -1) // what is wrong the next Read or Write says
	})
}

func (s standard) WriteString(text string) (int, error) { return s.Write([]byte(text)) }
