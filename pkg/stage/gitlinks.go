package stage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/gitindex"
)

// How much of it is looked at.
const (
	maxIndex    = 256 << 20
	maxGitFile  = 64 << 10 // configuration and what names directories of git's
	maxGitlinks = 10000
)

// writing is how long it may take to write a file of git's.
const writing = 250 * time.Millisecond

// gitlinks watches over the ways on which git gets from the repositories that were
// there into others: an index that names a directory as a repository, and a .git in
// that directory. Both are the agent's to make, and git run by the person in the old
// repository goes there by itself, and runs what the configuration there says.
//
// A repository that runs nothing may be made and named. What it consists of is watched
// from then on, and files are held, see hold.
type gitlinks struct {
	locks     map[string]bool // the guard's
	known     map[identity]bool
	checkouts []checkout                // those that were there
	watches   int                       // inotify(7)
	names     map[int32]map[string]bool // what to look at again for, by watch; "*" is anything
	files     map[string]*file
	round     int
	busy      *danger // a file that somebody has open to be written
}

// A checkout is a work tree, a directory of git's for it, and the one that this shares
// with others; mostly that is itself.
type checkout struct{ top, git, common string }

// A danger is what git would fall into; path is to be put aside. Without one it is the
// index.
type danger struct{ path, why string }

// An identity is a file's for good: a number alone may be given to another one.
type identity struct {
	device, inode uint64
	born          unix.StatxTimestamp
}

// identify also tells the mode. Nothing is identified as what is not there.
func identify(path string) (id identity, mode uint32, err error) {
	var st unix.Statx_t
	err = unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st)
	return identity{unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino, st.Btime}, uint32(st.Mode), err
}

// newGitlinks knows what is locked, and with it all repositories that are there.
// It is called with the agent's rights.
func newGitlinks(locks map[string]bool) (*gitlinks, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	l := &gitlinks{locks: locks, known: map[identity]bool{}, watches: fd, names: map[int32]map[string]bool{}, files: map[string]*file{}}
	for path := range locks {
		dir := filepath.Dir(path)
		l.knows(path)
		switch filepath.Base(path) {
		case ".git":
			if text, err := readSmall(path); err == nil {
				l.uses(dir, gitDirOf(path, string(text)))
			}
		case "config":
			l.knows(dir)
			for _, top := range worktrees(dir) {
				l.uses(top, dir)
			}
			fallthrough
		case "commondir":
			l.knows(dir)
			if filepath.Base(dir) == ".git" {
				l.uses(filepath.Dir(dir), dir)
			}
		}
	}
	if d := l.look(); d != nil {
		return nil, fmt.Errorf("%.200q is not safe to use git with: %s", d.path, d.why)
	}
	return l, nil
}

// worktrees are what the configuration in a directory of git's says of its work tree.
func worktrees(git string) (tops []string) {
	text, _ := os.ReadFile(git + "/config") // it is locked; without it there is no such setting
	for _, m := range worktree.FindAllStringSubmatch(string(text), -1) {
		tops = append(tops, leads(git, m[1]))
	}
	return tops
}

var worktree = regexp.MustCompile(`(?mi)^\s*worktree\s*=\s*(.*?)\s*$`)

func (l *gitlinks) knows(path string) {
	if id, _, err := identify(path); err == nil {
		l.known[id] = true
	}
}

func (l *gitlinks) uses(top, git string) {
	c := checkout{top, git, git}
	if text, err := readSmall(git + "/commondir"); err == nil {
		c.common = leads(git, strings.TrimRight(string(text), "\r\n"))
	}
	if git != "" && !slices.Contains(l.checkouts, c) {
		l.checkouts = append(l.checkouts, c)
	}
}

// leads is where a name leads, seen from dir.
func leads(dir, name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(dir, name)
}

// gitDir is what a .git file begins with.
const gitDir = "gitdir: "

// gitDirOf is the directory that a .git file names, if the kernel would go there on the
// same way as we do.
func gitDirOf(path, text string) string {
	name, ok := strings.CutPrefix(strings.TrimRight(text, "\r\n"), gitDir)
	ups := strings.TrimLeft(name, "./") // also a name beginning with a dot: git makes none
	if !ok || name == "" || strings.ContainsAny(name, "\n\x00") || strings.Contains("/"+ups+"/", "/../") {
		return ""
	}
	return leads(filepath.Dir(path), name)
}

