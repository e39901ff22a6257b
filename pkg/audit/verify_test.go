package audit

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// small is a session's record in one plain file, and what it says line by line.
func small(t testing.TB) (dir string, all []*Entry) {
	dir = t.TempDir()
	s := open(t, dir, Options{})
	c := session(t, s, "s1")
	for i, r := range every()[:10] {
		add(t, c, r)
		put(t, c, Stdout, fmt.Sprintf("output %d\n", i))
	}
	ok(t, s.Close())
	return dir, entries(t, dir, "s1")
}

func anchor(e *Entry) Anchor {
	return Anchor{Chain: "s1", Seq: e.Seq, Hash: e.Hash, Time: e.Time, Source: "the journal"}
}

// forge is a line of e's that says something else, with a hash that is right.
func forge(e *Entry, seq uint64, prev Digest) string {
	h := Head{seq - 1, prev}
	line := begin(nil, e.Time, e.Source, "forger", e.SessionID, e.Kind)
	line = append(append(line, `"forged","metadata":`...), e.Metadata...)
	return strings.TrimSuffix(string(h.seal(line, 0)), "\n")
}

// Every edit, deletion, insertion, swap and truncation of a record is caught, and the
// place named.
func TestTampering(t *testing.T) {
	dir, all := small(t)
	name := path(t, dir, "s1")
	n := len(all)
	var text []string
	for _, e := range all {
		text = append(text, string(e.Raw))
	}
	anchors := []Anchor{anchor(all[n/2]), anchor(all[n-1])}
	check := func(what string, lines []string, trouble Trouble, line int, seq uint64) {
		t.Helper()
		ok(t, os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o640))
		r, err := Verify(dir, "s1", anchors, nil)
		ok(t, err)
		p := r.Problem
		if p == nil || p.Trouble != trouble || p.Line != line || p.Seq != seq || p.File != "sessions/s1-2026-11-25.jsonl" {
			t.Errorf("%s: %v, want %s at line %d, record %d", what, p, trouble, line, seq)
		}
	}
	with := func(i, drop int, new ...string) []string {
		return append(append(append([]string{}, text[:i]...), new...), text[i+drop:]...)
	}
	for i, e := range all {
		at := fmt.Sprintf(" %d", e.Seq)
		// What is edited shows by its own hash, or else by its successor; the last by an
		// anchor, which only knows that one of those since the anchor before it was.
		check("an edit of"+at, with(i, 1, strings.Replace(text[i], `"timestamp":1`, `"timestamp":2`, 1)), Changed, i+1, e.Seq)
		forged := forge(e, e.Seq, e.Prev)
		if i < n-1 && i != n/2 {
			check("a rehashed edit of"+at, with(i, 1, forged), Changed, i+1, e.Seq)
		} else {
			ok(t, os.WriteFile(name, []byte(strings.Join(with(i, 1, forged), "\n")+"\n"), 0o640))
			r, err := Verify(dir, "s1", anchors, nil)
			if err != nil || r.Problem == nil || r.Problem.Trouble != Changed || r.Problem.Line != i+1 || r.Problem.Seq > e.Seq || r.Problem.Through != e.Seq {
				t.Errorf("a rehashed edit of%s: %v %v", at, r.Problem, err)
			}
		}
		if i < n-1 {
			check("a deletion of"+at, with(i, 1), Dropped, i+1, e.Seq)
		} else {
			check("a deletion of"+at, with(i, 1), CutOff, i, e.Seq)
		}
		for j := range all {
			if j == i { // the second of them is one too many
				check(fmt.Sprintf("a copy of %d beside it", j+1), with(i, 0, text[j]), Inserted, i+2, e.Seq+1)
				continue
			}
			check(fmt.Sprintf("a copy of %d before%s", j+1, at), with(i, 0, text[j]), Inserted, i+1, e.Seq)
		}
		check("a forged one before"+at, with(i, 0, forged), Inserted, i+1, e.Seq)
		check("nonsense before"+at, with(i, 0, "{}"), Inserted, i+1, e.Seq)
		check("an empty line before"+at, with(i, 0, ""), Inserted, i+1, e.Seq)
		check("nonsense instead of"+at, with(i, 1, "{}"), Changed, i+1, e.Seq)
		for j := i + 1; j < n; j++ {
			swapped := append([]string{}, text...)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			check(fmt.Sprintf("a swap of%s and %d", at, j+1), swapped, Swapped, i+1, e.Seq)
		}
		if i > 0 {
			check("truncation before"+at, text[:i], CutOff, i, e.Seq)
		}
	}
	// A truncation anywhere.
	whole := strings.Join(text, "\n") + "\n"
	for cut := range len(whole) - 1 {
		if cut%13 != 0 && len(whole)-cut > 5 {
			continue
		}
		ok(t, os.WriteFile(name, []byte(whole[:cut]), 0o640))
		r, err := Verify(dir, "s1", anchors, nil)
		want := uint64(strings.Count(whole[:cut], "\n") + 1)
		if err != nil || r.Problem == nil || r.Problem.Trouble != CutOff || r.Problem.Seq != want || r.Problem.Through != uint64(n) {
			t.Fatalf("cut at %d: %v %v, want record %d", cut, r.Problem, err, want)
		}
	}
	// The whole chain made anew from somewhere on.
	for i := range all {
		var lines []string
		h := Head{Seq: uint64(i)}
		if i > 0 {
			h.Hash = all[i-1].Hash
		}
		lines = append(lines, text[:i]...)
		for _, e := range all[i:] {
			line := forge(e, h.Seq+1, h.Hash)
			p, err := parse([]byte(line))
			ok(t, err)
			h = Head{p.Seq, p.Hash}
			lines = append(lines, line)
		}
		ok(t, os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o640))
		r, err := Verify(dir, "s1", anchors, nil)
		if err != nil || r.Problem == nil || r.Problem.Trouble != Changed || r.Problem.Seq > uint64(i+1) || r.Problem.Through < uint64(i+1) {
			t.Errorf("rewritten from %d on: %v %v", i+1, r.Problem, err)
		}
	}
}

