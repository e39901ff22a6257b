package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
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

// broken is a disk that fails when it is told to.
type broken struct {
	*os.File
	b *breakage
}

type breakage struct {
	short    int   // how much of the next write still works; -1: all
	first    int64 // where the first write since this was set was
	truncate error
	sync     error
	held     chan chan error // each Sync asks here for its outcome; nil: sync is it
	err      error
}

func (d *breakage) open(name string, flag int, mode os.FileMode) (file, error) {
	f, err := os.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	return broken{f, d}, nil
}

func (f broken) WriteAt(p []byte, off int64) (int, error) {
	f.b.first = min(f.b.first, off)
	if f.b.short >= 0 && len(p) > f.b.short {
		n, _ := f.File.WriteAt(p[:f.b.short], off)
		return n, f.b.err
	}
	return f.File.WriteAt(p, off)
}

func (f broken) Truncate(size int64) error {
	if f.b.truncate != nil {
		return f.b.truncate
	}
	return f.File.Truncate(size)
}

func (f broken) Sync() error {
	if f.b.held != nil {
		outcome := make(chan error)
		f.b.held <- outcome
		return <-outcome
	}
	if f.b.sync != nil {
		return f.b.sync
	}
	return f.File.Sync()
}

// What could not be opened can be when that is put right, also by the same process: no
// file stays locked.
func TestOpeningAgain(t *testing.T) {
	dir := t.TempDir()
	yesterday := func() time.Time { return noon().now().AddDate(0, 0, -1) }
	s := open(t, dir, Options{now: yesterday})
	ok(t, s.Bridge().Announce())
	c := session(t, s, "s1")
	put(t, c, Stdout, "before")
	ok(t, s.Close())

	full := func(name string, flag int, mode os.FileMode) (file, error) {
		if flag&os.O_CREATE != 0 {
			return nil, syscall.ENOSPC
		}
		return os.OpenFile(name, flag, mode)
	}
	for range 2 {
		if _, err := Open(dir, Options{now: noon().now, open: full}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("with a full disk: %v", err)
		}
	}
	gone := false
	s = open(t, dir, Options{open: func(name string, flag int, mode os.FileMode) (file, error) {
		f, err := os.OpenFile(name, flag, mode)
		if gone {
			ok(t, os.Rename(name, name+"-gone"))
		}
		return f, err
	}})
	first := filepath.Join(dir, c.seg.name())
	for range 2 {
		gone = true
		if _, err := s.Session("s1", "agent", false); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("without its first segment: %v", err)
		}
		gone = false
		ok(t, os.Rename(first+"-gone", first))
	}
	c = session(t, s, "s1")
	put(t, c, Stdout, " and after")
	ok(t, s.Close())
	if got := raws(t, dir, "s1", Stdout); got != "before and after" {
		t.Errorf("%q", got)
	}
}

// What cannot be written is told as it is, leaves nothing, and works when the disk does.
func TestFailingWrites(t *testing.T) {
	for _, short := range []int{0, 1, 100, 400} {
		for _, truncate := range []error{nil, syscall.EIO} {
			dir, d := t.TempDir(), &breakage{short: -1, err: syscall.ENOSPC}
			s := open(t, dir, Options{open: d.open})
			c := session(t, s, "s1")
			add(t, c, every()[0])
			put(t, c, Stdout, "before")
			head := c.Head()
			d.short, d.truncate = short, truncate
			long := strings.Repeat("long ", 200)
			for range 2 {
				if n, err := c.Output(Stdout, []byte(long), true); n != 0 || !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("%d, %v", n, err)
				}
				if n, err := c.Append(NewInput("operator", who, []byte(long)), every()[1]); n != 0 || !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("%d, %v", n, err)
				}
			}
			if c.Head() != head || c.Recorded(Stdout) != 6 {
				t.Errorf("%v after %v, %d", c.Head(), head, c.Recorded(Stdout))
			}
			if truncate == nil {
				sound(t, dir, "s1")
			}
			d.short, d.truncate = -1, nil
			put(t, c, Stdout, "x") // shorter than what is torn
			sound(t, dir, "s1")
			put(t, c, Stdout, long)
			ok(t, s.Close())
			sound(t, dir, "s1")
			if got := raws(t, dir, "s1", Stdout); got != "beforex"+long {
				t.Errorf("%q", got)
			}
		}
	}
}

