package audit

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// forgetful is a disk whose next Sync fails once and forgets what was written since the last
// that worked: the page cache then has zeros there, or nothing.
type forgetful struct {
	mu    sync.Mutex // guards what follows
	fail  bool
	zeros bool
	calls int
}

type forgetfulFile struct {
	*os.File
	d    *forgetful
	good *int64
}

func (d *forgetful) open(name string, flag int, mode os.FileMode) (file, error) {
	f, err := os.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	return forgetfulFile{f, d, new(int64)}, nil
}

func (d *forgetful) failNext(zeros bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail, d.zeros = true, zeros
}

func (f forgetfulFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.d.calls++
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if !f.d.fail {
		*f.good = fi.Size()
		return f.File.Sync()
	}
	f.d.fail = false
	if err := f.Truncate(*f.good); err != nil {
		return err
	}
	if f.d.zeros {
		if err := f.Truncate(fi.Size()); err != nil {
			return err
		}
	}
	return syscall.EIO
}

// What a failed fsync has dropped is not written again as zeros: the chain continues after the
// last record that is on the disk, and says what is lost.
func TestSyncDrops(t *testing.T) {
	for _, zeros := range []bool{false, true} {
		for _, first := range []bool{false, true} { // nothing was on the disk before
			for _, how := range []string{"output", "close", "turn"} {
				t.Run(fmt.Sprintf("zeros %v, first %v, %s", zeros, first, how), func(t *testing.T) {
					dir, d := t.TempDir(), &forgetful{}
					s := open(t, dir, Options{open: d.open, SyncEvery: time.Hour, SegmentSize: 4000})
					c := session(t, s, "s1")
					want := ""
					if !first {
						put(t, c, Stdout, "kept")
						ok(t, c.Sync())
						want = "kept"
					}
					anchored := c.Durable()
					put(t, c, Stdout, "lost")
					put(t, c, Stderr, "too")
					add(t, c, every()[1])
					d.failNext(zeros)
					if err := c.Sync(); err == nil {
						t.Fatal("the disk did not fail")
					}
					switch how {
					case "output":
						put(t, c, Stdout, "next")
						want += "next"
					case "turn":
						next := strings.Repeat("next", 900)
						put(t, c, Stdout, next)
						want += next
					}
					out, errs := c.Recorded(Stdout), c.Recorded(Stderr)
					if out != int64(len(want)+len("lost")) || errs != 3 {
						t.Errorf("recorded up to %d and %d", out, errs)
					}
					ok(t, s.Close())
					r, err := Verify(dir, "s1", []Anchor{{Chain: "s1", Seq: anchored.Seq, Hash: anchored.Hash}}, nil)
					if anchored.Seq == 0 {
						r, err = Verify(dir, "s1", nil, nil)
					}
					if err != nil || r.Problem != nil || r.Holes != 2 {
						t.Errorf("%v %v, %d holes", r.Problem, err, r.Holes)
					}
					if got := raws(t, dir, "s1", Stdout); got != want {
						t.Errorf("%.40q, want %.40q", got, want)
					}
					s = open(t, dir, Options{})
					if c := session(t, s, "s1"); c.Recorded(Stdout) != out {
						t.Errorf("the next bridge goes on at %d, not %d", c.Recorded(Stdout), out)
					}
					ok(t, s.Close())
				})
			}
		}
	}
}

// A session that prints nothing more has its record brought to the disk after a failure too,
// and a loss is told without it.
func TestSyncRetriesWhileIdle(t *testing.T) {
	for _, drops := range []bool{false, true} {
		dir, told := t.TempDir(), make(chan error, 1)
		d, b := &forgetful{}, &breakage{short: -1, held: make(chan chan error)}
		disk := b.open
		if drops {
			disk = d.open
			d.failNext(true)
		}
		s := open(t, dir, Options{open: disk, SyncEvery: time.Millisecond, OnError: func(_ string, err error) { told <- err }})
		c := session(t, s, "s1")
		put(t, c, Stdout, "one")
		head := c.Head()
		ended := make(chan struct{})
		if !drops {
			(<-b.held) <- syscall.EIO
			(<-b.held) <- syscall.EIO // told only once
			(<-b.held) <- nil
			go func() {
				for {
					select {
					case outcome := <-b.held:
						outcome <- nil
					case <-ended:
						return
					}
				}
			}()
		}
		if err := <-told; err == nil {
			t.Error("no error is told")
		}
		for until := time.Now().Add(10 * time.Second); c.Durable().Seq != head.Seq && time.Now().Before(until); {
			time.Sleep(time.Millisecond)
		}
		if got := c.Durable(); got.Seq != head.Seq || drops == (got == head) {
			t.Errorf("%v is on the disk, of %v", got, head)
		}
		ok(t, s.Close())
		close(ended)
		sound(t, dir, "s1")
	}
}

// Where no output is lost but other records are, that is told too.
func TestSyncDropsControl(t *testing.T) {
	dir, d := t.TempDir(), &forgetful{}
	s := open(t, dir, Options{open: d.open, SyncEvery: time.Hour})
	c := s.Bridge()
	add(t, c, every()[18])
	d.failNext(false)
	if err := c.Sync(); err == nil {
		t.Fatal("the disk did not fail")
	}
	add(t, c, every()[18])
	ok(t, s.Close())
	if r := sound(t, dir, BridgeChain); r.Holes != 1 {
		t.Errorf("%d holes", r.Holes)
	}
}