// look looks at all of it once more, and says what git would fall into. What has not
// changed since is not read again.
//
// Somebody may just be writing a file in place, as git itself does with a .git file, and
// may finish as long as what is there is in order.
func (l *gitlinks) look() *danger {
	for end := time.Now().Add(writing); ; time.Sleep(writing / 500) {
		d := l.pass()
		if d != nil || l.busy == nil {
			return d
		}
		if time.Now().After(end) {
			return l.busy
		}
	}
}

func (l *gitlinks) pass() *danger {
	l.round++
	l.busy = nil
	defer l.forget()
	count := 0
	for todo := slices.Clone(l.checkouts); len(todo) > 0; todo = todo[1:] {
		index := todo[0].git + "/index"
		inner, links, d := l.from(todo[0])
		if count += links; count > maxGitlinks {
			d = &danger{index, "it names more repositories than can be watched"}
		}
		if d != nil && d.path == "" {
			d.path = index
		}
		if d != nil {
			return d
		}
		todo = append(todo, inner...)
	}
	return nil
}

// from is where git gets from a checkout; links is how many repositories are named.
func (l *gitlinks) from(c checkout) (inner []checkout, links int, d *danger) {
	x, d := l.index(c.git)
	if d != nil {
		return nil, 0, d
	}
	if len(x.Strange) > 0 {
		return nil, 0, &danger{why: fmt.Sprintf("it names what is not of its files (%.100q)", x.Strange[0])}
	}
	for _, name := range x.Sparse { // git itself leaves none that is there
		if _, there, d := l.walk(c.top, strings.TrimSuffix(name, "/")); d != nil || there {
			return nil, 0, &danger{why: fmt.Sprintf("%.100q is left out of a sparse checkout there, and exists", name)}
		}
	}
	for _, name := range x.Gitlinks {
		mode, there, d := l.walk(c.top, name+"/.git")
		if d != nil {
			return nil, 0, d
		}
		if !there {
			continue
		}
		in, d := l.enter(c, filepath.Join(c.top, name), mode)
		if d != nil {
			return nil, 0, d
		}
		if in != nil {
			inner = append(inner, *in)
		}
	}
	return inner, len(x.Gitlinks), nil
}

// walk watches the way from a directory to what is beneath it, as far as there is one,
// and the name at its end. Git mostly does not follow symbolic links there, but enters
// one at the end of a gitlink.
func (l *gitlinks) walk(dir, rel string) (mode uint32, there bool, d *danger) {
	for part, rest, more := "", rel, true; more; {
		part, rest, more = strings.Cut(rest, "/")
		if d := l.watch(dir, part); d != nil {
			return 0, false, d
		}
		dir = filepath.Join(dir, part)
		_, m, err := identify(dir)
		if mode = m & unix.S_IFMT; err != nil || more && mode != unix.S_IFDIR && mode != unix.S_IFLNK {
			return 0, false, nil
		}
		if more && mode == unix.S_IFLNK {
			return 0, false, &danger{dir, "it is a symbolic link on the way to a repository that an index names"}
		}
	}
	return mode, true, nil
}

// watch has look called when something of this name appears or disappears there.
func (l *gitlinks) watch(dir, name string) *danger {
	const mask = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_ONLYDIR | unix.IN_DONT_FOLLOW
	wd, err := unix.InotifyAddWatch(l.watches, dir, mask)
	if err == unix.EACCES { // one that is only to pass through
		if _, mode, e := identify(dir); e == nil && os.Chmod(dir, os.FileMode(mode&0o777|0o500)) == nil {
			wd, err = unix.InotifyAddWatch(l.watches, dir, mask)
		}
	}
	switch err {
	case nil:
		l.wait(wd, name)
	case unix.ENOENT, unix.ENOTDIR, unix.ELOOP: // the directory above is watched
	default:
		return &danger{why: fmt.Sprintf("it leads to a repository by way of %.200q, which cannot be watched (%v)", dir, err)}
	}
	return nil
}

