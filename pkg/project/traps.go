package project

import (
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// traps is what of git's an agent may have made for the person's git to fall into:
// collected by a walk, and disarmed after it. It is guarded as what is found.
type traps struct {
	fresh map[string]bool // directories of git's that were seen; whether they are new
	found []trap
	leads []lead
	links map[string][]string // what indexes name as repositories, by the directory of git's; follow's alone
}

// A trap is a file or directory that is to be put aside.
type trap struct {
	tree *tree
	dir  string // that it is in, relative to the tree
	name string
	id   fileID
	why  string
	all  bool // the whole repository, as its .git
}

// A lead is a .git that says where git's directory is.
type lead struct {
	trap
	text string // of a file; a symbolic link has none
	news bool   // new or changed
}

// A fileID is what a name stands for, so that nothing else is put aside.
type fileID struct{ dev, ino uint64 }

func fileOf(dir int, name string) (fileID, bool) {
	var st unix.Stat_t
	err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return fileID{st.Dev, st.Ino}, err == nil
}

// judge looks whether a directory of git's is a trap, and says so.
func (t *tree) judge(p place, fd int, name string, entries []entry) bool {
	fresh := t.isFresh(fd, name)
	t.mu.Lock()
	t.traps.fresh[name] = fresh
	t.mu.Unlock()
	var parts []trap
	part := func(e, why string) {
		if id, ok := fileOf(fd, e); ok {
			parts = append(parts, trap{tree: t, dir: p.rel, name: e, id: id, why: why})
		}
	}
	if why := t.badIndex(p, fd, fresh); why != "" {
		part("index", why)
	}
	if fresh {
		for _, e := range entries {
			if why := t.risk(p, name, e); why != "" {
				part(e.name, why)
			}
		}
	}
	if len(parts) == 0 {
		return false
	}
	if path.Base(p.rel) == ".git" && fresh {
		if id, ok := fileOf(fd, "."); ok {
			var why []string
			for _, part := range parts {
				why = append(why, part.why)
			}
			parts = []trap{{tree: t, dir: path.Dir(p.rel), name: ".git", id: id, all: true,
				why: "a new repository that " + strings.Join(slices.Compact(why), " and ")}}
		}
	}
	t.mu.Lock()
	t.traps.found = append(t.traps.found, parts...)
	t.mu.Unlock()
	return fresh
}

// gitWrites says whether a place is git's own, where it writes what it is told: a
// message, names of branches.
func (t *tree) gitWrites(p place) bool {
	name := filepath.Join(t.name, p.rel)
	return inDotGit(name) && !strings.Contains(name, "/.git/annex/")
}

// link remembers a symbolic link there, by which git would write elsewhere, and
// says so. Git itself makes none, but of HEAD, once.
func (t *tree) link(p place, fd int, e entry) bool {
	to := make([]byte, 256)
	n, err := unix.Readlinkat(fd, e.name, to)
	if err != nil || !t.newer(fd, e.name) || e.name == "HEAD" && strings.HasPrefix(string(to[:n]), "refs/") {
		return false
	}
	switch e.name {
	case ".git", "config", "config.worktree", "commondir", "hooks": // git only reads them: judge, lead
		return false
	}
	if id, ok := fileOf(fd, e.name); ok {
		t.mu.Lock()
		t.traps.found = append(t.traps.found, trap{tree: t, dir: p.rel, name: e.name, id: id,
			why: "a symbolic link, by which git would write to " + shown(string(to[:n]))})
		t.mu.Unlock()
	}
	return true
}

// isFresh says whether there was no such directory of git's when the session began.
//
// Where that is not known, it goes by what a session makes in each that it locks,
// and by the time of birth, which nobody can set. Neither time is asked to prove
// that something is new on a file system whose clock may be another.
func (t *tree) isFresh(fd int, name string) bool {
	if t.known != nil {
		return !t.known[name]
	}
	var st unix.Stat_t
	if unix.Fstatat(fd, "commondir", &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return true
	}
	var born unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &born)
	return err == nil && born.Mask&unix.STATX_BTIME != 0 && t.after(unix.Stat_t{Ctim: unix.Timespec{Sec: born.Btime.Sec, Nsec: int64(born.Btime.Nsec)}})
}

// risk says what part of a new repository makes git run something, or read other
// configuration.
func (t *tree) risk(p place, name string, e entry) string {
	switch e.name {
	case "config", "config.worktree":
		if t.empty(p, e) {
			return ""
		}
		text := t.content(p, e, maxConfig)
		if text == "" {
			return "has a configuration that cannot be read"
		}
		settings, err := t.settings(text)
		if err != nil {
			return "has a configuration that cannot be understood"
		}
		if keys := armed(settings); keys != nil {
			return "runs or reads other things (" + list(keys) + ")"
		}
		for _, s := range settings {
			if s.key == "core.worktree" && !t.hasWorktree(name, s.value) {
				return "works on other files (core.worktree)"
			}
		}
	case "commondir":
		text := strings.TrimRight(t.content(p, e, maxSmall), "\r\n")
		common := filepath.Dir(filepath.Dir(name))
		if linked := path.Base(path.Dir(p.rel)) == "worktrees"; text != "." && (!linked || text != "../.." && text != common) {
			return "takes its configuration from elsewhere (commondir)"
		}
	case "hooks":
		return t.hooks(p, e)
	}
	return ""
}

func (t *tree) empty(p place, e entry) bool { return e.kind == unix.DT_REG && t.size(p, e) == 0 }

