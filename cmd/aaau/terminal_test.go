package main

import (
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// Whatever ends a goroutine, the terminal is as it was found.
func TestTerminalIsGivenBackOnPanic(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	modes := func() unix.Termios {
		m, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		return *m
	}
	before := modes()
	term := newTerminal(slave)
	if err := term.raw(); err != nil {
		t.Fatal(err)
	}
	if modes() == before {
		t.Fatal("not raw")
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is swallowed")
			}
		}()
		term.guard(func() { panic("on purpose") })
	}()
	if modes() != before {
		t.Error("not given back")
	}
}

// What nobody has read when a session is left stays in the terminal, and what was read
// for it is the next session's.
func TestReadingStops(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	term := newTerminal(slave)
	if err := term.raw(); err != nil {
		t.Fatal(err)
	}
	defer term.restore()
	types := func(s string) {
		t.Helper()
		if _, err := master.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	starts := func() {
		t.Helper()
		if err := term.startReading(); err != nil {
			t.Fatal(err)
		}
	}
	comes := func(want string) {
		t.Helper()
		if got := string(<-term.typed); got != want {
			t.Fatalf("%q comes, not %q", got, want)
		}
	}
	starts()
	types("a")
	comes("a")
	term.stopReading()
	term.stopReading()
	<-term.quitted
	types("b")
	buf := make([]byte, 10)
	if n, err := slave.Read(buf); err != nil || string(buf[:n]) != "b" {
		t.Errorf("%q, %v are left in the terminal", buf[:n], err)
	}
	starts()
	types("c")
	for { // until it is on its way
		if n, err := unix.IoctlGetInt(int(slave.Fd()), unix.TIOCINQ); err != nil || n == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	term.stopReading()
	starts()
	comes("c")
	types("d")
	comes("d")
	if err := master.Close(); err != nil {
		t.Fatal(err)
	}
	if piece, open := <-term.typed; open {
		t.Errorf("%q after the terminal's end", piece)
	}
	term.stopReading()
}
