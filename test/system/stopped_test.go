package system

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// isStopped says whether a process is stopped.
func isStopped(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") T ")
}

// A client that is stopped leaves a terminal that is as it was, to its person's shell; and
// when it continues, the terminal shows the session again, and is in its modes.
func TestStoppedClientGivesTheTerminalBack(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	const modes = `\033]2;theirs\a\033[?1049h\033[?25l\033[?1000h\033[?1006h\033[?2004h\033[>1u\033[?1h\033=\033[31m`
	c := sit(t, operator, "aaau", "--", "sh", "-c", "printf '"+modes+"'; exec "+helper+" told")
	id := c.session()
	c.expect("ready")
	told := ""
	for range 2 {
		c.signal(syscall.SIGTSTP)
		for _, off := range []string{"\x1b[<1u", "\x1b[?1049l", "\x1b[?25h", "\x1b[23;0t"} {
			c.expect(off)
		}
		await(t, "the client to stop", func() bool { return isStopped(c.pid) })
		if got := c.modes(); got != c.before {
			t.Errorf("the terminal was not given back: %+v, not %+v", got, c.before)
		}
		told += "\n1b5b4f" // the focus is gone
		peek(t, id, told)
		// Words for a client that is stopped are for nobody.
		output(t, operator, "aaau", "freeze", id)
		output(t, operator, "aaau", "thaw", id)
		n := len(c.all())
		c.signal(syscall.SIGCONT)
		for _, on := range []string{"\x1b[?1049h", "ready", "\x1b[>1u"} {
			c.expect(on)
		}
		if again := c.all()[n:]; strings.Contains(again, "thawed by") || !strings.Contains(again, vtReset) {
			t.Errorf("it continues with %q", again)
		}
		told += "\n1b5b49" // and is back
		peek(t, id, told)
	}
	// A stop that nobody is told of: SIGSTOP.
	c.signal(syscall.SIGSTOP)
	await(t, "the client to stop", func() bool { return isStopped(c.pid) })
	output(t, operator, "aaau", "freeze", id)
	c.signal(syscall.SIGCONT)
	for _, on := range []string{"\x1b[?1049l", "\x1b[?1049h", "ready", "\x1b[>1u", "frozen by operator"} {
		c.expect(on)
	}
	output(t, operator, "aaau", "kill", id)
}

const vtReset = "\x1b[?1049l\x1b[<99u"

// A job of the person's shell in a terminal that somebody else has made: what was on its screen
// before is there while the client is stopped, and afterwards it shows what every other
// terminal does.
func TestStoppedJobIsContinued(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	t.Cleanup(func() { run(t, operator, "aaau", "kill", "stopped") })
	w := newWall(t, operator)
	p := w.open(t, 8, 60, "bash", "--norc", "--noprofile", "-i")
	p.shows(t, `\$$`)
	p.typed(t, "echo be''fore; aaau --no-workspace --name stopped -- vim -u NONE -i NONE '+set noswapfile ruler' '+call setline(1, range(100))'\r")
	p.shows(t, `1,1`)
	large := w.open(t, 15, 90, "aaau", "attach", "-r", "stopped")
	large.shows(t, `1,1`)
	for range 2 {
		pid := strings.Fields(output(t, operator, "pgrep", "-u", operator.name, "-x", "-f", "aaau --no-workspace --name stopped.*"))[0]
		n, err := strconv.Atoi(pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(n, syscall.SIGTSTP); err != nil {
			t.Fatal(err)
		}
		p.shows(t, `Stopped`)
		if text := p.text(t); !strings.Contains(text, "before") && !strings.Contains(text, "Stopped") {
			t.Errorf("the shell's screen is\n%s", text)
		}
		if got := p.tmux(t, "display-message", "-p", "-t", p.id, "#{alternate_on}"); got != "0" {
			t.Errorf("alternate_on is %s", got)
		}
		output(t, operator, "aaau", "send", "stopped", "5Goword\x1b")
		large.shows(t, `^word`)
		p.typed(t, "fg\r")
		p.shows(t, `^word`)
		fresh := w.open(t, 8, 60, "aaau", "attach", "-r", "stopped")
		fresh.same(t, "whose client was stopped", p)
		fresh.close(t)
	}
}
