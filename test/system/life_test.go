package system

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestInterrupt(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	s.foreground("sleep 100", "sleep")
	s.typed("\x03")
	if _, status := s.prompt(); status != 130 {
		t.Errorf("after ^C the status is %d, not 130", status)
	}
	s.foreground("sleep 100", "sleep")
	s.typed("\x1c")
	if _, status := s.prompt(); status != 131 {
		t.Errorf(`after ^\ the status is %d, not 131`, status)
	}
	s.close()
}

func TestJobControl(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	sleep := s.foreground("sleep 100", "sleep")
	s.typed("\x1a")
	if out, status := s.prompt(); status != 148 || !strings.Contains(out, "Stopped") {
		t.Errorf("^Z: status %d, %q", status, out)
	}
	find(t, s.id, "sleep", func(p process) bool { return p.state == "T" })
	for _, step := range []struct{ line, want string }{
		{"jobs", "Stopped"},
		{"bg", "sleep 100 &"},
		{"jobs", "Running"},
	} {
		if out, status := s.do(step.line); status != 0 || !strings.Contains(out, step.want) {
			t.Errorf("%s: status %d, %q without %q", step.line, status, out, step.want)
		}
	}
	again := s.foreground("fg", "sleep")
	if again.pid != sleep.pid {
		t.Errorf("another sleep is in the foreground: %v, not %v", again, sleep)
	}
	s.typed("\x03")
	if _, status := s.prompt(); status != 130 {
		t.Errorf("after fg and ^C the status is %d, not 130", status)
	}
	s.close()
}

// As PID 1 of a namespace bash would not even hear this.
func TestShellKillsItself(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	s.typed("kill -9 $$\r")
	s.ends(137)
}

// Go programs ignore or catch SIGPIPE easily, and what is ignored is inherited.
func TestBrokenPipe(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	s.prints(`yes | head -n1; echo ${PIPESTATUS[*]}`, "y\n141 0")
	s.close()
}

func TestTerminalByItsName(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	s.prints(`echo there and back > $(tty)`, "there and back")
	s.prints(`echo the same >/dev/tty`, "the same")
	s.close()
}

// The bridge's and the launcher's own limits are larger, and not for agents:
// select(2) fails beyond 1024.
func TestOpenFilesLimit(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	s.prints(`ulimit -n`, "1024")
	s.close()
}

func TestEndOfInput(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	s.foreground("cat", "cat")
	s.typed("some words\r")
	s.expect("some words\r\nsome words\r\n") // echo, and cat
	s.typed("\x04")
	if _, status := s.prompt(); status != 0 {
		t.Errorf("cat ended with status %d", status)
	}
	s.typed("\x04")
	s.ends(0) // the shell too
}

// A terminal without IUTF8 takes one byte of the letter, and leaves half of it.
func TestBackspaceTakesAWholeLetter(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	s.foreground("head -n1 | od -An -tx1", "head")
	back := string(rune(s.modes().Cc[unix.VERASE])) // of this terminal, and so of the session's
	s.typed("ä" + back + "b日" + back + "\r")
	if out, _ := s.prompt(); !strings.Contains(out, " 62 0a\n") {
		t.Errorf("head read %q, not 62 0a", out)
	}
	s.prints("echo [äö\x7f]", "[ä]")
	s.close()
}

func TestTmux(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	s.typed("tmux -f /dev/null\r")
	s.expect("[0] 0:bash")
	s.typed("echo in-$((20+3))-tmux\r")
	s.expect("in-23-tmux")
	s.typed("exit\r")
	s.expect("[exited]")
	if _, status := s.prompt(); status != 0 {
		t.Errorf("tmux ended with status %d", status)
	}
	s.close()
}