// After a failed fsync the kernel takes for written what is not: it is written again.
func TestFailingSync(t *testing.T) {
	dir, d := t.TempDir(), &breakage{short: -1}
	told := make(chan error, 100)
	s := open(t, dir, Options{open: d.open, SyncEvery: time.Millisecond, OnError: func(chain string, err error) { told <- err }})
	c := session(t, s, "s1")
	d.sync = syscall.EIO
	put(t, c, Stdout, "one")
	if err := <-told; !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	if n, err := c.Output(Stdout, []byte("two"), true); n != 0 || !errors.Is(err, syscall.EIO) {
		t.Errorf("%d, %v", n, err)
	}
	d.sync, d.first = nil, 1<<62
	put(t, c, Stdout, "two")
	if d.first != 0 {
		t.Errorf("written again from %d on", d.first)
	}
	ok(t, c.Sync())
	if got := raws(t, dir, "s1", Stdout); got != "onetwo" {
		t.Errorf("%q", got)
	}
	ok(t, s.Close())
	sound(t, dir, "s1")
}

// The kernel tells an error of writing once. Whoever asked for it tells it to the chain
// before anybody believes a later success.
func TestFailingSyncIsNotMissed(t *testing.T) {
	dir, d := t.TempDir(), &breakage{short: -1, held: make(chan chan error)}
	s := open(t, dir, Options{open: d.open, SyncEvery: time.Hour, SegmentSize: 4000})
	c := session(t, s, "s1")
	put(t, c, Stdout, "one")
	put(t, c, Stdout, "two")
	first := c.Head()
	synced, recorded := make(chan error), make(chan error)
	go func() { synced <- c.Sync() }()
	outcome := <-d.held
	put(t, c, Stderr, "who records need not wait")
	if c.Durable() != (Head{}) {
		t.Errorf("%v is on the disk", c.Durable())
	}
	d.first = 1 << 62
	go func() {
		_, err := c.Output(Stdout, []byte(strings.Repeat("three", 600)), true) // begins a segment
		recorded <- err
	}()
	outcome <- syscall.EIO
	if err := <-synced; !errors.Is(err, syscall.EIO) {
		t.Errorf("%v", err)
	}
	(<-d.held) <- nil // of what was written again
	if err := <-recorded; err != nil {
		t.Errorf("%v", err)
	}
	if d.first != 0 || c.Durable().Seq != first.Seq+1 {
		t.Errorf("written again from %d on, %v is on the disk", d.first, c.Durable())
	}
	go func() {
		for outcome := range d.held {
			outcome <- nil
		}
	}()
	ok(t, s.Close())
	close(d.held)
	sound(t, dir, "s1")
}

// Nobody removes the record without its being noticed.
func TestRemovedWhileWritten(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{SyncEvery: time.Hour})
	c := session(t, s, "s1")
	put(t, c, Stdout, "one")
	ok(t, os.Remove(path(t, dir, "s1")))
	if err := c.Sync(); !errors.Is(err, errRemoved) {
		t.Errorf("%v", err)
	}
	put(t, c, Stdout, "two")
	ok(t, s.Close())
	r, err := Verify(dir, "s1", nil, nil)
	if err != nil || r.Problem == nil || r.Problem.Trouble != Dropped || r.Problem.Seq != 1 {
		t.Errorf("%+v %v", r.Problem, err)
	}
}

// What a crash tore is cut off, and told, wherever it tore it.
func TestTorn(t *testing.T) {
	master := t.TempDir()
	s := open(t, master, Options{})
	c := session(t, s, "s1")
	add(t, c, every()[0])
	put(t, c, Stdout, "one\n")
	put(t, c, Stderr, "two\n")
	put(t, c, Stdout, "three\n")
	ok(t, s.Close())
	text := contents(t, path(t, master, "s1"))
	last := len(strings.TrimSuffix(text, "\n")) - strings.LastIndexByte(strings.TrimSuffix(text, "\n"), '\n') - 1
	for _, torn := range []string{"", "\x00", strings.Repeat("\x00", 5000), "tail"} {
		for cut := range last + 1 {
			if cut%7 != 0 && cut > 3 && cut < last-3 {
				continue
			}
			dir := t.TempDir()
			ok(t, os.Mkdir(filepath.Join(dir, sessionsDir), 0o750))
			name := filepath.Join(dir, sessionsDir, "s1-2026-11-25.jsonl")
			ok(t, os.WriteFile(name, []byte(text[:len(text)-1-cut]+torn), 0o640))
			s := open(t, dir, Options{})
			c := session(t, s, "s1")
			if got := c.Recorded(Stdout); got != 4 {
				t.Fatalf("goes on at %d", got)
			}
			put(t, c, Stdout, "again\n")
			ok(t, s.Close())
			sound(t, dir, "s1")
			all := entries(t, dir, "s1")
			m, err := all[3].Decode()
			ok(t, err)
			resume := m.(*BridgeResume)
			if want := int64(last - cut + len(torn)); resume.Cut != want || resume.Output != 4 || resume.Errors != 4 || resume.Damaged != 0 {
				t.Errorf("%+v, want %d cut", resume, want)
			}
			if got := raws(t, dir, "s1", Stdout); got != "one\nagain\n" {
				t.Errorf("%q", got)
			}
		}
	}
}

