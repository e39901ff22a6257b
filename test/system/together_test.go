package system

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

func TestShareAndUnshare(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	s := openShell(t, operator, "-C", tree(t, operator, "shop"))
	refused(t, observer, []string{"no session"}, "aaau", "attach", s.id)
	share := func(args ...string) {
		t.Helper()
		if r := run(t, operator, append([]string{"aaau"}, args...)...); r != (result{}) {
			t.Errorf("%q: %+v", args, r)
		}
	}
	out := func(o *console) {
		t.Helper()
		status, said := o.leave()
		_, said, _ = strings.Cut(said, "\naaau: ") // on a line of its own
		checkRefusal(t, "of one who is taken out", []string{s.id, "not yours"}, status, "aaau: "+said)
	}

	share("share", s.id, "observer", "-r")
	watches(t, observer, s)
	for _, command := range []string{"kill", "freeze", "thaw"} {
		refused(t, observer, []string{"not allowed"}, "aaau", command, s.id)
	}
	refused(t, observer, []string{"not allowed"}, "aaau", "send", s.id, "x")
	refused(t, observer, []string{"not allowed"}, "aaau", "share", s.id, "root")
	refused(t, observer, []string{"not allowed"}, "aaau", "unshare", s.id, "observer")
	o := sit(t, observer, "aaau", "attach", "shop")
	o.match(promptForm)
	share("unshare", s.id, "observer")
	out(o)
	refused(t, observer, []string{"no session"}, "aaau", "attach", s.id)

	share("share", "shop", "observer")
	if got := inStatus(t, s.id, "shared"); got != fmt.Sprintf("[map[name:observer role:Interactive uid:%d]]", observer.uid) {
		t.Errorf("shared is %s", got)
	}
	o = sit(t, observer, "aaau", "attach", s.id)
	o.match(promptForm)
	o.typed("echo typed-$((40+2))\r")
	o.expect("typed-42\r\n")
	s.expect("typed-42\r\n")
	s.prompt()
	// To watch is less than what one could, also for those who are there.
	share("share", "-r", s.id, "observer")
	o.typed("echo $((7000+77))\r")
	o.expect("typing is not allowed")
	s.prints("echo $((40+3))", "43")
	if strings.Contains(s.all(), "7077") {
		t.Error("what was typed came through")
	}
	share("share", s.id, fmt.Sprint(observer.uid))
	o.typed("echo again-$((40+2))\r")
	o.expect("again-42\r\n")
	s.expect("again-42\r\n")
	s.prompt()
	share("unshare", s.id, "observer")
	out(o)

	refused(t, operator, []string{`no user "nobody-of-that-name"`}, "aaau", "share", s.id, "nobody-of-that-name")
	refused(t, operator, []string{"not shared", "observer"}, "aaau", "unshare", s.id, "observer")
	refused(t, operator, []string{"no session"}, "aaau", "share", "nosuch", "observer")
	refused(t, operator, []string{"needs a session and a user"}, "aaau", "share", s.id)
	refused(t, observer, []string{"no session"}, "aaau", "share", s.id, "observer")
	if r := run(t, as(t, "root"), "aaau", "share", s.id, "observer", "-r"); r != (result{}) {
		t.Errorf("by an Admin: %+v", r)
	}
	watches(t, observer, s)
	s.close()
}

// guest is a client of the test's own, an Admin's, that can be asked whether what
// it sent has arrived.
type guest struct {
	t *testing.T
	*client.Session
	notices chan string
}

// visitor joins a session.
func visitor(t *testing.T, session string, readOnly bool, rows, cols uint16) *guest {
	t.Helper()
	req := wire.OpenRequest{Attach: session, ReadOnly: readOnly}
	req.Rows, req.Cols = rows, cols
	s, err := client.Open(context.Background(), serverSocket, req)
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{t: t, Session: s, notices: make(chan string, 100)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = s.Copy(client.Sink{Notice: func(line string) { g.notices <- line }}) // until it is closed
	}()
	t.Cleanup(func() { s.Close(); <-done })
	return g
}

// reader is somebody who is shown all of a session's output as it is, whatever size it
// was printed for.
func reader(t *testing.T, who account, session string) *console {
	t.Helper()
	return sit(t, who, "sh", "-c", "aaau attach --read-only "+session+" | cat")
}

// sends something and waits until the bridge has dealt with it.
func (g *guest) sends(keys string) {
	g.t.Helper()
	if _, err := g.Write([]byte(keys)); err != nil {
		g.t.Fatal(err)
	}
	g.dealtWith()
}

