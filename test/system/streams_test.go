package system

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

const streams = `for fd in 0 1 2; do test -t $fd && echo "$fd is a terminal"; done; echo out; echo err >&2; exit 3`

func TestTerminalOrPipes(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	const terminal = "0 is a terminal\n1 is a terminal\n2 is a terminal\nout\nerr\n"
	for _, test := range []struct {
		args        []string
		out, errors string
	}{
		{nil, "out\n", "err\n"}, {[]string{"-T"}, "out\n", "err\n"}, {[]string{"--no-terminal"}, "out\n", "err\n"},
		{[]string{"-t"}, terminal, ""}, {[]string{"--terminal"}, terminal, ""},
	} {
		argv := append(append([]string{"aaau"}, test.args...), "--", "sh", "-c", streams)
		if r := run(t, operator, argv...); r != (result{test.out, test.errors, 3}) {
			t.Errorf("%q: %+v", argv, r)
		}
	}
	for _, test := range []struct {
		args []string
		want string
	}{{nil, terminal}, {[]string{"-t"}, terminal}, {[]string{"-T"}, "out\nerr\n"}} {
		argv := append(append([]string{"aaau"}, test.args...), "--", "sh", "-c", streams)
		c := sit(t, operator, argv...)
		c.match(`aaau: session [^\n]*\n`)
		status, said := c.leave()
		sorted := said
		if said == "err\nout\n" { // two streams have no order
			sorted = "out\nerr\n"
		}
		if status != 3 || sorted != test.want {
			t.Errorf("%q: status %d, %q", argv, status, said)
		}
	}
	// Each stream that goes elsewhere is what it is.
	c := sit(t, operator, "sh", "-c", `aaau -- sh -c '`+streams+`' 2>/dev/null | cat`)
	if status, said := c.leave(); status != 0 || said != "out\n" {
		t.Errorf("output to a pipe: status %d, %q", status, said)
	}
	c = sit(t, operator, "sh", "-c", `aaau -- sh -c '`+streams+`' 2>/tmp/errors; echo status $?; cat /tmp/errors; rm /tmp/errors`)
	if status, said := c.leave(); status != 0 || said != "0 is a terminal\n1 is a terminal\nout\nstatus 3\nerr\n" {
		t.Errorf("errors to a file: status %d, %q", status, said)
	}
	c = sit(t, operator, "sh", "-c", `aaau -t -- sh -c '`+streams+`' 2>/dev/null | cat`)
	if status, said := c.leave(); status != 0 || strings.ReplaceAll(said, "\r", "") != terminal { // as the terminal is by then
		t.Errorf("-t with output to a pipe: status %d, %q", status, said)
	}
	c = sit(t, operator, "sh", "-c", `aaau -- sh -c '`+streams+`' </dev/null 2>/dev/null`)
	if status, said := c.leave(); status != 3 || said != "out\n" {
		t.Errorf("status %d, %q", status, said)
	}
	refused(t, operator, []string{"-t", "-T"}, "aaau", "-t", "-T", "-p", "true")
	refused(t, operator, []string{"-t", "-T"}, "aaau", "start", "-t", "-T", "-p", "true")
	refused(t, operator, []string{"-t", "-N"}, "aaau", "-t", "-N", "-p", "true")
}

// With -N a loop that reads its input runs to its end; without, the first session takes all of it.
func TestNoInput(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	for option, want := range map[string]string{"-N": "<x>\n<y>\n<z>", "--no-input": "<x>\n<y>\n<z>", "": "<x>\ny\nz"} {
		got := output(t, operator, "sh", "-c", `printf 'x\ny\nz\n' | while read l; do echo "<$l>"; aaau `+option+` -- cat; done`)
		if got != want {
			t.Errorf("%q: %q", option, got)
		}
	}
	c := sit(t, operator, "aaau", "-N", "--", "sh", "-c", "cat; echo over")
	c.expect("over\r\n")
	c.ends(0)
}

