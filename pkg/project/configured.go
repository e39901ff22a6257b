package project

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// configured locks what the configuration names: the files that it includes, and
// the programs and hooks that it makes git run. asked is the configuration in the
// first directory.
func (r *repos) configured(ctx context.Context, asked answer) error {
	if asked.err != nil && !errors.Is(asked.err, errNoGit) {
		return asked.err
	}
	var shared []setting // of every repository
	for _, s := range asked.settings {
		if s.scope != "local" && s.scope != "worktree" {
			shared = append(shared, s)
		}
	}
	if err := r.global(shared); err != nil {
		return err
	}
	c := &reader{repos: r, of: map[string][]setting{}, seen: map[string]bool{}}
	if err := c.take("", shared); err != nil {
		return err
	}
	for _, g := range r.all() {
		if g.common == g.path {
			c.want(g.path, filepath.Join(g.path, "config"))
		}
		c.want(g.path, filepath.Join(g.path, "config.worktree"))
	}
	if errors.Is(asked.err, errNoGit) {
		return errors.Join(c.withoutGit(), r.commonDirs(nil))
	}
	if err := c.readAll(ctx); err != nil {
		return err
	}
	if err := r.commonDirs(c.of); err != nil {
		return err
	}
	for _, settings := range c.of {
		for _, s := range settings {
			if s.key == "core.sharedrepository" && !slices.Contains([]string{"", "0", "no", "off", "false", "umask"}, s.value) {
				r.sharedRepository = true
			}
		}
	}
	return c.run()
}

// global locks the person's own configuration, if it lies in a directory of the
// session: one may keep it in a repository, and share that.
func (r *repos) global(shared []setting) error {
	var files []string
	for _, s := range shared {
		if s.origin != "" && !slices.Contains(files, s.origin) {
			files = append(files, s.origin)
		}
	}
	for _, file := range append(globalFiles(), files...) {
		at, err := resolve(file)
		if err != nil {
			continue
		}
		if err := r.locks.steady(at, file); err != nil {
			return err
		}
		if _, err := r.locks.file(at.path, placeholder); err != nil {
			return err
		}
	}
	return nil
}

// globalFiles are where git looks for configuration outside of repositories.
func globalFiles() []string {
	if file, ok := os.LookupEnv("GIT_CONFIG_GLOBAL"); ok {
		return []string{file}
	}
	home := os.Getenv("HOME")
	return []string{
		filepath.Join(home, ".gitconfig"),
		filepath.Join(firstOf(os.Getenv("XDG_CONFIG_HOME"), filepath.Join(home, ".config")), "git/config"),
	}
}

// A reader reads configuration and what it includes, for each of git's
// directories; "" is for what all of them share.
type reader struct {
	repos *repos
	todo  []source
	seen  map[string]bool
	of    map[string][]setting
}

type source struct{ of, file string }

func (c *reader) want(of, file string) {
	if key := of + "\x00" + file; !c.seen[key] && readable(file) {
		c.seen[key] = true
		c.todo = append(c.todo, source{of, file})
	}
}

// take remembers settings, locks what they include, and wants that read.
func (c *reader) take(of string, settings []setting) error {
	c.of[of] = append(c.of[of], settings...)
	for _, s := range settings {
		file, ok, err := s.included()
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		at, err := resolve(file)
		if err != nil {
			return fmt.Errorf("%s: %w", shown(s.describe()), reason(err))
		}
		if err := c.repos.locks.program(at, s.describe()); err != nil {
			return err
		}
		if strings.HasPrefix(s.key, "includeif.") { // git has followed the others
			c.want(of, at.path)
		}
	}
	return nil
}

// readAll runs git once for all files, and again for what these include on a
// condition.
func (c *reader) readAll(ctx context.Context) error {
	for len(c.todo) > 0 {
		todo := c.todo
		c.todo = nil
		files := make([]string, len(todo))
		for i, s := range todo {
			files[i] = s.file
		}
		groups, err := read(ctx, files)
		if err != nil {
			return err
		}
		for i, settings := range groups {
			if err := c.take(todo[i].of, settings); err != nil {
				return err
			}
		}
	}
	return c.perWorktree()
}

// perWorktree makes the configuration that a worktree has to itself, where git
// would look for it.
func (c *reader) perWorktree() error {
	for _, g := range c.repos.all() {
		for _, s := range c.of[g.common] {
			if s.key != "extensions.worktreeconfig" || s.value == "false" {
				continue
			}
			if _, err := c.repos.locks.file(filepath.Join(g.path, "config.worktree"), ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// run locks what the settings run, for each work tree.
func (c *reader) run() error {
	l := c.repos.locks
	runs := func(settings []setting, top string) error {
		for _, s := range settings {
			if !s.runs() {
				continue
			}
			if err := l.run(s, top); err != nil {
				return err
			}
		}
		return nil
	}
	if err := runs(c.of[""], ""); err != nil {
		return err
	}
	for _, g := range c.repos.all() {
		own := c.of[g.path]
		if g.common != g.path {
			own = slices.Concat(c.of[g.common], own)
		}
		tops := slices.Clone(g.tops)
		for _, s := range own {
			if s.key == "core.worktree" {
				if at, err := from(g.path, s.value); err == nil {
					tops = append(tops, at.path)
				}
			}
		}
		if len(tops) == 0 {
			tops = []string{g.path}
		}
		slices.Sort(tops)
		for _, top := range slices.Compact(tops) {
			if err := runs(slices.Concat(c.of[""], own), top); err != nil {
				return err
			}
		}
	}
	return nil
}
