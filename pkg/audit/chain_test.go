package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// What was recorded reads back as it was, and every line is JSON to others, with the
// fields in their order.
func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Version: "1.0"})
	want := every()
	add(t, s.Bridge(), want...)
	ok(t, s.Close())
	got := entries(t, dir, BridgeChain)
	if len(got) != len(want)+1 || got[0].Kind != KindBridgeStart {
		t.Fatalf("%d records of %d: %q", len(got), len(want), kindsOf(got))
	}
	for i, w := range want {
		e := got[i+1]
		text, err := e.Text()
		ok(t, err)
		m, err := e.Decode()
		ok(t, err)
		a, _ := json.Marshal(w.Metadata)
		b, _ := json.Marshal(m)
		if e.Source != w.Source || e.User != w.User || e.Kind != w.Metadata.Kind() || text != w.Content || !bytes.Equal(a, b) || e.Seq != uint64(i+2) {
			t.Errorf("%+v\nread back as %+v %q\n%s\n%s", w, e, text, a, b)
		}
		d := json.NewDecoder(bytes.NewReader(e.Raw))
		var names []string
		for depth := 0; ; {
			tok, err := d.Token()
			if err != nil {
				break
			}
			switch tok {
			case json.Delim('{'), json.Delim('['):
				depth++
			case json.Delim('}'), json.Delim(']'):
				depth--
			default:
				if name, ok := tok.(string); ok && depth == 1 && strings.Contains(string(e.Raw), `"`+name+`":`) {
					names = append(names, name)
				}
			}
		}
		if n := strings.Join(names, " "); !strings.HasPrefix(n, "timestamp source") {
			t.Errorf("fields %s", n)
		}
	}
}

func TestFieldsInOrder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Version: "1.0"})
	add(t, s.Bridge(), Record{Source: Human, User: "operator", SessionID: "s1", Content: "no", Metadata: Denied{Person: Person{UID: 1, PID: 2}}})
	ok(t, s.Close())
	got := lines(t, dir, BridgeChain)[1]
	want := `{"timestamp":1795608000.004000,"source":"human","user":"operator","session_id":"s1","command_type":"denied","content":"no","metadata":{"uid":1,"loginuid":null,"pid":2},"seq":2,"prev":"`
	if !strings.HasPrefix(got, want) {
		t.Errorf("%s\nwant %s…", got, want)
	}
}

// Any bytes, offered in any pieces, over restarts, come back.
func TestOutputExactly(t *testing.T) {
	dir, rng := t.TempDir(), rand.New(rand.NewSource(7))
	var want [2][]byte
	for i := range want {
		for len(want[i]) < 300<<10 {
			switch rng.Intn(4) {
			case 0:
				b := make([]byte, rng.Intn(9000))
				rng.Read(b)
				want[i] = append(want[i], b...)
			case 1:
				want[i] = append(want[i], strings.Repeat("漢字\x1b[1m", rng.Intn(900))...)
			case 2:
				want[i] = append(want[i], "\xe6\xbc"...)
			default:
				want[i] = append(want[i], strings.Repeat("text\r\n", rng.Intn(9000))...)
			}
		}
	}
	var done [2]int
	for done[0] < len(want[0]) || done[1] < len(want[1]) {
		s := open(t, dir, Options{SegmentSize: 100 << 10})
		c := session(t, s, "s1")
		for range rng.Intn(10) {
			i := rng.Intn(2)
			if got := c.Recorded(Stream(i)); got != int64(done[i]) {
				t.Fatalf("%s goes on at %d, want %d", Stream(i), got, done[i])
			}
			end := min(len(want[i]), done[i]+rng.Intn(100<<10))
			n, err := c.Output(Stream(i), want[i][done[i]:end], end == len(want[i]))
			ok(t, err)
			done[i] += n
		}
		ok(t, s.Close())
	}
	for i := range want {
		if got := raws(t, dir, "s1", Stream(i)); got != string(want[i]) {
			t.Errorf("%s: %d bytes of %d, or others", Stream(i), len(got), len(want[i]))
		}
	}
	sound(t, dir, "s1")
}