// Any byte that is another is noticed, without an anchor, in plain files and in
// compressed ones.
func TestByteFlips(t *testing.T) {
	dir, all := small(t)
	name := path(t, dir, "s1")
	text := []byte(contents(t, name))
	rng := rand.New(rand.NewSource(3))
	flips := func(name string, good []byte, step int) {
		for i := 0; i < len(good); i += step {
			b := bytes.Clone(good)
			b[i] ^= byte(1 + rng.Intn(255))
			ok(t, os.WriteFile(name, b, 0o640))
			r, err := Verify(dir, "s1", nil, nil)
			ok(t, err)
			if r.Problem == nil {
				t.Fatalf("%s: byte %d: %q for %q goes unnoticed", name, i, b[i], good[i])
			}
			if want := uint64(bytes.Count(good[:i], []byte("\n")) + 1); strings.HasSuffix(name, plainSuffix) && r.Problem.Seq != want {
				t.Errorf("byte %d: %v, want record %d", i, r.Problem, want)
			}
		}
		ok(t, os.WriteFile(name, good, 0o640))
	}
	flips(name, text, 3)
	ok(t, pack(dir, segment{chain: "s1", day: "2026-11-25", number: 1}))
	packed := []byte(contents(t, path(t, dir, "s1")))
	for i := range packed {
		b := bytes.Clone(packed)
		b[i] ^= byte(1 + rng.Intn(255))
		ok(t, os.WriteFile(name+zstdSuffix, b, 0o640))
		r, err := Verify(dir, "s1", []Anchor{anchor(all[len(all)-1])}, nil)
		ok(t, err)
		if r.Problem == nil {
			var got bytes.Buffer // some bits of a frame's header mean nothing
			if err := JSONL(&got, Read(dir, "s1")); err != nil || !bytes.Equal(got.Bytes(), text) {
				t.Fatalf("packed byte %d goes unnoticed", i)
			}
		}
	}
}

func FuzzVerify(f *testing.F) {
	dir, all := small(f)
	good := []byte(contents(f, path(f, dir, "s1")))
	f.Add(good[:len(good)/2])
	f.Add(append([]byte("\n"), good...))
	anchors := []Anchor{anchor(all[len(all)-1])}
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		ok(t, os.Mkdir(filepath.Join(dir, sessionsDir), 0o750))
		ok(t, os.WriteFile(filepath.Join(dir, sessionsDir, "s1-2026-11-25.jsonl"), text, 0o640))
		r, err := Verify(dir, "s1", anchors, nil)
		ok(t, err)
		if r.Problem == nil && !bytes.Equal(text, good) {
			t.Fatalf("%q is taken for the record", text)
		}
		for e, err := range Read(dir, "s1") { // what is read of it is read without trouble
			if err == nil {
				_, _ = e.Decode()
				_, _ = e.Text()
			}
		}
		_ = Asciicast(new(bytes.Buffer), Read(dir, "s1"), time.Time{})
		_ = Text(new(bytes.Buffer), Read(dir, "s1"))
	})
}

