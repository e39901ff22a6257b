package system

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/term"
)

// began starts a session that nobody is in, as a person does in a directory, and is
// its id. It does not outlive the test.
func began(t *testing.T, who account, dir string, args ...string) string {
	t.Helper()
	r := run(t, who, at(dir, append([]string{"aaau", "start"}, args...)...)...)
	id, rest, _ := strings.Cut(r.stdout, "\n")
	if r.status != 0 || id == "" || rest != "" || r.stderr != "" {
		t.Fatalf("%s: aaau start %q: status %d, stdout %q, stderr %q", who.name, args, r.status, r.stdout, r.stderr)
	}
	t.Cleanup(func() { run(t, as(t, "root"), "aaau", "kill", id) }) // it may have ended
	return id
}

// object is a piece of JSON.
type object map[string]any

// fields are the names of its members, sorted.
func (o object) fields() string { return strings.Join(slices.Sorted(maps.Keys(o)), " ") }

// parsed is what a program prints, which must be JSON of that form.
func parsed[T any](t *testing.T, who account, argv ...string) (v T) {
	t.Helper()
	if out := output(t, who, argv...); json.Unmarshal([]byte(out), &v) != nil {
		t.Fatalf("%q printed %q", argv, out)
	}
	return v
}

// inStatus is one member of a session's status.
func inStatus(t *testing.T, session, member string) string {
	t.Helper()
	return fmt.Sprint(parsed[object](t, as(t, "root"), "aaau", "status", session, "--json")[member])
}

// peek waits until a session's screen shows a text.
func peek(t *testing.T, session, text string) {
	t.Helper()
	shows := ""
	if !eventually(func() bool {
		shows = run(t, as(t, "root"), "aaau", "peek", session).stdout
		return strings.Contains(shows, text)
	}) {
		t.Fatalf("in vain waited for %q; the session shows %q", text, shows)
	}
}

