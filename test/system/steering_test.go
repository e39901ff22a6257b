package system

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/term"
)

func init() { programs["hex"] = showBytes }

// showBytes prints what it reads, in hexadecimal, a line for each text that ends with >.
func showBytes([]string) int {
	if _, err := term.MakeRaw(0); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Print("ready\r\n")
	for in := bufio.NewReader(os.Stdin); ; {
		b, err := in.ReadByte()
		if err != nil {
			return 0
		}
		fmt.Printf("%02x", b)
		if b == '>' {
			fmt.Print("\r\n")
		}
	}
}

func TestSend(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	id := began(t, operator, "/", "--", helper, "hex")
	peek(t, id, "ready")
	for _, test := range []struct {
		stdin string
		argv  []string
		want  string
	}{
		{"", []string{"abc"}, "616263"},
		{"", []string{"--enter", "go on"}, "676f206f6e0d"},
		{"", []string{"-e", ""}, "0d"},
		{"", []string{"\x1d\x1d\x1d"}, "1d1d1d"}, // no keys of ours
		{"", []string{"\x1b[A\x03\n"}, "1b5b41030a"},
		{"", []string{"\x1b[5;5R"}, "1b5b353b3552"}, // a person's doing, whatever it looks like
		{"line\n", []string{"-"}, "6c696e650a"},
		{"line\n", []string{"-", "-e"}, "6c696e650d"},
		{"", []string{"-"}, ""},
	} {
		output(t, operator, "aaau", "send", id, "<")
		r := feed(t, operator, test.stdin, append([]string{"aaau", "send", id}, test.argv...)...)
		if r != (result{}) {
			t.Errorf("%q: %+v", test.argv, r)
		}
		output(t, operator, "aaau", "send", id, ">")
		peek(t, id, "3c"+test.want+"3e")
	}
	// Whoever may type may send, and whoever may only watch may not.
	output(t, observer, "aaau", "send", id, "<o>")
	peek(t, id, "3c6f3e")
	grant(t, "user=observer ReadOnly")
	refused(t, observer, []string{"not allowed", "ReadOnly"}, "aaau", "send", id, "x")
	for _, argv := range [][]string{{id}, {id, "a", "b"}, {}} {
		refused(t, operator, []string{"send needs"}, append([]string{"aaau", "send"}, argv...)...)
	}
	refused(t, operator, []string{"no session"}, "aaau", "send", "nosuch", "x")
}

// Much is sent whole, and in order.
func TestSendMuch(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	const size = 300_000
	text := strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz ", size/37+1)[:size]
	id := began(t, operator, "/", "-T", "--", "sh", "-c", fmt.Sprintf("head -c %d | sha256sum; sleep 1000", size))
	if r := feed(t, operator, text, "aaau", "send", id, "-"); r != (result{}) {
		t.Errorf("%+v", r)
	}
	peek(t, id, sum(text))
}

