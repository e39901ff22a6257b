package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/project"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

const (
	// shownChanges is how many changes are listed, ofOneKind how many of the same
	// kind in one directory.
	shownChanges, ofOneKind = 40, 10
	// lookTime is how long is looked for them.
	lookTime = 20 * time.Second
	// tellTime is how long the bridge may take to be told of them.
	tellTime = 5 * time.Second
)

// tellChanges lists what changed in the owner's workspaces since the session began
// that their own tools would run: an editor, git, a shell that enters the directory.
// What git would run unasked is put aside before the person's prompt is back. All of it the
// bridge is told, to be recorded.
// known are the repositories that there were, nil if that is not known.
func tellChanges(s *client.Session, known []string) {
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
	ctx, cancel := looking()
	defer cancel()
	if files := project.Placeholders(dirs); len(files) > 0 {
		telling(s, func(ctx context.Context, conn *client.Conn) error { return removePlaceholders(ctx, conn, files) })
	}
	disarmed, changes, total, err := project.Disarm(ctx, dirs, began(s.Began), s.Watch, known)
	if len(disarmed) > 0 {
		say("the agent left something that would have been run, or written to, as you:")
		for _, d := range disarmed {
			fmt.Fprintf(stderr, "  %s\n", harmless(d.String()))
		}
	}
	if err != nil {
		say(fmt.Sprintf("looking for changed files that your tools run: %v: look for yourself before you use them", err))
	}
	found := listed(slices.Concat(disarmed, changes), total+len(disarmed), err)
	if len(changes) > 0 {
		say("changed in this session, and run by tools of yours; have a look before you use them:")
		showChanges(changes, total, s.ID)
	}
	if found.Total > 0 || err != nil {
		telling(s, func(ctx context.Context, conn *client.Conn) error { return conn.TellChanges(ctx, s.ID, found) })
	}
}

// looking is a context for a look for changes, which a person can end.
func looking() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	ctx, stop := notifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	late := time.AfterFunc(time.Second, func() { say("looking for changed files that your tools run …") })
	return ctx, func() {
		late.Stop()
		stop()
		cancel()
	}
}

// began is when a session did, as the bridge says it.
func began(at float64) time.Time { return time.UnixMicro(int64(at * 1e6)) }

// telling asks the bridge something after a session, on a connection of its own. That a
// bridge is older, or busy with its own restart, is nothing to trouble a person with who has
// seen the changes.
func telling(s *client.Session, do func(context.Context, *client.Conn) error) {
	ctx, cancel := context.WithTimeout(context.Background(), tellTime)
	defer cancel()
	conn, err := s.Redial(ctx)
	if err != nil {
		return
	}
	defer conn.Close()
	_ = do(ctx, conn)
}

// listed are changes as the bridge and programs are told them.
func listed(changes []project.Change, total int, err error) wire.Changes {
	all := wire.Changes{Changes: []wire.Change{}, Total: total}
	for _, c := range changes {
		all.Changes = append(all.Changes, wire.Change{Path: argv.String(c.Path), What: c.What, Files: c.Files})
	}
	if err != nil {
		all.Error = err.Error()
	}
	return all
}

// showChanges lists changes, but not more than fits on a screen; the rest of them aaau changes
// has.
func showChanges(changes []project.Change, total int, id string) {
	told, lines := 0, 0
	for _, g := range grouped(changes) {
		n := min(len(g), ofOneKind)
		if lines += n; lines > shownChanges {
			break
		}
		for _, c := range g[:n] {
			fmt.Fprintf(stderr, "  %s\n", harmless(c.String()))
		}
		if told += len(g); len(g) > n {
			fmt.Fprintf(stderr, "    and %d more of them there: aaau changes %s\n", len(g)-n, id)
		}
	}
	if total > told {
		fmt.Fprintf(stderr, "  and %d more: aaau changes %s\n", total-told, id)
	}
}

// grouped puts together changes of one kind in one directory, of which there may be
// many: the hooks of a repository, for one.
func grouped(changes []project.Change) (groups [][]project.Change) {
	for _, c := range changes {
		if n := len(groups) - 1; n >= 0 && c.Files == 0 && groups[n][0].What == c.What && filepath.Dir(groups[n][0].Path) == filepath.Dir(c.Path) {
			groups[n] = append(groups[n], c)
		} else {
			groups = append(groups, []project.Change{c})
		}
	}
	return groups
}

// tidy is removePlaceholders after a session of the person's that nobody may have been in at its
// end. What goes wrong here the next session's end puts right.
func tidy(ctx context.Context, conn *client.Conn, s wire.SessionInfo) {
	if s.Owner != uint32(os.Getuid()) || s.Owner == 0 {
		return
	}
	if files := project.Placeholders(s.Writable); len(files) > 0 {
		_ = removePlaceholders(ctx, conn, files)
	}
}

// removePlaceholders removes files of AaaU's own from the person's home, unless a session
// of theirs still needs them.
func removePlaceholders(ctx context.Context, conn *client.Conn, files []string) error {
	all, err := conn.List(ctx)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.Owner != uint32(os.Getuid()) {
			continue
		}
		if s.State == wire.StateStranded { // nobody knows what it has
			return nil
		}
		for _, dir := range s.Workspaces {
			files = slices.DeleteFunc(files, func(file string) bool { return strings.HasPrefix(file, strings.TrimSuffix(dir, "/")+"/") })
		}
	}
	return project.RemovePlaceholders(files)
}
