package project

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// aside is what is appended to the name of what is put aside.
const aside = ".from-agent"

// Disarm is Changes, and before it returns it disarms what an agent has made for
// the person's git to fall into, as a prompt that shows the branch does at once:
// repositories that are new, and that make git run something or read other
// configuration, a .git that leads to what is none of the agent's, an index that
// names repositories outside of its own. Other new repositories are left alone.
//
// It also takes the setuid and setgid bits from files of the person's that changed (setid.go).
//
// It renames one thing for each trap, to a name beside it: the .git; of what has no .git
// to itself (a bare repository, a submodule's directory) the part that does it. Nothing
// is removed or overwritten, and each change says how to undo it. What could not be
// disarmed is in the changes and the error.
//
// An agent that is still at work can make others afterwards.
func Disarm(ctx context.Context, dirs []string, since time.Time, watch, known []string) (disarmed, changes []Change, total int, err error) {
	c, err := newChanged(since, watch, known)
	if err != nil {
		return nil, nil, 0, err
	}
	c.traps = &traps{fresh: map[string]bool{}}
	defer c.close()
	if err = c.all(ctx, dirs); err != nil {
		c.hurry(ctx)
	}
	c.follow()
	disarmed, e := c.disarm()
	disarmed = append(disarmed, c.setIDChanges()...)
	c.unbundle()
	c.cut()
	return disarmed, c.found, c.total, errors.Join(err, e)
}

// disarm puts all traps aside, what is inside of others first.
func (c *changed) disarm() (done []Change, err error) {
	all := c.traps.found
	slices.SortFunc(all, func(a, b trap) int { return -cmp.Or(strings.Compare(a.path(), b.path())) })
	all = slices.CompactFunc(all, func(a, b trap) bool { return a.path() == b.path() })
	within := map[string]int{} // how many of them, by the outermost
	for _, t := range all {
		to, head, e := t.putAside()
		if errors.Is(e, unix.ENOENT) {
			continue // gone, or something else by now
		}
		if e != nil {
			err = cmp.Or(err, fmt.Errorf("%s %s, and cannot be put aside: %w: do not use git there", shown(t.path()), t.why, e))
			done = append(done, Change{Path: t.path(), What: t.why + "; it cannot be put aside: do not use git there"})
			continue
		}
		if outer := outermost(all, t); outer != "" {
			within[outer]++
			continue
		}
		more := ""
		if n := within[t.path()]; n > 0 {
			more = fmt.Sprintf(" (and %d in it)", n)
		}
		done = append(done, Change{Path: t.path(), What: t.why + more + ": put aside" + t.undo(to, head)})
	}
	slices.Reverse(done)
	return done, err
}

func outermost(all []trap, t trap) (name string) {
	for _, outer := range all {
		if rel, ok := under(outer.path(), t.path()); ok && rel != "." && outer.all {
			name = outer.path() // they are sorted: the last is the shortest
		}
	}
	return name
}

func (t trap) path() string { return filepath.Join(t.tree.name, t.dir, t.name) }

// undo is how a person takes it back.
func (t trap) undo(to, head string) string {
	from, back := filepath.Join(filepath.Dir(t.path()), to), t.path()
	command := "mv " + quoted(from) + " " + quoted(back)
	if head != "" {
		command += " && mv " + quoted(back+"/"+head) + " " + quoted(back+"/HEAD")
	}
	if len(command) > 1000 {
		return " as " + shown(to)
	}
	return "; back with: " + command
}

// quoted is a name as a shell takes it, fit for a terminal.
func quoted(name string) string {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@%=") == "" {
		return name
	}
	if shown(name) == name && !strings.ContainsRune(name, '\'') {
		return "'" + name + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for i := range len(name) {
		switch c := name[i]; {
		case c == '\'' || c == '\\':
			b.WriteString(`\` + string(c))
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String() + "'"
}

// putAside renames what was judged, and nothing else. It returns the new names: of
// a whole repository, its HEAD's too, without which it is none to who enters it.
func (t trap) putAside() (to, head string, err error) {
	dir, err := openBeneath(int(t.tree.top.Fd()), t.dir, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return "", "", err
	}
	defer unix.Close(dir)
	var inner int
	if t.all {
		if inner, err = openBeneath(dir, t.name, unix.O_PATH|unix.O_DIRECTORY); err != nil {
			return "", "", err
		}
		defer unix.Close(inner)
	}
	if id, ok := fileOf(dir, t.name); !ok || id != t.id {
		return "", "", unix.ENOENT
	}
	if to, err = rename(dir, t.name); err != nil || !t.all {
		return to, "", err
	}
	if head, err = rename(inner, "HEAD"); errors.Is(err, unix.ENOENT) {
		return to, "", nil
	}
	return to, head, err
}

// rename puts something aside under a name that is free.
func rename(dir int, name string) (to string, err error) {
	for i := range 20 {
		switch to = name + aside; {
		case i >= 10: // somebody has thought of those
			to += "-" + strings.ToLower(rand.Text())
		case i > 0:
			to += fmt.Sprintf("-%d", i+1)
		}
		err = renameTo(dir, name, to)
		if errors.Is(err, unix.EACCES) {
			err = allowed(dir, unix.S_IWUSR|unix.S_IXUSR, func() error { return renameTo(dir, name, to) })
		}
		if err == nil {
			return to, nil
		}
		if !errors.Is(err, unix.EEXIST) {
			break
		}
	}
	return "", err
}

func renameTo(dir int, name, to string) error {
	err := unix.Renameat2(dir, name, dir, to, unix.RENAME_NOREPLACE)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	if _, ok := fileOf(dir, to); ok { // a file system that cannot tell in one
		return unix.EEXIST
	}
	return unix.Renameat(dir, name, dir, to)
}

// hurry looks at where git goes first, after all could not be looked through: the
// directories themselves, and what the indexes in them name as repositories.
func (c *changed) hurry(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), gitPatience)
	defer cancel()
	c.ctx = ctx
	for _, t := range c.trees {
		from := []place{{rel: "."}}
		for name := range c.known {
			if rel, ok := under(t.name, name); ok && path.Base(rel) == ".git" {
				from = append(from, place{rel: path.Dir(rel)})
				for _, link := range t.gitlinks(place{rel: rel}) {
					if filepath.IsLocal(link) {
						from = append(from, place{rel: path.Join(path.Dir(rel), link)})
					}
				}
			}
		}
		only := func(p place, fd int, entries []entry) []place {
			below := t.visit(p, fd, entries)
			return slices.DeleteFunc(below, func(p place) bool { return path.Base(p.rel) != ".git" })
		}
		_ = t.walk(ctx, only, from...) // the error is that of the first walk
	}
}