// A session of a person with a terminal and errors of their own: who joins later sees no
// errors on their screen, and the record has them.
func TestErrorsApart(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	c := sit(t, operator, "sh", "-c", `aaau --name apart -- sh -c 'stty -echo; echo ready; read x; echo wrong >&2; echo right; read y' 2>/dev/null`)
	c.expect("ready")
	o := sit(t, operator, "aaau", "attach", "apart")
	first := o.match(`session ([0-9a-z]+)[^\n]*\n`)
	if !strings.Contains(first[1], "its errors go elsewhere") {
		t.Errorf("the first line is %q", first[1])
	}
	o.expect("ready")
	c.typed("\r")
	c.expect("right\r\n")
	o.expect("right\r\n")
	c.typed("\r")
	c.ends(0)
	if status, _ := o.leave(); status != 0 || strings.Contains(o.all()+c.all(), "wrong") {
		t.Errorf("status %d, and on the screens stands %q and %q", status, c.all(), o.all())
	}
	if text := output(t, operator, "aaau", "export", "-f", "text", first[2]); !strings.Contains(text, "wrong") || !strings.Contains(text, "right") {
		t.Errorf("the record has %q", text)
	}
}

// The session's terminal is set as the person's own is.
func TestTerminalIsSetAsTheirs(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	const show = `stty -a | tr ';' '\n' | grep -Eo '(intr|erase|susp) = [^ ]+|-?(ixon|iutf8|icrnl|onlcr|isig|echoctl|tostop)$|-?(ixon|iutf8|icrnl|onlcr|isig|echoctl|tostop) ' | tr -d ' ' | sort; echo`
	for _, set := range []string{"true", "stty erase ^H intr ^X susp undef -ixon iutf8", "stty -echoctl tostop -iutf8"} {
		own := sit(t, operator, "sh", "-c", "s=$(stty -g); "+set+"; "+show+"; stty $s")
		_, want := own.leave()
		theirs := sit(t, operator, "sh", "-c", "s=$(stty -g); "+set+`; aaau -- sh -c "$0"; stty $s`, show)
		theirs.match(`aaau: session [^\n]*\n`)
		if _, got := theirs.leave(); got != want || !strings.Contains(want, "intr=") {
			t.Errorf("after %s a session's terminal is\n%snot\n%s", set, got, want)
		}
	}
	c := sit(t, operator, "sh", "-c", `s=$(stty -g); stty erase ^H; aaau -- sh -c 'echo ready; read x; echo "<$x>"'; stty $s`)
	c.expect("ready")
	c.typed("ab\bc\r")
	c.expect("<ac>")
	c.ends(0)
}

// With -T at a terminal that one stays as it is: lines are edited there, ^D ends the
// input, and ^C the session.
func TestPipesAtATerminal(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	c := sit(t, operator, "aaau", "-T", "--", "sh", "-c", "echo ready; cat; echo over")
	id := c.session()
	c.expect("ready")
	if c.modes() != c.before {
		t.Error("the terminal was changed")
	}
	if got := inStatus(t, id, "pipes"); got != "true" {
		t.Errorf("pipes is %s", got)
	}
	c.typed("hello\r")
	c.expect("hello\r\nhello\r\n") // the echo, and cat
	c.typed("\x1d\x1d\x1dx\r")     // no keys of ours
	c.expect("\x1d\x1d\x1dx\r\n")
	c.typed("\x04")
	c.expect("over")
	c.ends(0)

	c = sit(t, operator, "aaau", "-T", "-p", "sleep 1000")
	id = c.session()
	c.typed("\x03")
	c.ends(130)
	if r := run(t, operator, "aaau", "wait", id); r.status <= 128 || r.status == 255 {
		t.Errorf("%+v", r)
	}
}