func TestListStatusPeek(t *testing.T) {
	begin(t)
	operator, observer, root := as(t, "operator"), as(t, "observer"), as(t, "root")
	if r := run(t, operator, "aaau", "list"); r.status != 0 || r.stdout != "" || r.stderr != "aaau: no sessions that you may see\n" {
		t.Errorf("with no sessions: %+v", r)
	}
	if got := output(t, operator, "aaau", "list", "--json"); got != "[]" {
		t.Errorf("with no sessions: %q", got)
	}
	shop := tree(t, operator, "shop")
	private := began(t, operator, shop, "-C", ".", "--", "sh", "-c", `printf '\033]2;a title\ahello \033[31mworld\n'; sleep 1000`)
	s := openShell(t, operator)
	ids := func(who account) (ids []string) {
		for _, o := range parsed[[]object](t, who, "aaau", "list", "--json") {
			ids = append(ids, o["id"].(string))
		}
		return ids
	}
	for who, want := range map[string][]string{"operator": {private, s.id}, "root": {private, s.id}, "observer": {s.id}} {
		if got := ids(as(t, who)); !slices.Equal(got, want) {
			t.Errorf("%s sees %q, not %q", who, got, want)
		}
		if table := output(t, as(t, who), "aaau", "list"); strings.Count(table, "\n") != len(want) || !strings.HasPrefix(table, "ID ") || !strings.Contains(table, s.id) {
			t.Errorf("%s sees %q", who, table)
		}
	}
	for _, command := range []string{"status", "peek", "wait", "send", "kill", "freeze", "thaw", "detach", "attach"} {
		argv := []string{"aaau", command, private}
		if command == "send" {
			argv = append(argv, "text")
		}
		refused(t, observer, []string{"no session"}, argv...)
	}

	// Programs rely on what members there are.
	const always = "began bytes clients cols id name owner owner_name pipes private profile program role rows state user workspaces"
	for _, o := range parsed[[]object](t, root, "aaau", "list", "--json") {
		want := always
		if o["id"] == private {
			want = strings.Replace(want, "user", "title user", 1)
		}
		if got := o.fields(); got != want {
			t.Errorf("a session in a list has %q", got)
		}
	}
	peek(t, private, "hello world")
	got := parsed[object](t, operator, "aaau", "status", "--json", "shop")
	for member, want := range map[string]string{
		"id": private, "name": "shop", "profile": "shell", "program": "sh", "owner": fmt.Sprint(operator.uid), "owner_name": "operator",
		"user": "agent", "role": "Interactive", "state": "running", "title": "a title", "private": "true", "pipes": "false",
		"rows": "24", "cols": "80", "workspaces": "[" + shop + "]", "clients": "0",
	} {
		if fmt.Sprint(got[member]) != want {
			t.Errorf("%s is %v, not %s", member, got[member], want)
		}
	}

	o := sit(t, observer, "aaau", "attach", "-r", s.id)
	o.expect("\x1e")
	var people struct {
		State  string
		People []object
	}
	if err := json.Unmarshal([]byte(output(t, observer, "aaau", "status", "--json", s.id)), &people); err != nil || len(people.People) != 2 {
		t.Fatalf("%+v, %v", people, err)
	}
	for i, want := range []string{
		fmt.Sprintf("map[drives:true name:operator pid:%d role:Interactive uid:%d]", s.pid, operator.uid),
		fmt.Sprintf("map[name:observer pid:%d role:ReadOnly uid:%d]", o.pid, observer.uid),
	} {
		p := people.People[i]
		if p["since"].(float64) < 1.7e9 || p["client"].(float64) < 1 {
			t.Errorf("%v", p)
		}
		delete(p, "since")
		delete(p, "client")
		p["pid"], p["uid"] = int(p["pid"].(float64)), int(p["uid"].(float64))
		if got := fmt.Sprint(map[string]any(p)); got != want {
			t.Errorf("number %d is %s, not %s", i, got, want)
		}
	}
	text := output(t, observer, "aaau", "status", s.id)
	for _, want := range []string{s.id, "running", "operator", "observer", "ReadOnly", "drives", "24 rows, 80 columns"} {
		if !strings.Contains(text, want) {
			t.Errorf("the status does not tell %q: %s", want, text)
		}
	}

	s.prints("clear; echo on the screen", "\x1b[H\x1b[2J\x1b[3Jon the screen")
	peek(t, s.id, "on the screen")
	screen := parsed[object](t, observer, "aaau", "peek", s.id, "--json")
	if screen.fields() != "col cols row rows text" || screen["rows"] != 24.0 || screen["cols"] != 80.0 || screen["row"] != 1.0 {
		t.Errorf("the screen is %v", screen)
	}

	output(t, operator, "aaau", "freeze", s.id)
	got = parsed[object](t, observer, "aaau", "status", s.id, "--json")
	if got["state"] != "frozen" || fmt.Sprint(got["frozen"]) != "[admin]" {
		t.Errorf("state %v, frozen %v", got["state"], got["frozen"])
	}
	output(t, operator, "aaau", "thaw", s.id)
	if got := inStatus(t, s.id, "state"); got != "running" {
		t.Errorf("the state is %q", got)
	}
	s.close()
	o.ends(0)
	got = parsed[object](t, observer, "aaau", "status", s.id, "--json")
	if got["state"] != "ended" || fmt.Sprint(got["ended"]) != "map[code:0]" || got["people"] != nil {
		t.Errorf("when it has ended: %v", got)
	}
	refused(t, observer, []string{"has ended"}, "aaau", "peek", s.id)
}

