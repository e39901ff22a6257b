package project

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/AgentaaU/AaaU/pkg/searchpath"
)

// taken collects the directories of tools.
type taken struct {
	home    string
	dirs    []Dir
	behind  map[string][]string // what follows or replaces a directory of shims on PATH
	leftOut []string
}

// fit refuses to take the home, or something around it, for a tool's.
func (t *taken) fit(real string) bool {
	home, err := filepath.EvalSymlinks(t.home)
	if err != nil {
		return false
	}
	_, around := under(real, home)
	return !around
}

// take takes what there is of a tool; there may be nothing.
func (t *taken) take(tool tool, root string) bool {
	some := false
	for _, part := range tool.parts {
		if part == "." && !strings.Contains(filepath.Base(root), tool.named) {
			continue
		}
		some = t.open(filepath.Join(root, part)) || some
	}
	for _, pattern := range tool.prefixes {
		some = t.prefixes(root, pattern) || some
	}
	return some
}

// prefixes takes directories with a program each. If none has anything private,
// and the pattern takes all there is, they are one: the part before the pattern.
func (t *taken) prefixes(root, pattern string) bool {
	parent, _, all := strings.Cut("/"+pattern, "/*")
	parent = filepath.Join(root, parent)
	found, err := filepath.Glob(filepath.Join(quoteGlob(root), pattern))
	if err != nil {
		return false
	}
	if all && !slices.ContainsFunc(found, hasPrivate) && !hasPrivate(parent) {
		return len(found) > 0 && t.open(parent)
	}
	some := false
	for _, prefix := range found {
		fi, err := os.Lstat(prefix)
		if err != nil || !fi.IsDir() { // "latest" is a symbolic link to another of them
			continue
		}
		if !hasPrivate(prefix) {
			some = t.open(prefix) || some
			continue
		}
		parts, _ := os.ReadDir(prefix) // as far as it can be read
		for _, part := range parts {
			name := part.Name()
			if name == filepath.Dir(mavens) && exists(filepath.Join(prefix, mavens)) {
				continue
			}
			if part.IsDir() && name[0] != '.' && name != "etc" && name != "var" {
				some = t.open(filepath.Join(prefix, name)) || some
			}
		}
	}
	return some
}

func quoteGlob(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}

func hasPrivate(prefix string) bool {
	return slices.ContainsFunc(private, func(name string) bool { return exists(filepath.Join(prefix, name)) })
}

// open takes one directory, if it is the person's, and not taken yet.
func (t *taken) open(name string) bool {
	d, err := Open(name)
	if err != nil {
		return false
	}
	if !t.fit(d.Path) {
		d.File.Close()
		return false
	}
	if t.has(d.Path) {
		d.File.Close()
		return true
	}
	d.ReadOnly, d.Tool = true, true
	t.dirs = append(t.dirs, d)
	return true
}

func (t *taken) has(name string) bool {
	return slices.ContainsFunc(t.dirs, func(d Dir) bool { _, ok := under(d.Path, name); return ok })
}

// path returns what of a PATH lies in what was taken or is the machine's, in its order. Other
// directories that exist are left out, which the person is told.
func (t *taken) path(value string) (path []string) {
	add := func(list *[]string, dir string) {
		if !slices.Contains(*list, dir) {
			*list = append(*list, dir)
		}
	}
	for _, entry := range filepath.SplitList(value) {
		if !filepath.IsAbs(entry) {
			continue
		}
		real, err := filepath.EvalSymlinks(entry)
		if err != nil {
			continue
		}
		behind, shims := t.behind[real]
		in := t.has(real) && !strings.Contains(real, ":")
		if machine, ok := searchpath.Machine(entry, []string{"/home", "/root", t.home}); ok {
			add(&path, machine)
			continue
		}
		if in {
			add(&path, real)
		}
		found := false
		for _, dir := range behind[:min(len(behind), maxBehind)] {
			if dir, err := filepath.EvalSymlinks(dir); err == nil && t.has(dir) && !strings.Contains(dir, ":") {
				add(&path, dir)
				found = true
			}
		}
		if fi, err := os.Stat(real); err == nil && fi.IsDir() && !in && !(shims && found) {
			add(&t.leftOut, filepath.Clean(entry))
		}
	}
	return path
}

// isTool says whether the first program of that name on a path lies in what was taken.
func (t *taken) isTool(name string, path []string) bool {
	for _, dir := range path {
		if fi, err := os.Stat(filepath.Join(dir, name)); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return t.has(dir)
		}
	}
	return false
}