func TestPipesSeenByOthers(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	id := began(t, operator, "/", "-T", "--", "sh", "-c", "echo out; echo err >&2; exec cat")
	status := parsed[object](t, observer, "aaau", "status", id, "--json")
	if status["pipes"] != true || !strings.Contains(output(t, observer, "aaau", "status", id), "none: pipes") {
		t.Errorf("%v", status)
	}
	peek(t, id, "out")
	for _, args := range [][]string{nil, {"-r"}} {
		o := sit(t, observer, append([]string{"aaau", "attach", id}, args...)...)
		both := o.match(`session ([^\r]*)\r\n`)
		if strings.Contains(both[2], "press") {
			t.Errorf("it is said to detach by keys: %q", both[2])
		}
		await(t, "both", func() bool { return strings.Contains(o.all(), "out\r\n") && strings.Contains(o.all(), "err\r\n") })
		if o.modes() != o.before {
			t.Error("the terminal was changed")
		}
		o.typed("\x04") // ends nothing but one's own being there
		status, said := o.leave()
		if status != 0 || !strings.Contains(said, "detached; back with: aaau attach "+id) {
			t.Errorf("status %d, %q", status, said)
		}
	}
	piped := spawn(t, observer, "aaau", "attach", id)
	await(t, "the output", func() bool { return piped.stdout() == "out\n" })
	output(t, operator, "aaau", "send", id, "more\n")
	await(t, "more", func() bool { return piped.stdout() == "out\nmore\n" })
	output(t, operator, "aaau", "kill", id, "--signal", "TERM")
	if r := piped.result(); r != (result{"out\nmore\n", "err\naaau: operator sends SIGTERM\n", 143}) {
		t.Errorf("%+v", r)
	}

	// The end of a joining one's input ends nothing.
	id = began(t, operator, "/", "--", "sh", "-c", "stty -echo; echo out; exec cat")
	piped = spawn(t, operator, "sh", "-c", "printf 'some\nwords' | aaau attach "+id)
	await(t, "the output", func() bool { return piped.stdout() == "out\r\nsome\r\n" })
	output(t, operator, "aaau", "send", "-e", id, " more")
	await(t, "more", func() bool { return piped.stdout() == "out\r\nsome\r\nwords more\r\n" })
	output(t, operator, "aaau", "detach", id)
	if r := piped.result(); r.status != 0 || r.stderr != "aaau: detached by operator; back with: aaau attach "+id+"\n" {
		t.Errorf("%+v", r)
	}

	// Somebody else's leaving is not the end of a session in a pipe, its own client's is.
	own := spawn(t, operator, "aaau", "--name", "part", "--", "sh", "-c", "echo out; exec sleep 1000")
	await(t, "the output", func() bool { return own.stdout() == "out\n" })
	o := sit(t, observer, "aaau", "attach", "part")
	o.expect("out\r\n")
	o.typed("\x03")
	o.ends(130)
	if got := inStatus(t, "part", "state"); got != "running" {
		t.Errorf("it is %s", got)
	}
	o = sit(t, observer, "aaau", "attach", "part")
	o.expect("out\r\n")
	kill(t, own.cmd.Process.Pid, syscall.SIGTERM)
	if status := o.word("wait"); status>>8 <= 128 || status>>8 == 255 {
		t.Errorf("to others its end is wait status %#x", status)
	}
	if r := own.result(); r.status != 143 || r.stderr != "" {
		t.Errorf("%+v", r)
	}
}