func TestVerifySegments(t *testing.T) {
	for _, size := range []int64{1 << 20, 3000} {
		master := t.TempDir()
		sample(t, master, size)
		r := sound(t, master, "s1")
		files, err := Files(master, "s1")
		ok(t, err)
		if !r.Ended || r.Expired != 0 || r.Unanchored != r.Records || len(files) < 2 {
			t.Errorf("%+v %q", r, files)
		}
		// All files but the first and the last can be missed by what is around them.
		for i, name := range files {
			ok(t, os.Rename(filepath.Join(master, name), filepath.Join(master, "aside")))
			r, err := Verify(master, "s1", []Anchor{{Chain: "s1", Seq: r.Last.Seq, Hash: r.Last.Hash}}, nil)
			want := Dropped
			if i == len(files)-1 {
				want = CutOff
			}
			if err != nil || r.Problem == nil || r.Problem.Trouble != want {
				t.Errorf("without %s: %v %v", name, r.Problem, err)
			}
			ok(t, os.Rename(filepath.Join(master, "aside"), filepath.Join(master, name)))
		}
		all := verifyAll(t, master, nil)
		if len(all) != 2 || all[0].Chain != BridgeChain || all[0].Problem != nil || all[1].Problem != nil {
			t.Errorf("%+v", all)
		}
		// A session of which only the anchors know.
		all = verifyAll(t, master, []Anchor{{Chain: "gone", Seq: 7, Source: "the journal"}})
		if len(all) != 3 || all[1].Problem == nil || all[1].Problem.Trouble != CutOff || all[1].Problem.Through != 7 {
			t.Errorf("%+v %v", all, err)
		}
	}
}

// verifyAll is VerifyAll, of what can be read.
func verifyAll(t *testing.T, dir string, anchors []Anchor) (all []Report) {
	t.Helper()
	for r, err := range VerifyAll(dir, anchors) {
		ok(t, err)
		all = append(all, r)
	}
	return all
}

func TestUnanchored(t *testing.T) {
	dir, all := small(t)
	r, err := Verify(dir, "s1", []Anchor{anchor(all[4])}, nil)
	ok(t, err)
	var bytes int64
	for _, e := range all[5:] {
		bytes += int64(len(e.Raw)) + 1
	}
	if r.Problem != nil || r.Unanchored != uint64(len(all)-5) || r.UnanchoredBytes != bytes {
		t.Errorf("%+v", r)
	}
	// An end that a crash may have torn is no tampering, where no anchor is beyond it.
	name := path(t, dir, "s1")
	ok(t, os.WriteFile(name, []byte(contents(t, name)+`{"time`), 0o640))
	if r, err := Verify(dir, "s1", []Anchor{anchor(all[4])}, nil); err != nil || r.Problem == nil || r.Problem.Trouble != Torn {
		t.Errorf("%v %v", r.Problem, err)
	}
}

// A line without an end in sight costs no memory.
func TestLongLine(t *testing.T) {
	dir, all := small(t)
	name := path(t, dir, "s1")
	text := contents(t, name)
	for _, long := range []int{MaxLine, MaxLine + 1, 3*MaxLine + 5} {
		ok(t, os.WriteFile(name, []byte(strings.Repeat("x", long-1)+"\n"+text), 0o640))
		r, err := Verify(dir, "s1", nil, nil)
		if err != nil || r.Problem == nil || r.Problem.Trouble != Inserted || r.Problem.Line != 1 || r.Problem.Seq != 1 {
			t.Errorf("%v %v", r.Problem, err)
		}
		n, bad := 0, 0
		for _, err := range Read(dir, "s1") {
			if err != nil {
				bad++
			} else {
				n++
			}
		}
		if n != len(all) || bad != 1 {
			t.Errorf("%d records, %d bad lines", n, bad)
		}
	}
}

