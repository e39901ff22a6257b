package gitland

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/AgentaaU/AaaU/pkg/gitindex"
)

// A State is what a repository has that can land.
type State struct {
	Refs  map[string]string // a ref's full name to its object's
	Head  Head
	Stash string           // the newest stash
	Index []gitindex.Entry `json:"-"` // in git's order
	// Pending are the commits that an unfinished merge, cherry-pick or revert is about: the names of
	// git's files for them to what those have.
	Pending map[string]string `json:",omitempty"`
	// Rebasing is that a rebase or git am is under way. HEAD and the index are in between.
	Rebasing bool `json:"-"`
	// Elsewhere are branches that another working tree of the same repository has checked out.
	Elsewhere []string `json:"-"`
}

// A Head is what HEAD says: a branch, or the id of a commit.
type Head struct {
	Ref string `json:",omitempty"`
	ID  string `json:",omitempty"`
}

// pendings are git's files about what is not finished, beside a rebase: an id in each line.
var pendings = []string{"MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD"}

// rebases are files that are there during a rebase or git am.
var rebases = []string{"rebase-merge/head-name", "rebase-apply/next"}

// mostPending bounds a file of pendings, in bytes.
const mostPending = 4096

// unfinished reads what is in the middle of being done. file reads a file of the git directory.
func (s *State) unfinished(file func(name string, most int64) ([]byte, error)) error {
	for _, name := range rebases {
		if _, err := file(name, mostPending); err == nil {
			s.Rebasing = true
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	s.Pending = map[string]string{}
	for _, name := range pendings {
		text, err := file(name, mostPending)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		ids := strings.Fields(string(text))
		if len(ids) == 0 || slices.ContainsFunc(ids, func(id string) bool { return !isHex(id) }) {
			return fmt.Errorf("%s cannot be read", name)
		}
		s.Pending[name] = strings.Join(ids, "\n") + "\n"
	}
	return nil
}

// value is the commit that is checked out, or "" if there is none yet.
func (s State) value() string {
	if s.Head.Ref != "" {
		return s.Refs[s.Head.Ref]
	}
	return s.Head.ID
}

// ids are the objects that a state names.
func (s State) ids() (ids []string) {
	for _, id := range s.Refs {
		ids = append(ids, id)
	}
	for _, id := range []string{s.Head.ID, s.Stash} {
		if id != "" {
			ids = append(ids, id)
		}
	}
	for _, text := range s.Pending {
		ids = append(ids, strings.Fields(text)...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// observe reads the state of a repository that nobody hostile has written.
func (r Repository) observe(ctx context.Context) (State, error) {
	for range 5 {
		before, err := r.index(ctx)
		if err != nil {
			return State{}, err
		}
		s, err := r.refs(ctx)
		if err != nil {
			return s, err
		}
		after, err := r.index(ctx)
		if err != nil {
			return s, err
		}
		if slices.Equal(before, after) {
			s.Index = after
			return s, nil
		}
	}
	return State{}, errLater
}

// refs reads all but the index.
func (r Repository) refs(ctx context.Context) (s State, err error) {
	out, err := r.git(ctx, "", append([]string{"for-each-ref", "--format=%(refname) %(objectname) %(symref)", "refs/stash"}, kinds...)...)
	if err != nil {
		return s, err
	}
	s.Refs = map[string]string{}
	for line := range strings.Lines(out) {
		if f := strings.Split(strings.TrimSuffix(line, "\n"), " "); len(f) == 3 && f[2] == "" { // a symbolic ref is not a value of its own
			if f[0] == "refs/stash" {
				s.Stash = f[1]
			} else {
				s.Refs[f[0]] = f[1]
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(r.Dir, "HEAD"))
	if err != nil {
		return s, err
	}
	if s.Head, err = parseHead(text); err != nil {
		return s, err
	}
	err = s.unfinished(func(name string, _ int64) ([]byte, error) { return os.ReadFile(filepath.Join(r.Dir, name)) })
	if err != nil {
		return s, err
	}
	out, err = r.git(ctx, "", "worktree", "list", "--porcelain")
	if err != nil {
		return s, err
	}
	for block := range strings.SplitSeq(out, "\n\n") {
		for line := range strings.Lines(block) {
			if b, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "branch "); ok && b != s.Head.Ref {
				s.Elsewhere = append(s.Elsewhere, b)
			}
		}
	}
	return s, nil
}

// index reads the repository's index; none is an empty one.
func (r Repository) index(ctx context.Context) ([]gitindex.Entry, error) {
	text, err := os.ReadFile(filepath.Join(r.Dir, "index"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := parseIndex(text)
	if err == nil {
		return entries, nil
	}
	return r.listed(ctx) // one that shares entries with another
}

// listed reads the index by git.
func (r Repository) listed(ctx context.Context) (entries []gitindex.Entry, err error) {
	out, err := r.git(ctx, "", "ls-files", "-s", "-z")
	if err != nil {
		return nil, err
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		if line == "" {
			continue
		}
		e := gitindex.Entry{}
		facts, name, _ := strings.Cut(line, "\t")
		if _, err := fmt.Sscanf(facts, "%o %s %d", &e.Mode, &e.ID, &e.Stage); err != nil {
			return nil, fmt.Errorf("git ls-files printed %q", line)
		}
		e.Name = name
		entries = append(entries, e)
	}
	return entries, nil
}

// parseIndex reads an index, of either hash. What is only announced is left out: it has no content.
func parseIndex(text []byte) ([]gitindex.Entry, error) {
	for _, hash := range []int{20, 32} {
		if entries, err := gitindex.Entries(text, hash); err == nil {
			return slices.DeleteFunc(entries, func(e gitindex.Entry) bool { return e.Intended }), nil
		}
	}
	return nil, errors.New("the index cannot be read")
}

// parseHead reads the file HEAD.
func parseHead(text []byte) (Head, error) {
	text = bytes.TrimSuffix(text, []byte("\n"))
	if ref, ok := bytes.CutPrefix(text, []byte("ref: ")); ok {
		return Head{Ref: string(ref)}, nil
	}
	if !isHex(string(text)) {
		return Head{}, errors.New("HEAD cannot be read")
	}
	return Head{ID: string(text)}, nil
}
