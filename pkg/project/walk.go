package project

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// maxDirectories is where a walk gives up: an agent can make more of them than
// anybody wants to wait for.
const maxDirectories = 1 << 20

// An entry is one name in a directory, with its d_type.
type entry struct {
	name string
	kind uint8
}

// A place is a directory of a walk, relative to its top ("." is the top).
type place struct {
	rel    string
	mark   mark
	bundle string // the directory of a package manager's that it is in; see bundle
}

// A mark is what a visitor knows of a directory from the one above.
type mark uint8

func (p place) child(name string, mark mark) place {
	return place{path.Join(p.rel, name), mark, p.bundle}
}

// A walker looks at every directory beneath top, several at a time. It opens each
// from the top and not through symbolic links or onto other mounts, so that it
// stays in the tree whoever changes it meanwhile.
type walker struct {
	top *os.File
	// keep says which names that are no directories visit gets to see, by the name
	// alone, since most are of no interest. The name is valid during the call.
	keep func(p place, name []byte) bool
	// visit says which directories below to go on with; fd is open during the call.
	// It is called by several goroutines at a time, and so is failed.
	visit  func(p place, fd int, entries []entry) []place
	failed func(p place, err error)
	// links says where visit gets to see symbolic links of any name.
	links func(p place) bool
	// file, if there is one, gets every regular file. The name is valid during the call.
	file func(p place, fd int, name []byte)
	// force reads the person's directories that may only be passed through, too.
	force bool

	mu      sync.Mutex // guards what follows
	cond    *sync.Cond
	todo    []place
	busy    int // goroutines that may still find more to do
	waiting int // goroutines that have nothing to do
	count   int
	err     error
}

func (w *walker) walk(ctx context.Context, from ...place) error {
	w.cond = sync.NewCond(&w.mu)
	w.todo = append(w.todo, from...)
	var all sync.WaitGroup
	for range max(2, min(8, runtime.GOMAXPROCS(0))) {
		all.Go(func() { w.work(ctx) })
	}
	all.Wait()
	runtime.KeepAlive(w.top)
	return w.err
}

func (w *walker) work(ctx context.Context) {
	buf := make([]byte, 32<<10)
	for {
		p, ok := w.next(ctx)
		if !ok {
			return
		}
		below, err := w.look(p, buf)
		if err != nil {
			w.failed(p, err)
		}
		w.mu.Lock()
		w.todo = append(w.todo, below...)
		w.busy--
		if w.waiting > 0 {
			w.cond.Broadcast()
		}
		w.mu.Unlock()
	}
}

// next waits for a directory to look at; there is none when nobody is busy.
func (w *walker) next(ctx context.Context) (place, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if w.err == nil {
			w.err = ctx.Err()
		}
		if w.err == nil && w.count > maxDirectories {
			w.err = fmt.Errorf("more than %d directories: too many to look through", maxDirectories)
		}
		if w.err != nil {
			return place{}, false
		}
		if n := len(w.todo); n > 0 {
			p := w.todo[n-1]
			w.todo = w.todo[:n-1]
			w.busy++
			w.count++
			return p, true
		}
		if w.busy == 0 {
			return place{}, false
		}
		w.waiting++
		w.cond.Wait()
		w.waiting--
	}
}

func (w *walker) look(p place, buf []byte) ([]place, error) {
	fd, err := openBeneath(int(w.top.Fd()), p.rel, unix.O_RDONLY|unix.O_DIRECTORY)
	if w.force && errors.Is(err, unix.EACCES) {
		fd, err = forceOpen(int(w.top.Fd()), p.rel)
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	entries, err := w.read(p, fd, buf)
	if err != nil {
		return nil, err
	}
	return w.visit(p, fd, entries), nil
}

// openBeneath opens a path beneath a directory, through no symbolic link and on
// no other mount.
func openBeneath(dir int, rel string, flags uint64) (int, error) {
	how := unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC | unix.O_NOFOLLOW,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	}
	if flags&unix.O_PATH == 0 { // beside which it is refused
		how.Flags |= unix.O_NONBLOCK
	}
	for {
		fd, err := unix.Openat2(dir, rel, &how)
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return fd, err
		}
	}
}

// read is readdir(3), without a stat for each entry.
func (w *walker) read(p place, fd int, buf []byte) ([]entry, error) {
	var entries []entry
	links := w.links != nil && w.links(p)
	for {
		n, err := unix.Getdents(fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return entries, err
		}
		for b := buf[:n]; len(b) > 0; {
			// struct linux_dirent64: d_ino, d_off, d_reclen, d_type, d_name
			length := binary.NativeEndian.Uint16(b[16:])
			kind, name := b[18], b[19:length]
			b = b[length:]
			if i := bytes.IndexByte(name, 0); i >= 0 {
				name = name[:i]
			}
			if string(name) == "." || string(name) == ".." {
				continue
			}
			if kind == unix.DT_UNKNOWN { // a file system that does not tell
				kind = kindOf(fd, string(name))
			}
			if kind == unix.DT_REG && w.file != nil {
				w.file(p, fd, name)
			}
			if s := special(name); s != "" && sameFile(fd, string(name), s) {
				name = []byte(s)
			}
			if kind == unix.DT_DIR || kind == unix.DT_LNK && links || w.keep(p, name) {
				entries = append(entries, entry{string(name), kind})
			}
		}
	}
}

func kindOf(dir int, name string) uint8 {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return unix.DT_UNKNOWN
	}
	return uint8((st.Mode & unix.S_IFMT) >> 12) // IFTODT in dirent.h
}

// forceOpen opens a directory for reading that its owner, the person, may not read
// but pass through: git goes by names, and needs no more. It is as it was then.
func forceOpen(dir int, rel string) (int, error) {
	fd, err := openBeneath(dir, rel, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fd)
	var opened int
	err = allowed(fd, unix.S_IRUSR, func() (err error) {
		opened, err = openBeneath(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY)
		return err
	})
	return opened, err
}

// allowed does something with a directory that its mode does not let its owner, the
// person, do.
func allowed(fd int, mode uint32, do func() error) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Uid != uint32(os.Geteuid()) || st.Mode&unix.S_IXUSR == 0 && mode&unix.S_IXUSR == 0 {
		return unix.EACCES
	}
	name := fmt.Sprintf("/proc/self/fd/%d", fd) // fchmod(2) does not take O_PATH
	if err := unix.Chmod(name, st.Mode&0o7777|mode); err != nil {
		return err
	}
	return errors.Join(do(), unix.Chmod(name, st.Mode&0o7777))
}

// specials are the names by which git knows its own.
var specials = []string{".git", "HEAD", "objects", "refs", "commondir", "gitdir", "config", "config.worktree", "hooks", "index"}

// special returns the one that a name is but for case, as file systems that do not
// distinguish that have it.
func special(name []byte) string {
	for _, s := range specials {
		if len(s) == len(name) && s != string(name) && bytes.EqualFold(name, []byte(s)) {
			return s
		}
	}
	return ""
}

func sameFile(dir int, a, b string) bool {
	var x, y unix.Stat_t
	return unix.Fstatat(dir, a, &x, unix.AT_SYMLINK_NOFOLLOW) == nil &&
		unix.Fstatat(dir, b, &y, unix.AT_SYMLINK_NOFOLLOW) == nil && x.Dev == y.Dev && x.Ino == y.Ino
}
