package system

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/session"
)

// A session with pipes passes on any byte, ends its program's input when it is told
// to, and keeps errors apart.
func TestPipesAreClean(t *testing.T) {
	begin(t)
	h := hold(t, fakeBridge(t), "/bin/sh", "-c", "echo 1 >&2; cat; echo 2 >&2; exit 9")
	sent := make([]byte, 10<<20)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range sent {
		sent[i] = byte(random.Uint32())
	}
	h.write(string(sent))
	if err := h.CloseInput(); err != nil {
		t.Error(err)
	}
	h.awaitEnd()
	if got := h.out.all(); got != string(sent) {
		t.Errorf("%d bytes came, not the same %d", len(got), len(sent))
	}
	if got := h.errors.all(); got != "1\n2\n" {
		t.Errorf("errors: %q", got)
	}
	if h.Exit().Wait.ExitStatus() != 9 {
		t.Error(h.Exit())
	}
}

// What a program finds that has pipes: no terminal anywhere, but that it can make
// one; all three streams by their names; and else what any agent has.
func TestProgramWithPipes(t *testing.T) {
	begin(t)
	ln := fakeBridge(t)
	for _, c := range []struct{ script, want string }{
		{"for fd in 0 1 2; do test -t $fd && echo $fd; done; tty; exit 0", "not a tty\n"},
		{": </dev/tty", ""}, // and it says so on stderr
		{"echo $TERM $PAGER", "dumb cat\n"},
		{"echo one >/dev/stdout; echo two >/dev/stderr", "one\n"},
		{"echo here | cat /dev/stdin", "here\n"},
		{"sh -c 'exec </proc/$$/fd/0 && echo again'", "again\n"},
		{"cut -d' ' -f7 /proc/self/stat", "0\n"},                                           // tty_nr
		{"grep -h ^flags /proc/self/fdinfo/[012]", "flags:\t00\nflags:\t01\nflags:\t01\n"}, // not O_NONBLOCK
		{"ls /proc/self/fd", "0\n1\n2\n3\n"},                                               // one is ls's own
		{"ls /dev/pts", "ptmx\n"},
		{"script -qec tty /dev/null | tr -d '\\r'", "/dev/pts/0\n"},
	} {
		h := hold(t, ln, "/bin/sh", "-c", c.script)
		h.awaitEnd()
		if got := h.out.all(); got != c.want {
			t.Errorf("%s: %q, not %q; %q", c.script, got, c.want, h.errors.all())
		}
		switch errs := h.errors.all(); {
		case strings.Contains(c.script, "/dev/tty"):
			if !strings.Contains(errs, "No such device") {
				t.Errorf("%s: %q", c.script, errs)
			}
		case strings.Contains(c.script, "two"):
			if errs != "two\n" {
				t.Errorf("%s: %q", c.script, errs)
			}
		case errs != "":
			t.Errorf("%s: %q", c.script, errs)
		}
	}

	status, limits := hold(t, ln, "cat", "/proc/self/status"), hold(t, ln, "cat", "/proc/self/limits")
	turn := hold(t, ln, "cat", "/proc/self/stat")
	golden, err := os.ReadFile("testdata/agent.golden")
	if err != nil {
		t.Fatal(err)
	}
	if got := agentStatus(t, status.out.all()) + agentTurn(turn.out.all()) + "\n" + agentLimits(t, limits.out.all()); got != string(golden) {
		t.Errorf("not golden:\n%s", got)
	}
	if ours, err := os.ReadFile("/proc/self/loginuid"); err == nil && string(ours) == "4294967295" {
		if got := hold(t, ln, "cat", "/proc/self/loginuid").out.all(); got != fmt.Sprint(as(t, "operator").uid) {
			t.Errorf("the login is %s's", got)
		}
	}
}

// Nobody but the program holds its ends of the pipes.
func TestProgramThatClosesItsPipes(t *testing.T) {
	begin(t)
	h := hold(t, fakeBridge(t), "/bin/sh", "-c", "exec <&-; echo closed; exec >&-; exec sleep 1000")
	h.out.expect("closed")
	if err := h.Write([]byte("to nobody")); err != session.ErrInputClosed {
		t.Errorf("nobody reads it: %v", err)
	}
	pipes := 0
	for fd := range 20 {
		if name, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", h.PID, fd)); strings.HasPrefix(name, "pipe:") {
			pipes++
		}
	}
	if pipes != 1 {
		t.Errorf("the stage has %d pipes, not just that for its reports", pipes)
	}
}

// A signal to all of a session ends its program and not the stage, which tells how.
func TestSignals(t *testing.T) {
	begin(t)
	ln := fakeBridge(t)
	for _, sig := range []int{0, 1, 2, 10, 12, 13, 14, 15, 32, 33, 34, 63, 64} { // but what leaves core files
		h := hold(t, ln, "sleep", "1000")
		if reply := asked(t, privsep.Request{Kill: &privsep.Kill{Name: h.Scope, Signal: sig}}); reply.Error != nil {
			t.Error(reply.Error)
		}
		h.awaitEnd()
		want := syscall.Signal(sig)
		if sig == 0 {
			want = syscall.SIGKILL
		}
		if w := h.Exit().Wait; !w.Signaled() || w.Signal() != want {
			t.Errorf("signal %d: %v", sig, h.Exit())
		}
	}

	h := hold(t, ln, "/bin/bash", "-c", "trap 'echo caught' USR1; echo ready; while read x; do echo $x; done")
	h.out.expect("ready")
	for _, sig := range []int{-1, 65, 1 << 32, -1 << 63} {
		if reply := asked(t, privsep.Request{Kill: &privsep.Kill{Name: h.Scope, Signal: sig}}); reply.Error == nil || reply.Error.Code != "malformed" {
			t.Errorf("signal %d: %v", sig, reply.Error)
		}
	}
	for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT, syscall.SIGUSR1} {
		if reply := asked(t, privsep.Request{Kill: &privsep.Kill{Name: h.Scope, Signal: int(sig)}}); reply.Error != nil {
			t.Error(reply.Error)
		}
	}
	h.out.expect("caught")
	h.write("and goes on\n")
	h.out.expect("and goes on")
}