// dealtWith waits until the bridge has taken all that was sent: it refuses in order.
func (g *guest) dealtWith() {
	g.t.Helper()
	if err := g.Do(wire.Request{Do: "nothing"}); err != nil {
		g.t.Fatal(err)
	}
	await(g.t, "the bridge's word", func() bool {
		for {
			select {
			case line := <-g.notices:
				if strings.Contains(line, "no request") {
					return true
				}
			default:
				return false
			}
		}
	})
}

// The session is as large as the terminal of whoever typed last, and its program is
// told once of each change.
func TestSizeFollowsWhoTypes(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	a := sit(t, operator, "aaau", "--", "bash", "-c",
		`trap 'echo "winch $(stty size)"' WINCH; trap 'echo counted' USR1; stty -echo; echo ready; sleep 1000 & while :; do wait; done`)
	id := a.session()
	log := reader(t, operator, id)
	log.expect("ready")
	told := func(want string) {
		t.Helper()
		if want != "" {
			log.expect("winch " + want + "\r\n")
		}
		output(t, operator, "aaau", "kill", "--signal", "USR1", id)
		if m := log.match("counted\r\n"); strings.Contains(m[0], "winch") {
			t.Errorf("it was told again: %q", m[0])
		}
	}
	b := visitor(t, id, false, 30, 100)
	w := visitor(t, id, true, 10, 20)
	told("") // to come is not to type
	b.sends("x")
	told("30 100")
	b.sends("yz")
	told("")
	a.typed("x")
	told("24 80")
	if err := b.Resize(wire.Size{Rows: 31, Cols: 101}); err != nil {
		t.Fatal(err)
	}
	b.dealtWith()
	told("")
	a.resize(25, 81)
	told("25 81")
	b.sends("x")
	told("31 101")
	if err := w.Resize(wire.Size{Rows: 11, Cols: 21}); err != nil {
		t.Fatal(err)
	}
	w.sends("x")
	told("")
	if got := parsed[object](t, operator, "aaau", "status", id, "--json"); got["rows"] != 31.0 || got["cols"] != 101.0 {
		t.Errorf("the status says %v, %v", got["rows"], got["cols"])
	}
	// Who drove goes: it is as large again as the terminal of who is left.
	b.Close()
	told("25 81")
	// What is sent from outside is nobody's terminal.
	output(t, operator, "aaau", "send", id, "x")
	told("")
	a.signal(syscall.SIGTERM)
	a.ends(143)
	output(t, operator, "aaau", "kill", id)
}

// A question of the program's goes to every terminal there. It is to hear one answer.
func TestTerminalsAnswersCountFromOne(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	const mine, theirs = "\x1b[9;33R\x1b[?62;4c\x1b]11;rgb:1111/1111/1111\x1b\\", "\x1b[5;17R\x1b[?1;2c\x1b]11;rgb:2222/2222/2222\x1b\\\x1b[I"
	a := sit(t, operator, "aaau", "--", helper, "hex")
	id := a.session()
	log := reader(t, operator, id)
	log.expect("ready")
	b := visitor(t, id, false, 30, 100)
	b.sends(theirs) // who came first drives while nobody has typed
	a.typed(mine + ">")
	log.expect(fmt.Sprintf("%x\r\n", mine+">"))

	b.sends(theirs)
	b.sends("b>") // and what is typed counts, from whomever
	log.expect("623e\r\n")
	b.sends(theirs + ">")
	log.expect(fmt.Sprintf("%x\r\n", theirs+">"))
	a.typed(mine + "a>") // which has the answers of another terminal before it
	log.expect("613e\r\n")
	// A key that looks like an answer, and a report in pieces.
	b.sends("\x1b[5;1")
	b.sends("7R")
	b.sends("\x1b[A>")
	log.expect("1b5b413e\r\n")
	if got := log.all(); strings.Count(got, fmt.Sprintf("%x", "\x1b[5;17R")) != 1 {
		t.Errorf("an answer of who did not drive came: %q", got)
	}
	a.typed("\x1d\x1d\x1d")
	a.ends(0)
	output(t, operator, "aaau", "kill", id)
}

