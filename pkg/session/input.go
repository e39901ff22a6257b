package session

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

var (
	// ErrEnded is for input that comes too late.
	ErrEnded = errors.New("the session has ended")
	// ErrInputClosed is for input that nobody reads any more: the program has closed
	// its own, or CloseInput was called.
	ErrInputClosed = errors.New("the session's input is closed")
	// ErrGivenUp is for input that the program has not read while anybody wanted it to.
	ErrGivenUp = errors.New("the program did not read its input")
)

// asking is how often those who wait for the program to read are asked whether they
// still do.
const asking = time.Second

// Write types data into the terminal, or writes it to the program's input, and
// returns when all of it was taken: which may be never while the program does not
// read, but for the session's end. What several writers write is never mixed within
// one Write.
func (s *Session) Write(data []byte) error { return s.Type(nil, data, nil) }

// Type is Write for a client, that has a place or not. While the program does not read
// still is asked time and again whether to go on; nil is for ever.
func (s *Session) Type(at *Place, data []byte, still func() bool) error {
	return s.TypeAfter(at, data, still, func() error { return nil })
}

// TypeAfter is Type with something that is done first, when nobody else types: so the order
// in which several writers do that is the order of what they type. Its error is returned,
// and nothing is typed.
func (s *Session) TypeAfter(at *Place, data []byte, still func() bool, first func() error) error {
	if at != nil {
		at.typing.Lock()
		defer at.typing.Unlock()
	}
	if !s.turn(still) {
		return ErrGivenUp
	}
	defer func() { <-s.typing }()
	if err := first(); err != nil {
		return err
	}
	at.intends(len(data))
	n, err := s.write(data, still)
	at.done(n)
	return err
}

// write says how much of data was taken.
func (s *Session) write(data []byte, still func() bool) (taken int, err error) {
	for {
		s.input.SetWriteDeadline(time.Now().Add(asking))
		n, err := s.input.Write(data[taken:])
		taken += n
		if err == nil {
			return taken, nil
		}
		select {
		case <-s.gone:
			return taken, ErrEnded
		default:
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && (still == nil || still()):
		case errors.Is(err, os.ErrDeadlineExceeded):
			return taken, ErrGivenUp
		case s.Pipes:
			return taken, ErrInputClosed
		default:
			return taken, ErrEnded // a terminal fails only by ending
		}
	}
}

// turn waits until nobody else types; false if it is given up before.
func (s *Session) turn(still func() bool) bool {
	for {
		select {
		case s.typing <- struct{}{}:
			return true
		case <-time.After(asking):
			if still != nil && !still() {
				return false
			}
		}
	}
}

// TryWrite is Write for what may be lost: it waits for nobody, and says how many of the
// bytes were written.
func (s *Session) TryWrite(data []byte) (n int) {
	select {
	case s.typing <- struct{}{}:
	default:
		return 0
	}
	defer func() { <-s.typing }()
	return s.WriteInTurn(data)
}

// WriteInTurn is TryWrite for what TypeAfter does first.
func (s *Session) WriteInTurn(data []byte) (n int) {
	raw, err := s.input.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { n, _ = unix.Write(int(fd), data) })
	return max(n, 0)
}

// CloseInput ends the program's input, after what is being written. On a terminal it
// does nothing: there one types that input has an end. More than once is as good as
// once.
func (s *Session) CloseInput() error { return s.EndInput(nil) }

// EndInput is CloseInput for a client: see Type.
func (s *Session) EndInput(still func() bool) error {
	if !s.Pipes {
		return nil
	}
	if !s.turn(still) {
		return ErrGivenUp
	}
	defer func() { <-s.typing }()
	if err := s.input.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
