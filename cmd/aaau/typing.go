package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// startReading has what is typed come on t.typed, in pieces, until the input's end
// closes it; or until stopReading. What nobody has read by then is not ours: it stays
// where it is, for the person's shell or whoever is next.
func (t *terminal) startReading() error {
	wake, quit, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("preparing to read the terminal: %w", err)
	}
	typed, stop, ended := make(chan []byte), make(chan struct{}), make(chan struct{})
	before := t.quitted
	t.typed, t.quitted = typed, ended
	t.quit = sync.OnceFunc(func() {
		close(stop)
		quit.Close()
	})
	go t.guard(func() {
		defer close(ended)
		defer wake.Close()
		defer close(typed)
		if before != nil {
			<-before
		}
		t.read(int(wake.Fd()), typed, stop)
	})
	return nil
}

// stopReading may be called more than once. A piece that was on its way is the next
// session's, if there is one.
func (t *terminal) stopReading() { t.quit() }

// read looks before it reads, which cannot be taken back. It ends when wake has an end
// and stop is closed.
func (t *terminal) read(wake int, typed chan<- []byte, stop <-chan struct{}) {
	t.mu.Lock()
	piece := t.ahead
	t.ahead = nil
	t.mu.Unlock()
	buf, in := make([]byte, 32<<10), int(t.f.Fd())
	for {
		if len(piece) > 0 {
			select {
			case typed <- piece:
			case <-stop:
				t.mu.Lock()
				t.ahead = piece
				t.mu.Unlock()
				return
			}
		}
		ready := []unix.PollFd{{Fd: int32(in), Events: unix.POLLIN}, {Fd: int32(wake), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, -1); err != nil && err != unix.EINTR || ready[1].Revents != 0 {
			return
		}
		if piece = nil; ready[0].Revents == 0 {
			continue
		}
		n, err := t.f.Read(buf)
		if piece = bytes.Clone(buf[:max(n, 0)]); err != nil && !errors.Is(err, unix.EAGAIN) { // somebody else has read it
			return
		}
	}
}
