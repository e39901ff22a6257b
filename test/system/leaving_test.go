package system

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The keys that do not detach are the program's.
func TestDetachKey(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	with := func(value string) account { return operator.with("AAAU_DETACH_KEY=" + value) }
	for _, test := range []struct {
		who    account
		args   []string
		key    string // "": none
		called string
	}{
		{operator, nil, "\x1d", "^]"},
		{operator, []string{"--detach-key", "^A"}, "\x01", "^A"},
		{operator, []string{"--detach-key=^z"}, "\x1a", "^Z"},
		{operator, []string{"--detach-key", `^\`}, "\x1c", `^\`},
		{operator, []string{"--detach-key", "^_"}, "\x1f", "^_"},
		{operator, []string{"--detach-key", "none"}, "", ""},
		{with("^B"), nil, "\x02", "^B"},
		{with("none"), nil, "", ""},
		{with("^B"), []string{"--detach-key", "^A"}, "\x01", "^A"},
		{with(""), nil, "\x1d", "^]"},
	} {
		argv := append(append([]string{"aaau"}, test.args...), "--", helper, "hex")
		c := sit(t, test.who, argv...)
		line := c.match(`session ([0-9a-z]+)([^\r]*)\r\n`)
		id := line[2]
		if said := strings.Contains(line[3], "press "+test.called+" three times"); test.key != "" && !said || test.key == "" && strings.Contains(line[3], "press") {
			t.Errorf("%q: it said %q", argv, line[3])
		}
		c.expect("ready")
		for _, other := range []string{"\x1d", "\x01", "\x02", "\x03", "\x1a"} {
			if other == test.key {
				other += "x" // three, but not one after the other
			}
			keys := strings.Repeat(other, 3) + ">"
			c.typed(keys)
			c.expect(fmt.Sprintf("%x\r\n", keys))
		}
		if test.key == "" {
			c.signal(syscall.SIGTERM)
			c.ends(143)
		} else {
			c.typed(strings.Repeat(test.key, 3))
			status, said := c.leave()
			if status != 0 || !strings.HasSuffix("\n"+said, "\naaau: detached; back with: aaau attach "+id+"\n") {
				t.Errorf("%q: status %d, and %q", argv, status, said)
			}
		}
		output(t, operator, "aaau", "kill", id)
	}
	for _, bad := range []string{"x", "^", "^1", "A", "^AA", "^?", "^@", "^`", "^{", "^~", "^ ", "ctrl-a", "None", "\x01"} {
		for _, argv := range [][]string{{"aaau", "--detach-key=" + bad, "-p", "true"}, {"aaau", "attach", "nosuch", "--detach-key=" + bad}} {
			refused(t, operator, []string{"--detach-key", "none"}, argv...)
		}
	}
	refused(t, with("x"), []string{"x", "none"}, "aaau", "-p", "true")
}

// The key detaches in whichever protocol a terminal sends it, and the program gets none
// of what detaches.
func TestDetachKeyInAnyProtocol(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	for _, test := range []struct{ key, press string }{
		{"^]", "\x1d"},
		{"^]", "\x1b[93;5u"},
		{"^]", "\x1b[93;133u"},
		{"^]", "\x1b[93;5:1u\x1b[93;5:3u"},
		{"^]", "\x1b[27;5;93~"},
		{"^[", "\x1b[27u"},
		{"^_", "\x1b[45;6u"},
	} {
		c := sit(t, operator, "aaau", "--detach-key", test.key, "--", helper, "hex")
		id := c.session()
		c.expect("ready")
		c.typed("<" + test.press + test.press + ">") // two are the program's
		c.expect(fmt.Sprintf("%x\r\n", "<"+test.press+test.press+">"))
		c.typed(strings.Repeat(test.press, 3))
		if status, said := c.leave(); status != 0 || !strings.Contains(said, "detached") {
			t.Errorf("%s as %q: status %d, and %q", test.key, test.press, status, said)
		}
		output(t, operator, "aaau", "send", id, "{>")
		peek(t, id, "\n7b3e\n")
		output(t, operator, "aaau", "kill", id)
	}
}

// A job of the person's shell, as any other program: it stops and goes on.
func TestClientIsStopped(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	s := openShell(t, operator)
	raw := s.modes()
	stopped := func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
		return err == nil && strings.Contains(string(stat), ") T ")
	}
	for i := range 3 {
		s.signal(syscall.SIGTSTP)
		await(t, "the client to stop", stopped)
		if got := s.modes(); got != s.before {
			t.Errorf("the terminal was not given back: %+v, not %+v", got, s.before)
		}
		// The session goes on meanwhile, also for others.
		output(t, operator, "aaau", "send", s.id, "--enter", "echo $((40+2))-meanwhile")
		peek(t, s.id, "\n42-meanwhile")
		s.resize(uint16(30+i), 100)
		s.signal(syscall.SIGCONT)
		await(t, "the terminal to be taken", func() bool { return s.modes() == raw })
		s.expect("\n42-meanwhile")
		s.match("\x1b\\[K\r" + promptForm) // the prompt again, for the new size
		s.prints("stty size; clear", fmt.Sprintf("%d 100\n\x1b[H\x1b[2J\x1b[3J", 30+i))
	}
	// ^Z is the session's business.
	s.foreground("sleep 1000", "sleep")
	s.typed("\x1a")
	if _, status := s.prompt(); status != 148 {
		t.Errorf("after ^Z the status is %d", status)
	}
	if stopped() {
		t.Error("the client stopped too")
	}
	s.foreground("fg", "sleep")
	s.typed("\x03")
	s.prompt()
	s.close()
}

// Who leaves a full-screen program has a terminal again, and not what it left behind.
func TestTerminalIsLeftClean(t *testing.T) {
	const modes = "\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b[?1006h\x1b[?2004h\x1b[>1u\x1b[?1h\x1b=\x1b[31m"
	for name, leave := range map[string]func(c *console, id string){
		"detached":  func(c *console, _ string) { c.typed("\x1d\x1d\x1d") },
		"dismissed": func(c *console, id string) { output(t, as(t, "operator"), "aaau", "detach", id) },
		"killed":    func(c *console, id string) { output(t, as(t, "operator"), "aaau", "kill", id) },
	} {
		t.Run(name, func(t *testing.T) {
			begin(t)
			operator := as(t, "operator")
			c := sit(t, operator, "aaau", "--", "sh", "-c", "printf '"+strings.ReplaceAll(modes, "\x1b", `\033`)+"ready'; exec sleep 1000")
			id := c.session()
			c.expect("ready")
			leave(c, id)
			_, rest := c.leave()
			for _, off := range []string{"\x1b[?1049l", "\x1b[?25h", "\x1b[?1000l", "\x1b[?1006l", "\x1b[?2004l", "\x1b[<1u", "\x1b[?1l", "\x1b>"} {
				if !strings.Contains(rest, off) {
					t.Errorf("no %q in %q", off, rest)
				}
			}
			if name != "killed" {
				output(t, operator, "aaau", "kill", id)
			}
		})
	}
}

// What a terminal says late, when the program that asked is no longer there, is not left
// to the person's shell; what the person types is.
func TestLateAnswersAreNobodys(t *testing.T) {
	const (
		questions = "\x1b[c\x1b[6n\x1b]11;?\x1b\\\x1b[?u"
		answers   = "\x1b[?62;22c\x1b[7;1R\x1b]11;rgb:1/2/3\x1b\\\x1b[?0u"
		done, is  = "\x1b[5n", "\x1b[0n" // what the client asks, and the answer
	)
	says := func(s string) string {
		return "printf '" + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), "\x1b", `\033`) + "'; "
	}
	// settling is how long the client waits for the answer. On a busy machine this test may
	// be too slow, and then it is no terminal that answers in time: it is tried again.
	const settling, tries = 200 * time.Millisecond, 20
	detach := func(c *console, _ string) { c.typed("\x1d\x1d\x1d") }
	by := func(command string) func(c *console, id string) { // which is not waited for
		return func(c *console, id string) { spawn(c.t, as(c.t, "operator"), "aaau", command, id) }
	}
	for _, test := range []struct {
		name, prints string
		leave        func(c *console, id string)
		answers      []string // to each time that the terminal is asked whether it is done
	}{
		{"detached", questions, detach, []string{answers + is}},
		{"dismissed", questions, by("detach"), []string{answers + is}},
		{"killed", questions, by("kill"), []string{answers + is}},
		{"ended", questions, func(c *console, _ string) { c.typed("\r") }, []string{answers + is}},
		{"in pieces", questions, detach, []string{answers[:5], answers[5:20], answers[20:], is[:2], is[2:]}},
		{"the mouse", "\x1b[?1003h\x1b[?1006h", detach, []string{"\x1b[<35;7;9M\x1b[<35;7;10M" + is}},
		{"the program asks the same", questions + done, detach, []string{"", is + answers + is}},
		{"a terminal that never answers", questions, detach, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			once := func() (inTime bool) {
				// The shell asks for a line when the client has gone.
				c := sit(t, as(t, "operator"), "bash", "-c", `aaau -- sh -c "$1"; read -r line; printf '<%q>' "$line"`, "bash",
					says(test.prints)+"echo ready; read x")
				id := c.session()
				c.expect("ready")
				defer run(t, as(t, "root"), "aaau", "kill", id) // it may have ended
				asked := strings.Count(test.prints, done)
				notYet, last := time.Now(), time.Now()
				if test.leave(c, id); len(test.answers) > 0 {
					await(t, "the question", func() bool {
						now := time.Now()
						if c.isNew(done) {
							return true
						}
						notYet, last = last, now // what is there now is read by the next time
						return false
					})
				}
				for _, a := range test.answers[min(asked, len(test.answers)):] {
					c.typed(a)
				}
				inTime = len(test.answers) == 0 || time.Since(notYet) < settling
				if !inTime {
					return false
				}
				if test.name == "detached" {
					c.expect("detached; back with")
				}
				await(t, "the terminal to be given back", func() bool { return c.modes() == c.before })
				c.typed("typed then\r")
				c.expect(`<typed\ then>`)
				c.leave()
				return true
			}
			for n := 0; !once(); n++ {
				if n == tries {
					t.Fatalf("%d times the terminal did not answer within %v", n, settling)
				}
			}
		})
	}
}

