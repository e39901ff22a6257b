package bridge

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/auth"
	api "github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/privsep/privseptest"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

func TestSession(t *testing.T) {
	h := start(t, nil)
	out, ended := h.all(h.sh("stty size; printf 'hello'; exit 7"))
	if out != "24 80\r\nhello" || ended.Code != 7 || ended.Signal != 0 {
		t.Errorf("%q, %+v", out, ended)
	}
	_, ended = h.all(h.sh("kill -TERM $$"))
	if ended.Signal != 15 {
		t.Errorf("%+v", ended)
	}
}

// A program that has ended before its client could look loses nothing.
func TestShortProgram(t *testing.T) {
	h := start(t, nil)
	for i := range 30 {
		s, err := h.open(wire.OpenRequest{Session: spec.Session{Argv: []string{"echo", fmt.Sprint(i)}}})
		if err != nil {
			t.Fatal(err)
		}
		if out, _ := h.all(s); out != fmt.Sprintf("%d\r\n", i) {
			t.Fatalf("%q", out)
		}
		s.Close()
	}
}

func TestInputIsBytes(t *testing.T) {
	h := start(t, nil)
	s := h.sh("stty raw -echo; echo ready; head -c 256 | od -An -v -tu1 | tr -d ' \\n'")
	all := make([]byte, 256)
	var want strings.Builder
	for i := range all {
		all[i] = byte(i)
		fmt.Fprint(&want, i)
	}
	out := &waiter{want: "ready"}
	done := make(chan error, 1)
	go func() { _, err := s.Copy(api.Sink{Out: out}); done <- err }()
	out.wait(t)
	if _, err := s.Write(all); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || !strings.Contains(out.String(), want.String()) {
		t.Errorf("%v %q", err, out.String())
	}
}

// Who begins to drive with what could be half of a report loses none of it.
func TestInputOfTheSecond(t *testing.T) {
	for name, c := range map[string]struct {
		pipes  bool
		frames []string
	}{
		"half a report at the end":          {false, []string{"b\x1b[1", "2345"}},
		"half a report first":               {false, []string{"\x1b]11;r", "b", "c\x1b[0", "d"}},
		"reports, where there is a pipe":    {true, []string{"\x1b[1;20R", "b\x1b[I", "\x1b[O"}},
		"half a report, where there is one": {true, []string{"\x1b[1", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, nil)
			all := strings.Join(c.frames, "")
			script := fmt.Sprintf("test ! -t 0 || stty raw -echo; echo ready; head -c %d | od -An -v -tx1 | tr -d ' \n'", len(all))
			first, err := h.open(wire.OpenRequest{Session: spec.Session{Pipes: c.pipes, Argv: []string{"sh", "-c", script}}})
			if err != nil {
				t.Fatal(err)
			}
			defer first.Close()
			out := &waiter{want: "ready"}
			done := make(chan struct{})
			go func() { defer close(done); _, _ = first.Copy(api.Sink{Out: out}) }()
			out.wait(t)
			second, err := h.open(wire.OpenRequest{Attach: first.ID})
			if err != nil {
				t.Fatal(err)
			}
			defer second.Close()
			for _, f := range c.frames {
				if _, err := second.Write([]byte(f)); err != nil {
					t.Fatal(err)
				}
			}
			select {
			case <-done:
			case <-time.After(patience):
				t.Fatal("something is missing")
			}
			if want := fmt.Sprintf("ready\n%x", all); strings.ReplaceAll(out.String(), "\r", "") != want {
				t.Errorf("%q, not %q", out.String(), want)
			}
		})
	}
}

// waiter is output that one can wait for.
type waiter struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	want string
	seen chan struct{}
	once sync.Once
}

func (w *waiter) init() { w.once.Do(func() { w.seen = make(chan struct{}) }) }

func (w *waiter) Write(p []byte) (int, error) {
	w.init()
	w.mu.Lock()
	defer w.mu.Unlock()
	had := strings.Contains(w.buf.String(), w.want)
	w.buf.Write(p)
	if !had && strings.Contains(w.buf.String(), w.want) {
		close(w.seen)
	}
	return len(p), nil
}

