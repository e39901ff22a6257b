package stage

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/gitindex"
)

// writing is how long it may take to write a file of git's.
const writing = 250 * time.Millisecond

// A file is one that was read.
type file struct {
	fd    int
	id    identity
	text  []byte         // but for an index
	index gitindex.Index // of one
	held  bool
	open  bool // it cannot be held here
	round int  // when it was asked for last
}

// hold reads a file, and sees to it that it stays as it is: there is a lease on it
// (fcntl(2)), which nobody gets while somebody has it open for writing, or mapped so,
// and which makes everybody wait who opens it so then, until we have killed the
// program or gone. Git itself never writes these files in place, but for a .git. There
// is none if there is no file. of is what to put aside for it.
//
// Older kernels grant no lease where ids are mapped. There we look again whenever
// somebody opens the file, and say that it is open.
func (l *gitlinks) hold(path, of string, limit int64) (*file, *danger) {
	id, mode, err := identify(path)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil || mode&unix.S_IFMT != unix.S_IFREG {
		return nil, &danger{of, "is not a file that can be read"}
	}
	f := l.files[path]
	if f == nil || f.id != id {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == unix.ENOENT {
			return nil, nil
		}
		if err != nil {
			return nil, &danger{of, fmt.Sprintf("cannot be read (%v)", err)}
		}
		if f != nil {
			unix.Close(f.fd)
		}
		// It may be another than before, and be replaced again: that is seen after this.
		f = &file{fd: fd, id: id}
		l.files[path] = f
	}
	f.round = l.round
	if f.held {
		if lease, err := unix.FcntlInt(uintptr(f.fd), unix.F_GETLEASE, 0); err != nil || lease != unix.F_RDLCK {
			if filepath.Base(path) != ".git" {
				return nil, &danger{of, "was opened to be written in place, which git never does"}
			}
			_, _ = unix.FcntlInt(uintptr(f.fd), unix.F_SETLEASE, unix.F_UNLCK) // it may be over
			f.held, l.busy = false, &danger{of, "it is open to be written"}
			return f, f.read(of, limit)
		}
		return f, nil
	}
	switch _, err := unix.FcntlInt(uintptr(f.fd), unix.F_SETLEASE, unix.F_RDLCK); {
	case err == nil:
		f.held = true
	case err == unix.EAGAIN:
		l.busy = &danger{of, "it, or what is in it, is open to be written in place, which git never does"}
	case !f.open:
		f.open = true
		if wd, err := unix.InotifyAddWatch(l.watches, path, unix.IN_OPEN|unix.IN_MODIFY|unix.IN_CLOSE_WRITE|unix.IN_DONT_FOLLOW); err == nil {
			l.wait(wd, "*")
		}
	}
	return f, f.read(of, limit)
}

func (f *file) read(of string, limit int64) (d *danger) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > limit {
		return &danger{of, "is too large to be looked at"}
	}
	if st.Size > large {
		elsewhere(func() { d = f.readAll(of, st.Size) })
		return d
	}
	return f.readAll(of, st.Size)
}

func (f *file) readAll(of string, size int64) *danger {
	f.text = make([]byte, size)
	for n := 0; n < len(f.text); {
		more, err := unix.Pread(f.fd, f.text[n:], int64(n))
		if err != nil {
			return &danger{of, fmt.Sprintf("cannot be read (%v)", err)}
		}
		if more == 0 {
			f.text = f.text[:n]
		}
		n += more
	}
	return nil
}

// forget lets go of the files that nothing leads to any more.
func (l *gitlinks) forget() {
	for path, f := range l.files {
		if f.round != l.round {
			unix.Close(f.fd)
			delete(l.files, path)
		}
	}
}