func TestEndsOfPipes(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	for _, test := range []struct {
		line string
		want result
	}{
		{`aaau -p cat </dev/null`, result{}},
		{`aaau -p 'sh -c "exit 9"' </dev/null`, result{status: 9}},
		{`aaau -p 'sh -c "kill -INT \$\$"' </dev/null`, result{status: 130}},
		{`printf 'a\0b\n\033[6n\004c' | aaau -p 'od -An -tx1'`, result{stdout: " 61 00 62 0a 1b 5b 36 6e 04 63\n"}},
		{`for x in '' abc 'abc\n' 'abc\ndef'; do printf "$x" | aaau -t -- sh -c 'cat >/tmp/x; echo; od -An -tx1 /tmp/x; echo over' | tail -n2; done`,
			result{stdout: "\nover\n 61 62 63\nover\n 61 62 63 0a\nover\n 61 62 63 0a 64 65 66\nover\n"}},
		{`aaau -p yes </dev/null | head -n1; echo ${PIPESTATUS[*]}`, result{stdout: "y\n141 0\n"}},
		{`yes | aaau -p 'head -n1'`, result{stdout: "y\n"}},
		{`yes | aaau -p true; echo ${PIPESTATUS[*]}`, result{stdout: "141 0\n"}},
		{`aaau -p 'sh -c "echo out; echo err >&2"' </dev/null 2>&1 >/dev/null | sed s/^/2:/`, result{stdout: "2:err\n"}},
		{`aaau -- sh -c 'cat >&2; echo done' </etc/hostname 2>/dev/null`, result{stdout: "done\n"}},
		{`echo 'echo from a file' >/tmp/in.$$; aaau -p sh </tmp/in.$$; rm /tmp/in.$$`, result{stdout: "from a file\n"}},
		{`head -c 3000000 /dev/zero | aaau -p cat | aaau -p 'wc -c'`, result{stdout: "3000000\n"}},
	} {
		if r := run(t, operator, "bash", "-c", test.line); r != test.want {
			t.Errorf("%s: %+v, not %+v", test.line, r, test.want)
		}
	}
	await(t, "the end of what nobody reads", func() bool { return len(scopes(t)) == 0 })
	r := run(t, operator, "bash", "-c", "aaau -p 'echo lost' </dev/null >/dev/full")
	checkRefusal(t, "when the disk is full", []string{"no space left"}, r.status, r.stderr)
}

// Every failure is one line that begins with our name, and 255.
func TestEveryRefusalIsOneLine(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	s := openShell(t, operator)
	for _, command := range []string{"status", "peek", "wait", "kill", "freeze", "thaw", "detach"} {
		wrong, words := [][]string{{}, {"a", "b"}}, []string{command, "one session"}
		if command == "kill" { // of several it tells what came of each
			wrong, words = wrong[:1], []string{"kill needs sessions"}
		}
		for _, args := range wrong {
			refused(t, operator, words, append([]string{"aaau", command}, args...)...)
		}
		for _, odd := range []string{"nosuch", "../../etc", "\x1b[31mred", "a b", strings.Repeat("x", 5000), "-"} {
			refused(t, operator, []string{"no session"}, "aaau", command, odd)
		}
		refused(t, operator, []string{"nonsense", "--help"}, "aaau", command, "--nonsense", s.id)
		refused(t, operator, []string{"aaau.socket"}, "aaau", command, "-s", "/run/nowhere", s.id)
		refused(t, as(t, "outsider"), []string{"usermod"}, "aaau", command, s.id)
	}
	for _, argv := range [][]string{
		{"status", ""}, {"share", "", "observer"}, {"send", "", "x"}, {"share", s.id, ""}, {"share", s.id, "-1"}, {"share", s.id, "4294967296"},
		{"share"}, {"unshare"}, {"send"}, {"put"}, {"put", "a", "b", "c"}, {"events", "-x"}, {"list", "x"}, {"setup"}, {"start", "--name"},
		{"kill", s.id, "--signal"}, {"-n", ""}, {"-n", s.id, "--name", "x"}, {"-n", s.id, "-T"}, {"-n", s.id, "-t"}, {"attach", "-n", s.id},
		{"--name", "x y", "-p", "true"}, {"connect", "--name", "x/y", "-p", "true"}, {"detach", s.id, "--client=-1"},
	} {
		refused(t, operator, nil, append([]string{"aaau"}, argv...)...)
	}
	if fmt.Sprint(inStatus(t, s.id, "state"), inStatus(t, s.id, "clients")) != "running1" {
		t.Error("a session suffered")
	}
	s.close()
}
