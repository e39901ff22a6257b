package gitland

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Repository is one that this process may change by running git.
type Repository struct {
	Dir  string   // the git directory
	Tree string   // the working tree
	held *os.File // a locked file, which commands keep locked until they have ended
}

const (
	// patience bounds each git command, but for fetch.
	patience = time.Minute
	// mostOutput bounds what a command may print, in bytes.
	mostOutput = 256 << 20
)

// careful is what every command gets: nothing of the repository's configuration makes git run a
// program, ask somebody, or do work of its own.
var careful = []string{
	"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false",
	"-c", "protocol.version=2", "-c", "protocol.allow=never", "-c", "protocol.file.allow=always", "-c", "transfer.bundleURI=false",
	"-c", "fetch.fsckObjects=true", "-c", "transfer.fsckObjects=true", "-c", "fetch.recurseSubmodules=false", "-c", "submodule.recurse=false",
	"-c", "fetch.writeCommitGraph=false", "-c", "fetch.prune=false", "-c", "fetch.pruneTags=false", "-c", "core.splitIndex=false", "-c", "advice.detachedHead=false",
}

// git runs a command of the repository's, and returns what it prints.
func (r Repository) git(ctx context.Context, stdin string, args ...string) (string, error) {
	return r.gitEnv(ctx, nil, stdin, args...)
}

func (r Repository) gitEnv(ctx context.Context, env []string, stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return r.run(ctx, env, stdin, args...)
}

// run runs a command until ctx ends. If this process dies first, the command still ends by itself, and keeps the lock until then.
func (r Repository) run(ctx context.Context, env []string, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append(append([]string{}, careful...), args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) } // git removes its lock files
	cmd.WaitDelay = time.Second
	if r.held != nil {
		cmd.ExtraFiles = []*os.File{r.held}
	}
	cmd.Dir = r.Tree
	cmd.Env = append(environment(), env...)
	cmd.Env = append(cmd.Env, "GIT_DIR="+r.Dir, "GIT_WORK_TREE="+r.Tree)
	cmd.Stdin = strings.NewReader(stdin)
	out, complaint := &bounded{most: mostOutput}, &bounded{most: 4096}
	cmd.Stdout, cmd.Stderr = out, complaint
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("git %s: took too long", args[0])
	case err != nil:
		return "", &gitError{args[0], firstLine(complaint.String()), err}
	case out.over:
		return "", fmt.Errorf("git %s: printed too much", args[0])
	}
	return out.String(), nil
}

// environment is what every command gets: this process's own variables but for those that change
// what git does.
func environment() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GIT_") && !strings.HasPrefix(v, "LC_") && !strings.HasPrefix(v, "LANG") {
			env = append(env, v)
		}
	}
	return append(env, "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1", "LC_ALL=C")
}

// lock waits for a file's lock, which git commands of the returned repository share: it is held
// until the last of them has ended, also if this process dies before.
func (r Repository) lock(name string) (locked Repository, unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return r, nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return r, nil, err
	}
	r.held = f
	return r, func() { f.Close() }, nil
}

// A gitError is a command that failed. Its text is one line without control characters: some of it
// is the session's.
type gitError struct {
	command, says string
	err           error
}

func (e *gitError) Error() string {
	if e.says == "" {
		return fmt.Sprintf("git %s: %v", e.command, e.err)
	}
	return fmt.Sprintf("git %s: %s", e.command, e.says)
}

func (e *gitError) Unwrap() error { return e.err }

// failed is that git ran and said no.
func failed(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit)
}

// firstLine is the first line of git's complaint, as text.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, line)
	return line[:min(len(line), 300)]
}

// bounded keeps the first bytes that are written to it.
type bounded struct {
	bytes.Buffer
	most int
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if room := b.most - b.Len(); len(p) > room {
		b.over = true
		b.Buffer.Write(p[:room])
	} else {
		b.Buffer.Write(p)
	}
	return len(p), nil
}
