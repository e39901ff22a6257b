package launcher

import (
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Pipes are the agent's own, do not block the bridge, and end with their other ends.
func TestOpenPipes(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test makes a devpts: run it as root (sudo make check)")
	}
	s, err := openStreams(4321, 4322, true, 0, 0)
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

type readFD int

func (fd readFD) Read(p []byte) (int, error) { return unix.Read(int(fd), p) }