func TestManyWriters(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{now: time.Now, SegmentSize: 64 << 10, SyncEvery: time.Millisecond})
	c := session(t, s, "s1")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if _, err := c.Append(every()[4]); err != nil {
					t.Error(err)
				}
				if _, err := c.Output(Stdout, []byte("xyz"), true); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	ok(t, c.Finish())
	ok(t, s.Close())
	if r := sound(t, dir, "s1"); r.Records < 3200 {
		t.Errorf("%d records", r.Records)
	}
	if got := raws(t, dir, "s1", Stdout); got != strings.Repeat("xyz", 1600) {
		t.Errorf("%d bytes", len(got))
	}
}

// Who goes on with a chain knows whether it has its end, wherever that stands.
func TestEnded(t *testing.T) {
	for name, finish := range map[string]func(*Chain) error{"a killed bridge": (*Chain).Sync, "one that ends": (*Chain).Close, "a session's end": (*Chain).Finish} {
		dir := t.TempDir()
		for i := range 4 {
			s := open(t, dir, Options{})
			c := session(t, s, "s1")
			if i < 2 {
				put(t, c, Stdout, "one")
			}
			if i == 1 {
				add(t, c, every()[2])
			}
			if got := c.Ended(); got != (i > 0) {
				t.Errorf("%s: %d: ended: %v", name, i, got)
			}
			if i == 0 {
				ok(t, c.Sync()) // it goes on
			} else {
				ok(t, finish(c))
			}
			ok(t, s.Close())
		}
		if got := kindsOf(entries(t, dir, "s1")); !reflect.DeepEqual(got, []string{"output", "bridge_resume", "output", "session_end"}) {
			t.Errorf("%s: %q", name, got)
		}
		s := open(t, dir, Options{})
		c := session(t, s, "s1")
		if add(t, c, every()[4]); c.Ended() {
			t.Errorf("%s: it is not over", name)
		}
	}
}

