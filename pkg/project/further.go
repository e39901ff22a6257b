package project

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// further opens the directories of git's that the session's own refer to: what a
// workspace that is a linked worktree or a submodule has elsewhere.
//
// A .git file alone is not believed: an agent could have written it into a
// directory that had none, to be given any repository of the person's the next
// time. What it names must name the work tree in turn, where no agent writes.
func (r *repos) further(ctx context.Context) []*Dir {
	var out []*Dir
	for _, d := range r.locks.dirs {
		file := filepath.Join(d.Path, ".git")
		if fi, err := os.Lstat(file); d.ReadOnly || d.Tool || err != nil || !fi.Mode().IsRegular() {
			continue
		}
		g, err := readGitFile(file)
		if err != nil || r.shared(g.path) {
			continue
		}
		common := commonDir(g.path)
		linked := common.path != g.path
		_, around := under(common.path, d.Path)
		fi, err := os.Lstat(common.path)
		switch {
		case err != nil || !fi.IsDir():
			r.notes.add("git does not work in %s: its directory %s does not exist", shown(d.Path), shown(g.path))
			continue
		case !mine(common.path):
			r.notes.add("git does not work in %s: its directory %s is not yours", shown(d.Path), shown(common.path))
			continue
		case around:
			r.notes.add("git does not work in %s: its directory is %s, around it; to share that: -C %s",
				shown(d.Path), shown(common.path), shown(common.path))
			continue
		case linked && !worktreeOf(g.path, common.path, file), !linked && !submoduleOf(ctx, g.path, d.Path):
			r.notes.add("git does not work in %s: its directory %s names another work tree, or none; to share it too: -C %s",
				shown(d.Path), shown(common.path), shown(common.path))
			continue
		}
		if r.shared(common.path) || contains(out, common.path) {
			continue
		}
		opened, err := Open(common.path)
		if err != nil {
			r.notes.add("git does not work in %s: %v", shown(d.Path), err)
			continue
		}
		r.notes.add("git's directory %s is visible too", shown(opened.Path))
		out = append(out, &opened)
	}
	return out
}

func contains(dirs []*Dir, name string) bool {
	for _, d := range dirs {
		if _, ok := under(d.Path, name); ok {
			return true
		}
	}
	return false
}

// worktreeOf says whether a linked worktree's directory belongs to the common one
// and names this .git file.
func worktreeOf(dir, common, file string) bool {
	if rel, ok := under(filepath.Join(common, "worktrees"), dir); !ok || strings.Contains(rel, "/") {
		return false
	}
	text, err := readSmall(filepath.Join(dir, "gitdir"))
	if err != nil {
		return false
	}
	back, err := from(dir, strings.TrimRight(text, "\r\n"))
	return err == nil && back.path == file
}

// submoduleOf says whether the configuration of a repository names this work tree.
func submoduleOf(ctx context.Context, dir, top string) bool {
	out, err := git(ctx, "", "config", "--file", filepath.Join(dir, "config"), "--no-includes", "--null", "--get", "core.worktree")
	if err != nil {
		return false
	}
	back, err := from(dir, strings.TrimSuffix(string(out), "\x00"))
	return err == nil && back.path == top
}
