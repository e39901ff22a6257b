package gitcopy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/gitindex"
)

// index copies the index, with the owner that the session sees in each entry, and the time of its
// last change: git reads again every file that is not older.
func (p *packer) index(ctx context.Context) error {
	name := filepath.Join(p.src.Dir, "index")
	text, stat, err := read(name, p.room)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	x, err := gitindex.Parse(text)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	if x.Shared != "" || p.src.Within != "" {
		if text, stat, err = p.remade(ctx, text); err != nil {
			return err
		}
	}
	if err := gitindex.Rewrite(text, p.src.UID, p.src.GID); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return p.file("index", text, stat.Mode, time.Unix(stat.Mtim.Unix()))
}

// remade is an index in one file, in which what the session does not see of the working tree is
// marked as absent on purpose. git makes it from a copy.
func (p *packer) remade(ctx context.Context, text []byte) (made []byte, stat unix.Stat_t, err error) {
	dir, err := os.MkdirTemp("", "aaau-index-")
	if err != nil {
		return nil, stat, err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "index")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		return nil, stat, err
	}
	git := func(stdin string, args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.bare=false"}, args...)...)
		cmd.Dir = dir // stands for the working tree, which none of these looks at
		cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GIT_") }),
			"GIT_DIR="+p.src.Dir, "GIT_WORK_TREE="+dir, "GIT_INDEX_FILE="+name)
		cmd.Stdin = strings.NewReader(stdin)
		cmd.WaitDelay = time.Second
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("git %s: %w", args[0], err)
		}
		return string(out), nil
	}
	if _, err := git("", "update-index", "--no-split-index"); err != nil {
		return nil, stat, err
	}
	if p.src.Within != "" {
		names, err := git("", "ls-files", "-z")
		if err != nil {
			return nil, stat, err
		}
		var outside strings.Builder
		for file := range strings.SplitSeq(strings.TrimSuffix(names, "\x00"), "\x00") {
			if !strings.HasPrefix(file, p.src.Within+"/") {
				outside.WriteString(file + "\x00")
			}
		}
		if _, err := git(outside.String(), "update-index", "-z", "--skip-worktree", "--stdin"); err != nil {
			return nil, stat, err
		}
	}
	return read(name, p.room)
}
