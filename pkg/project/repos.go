package project

import (
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

	"golang.org/x/sys/unix"
)

// A gitDir is one directory that git may take for a repository's, or for the part
// of it that a linked worktree has to itself (then common is another).
type gitDir struct {
	path   string
	common string
	bare   bool     // not found as a .git: its files show up in somebody's work tree
	tops   []string // the work trees that use it
}

// repos is what was found by looking, git or not.
type repos struct {
	notes *notes
	locks *locks
	mu    sync.Mutex         // guards what follows, during a walk
	dirs  map[string]*gitDir // by path
	files []string           // each .git that is a file: it names a directory elsewhere
	links []string           // each .git that is a symbolic link

	stubs            []string // of work trees that the session does not see
	sharedRepository bool     // one of them is for a group
}

// scan looks for repositories in a directory, at any depth.
func (r *repos) scan(ctx context.Context, d *Dir) error {
	w := walker{
		top: d.File,
		keep: func(_ place, name []byte) bool {
			switch string(name) {
			case ".git", "HEAD", "objects", "refs", "commondir", "gitdir":
				return true
			}
			return false
		},
		visit:  func(p place, _ int, entries []entry) []place { return r.visit(d, p, entries) },
		failed: func(p place, err error) { r.unreadable(filepath.Join(d.Path, p.rel), err) },
	}
	if err := w.walk(ctx, place{rel: "."}); err != nil {
		return fmt.Errorf("looking for git repositories in %s: %w", shown(d.Path), err)
	}
	return nil
}

func (r *repos) visit(d *Dir, p place, entries []entry) []place {
	name := filepath.Join(d.Path, p.rel)
	git, kind := looksLikeGit(name, entries)
	if git || kind != 0 {
		r.mu.Lock()
		switch {
		case git:
			r.dirs[name] = &gitDir{path: name, bare: !inDotGit(name)}
		case kind == unix.DT_REG:
			r.files = append(r.files, filepath.Join(name, ".git"))
		case kind == unix.DT_LNK:
			r.links = append(r.links, filepath.Join(name, ".git"))
		}
		r.mu.Unlock()
	}
	below := make([]place, 0, len(entries))
	for _, e := range entries {
		if e.kind == unix.DT_DIR && !(git && gitsOwn[e.name] && inDotGit(name)) {
			below = append(below, p.child(e.name, 0))
		}
	}
	return below
}

// inDotGit says whether a directory is named .git, or beneath one that is: others
// only look like git's, perhaps because an agent wants them to.
func inDotGit(name string) bool { return strings.Contains(name+"/", "/.git/") }

// gitsOwn are the directories in a .git that hold no other repository, and may be
// large.
var gitsOwn = map[string]bool{
	"objects": true, "refs": true, "logs": true, "info": true, "hooks": true, "lfs": true, "annex": true,
	"rebase-apply": true, "rebase-merge": true, "sequencer": true, "reftable": true,
}

// looksLikeGit says whether git would take a directory for a repository's, or
// nearly: one that lacks a part may be completed. Git asks no more of objects and
// refs than the right to enter them, which a file can give too, and finds them by
// commondir. Otherwise, kind is that of its .git.
func looksLikeGit(name string, entries []entry) (git bool, kind uint8) {
	var head, objects, refs, common, gitdir bool
	for _, e := range entries {
		switch e.name {
		case "HEAD":
			head = e.kind != unix.DT_DIR
		case "objects":
			objects = true
		case "refs":
			refs = true
		case "commondir":
			common = true
		case "gitdir":
			gitdir = true
		case ".git":
			kind = e.kind
		}
	}
	git = path.Base(name) == ".git" || head && (objects && refs || common) ||
		head && gitdir && path.Base(path.Dir(name)) == "worktrees"
	return git, kind
}

// unreadable says where nothing can be found, though the agent could: it may do
// with the person's directories what the person may, chmod included.
func (r *repos) unreadable(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR):
		return // gone since, or replaced
	case errors.Is(err, unix.EXDEV):
		r.notes.add("%s is a mount of its own, which the agent does not see", shown(name))
	case errors.Is(err, fs.ErrPermission):
		if mine(name) {
			r.notes.add("%s cannot be read, so no repository in it is protected: chmod u+rx it", shown(name))
		}
	default:
		r.notes.add("%s cannot be looked into, so no repository in it is protected: %v", shown(name), reason(err))
	}
}

