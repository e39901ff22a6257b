package stage

import (
	"regexp"
	"slices"
	"strings"
)

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
