package project

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Found is what the git repositories in the directories of a session ask for.
type Found struct {
	Dirs         []Dir    // further directories, of git's own; the caller closes their files
	Env          []string // the person's identity, and settings that keep the agent's git from doing harm
	Notes        []string // a line each, for the person
	Stubs        []string // names outside that git must not think gone
	Shared       bool     // some repository is for a group: the umask must not be in its way
	Hooks        []string // directories in which the agent's git finds hooks; for HookNotes
	Repositories []string // every directory of git's that there is, sorted; for Disarm, not nil
}

// Git looks for the repositories in the writable directories, by looking and not
// by asking git, and fills in their locks: what git, run by the person in one of
// these repositories, would take for configuration or run. Where such a thing does
// not exist but the agent could make it, it is made, empty. What cannot be
// protected so is an error, that says what to do.
//
// What it cannot protect: repositories that the agent makes anew, which Disarm
// puts aside; and what hooks and build tools of the person's run in turn.
func Git(ctx context.Context, dirs []Dir) (found Found, err error) {
	n := &notes{}
	l := &locks{held: map[*Dir]map[string]bool{}, notes: n}
	var first *Dir
	for i := range dirs {
		l.dirs = append(l.dirs, &dirs[i])
		if first == nil && !dirs[i].ReadOnly && !dirs[i].Tool {
			first = &dirs[i]
		}
	}
	if first == nil {
		return Found{}, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // also ends the git below, if we leave early
	asked := make(chan answer, 1)
	go func() {
		settings, err := effective(ctx, first.Path)
		asked <- answer{settings, err}
	}()

	r := &repos{notes: n, locks: l, dirs: map[string]*gitDir{}}
	further := r.further(ctx)
	l.dirs = append(l.dirs, further...)
	defer func() {
		if err != nil {
			for _, d := range further {
				d.File.Close()
			}
		}
	}()
	for _, d := range l.dirs {
		if d.ReadOnly || d.Tool {
			continue
		}
		if err := r.scan(ctx, d); err != nil {
			return Found{}, err
		}
	}
	r.surroundings(len(dirs))
	if err := r.link(); err != nil {
		return Found{}, err
	}
	if err := r.protect(); err != nil {
		return Found{}, err
	}
	answered := <-asked
	if err := r.configured(ctx, answered); err != nil {
		return Found{}, err
	}
	if err := l.settle(len(r.dirs)); err != nil {
		return Found{}, err
	}
	for _, d := range further {
		found.Dirs = append(found.Dirs, *d)
	}
	found.Env = append(identity(os.Environ(), answered.settings), r.inside()...)
	found.Shared, found.Stubs = r.sharedRepository, r.stubs
	found.Repositories = []string{} // none is not unknown
	for _, g := range r.all() {
		found.Repositories = append(found.Repositories, g.path)
	}
	found.Notes, found.Hooks = n.lines, l.hooks
	return found, nil
}

// inside are settings for the agent's git, as variables.
func (r *repos) inside() (env []string) {
	settings := [][2]string{
		// Worktrees that the session does not see look gone to the agent's git, and
		// would be forgotten by the next gc.
		{"gc.worktreePruneExpire", "never"},
		// There are no keys to sign with.
		{"commit.gpgSign", "false"}, {"tag.gpgSign", "false"}, {"push.gpgSign", "false"},
		// What a branch follows stands in the configuration, which is read-only.
		{"branch.autoSetupMerge", "false"},
	}
	if r.sharedRepository {
		// Git sets modes for the group with the setgid bit, which no agent may set. A
		// umask that leaves the group its rights comes to the same.
		settings = append(settings, [2]string{"core.sharedRepository", "umask"})
	}
	env = []string{fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(settings))}
	for i, s := range settings {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, s[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, s[1]))
	}
	return env
}

type answer struct {
	settings []setting
	err      error
}

// identity is who commits, as git has it from the environment or configuration.
func identity(environ []string, settings []setting) []string {
	get := func(name string) string {
		for _, kv := range environ {
			if v, ok := cutVariable(kv, name); ok {
				return v
			}
		}
		return ""
	}
	config := map[string]string{}
	for _, s := range settings {
		config[s.key] = s.value // the last one counts
	}
	var env []string
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		section := map[string]string{"AUTHOR": "author", "COMMITTER": "committer"}[who]
		for _, v := range []struct{ variable, value string }{
			{"GIT_" + who + "_NAME", firstOf(get("GIT_"+who+"_NAME"), config[section+".name"], config["user.name"])},
			{"GIT_" + who + "_EMAIL", firstOf(get("GIT_"+who+"_EMAIL"), config[section+".email"], config["user.email"], get("EMAIL"))},
		} {
			if v.value != "" {
				env = append(env, v.variable+"="+v.value)
			}
		}
	}
	return env
}

