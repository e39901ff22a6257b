package session

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/tape"
)

// patience is how long anything may take that takes milliseconds when all is well.
const patience = time.Minute

// fake is a session whose program is real, on real pipes or a real terminal, and
// whose stage is this test and a child that lives as long.
type fake struct {
	*Session
	t       *testing.T
	program *exec.Cmd
}

// start starts a session of a shell's script. What belongs to the program is closed
// here as soon as that has it, and the terminal when it has ended.
func start(t *testing.T, pipes bool, script string) *fake {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	before := openFDs(t)
	t.Cleanup(func() {
		for end := time.Now().Add(patience); goleak.Find(leaks) != nil && time.Now().Before(end); { // they may take a while to end
		}
		goleak.VerifyNone(t, leaks)
		if after := openFDs(t); after > before { // less: the collector closed an earlier one's
			t.Errorf("%d descriptors open before, %d after", before, after)
		}
	})
	var fds, theirs []int // in the order of privsep.Reply; of the program
	if pipes {
		in, out, errs := pipe(t), pipe(t), pipe(t)
		fds, theirs = []int{in[1], -1, -1, -1, out[0], errs[0]}, []int{in[0], out[1], errs[1]}
	} else {
		master, slave, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: 80})
		fds, theirs = []int{dup(t, master), -1, -1, -1}, []int{dup(t, slave)}
		master.Close()
		slave.Close()
	}
	status := pipe(t)
	fds[2] = status[0]
	mounts, err := unix.Open("/proc/self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	fds[3] = mounts
	stage := exec.Command("cat")
	hold, err := stage.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := stage.Start(); err != nil {
		t.Fatal(err)
	}
	// Not os's own, which must not get O_NONBLOCK: waitid(2) would not wait.
	if fds[1], err = unix.PidfdOpen(stage.Process.Pid, 0); err != nil {
		t.Fatal(err)
	}

	s, err := New(Info{Session: privsep.Session{ID: "test", Pipes: pipes}}, fds)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{Session: s, t: t, program: exec.Command("sh", "-c", script)}
	var files []*os.File
	for _, fd := range theirs {
		files = append(files, os.NewFile(uintptr(fd), "its own"))
	}
	f.program.Stdin, f.program.Stdout, f.program.Stderr = files[0], files[min(1, len(files)-1)], files[len(files)-1]
	f.program.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: !pipes}
	if err := f.program.Start(); err != nil {
		t.Fatal(err)
	}
	if pipes {
		for _, file := range files {
			file.Close()
		}
	}
	word := os.NewFile(uintptr(status[1]), "status")
	json.NewEncoder(word).Encode(privsep.Status{Started: true})
	s.Start(func() {}, func(*Session) {}, func(why string) { t.Errorf("tripped: %s", why) })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.program.Wait()
		wait := f.program.ProcessState.Sys().(syscall.WaitStatus)
		json.NewEncoder(word).Encode(privsep.Status{Ended: &privsep.Ended{Wait: uint32(wait)}})
		word.Close()
		if !pipes {
			files[0].Close()
		}
		hold.Close()
		if err := stage.Wait(); err != nil {
			t.Errorf("the stage: %v", err)
		}
	}()
	t.Cleanup(func() {
		f.program.Process.Kill()
		f.awaitEnd()
		<-ended
	})
	if err := s.Started(); err != nil {
		t.Fatal(err)
	}
	return f
}

func pipe(t *testing.T) (p [2]int) {
	t.Helper()
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	return p
}