func TestPutAFile(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	shop := tree(t, operator, "shop")
	picture := "\x89PNG\r\n\x1a\n" + strings.Repeat("\x00\xff\x1b\x03\r\n", 100_000)
	for name, text := range map[string]string{
		"shot.png": picture, "a b'$(id)`;.png": "odd", "-rf": "dash", ".hidden": "dot", "ünï.txt": "letters", "line\nfeed": "lf", "empty": "",
		strings.Repeat("n", 200) + ".png": "long",
	} {
		file := filepath.Join(shop, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		output(t, as(t, "root"), "chown", "operator:", "--", file)
	}
	s := openShell(t, operator)
	began(t, operator, "/", "--", "sleep", "1000") // a later one, of no directory
	for name, want := range map[string]string{
		"shot.png": "shot.png", "a b'$(id)`;.png": "a_b___id___.png", "./-rf": "rf", ".hidden": "hidden", "ünï.txt": "_n_.txt", "line\nfeed": "line_feed",
		"empty": "empty", strings.Repeat("n", 200) + ".png": strings.Repeat("n", 76) + ".png",
	} {
		if got := output(t, operator, at(shop, "aaau", "put", name, s.id)...); got != "/tmp/"+want {
			t.Errorf("%.20q is at %q, not /tmp/%s", name, got, want)
		}
		s.expect("/tmp/" + want)
		text, err := os.ReadFile(filepath.Join(shop, name))
		if err != nil {
			t.Fatal(err)
		}
		s.typed("\x15")
		// The longest leaves marks of how bash clears two lines.
		is := "agent 600 1\n" + sum(string(text)) + "  -\n"
		if got, _ := s.do("stat -c '%U %a %h' /tmp/" + want + "; sha256sum </tmp/" + want); !strings.HasSuffix(got, is) {
			t.Errorf("%s is %q, not %q", want, got, is)
		}
	}
	if got := output(t, operator, at(shop, "aaau", "put", "shot.png", s.id)...); got != "/tmp/shot-2.png" {
		t.Errorf("the second is at %q", got)
	}
	s.expect("/tmp/shot-2.png")
	s.typed("\x15")
	if _, err := os.Stat("/tmp/shot.png"); err == nil {
		t.Error("it is in the machine's /tmp too")
	}

	// Without a session it is that of the directory.
	here := openShell(t, operator, "-C", shop)
	began(t, operator, "/", "--", "sleep", "1000")
	if got := output(t, operator, at(shop, "aaau", "put", "empty")...); got != "/tmp/empty" {
		t.Errorf("it is at %q", got)
	}
	here.expect("/tmp/empty")
	here.typed("\x15")
	here.close()

	large := filepath.Join(shop, "large")
	sh(t, operator, shop, "truncate -s 33M large; truncate -s 32M fits")
	refused(t, operator, []string{"large", "32 MiB"}, "aaau", "put", large, s.id)
	if got := output(t, operator, at(shop, "aaau", "put", "fits", s.id)...); got != "/tmp/fits" {
		t.Errorf("it is at %q", got)
	}
	s.expect("/tmp/fits")
	s.typed("\x15")
	refused(t, operator, []string{"nosuch"}, "aaau", "put", "nosuch", s.id)
	refused(t, operator, []string{shop, "directory"}, "aaau", "put", shop, s.id)
	refused(t, operator, []string{"/etc/shadow", "permission"}, "aaau", "put", "/etc/shadow", s.id)
	refused(t, operator, []string{"put needs"}, "aaau", "put")
	refused(t, operator, []string{"no session"}, "aaau", "put", "/etc/hostname", "nosuch")
	refused(t, observer, []string{"no session"}, "aaau", "put", "/etc/hostname") // of their own
	grant(t, "user=observer ReadOnly")
	refused(t, observer, []string{"not allowed"}, "aaau", "put", "/etc/hostname", s.id)
	s.close()
}

func TestKillWithASignal(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	for signal, want := range map[string]int{"TERM": 143, "SIGTERM": 143, "int": 130, "9": 137, "KILL": 137, "64": 192, "RTMAX": 192, "USR1": 138} {
		id := began(t, operator, "/", "--", "sleep", "1000")
		if r := run(t, operator, "aaau", "kill", id, "--signal", signal); r != (result{}) {
			if signal == "RTMAX" {
				output(t, operator, "aaau", "kill", id)
				continue // there is no name for it, and it says so
			}
			t.Errorf("%s: %+v", signal, r)
		}
		if r := run(t, operator, "aaau", "wait", id); r != (result{status: want}) {
			t.Errorf("%s: %+v", signal, r)
		}
	}
	id := began(t, operator, "/", "--", "bash", "-c", "trap 'echo caught' TERM; echo ready; sleep 1000 & while :; do wait; done")
	peek(t, id, "ready")
	for _, bad := range []string{"FOO", "0", "65", "-1", "", "SIG", "9x", "TERM INT"} {
		refused(t, operator, []string{"no signal"}, "aaau", "kill", "--signal="+bad, id)
	}
	output(t, operator, "aaau", "kill", "--signal", "TERM", id)
	if r := run(t, operator, "aaau", "kill", id); r.status != 0 || r.stdout != "session "+id+" ended: by SIGHUP\n" {
		t.Errorf("%+v", r)
	}
	refused(t, operator, []string{"has ended"}, "aaau", "kill", id)
	refused(t, operator, []string{id}, "aaau", "kill", "--signal", "TERM", id)

	// The frozen end too.
	for _, signal := range []string{"KILL", "9"} {
		id := began(t, operator, "/", "--", "sleep", "1000")
		output(t, operator, "aaau", "freeze", id)
		output(t, operator, "aaau", "kill", "--signal", signal, id)
		if r := run(t, operator, "aaau", "wait", id); r != (result{status: 137}) {
			t.Errorf("frozen: %+v", r)
		}
	}
	// A signal that it could handle waits for it to go on.
	id = began(t, operator, "/", "--", "sleep", "1000")
	output(t, operator, "aaau", "freeze", id)
	output(t, operator, "aaau", "kill", "--signal", "TERM", id)
	if got := inStatus(t, id, "state"); got != "frozen" {
		t.Errorf("it is %s", got)
	}
	output(t, operator, "aaau", "thaw", id)
	if r := run(t, operator, "aaau", "wait", id); r != (result{status: 143}) {
		t.Errorf("frozen: %+v", r)
	}
}

func TestFreezeAndThaw(t *testing.T) {
	begin(t)
	operator, observer, root := as(t, "operator"), as(t, "observer"), as(t, "root")
	s := openShell(t, operator)
	o := sit(t, observer, "aaau", "attach", s.id)
	o.match(promptForm)
	frozen := func() string {
		events, err := os.ReadFile(filepath.Join(scopeDir(t, s.id), "cgroup.events"))
		if err != nil {
			t.Fatal(err)
		}
		return string(events)
	}
	for _, who := range []account{operator, root} {
		output(t, who, "aaau", "freeze", s.id)
		if got := frozen(); !strings.Contains(got, "frozen 1") {
			t.Errorf("%s: the scope is %q", who.name, got)
		}
		for _, c := range []*console{s.console, o} {
			c.expect("aaau: frozen by " + who.name + "; to let it continue: aaau thaw " + s.id)
		}
		s.typed(fmt.Sprintf("echo $((40+2))-%s-thawed\r", who.name))
		refused(t, observer, []string{"not allowed", "freeze"}, "aaau", "freeze", s.id)
		refused(t, observer, []string{"not allowed", "thaw"}, "aaau", "thaw", s.id)
		if r := run(t, operator, "aaau", "freeze", s.id); r != (result{}) {
			t.Errorf("freezing it again: %+v", r)
		}
		if got := frozen(); !strings.Contains(got, "frozen 1") || strings.Contains(s.all(), "42-"+who.name) {
			t.Errorf("%s: it goes on: %q", who.name, got)
		}
		output(t, who, "aaau", "thaw", s.id)
		o.expect("aaau: thawed by " + who.name)
		s.expect("42-" + who.name + "-thawed")
		s.prompt()
	}
	if r := run(t, operator, "aaau", "thaw", s.id); r != (result{}) {
		t.Errorf("thawing what is not frozen: %+v", r)
	}
	for _, command := range []string{"freeze", "thaw"} {
		refused(t, operator, []string{"no session", "nosuch"}, "aaau", command, "nosuch")
	}
	s.close()
	o.ends(0)
	for _, command := range []string{"freeze", "thaw"} {
		refused(t, operator, []string{s.id, "ended"}, "aaau", command, s.id)
	}
}

func TestDetach(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	id := began(t, operator, "/", "--", "sh", "-c", "echo ready; exec cat")
	join := func(who account) (c *console, client string) {
		c = sit(t, who, "aaau", "attach", id)
		c.expect("ready")
		return c, clientOf(t, id, c.pid)
	}
	out := func(c *console, by string) {
		t.Helper()
		status, said := c.leave()
		if want := "aaau: detached by " + by + "; back with: aaau attach " + id + "\n"; status != 0 || !strings.HasSuffix(said, want) { // on a line of its own, as TestPromptStandsWhereItWas has it
			t.Errorf("status %d, and it said %q, not %q", status, said, want)
		}
	}
	mine, _ := join(operator)
	theirs, number := join(observer)
	again, _ := join(observer)

	refused(t, observer, []string{"not allowed", "operator"}, "aaau", "detach", id, "--client", clientOf(t, id, mine.pid))
	output(t, observer, "aaau", "detach", "--client", number, id)
	out(theirs, "observer")
	output(t, observer, "aaau", "detach", id) // all of one's own, and nobody else
	out(again, "observer")
	if got := inStatus(t, id, "clients"); got != "1" {
		t.Errorf("%s are in it", got)
	}
	theirs, _ = join(observer)
	output(t, operator, "aaau", "detach", id)
	out(theirs, "operator")
	out(mine, "operator")
	theirs, number = join(observer)
	output(t, as(t, "root"), "aaau", "detach", id, "--client="+number)
	out(theirs, "root")
	if r := run(t, operator, "aaau", "detach", id); r.status != 0 || r.stdout != "" || !strings.HasPrefix(r.stderr, "aaau: nobody was in it") {
		t.Errorf("%+v", r)
	}
	refused(t, operator, []string{"no client 4711"}, "aaau", "detach", id, "--client", "4711")
	refused(t, operator, []string{"client", "--help"}, "aaau", "detach", id, "--client", "x")
	refused(t, operator, []string{"needs one session"}, "aaau", "detach")
	if got := inStatus(t, id, "state"); got != "running" {
		t.Errorf("it is %s", got)
	}
}

// clientOf is the number of a client in a session, by its process.
func clientOf(t *testing.T, session string, pid int) string {
	t.Helper()
	var status struct {
		People []struct {
			Client uint64
			PID    int
		}
	}
	if err := json.Unmarshal([]byte(output(t, as(t, "root"), "aaau", "status", session, "--json")), &status); err != nil {
		t.Fatal(err)
	}
	for _, p := range status.People {
		if p.PID == pid {
			return fmt.Sprint(p.Client)
		}
	}
	t.Fatalf("pid %d is not in session %s: %+v", pid, session, status)
	return ""
}