func TestNames(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	shop := tree(t, operator, "shop")
	start := func(args ...string) string {
		return inStatus(t, began(t, operator, shop, append(args, "--", "sleep", "1000")...), "name")
	}
	for i, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-C", "."}, "shop"},
		{[]string{"-C", "."}, "shop-2"},
		{[]string{"-C", ".", "--name", "till"}, "till"},
		{[]string{"--workspace", "."}, "shop-3"},
		{nil, ""},
		{[]string{"--name", "x.y_z-1"}, "x.y_z-1"},
	} {
		if got := start(test.args...); got != test.want {
			t.Errorf("number %d is called %q, not %q", i, got, test.want)
		}
	}
	refused(t, operator, []string{"shop", "already", "aaau attach shop"}, at(shop, "aaau", "start", "--name", "shop", "--", "true")...)
	for _, bad := range []string{"-x", ".x", "a b", "a/b", "é", strings.Repeat("x", 41), "a\x1b[31m"} {
		refused(t, operator, []string{"name"}, "aaau", "start", "--name="+bad, "--", "true")
	}

	// The end of a session gives its name back; and each person has names of their own.
	output(t, operator, "aaau", "kill", "shop")
	if got := start("-C", "."); got != "shop" {
		t.Errorf("after the first is gone the next is called %q", got)
	}
	mine, theirs := began(t, operator, "/", "--name", "same", "--", "sleep", "1000"), began(t, observer, "/", "--name", "same", "--", "sleep", "1000")
	for who, want := range map[string]string{"operator": mine, "observer": theirs} {
		if got := parsed[object](t, as(t, who), "aaau", "status", "same", "--json")["id"]; got != want {
			t.Errorf("same is %v to %s, not %s", got, who, want)
		}
	}
	refused(t, as(t, "root"), []string{`"same"`, mine, theirs}, "aaau", "status", "same")
	output(t, observer, "aaau", "kill", "same")
	if got := parsed[object](t, observer, "aaau", "status", "same", "--json")["id"]; got != mine {
		t.Errorf("same is %v when one's own has ended, not that which is there: %s", got, mine)
	}
}

func TestIDsMayBeCut(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	byFirst := map[byte]string{}
	for {
		id := began(t, operator, "/", "--", "sleep", "1000")
		other := byFirst[id[0]]
		byFirst[id[0]] = id
		if other == "" {
			continue
		}
		refused(t, operator, []string{`"` + id[:1] + `"`, id, other}, "aaau", "status", id[:1])
		n := 1
		for id[:n] == other[:n] {
			n++
		}
		if got := parsed[object](t, operator, "aaau", "status", id[:n], "--json")["id"]; got != id {
			t.Errorf("%q is %v, not %s", id[:n], got, id)
		}
		// A name is not taken for the beginning of an id.
		named := began(t, operator, "/", "--name", id[:1], "--", "sleep", "1000")
		if got := parsed[object](t, operator, "aaau", "status", id[:1], "--json")["id"]; got != named {
			t.Errorf("the name %q is %v, not %s", id[:1], got, named)
		}
		return
	}
}

func TestStart(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	id := began(t, operator, "/", "--", "sh", "-c", `echo "it is $AAAU_SESSION, $(stty size)"; read x; exit 5`)
	peek(t, id, "it is "+id+", 24 80")
	if got := inStatus(t, id, "clients"); got != "0" {
		t.Errorf("%s are in it", got)
	}
	output(t, operator, "aaau", "send", id, "--enter", "x")
	if r := run(t, operator, "aaau", "wait", id); r != (result{status: 5}) {
		t.Errorf("wait: %+v", r)
	}

	refused(t, operator, []string{"no-such-program", "not found"}, "aaau", "start", "--", "no-such-program")
	refused(t, operator, []string{"no-such-program", "not found"}, "aaau", "start", "-p", "no-such-program")
	refused(t, operator, []string{"unknown alias", "nonsense"}, "aaau", "start", "nonsense")
	refused(t, operator, []string{"--"}, "aaau", "start", "--")
	refused(t, operator, []string{"-n"}, "aaau", "start", "-n", id)
	refused(t, as(t, "outsider"), []string{"usermod"}, "aaau", "start", "--", "true")

	// At a terminal it has that one's size, and still prints the id alone.
	c := sitAt(t, operator, 33, 101, nil, "aaau", "start", "-p", "sh -c 'stty size; sleep 1000'")
	id = strings.TrimSpace(c.match(`^([0-9a-z]+)\r\n`)[1])
	if status, rest := c.leave(); status != 0 || rest != "" {
		t.Errorf("status %d, and it said %q", status, rest)
	}
	peek(t, id, "33 101")
	output(t, operator, "aaau", "kill", id)
}

