package gitland

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// mostMoves bounds the objects that one landing asks for.
	mostMoves = 1000
	// fetching bounds the time of one fetch.
	fetching = 10 * time.Minute
)

// prefix is where the refs are that keep a session's objects.
func (l *Lander) prefix() string { return "refs/aaau/" + l.Session.ID + "/keep/" }

// keep has the person's repository keep objects that it has, for as long as the session lives: the
// session's repository borrows them.
func (l *Lander) keep(ctx context.Context, ids []string) error {
	var in strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&in, "update %s%s %s\n", l.prefix(), id, id)
	}
	_, err := l.Person.git(ctx, in.String(), "update-ref", "--stdin")
	return err
}

// fetch gets the objects that moves name, and leaves out of them what git refuses. After it, each
// is a ref of ours: so git has all that it refers to.
func (l *Lander) fetch(ctx context.Context, m *moves) error {
	refused, err := l.want(ctx, m.ids())
	if err != nil {
		return err
	}
	m.without(refused)
	blobs, err := l.Person.lacking(ctx, m.head.Index)
	if err != nil {
		return err
	}
	if refused, err = l.want(ctx, blobs); err != nil {
		return err
	}
	for _, why := range refused {
		m.told = append(m.told, "what is staged is not landed: "+why)
		m.head = Step{}
		break
	}
	return nil
}

// want fetches objects by their names, and says which git refuses, and why.
func (l *Lander) want(ctx context.Context, ids []string) (refused map[string]string, err error) {
	refused = map[string]string{}
	before := l.refused()
	have, err := l.kept(ctx)
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool {
		if before[id] != "" {
			refused[id] = before[id]
		}
		return have[id] || before[id] != ""
	})
	if len(ids) > mostMoves {
		return nil, fmt.Errorf("the session has %d new values of refs: only %d land at once", len(ids), mostMoves)
	}
	if len(ids) == 0 || l.ask(ctx, ids) == nil {
		return refused, nil
	}
	for _, id := range ids { // one bad object has all of them refused
		failure := l.ask(ctx, []string{id})
		switch {
		case ctx.Err() != nil:
			return nil, failure
		case failure != nil:
			refused[id] = strings.ReplaceAll(failure.Error(), "\n", " ")
			l.refuse(id, refused[id])
		}
	}
	return refused, nil
}

// ask fetches objects. It is nil only if all are kept afterwards: git leaves out what lacks a part
// of its history, with a warning.
func (l *Lander) ask(ctx context.Context, ids []string) error {
	args := []string{"fetch", "-q", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance",
		"--upload-pack=" + l.Session.UploadPack, l.Session.URL}
	for _, id := range ids {
		args = append(args, id+":"+l.prefix()+id)
	}
	ctx, cancel := context.WithTimeout(ctx, fetching)
	defer cancel()
	_, failure := l.Person.run(ctx, nil, "", args...)
	have, err := l.kept(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !have[id] && failure == nil {
			failure = errors.New("git fetch: its history is not whole")
		}
	}
	return failure
}

// kept are the objects that have a ref of ours.
func (l *Lander) kept(ctx context.Context) (map[string]bool, error) {
	out, err := l.Person.git(ctx, "", "for-each-ref", "--format=%(refname) %(objectname)", l.prefix())
	if err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for line := range strings.Lines(out) {
		if name, id, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok && name == l.prefix()+id {
			have[id] = true
		}
	}
	return have, nil
}

// lacking are the objects of an index's new entries that the repository does not have.
func (r Repository) lacking(ctx context.Context, changes []PathChange) (ids []string, err error) {
	const gitlink = 0o160000 // whose object is another repository's
	var in strings.Builder
	for _, c := range changes {
		for _, e := range c.New {
			if e.Mode != gitlink {
				in.WriteString(e.ID + "\n")
			}
		}
	}
	if in.Len() == 0 {
		return nil, nil
	}
	out, err := r.git(ctx, in.String(), "cat-file", "--batch-check")
	for line := range strings.Lines(out) {
		if id, ok := strings.CutSuffix(line, " missing\n"); ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), err
}

// refuse notes an object that git has refused: it is not asked for again, since each try leaves a
// file behind.
func (l *Lander) refuse(id, why string) {
	if f, err := os.OpenFile(filepath.Join(l.dir(), "refused"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err == nil {
		_, _ = fmt.Fprintln(f, id, why) // if it is lost, git refuses it once more
		f.Close()
	}
}

// refused are the objects that git has refused, and why.
func (l *Lander) refused() map[string]string {
	refused := map[string]string{}
	text, err := os.ReadFile(filepath.Join(l.dir(), "refused"))
	if err == nil {
		for line := range strings.Lines(string(text)) {
			id, why, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			refused[id] = why
		}
	}
	return refused
}