func (w *waiter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

func (w *waiter) wait(t *testing.T) {
	t.Helper()
	w.init()
	select {
	case <-w.seen:
	case <-time.After(patience):
		t.Fatalf("no %q in %q", w.want, w.String())
	}
}

func TestRefusals(t *testing.T) {
	h := start(t, nil)
	h.launcher.OnRequest(func(r privsep.Request) error {
		if r.Start != nil && r.Start.Profile == "refused" {
			return privsep.Errorf("refused", "not this one")
		}
		return nil
	})
	for name, c := range map[string]struct {
		req  wire.OpenRequest
		code string
	}{
		"no such session":      {wire.OpenRequest{Attach: "nosuch"}, "no-session"},
		"no such program":      {wire.OpenRequest{Session: spec.Session{Argv: []string{"/nosuch"}}}, "program-not-found"},
		"a long name":          {wire.OpenRequest{Session: spec.Session{Argv: []string{strings.Repeat("x", 5000)}}}, "program-not-found"},
		"the launcher says no": {wire.OpenRequest{Session: spec.Session{Profile: "refused", Argv: []string{"true"}}}, "refused"},
	} {
		_, err := h.open(c.req)
		var note *wire.ErrorNote
		if !errors.As(err, &note) || note.Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.launcher.OnRequest(func(privsep.Request) error { return privseptest.ErrSilent })
	if _, err := h.open(wire.OpenRequest{Session: spec.Session{Argv: []string{"true"}}}); err == nil {
		t.Error("a stage that ended without a word is taken for a start")
	}
}

func TestDenied(t *testing.T) {
	h := start(t, func(b *Bridge) { b.Policy.AgentUIDs = []uint32{uint32(os.Getuid())} })
	var note *wire.ErrorNote
	if _, err := h.open(wire.OpenRequest{Session: spec.Session{Argv: []string{"true"}}}); !errors.As(err, &note) || note.Code != "denied" {
		t.Errorf("%v", err)
	}
	h.stop()
	if _, _, all := denials(t, h.record); all != 1 {
		t.Errorf("the record has it %d times", all)
	}
}

func TestLauncherDown(t *testing.T) {
	h := start(t, func(b *Bridge) { b.LauncherSocket += ".gone" })
	var note *wire.ErrorNote
	if _, err := h.open(wire.OpenRequest{Session: spec.Session{Argv: []string{"true"}}}); !errors.As(err, &note) || note.Code != "launcher-down" {
		t.Errorf("%v", err)
	}
}

// What the tapes of sessions take is counted from before a session starts until nobody
// reads it any more.
func TestTapesAreBudgeted(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "profiles.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "profiles.d", "shell.conf"), []byte("tape=2M\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// By the profile three would fit. The launcher's stand-in makes its own of 4 MiB, and
	// its word is what counts once it has given it.
	h := start(t, func(b *Bridge) {
		b.Config = config.Dirs{Admin: dir, Owner: uint32(os.Getuid())}
		b.MaxTapes = session.Memory(4<<20, false)
	})
	is := func(what string, yes func() bool) {
		t.Helper()
		for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			h.mu.Lock()
			now := yes()
			h.mu.Unlock()
			if now {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("waiting for %s", what)
			}
		}
	}
	refused := func(when string, pipes bool) {
		t.Helper()
		h.launcher.OnRequest(func(r privsep.Request) error {
			if r.Start != nil {
				t.Errorf("%s: something was begun", when)
			}
			return nil
		})
		defer h.launcher.OnRequest(nil)
		var note *wire.ErrorNote
		_, err := h.open(wire.OpenRequest{Session: spec.Session{Argv: []string{"true"}, Pipes: pipes}})
		if !errors.As(err, &note) || note.Code != "too-many-tapes" || !strings.Contains(note.Message, "max-tapes=") {
			t.Errorf("%s: %v", when, err)
		}
	}
	first := h.sh("read x; head -c 3000000 /dev/zero")
	refused("while one runs", false)
	if _, err := first.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	is("its end", func() bool { return len(h.sessions) == 0 })
	refused("while its output is not read", false)
	first.Close()
	is("room", func() bool { return h.tapes == 0 })
	refused("two tapes, for there are pipes", true)
	again := h.sh("echo again")
	if out, _ := h.all(again); out != "again\r\n" {
		t.Errorf("%q", out)
	}
	again.Close()
	is("room", func() bool { return h.tapes == 0 })
	h.SetMax(100, 100, 1<<20)
	refused("after a reload", false)
	h.SetMax(100, 100, 0)
	if out, _ := h.all(h.sh("echo no limit")); out != "no limit\r\n" {
		t.Errorf("%q", out)
	}
}

func TestLimits(t *testing.T) {
	h := start(t, func(b *Bridge) { b.MaxPerUser = 2 })
	first := h.sh("read x")
	h.sh("read x")
	var note *wire.ErrorNote
	if _, err := h.open(wire.OpenRequest{Session: spec.Session{Argv: []string{"true"}}}); !errors.As(err, &note) || note.Code != "too-many-sessions" {
		t.Errorf("the third: %v", err)
	}
	if _, err := first.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	h.all(first)
	if out, _ := h.all(h.sh("echo again")); out != "again\r\n" {
		t.Errorf("%q", out)
	}
}

// What a stranger sends costs the bridge a connection, and says why.
func TestStrangers(t *testing.T) {
	h := start(t, nil)
	for name, c := range map[string]struct{ send, want string }{
		"another protocol": {"GET / HTTP/1.1\r\n\r\n", "Invalid handshake"},
		"another version":  {"AaaU 9\n", "version 9"},
		"input first":      {"AaaU 2\n" + string(wire.Frame(wire.Input, []byte("x"))), "a frame of type 0x2"},
		"a long frame":     {"AaaU 2\n\xff\xff\xff\xff\x01", "at most"},
		"bad JSON":         {"AaaU 2\n" + string(wire.Frame(wire.Open, []byte("{"))), "unexpected end of JSON input"},
		"nothing":          {"", ""},
	} {
		conn, err := net.Dial("unix", h.socket)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, c.send)
		conn.(*net.UnixConn).CloseWrite()
		got, err := io.ReadAll(conn)
		if err != nil || !strings.Contains(string(got), c.want) {
			t.Errorf("%s: %q %v", name, got, err)
		}
		conn.Close()
	}
	if out, _ := h.all(h.sh("echo fine")); out != "fine\r\n" {
		t.Errorf("afterwards: %q", out)
	}
}

