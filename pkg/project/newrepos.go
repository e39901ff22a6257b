package project

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxParsed is of how many new repositories git is asked what their configuration
// runs.
const maxParsed = 50

// maxConfig is how large a configuration is at most that git is shown.
const maxConfig = 1 << 20

const leads = "says where git finds its configuration"

// repository tells what is new of a directory of git's, and returns its hooks for
// the walk.
func (t *tree) repository(p place, fd int, entries []entry) (below []place) {
	name := filepath.Join(t.name, p.rel)
	isNew := t.known != nil && !t.known[name]
	if t.traps != nil && t.judge(p, fd, name, entries) {
		return []place{p.child("hooks", p.mark&gitsOnly)}
	}
	if t.known[name] {
		t.broken(p, fd, entries)
	}
	t.unfinished(p)
	hooks := hooksOld
	if isNew {
		hooks = hooksNew
	}
	// What an agent made look like a repository by adding the last part of it has a
	// configuration from before; HEAD of one that people only push to hardly changes.
	completed := t.known == nil && !inDotGit(name) && t.newer(fd, "HEAD")
	for _, e := range entries {
		switch e.name {
		case "config", "config.worktree":
			changed := isNew || t.newer(fd, e.name)
			if !changed && !completed {
				continue
			}
			risks, empty := t.risks(p, e)
			switch {
			case empty:
			case risks != "":
				t.add(p, e, "git's configuration, which makes it run or read other things: "+risks)
			case changed:
				t.add(p, e, "git's configuration")
			}
		case "commondir", "gitdir":
			// Git has just made those that say ".", so that the agent could not.
			if e.name == "commondir" && t.content(p, e, maxSmall) == ".\n" {
				continue
			}
			if isNew || t.newer(fd, e.name) {
				t.add(p, e, leads)
			}
		case "hooks":
			if e.kind == unix.DT_LNK {
				if isNew || t.newer(fd, e.name) {
					t.add(p, e, "the hooks that git runs")
				}
				continue
			}
			if t.newer(fd, e.name) {
				hooks = hooksNew
			}
			below = append(below, p.child(e.name, hooks))
		}
	}
	return below
}

// risks names the settings of a configuration that make git run something, or read
// more configuration; empty says that it has none at all.
func (t *tree) risks(p place, e entry) (risks string, empty bool) {
	text := t.content(p, e, maxConfig)
	if text == "" {
		return "", e.kind == unix.DT_REG && t.size(p, e) == 0
	}
	settings, err := t.settings(text)
	if err != nil {
		return "", false
	}
	var keys []string
	for _, s := range settings {
		section, _ := s.parts()
		if (s.runs() || section == "include" || section == "includeif") && !slices.Contains(keys, s.key) {
			keys = append(keys, s.key)
		}
	}
	return list(keys), false
}

// settings are those of a configuration: of its content, not its name, which may be
// something else by now.
func (c *changed) settings(text string) ([]setting, error) {
	if settings, ok := simple(text); ok {
		return settings, nil
	}
	c.mu.Lock()
	a, ok := c.asked[text]
	enough := !ok && len(c.asked) >= maxParsed
	if !ok && !enough {
		c.asked[text] = answer{err: errors.New("being read")} // counts, and if two read it at a time, both do
	}
	c.mu.Unlock()
	switch {
	case enough:
		return nil, errors.New("too many to read")
	case ok && a.settings != nil:
		return a.settings, nil
	}
	out, err := git(c.ctx, text, "config", "--file", "-", "--no-includes", "--null", "--list", "--show-origin")
	if err != nil {
		return nil, err
	}
	a = answer{settings: parse(out, false)}
	c.mu.Lock()
	c.asked[text] = a
	c.mu.Unlock()
	return a.settings, nil
}

// list is some names from the disk, for a person.
func list(keys []string) string {
	more := ""
	if len(keys) > 5 {
		more = fmt.Sprintf(" and %d more", len(keys)-5)
		keys = keys[:5]
	}
	for i := range keys {
		keys[i] = shown(keys[i])
	}
	return strings.Join(keys, ", ") + more
}

// broken tells of a repository that git does not take for one any more: it goes on
// to what lies around it.
func (t *tree) broken(p place, fd int, entries []entry) {
	var why []string
	if !validHead(t, p, fd) {
		why = append(why, "HEAD")
	}
	if !slices.ContainsFunc(entries, func(e entry) bool { return e.name == "commondir" && t.content(p, e, maxSmall) != ".\n" }) {
		for _, name := range []string{"objects", "refs"} {
			if unix.Faccessat(fd, name, unix.X_OK, 0) != nil {
				why = append(why, name)
			}
		}
	}
	if why == nil || !slices.ContainsFunc(append(why, "."), func(name string) bool { return t.newer(fd, name) }) {
		return
	}
	t.add(p, entry{kind: unix.DT_DIR}, "git does not take this for a repository any more, and uses what is around it: look at "+strings.Join(why, ", "))
}

// validHead is what git asks of a HEAD.
func validHead(t *tree, p place, fd int) bool {
	buf := make([]byte, maxSmall)
	if n, err := unix.Readlinkat(fd, "HEAD", buf); err == nil {
		return strings.HasPrefix(string(buf[:n]), "refs/")
	}
	text := t.content(p, entry{name: "HEAD"}, maxSmall)
	if ref, ok := strings.CutPrefix(text, "ref:"); ok {
		return strings.HasPrefix(strings.TrimLeft(ref, " \t\r\n"), "refs/")
	}
	return len(text) >= 40 && strings.Trim(text[:40], "0123456789abcdefABCDEF") == ""
}

// unfinished tells of a rebase that somebody has begun and the person may go on
// with.
func (t *tree) unfinished(p place) {
	todo := entry{name: "rebase-merge/git-rebase-todo"}
	for line := range strings.Lines(t.content(p, todo, maxConfig)) {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word == "exec" || word == "x" {
			if t.newer(int(t.top.Fd()), path.Join(p.rel, todo.name)) {
				t.add(p, todo, "an unfinished rebase, which runs programs when you go on with it")
			}
			return
		}
	}
}

// content reads a regular file, if it is not longer than limit.
func (t *tree) content(p place, e entry, limit int64) string {
	fd, err := openBeneath(int(t.top.Fd()), path.Join(p.rel, e.name), unix.O_RDONLY)
	if err != nil {
		return ""
	}
	f := os.NewFile(uintptr(fd), e.name)
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() || fi.Size() > limit {
		return ""
	}
	text, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return ""
	}
	return string(text)
}

func (t *tree) size(p place, e entry) int64 {
	var st unix.Stat_t
	if unix.Fstatat(int(t.top.Fd()), path.Join(p.rel, e.name), &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return -1
	}
	return st.Size
}