// hasWorktree says whether core.worktree of a directory of git's is what git itself
// sets it to, for a submodule: the one that leads there. It may be gone.
func (t *tree) hasWorktree(name, value string) bool {
	at, err := from(name, value)
	if err != nil || !t.within(at.path) {
		return false
	}
	back, err := readGitFile(filepath.Join(at.path, ".git"))
	return at.info == nil || err == nil && back.path == name
}

func (c *changed) within(name string) bool {
	return slices.ContainsFunc(c.trees, func(t *tree) bool { _, ok := under(t.name, name); return ok })
}

// hooks names the hooks in a directory that git would run.
func (t *tree) hooks(p place, e entry) string {
	const cannot = "has hooks that cannot be looked at"
	p = p.child(e.name, hooksNew)
	switch e.kind {
	case unix.DT_DIR:
	case unix.DT_LNK:
		return "has its hooks elsewhere"
	default:
		return ""
	}
	var names []string
	w := walker{top: t.top, keep: t.keep, force: true, visit: func(_ place, _ int, entries []entry) []place {
		for _, e := range entries {
			if e.kind != unix.DT_DIR && !strings.HasSuffix(e.name, ".sample") && !isLFSHook(e.name, t.content(p, e, maxSmall)) {
				names = append(names, e.name)
			}
		}
		return nil
	}}
	if _, err := w.look(p, make([]byte, 8<<10)); err != nil {
		return cannot
	}
	if names == nil {
		return ""
	}
	slices.Sort(names)
	return "runs hooks (" + list(names) + ")"
}

// lead remembers a .git that is no directory, to be looked at when all of git's
// directories are known.
func (t *tree) lead(p place, fd int, e entry) {
	l := lead{trap: trap{tree: t, dir: p.rel, name: e.name}, news: t.newer(fd, e.name)}
	switch e.kind {
	case unix.DT_REG:
		l.text = t.content(p, e, maxSmall)
	case unix.DT_LNK:
		l.news = l.news || t.known != nil // no session begins where there is one
	default:
		return // git does not care
	}
	if l.id, _ = fileOf(fd, e.name); !l.news {
		return
	}
	t.mu.Lock()
	t.traps.leads = append(t.traps.leads, l)
	t.mu.Unlock()
}

// follow sorts the leads: those that git itself makes, for linked worktrees and
// submodules, and traps.
func (c *changed) follow() {
	for _, l := range c.traps.leads {
		t := l.tree
		dir := filepath.Join(t.name, l.dir)
		if target, ok := t.target(dir, l.text); !ok {
			l.why = "leads to a repository of another place"
			if target != "" {
				l.why += ", " + shown(target)
			}
			c.traps.found = append(c.traps.found, l.trap)
		} else if why := t.borrows(l.dir, target); why != "" {
			l.why = why
			c.traps.found = append(c.traps.found, l.trap)
		} else {
			t.add(place{rel: l.dir}, entry{name: l.name}, leads)
		}
	}
}

// target says where the .git of a directory leads, and whether that is safe: what
// is new there is looked at itself; and what was there before is not for programs
// that it names to be found in any directory but its own.
func (t *tree) target(dir, text string) (to string, ok bool) {
	file := filepath.Join(dir, ".git")
	r, err := resolve(file)
	if text != "" {
		r, err = parseGitFile(file, text)
	}
	if err != nil || r.info == nil || !r.info.IsDir() {
		return "", false
	}
	fresh, seen := t.traps.fresh[r.path]
	if seen && fresh {
		return r.path, true
	}
	if !seen && !t.known[r.path] {
		return r.path, false
	}
	common := commonDir(r.path).path
	return r.path, common != r.path && worktreeOf(r.path, common, file) || common == r.path && submoduleOf(t.ctx, r.path, dir)
}

// borrows says why a linked worktree is a trap where it stands: the configuration that it has from
// its repository names programs, which git may look for among the worktree's own files, and git
// enters it by itself from around it, as an index names it.
func (t *tree) borrows(dir, git string) (why string) {
	common := commonDir(git).path
	rel, ok := under(t.name, common)
	if common == git || !ok {
		return ""
	}
	settings, err := t.settings(t.content(place{rel: rel}, entry{name: "config"}, maxConfig))
	keys := armed(settings)
	switch {
	case err == nil && keys == nil || !t.isNamed(dir):
		return ""
	case keys == nil:
		return "a worktree that git enters, as an index names it, with a configuration that cannot be understood"
	}
	return "a worktree that git enters, as an index names it, where settings of its repository run something (" + list(keys) + ")"
}

// isNamed says whether an index of a repository around a directory names it as one.
func (t *tree) isNamed(dir string) bool {
	for up := dir; up != "."; {
		up = path.Dir(up)
		git := path.Join(up, ".git")
		if r, err := readGitFile(filepath.Join(t.name, git)); err == nil {
			rel, ok := under(t.name, r.path)
			if !ok {
				continue
			}
			git = rel
		}
		name := strings.TrimPrefix(dir, up+"/")
		if slices.Contains(t.linksOf(git), name) {
			return true
		}
	}
	return false
}

// linksOf is gitlinks, read once.
func (t *tree) linksOf(git string) []string {
	name := filepath.Join(t.name, git)
	if t.traps.links == nil {
		t.traps.links = map[string][]string{}
	}
	if _, ok := t.traps.links[name]; !ok {
		t.traps.links[name] = t.gitlinks(place{rel: git})
	}
	return t.traps.links[name]
}
