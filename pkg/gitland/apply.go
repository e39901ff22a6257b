package gitland

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A step of HEAD, its branch and the index goes so:
//
//	new       the new index, prepared beside; it stays until the end, so that its inode is no other file's
//	journal   what is about to happen, on disk
//	lock      index.lock is a link of new: git sees it as locked
//	old       a link of the index as it was
//	pending   git's files about an unfinished merge
//	index     becomes new, by rename: from here a commit of the person's has the landed paths
//	ref       HEAD's branch moves, by compare and swap
//	HEAD      points at it
//	unlock
//
// The index is first: git commit reads HEAD, and then the index before it locks it, so that the
// other order lets it commit the landed paths away. recoverStep finishes the step if its ref has
// moved, and undoes it if not.

// journal is what a step is about to do.
type journal struct {
	Step  Step
	Inode uint64 // of the new index
	// Pending is what the step replaces, to be put back if it is undone.
	Pending map[string]string
}

// move moves a ref that is not checked out.
func (r Repository) move(ctx context.Context, m RefMove) error {
	_, err := r.git(ctx, updates(m), "update-ref", "--no-deref", "-m", "aaau: landed", "--stdin")
	return err
}

// updates is a move for git update-ref --stdin.
func updates(m RefMove) string {
	switch {
	case m.Old == "":
		return fmt.Sprintf("create %s %s\n", m.Name, m.New)
	case m.New == "":
		return fmt.Sprintf("delete %s %s\n", m.Name, m.Old)
	}
	return fmt.Sprintf("update %s %s %s\n", m.Name, m.New, m.Old)
}

