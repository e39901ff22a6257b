package system

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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
	t.Cleanup(func() { run(t, as(t, "root"), "aaau", "kill", "--force", id) }) // it may have ended
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
	const always = "activity activity_since began bytes clients cols id name owner owner_name pipes private profile program role rows state user workspaces"
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
	o.match(promptForm)
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
	for _, bad := range []string{"-x", ".x", "a b", "a/b", "a\u200b", strings.Repeat("x", 41), "a\x1b[31m"} {
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
	// For an hour it is still one's own, lest what was meant for it goes to another's.
	if got := parsed[object](t, observer, "aaau", "status", "same", "--json")["id"]; got != theirs {
		t.Errorf("same is %v when one's own has ended, not that: %s", got, theirs)
	}
	refused(t, observer, []string{theirs, "has ended", "operator's session of that name is " + mine}, "aaau", "attach", "same")
	if got := parsed[object](t, operator, "aaau", "status", "same", "--json")["id"]; got != mine {
		t.Errorf("same is %v to operator, not %s", got, mine)
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