func TestWait(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	for _, test := range []struct {
		ends string
		want int
	}{{"exit 0", 0}, {"exit 7", 7}, {"exit 255", 255}, {"kill -TERM $$", 143}, {"kill -KILL $$", 137}} {
		id := began(t, operator, "/", "--name", "waited", "--", "sh", "-c", "read x; "+test.ends)
		first, second := spawn(t, operator, "aaau", "wait", id), spawn(t, observer, "aaau", "wait", "waited")
		// Both have asked when the bridge has them as clients in wait: it says nothing of it.
		output(t, operator, "aaau", "send", id, "-e", "")
		for who, w := range map[string]*spawned{"operator": first, "observer": second} {
			if r := w.result(); r != (result{status: test.want}) {
				t.Errorf("%s: %s waits: %+v", test.ends, who, r)
			}
		}
		for _, ref := range []string{id, id[:6], "waited"} {
			if r := run(t, observer, "aaau", "wait", ref); r != (result{status: test.want}) {
				t.Errorf("%s: after its end: %+v", test.ends, r)
			}
		}
	}
	refused(t, operator, []string{"no session", "nosuch"}, "aaau", "wait", "nosuch")
	refused(t, operator, []string{"needs one session"}, "aaau", "wait")
	refused(t, operator, []string{"needs one session"}, "aaau", "wait", "a", "b")
}

// Where one is decides which session is meant.
func TestAttachWithoutASession(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	refused(t, operator, []string{"no session", "aaau list"}, "aaau", "attach")
	shop, other := tree(t, operator, "shop"), tree(t, operator, "other")
	cat := []string{"--", "sh", "-c", "echo in $AAAU_SESSION; exec cat"}
	began(t, operator, shop, append([]string{"-C", "."}, cat...)...)
	second := began(t, operator, shop, append([]string{"-C", "."}, cat...)...)
	latest := began(t, operator, "/", cat...)
	began(t, observer, "/", cat...)
	output(t, operator, "ln", "-sfn", shop, filepath.Join(operator.home, "link"))
	t.Cleanup(func() { os.Remove(filepath.Join(operator.home, "link")) })
	for _, test := range []struct{ dir, want string }{{shop, second}, {filepath.Join(operator.home, "link"), second}, {other, latest}, {"/", latest}} {
		c := sit(t, operator, at(test.dir, "aaau", "attach")...)
		c.expect("in " + test.want)
		c.typed("hello\r")
		c.expect("hello\r\nhello\r\n")
		c.typed("\x1d\x1d\x1d")
		c.ends(0)
	}

	c := sit(t, operator, at(shop, "aaau", "attach", "-r")...)
	c.expect("in " + second)
	c.typed("not to be seen\r")
	c.typed("\x1d\x1d\x1d")
	c.ends(0)
	for _, argv := range [][]string{{"aaau", "-n", "shop-2"}, {"aaau", "connect", "-n", second}, {"aaau", "connect", "--session", second[:5]}} {
		c := sit(t, operator, argv...)
		c.expect("in " + second)
		c.typed("\x1d\x1d\x1d")
		c.ends(0)
		if strings.Contains(c.all(), "not to be seen") {
			t.Error("a watcher typed")
		}
	}
	// Nobody but the owner is put into a session without naming it.
	refused(t, as(t, "root"), []string{"you have no session"}, at(shop, "aaau", "attach")...)

	refused(t, operator, []string{"no session", "nosuch"}, "aaau", "attach", "nosuch")
	refused(t, operator, []string{"no session", "nosuch"}, "aaau", "attach", "-r", "nosuch")
	refused(t, operator, []string{"one session"}, "aaau", "attach", latest, second)
	output(t, operator, "aaau", "kill", latest)
	refused(t, operator, []string{latest, "ended"}, "aaau", "attach", latest)
	refused(t, operator, []string{latest, "ended"}, "aaau", "-n", latest)
}