func mine(name string) bool {
	var st unix.Stat_t
	return unix.Lstat(name, &st) == nil && st.Uid == uint32(os.Geteuid())
}

// link fills in what belongs to what, after all scans: the common directories,
// and the work trees. What lies outside of the session's directories comes in
// too, since its configuration may name something inside.
func (r *repos) link() error {
	if len(r.links) > 0 {
		slices.Sort(r.links)
		return fmt.Errorf("%s is a symbolic link, which an agent could replace: put a file there with the line gitdir: %s",
			shown(r.links[0]), shown(linkTarget(r.links[0])))
	}
	slices.Sort(r.files)
	for _, file := range r.files {
		dir, err := readGitFile(file)
		if err != nil || dir.info == nil {
			continue // git does not know what to do with it either; the file is locked
		}
		if err := r.locks.steady(dir, file); err != nil {
			return err
		}
		r.use(dir.path, filepath.Dir(file))
	}
	for _, g := range r.all() {
		if path.Base(g.path) == ".git" {
			g.addTop(filepath.Dir(g.path))
		}
		common := commonDir(g.path)
		if err := r.locks.steady(common, filepath.Join(g.path, "commondir")); err != nil {
			return err
		}
		g.common = common.path
		for _, top := range g.tops {
			r.use(g.common, top)
		}
		r.use(g.common, "")
	}
	for _, g := range r.all() {
		if g.common == "" {
			g.common = g.path
		}
	}
	return nil
}

// use remembers a directory of git's, and a work tree that uses it.
func (r *repos) use(dir, top string) {
	g := r.dirs[dir]
	if g == nil {
		g = &gitDir{path: dir}
		r.dirs[dir] = g
	}
	if top != "" {
		g.addTop(top)
	}
}

func (g *gitDir) addTop(top string) {
	if !slices.Contains(g.tops, top) {
		g.tops = append(g.tops, top)
	}
}

func (r *repos) all() []*gitDir {
	out := make([]*gitDir, 0, len(r.dirs))
	for _, g := range r.dirs {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *gitDir) int { return strings.Compare(a.path, b.path) })
	return out
}

// enclosing adds the repositories that a directory lies in, and returns the work
// tree of the innermost.
func (r *repos) enclosing(dir string) (top string) {
	for up := filepath.Dir(dir); ; up = filepath.Dir(up) {
		git := filepath.Join(up, ".git")
		if fi, err := os.Stat(git); err == nil {
			if fi.IsDir() {
				if real, err := filepath.EvalSymlinks(git); err == nil {
					r.use(real, up)
				}
			} else if named, err := readGitFile(git); err == nil && named.info != nil {
				r.use(named.path, up)
			}
			if top == "" {
				top = up
			}
		} else if isGitDir(up) {
			r.use(up, "")
		}
		if up == "/" {
			return top
		}
	}
}

func isGitDir(dir string) bool {
	for _, name := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// readGitFile returns the directory that a .git file names (gitrepository-layout(5)).
func readGitFile(file string) (resolved, error) {
	text, err := readSmall(file)
	if err != nil {
		return resolved{}, err
	}
	return parseGitFile(file, text)
}

func parseGitFile(file, text string) (resolved, error) {
	dir, ok := strings.CutPrefix(text, "gitdir: ")
	if !ok {
		return resolved{}, fmt.Errorf("%s: not a file of git's", shown(file))
	}
	return from(filepath.Dir(file), strings.TrimRight(dir, "\r\n"))
}

// commonDir returns the directory that a directory of git's shares with others:
// itself, if it has no commondir.
func commonDir(dir string) resolved {
	text, err := readSmall(filepath.Join(dir, "commondir"))
	if err == nil {
		if common, err := from(dir, strings.TrimRight(text, "\r\n")); err == nil && common.info != nil {
			return common
		}
	}
	return resolved{path: dir}
}

// from is where name leads, as seen from dir.
func from(dir, name string) (resolved, error) {
	if !filepath.IsAbs(name) {
		name = dir + "/" + name // not Join: the kernel follows links before it goes up
	}
	return resolve(name)
}

func linkTarget(link string) string {
	r, err := resolve(link)
	if err != nil {
		return "DIRECTORY"
	}
	return r.path
}
