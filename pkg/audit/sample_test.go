package audit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clock is one that goes on by a millisecond each time somebody looks.
type clock struct{ t time.Time }

func (c *clock) now() time.Time {
	c.t = c.t.Add(time.Millisecond)
	return c.t
}

func noon() *clock { return &clock{time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)} }

func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	if o.now == nil {
		o.now = noon().now
	}
	if o.OnError == nil {
		o.OnError = func(chain string, err error) { t.Errorf("%s: %v", chain, err) }
	}
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // it may be closed
	return s
}

func session(t testing.TB, s *Store, id string) *Chain {
	t.Helper()
	c, err := s.Session(id, "agent", true)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func add(t testing.TB, c *Chain, records ...Record) {
	t.Helper()
	if n, err := c.Append(records...); n != len(records) || err != nil {
		t.Fatalf("%d of %d recorded: %v", n, len(records), err)
	}
}

func put(t testing.TB, c *Chain, stream Stream, text string) {
	t.Helper()
	if n, err := c.Output(stream, []byte(text), true); n != len(text) || err != nil {
		t.Fatalf("%d of %d bytes recorded: %v", n, len(text), err)
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ptr[T any](v T) *T { return &v }

var who = Person{UID: 1000, LoginUID: ptr(uint32(1000)), PID: 4711, Client: 3}

// every is a record of each kind that callers make, at its fullest and at its least.
func every() []Record {
	sys := func(content string, m Metadata) Record {
		return Record{Source: System, User: "system", Content: content, Metadata: m}
	}
	human := func(content string, m Metadata) Record {
		return Record{Source: Human, User: "operator", Content: content, Metadata: m}
	}
	least := Person{UID: 1000, PID: 1, Client: 1}
	return []Record{
		{Source: System, User: "operator", Content: `"claude" "--x"`, Metadata: SessionStart{
			Person: who, Program: "claude", Argv: []string{"claude", "--x", "\xff\n"}, Profile: "claude", AgentUser: "agent", AgentPID: 99,
			PTY: "/dev/pts/0", Rows: 24, Cols: 80, Scope: "aaau-claude-x.scope", Name: "project", Private: true, Deadline: 1767225600.5, Limits: map[string]string{"MemoryMax": "1G"},
			Workspaces: []string{"/home/operator/pröject\u0085"}, Secrets: []string{"TOKEN"}, Input: "full"}},
		{Source: System, User: "1000", Metadata: SessionStart{Person: Person{UID: 1000, PID: 1}, Pipes: true, ErrorsApart: true}},
		sys("exit status 0", SessionEnd{Status: ptr(0), DurationMS: 12, Bytes: 5, ErrorBytes: 7, MemoryPeak: ptr(int64(1 << 30)), CPUUsec: ptr(int64(1e6))}),
		sys("ended by SIGKILL", SessionEnd{Signal: ptr(9)}),
		human("Admin", Attach{Person: who, Role: "Admin"}),
		human("", Detach{Person: least}),
		NewInput("operator", who, []byte("ls -la\r\x1b[A\u0085 \"quoted\" \\ and täxt")),
		NewInput("operator", least, []byte("\xff\xfe\x00")),
		NewWithheldInput("operator", who, 12, "password"),
		NewAnswer([]byte("\x1b[1;1R")),
		human("", Resize{Person: &who, Rows: 30, Cols: 100}),
		sys("", Resize{Rows: 30, Cols: 100}),
		human("kill", Control{Person: &who, Action: "kill", Signal: 9}),
		human("freeze", Control{Person: &who, Action: "freeze"}),
		sys("thaw", Control{Action: "thaw", Reason: "there is room", Home: "agent for operator"}),
		human("share", Control{Person: &who, Action: "share", With: ptr(uint32(1001)), Role: "ReadOnly"}),
		human("put", Control{Person: &who, Action: "put", Path: "/tmp/\xe4.png"}),
		human("export", Control{Person: &who, Action: "export", Reason: "text"}),
		human("search", Control{Person: &who, Action: "search"}),
		sys("relock", Control{Action: "relock", Error: "no such file"}),
		sys("tripped", Control{Action: "tripped", Reason: "a link"}),
		sys("deadline", Control{Action: "deadline", Reason: "its time of 1h0m0s is over"}),
		sys("out_of_memory", Control{Action: "out_of_memory", Reason: "a process was killed"}),
		sys("policy", Control{Action: "policy"}),
		human("no role on it", Denied{Person: Person{UID: 12, PID: 9}}),
		sys("", Retention{Chain: "x", File: "sessions/x-2026-11-01.jsonl.zst", Bytes: 9, Seq: 3, Reason: "age"}),
		sys("it was gone", Hole{Stream: Stderr, Offset: 3, Bytes: 9}),
		human("not your session", Denied{Person: who}),
		human("2 changed files that tools of theirs run", Changes{Person: who, Total: 3, More: true, Error: "there are too many", Changes: []Change{
			{Path: "/home/operator/x/.envrc", What: "new or changed"}, {Path: "/home/operator/\xff/node_modules/", What: "812 files", Files: 812}}}),
		human("no changed files", Changes{Person: least, Changes: []Change{}}),
		human("7 more were refused; the last: no role on it", Denied{Person: who, More: 7, Since: 1795608000.123456, Until: 1795608009, Several: true}),
	}
}

// sample is the record of a bridge and of one session, in several files of which some
// are compressed.
func sample(t testing.TB, dir string, size int64) {
	c := noon()
	s := open(t, dir, Options{now: c.now, SegmentSize: size, Version: "1.0"})
	for _, r := range every() {
		r.SessionID = "s1"
		add(t, s.Bridge(), r)
	}
	ch := session(t, s, "s1")
	add(t, ch, every()[0])
	for _, r := range every() {
		if r.Metadata.Kind() == KindInput || r.Metadata.Kind() == KindResize || r.Metadata.Kind() == KindAttach {
			add(t, ch, r)
		}
		put(t, ch, Stdout, "some output, \x1b[1mbold\x1b[m\r\n")
		put(t, ch, Stderr, "trouble\n")
	}
	ok(t, s.Close())
	c.t = c.t.AddDate(0, 0, 1)
	s = open(t, dir, Options{now: c.now, SegmentSize: size, Version: "1.1"})
	ch = session(t, s, "s1")
	put(t, ch, Stdout, "the day after\xff\r\n")
	add(t, ch, every()[2])
	ok(t, ch.Finish())
	ok(t, s.Close())
}

// lines are all lines of a chain, however they are kept.
func lines(t testing.TB, dir, chain string) (all []string) {
	t.Helper()
	for e, err := range Read(dir, chain) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(e.Raw))
	}
	return all
}

func entries(t testing.TB, dir, chain string) (all []*Entry) {
	t.Helper()
	for e, err := range Read(dir, chain) {
		if err != nil {
			t.Fatal(err)
		}
		e.Raw, e.Metadata, e.content = []byte(string(e.Raw)), []byte(string(e.Metadata)), []byte(string(e.content))
		all = append(all, e)
	}
	return all
}

func sound(t testing.TB, dir, chain string) Report {
	t.Helper()
	r, err := Verify(dir, chain, nil, nil)
	if err != nil || r.Problem != nil {
		t.Fatalf("verify %s: %v, %v", chain, r.Problem, err)
	}
	return r
}

func raws(t testing.TB, dir, chain string, stream Stream) string {
	t.Helper()
	var b strings.Builder
	ok(t, Raw(&b, Read(dir, chain), stream))
	return b.String()
}

func kindsOf(all []*Entry) (kinds []string) {
	for _, e := range all {
		kinds = append(kinds, string(e.Kind))
	}
	return kinds
}

func path(t testing.TB, dir, chain string) string {
	t.Helper()
	files, err := Files(dir, chain)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	return filepath.Join(dir, files[len(files)-1])
}

func contents(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	ok(t, err)
	return string(b)
}