func TestOptionsBeforeAndAfter(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	id := began(t, operator, "/", "--name", "here", "--", "cat")
	for _, argv := range [][]string{
		{"list", "--json", "-s", serverSocket}, {"-s", serverSocket, "list", "--json"}, {"--json", "list"}, {"list", "--socket=" + serverSocket, "--json"},
		{"status", "here", "--json"}, {"status", "--json", "here"}, {"-s", serverSocket, "status", "here", "--json"},
		{"status", "here", "-s", serverSocket, "--json"},
	} {
		if got := output(t, operator, append([]string{"aaau"}, argv...)...); !strings.Contains(got, `"id": "`+id+`"`) {
			t.Errorf("%q: %q", argv, got)
		}
	}
	for _, argv := range [][]string{{"list", "-s", "/nowhere"}, {"-s", "/nowhere", "list"}, {"status", "here", "--socket", "/nowhere"}} {
		refused(t, operator, []string{"/nowhere"}, append([]string{"aaau"}, argv...)...)
	}
	for _, argv := range [][]string{
		{"attach", "here", "-r"}, {"attach", "-r", "here"}, {"-r", "attach", "here"}, {"--read-only", "attach", "here", "--detach-key", "^A"},
		{"--detach-key=^A", "-r", "attach", "here"}, {"-r", "-n", "here"}, {"-n", "here", "-r"}, {"connect", "-r", "-n", "here"},
	} {
		c := sit(t, operator, append([]string{"aaau"}, argv...)...)
		await(t, "the client in the session", func() bool { return inStatus(t, id, "clients") == "1" })
		if who := inStatus(t, id, "people"); !strings.Contains(who, "role:ReadOnly") {
			t.Errorf("%q: %s", argv, who)
		}
		c.typed("\x1d\x1d\x1d\x01\x01\x01")
		c.ends(0)
		await(t, "an empty session", func() bool { return inStatus(t, id, "clients") == "0" })
	}
	refused(t, operator, []string{"-nonsense", "--help"}, "aaau", "list", "--nonsense")
	refused(t, operator, []string{"-json"}, "aaau", "--json", "attach", "here")
	refused(t, operator, []string{`"more"`}, "aaau", "list", "more")
}

// What follows an alias is the program's, options of ours and commands included.
func TestArgumentsAfterAnAlias(t *testing.T) {
	begin(t)
	writeProfile(t, "teller", "program="+helper+" argv first")
	operator := as(t, "operator")
	for _, test := range []struct{ before, after []string }{
		{nil, []string{"--help"}},
		{nil, []string{"--json", "-r", "-n", "x", "-s", "/nowhere", "list"}},
		{nil, []string{"list", "-h", "--version", "-v", "-"}},
		{nil, []string{"-p", "--", "-x", "--"}},
		{nil, []string{"$(id)", "a b", "", "'", "\x1b[31m"}},
		{[]string{"connect"}, []string{"--help", "-r"}},
		{[]string{"--name", "told"}, []string{"--name", "other"}},
		{[]string{"connect", "--no-workspace"}, []string{"attach"}},
	} {
		want := "\"first\"\n"
		for _, a := range test.after {
			want += fmt.Sprintf("%q\n", a)
		}
		argv := slices.Concat([]string{"aaau"}, test.before, []string{"teller"}, test.after)
		if r := run(t, operator, argv...); r.stdout != want || r.status != 0 {
			t.Errorf("%q: %+v", argv, r)
		}
	}
	id := began(t, operator, "/", "teller", "--help", "-r")
	run(t, operator, "aaau", "wait", id)
	if r := run(t, operator, "aaau", "wait", id); r.status != 0 {
		t.Errorf("%+v", r)
	}
}

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
	if r := run(t, operator, "aaau", "kill", id); r != (result{}) {
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
	o.expect("\x1e")
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
			c.expect("aaau: frozen by " + who.name + "; it goes on with: aaau thaw " + s.id + "\r\n")
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
		o.expect("thawed by " + who.name + "\r\n")
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
		if want := "aaau: detached by " + by + "; back with: aaau attach " + id + "\n"; status != 0 || strings.TrimLeft(said, "\n") != want {
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
