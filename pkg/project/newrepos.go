package project

import (
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

// repository tells what is new of a directory of git's, and returns its hooks for
// the walk.
func (t *tree) repository(p place, fd int, entries []entry) (below []place) {
	name := filepath.Join(t.name, p.rel)
	isNew := t.known != nil && !t.known[name]
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
				t.add(p, e, "says where git finds its configuration")
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
	t.mu.Lock()
	t.parsed++
	enough := t.parsed > maxParsed
	t.mu.Unlock()
	text := t.content(p, e, maxConfig)
	if text == "" {
		return "", e.kind == unix.DT_REG && t.size(p, e) == 0
	}
	if enough {
		return "", false
	}
	// Its content, not its name: that may be something else by now.
	out, err := git(t.ctx, text, "config", "--file", "-", "--no-includes", "--null", "--list", "--show-origin")
	if err != nil {
		return "", false
	}
	var keys []string
	for _, s := range parse(out, false) {
		section, _ := s.parts()
		if (s.runs() || section == "include" || section == "includeif") && !slices.Contains(keys, s.key) {
			keys = append(keys, s.key)
		}
	}
	more := ""
	if len(keys) > 5 {
		more = fmt.Sprintf(" and %d more", len(keys)-5)
		keys = keys[:5]
	}
	for i := range keys {
		keys[i] = shown(keys[i])
	}
	return strings.Join(keys, ", ") + more, false
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