// Apply takes a step in a repository, after it has ended one that stopped midway. dir is a directory
// for its files, on the file system of the git directory. It is errLater if the index is locked, or
// not what the step was decided for.
func Apply(ctx context.Context, r Repository, dir string, step Step) error {
	r, unlock, err := r.lock(filepath.Join(dir, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if err := recoverStep(ctx, r, dir); err != nil {
		return err
	}
	for _, m := range step.Refs {
		if err := r.move(ctx, m); err != nil {
			return err
		}
	}
	if step.Refs = nil; step.empty() {
		return nil
	}
	index, fresh := filepath.Join(r.Dir, "index"), filepath.Join(dir, "new")
	before, err := stat(index)
	if err != nil {
		return err
	}
	if err := r.prepare(ctx, index, fresh, step); err != nil {
		return err
	}
	made, err := stat(fresh)
	if err != nil {
		return err
	}
	j := journal{Step: step, Inode: made.Ino}
	if step.Pending != nil {
		var s State
		if err := s.unfinished(func(name string, _ int64) ([]byte, error) { return os.ReadFile(filepath.Join(r.Dir, name)) }); err != nil {
			return err
		}
		j.Pending = s.Pending
	}
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	if err := replace(filepath.Join(dir, "journal"), text); err != nil {
		return err
	}
	if err := os.Link(fresh, index+".lock"); errors.Is(err, fs.ErrExist) {
		return errors.Join(errLater, forget(dir))
	} else if err != nil {
		return err
	}
	return errors.Join(r.locked(ctx, dir, index, before, step), recoverStep(ctx, r, dir))
}

// locked is the part of a step under the lock, which it leaves to recoverStep to take away.
func (r Repository) locked(ctx context.Context, dir, index string, before unix.Stat_t, step Step) error {
	now, err := stat(index)
	if err != nil {
		return err
	}
	head, err := os.ReadFile(filepath.Join(r.Dir, "HEAD"))
	if err != nil {
		return err
	}
	if at, err := parseHead(head); err != nil || at != step.From || now.Ino != before.Ino || now.Mtim != before.Mtim || now.Size != before.Size {
		return errLater
	}
	if now.Ino != 0 {
		if err := os.Link(index, filepath.Join(dir, "old")); err != nil {
			return err
		}
	}
	if err := r.pend(step.Pending); err != nil {
		return err
	}
	if err := os.Link(filepath.Join(dir, "new"), filepath.Join(dir, "next")); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(dir, "next"), index); err != nil {
		return err
	}
	if step.Ref.moves() {
		if _, err := r.git(ctx, updates(step.Ref), "update-ref", "--no-deref", "-m", "aaau: landed", "--stdin"); err != nil {
			return errors.Join(errLater, err)
		}
	}
	return r.point(ctx, step)
}

// pend writes git's files about an unfinished merge, with a message for the commit that ends it,
// and removes those that are not named. Where nothing is to change, pending is nil.
func (r Repository) pend(pending map[string]string) error {
	if pending == nil {
		return nil
	}
	for _, name := range pendings {
		at := filepath.Join(r.Dir, name)
		if text := pending[name]; text != "" {
			if err := replace(at, []byte(text)); err != nil {
				return err
			}
		} else if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	message := filepath.Join(r.Dir, "MERGE_MSG")
	if len(pending) == 0 {
		if err := os.Remove(message); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return replace(message, []byte(pendingMessage(pending)))
}

// pendingMessage is a message of ours: the session's could be anything.
func pendingMessage(pending map[string]string) string {
	for what, name := range map[string]string{"Merge": "MERGE_HEAD", "Apply": "CHERRY_PICK_HEAD", "Revert": "REVERT_HEAD"} {
		if ids := strings.Fields(pending[name]); len(ids) > 0 {
			return fmt.Sprintf("%s commit %s\n", what, strings.Join(ids, " "))
		}
	}
	return ""
}

// point gives HEAD its new value.
func (r Repository) point(ctx context.Context, step Step) (err error) {
	switch {
	case step.From == step.To:
	case step.To.Ref != "":
		_, err = r.git(ctx, "", "symbolic-ref", "-m", "aaau: landed", "HEAD", step.To.Ref)
	default:
		_, err = r.git(ctx, "", "update-ref", "--no-deref", "-m", "aaau: landed", "HEAD", step.To.ID)
	}
	return err
}

// prepare makes the new index beside the old one.
func (r Repository) prepare(ctx context.Context, index, fresh string, step Step) error {
	if err := forget(filepath.Dir(fresh)); err != nil {
		return err
	}
	text, err := os.ReadFile(index)
	if err == nil {
		err = os.WriteFile(fresh, text, 0o644)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return err
	}
	var in strings.Builder
	for _, c := range step.Index {
		hash := 40
		if len(c.New) > 0 {
			hash = len(c.New[0].ID)
		} else if len(c.Old) > 0 {
			hash = len(c.Old[0].ID)
		}
		fmt.Fprintf(&in, "0 %s\t%s\x00", strings.Repeat("0", hash), c.Path)
		for _, e := range c.New {
			fmt.Fprintf(&in, "%o %s %d\t%s\x00", e.Mode, e.ID, e.Stage, c.Path)
		}
	}
	env := []string{"GIT_INDEX_FILE=" + fresh}
	if _, err := r.gitEnv(ctx, env, in.String(), "update-index", "-z", "--index-info"); err != nil {
		return err
	}
	if _, err := r.gitEnv(ctx, env, "", "update-index", "-q", "--refresh"); err != nil && !failed(err) { // it fails where files differ
		return err
	}
	if _, err := os.Lstat(fresh); errors.Is(err, fs.ErrNotExist) { // nothing was there and nothing is to be
		_, err = r.gitEnv(ctx, env, "", "read-tree", "--empty")
		return err
	}
	return nil
}

// recoverStep ends a step that stopped midway, and takes the lock away.
func recoverStep(ctx context.Context, r Repository, dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "journal"))
	if errors.Is(err, fs.ErrNotExist) {
		return forget(dir)
	}
	if err != nil {
		return err
	}
	var j journal
	if err := json.Unmarshal(text, &j); err != nil {
		return fmt.Errorf("reading the journal of a landing: %w", err)
	}
	index := filepath.Join(r.Dir, "index")
	lock, err := stat(index + ".lock")
	if err != nil {
		return err
	}
	if lock.Ino != j.Inode { // it never had the lock, or has given it back
		return forget(dir)
	}
	now, err := stat(index)
	if err != nil {
		return err
	}
	if now.Ino != j.Inode { // the index has not been replaced
		if err := r.pend(j.Pending); err != nil {
			return err
		}
	} else {
		moved, err := r.has(ctx, j.Step)
		if err != nil {
			return err
		}
		if moved {
			err = r.point(ctx, j.Step)
		} else {
			err = r.pend(j.Pending)
			if err == nil {
				err = os.Rename(filepath.Join(dir, "old"), index)
			}
			if errors.Is(err, fs.ErrNotExist) {
				err = os.Remove(index) // there was none
			}
		}
		if err != nil {
			return err
		}
	}
	if err := os.Remove(index + ".lock"); err != nil {
		return err
	}
	return forget(dir)
}

// forget removes the files of a step, the journal first: while new is there, no other file has its inode.
func forget(dir string) error {
	for _, name := range []string{"journal", "new", "next", "old"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// has says whether the ref of a step has its new value, or had not to move.
func (r Repository) has(ctx context.Context, step Step) (bool, error) {
	if !step.Ref.moves() {
		return true, nil
	}
	out, err := r.git(ctx, "", "for-each-ref", "--format=%(objectname)", step.Ref.Name)
	return strings.TrimSpace(out) == step.Ref.New, err
}

// stat is that of a file, or all zero if there is none.
func stat(name string) (st unix.Stat_t, err error) {
	if err = unix.Lstat(name, &st); err == unix.ENOENT {
		return unix.Stat_t{}, nil
	}
	return st, err
}
