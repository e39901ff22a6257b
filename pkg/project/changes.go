package project

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// MaxChanges is how many changes are told of one by one.
const MaxChanges = 2000

// A Change is something that the person's tools would run, or be told what to run
// by.
type Change struct {
	Path string
	What string // in a few words
	// Files is how many files it stands for, where the change is a whole directory of a
	// package manager's.
	Files int
}

// String is fit for a line of a terminal, whatever the agent named its files.
func (c Change) String() string {
	const enough = 300
	name := c.Path
	if len(name) > enough {
		name = name[:enough/2] + "…" + name[len(name)-enough/2:]
	}
	return shown(strings.ToValidUTF8(name, "\uFFFD")) + ": " + c.What
}

// granularity is how far behind the clock the kernel's time stamps may be: a tick.
const granularity = 10 * time.Millisecond

// Changes looks, in directories that an agent had, for what the person's tools
// would run and what has changed since. watch are further names to look for,
// patterns as path.Match has them. known are the repositories that there were
// (Found.Repositories); with it a repository is new whatever its times, without it
// (nil) if its configuration is.
//
// It goes by ctime, which no program can set. Agents may still be at work in the
// directories, and have prepared them for this: no symbolic link is followed out
// of them, and nothing is opened but directories and regular files. The changes
// are sorted; the total may be more than MaxChanges, which are returned at most. With
// an error, they are those that were found nevertheless.
func Changes(ctx context.Context, dirs []string, since time.Time, watch, known []string) (changes []Change, total int, err error) {
	c, err := newChanged(since, watch, known)
	if err != nil {
		return nil, 0, err
	}
	err = c.all(ctx, dirs)
	c.close()
	c.unbundle()
	c.cut()
	return c.found, c.total, err
}

func newChanged(since time.Time, watch, known []string) (*changed, error) {
	w, err := newWatched(watch)
	if err != nil {
		return nil, err
	}
	c := &changed{watched: w, since: since.Add(-granularity), bundles: map[string]*bundle{}, followed: map[string]bool{}, asked: map[string]answer{}}
	if known != nil {
		c.known = map[string]bool{}
		for _, name := range known {
			c.known[name] = true
		}
	}
	return c, nil
}

// all looks through directories, which stay open until close.
func (c *changed) all(ctx context.Context, dirs []string) (err error) {
	c.ctx = ctx
	for _, dir := range dirs {
		if e := c.look(ctx, dir); e != nil && err == nil {
			err = fmt.Errorf("looking for changes in %s: %w", shown(dir), reason(e))
		}
	}
	return err
}

func (c *changed) close() {
	for _, t := range c.trees {
		t.top.Close()
	}
}

// changed is one look for changes.
type changed struct {
	ctx context.Context
	watched
	since time.Time
	known map[string]bool // nil: not known
	traps *traps          // nil: nothing is to be disarmed
	trees []*tree

	mu       sync.Mutex // guards what follows
	found    []Change
	total    int
	bundles  map[string]*bundle
	asked    map[string]answer // configurations that git was asked about
	followed map[string]bool   // where symbolic links led to
}

// A tree is a directory that changes are looked for in.
type tree struct {
	*changed
	name string
	top  *os.File

	timeless bool // see there
	// What setID has found; guarded by mu. setIDs counts all of it.
	cleared []Change
	setIDs  int
}

func (c *changed) look(ctx context.Context, dir string) error {
	// A name without symbolic links; one that has one now is not what was shared.
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(unix.AT_FDCWD, dir, &how)
	if err != nil {
		return err
	}
	t := &tree{changed: c, name: dir, top: os.NewFile(uintptr(fd), dir), timeless: timeless(fd)}
	c.trees = append(c.trees, t)
	from := place{rel: "."}
	if t.around(dir) {
		from.mark = inside
	}
	return t.walk(ctx, t.visit, from)
}

func (t *tree) walk(ctx context.Context, visit func(place, int, []entry) []place, from ...place) error {
	w := walker{top: t.top, keep: t.keep, visit: visit, failed: t.failed, force: t.traps != nil}
	if t.traps != nil {
		w.links, w.file = t.gitWrites, t.setID
	}
	return w.walk(ctx, from...)
}

// What is known of a directory from the one above.
const (
	inside   mark = 1 << iota // of a directory of such a name
	venvBin                   // the programs of a Python environment
	hooksOld                  // git's hooks
	hooksNew                  // likewise, all of them new
	gitsOnly                  // git's own files, of which no tool knows
)

func (t *tree) keep(p place, name []byte) bool {
	if p.mark&^gitsOnly != 0 {
		return true
	}
	switch string(name) {
	case ".git", "HEAD", "objects", "refs", "commondir", "gitdir", "config", "config.worktree", "hooks", "pyvenv.cfg", "bin":
		return true
	}
	return p.mark&gitsOnly == 0 && t.is(t.name, p.rel, name)
}