// What is missing is said, counts as if it were there, and who goes on knows that.
func TestHole(t *testing.T) {
	dir, c := t.TempDir(), noon()
	s := open(t, dir, Options{now: c.now})
	ch := session(t, s, "s1")
	put(t, ch, Stdout, "one")
	put(t, ch, Stderr, "trouble")
	ok(t, ch.Miss(Stdout, 1000, "it was gone"))
	if got := [2]int64{ch.Recorded(Stdout), ch.Recorded(Stderr)}; got != [2]int64{1003, 7} {
		t.Errorf("goes on at %d", got)
	}
	ok(t, s.Close())
	s = open(t, dir, Options{now: c.now})
	ch = session(t, s, "s1")
	if got := [2]int64{ch.Recorded(Stdout), ch.Recorded(Stderr)}; got != [2]int64{1003, 7} {
		t.Errorf("the next bridge goes on at %d", got)
	}
	put(t, ch, Stdout, "two")
	ok(t, ch.Miss(Stderr, 1, "so was that"))
	c.t = c.t.AddDate(0, 0, 1)
	put(t, ch, Stdout, "three")
	ok(t, s.Close())
	if got := raws(t, dir, "s1", Stdout); got != "onetwothree" {
		t.Errorf("%q", got)
	}
	var at []any
	for _, e := range entries(t, dir, "s1") {
		m, err := e.Decode()
		ok(t, err)
		switch m := m.(type) {
		case *Output:
			at = append(at, m.Stream, m.Offset)
		case *Hole:
			at = append(at, "hole", m.Stream, m.Offset, m.Bytes)
		case *Segment:
			at = append(at, m.Offsets)
		}
	}
	if want := []any{Stdout, int64(0), Stderr, int64(0), "hole", Stdout, int64(3), int64(1000), Stdout, int64(1003), "hole", Stderr, int64(7), int64(1),
		Offsets{1006, 8}, Stdout, int64(1006)}; !reflect.DeepEqual(at, want) {
		t.Errorf("%v, want %v", at, want)
	}
	if r := sound(t, dir, "s1"); r.Holes != 2 {
		t.Errorf("%d holes", r.Holes)
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := Open("/nosuch", Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a record in no directory: %v", err)
	}
	dir := t.TempDir()
	s := open(t, dir, Options{})
	for _, id := range []string{"", "..", "a/b", BridgeChain, "aaau_2", "a.2", strings.Repeat("x", 65)} {
		if _, err := s.Session(id, "agent", false); err == nil {
			t.Errorf("a session %q", id)
		}
	}
	session(t, s, "s1")
	if _, err := s.Session("s1", "agent", false); err == nil {
		t.Error("one session twice")
	}
	if _, err := s.chains["s1"].Append(Record{SessionID: "s2", Metadata: Detach{who}}); err == nil {
		t.Error("another's record")
	}
	if _, err := s.chains["s1"].Append(Record{Content: strings.Repeat("x", MaxLine), Metadata: Detach{who}}); err == nil {
		t.Error("a record that no reader takes")
	}
	if c := s.chains["s1"]; c.Head().Seq != 0 {
		t.Error("it was recorded")
	}
}

// A chunk of output is recorded without allocating.
func TestNoAllocations(t *testing.T) {
	s := open(t, t.TempDir(), Options{SyncEvery: time.Hour})
	c := session(t, s, "s1")
	chunk := bytes.Repeat([]byte("text \x1b[1m"), 6000)
	if n := testing.AllocsPerRun(50, func() {
		if _, err := c.Output(Stdout, chunk, true); err != nil {
			t.Error(err)
		}
	}); n >= 1 {
		t.Errorf("%v allocations", n)
	}
	if size := unsafe.Sizeof(Chain{}); size > 1024 { // there are many
		t.Errorf("a chain takes %d bytes", size)
	}
}

// Bridges beside each other have chains of their own, and the first does not take away
// what the second writes.
func TestTwoBridges(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, Options{})
	second := open(t, dir, Options{})
	ok(t, first.Bridge().Announce())
	ok(t, second.Bridge().Announce())
	c := session(t, second, "s1")
	put(t, c, Stdout, "one")
	third := open(t, dir, Options{})
	if _, err := third.Session("s1", "agent", false); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("the chain of another's session: %v", err)
	}
	ok(t, third.Close())
	none := func(string) bool { return false }
	ok(t, first.Tidy(none))
	first.work.Wait()
	if notes, err := first.Expire(Retain{Bytes: 1}, none); err != nil || len(notes) != 0 {
		t.Errorf("%v %v", notes, err)
	}
	put(t, c, Stdout, "two")
	ok(t, second.Close())
	if got := raws(t, dir, "s1", Stdout); got != "onetwo" {
		t.Errorf("%q", got)
	}
	if notes, err := first.Expire(Retain{Bytes: 1}, none); err != nil || len(notes) != 1 || notes[0].Chain != "s1" {
		t.Errorf("%v %v", notes, err)
	}
	third = open(t, dir, Options{}) // is the second now
	ok(t, third.Bridge().Announce())
	ok(t, third.Close())
	ok(t, first.Close())
	chains, err := Chains(dir)
	if err != nil || !reflect.DeepEqual(chains, []string{"aaau", "aaau_2"}) {
		t.Errorf("%q %v", chains, err)
	}
	reports := verifyAll(t, dir, []Anchor{{Chain: "s1", Seq: 2}})
	for _, r := range reports {
		if r.Problem != nil {
			t.Error(r.Problem)
		}
	}
	if len(reports) != 3 || reports[1].Records != 2 {
		t.Errorf("%+v", reports)
	}
}

// A file that somebody has put where the chain goes on does not stop it.
func TestFileInTheWay(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	name := filepath.Join(dir, sessionsDir, "s1-2026-11-25.jsonl")
	ok(t, os.WriteFile(name, []byte("{}\n"), 0o640))
	put(t, session(t, s, "s1"), Stdout, "one")
	ok(t, s.Close())
	if got := contents(t, name); got != "{}\n" {
		t.Errorf("%q", got)
	}
	if r, err := Verify(dir, "s1", nil, nil); err != nil || r.Problem == nil || r.Problem.Trouble != Inserted || r.Problem.Line != 1 {
		t.Errorf("%v %v", r.Problem, err)
	}
}
