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
	maxConfig   = 16 << 20 // the person's
	maxGitFile  = 64 << 10 // configuration and what names directories of git's
	maxGitlinks = 10000
)

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
	text, _ := readUpTo(git+"/config", maxConfig) // without it there is no such setting
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
	for end := time.Now().Add(writing); ; pause(writing / 500) {
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
		parse := func() { f.index, err = gitindex.Parse(f.text) }
		if len(f.text) > large {
			elsewhere(parse)
		} else {
			parse()
		}
		f.text = nil
		if err != nil && !errors.Is(err, gitindex.ErrRefused) {
			return f.index, &danger{git + "/index", "it is " + err.Error()}
		}
	}
	return f.index, nil
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
			name, names := bytes.TrimRight(b[unix.SizeofInotifyEvent:end], "\x00"), l.names[event.Wd]
			b = b[end:]
			yes = yes || names[string(name)] || names["*"] || event.Mask&unix.IN_Q_OVERFLOW != 0
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