func (l *gitlinks) wait(wd int, name string) {
	if l.names[int32(wd)] == nil {
		l.names[int32(wd)] = map[string]bool{}
	}
	l.names[int32(wd)][name] = true
}

// enter judges what git finds as the .git of a directory. It is in order if it was there
// when the session began, or is such that git runs and reads nothing but what is in a
// repository of its kind; then it is a checkout of its own, with its own index.
func (l *gitlinks) enter(c checkout, top string, mode uint32) (*checkout, *danger) {
	dot := top + "/.git"
	if id, _, err := identify(dot); err != nil || l.known[id] || l.isLocked(top) {
		return nil, nil
	}
	bad := func(format string, args ...any) (*checkout, *danger) {
		return nil, &danger{dot, "git goes there, as an index names it as a repository, and " + fmt.Sprintf(format, args...)}
	}
	inner := checkout{top, dot, dot}
	switch mode {
	default:
		return bad("it is neither a directory nor a file")
	case unix.S_IFREG:
		f, d := l.hold(dot, dot, maxGitFile)
		if d != nil {
			return bad("it %s", d.why)
		}
		if f == nil {
			return nil, nil
		}
		if !strings.HasPrefix(string(f.text), gitDir) {
			return nil, nil // git does not enter it either
		}
		git := gitDirOf(dot, string(f.text))
		if !f.open && l.isOf(git, top) {
			return nil, nil // the person has made it again, or moved it
		}
		inner = checkout{top, git, git}
		base, rel := c.git, ""
		if r, ok := strings.CutPrefix(git, c.git+"/modules/"); ok {
			rel = "modules/" + r
		} else if r, ok := strings.CutPrefix(git, c.common+"/worktrees/"); ok && !strings.Contains(r, "/") {
			base, rel, inner.common = c.common, "worktrees/"+r, c.common
		}
		if rel == "" || f.open {
			return bad("it leads to %.200q, which is neither a submodule's nor a worktree's", git)
		}
		at, there, d := l.walk(base, rel)
		if d != nil {
			return nil, d
		}
		if !there {
			return nil, nil
		}
		if at != unix.S_IFDIR {
			return bad("what it leads to is no directory")
		}
	case unix.S_IFDIR:
	}
	if why := l.armed(inner); why != "" {
		return bad("%s", why)
	}
	return &inner, nil
}

// isOf says whether a directory of git's was there, and is for a work tree at top.
func (l *gitlinks) isOf(git, top string) bool {
	id, _, err := identify(git)
	return err == nil && l.known[id] && (slices.Contains(worktrees(git), top) ||
		slices.ContainsFunc(l.checkouts, func(o checkout) bool { return o.top == top && o.git == git }))
}

// isLocked says whether something is in a directory that is locked as a whole, and
// still the one that was.
func (l *gitlinks) isLocked(path string) bool {
	for ; path != "/" && path != "."; path = filepath.Dir(path) {
		if l.locks[path] {
			id, _, err := identify(path)
			return err == nil && l.known[id]
		}
	}
	return false
}

// armed says what in a directory of git's makes git run something.
func (l *gitlinks) armed(c checkout) (why string) {
	for _, name := range []string{"commondir", "config", "hooks"} {
		for _, dir := range []string{c.git, c.common} {
			if d := l.watch(dir, name); d != nil {
				return d.why
			}
		}
	}
	common, d := l.hold(c.git+"/commondir", c.top+"/.git", maxGitFile)
	switch {
	case d != nil:
		return "its commondir " + d.why
	case c.common == c.git && common != nil && (common.open || strings.TrimRight(string(common.text), "\n") != "."):
		return "it takes its configuration from elsewhere (commondir)"
	case c.common != c.git && (common == nil || common.open || strings.TrimRight(string(common.text), "\n") != "../.."):
		return "it is not a worktree as git makes one (commondir)"
	}
	text, why := l.config(c)
	if why != "" {
		return why
	}
	if line := unclear(text, c); line != "" {
		return fmt.Sprintf("its configuration says what may run something (%.100q)", line)
	}
	hooks := c.common + "/hooks"
	if _, mode, err := identify(hooks); err != nil || mode&unix.S_IFMT == unix.S_IFREG || c.common != c.git {
		return "" // a worktree's are those of a repository that is in order
	} else if mode&unix.S_IFMT != unix.S_IFDIR {
		return "it has its hooks elsewhere"
	}
	if d := l.watch(hooks, "*"); d != nil {
		return d.why
	}
	entries, err := os.ReadDir(hooks)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "its hooks cannot be looked at"
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".sample") {
			return fmt.Sprintf("it has a hook (%.100q)", e.Name())
		}
	}
	return ""
}