func (t *tree) visit(p place, fd int, entries []entry) []place {
	name := filepath.Join(t.name, p.rel)
	git, _ := looksLikeGit(name, entries)
	venv := slices.ContainsFunc(entries, func(e entry) bool { return e.name == "pyvenv.cfg" })
	var below []place
	if git {
		below = t.repository(p, fd, entries)
	}
	for _, e := range entries {
		if e.kind == unix.DT_LNK && t.traps != nil && t.gitWrites(p) && t.link(p, fd, e) {
			continue
		}
		of := p.mark & (inside | gitsOnly)
		switch dir := e.kind == unix.DT_DIR; {
		case e.name == ".git" && !dir:
			if t.traps != nil {
				t.lead(p, fd, e)
			} else if t.newer(fd, e.name) {
				t.add(p, e, leads)
			}
		case p.mark&(hooksOld|hooksNew) != 0 && !dir:
			if !strings.HasSuffix(e.name, ".sample") && (p.mark&hooksNew != 0 || t.newer(fd, e.name)) {
				t.add(p, e, "a hook, which git runs")
			}
		case p.mark&venvBin != 0 && !dir:
			if shadows(e.name) && t.newer(fd, e.name) {
				t.bundled(cmp.Or(p.bundle, path.Dir(p.rel)), p, e, "a program of a Python environment")
			}
		case p.mark&gitsOnly != 0:
		case venv && (e.name == "pyvenv.cfg" || e.name == "bin" && e.kind == unix.DT_LNK):
			if t.newer(fd, e.name) {
				t.bundled(cmp.Or(p.bundle, p.rel), p, e, "of a Python environment")
			}
		case t.is(t.name, p.rel, []byte(e.name)):
			of |= inside
			fallthrough
		case of&inside != 0:
			below = append(below, t.watched(p, fd, e)...)
		}
		if e.kind != unix.DT_DIR || git && e.name == "hooks" {
			continue
		}
		child := p.child(e.name, 0)
		switch {
		case p.bundle != "":
		case e.name == nodeModules:
			child.bundle = child.rel
			of |= inside
		case venv && (e.name == "lib" || e.name == "lib64"): // and nothing else: it may be a project's top
			child.bundle = p.rel
		}
		if p.bundle != "" && cached[e.name] || e.name == "worktrees" && path.Base(p.rel) == ".claude" {
			of &^= inside // what tools write there whenever they run; or whole checkouts
		}
		if git && gitsOwn[e.name] && inDotGit(name) {
			if t.traps == nil {
				continue
			}
			of |= gitsOnly // an agent may keep a repository there, and git goes where an index says
		}
		if venv && e.name == "bin" {
			of |= venvBin
		}
		child.mark = of
		below = append(below, child)
	}
	return below
}

// watched tells of something with such a name, or in a directory of such a name.
// A symbolic link has changed when what it leads to has: it may be in the agent's
// hands, and have any name.
func (t *tree) watched(p place, fd int, e entry) []place {
	if t.newer(fd, e.name) && !isPlaceholder(fd, e) {
		if p.bundle != "" {
			t.bundled(p.bundle, p, e, "new or changed")
		} else if e.kind == unix.DT_DIR {
			t.add(p, e, "new, or what is in it")
		} else {
			t.add(p, e, "new or changed")
		}
	}
	if e.kind != unix.DT_LNK {
		return nil
	}
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV}
	target, err := unix.Openat2(int(t.top.Fd()), path.Join(p.rel, e.name), &how)
	if err != nil {
		return nil // it leads nowhere, or out of what the agent had
	}
	defer unix.Close(target)
	var st unix.Stat_t
	if unix.Fstat(target, &st) != nil {
		return nil
	}
	if t.after(st) {
		if p.bundle != "" {
			t.bundled(p.bundle, p, e, "leads to what is new or changed")
		} else {
			t.add(p, e, "leads to what is new or changed")
		}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	real, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", target))
	if err != nil {
		return nil
	}
	rel, ok := under(t.name, real)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !ok || t.followed[real] {
		return nil
	}
	t.followed[real] = true
	return []place{{rel, inside, p.bundle}}
}

// shadows says whether a program in a Python environment is run by who did not
// mean anything of Python's: activated, it comes before the system's.
func shadows(name string) bool {
	lower := strings.ToLower(name)
	return strings.HasPrefix(lower, "python") || strings.HasPrefix(lower, "activate") ||
		exists("/usr/bin/"+name) || exists("/bin/"+name)
}

// newer says whether something has changed in the time.
func (t *tree) newer(dir int, name string) bool {
	var st unix.Stat_t
	return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && t.after(st)
}

func (c *changed) after(st unix.Stat_t) bool { return !time.Unix(st.Ctim.Unix()).Before(c.since) }

// failed tells of what could not be looked into, if it is like that since.
func (t *tree) failed(p place, err error) {
	switch {
	case errors.Is(err, fs.ErrPermission):
		if t.newer(int(t.top.Fd()), p.rel) {
			t.add(p, entry{}, "cannot be looked into: you may not read it")
		}
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.EXDEV):
		// Gone since or replaced; or a mount, which the agent did not see.
	default:
		t.add(p, entry{}, "cannot be looked into: "+reason(err).Error())
	}
}

func (t *tree) add(p place, e entry, what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total++
	name := filepath.Join(t.name, p.rel, e.name)
	if e.kind == unix.DT_DIR {
		name += "/"
	}
	t.found = append(t.found, Change{Path: name, What: what})
	if len(t.found) >= 2*MaxChanges {
		t.cut()
	}
}

// cut sorts the changes and keeps the first.
func (c *changed) cut() {
	slices.SortFunc(c.found, func(a, b Change) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.What, b.What))
	})
	n := len(c.found)
	c.found = slices.Compact(c.found)
	c.total -= n - len(c.found) // by two ways, through a symbolic link
	c.found = c.found[:min(len(c.found), MaxChanges)]
}
