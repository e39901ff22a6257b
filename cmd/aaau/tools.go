package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/AgentaaU/AaaU/pkg/project"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// packTools adds the person's tools to the request, and their PATH: where the profile wants
// them, or where it does not say and a directory of theirs is shared.
func (o *order) packTools(l *luggage, profile wire.ProfileReply) error {
	if !profile.Tools && !profile.WorkspaceTools {
		return nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return err
	}
	if !profile.Tools && len(l.dirs) == 0 {
		o.Env = append(o.Env, project.MachinePath(home, os.Environ()).Env...)
		return nil
	}
	tools := project.Tools(home, os.Environ())
	for _, t := range tools.Dirs {
		full := len(l.dirs) == spec.MaxDirs
		if full {
			l.notes = append(l.notes, "you have more tools than a session can see: not "+t.Path)
		}
		if full || l.has(t.Path) { // or it is a workspace itself
			t.File.Close()
			continue
		}
		l.dirs = append(l.dirs, t)
	}
	o.Env = append(o.Env, tools.Env...)
	l.leftOut = tools.LeftOut
	for _, name := range tools.InHome {
		if profile.WorkspaceTools && !slices.Contains(o.env, name) { // else the bridge is older, or the person's own value goes
			o.Env = append(o.Env, name+"=~")
		}
	}
	return nil
}

// maxLeftOut bounds how many directories the first line names that are not on PATH.
const maxLeftOut = 3

// notOnPath tells which directories of the person's PATH a session has not; "" if there are none.
func notOnPath(leftOut []string) string {
	if len(leftOut) == 0 {
		return ""
	}
	var names []string
	for _, dir := range leftOut[:min(len(leftOut), maxLeftOut)] {
		names = append(names, shortened(short(dir)))
	}
	if more := len(leftOut) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return "not on PATH there: " + strings.Join(names, ", ")
}

// shortened cuts a name that is too long for a line about several.
func shortened(name string) string {
	const most = 40
	if r := []rune(name); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return name
}
