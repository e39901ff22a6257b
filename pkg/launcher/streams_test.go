package launcher

import (
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/spec"
)

// Pipes are the agent's own, do not block the bridge, and end with their other ends.
func TestOpenPipes(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test makes a devpts: run it as root (sudo make check)")
	}
	s, err := openStreams(4321, 4322, spec.Session{Pipes: true})
	if err != nil {
		t.Fatal(err)
	}
	in, out, errs := s.stdio()
	for i, fd := range []uintptr{in, out, errs} {
		var st unix.Stat_t
		if err := unix.Fstat(int(fd), &st); err != nil || st.Uid != 4321 || st.Gid != 4322 || st.Mode != unix.S_IFIFO|0o600 {
			t.Errorf("%d: %d:%d %o %v", i, st.Uid, st.Gid, st.Mode, err)
		}
		theirs, err1 := unix.FcntlInt(fd, unix.F_GETFL, 0)
		ours, err2 := unix.FcntlInt(uintptr(s.bridge[i]), unix.F_GETFL, 0)
		if err1 != nil || err2 != nil || theirs&unix.O_NONBLOCK != 0 || ours&unix.O_NONBLOCK == 0 {
			t.Errorf("%d: the program's end has flags %#o, the bridge's %#o", i, theirs, ours)
		}
		from, to := s.bridge[i], int(fd)
		if i == 0 {
			from, to = to, from
		}
		buf := make([]byte, 9)
		if _, err := unix.Write(to, []byte("some text")); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadFull(readFD(from), buf); err != nil || string(buf) != "some text" {
			t.Errorf("%d: %q %v", i, buf, err)
		}
	}
	s.close()
}

// A terminal with a pipe for errors: input and output are the terminal, and what the program
// writes to its standard error comes out of the pipe.
func TestOpenTerminalWithErrorsApart(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test makes a devpts: run it as root (sudo make check)")
	}
	s, err := openStreams(4321, 4322, spec.Session{Size: spec.Size{Rows: 24, Cols: 80}, ErrorsApart: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	in, out, errs := s.stdio()
	if in != out || errs == in || len(s.bridge) != 2 {
		t.Fatalf("the program has %d, %d, %d, and the bridge %d descriptors", in, out, errs, len(s.bridge))
	}
	for fd, want := range map[uintptr]bool{in: true, errs: false} {
		if _, err := unix.IoctlGetTermios(int(fd), unix.TCGETS); (err == nil) != want {
			t.Errorf("descriptor %d is a terminal: %t", fd, err == nil)
		}
	}
	if _, err := unix.Write(int(errs), []byte("wrong")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 5)
	if _, err := io.ReadFull(readFD(s.bridge[1]), buf); err != nil || string(buf) != "wrong" {
		t.Errorf("%q %v", buf, err)
	}
}

type readFD int

func (fd readFD) Read(p []byte) (int, error) { return unix.Read(int(fd), p) }