// isNew says whether a text is in what is new on the terminal, and leaves it new.
func (c *console) isNew(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Contains(c.shown[c.seen:], []byte(text))
}

// Nothing is taken back that nobody has done. The title is given back if the program may have
// set one; a terminal that has none and may show what it does not know is written nothing.
func TestCleanTerminalIsLeftAlone(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	const title = "\x1b]2;x\x1b\\"
	for kind, kept := range map[string]string{"xterm-256color": "\x1b[22;0t", "dumb": "", "linux": ""} {
		c := sit(t, operator.with("TERM="+kind), "aaau", "--", "sh", "-c", "echo ready; exit 3")
		c.expect("\r\nready\r\n")
		if status, rest := c.leave(); status != 3 || rest != "" {
			t.Errorf("%s: status %d, %q", kind, status, rest)
		}
		c = sit(t, operator.with("TERM="+kind), "aaau", "--", "sh", "-c", "echo ready; printf '\\033]2;x\\033\\\\'; exit 3")
		c.expect("ready\r\n" + kept + title)
		if status, rest := c.leave(); status != 3 || rest != strings.ReplaceAll(kept, "22", "23") {
			t.Errorf("%s, with a title: status %d, %q", kind, status, rest)
		}
	}
}

// Whatever sends the client away, the session stays, and waits for its person.
func TestClientIsSentAway(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	id := began(t, operator, "/", "--", "sh", "-c", "echo $((70+7))-there; exec cat")
	for sig, want := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGHUP: 129, syscall.SIGINT: 130, syscall.SIGQUIT: 131} {
		c := sit(t, operator, "aaau", "attach", id)
		c.expect("77-there")
		c.signal(sig)
		c.ends(want)
	}
	gone := sit(t, operator, "aaau", "attach", id)
	gone.expect("77-there")
	if err := gone.master.Close(); err != nil {
		t.Fatal(err)
	}
	gone.word("wait")
	killed := sit(t, operator, "aaau", "attach", id)
	killed.expect("77-there")
	killed.signal(syscall.SIGKILL)
	killed.word("wait")
	await(t, "an empty session", func() bool { return inStatus(t, id, "clients") == "0" })
	if got := inStatus(t, id, "state"); got != "running" {
		t.Errorf("it is %s", got)
	}
	c := sit(t, operator, "aaau", "attach")
	c.expect("77-there")
	c.typed("\x04")
	c.ends(0)
}