// Lines that are none of the chain's are no crash's: they stay, and verify names them.
func TestDamagedEnd(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	put(t, session(t, s, "s1"), Stdout, "one")
	ok(t, s.Close())
	name := path(t, dir, "s1")
	text := contents(t, name)
	ok(t, os.WriteFile(name, []byte(text+"forged\n"), 0o640))
	s = open(t, dir, Options{})
	put(t, session(t, s, "s1"), Stdout, "two")
	ok(t, s.Close())
	if got := contents(t, name); !strings.HasPrefix(got, text+"forged\n") || !strings.Contains(got, `"damaged":7`) {
		t.Errorf("%s", got)
	}
	r, err := Verify(dir, "s1", nil, nil)
	if err != nil || r.Problem == nil || r.Problem.Trouble != Inserted || r.Problem.Line != 2 {
		t.Errorf("%v %v", r.Problem, err)
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

// Files without a record, of a crash at the right moment, are used.
func TestEmptyFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	put(t, session(t, s, "s1"), Stdout, "one")
	ok(t, s.Close())
	for _, left := range []string{"", `{"timestamp":1`} {
		name := filepath.Join(dir, sessionsDir, "s1-2026-11-25.2.jsonl")
		ok(t, os.WriteFile(name, []byte(left), 0o640))
		s = open(t, dir, Options{})
		c := session(t, s, "s1")
		if c.Recorded(Stdout) != 3 {
			t.Errorf("goes on at %d", c.Recorded(Stdout))
		}
		add(t, c, every()[4])
		ok(t, s.Close())
		if got := kindsOf(entries(t, dir, "s1")); !reflect.DeepEqual(got, []string{"output", "segment", "bridge_resume", "attach"}) {
			t.Errorf("%q", got)
		}
		m, err := entries(t, dir, "s1")[1].Decode()
		if err != nil || m.(*Segment).Previous != "s1-2026-11-25.jsonl" || m.(*Segment).Output != 3 {
			t.Errorf("%+v %v", m, err)
		}
		sound(t, dir, "s1")
		ok(t, os.Remove(name))
	}
}

func TestSegments(t *testing.T) {
	dir, c := t.TempDir(), noon()
	s := open(t, dir, Options{SegmentSize: 20 << 10, now: c.now})
	ch := session(t, s, "s1")
	for range 100 {
		put(t, ch, Stdout, strings.Repeat("0123456789", 100))
	}
	c.t = c.t.AddDate(0, 0, 1)
	put(t, ch, Stdout, "tomorrow")
	c.t = c.t.AddDate(0, 0, -1) // the clock was wrong
	put(t, ch, Stdout, "today")
	ok(t, ch.Close())
	ok(t, s.Close())
	chains, err := list(dir, "s1")
	ok(t, err)
	segments := chains["s1"]
	for i, seg := range segments {
		last := i == len(segments)-1
		if seg.day != map[bool]string{false: "2026-11-25", true: "2026-11-26"}[last] || seg.number != map[bool]int{false: i + 1, true: 1}[last] {
			t.Errorf("%+v", seg)
		}
		r, _, err := openSegment(dir, seg)
		ok(t, err)
		var b bytes.Buffer
		_, err = b.ReadFrom(r)
		ok(t, err)
		r.Close()
		if b.Len() > 20<<10 || i < len(segments)-2 && b.Len() < 18<<10 {
			t.Errorf("%s has %d bytes", seg.file(), b.Len())
		}
	}
	if len(segments) < 6 {
		t.Errorf("%d segments", len(segments))
	}
	sound(t, dir, "s1")
	if got := raws(t, dir, "s1", Stdout); len(got) != 100*1000+13 {
		t.Errorf("%d bytes", len(got))
	}
	fi, err := os.Stat(path(t, dir, "s1"))
	if err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", fi.Mode(), err)
	}
}

