package system

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// However a client ends, the terminal is as the client found it (console.leave
// compares), and the exit status says how.
func TestTerminalIsGivenBack(t *testing.T) {
	for _, test := range []struct {
		name   string
		leave  func(s shell)
		status int
		lives  bool // the session
	}{
		{"exit", func(s shell) { s.typed("exit 3\r") }, 3, false},
		{"agent killed", func(s shell) { s.typed("kill -9 $$\r") }, 137, false},
		{"terminal left raw by the agent", func(s shell) { s.typed("stty raw -echo; exit 0\r") }, 0, false},
		{"detach", func(s shell) { s.typed("\x1d\x1d\x1d") }, 0, true},
		{"SIGTERM", func(s shell) { s.signal(syscall.SIGTERM) }, 143, true},
		{"SIGHUP", func(s shell) { s.signal(syscall.SIGHUP) }, 129, true},
		{"SIGINT", func(s shell) { s.signal(syscall.SIGINT) }, 130, true},
		{"SIGQUIT", func(s shell) { s.signal(syscall.SIGQUIT) }, 131, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			s := openShell(t, as(t, "operator"))
			if modes := s.modes(); modes == s.before {
				t.Error("within the session the terminal is not raw")
			}
			test.leave(s)
			s.ends(test.status)
			if test.lives {
				output(t, as(t, "operator"), "aaau", "kill", s.id)
			}
		})
	}
}

// `aaau -p yes | head -n1`, typed at a terminal: the client's end must not be
// SIGPIPE's own, which gives nothing back.
func TestOutputIsClosed(t *testing.T) {
	begin(t)
	c := sit(t, as(t, "operator"), "bash", "-c", `aaau -p yes | head -n1; echo "statuses ${PIPESTATUS[*]}"`)
	c.expect("y\r\n")
	c.expect("statuses 141 0")
	c.ends(0)
}

// A terminal emulator that is closed, or an ssh that breaks.
func TestTerminalIsGone(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	s.prints("echo before", "before")
	if err := s.master.Close(); err != nil {
		t.Fatal(err)
	}
	if w := syscall.WaitStatus(s.word("wait")); w.ExitStatus() != 129 && w.ExitStatus() != 0 {
		t.Errorf("the client's wait status is %#x", w)
	}
	again := sit(t, as(t, "operator"), "aaau", "-n", s.id)
	again.expect("before")
	again.typed("exit 5\r")
	again.ends(5)
}

func TestDetachedSessionLivesOn(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	s.prints("echo $((100+11))-before", "111-before")
	sleep := s.foreground("sleep 1000", "sleep")
	s.typed("\x1d\x1d\x1d")
	status, said := s.leave()
	if status != 0 || !strings.Contains(said, "aaau attach "+s.id) {
		t.Errorf("detached with status %d, and %q", status, said)
	}
	if now := find(t, s.id, "sleep", func(p process) bool { return p.pgrp == p.tpgid }); now.pid != sleep.pid {
		t.Errorf("the session's program is %v, not %v", now, sleep)
	}

	// With all that there was to see, also the prompt's own mark.
	again := shell{sit(t, as(t, "operator"), "aaau", "-n", s.id), s.id}
	again.expect("\n111-before\r\n")
	again.expect("sleep 1000")
	again.typed("\x03")
	if _, status := again.prompt(); status != 130 {
		t.Errorf("after ^C in the rejoined session the status is %d", status)
	}
	again.prints("echo $((100+12))-after", "112-after")
	again.typed("exit 9\r")
	again.ends(9)
}

// Some programs have ^] as a key of their own (vim, telnet).
func TestDetachKeysAreTheAgentsUnlessThreeComeAtOnce(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	s.foreground("stty raw -echo; head -c 3 | od -An -tx1; stty sane", "head")
	s.typed("\x1d\x1dx")
	if out, _ := s.prompt(); !strings.Contains(out, "1d 1d 78") {
		t.Errorf("the program read %q", out)
	}
	s.foreground("stty raw -echo; head -c 4 | od -An -tx1; stty sane", "head")
	s.typed("\x1d\x1d")
	time.Sleep(1100 * time.Millisecond) // more than the second that they are to come within
	s.typed("\x1dx")
	if out, _ := s.prompt(); !strings.Contains(out, "1d 1d 1d 78") {
		t.Errorf("the program read %q", out)
	}
	s.close()
}

func TestObserverSeesAndDoesNotType(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	s.prints("echo early-$((6*7))", "early-42")
	o := sit(t, as(t, "observer"), "aaau", "-r", "-n", s.id)
	o.expect("early-42")
	s.prints("echo live-$((6*7))", "live-42")
	o.expect("live-42")

	o.typed("echo typed-$((6*7))\r\x03\x04")
	s.prints("echo last-$((6*7))", "last-42") // nothing came before that from the observer
	o.expect("last-42")
	o.typed("\x1d\x1d\x1d")
	o.ends(0)
	s.prints("echo still here", "still here")
	if strings.Contains(s.all(), "typed-42") {
		t.Errorf("an observer typed: %q", s.all())
	}

	// The session's end is the observer's, and so is its status.
	o = sit(t, as(t, "observer"), "aaau", "-r", "-n", s.id)
	o.expect("still here\r\n")
	s.typed("exit 6\r")
	s.ends(6)
	o.ends(6)
}

// The smaller terminal of one who only looks is not the session's business.
func TestObserverDoesNotResize(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	o := sitAt(t, as(t, "observer"), 10, 40, nil, "aaau", "-r", "-n", s.id)
	o.match(promptForm)
	o.resize(12, 50)
	s.prints("stty size", "24 80")
	o.typed("\x1d\x1d\x1d")
	o.ends(0)
	s.close()
}

// kill sends a signal to any process.
func kill(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
}