func cutVariable(kv, name string) (string, bool) {
	if len(kv) > len(name) && kv[:len(name)] == name && kv[len(name)] == '=' {
		return kv[len(name)+1:], true
	}
	return "", false
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// surroundings looks at what the given directories lie in.
func (r *repos) surroundings(given int) {
	for _, d := range r.locks.dirs[:given] {
		if d.ReadOnly || d.Tool {
			continue
		}
		top := r.enclosing(d.Path)
		_, err := os.Lstat(filepath.Join(d.Path, ".git"))
		if top == "" || !errors.Is(err, fs.ErrNotExist) || isGitDir(d.Path) || r.shared(top) {
			continue
		}
		r.notes.add("%s is part of the repository %s, which the agent does not see; to share it all: -C %s",
			shown(d.Path), shown(top), shown(top))
	}
}

// shared says whether a path is in any of the session's directories.
func (r *repos) shared(name string) bool {
	return slices.ContainsFunc(r.locks.dirs, func(d *Dir) bool { _, ok := under(d.Path, name); return ok })
}

// protect locks the files of git's own in each repository.
func (r *repos) protect() error {
	l := r.locks
	for _, file := range r.files {
		if err := l.hold(file); err != nil {
			return err
		}
		g, err := readGitFile(file)
		if d := filepath.Dir(file); err == nil && !r.shared(g.path) && !r.top(d) {
			r.notes.add("git does not work in %s: its directory %s is not shared", shown(d), shown(g.path))
		}
	}
	for _, g := range r.all() {
		if g.common != g.path {
			// One that is not seen looks gone to the agent's git, which would prune it.
			if file := workTreeAt(g.path); file != "" && !r.shared(file) {
				r.stubs = append(r.stubs, file)
			}
		}
		for _, name := range []string{"config.worktree", "commondir", "gitdir"} {
			if err := l.holdIf(filepath.Join(g.path, name)); err != nil {
				return err
			}
		}
		if g.common != g.path {
			continue // a linked worktree's: the rest is in the common directory
		}
		if err := r.repository(g); err != nil {
			return err
		}
	}
	return nil
}

// repository locks what git reads and runs of a repository, whatever is configured.
func (r *repos) repository(g *gitDir) error {
	l := r.locks
	if _, err := l.file(filepath.Join(g.path, "config"), ""); err != nil {
		return err
	}
	hooks := filepath.Join(g.path, "hooks")
	if _, err := l.directory(hooks); err != nil {
		return err
	}
	at, err := resolve(hooks)
	if err != nil {
		return nil // not for this person to read, so not to run
	}
	if err := l.steady(at, hooks); err != nil {
		return err
	}
	l.runsHooks(at.path)
	return l.scripts(at.path)
}

// commonDirs makes the files without which the agent could say that all
// configuration is elsewhere. A directory itself is what git takes for the common
// one without the file; but beside it core.worktree does not count, so that there is
// none where that is needed: it is not in a submodule's directory, whose work tree
// leads there. The session's guard and Disarm look out for those.
func (r *repos) commonDirs(of map[string][]setting) error {
	for _, g := range r.all() {
		if g.common != g.path {
			continue
		}
		elsewhere := slices.ContainsFunc(of[g.path], func(s setting) bool { return s.key == "core.worktree" })
		if elsewhere && !strings.Contains(g.path, "/.git/modules/") {
			continue
		}
		common := filepath.Join(g.path, "commondir")
		made, err := r.locks.file(common, ".\n")
		if err != nil {
			return err
		}
		if made && g.bare {
			r.notes.add("made %s, so that the agent cannot", shown(common))
		}
	}
	return nil
}

// workTreeAt is the .git of the work tree that a linked worktree's directory is for;
// none if that is gone for the person, too.
func workTreeAt(dir string) string {
	text, err := readSmall(filepath.Join(dir, "gitdir"))
	if err != nil {
		return ""
	}
	name := strings.TrimSuffix(text, "\n")
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	if _, err := os.Lstat(name); err != nil {
		return ""
	}
	return filepath.Clean(name)
}

func (r *repos) top(dir string) bool {
	return slices.ContainsFunc(r.locks.dirs, func(d *Dir) bool { return d.Path == dir })
}
