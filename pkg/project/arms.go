package project

import (
	"regexp"
	"slices"
	"strings"
)

// foreign are settings of a repository, beside those of commands, that let who
// wrote them run something as the person: of git's, where it takes some more
// steps, and of programs that keep theirs in git's configuration.
var foreign = map[string][]string{
	"alias":      {"*"}, // also without a !: submodule foreach
	"annex":      {"*"},
	"delta":      {"pager"},
	"gitflow":    {"hooks"},
	"include":    {"*"},
	"includeif":  {"*"},
	"rebase":     {"instructionformat"}, // lines of what a rebase does
	"remote":     {"vcs"},
	"svn":        {"authorsprog"},
	"svn-remote": {"*"},
	"tig":        {"*"},
}

// customary are values, by setting, that agents and tools give repositories and
// that run nothing of an agent's.
var customary = map[string][]string{
	"core.askpass":       {"", "true"},
	"core.editor":        {"", ":", "true"},
	"core.fsmonitor":     {"", "true", "false"},
	"core.hookspath":     {"/dev/null"},
	"core.pager":         {"", "cat", "less"},
	"core.sshcommand":    {"ssh"},
	"credential.helper":  {"", "cache", "store"},
	"filter.lfs.clean":   {"git-lfs clean -- %f"},
	"filter.lfs.process": {"git-lfs filter-process"},
	"filter.lfs.smudge":  {"git-lfs smudge -- %f"},
	"sequence.editor":    {"", ":", "true"},
}

// arms says whether a setting lets who wrote it run something as the person who
// uses git in the repository, or have git read other configuration. It is
// stricter than runs, that looks for what to lock.
func (s setting) arms() bool {
	section, name := s.parts()
	value := strings.ToLower(s.value)
	switch {
	case strings.Contains(strings.ToLower(s.key), "ext::") || strings.Contains(value, "ext::"):
		return true
	case section == "protocol":
		return (s.key == "protocol.allow" || s.key == "protocol.ext.allow") && value != "never"
	case section == "submodule" && name == "update":
		return strings.HasPrefix(s.value, "!")
	case section == "pager":
		return !slices.Contains([]string{"", "true", "false", "cat", "less"}, s.value)
	case slices.Contains(customary[s.key], s.value):
		return false
	}
	names := foreign[section]
	return s.runs() || slices.Contains(names, name) || slices.Contains(names, "*") || strings.HasPrefix(name, "annex-")
}

// armed names the settings of a configuration that arm it.
func armed(settings []setting) (keys []string) {
	for _, s := range settings {
		if s.arms() && !slices.Contains(keys, s.key) {
			keys = append(keys, s.key)
		}
	}
	return keys
}

// lfsHook is what git-lfs puts into each repository with files of its: it runs the
// person's own git-lfs, which reads the repository's configuration (commands, lfs).
var lfsHook = regexp.MustCompile(`^#!/bin/sh\n+command -v git-lfs >/dev/null 2>&1 \|\| \{ (?:echo >&2|printf >&2 "\\n%s\\n\\n") ` +
	"\"(?:[^\"$`\\\\]|\\\\n)*\"" + `; exit [0-9]+; \}\ngit[ -]lfs (pre-push|post-checkout|post-commit|post-merge) "\$@"\n*$`)

// isLFSHook says so of a hook of this name.
func isLFSHook(name, text string) bool {
	m := lfsHook.FindStringSubmatch(text)
	return m != nil && m[1] == name
}
