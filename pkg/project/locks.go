package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// How much can be locked for one session: each lock is a mount, and so is each of
// its parents; and all names travel in one message.
const (
	maxLocks     = 500
	maxLockBytes = 12 << 10
)

// locks collects what the agent may not write in the directories of a session.
type locks struct {
	dirs  []*Dir
	held  map[*Dir]map[string]bool
	notes *notes
	hooks []string // directories in which the agent's git finds hooks
}

// find returns the directory that a path without symbolic links is in, if an
// agent may write there, and where in it.
func (l *locks) find(name string) (*Dir, string) {
	var in *Dir
	for _, d := range l.dirs {
		if _, ok := under(d.Path, name); ok && (in == nil || len(d.Path) > len(in.Path)) {
			in = d
		}
	}
	if in == nil || in.ReadOnly || in.Tool {
		return nil, ""
	}
	rel, _ := under(in.Path, name)
	return in, rel
}

// hold locks what is there already, if it is where the agent may write. The path
// goes through no symbolic link.
func (l *locks) hold(name string) error {
	d, rel := l.find(name)
	if d == nil {
		return nil
	}
	fi, err := os.Lstat(name)
	if err != nil {
		return err
	}
	switch {
	case rel == ".":
		return fmt.Errorf("%s is what git runs or reads as you, so no agent may write it: share another directory", shown(name))
	case fi.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link, which an agent could replace: put a copy of what it names in its place", shown(name))
	case fi.Mode().IsRegular() && fi.Sys().(*syscall.Stat_t).Nlink > 1:
		return fmt.Errorf("%s has a second name (a hard link), by which an agent could write it: put a copy in its place", shown(name))
	}
	l.mark(d, rel)
	return nil
}

// holdIf is hold, of what need not be there.
func (l *locks) holdIf(name string) error {
	if err := l.hold(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// file locks a file, and makes it, with this content, if it is not there: else
// the agent could.
func (l *locks) file(name, content string) (created bool, err error) {
	return l.ensure(name, func(r *os.Root, rel string) error {
		if err := r.MkdirAll(path.Dir(rel), 0o777); err != nil {
			return err
		}
		f, err := r.OpenFile(rel, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return err
		}
		_, err = f.WriteString(content)
		return errors.Join(err, f.Close())
	})
}

// directory likewise.
func (l *locks) directory(name string) (created bool, err error) {
	return l.ensure(name, func(r *os.Root, rel string) error { return r.MkdirAll(rel, 0o777) })
}

func (l *locks) ensure(name string, make func(*os.Root, string) error) (created bool, err error) {
	d, rel := l.find(name)
	if d == nil {
		return false, nil
	}
	if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		// Beneath the directory itself: another session's agent may be in it, and
		// must not lead us out of it.
		root, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", d.File.Fd()))
		if err != nil {
			return false, err
		}
		defer root.Close()
		switch err := make(root, rel); {
		case err == nil:
			created = true
		case errors.Is(err, fs.ErrExist): // since we looked
		case hopeless(name, err):
			return false, nil
		default:
			return false, fmt.Errorf("making %s, which the agent could make otherwise: %w", shown(name), reason(err))
		}
	}
	return created, l.hold(name)
}

// hopeless says whether what the person may not make, the agent cannot either: it
// has the person's right to what is the person's, and no other.
func hopeless(name string, err error) bool {
	if errors.Is(err, syscall.EROFS) {
		return true
	}
	fi, statErr := os.Lstat(filepath.Dir(name))
	return errors.Is(err, fs.ErrPermission) && statErr == nil && fi.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid())
}

// steady refuses a path that leads through a symbolic link where the agent could
// replace it. why is what names the path.
func (l *locks) steady(r resolved, why string) error {
	for _, link := range r.links {
		if d, _ := l.find(filepath.Dir(link)); d != nil {
			return fmt.Errorf("%s leads through %s, a symbolic link, which an agent could replace: name %s itself",
				shown(why), shown(link), shown(r.path))
		}
	}
	return nil
}

// scripts looks at the programs in a directory that is locked, or not the agent's
// at all: what is a symbolic link there is locked where it leads to.
func (l *locks) scripts(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // git run by the person cannot either
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		switch {
		case strings.HasSuffix(e.Name(), ".sample"):
		case e.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			r, err := from(dir, target)
			if err != nil {
				return err
			}
			if err := l.program(r, name); err != nil {
				return err
			}
		case e.Type().IsRegular():
			// A file with a second name could be written by that.
			if err := l.hold(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// program locks a file that is run as the person, because why says so.
func (l *locks) program(r resolved, why string) error {
	if err := l.steady(r, why); err != nil {
		return err
	}
	d, rel := l.find(r.path)
	if d == nil {
		return nil
	}
	if r.info == nil {
		return fmt.Errorf("%s names %s, which does not exist: an agent could make it, and you would run it; make it yourself, or remove the line or link",
			shown(why), shown(r.path))
	}
	if !strings.HasPrefix(rel, ".git/") && !strings.Contains(rel, "/.git/") {
		l.notes.add("the agent may not write %s: git uses it as you (%s)", shown(r.path), shown(why))
	}
	return l.hold(r.path)
}

// settle writes the locks into the directories.
func (l *locks) settle(repositories int) error {
	for _, d := range l.dirs {
		for _, inner := range l.dirs {
			// An agent that can rename a parent of what it may only read could put
			// something else there.
			if rel, ok := under(d.Path, inner.Path); ok && rel != "." && inner.ReadOnly {
				if in, _ := l.find(filepath.Dir(inner.Path)); in == d {
					l.mark(d, rel)
				}
			}
		}
	}
	count, size := 0, 0
	for _, d := range l.dirs {
		all := slices.Clone(d.Lock)
		for rel := range l.held[d] {
			all = append(all, rel)
		}
		slices.Sort(all)
		d.Lock = prune(slices.Compact(all))
		for _, rel := range d.Lock {
			count++
			size += len(rel) + 1
		}
	}
	if count > maxLocks || size > maxLockBytes {
		where := make([]string, 0, len(l.dirs))
		for _, d := range l.dirs {
			if len(d.Lock) > 0 {
				where = append(where, shown(d.Path))
			}
		}
		return fmt.Errorf("%s: %d git repositories are more than can be protected at a time: choose a directory further down",
			strings.Join(where, ", "), repositories)
	}
	return nil
}

func (l *locks) mark(d *Dir, rel string) {
	if l.held[d] == nil {
		l.held[d] = map[string]bool{}
	}
	l.held[d][rel] = true
}

// prune leaves out what is beneath something locked as a whole.
func prune(sorted []string) []string {
	set := map[string]bool{}
	var out []string
next:
	for _, rel := range sorted {
		for up := path.Dir(rel); up != "."; up = path.Dir(up) {
			if set[up] {
				continue next
			}
		}
		set[rel] = true
		out = append(out, rel)
	}
	return out
}

// notes are lines for the person, each once.
type notes struct{ lines []string }

func (n *notes) add(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); !slices.Contains(n.lines, line) {
		n.lines = append(n.lines, line)
	}
}
