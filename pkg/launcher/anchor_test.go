package launcher

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/anchor"
	"github.com/AgentaaU/AaaU/pkg/privsep"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 1500, time.UTC)

// testAnchors are in a new directory; what they say is in said.
func testAnchors(t *testing.T) (a *anchors, said *[]string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "anchors")
	t.Cleanup(func() {
		names, err := filepath.Glob(dir + "/*")
		if err != nil {
			t.Error(err)
		}
		for _, name := range names {
			change(t, name, func(*os.File) {})
		}
	})
	said = new([]string)
	return &anchors{dir: dir, journald: filepath.Join(t.TempDir(), "journald"), say: func(format string, v ...any) { *said = append(*said, fmt.Sprintf(format, v...)) }}, said
}

// change takes the attribute from a file, for good, and changes it.
func change(t *testing.T, name string, do func(*os.File)) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := f.Stat(); err != nil || fi.IsDir() {
		f.Close()
		return
	}
	_ = appendOnly(f, false) // where there is none, nothing is in the way
	f.Close()
	if f, err = os.OpenFile(name, os.O_RDWR|unix.O_NONBLOCK, 0); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	do(f)
}

// heads are n of them, of chain s1 from seq on.
func heads(seq, n int) (list []anchor.Head) {
	for range n {
		list = append(list, anchor.Head{Chain: "s1", Seq: uint64(seq), Hash: fmt.Sprintf("%064x", seq)})
		seq++
	}
	return list
}

// written are the numbers of the records of which there are anchors, and doubts.
func written(t *testing.T, a *anchors) (seqs []uint64, doubts []string) {
	t.Helper()
	for got, err := range anchor.Files(a.dir) {
		var d *anchor.Doubt
		if errors.As(err, &d) {
			doubts = append(doubts, d.Why)
		} else if err != nil {
			t.Fatal(err)
		} else {
			seqs = append(seqs, got.Seq)
		}
	}
	return seqs, doubts
}

func mustWrite(t *testing.T, a *anchors, list []anchor.Head, now time.Time) {
	t.Helper()
	if err := a.write(list, now); err != nil {
		t.Fatal(err)
	}
}

func TestAnchorsAreWritten(t *testing.T) {
	a, said := testAnchors(t)
	mustWrite(t, a, heads(1, 2), noon)
	mustWrite(t, a, []anchor.Head{{Chain: "s1", Seq: 3, Hash: fmt.Sprintf("%064x", 3), Final: true}}, noon.Add(time.Second))
	mustWrite(t, a, heads(1, 1), noon.In(time.FixedZone("", 13*3600)).Add(12*time.Hour)) // the day is UTC's
	for name, want := range map[string]string{
		"2026-11-25.jsonl": `{"n":1,"time":"2026-11-25T12:00:00.000001Z","chain":"s1","seq":1,"hash":"` + fmt.Sprintf("%064x", 1) + `"}
{"n":2,"time":"2026-11-25T12:00:00.000001Z","chain":"s1","seq":2,"hash":"` + fmt.Sprintf("%064x", 2) + `"}
{"n":3,"time":"2026-11-25T12:00:01.000001Z","chain":"s1","seq":3,"hash":"` + fmt.Sprintf("%064x", 3) + `","final":true}
`,
		"2026-11-26.jsonl": `{"n":1,"time":"2026-11-26T00:00:00.000001Z","chain":"s1","seq":1,"hash":"` + fmt.Sprintf("%064x", 1) + `"}
`,
	} {
		name = filepath.Join(a.dir, name)
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v", name, got, err)
		}
		if fi, err := os.Lstat(name); err != nil || fi.Mode() != 0o640 {
			t.Errorf("%s: %v, %v", name, fi.Mode(), err)
		}
	}
	if fi, err := os.Lstat(a.dir); err != nil || fi.Mode() != os.ModeDir|0o750 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	// Either they can only grow, or it was said of each that they cannot be made so.
	name := filepath.Join(a.dir, "2026-11-25.jsonl")
	err := os.Truncate(name, 0)
	if len(*said) == 0 && !errors.Is(err, unix.EPERM) || len(*said) != 0 && (len(*said) != 2 || !strings.Contains((*said)[0], name)) {
		t.Errorf("truncating: %v, and it was said %q", err, *said)
	}
}

