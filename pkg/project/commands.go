package project

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// commands are the settings whose value git or a program near it runs, or looks
// for programs in: by section, the names. Attributes, ignores and templates of
// messages are data: what they choose among stands here.
var commands = map[string][]string{
	"alias":       {"*"}, // with a ! in front
	"browser":     {"cmd", "path"},
	"core":        {"alternaterefscommand", "askpass", "editor", "fsmonitor", "gitproxy", "pager", "sshcommand"},
	"credential":  {"helper"},
	"diff":        {"command", "external", "textconv"},
	"difftool":    {"cmd", "path"},
	"filter":      {"clean", "process", "smudge"},
	"gc":          {"recentobjectshook"},
	"gpg":         {"defaultkeycommand", "program"},
	"guitool":     {"cmd"},
	"hook":        {"command"},
	"imap":        {"tunnel"},
	"init":        {"templatedir"},
	"instaweb":    {"browser", "httpd", "modulepath"},
	"interactive": {"difffilter"},
	"lfs":         {"args", "clean", "path", "smudge"},
	"man":         {"cmd", "path"},
	"merge":       {"driver"},
	"mergetool":   {"cmd", "path"},
	"pager":       {"*"},
	"remote":      {"proxy", "receivepack", "uploadpack", "url", "pushurl"}, // a url may be ext::PROGRAM
	"sendemail":   {"cccmd", "headercmd", "sendmailcmd", "smtpserver", "tocmd"},
	"sequence":    {"editor"},
	"submodule":   {"update"},
	"tar":         {"command"},
	"trailer":     {"cmd", "command"},
	"uploadpack":  {"packobjectshook"},
	"web":         {"browser"},
}

// runs says whether git may run something because of a setting.
func (s setting) runs() bool {
	section, name := s.parts()
	names := commands[section]
	switch {
	case section == "core" && name == "hookspath":
		return true
	case section == "alias":
		return strings.HasPrefix(s.value, "!")
	case section == "remote" && strings.HasSuffix(name, "url"):
		return strings.HasPrefix(s.value, "ext::")
	}
	return slices.Contains(names, name) || slices.Contains(names, "*")
}

// describe is how a person finds a setting again.
func (s setting) describe() string {
	if s.origin == "" {
		return s.key
	}
	return s.key + " in " + s.origin
}

// run locks what a setting makes git run, in the work tree top; only what is
// named from the root if top is "".
func (l *locks) run(s setting, top string) error {
	if s.key == "core.hookspath" {
		return l.hooksPath(s, top)
	}
	section, _ := s.parts()
	for i, word := range words(s.value) {
		r, ok, err := lookUp(word, top)
		if err != nil || !ok {
			continue // nothing that this person could run
		}
		d, rel := l.find(r.path)
		if d == nil && l.steady(r, "") == nil {
			continue
		}
		isDir := r.info != nil && r.info.IsDir()
		if _, above := under(r.path, top); rel == "." || isDir && above {
			continue // the work tree itself, as an argument
		}
		if isDir && (section == "alias" || !strings.Contains(word, "/")) {
			continue // rather an argument, too
		}
		switch {
		case r.info == nil && (i > 1 || strings.ContainsAny(word, " \t")):
			continue // some argument, or all of them
		case r.info == nil && strings.Contains(word, "/"):
			l.notes.add("%s names %s, which does not exist: the agent could make it, and git would run it as you",
				shown(s.describe()), shown(r.path))
		case r.info == nil:
		case section == "alias":
			if err := l.program(r, s.describe()); err != nil {
				l.notes.add("%v", err)
			}
		default:
			if err := l.program(r, s.describe()); err != nil {
				return err
			}
		}
	}
	return nil
}

// words are what in a command may be a file: all of it, as git takes some values,
// its first word, and whatever a shell would find, quoted or not.
func words(value string) []string {
	home := os.Getenv("HOME")
	value = strings.TrimPrefix(strings.TrimPrefix(value, "ext::"), "!")
	value = strings.NewReplacer("${HOME}", home, "$HOME", home).Replace(value)
	cut := func(r rune) bool { return strings.ContainsRune(" \t\r\n\"'`;&|()<>=,\\", r) }
	bare := strings.NewReplacer(`"`, "", "'", "", `\`, "").Replace(value)
	all := append([]string{strings.TrimSpace(value)}, strings.FieldsFunc(bare, cut)...)
	for _, word := range strings.FieldsFunc(value, cut) {
		if !slices.Contains(all, word) {
			all = append(all, word)
		}
	}
	return all
}

func lookUp(word, top string) (r resolved, ok bool, err error) {
	file, ok, err := expand(word)
	if err != nil || !ok || file == "" || !filepath.IsAbs(file) && top == "" {
		return r, false, err
	}
	r, err = from(top, file)
	return r, true, err
}

// hooksPath locks the directory that a repository has its hooks in.
func (l *locks) hooksPath(s setting, top string) error {
	r, ok, err := lookUp(s.value, top)
	if err != nil || !ok {
		return err
	}
	if err := l.steady(r, s.describe()); err != nil {
		return err
	}
	dir := r.path
	if s.scope != "global" { // the person's own configuration is not the agent's
		l.runsHooks(dir)
	}
	created, err := l.directory(dir)
	if err != nil {
		return err
	}
	// husky makes its hooks in .husky/_, and they run the scripts beside it.
	if filepath.Base(dir) == "_" && filepath.Base(filepath.Dir(dir)) == ".husky" {
		if err := l.scripts(dir); err != nil {
			return err
		}
		dir = filepath.Dir(dir)
		if err := l.hold(dir); err != nil {
			return err
		}
	}
	if d, _ := l.find(dir); d != nil && filepath.Base(filepath.Dir(dir)) != ".git" {
		if created {
			l.notes.add("made %s: it is where git looks for your hooks (%s)", shown(r.path), shown(s.describe()))
		}
		l.notes.add("the agent may not write %s: git uses it as you (%s)", shown(dir), shown(s.describe()))
	}
	return l.scripts(dir)
}
