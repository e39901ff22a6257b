package audit

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

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
