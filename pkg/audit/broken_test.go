package audit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// broken is a disk that fails when it is told to.
type broken struct {
	*os.File
	b *breakage
}

type breakage struct {
	mu       sync.Mutex // guards what follows: a chain tries again at any time
	short    int        // how much of the next write still works; -1: all
	first    int64      // where the first write since this was set was
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
	f.b.mu.Lock()
	f.b.first = min(f.b.first, off)
	short, err := f.b.short, f.b.err
	f.b.mu.Unlock()
	if short >= 0 && len(p) > short {
		n, _ := f.File.WriteAt(p[:short], off)
		return n, err
	}
	return f.File.WriteAt(p, off)
}

func (f broken) Truncate(size int64) error {
	f.b.mu.Lock()
	err := f.b.truncate
	f.b.mu.Unlock()
	if err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f broken) Sync() error {
	f.b.mu.Lock()
	held, err := f.b.held, f.b.sync
	f.b.mu.Unlock()
	if held != nil {
		outcome := make(chan error)
		held <- outcome
		return <-outcome
	}
	if err != nil {
		return err
	}
	return f.File.Sync()
}

// set changes how it fails.
func (d *breakage) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
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
			d.set(func() { d.short, d.truncate = short, truncate })
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
			d.set(func() { d.short, d.truncate = -1, nil })
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
	d.set(func() { d.sync = syscall.EIO })
	put(t, c, Stdout, "one")
	if err := <-told; !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	if n, err := c.Output(Stdout, []byte("two"), true); n != 0 || !errors.Is(err, syscall.EIO) {
		t.Errorf("%d, %v", n, err)
	}
	d.set(func() { d.sync, d.first = nil, 1<<62 })
	put(t, c, Stdout, "two")
	d.set(func() {
		if d.first != 0 {
			t.Errorf("written again from %d on", d.first)
		}
	})
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
	d.set(func() { d.first = 1 << 62 })
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