// A chain that is opened again after its end goes on in a new file.
func TestAfterFinish(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	for _, text := range []string{"one", "two", "three"} {
		c := session(t, s, "s1")
		put(t, c, Stdout, text)
		ok(t, c.Finish())
		if _, err := c.Output(Stdout, []byte("x"), true); !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
	}
	ok(t, s.Close())
	s = open(t, dir, Options{})
	ok(t, s.Tidy(func(string) bool { return false }))
	s.work.Wait()
	sound(t, dir, "s1")
	if got := raws(t, dir, "s1", Stdout); got != "onetwothree" {
		t.Errorf("%q", got)
	}
	files, err := Files(dir, "s1")
	if want := "sessions/s1-2026-11-25.jsonl.zst sessions/s1-2026-11-25.2.jsonl.zst sessions/s1-2026-11-25.3.jsonl.zst"; err != nil || strings.Join(files, " ") != want {
		t.Errorf("%q %v", files, err)
	}
}

// A crash of compressing, at each of its steps, leaves one good copy, and the next
// bridge ends it.
func TestCompressingCrashes(t *testing.T) {
	master := t.TempDir()
	s := open(t, master, Options{})
	put(t, session(t, s, "s1"), Stdout, strings.Repeat("one\n", 1000))
	ok(t, s.Close())
	plain := contents(t, path(t, master, "s1"))
	ok(t, pack(master, segment{chain: "s1", day: "2026-11-25", number: 1}))
	packed := contents(t, path(t, master, "s1"))
	ok(t, pack(master, segment{chain: "s1", day: "2026-11-25", number: 1})) // somebody was faster
	if err := pack(master, segment{chain: "s1", day: "2026-11-25", number: 2}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("compressing what is not there: %v", err)
	}
	for step, files := range []map[string]string{
		{"": plain, zstdSuffix + tempSuffix: ""},
		{"": plain, zstdSuffix + tempSuffix: packed[:len(packed)/2]},
		{"": plain, zstdSuffix + tempSuffix: packed},
		{"": plain, zstdSuffix: packed},
		{zstdSuffix: packed},
	} {
		dir := t.TempDir()
		ok(t, os.Mkdir(filepath.Join(dir, sessionsDir), 0o750))
		for suffix, text := range files {
			ok(t, os.WriteFile(filepath.Join(dir, sessionsDir, "s1-2026-11-25.jsonl"+suffix), []byte(text), 0o640))
		}
		sound(t, dir, "s1")
		if got := raws(t, dir, "s1", Stdout); len(got) != 4000 {
			t.Errorf("step %d: %d bytes", step, len(got))
		}
		s := open(t, dir, Options{})
		ok(t, s.Tidy(func(string) bool { return false }))
		s.work.Wait()
		left, err := os.ReadDir(filepath.Join(dir, sessionsDir))
		if err != nil || len(left) != 1 || left[0].Name() != "s1-2026-11-25.jsonl.zst" {
			t.Errorf("step %d leaves %v %v", step, left, err)
		}
		if got := raws(t, dir, "s1", Stdout); len(got) != 4000 {
			t.Errorf("step %d: %d bytes", step, len(got))
		}
		ok(t, s.Close())
	}
}

// Tidy leaves alone what is written.
func TestTidyWhileWritten(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	c, d := session(t, s, "s1"), session(t, s, "s2")
	put(t, c, Stdout, "one")
	put(t, d, Stdout, "one")
	ok(t, d.Close()) // it goes on, and is not open yet
	ok(t, s.Tidy(func(id string) bool { return id == "s2" }))
	s.work.Wait()
	for _, id := range []string{"s1", "s2", BridgeChain} {
		if name := path(t, dir, id); strings.HasSuffix(name, zstdSuffix) {
			t.Errorf("%s", name)
		}
	}
	put(t, c, Stdout, "two")
	if got := raws(t, dir, "s1", Stdout); got != "onetwo" {
		t.Errorf("%q", got)
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