// Whatever a crash leaves of the last batch, what was before is there, and what comes
// after it.
func TestAnchorsAfterACrash(t *testing.T) {
	a, _ := testAnchors(t)
	mustWrite(t, a, heads(1, 2), noon)
	name := filepath.Join(a.dir, "2026-11-25.jsonl")
	before, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, a, heads(3, 2), noon)
	all, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	first := before.Size() + int64(len(all)-int(before.Size()))/2 // of the second batch
	for size := before.Size(); size <= int64(len(all)); size++ {
		change(t, name, func(f *os.File) {
			if _, err := f.WriteAt(all[:size], 0); err != nil {
				t.Fatal(err)
			}
			if err := f.Truncate(size); err != nil {
				t.Fatal(err)
			}
		})
		mustWrite(t, a, heads(9, 1), noon.Add(time.Duration(size)*time.Second))
		want, doubts := []uint64{1, 2}, 1
		if size >= first {
			want = append(want, 3)
		}
		if size == int64(len(all)) {
			want = append(want, 4)
		}
		if size == before.Size() || size == first || size == int64(len(all)) {
			doubts = 0
		}
		if got, why := written(t, a); !slices.Equal(got, append(want, 9)) || len(why) != doubts {
			t.Fatalf("after byte %d: %v %q", size, got, why)
		}
	}
	// A file system may have made room, and written nothing there.
	change(t, name, func(f *os.File) {
		if err := f.Truncate(before.Size() + 80_000); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(make([]byte, 80_000), before.Size()); err != nil {
			t.Fatal(err)
		}
	})
	mustWrite(t, a, heads(9, 1), noon.Add(time.Hour))
	if got, why := written(t, a); !slices.Equal(got, []uint64{1, 2, 9}) || len(why) != 1 {
		t.Errorf("%v %q", got, why)
	}
}

func TestAnchorsHaveARate(t *testing.T) {
	a, _ := testAnchors(t)
	refused := func(n int, now time.Time) bool {
		t.Helper()
		err := a.write(heads(1, n), now)
		var e *privsep.Error
		if err != nil && (!errors.As(err, &e) || e.Code != "too-many-anchors") {
			t.Fatal(err)
		}
		return err != nil
	}
	for range anchorBurst / anchor.MaxHeads {
		if refused(anchor.MaxHeads, noon) {
			t.Fatal("the burst is too short")
		}
	}
	for i, c := range []struct {
		after   time.Duration
		n       int
		refused bool
	}{
		{0, 1, true},
		{time.Second, anchorRate + 1, true},
		{time.Second, anchorRate, false},
		{time.Second, 1, true},
		{-time.Hour, 1, true}, // a clock that is set back makes no room, and no debt
		{-time.Hour + time.Second, anchorRate, false},
		{time.Hour, anchor.MaxHeads, false},
	} {
		if got := refused(c.n, noon.Add(c.after)); got != c.refused {
			t.Errorf("%d: %v", i, got)
		}
	}
	before, _ := written(t, a)
	if want := anchorBurst + 2*anchorRate + anchor.MaxHeads; len(before) != want {
		t.Errorf("%d are written, not %d", len(before), want)
	}
}

