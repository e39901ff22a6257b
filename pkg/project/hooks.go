package project

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/AgentaaU/AaaU/pkg/shebang"
)

// How many hooks are looked at for one session, and how many notes tell of them.
const (
	maxHooks     = 64
	maxHookNotes = 3
)

// runsHooks remembers a directory in which git finds hooks.
func (l *locks) runsHooks(dir string) {
	if !slices.Contains(l.hooks, dir) {
		l.hooks = append(l.hooks, dir)
	}
}

// HookNotes returns a line each, for the person, about the hooks in directories (Found.Hooks)
// that the agent's git cannot run, as their interpreter lies in a home that the session does not
// see. The session sees of homes what is in the directories seen. A hook that the person's git
// cannot run either is left alone.
func HookNotes(hooks, seen []string, home string) (lines []string) {
	n, left, untold := &notes{}, maxHooks, 0
	for _, dir := range hooks {
		for _, group := range unseen(dir, seen, home, &left) {
			if len(n.lines) == maxHookNotes {
				untold += len(group.hooks)
				continue
			}
			n.add("the agent's git cannot run %s in %s: the interpreter is %s, which the session does not see: begin with #!/usr/bin/env %s, or share its directory with --workspace DIR:ro",
				list(group.hooks), shown(dir), shown(group.interpreter), shown(filepath.Base(group.interpreter)))
		}
	}
	if untold > 0 {
		n.add("the agent's git cannot run %d more hooks, for the same reason", untold)
	}
	return n.lines
}

// A hookGroup is the hooks of one directory that have an interpreter in common.
type hookGroup struct {
	interpreter string
	hooks       []string
}

// unseen finds the hooks in a directory whose interpreter the session does not see. left is of
// how many files the first line may still be read.
func unseen(dir string, seen []string, home string, left *int) (groups []hookGroup) {
	f, err := os.Open(dir)
	if err != nil {
		return nil // the agent's git finds none either
	}
	defer f.Close()
	names, _ := f.Readdirnames(2 * maxHooks) // those of git's samples are some dozen
	slices.Sort(names)
	for _, name := range names {
		file := filepath.Join(dir, name)
		if fi, err := os.Stat(file); err != nil || !fi.Mode().IsRegular() || fi.Mode()&0o111 == 0 || strings.HasSuffix(name, ".sample") {
			continue
		}
		if *left--; *left < 0 {
			return groups
		}
		interpreter := shebang.Of(file)
		if !isUnseen(interpreter, seen, home) {
			continue
		}
		i := slices.IndexFunc(groups, func(g hookGroup) bool { return g.interpreter == interpreter })
		if i < 0 {
			i = len(groups)
			groups = append(groups, hookGroup{interpreter: interpreter})
		}
		groups[i].hooks = append(groups[i].hooks, name)
	}
	return groups
}

// isUnseen says whether there is a program of this name, which lies in a home, or is reached
// through one, where the session sees nothing.
func isUnseen(name string, seen []string, home string) bool {
	if !filepath.IsAbs(name) {
		return false
	}
	at, err := resolve(filepath.Clean(name))
	if err != nil || at.info == nil {
		return false
	}
	homes := []string{"/home", "/root"}
	if real, err := filepath.EvalSymlinks(home); err == nil && filepath.IsAbs(home) && real != "/" {
		homes = append(homes, filepath.Clean(home), real)
	}
	below := func(dirs []string, name string) bool {
		return slices.ContainsFunc(dirs, func(dir string) bool { _, ok := under(dir, name); return ok })
	}
	return slices.ContainsFunc(append(at.links, at.path), func(step string) bool {
		return below(homes, step) && !below(seen, step)
	})
}