// While nobody is there the bridge answers, or programs would wait at their start.
func TestBridgeAnswersForNobody(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	script := `stty raw -echo; printf 'abc\r\nde'; ask() { printf "$1"; IFS= read -t 10 -rsd "$2" x; a="$a|${x#?}$2"; }; printf ready
		ask '\033[6n' R; ask '\033[c' c; ask '\033[5n' n; printf '\r\n%s#' "$a"; sleep 1000`
	id := began(t, operator, "/", "--", "bash", "-c", script)
	peek(t, id, "|[2;8R|[?")
	peek(t, id, "c|[0n#")
	if got := strings.Join(recorded(t, id, audit.KindInput), ""); got != "\x1b[2;8R\x1b[?62;22c\x1b[0n" {
		t.Errorf("the record has %q", got)
	}

	// Who only watches does not answer, so the bridge does.
	id = began(t, operator, "/", "--", "bash", "-c", `stty raw -echo; read -rsn1 x; `+script)
	o := sit(t, as(t, "observer"), "aaau", "attach", "-r", id)
	await(t, "the watcher", func() bool { return inStatus(t, id, "clients") == "1" })
	output(t, operator, "aaau", "send", id, "g")
	o.expect("ready")
	peek(t, id, "|[2;8R|[?")
	o.typed("\x1d\x1d\x1d")
	o.ends(0)
}

// The clipboard is that of whoever typed last, and is read for nobody.
func TestClipboardIsTheDrivers(t *testing.T) {
	begin(t)
	const write, read = "\x1b]52;c;aGVsbG8=", "\x1b]52;c;?"
	operator := as(t, "operator")
	s := openShell(t, operator)
	b := shell{sit(t, as(t, "observer"), "aaau", "attach", s.id), s.id}
	b.match(promptForm)
	w := sit(t, as(t, "root"), "aaau", "attach", "-r", s.id)
	w.match(promptForm)
	all := []*console{s.console, b.console, w}
	for _, driver := range []shell{s, b, s} {
		for _, end := range []string{`\a`, `\033\\`} {
			before := make([]int, len(all))
			for i, c := range all {
				before[i] = len(c.all())
			}
			driver.typed(fmt.Sprintf("printf '<\\033]52;c;aGVsbG8=%s\\033]52;c;?%s>'; echo all-$((%d))\r", end, end, 40+2))
			for i, c := range all {
				c.expect("all-42\r\n")
				shown := c.all()[before[i]:]
				if got := strings.Contains(shown, write); got != (c == driver.console) {
					t.Errorf("%s writes %s's clipboard: %t: %q", driver.who.name, c.who.name, got, shown)
				}
				if strings.Contains(shown, read) {
					t.Errorf("%s's clipboard is read: %q", c.who.name, shown)
				}
				if !strings.Contains(shown, "<") || !strings.Contains(shown, ">all-42") {
					t.Errorf("more is missing: %q", shown)
				}
				c.match(promptForm)
			}
		}
	}
	// Nor is it written for those who come later.
	late := sit(t, operator, "aaau", "attach", s.id)
	late.expect(">all-42")
	if strings.Contains(late.all(), "\x1b]52;") {
		t.Errorf("a late one gets %q", late.all())
	}
	late.typed("\x1d\x1d\x1d")
	late.ends(0)
	s.close()
	b.ends(0)
	w.ends(0)
}

// Others who come and go, watch and ask, are not seen on one's screen.
func TestComingAndGoingIsNotSeen(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	s := openShell(t, operator)
	measure := func() int {
		before := len(s.all())
		s.prints("echo $((40+2))", "42")
		return len(s.all()) - before
	}
	usual := measure()
	before := len(s.all())
	for _, args := range [][]string{{}, {"-r"}} {
		o := sit(t, observer, append([]string{"aaau", "attach", s.id}, args...)...)
		o.expect("42\r\n")
		o.resize(30, 100)
		o.signal(syscall.SIGTERM) // the keys that detach are typed, all but the last
		o.ends(143)
		o = sit(t, observer, append([]string{"aaau", "attach", s.id}, args...)...)
		o.expect("42\r\n")
		output(t, observer, "aaau", "detach", s.id)
		o.ends(0)
	}
	output(t, operator, "aaau", "share", s.id, "observer")
	output(t, operator, "aaau", "unshare", s.id, "observer")
	output(t, observer, "aaau", "peek", s.id)
	await(t, "an empty session", func() bool { return inStatus(t, s.id, "clients") == "1" })
	if got := measure(); got != usual || len(s.all()) != before+usual {
		t.Errorf("%q appeared", s.all()[before:])
	}
	s.close()
}

// One who is killed, or whose terminal stands still, holds nobody up; and a person
// may be there twice.
func TestOnePersonTwice(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	s := openShell(t, operator)
	again := shell{sit(t, operator, "aaau", "attach", s.id), s.id}
	again.match(promptForm)
	s.prints("echo from-$((1))", "from-1")
	again.expect("from-1\r\n")
	again.prompt()
	again.prints("echo from-$((2))", "from-2")
	s.expect("from-2\r\n")
	s.prompt()
	again.signal(syscall.SIGKILL)
	await(t, "its end to be known", func() bool { return inStatus(t, s.id, "clients") == "1" })
	s.prints("echo still here", "still here")
	s.close()
}