// What is not as it must be, or full, is refused, and left alone.
func TestAnchorsThatCannotBe(t *testing.T) {
	file := func(a *anchors) string { return filepath.Join(a.dir, "2026-11-25.jsonl") }
	for name, spoil := range map[string]func(t *testing.T, a *anchors) error{
		"a directory for all":     func(t *testing.T, a *anchors) error { return os.Chmod(a.dir, 0o751) },
		"a directory for a group": func(t *testing.T, a *anchors) error { return os.Chmod(a.dir, 0o770) },
		"a link to a directory": func(t *testing.T, a *anchors) error {
			return errors.Join(os.Rename(a.dir, a.dir+"2"), os.Symlink(a.dir+"2", a.dir))
		},
		"no directory": func(t *testing.T, a *anchors) error {
			return errors.Join(os.Remove(a.dir), os.WriteFile(a.dir, nil, 0o600))
		},
		"nothing above it": func(t *testing.T, a *anchors) error { a.dir += "/x/y"; return nil },
		"a file for all":   func(t *testing.T, a *anchors) error { return os.WriteFile(file(a), nil, 0o644) },
		"a file for a group": func(t *testing.T, a *anchors) error {
			return errors.Join(os.WriteFile(file(a), nil, 0o600), os.Chmod(file(a), 0o660))
		},
		"a link": func(t *testing.T, a *anchors) error {
			return errors.Join(os.WriteFile(file(a)+"2", nil, 0o600), os.Symlink(file(a)+"2", file(a)))
		},
		"a FIFO":            func(t *testing.T, a *anchors) error { return unix.Mkfifo(file(a), 0o600) },
		"a directory in it": func(t *testing.T, a *anchors) error { return os.Mkdir(file(a), 0o700) },
		"too much for a day": func(t *testing.T, a *anchors) error {
			return errors.Join(os.WriteFile(file(a), nil, 0o600), os.Truncate(file(a), maxDay-10))
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := testAnchors(t)
			if err := errors.Join(os.Mkdir(a.dir, 0o700), spoil(t, a)); err != nil {
				t.Fatal(err)
			}
			size := func() (n int64) {
				if fi, err := os.Stat(file(a)); err == nil && fi.Mode().IsRegular() {
					n = fi.Size()
				}
				return n
			}
			before := size()
			if err := a.write(heads(1, 1), noon); err == nil || size() != before {
				t.Errorf("%v, with %d bytes after %d", err, size(), before)
			} else if strings.Contains(err.Error(), "%!") || strings.Contains(err.Error(), "\n") {
				t.Errorf("it says %q", err)
			}
		})
	}
	if os.Geteuid() == 0 {
		a, _ := testAnchors(t)
		if err := errors.Join(os.Mkdir(a.dir, 0o700), os.Chown(a.dir, 1, 1)); err != nil {
			t.Fatal(err)
		}
		if err := a.write(heads(1, 1), noon); err == nil {
			t.Error("another's directory will do")
		}
	}
}

