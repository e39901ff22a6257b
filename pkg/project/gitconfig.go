package project

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A setting is a line of git's configuration, as git reads it.
type setting struct {
	scope  string // system, global, local, worktree, command; "" where it was not asked for
	origin string // the file it stands in; "" if in none
	key    string // section and name in lower case
	value  string
}

// parts are the section and the name of a setting, without what stands between.
func (s setting) parts() (section, name string) {
	i, j := strings.IndexByte(s.key, '.'), strings.LastIndexByte(s.key, '.')
	if i < 0 {
		return s.key, ""
	}
	return s.key[:i], s.key[j+1:]
}

// gitPatience is how long git may take to read configuration: it may be on a
// slow disk, or a pipe that nobody writes to.
const gitPatience = 10 * time.Second

// errNoGit is that git is not installed.
var errNoGit = errors.New("git is not installed")

// git runs a git command that reads configuration and does nothing else: none
// that looks at a work tree, since those run what is configured.
func git(ctx context.Context, stdin string, args ...string) ([]byte, error) {
	path, err := exec.LookPath("git")
	if err != nil {
		return nil, errNoGit
	}
	ctx, cancel := context.WithTimeout(ctx, gitPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{"--no-pager"}, args...)...)
	cmd.Env = gitEnviron(os.Environ())
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("reading git's configuration: %w", ctx.Err())
	case err != nil:
		line, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		if line = strings.TrimPrefix(line, "fatal: "); line == "" {
			line = err.Error()
		}
		return nil, fmt.Errorf("git cannot read its configuration: %s", shown(line))
	}
	return out, nil
}

// here are the variables that tie git to one repository (git rev-parse
// --local-env-vars), but for those that are configuration.
var here = []string{
	"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
	"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_PREFIX", "GIT_SHALLOW_FILE",
	"GIT_NAMESPACE", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_CONFIG",
	"LC_ALL", "GIT_OPTIONAL_LOCKS",
}

func gitEnviron(environ []string) []string {
	env := slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(here, name) || strings.HasPrefix(name, "GIT_TRACE")
	})
	return append(env, "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0")
}

// effective is the configuration as git has it in a directory; if that is in a
// repository that git cannot make sense of, then outside of any.
func effective(ctx context.Context, dir string) (settings []setting, err error) {
	for _, d := range []string{dir, "/"} {
		var out []byte
		out, err = git(ctx, "", "-C", d, "config", "--list", "--null", "--show-scope", "--show-origin", "--includes")
		if err == nil {
			return parse(out, true), nil
		}
		if errors.Is(err, errNoGit) || ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// read reads files of configuration, each with what it includes: one git for all
// of them, as it includes them one after the other from its standard input.
func read(ctx context.Context, files []string) ([][]setting, error) {
	if len(files) == 0 {
		return nil, nil
	}
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\b", `\b`)
	var in strings.Builder
	for _, f := range files {
		fmt.Fprintf(&in, "[include]\n\tpath = \"%s\"\n", quote.Replace(f))
	}
	out, err := git(ctx, in.String(), "config", "--file", "-", "--list", "--null", "--show-origin", "--includes")
	if err != nil {
		return nil, err
	}
	var groups [][]setting
	for _, s := range parse(out, false) {
		switch {
		case s.origin == "" && s.key == "include.path":
			groups = append(groups, nil)
		case len(groups) > 0:
			groups[len(groups)-1] = append(groups[len(groups)-1], s)
		}
	}
	if len(groups) != len(files) && len(files) > 1 {
		// A condition on other settings (hasconfig:) makes git read in another order.
		groups = nil
		for _, f := range files {
			one, err := read(ctx, []string{f})
			if err != nil {
				return nil, err
			}
			groups = append(groups, one...)
		}
		return groups, nil
	}
	if len(groups) != len(files) {
		return nil, fmt.Errorf("reading git's configuration: asked for %d files, got %d", len(files), len(groups))
	}
	return groups, nil
}

func parse(out []byte, scoped bool) []setting {
	fields := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	n := 2
	if scoped {
		n = 3
	}
	var all []setting
	for ; len(fields) >= n; fields = fields[n:] {
		var s setting
		if scoped {
			s.scope = fields[0]
		}
		if file, ok := strings.CutPrefix(fields[n-2], "file:"); ok {
			s.origin = file
		}
		s.key, s.value, _ = strings.Cut(fields[n-1], "\n")
		all = append(all, s)
	}
	return all
}

// included returns the file that a setting includes, whether or not its condition
// holds: an agent can make one hold, for example by changing the branch.
func (s setting) included() (string, bool, error) {
	section, name := s.parts()
	if section != "include" && section != "includeif" || name != "path" || s.value == "" {
		return "", false, nil
	}
	file, ok, err := expand(s.value)
	if err != nil || !ok {
		return "", false, err
	}
	if !filepath.IsAbs(file) {
		if s.origin == "" {
			return "", false, nil // git refuses it
		}
		file = filepath.Dir(s.origin) + "/" + file
	}
	return file, true, nil
}

// expand does with a path of the configuration what git does (git-config(1),
// pathname). There is none if it lies where git is installed.
func expand(value string) (string, bool, error) {
	if strings.HasPrefix(value, "%(prefix)/") {
		return "", false, nil
	}
	if !strings.HasPrefix(value, "~") {
		return value, true, nil
	}
	name, rest, _ := strings.Cut(value[1:], "/")
	home := os.Getenv("HOME")
	if name != "" {
		u, err := user.Lookup(name)
		if err != nil {
			return "", false, nil // git fails at it
		}
		home = u.HomeDir
	}
	return filepath.Join(home, rest), true, nil
}

// readable leaves out configuration that is not there, or that is not for the
// person's eyes: git run by them fails at it, or leaves it out as well.
func readable(file string) bool {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	fi, err := f.Stat()
	return err == nil && fi.Mode().IsRegular() && fi.Size() > 0
}
