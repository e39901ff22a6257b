package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

const (
	// patience is how long any one answer may take, in place of a hang.
	patience = 20 * time.Second
	// stillness without output means that a client has said all for now.
	stillness = 2 * time.Millisecond
)

// client is a subject's client on a PTY of its own, which is driven here as a
// person's terminal would. Every client is to be closed.
type client struct {
	name   string
	cmd    *exec.Cmd
	master *os.File
	began  int64         // just before it was started, as now() has it
	ended  int64         // just after its exit was heard of; valid when exited is closed
	exited chan struct{} // closed when it was waited for
	heard  []byte        // read, and not yet expected
	buf    []byte
}

// startClient starts the subject's client with a program's mode.
func startClient(s subject, mode string) (*client, error) {
	master, slave, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("opening a PTY: %w", err)
	}
	defer slave.Close()
	err = errors.Join(
		pty.Setsize(master, &pty.Winsize{Rows: 40, Cols: 120}),
		slave.Chown(int(s.attr.Credential.Uid), -1))
	if err != nil {
		master.Close()
		return nil, fmt.Errorf("preparing a PTY: %w", err)
	}
	argv := s.argv(mode)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	attr := s.attr
	attr.Setsid, attr.Setctty = true, true
	cmd.SysProcAttr, cmd.Env, cmd.Dir = &attr, s.env, "/"
	c := &client{name: s.name, cmd: cmd, master: master, exited: make(chan struct{}), buf: make([]byte, 64<<10)}
	c.began = now()
	if err := cmd.Start(); err != nil {
		master.Close()
		return nil, fmt.Errorf("starting %s: %w", s.name, err)
	}
	go func() {
		cmd.Wait() // its status is the program's, and the program has said how it went
		c.ended = now()
		close(c.exited)
	}()
	return c, nil
}

// close ends the client if it has not ended, and waits for that.
func (c *client) close() {
	c.cmd.Process.Kill()
	<-c.exited
	c.master.Close()
}

// errEnded is returned at the end of the client's terminal.
var errEnded = errors.New("it has ended")

// read waits for output until the deadline, an instant of now().
func (c *client) read(deadline int64) ([]byte, error) {
	p := []unix.PollFd{{Fd: int32(c.master.Fd()), Events: unix.POLLIN}}
	for {
		left := unix.NsecToTimespec(max(0, deadline-now()))
		n, err := unix.Ppoll(p, &left, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, fmt.Errorf("ppoll: %w", err)
		case n == 0:
			return nil, os.ErrDeadlineExceeded
		}
		switch n, err := unix.Read(int(p[0].Fd), c.buf); {
		case err == unix.EINTR:
		case err == unix.EIO || err == nil && n == 0: // how a PTY says it
			return nil, errEnded
		case err != nil:
			return nil, fmt.Errorf("reading the terminal: %w", err)
		default:
			return c.buf[:n], nil
		}
	}
}

func (c *client) fail(waiting string, err error) error {
	last := c.heard[max(0, len(c.heard)-300):]
	return fmt.Errorf("%s: waiting for %s: %w; the last that it said: %q", c.name, waiting, err, last)
}

// expect waits until text was read, and returns what stood before it, valid until
// the next read, and the moment.
func (c *client) expect(text string) (before []byte, at int64, err error) {
	deadline := now() + patience.Nanoseconds()
	for {
		if before, after, found := bytes.Cut(c.heard, []byte(text)); found {
			c.heard = after
			return before, now(), nil
		}
		b, err := c.read(deadline)
		if err != nil {
			return nil, 0, c.fail(fmt.Sprintf("%q", text), err)
		}
		c.heard = append(c.heard, b...)
	}
}

// expectMark waits for a marker, and returns when it was read and when it was
// printed.
func (c *client) expectMark(name string) (at, printed int64, err error) {
	if _, at, err = c.expect(markOpen(name)); err != nil {
		return 0, 0, err
	}
	digits, _, err := c.expect(markClose)
	if err != nil {
		return 0, 0, err
	}
	printed, err = strconv.ParseInt(string(digits), 10, 64)
	return at, printed, err
}

// settle reads until the client is still.
func (c *client) settle() error {
	for {
		b, err := c.read(now() + stillness.Nanoseconds())
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.heard = c.heard[:0]
			return nil
		}
		if err != nil {
			return c.fail("stillness", err)
		}
		c.heard = append(c.heard, b...)
	}
}

// drain reads until the text end, and returns how many bytes stood before it and
// how long they took from the first one on.
func (c *client) drain(end string) (arrived int, seconds float64, err error) {
	deadline := now() + 3*patience.Nanoseconds()
	var began int64
	for {
		b, err := c.read(deadline)
		if err != nil {
			return 0, 0, c.fail("the end of its output", err)
		}
		if began == 0 {
			began = now()
		}
		c.heard = append(c.heard, b...)
		at := bytes.Index(c.heard, []byte(end))
		passed := at
		if at < 0 { // its beginning may be there
			passed = max(0, len(c.heard)-len(end))
		}
		arrived += passed
		c.heard = c.heard[:copy(c.heard, c.heard[passed:])]
		if at >= 0 {
			return arrived, float64(now()-began) / 1e9, nil
		}
	}
}

// press types a key.
func (c *client) press(key byte) error {
	if _, err := c.master.Write([]byte{key}); err != nil {
		return fmt.Errorf("typing into %s: %w", c.name, err)
	}
	return nil
}

// finish has the program end and returns when it said so and when the client
// was gone.
func (c *client) finish() (said, gone int64, err error) {
	if err := c.press(endKey); err != nil {
		return 0, 0, err
	}
	if _, said, err = c.expectMark(markEnd); err != nil {
		return 0, 0, err
	}
	gone, err = c.awaitExit()
	return said, gone, err
}

func (c *client) awaitExit() (gone int64, err error) {
	deadline := now() + patience.Nanoseconds()
	for err == nil {
		_, err = c.read(deadline)
	}
	if !errors.Is(err, errEnded) {
		return 0, c.fail("its exit", err)
	}
	select {
	case <-c.exited:
		return c.ended, nil
	case <-time.After(patience):
		return 0, c.fail("its exit", os.ErrDeadlineExceeded)
	}
}