// The youngest are kept whatever they are; older ones until they are many, or large.
func TestAnchorsExpire(t *testing.T) {
	for name, c := range map[string]struct {
		days int
		size int64 // of each
		left int   // with the present one
	}{
		"few":             {minDays, maxDay, minDays}, // without the oldest
		"many large":      {60, maxDay, minDays},
		"many of a few M": {maxDays, 4 << 20, maxAnchors/(4<<20) + 1},
		"many small":      {maxDays + 20, 100, maxDays},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := testAnchors(t)
			if err := os.Mkdir(a.dir, 0o700); err != nil {
				t.Fatal(err)
			}
			file := func(days int) string {
				return filepath.Join(a.dir, noon.AddDate(0, 0, -days).Format(time.DateOnly)+".jsonl")
			}
			for i := 1; i <= c.days; i++ {
				f, err := os.OpenFile(file(i), os.O_RDWR|os.O_CREATE, 0o600)
				if err != nil {
					t.Fatal(err)
				}
				err = f.Truncate(c.size)
				_ = appendOnly(f, true) // where it can be
				if err := errors.Join(err, f.Close()); err != nil {
					t.Fatal(err)
				}
			}
			other := filepath.Join(a.dir, "0000-notes")
			if err := os.WriteFile(other, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			mustWrite(t, a, heads(1, 1), noon)
			names, err := filepath.Glob(a.dir + "/*.jsonl")
			if err != nil || len(names) != c.left {
				t.Errorf("%d are left, not %d: %v", len(names), c.left, err)
			}
			for i := range c.left {
				if _, err := os.Lstat(file(i)); err != nil {
					t.Error(err)
				}
			}
			if _, err := os.Lstat(other); err != nil {
				t.Error(err)
			}
		})
	}
	// A clock that is years behind: the present file is the oldest.
	a, _ := testAnchors(t)
	if err := os.Mkdir(a.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range maxDays + 5 {
		if err := os.WriteFile(filepath.Join(a.dir, noon.AddDate(0, 0, i).Format(time.DateOnly)+".jsonl"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mustWrite(t, a, heads(7, 1), time.Unix(0, 0))
	if got, _ := written(t, a); !slices.Equal(got, []uint64{7}) {
		t.Errorf("%v", got)
	}
}

// What a bridge gone bad asks leaves nothing; an honest request is answered.
func TestAnchorRequests(t *testing.T) {
	good := heads(1, 1)[0]
	bad := good
	bad.Chain = "../../x"
	for name, c := range map[string]struct {
		heads []anchor.Head
		want  int // written
	}{
		"good":                 {heads(1, anchor.MaxHeads), anchor.MaxHeads},
		"none":                 {nil, 0},
		"too many":             {heads(1, anchor.MaxHeads+1), 0},
		"a bad one after good": {[]anchor.Head{good, good, bad}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			var conns [2]*net.UnixConn
			for i, fd := range fds {
				f := os.NewFile(uintptr(fd), "")
				c, err := net.FileConn(f)
				f.Close()
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				conns[i] = c.(*net.UnixConn)
			}
			a, _ := testAnchors(t)
			l := &Launcher{}
			l.anchors.dir, l.anchors.journald, l.anchors.say = a.dir, a.journald, a.say
			err = l.anchor(conns[0], privsep.Anchor{Heads: c.heads})
			got, _ := written(t, a)
			var refusal *privsep.Error
			if len(got) != c.want || (c.want == 0) != errors.As(err, &refusal) {
				t.Errorf("%d are written: %v", len(got), err)
			}
			var reply privsep.Reply
			if c.want > 0 {
				if _, err := privsep.Receive(conns[1], &reply, 0); err != nil || reply.Error != nil {
					t.Errorf("%+v %v", reply, err)
				}
			}
		})
	}
}

// A journal that is missing or stands still is no failure, and is told of when it is
// there again.
func TestAnchorsInTheJournal(t *testing.T) {
	a, said := testAnchors(t)
	a.journal(heads(1, 3)) // nobody is there
	ln, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: a.journald, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if len(*said) != 0 {
		t.Errorf("it says %q to nobody", *said)
	}
	a.journal([]anchor.Head{{Chain: "s1", Seq: 4, Hash: fmt.Sprintf("%064x", 4), Final: true}})
	buf := make([]byte, 4096)
	n, err := ln.Read(buf)
	fields := strings.Split(string(buf[:n]), "\n")
	want := []string{
		"", "AAAU_EVENT=anchor", "AAAU_FINAL=yes", "AAAU_HASH=" + fmt.Sprintf("%064x", 4), "AAAU_SEQ=4", "AAAU_SESSION=s1",
		"MESSAGE=anchored record 4 of s1", "MESSAGE_ID=" + anchor.MessageID, "PRIORITY=7", "SYSLOG_IDENTIFIER=aaau-launcher",
	}
	if slices.Sort(fields); err != nil || !slices.Equal(fields, want) {
		t.Errorf("the journal got %q, %v", fields, err)
	}
	if len(*said) != 1 || !strings.Contains((*said)[0], "3 are in the files alone") {
		t.Errorf("it says %q", *said)
	}
	// Nobody reads: what does not fit into the socket's queue is given up on.
	const more = 20_000
	a.journal(heads(5, more))
	raw, err := ln.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	err = raw.Control(func(fd uintptr) { // what came through is there
		for _, _, err := unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT); err == nil; got++ {
			_, _, err = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got == 0 || got >= more || len(*said) != 2 || !strings.Contains((*said)[1], fmt.Sprint(more-got)+" are in the files alone") {
		t.Errorf("%d came through, and it says %q", got, *said)
	}
}