// Many viewers see the same bytes, from the first on; those that read nothing
// hold nobody back.
func TestManyViewers(t *testing.T) {
	h := start(t, nil)
	s := h.sh("stty -opost -echo; echo ready; read x; seq 1 200000; read x")
	var wg sync.WaitGroup
	sums := make(chan [32]byte, 50)
	for range 20 {
		v, err := h.open(wire.OpenRequest{Attach: s.ID, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		if v.Role != auth.ReadOnly.String() {
			t.Errorf("role %s", v.Role)
		}
		wg.Go(func() { sums <- digest(t, v, io.Discard) })
	}
	for range 5 { // stopped dead
		v, err := h.open(wire.OpenRequest{Attach: s.ID, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
	}
	ready := &waiter{want: "ready"}
	wg.Go(func() { sums <- digest(t, s, ready) })
	ready.wait(t)
	for range 2 {
		if _, err := s.Write([]byte("\n")); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	close(sums)
	want := sha256.New()
	io.WriteString(want, "ready\n")
	for i := 1; i <= 200000; i++ {
		fmt.Fprintf(want, "%d\n", i)
	}
	for sum := range sums {
		if sum != [32]byte(want.Sum(nil)) {
			t.Error("a viewer saw something else")
		}
	}
}

// digest reads a session to its end, which also goes to w.
func digest(t *testing.T, s *api.Session, w io.Writer) [32]byte {
	sum := sha256.New()
	if _, err := s.Copy(api.Sink{Out: io.MultiWriter(sum, w), Notice: func(line string) { t.Errorf("notice: %s", line) }}); err != nil {
		t.Error(err)
	}
	return [32]byte(sum.Sum(nil))
}

// A ReadOnly client is refused at the bridge, whatever it sends.
func TestReadOnly(t *testing.T) {
	h := start(t, nil)
	s := h.sh("trap 'echo resized' WINCH; read x; echo got $x; stty size")
	v, err := h.open(wire.OpenRequest{Attach: s.ID, ReadOnly: true, Session: spec.Session{Size: wire.Size{Rows: 5, Cols: 5}}})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	notices := make(chan string, 10)
	go v.Copy(api.Sink{Notice: func(line string) { notices <- line }})
	v.Write([]byte("evil\n"))
	v.Resize(wire.Size{Rows: 6, Cols: 6})
	v.Kill()
	for _, want := range []string{"typing", "you may not kill session"} {
		if got := <-notices; !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	s.Write([]byte("good\n"))
	if out, _ := h.all(s); !strings.Contains(out, "got good\r\n24 80\r\n") || strings.Contains(out, "resized") {
		t.Errorf("%q", out)
	}
}

// The bridge's end is every session's, and clients are told by the end of their
// connection.
func TestStop(t *testing.T) {
	h := start(t, nil)
	s := h.sh("trap '' HUP; echo up; exec sleep 1000")
	out := &waiter{want: "up"}
	done := make(chan error, 1)
	go func() { _, err := s.Copy(api.Sink{Out: out}); done <- err }()
	out.wait(t)
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, api.ErrLost) {
		t.Errorf("%v", err)
	}
}
