// Package gitland carries work between two git repositories that have one working tree in common:
// the person's and the session's. The agent commits in the session's; Land brings what it did into
// the person's, and what the person did into the session's.
//
// It decides three ways. The base is what both repositories had when they last agreed. Where only
// one side differs from the base, the other side gets its value. Where both differ, nothing is
// moved and the report says so.
//
// Everything that the session's repository says is hostile. Its objects come by git's own fetch,
// which checks them; its names are checked here; its index is read here, by a strict parser. Only
// values that the person's git has stored as refs of ours after the fetch are ever landed.
//
// A branch that nobody has checked out moves by itself, by compare and swap. HEAD, its branch and
// the index are one step, under git's own lock of the index, with a journal: Land, run again after
// a crash, finishes or undoes the step.
package gitland

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A Session is the session's repository, as the person's side reaches it.
type Session struct {
	// ID names the session. It becomes part of names of refs and files.
	ID string
	// URL and UploadPack are for git fetch: the repository's path, and the command that serves it.
	URL, UploadPack string
	// File reads a file of the git directory, at most so many bytes. A file that is not there is
	// an error that is fs.ErrNotExist.
	File func(ctx context.Context, name string, most int64) ([]byte, error)
	// Apply has Apply run there, as the agent.
	Apply func(ctx context.Context, step Step) error
}

// A Lander lands one session's repository into one repository of the person's.
type Lander struct {
	Person  Repository
	Session Session
	// BeforeGitlinks is called with paths that the person's index is about to have as repositories
	// within the repository (gitlinks). The step is taken only if it returns nil.
	BeforeGitlinks func(ctx context.Context, paths []string) error
}

// A Report is what one run of Land did.
type Report struct {
	Landed []RefMove // refs of the person's that moved
	Taken  []RefMove // refs of the session's that moved
	Staged int       // paths of the person's index that changed
	Told   []string  // what was not done: a sentence each, with the command that does it
	Later  bool      // something has to wait: a lock is held, or a repository is changing
}

// errLater is that the same may work in a moment: somebody else is at work in the repository.
var errLater = errors.New("the repository is in use")

// Begin notes the person's repository as the base. It is called before the session's repository
// is made from it, and keeps alive the objects that the session's repository will need.
func (l *Lander) Begin(ctx context.Context) error {
	state, err := l.Person.observe(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(l.dir(), 0o700); err != nil {
		return err
	}
	if err := l.keep(ctx, state.ids()); err != nil {
		return err
	}
	return l.save(base{State: state})
}

// Land looks at both repositories and moves what only one side has moved.
func (l *Lander) Land(ctx context.Context) (report Report, err error) {
	// One at a time, of all sessions: each moves HEAD and the index.
	_, unlock, err := l.Person.lock(filepath.Join(l.Person.Dir, "aaau", "lock"))
	if err != nil {
		return report, err
	}
	defer unlock()
	if err := Apply(ctx, l.Person, l.dir(), Step{}); err != nil { // ends one that stopped midway
		return report, err
	}
	b, err := l.load()
	if err != nil {
		return report, err
	}
	for _, direction := range []func(context.Context, *base, *Report) error{l.toPerson, l.toSession} {
		if err = direction(ctx, &b, &report); err != nil {
			break
		}
	}
	if errors.Is(err, errLater) {
		report.Later, err = true, nil
	}
	told := report.Told
	report.Told = slices.DeleteFunc(slices.Clone(told), func(s string) bool { return slices.Contains(b.Told, s) })
	if !slices.Equal(b.Told, told) {
		b.Told = told
		err = errors.Join(err, l.save(b))
	}
	return report, err
}

// toPerson brings to the person's repository what only the session has moved.
func (l *Lander) toPerson(ctx context.Context, b *base, report *Report) error {
	session, told, err := l.observeSession(ctx, b.State.Refs)
	report.Told = append(report.Told, told...)
	if err != nil {
		return err
	}
	person, err := l.Person.observe(ctx)
	if err != nil {
		return err
	}
	b.heal(&person)
	moves := decide(b.State, session, person, true)
	if err := l.fetch(ctx, &moves); err != nil {
		return err
	}
	report.Told = append(report.Told, moves.told...)
	report.Later = report.Later || moves.later
	if moves.empty() {
		return l.agree(b, session, person)
	}
	if moves.stash != "" {
		if _, err := l.Person.git(ctx, "", "stash", "store", "-m", "from session "+l.Session.ID, moves.stash); err != nil {
			return err
		}
		b.State.Stash = moves.stash
	}
	for _, m := range moves.Refs {
		if err := l.Person.move(ctx, m); err != nil {
			report.Told = append(report.Told, fmt.Sprintf("%s was not moved: %v", m.Name, err))
			continue
		}
		report.Landed = append(report.Landed, m)
		b.set(m)
	}
	if step := moves.head; !step.empty() {
		if links := step.gitlinks(); len(links) > 0 && l.BeforeGitlinks != nil {
			if err := l.BeforeGitlinks(ctx, links); err != nil {
				return err
			}
		}
		if err := Apply(ctx, l.Person, l.dir(), step); err != nil {
			return errors.Join(err, l.save(*b))
		}
		if step.Ref.moves() {
			report.Landed = append(report.Landed, step.Ref)
		}
		report.Staged = len(step.Index)
		b.took(step, time.Now())
	}
	return l.save(*b)
}

// toSession brings to the session's repository what only the person has moved.
func (l *Lander) toSession(ctx context.Context, b *base, report *Report) error {
	session, _, err := l.observeSession(ctx, b.State.Refs)
	if err != nil {
		return err
	}
	person, err := l.Person.observe(ctx)
	if err != nil {
		return err
	}
	b.heal(&person)
	moves := decide(b.State, person, session, false)
	if moves.empty() {
		return l.agree(b, session, person)
	}
	if err := l.keep(ctx, person.ids()); err != nil {
		return err
	}
	step := moves.head
	step.Refs = moves.Refs
	if err := l.Session.Apply(ctx, step); err != nil {
		return err
	}
	for _, m := range moves.Refs {
		report.Taken = append(report.Taken, m)
		b.set(m)
	}
	if step.Ref.moves() {
		report.Taken = append(report.Taken, step.Ref)
	}
	b.took(step, time.Time{})
	return l.save(*b)
}

// agree notes as base what both have alike, where the base has something else: both did the same.
func (l *Lander) agree(b *base, session, person State) error {
	if b.agree(session, person) {
		return l.save(*b)
	}
	return nil
}

// dir has the files of this package, in the person's git directory, which the session cannot see.
func (l *Lander) dir() string { return filepath.Join(l.Person.Dir, "aaau", l.Session.ID) }