// config is what configures a checkout. That of a repository that was there is locked,
// and the person may write it in place.
func (l *gitlinks) config(c checkout) (text, why string) {
	name := c.common + "/config"
	if id, _, err := identify(c.common); err == nil && l.known[id] {
		text, err := os.ReadFile(name)
		if err != nil {
			return "", "its configuration cannot be read"
		}
		return string(text), ""
	}
	switch f, d := l.hold(name, c.top+"/.git", maxGitFile); {
	case d != nil:
		return "", "its configuration " + d.why
	case f == nil:
		return "", ""
	case f.open:
		return "", "whether its configuration changes cannot be watched here"
	default:
		return string(f.text), ""
	}
}

// index reads an index, and the one that it shares entries with.
func (l *gitlinks) index(git string) (gitindex.Index, *danger) {
	x, d := l.oneIndex(git, "index")
	if d != nil || x.Shared == "" {
		return x, d
	}
	shared, d := l.oneIndex(git, x.Shared)
	return x.All(shared), d
}

func (l *gitlinks) oneIndex(git, name string) (gitindex.Index, *danger) {
	if d := l.watch(git, name); d != nil {
		return gitindex.Index{}, d
	}
	f, d := l.hold(git+"/"+name, git+"/index", maxIndex)
	if d != nil {
		d.why = "it " + d.why
	}
	if f == nil || d != nil {
		return gitindex.Index{}, d
	}
	if f.text != nil {
		var err error
		f.index, err = gitindex.Parse(f.text)
		f.text = nil
		if err != nil && !errors.Is(err, gitindex.ErrRefused) {
			return f.index, &danger{git + "/index", "it is " + err.Error()}
		}
	}
	return f.index, nil
}

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

func (f *file) read(of string, limit int64) *danger {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > limit {
		return &danger{of, "is too large to be looked at"}
	}
	f.text = make([]byte, st.Size)
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

// changed takes what inotify has to say, and says whether to look again.
func (l *gitlinks) changed() (yes bool, err error) {
	buf := make([]byte, 16<<10)
	for {
		n, err := unix.Read(l.watches, buf)
		if err == unix.EAGAIN {
			return yes, nil
		}
		if err != nil {
			return yes, err
		}
		for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
			event := (*unix.InotifyEvent)(unsafe.Pointer(&b[0]))
			end := unix.SizeofInotifyEvent + int(event.Len)
			name := string(bytes.TrimRight(b[unix.SizeofInotifyEvent:end], "\x00"))
			b = b[end:]
			names := l.names[event.Wd]
			yes = yes || names[name] || names["*"] || event.Mask&unix.IN_Q_OVERFLOW != 0
			if event.Mask&unix.IN_IGNORED != 0 {
				delete(l.names, event.Wd)
			}
		}
	}
}

// aside is what is appended to the name of what is put aside, as the client does.
const aside = ".from-agent"

// putAside puts a danger aside, and says so.
func (d danger) putAside() (why string) {
	why = fmt.Sprintf("%.200q: %s", d.path, d.why)
	dir, name := filepath.Split(d.path)
	for i := 1; ; i++ {
		to := name + aside
		if i > 1 {
			to += fmt.Sprintf("-%d", i)
		}
		err := unix.Renameat2(unix.AT_FDCWD, d.path, unix.AT_FDCWD, dir+to, unix.RENAME_NOREPLACE)
		switch {
		case err == nil:
			return fmt.Sprintf("%s; it was put aside as %s", why, to)
		case err == unix.EACCES && i == 1:
			_ = os.Chmod(dir, 0o700) // the next try tells
		case err != unix.EEXIST:
			return fmt.Sprintf("%s; it cannot be put aside (%v): do not use git there", why, err)
		}
	}
}
