package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/AgentaaU/AaaU/pkg/project"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

const (
	// shownChanges is how many changes are listed, ofOneKind how many of the same
	// kind in one directory.
	shownChanges, ofOneKind = 40, 10
	// lookTime is how long is looked for them.
	lookTime = 20 * time.Second
)

// tellChanges lists what changed in the owner's workspaces since the session began
// that their own tools would run: an editor, git, a shell that enters the directory.
// What git would run unasked is put aside before the person's prompt is back.
// known are the repositories that there were, nil if that is not known.
func tellChanges(s wire.OpenReply, known []string) {
	if s.Owner != uint32(os.Getuid()) || s.Owner == 0 {
		return
	}
	var dirs []string
	for _, d := range s.Dirs {
		if !d.ReadOnly {
			dirs = append(dirs, string(d.Path))
		}
	}
	if len(dirs) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	defer stop()
	late := time.AfterFunc(time.Second, func() { say("looking for changed files that your tools run …") })
	defer late.Stop()
	began := time.UnixMicro(int64(s.Began * 1e6))
	disarmed, changes, total, err := project.Disarm(ctx, dirs, began, s.Watch, known)
	if len(disarmed) > 0 {
		say("the agent left something that git would have run, or written to, as you:")
		for _, d := range disarmed {
			fmt.Fprintf(os.Stderr, "  %s\n", harmless(d.String()))
		}
	}
	if err != nil {
		say(fmt.Sprintf("looking for changed files that your tools run: %v: look for yourself before you use them", err))
	}
	if len(changes) == 0 {
		return
	}
	say("changed in this session, and run by tools of yours; have a look before you use them:")
	told, lines := 0, 0
	for _, g := range grouped(changes) {
		n := min(len(g), ofOneKind)
		if lines += n; lines > shownChanges {
			break
		}
		for _, c := range g[:n] {
			fmt.Fprintf(os.Stderr, "  %s\n", harmless(c.String()))
		}
		if told += len(g); len(g) > n {
			fmt.Fprintf(os.Stderr, "    and %d more of them there\n", len(g)-n)
		}
	}
	if total > told {
		fmt.Fprintf(os.Stderr, "  and %d more\n", total-told)
	}
}

// grouped puts together changes of one kind in one directory, of which there may be
// many: the programs of a Python environment, for one.
func grouped(changes []project.Change) (groups [][]project.Change) {
	for _, c := range changes {
		if n := len(groups) - 1; n >= 0 && groups[n][0].What == c.What && filepath.Dir(groups[n][0].Path) == filepath.Dir(c.Path) {
			groups[n] = append(groups[n], c)
		} else {
			groups = append(groups, []project.Change{c})
		}
	}
	return groups
}
