package stage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

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
		text, err := readUpTo(name, maxConfig)
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

// plain are settings by which git runs nothing and reads nothing else, by section;
// those of git's own making, and what people set in a clone.
var plain = map[string][]string{
	"branch":     {"*"},
	"core":       {"abbrev", "autocrlf", "bare", "compression", "eol", "filemode", "ignorecase", "logallrefupdates", "precomposeunicode", "quotepath", "repositoryformatversion", "sharedrepository", "symlinks"},
	"extensions": {"objectformat", "refstorage"},
	"gc":         {"auto"},
	"pull":       {"ff", "rebase"},
	"push":       {"autosetupremote", "default"},
	"remote":     {"fetch", "prune", "pushurl", "tagopt", "url"},
	"submodule":  {"active", "branch", "url"},
	"user":       {"email", "name"},
}

// configLine is a line of a configuration: nothing or a comment, a section, a setting.
// Git understands more than that, in which something could be hidden.
var configLine = regexp.MustCompile(`^\s*(?:[#;].*|\[([A-Za-z0-9-]+)(?: +"[^"\\\x00-\x1f]*")?\]|([A-Za-z][A-Za-z0-9-]*)[ \t]*=([^"\\\x00-\x08\x0a-\x1f]*))?\s*$`)

// unclear is the first line of a checkout's configuration that may make git run or read
// something.
func unclear(text string, c checkout) string {
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		m := configLine.FindStringSubmatch(line)
		switch {
		case m == nil:
			return line
		case m[1] != "":
			section = strings.ToLower(m[1])
			continue
		case m[2] == "":
			continue
		}
		name, value := strings.ToLower(m[2]), strings.TrimSpace(m[3])
		switch {
		case section == "core" && name == "worktree" && leads(c.common, value) == c.top && c.common == c.git:
		case name == "mergeoptions", strings.Contains(strings.ToLower(value), "ext::"):
			return line
		case !slices.Contains(plain[section], name) && !slices.Contains(plain[section], "*"):
			return line
		}
	}
	return ""
}