func dup(t *testing.T, f *os.File) int {
	t.Helper()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func openFDs(t *testing.T) int {
	t.Helper()
	e, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(e)
}

func (f *fake) awaitEnd() {
	f.t.Helper()
	select {
	case <-f.Ended():
	case <-time.After(patience):
		panic(f.t.Name() + ": the session does not end")
	}
}

// reader collects what comes, until the session's end.
type reader struct {
	mu   sync.Mutex
	got  bytes.Buffer
	more chan struct{} // has room for one
	done chan struct{}
}

// collect closes the cursor at the end.
func (f *fake) collect(c *tape.Cursor, err error) *reader {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
	r := &reader{more: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		defer close(r.done)
		defer c.Close()
		for ended := false; !ended || c.Behind(); {
			select {
			case <-c.More():
			case <-f.Ended():
				ended = true
			}
			for c.Behind() {
				data, lost := c.View(64 << 10)
				if lost > 0 {
					f.t.Errorf("lost %d bytes", lost)
				}
				r.mu.Lock()
				r.got.Write(data)
				r.mu.Unlock()
				c.Advance(len(data))
				select {
				case r.more <- struct{}{}:
				default:
				}
			}
		}
	}()
	return r
}

// all is what there was by the session's end.
func (r *reader) all() string {
	<-r.done
	return r.got.String()
}

// expect waits for a text.
func (r *reader) expect(t *testing.T, text string) {
	t.Helper()
	timer := time.After(patience)
	for {
		r.mu.Lock()
		got := r.got.String()
		r.mu.Unlock()
		if strings.Contains(got, text) {
			return
		}
		select {
		case <-r.more:
		case <-timer:
			t.Fatalf("no %q in %q", text, got)
		}
	}
}

func (f *fake) write(text string) {
	f.t.Helper()
	if err := f.Write([]byte(text)); err != nil {
		f.t.Fatal(err)
	}
}

func TestPipesCarryEveryByte(t *testing.T) {
	f := start(t, true, "cat; echo and so on >&2; exit 7")
	out, errs := f.collect(f.Read(0, tape.Always)), f.collect(f.ReadErrors(0, tape.Always))
	sent := make([]byte, 10<<20)
	rand.Read(sent)
	f.write(string(sent))
	for range 2 {
		if err := f.CloseInput(); err != nil {
			t.Error(err)
		}
	}
	if err := f.Write([]byte("x")); !errors.Is(err, ErrInputClosed) && !errors.Is(err, ErrEnded) {
		t.Errorf("input after its end: %v", err)
	}
	if got := out.all(); got != string(sent) {
		t.Errorf("%d bytes came, not the same %d", len(got), len(sent))
	}
	if got := errs.all(); got != "and so on\n" {
		t.Errorf("errors: %q", got)
	}
	if f.Exit().Wait.ExitStatus() != 7 || f.Bytes() != int64(len(sent)+len("and so on\n")) {
		t.Errorf("%v, %d bytes", f.Exit(), f.Bytes())
	}
	if err := errors.Join(f.CloseInput(), f.Resize(spec.Size{Rows: 3, Cols: 4})); err != nil {
		t.Error(err)
	}
	if rows, cols := f.Size(); rows != 0 || cols != 0 {
		t.Errorf("pipes of %d rows and %d columns", rows, cols)
	}
}

// The program goes on without its input and output, and what is written to it is
// refused, by an error and not by a signal.
func TestProgramClosesItsPipes(t *testing.T) {
	f := start(t, true, "exec <&- >&-; echo closed >&2; exec sleep 1000")
	out, errs := f.collect(f.Read(0, tape.Never)), f.collect(f.ReadErrors(0, tape.Never))
	errs.expect(t, "closed\n")
	if err := f.Write([]byte("x")); err != ErrInputClosed {
		t.Errorf("to nobody: %v", err)
	}
	select {
	case <-f.Ended():
		t.Error("the session ended with its program's output")
	default:
	}
	f.program.Process.Signal(syscall.SIGTERM)
	f.awaitEnd()
	if err := f.Write([]byte("x")); err != ErrEnded {
		t.Errorf("after the end: %v", err)
	}
	if f.Exit().Wait.Signal() != syscall.SIGTERM || out.all() != "" {
		t.Errorf("%v, %q", f.Exit(), out.all())
	}
}

// Input that the program does not read waits until it ends, and the end of input
// waits too.
func TestInputThatNobodyReads(t *testing.T) {
	f := start(t, true, "echo ready; exec sleep 1000")
	out := f.collect(f.Read(0, tape.Never))
	out.expect(t, "ready")
	wrote, closed := make(chan error, 1), make(chan error, 1)
	go func() { wrote <- f.Write(make([]byte, 1<<20)) }()
	for { // until it is full
		raw, err := f.input.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
		if n >= 64<<10 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	go func() { closed <- f.CloseInput() }()
	select {
	case err := <-wrote:
		t.Errorf("nobody has read it: %v", err)
	case err := <-closed:
		t.Errorf("closed before it was written: %v", err)
	default:
	}
	// Who does not want it any more need not wait, in the queue either.
	if err := f.Type(nil, []byte("x"), func() bool { return false }); err != ErrGivenUp {
		t.Errorf("in the queue: %v", err)
	}
	f.program.Process.Kill()
	if err := <-wrote; err != ErrInputClosed && err != ErrEnded {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestInputIsGivenUp(t *testing.T) {
	for _, pipes := range []bool{true, false} {
		f := start(t, pipes, "stty raw -echo 2>/dev/null; echo ready; exec sleep 1000")
		out := f.collect(f.Read(0, tape.Never))
		out.expect(t, "ready")
		asked := 0
		err := f.Type(nil, make([]byte, 1<<20), func() bool { asked++; return asked < 2 })
		if err != ErrGivenUp || asked != 2 {
			t.Errorf("%v, asked %d times", err, asked)
		}
		if err := f.CloseInput(); err != nil {
			t.Error(err)
		}
		f.program.Process.Kill()
		f.awaitEnd()
	}
}

func TestTerminal(t *testing.T) {
	f := start(t, false, `exec bash -c 'trap "echo told" WINCH; stty -echo; echo ready; while read x; do stty size; done'`)
	out := f.collect(f.Read(0, tape.Never))
	if c, err := f.ReadErrors(0, tape.Never); c != nil || err != nil {
		t.Errorf("errors of a terminal: %v %v", c, err)
	}
	out.expect(t, "ready")
	f.write("\n")
	out.expect(t, "24 80")
	if rows, cols := f.Size(); rows != 24 || cols != 80 {
		t.Errorf("%d rows, %d columns", rows, cols)
	}
	for range 3 {
		if err := f.Resize(spec.Size{Rows: 30, Cols: 90}); err != nil {
			t.Fatal(err)
		}
	}
	f.write("\n")
	out.expect(t, "30 90")
	if rows, cols := f.Size(); rows != 30 || cols != 90 {
		t.Errorf("%d rows, %d columns", rows, cols)
	}
	if err := f.CloseInput(); err != nil {
		t.Error(err)
	}
	f.write("\x04") // which is typed
	if got := out.all(); strings.Count(got, "told") != 1 || f.Exit().Wait.ExitStatus() != 0 {
		t.Errorf("%q, %v", got, f.Exit())
	}
	if err := f.Write([]byte("x")); err != ErrEnded {
		t.Errorf("after the end: %v", err)
	}
}

// Who gives the output away to somebody outside does not keep the session by that.
func TestOutputGivenAway(t *testing.T) {
	for kind, pipes := range map[string]bool{"pipes": true, "terminal": false} {
		t.Run(kind, func(t *testing.T) {
			f := start(t, pipes, "echo ready; read x; seq 1 9999")
			out := f.collect(f.Read(0, tape.Always))
			out.expect(t, "ready")
			outside, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/1", f.program.Process.Pid), os.O_WRONLY|unix.O_NOCTTY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer outside.Close()
			f.write("\n")
			if got := out.all(); !strings.HasSuffix(strings.ReplaceAll(got, "\r", ""), "\n9999\n") {
				t.Errorf("%d bytes came, and in the end %q", len(got), got[max(0, len(got)-20):])
			}
		})
	}
}

// Whatever is wrong, New closes all that it was given.
func TestNotASession(t *testing.T) {
	before := openFDs(t)
	p, q := pipe(t), pipe(t)
	if _, err := New(Info{Session: privsep.Session{Pipes: true}}, []int{p[0], p[1], q[0], q[1]}); err == nil {
		t.Error("four descriptors will do for six")
	}
	p, q = pipe(t), pipe(t)
	if _, err := New(Info{}, []int{p[0], p[1], q[0], q[1]}); err == nil {
		t.Error("a pipe will do for a terminal")
	}
	if after := openFDs(t); after > before { // less: the collector closed an earlier one's
		t.Errorf("%d descriptors open before, %d after", before, after)
	}
}