// The record of another session is not taken for this one's.
func TestRenamed(t *testing.T) {
	dir, _ := small(t)
	name := path(t, dir, "s1")
	ok(t, os.Rename(name, strings.Replace(name, "s1", "s2", 1)))
	if r, err := Verify(dir, "s2", nil, nil); err != nil || r.Problem == nil {
		t.Errorf("%+v %v", r, err)
	}
}

// What the hash is of is what docs/audit.md says.
func TestHash(t *testing.T) {
	_, all := small(t)
	prev := strings.Repeat("0", 64)
	for _, e := range all {
		line, hash, found := strings.Cut(string(e.Raw), `,"hash":"`)
		sum := fmt.Sprintf("%x", sha256.Sum256([]byte(line+"}")))
		if !found || hash != sum+`"}` || !strings.HasSuffix(line, fmt.Sprintf(`,"seq":%d,"prev":"%s"`, e.Seq, prev)) {
			t.Fatalf("%s", e.Raw)
		}
		prev = sum
	}
}

func TestExpire(t *testing.T) {
	dir, c := t.TempDir(), noon()
	s := open(t, dir, Options{now: c.now, SegmentSize: 3000})
	running := func(id string) bool { return id == "running" }
	write := func(id string) {
		ch := session(t, s, id)
		for range 20 {
			put(t, ch, Stdout, strings.Repeat("0123456789", 50))
		}
		ok(t, ch.Finish())
		s.work.Wait()
	}
	write("old")
	write("running")
	add(t, s.Bridge(), every()[18])
	c.t = c.t.AddDate(0, 0, 3)
	write("new")
	add(t, s.Bridge(), every()[18])
	before := verifyAll(t, dir, nil)
	var anchors []Anchor
	for _, r := range before {
		anchors = append(anchors, Anchor{Chain: r.Chain, Seq: r.Last.Seq, Hash: r.Last.Hash})
	}
	check := func(want map[string]bool) {
		t.Helper()
		reports := verifyAll(t, dir, anchors)
		got := map[string]bool{}
		for _, r := range reports {
			if r.Problem != nil {
				t.Errorf("%s: %v", r.Chain, r.Problem)
			}
			got[r.Chain] = r.Expired > 0
		}
		if !maps.Equal(got, want) {
			t.Errorf("expired %v, want %v", got, want)
		}
	}
	if notes, err := s.Expire(Retain{Age: 4 * 24 * time.Hour, Bytes: 1 << 20}, running); err != nil || len(notes) != 0 {
		t.Errorf("%v %v", notes, err)
	}
	check(map[string]bool{BridgeChain: false, "old": false, "new": false, "running": false})
	s.work.Wait()
	notes, err := s.Expire(Retain{Age: 2 * 24 * time.Hour}, running)
	if err != nil || len(notes) < 3 {
		t.Errorf("%v %v", notes, err)
	}
	check(map[string]bool{BridgeChain: true, "old": true, "new": false, "running": false})
	if files, _ := Files(dir, "old"); len(files) != 0 {
		t.Errorf("%q", files)
	}
	// By size, a part of one.
	s.work.Wait()
	var size int64
	for _, chain := range must(Chains(dir)) {
		for _, f := range must(Files(dir, chain)) {
			fi, err := os.Stat(filepath.Join(dir, f))
			ok(t, err)
			size += fi.Size()
		}
	}
	files := must(Files(dir, "new"))
	notes, err = s.Expire(Retain{Bytes: size - 1}, running)
	if err != nil || len(notes) != 1 || notes[0].File != files[0] || notes[0].Reason != "size" {
		t.Errorf("%v %v", notes, err)
	}
	check(map[string]bool{BridgeChain: true, "old": true, "new": true, "running": false})
	// The next file's being gone too is nobody's note.
	ok(t, os.Remove(filepath.Join(dir, files[1])))
	r, err := Verify(dir, "new", anchors, reportOf(t, dir).Notes())
	if err != nil || r.Problem == nil || r.Problem.Trouble != Dropped {
		t.Errorf("%+v %v", r, err)
	}
	ok(t, s.Close())
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func reportOf(t *testing.T, dir string) Report {
	r, err := Verify(dir, BridgeChain, nil, nil)
	ok(t, err)
	return r
}
