package project

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// before is a time before which all files of the test are.
func before() time.Time { return time.Now().Add(-time.Hour) }

// settled waits until the kernel's time stamps are past those of all that is made
// so far, and returns the time.
func settled(t *testing.T, dir string) time.Time {
	t.Helper()
	start := time.Now()
	for {
		name := dir + "/.clock"
		write(t, name, "")
		var st unix.Stat_t
		if err := unix.Stat(name, &st); err != nil {
			t.Fatal(err)
		}
		os.Remove(name)
		if now := time.Unix(st.Ctim.Unix()); now.Sub(start) > 3*granularity {
			return now.Add(-granularity / 2)
		}
		time.Sleep(granularity) // the clock of what is tested, nothing else
	}
}

func changesOf(t *testing.T, ws string, since time.Time, known []string, watch ...string) []string {
	t.Helper()
	changes, total, err := Changes(t.Context(), []string{ws}, since, watch, known)
	if err != nil {
		t.Fatal(err)
	}
	if total != len(changes) {
		t.Errorf("%d changes of %d", len(changes), total)
	}
	var out []string
	for _, c := range changes {
		out = append(out, strings.ReplaceAll(c.String(), ws+"/", ""))
	}
	return out
}

func TestChanges(t *testing.T) {
	fresh, hook := ": new or changed", ": a hook, which git runs"
	for name, c := range map[string]struct {
		before func(t *testing.T, ws string)
		after  func(t *testing.T, ws string)
		want   []string
	}{
		"nothing": {
			func(t *testing.T, ws string) {
				repo(t, ws+"/r")
				write(t, ws+"/Makefile", "")
				write(t, ws+"/.vscode/tasks.json", "")
			},
			func(t *testing.T, ws string) {
				write(t, ws+"/r/file", "other")
				gitIn(t, ws+"/r", "commit", "-q", "-a", "-m", "second")
			},
			nil,
		},
		"names": {
			func(t *testing.T, ws string) { write(t, ws+"/a/Makefile", "") },
			func(t *testing.T, ws string) {
				write(t, ws+"/a/Makefile", "all:")
				write(t, ws+"/.envrc", "")
				write(t, ws+"/b/x.mk", "")
				write(t, ws+"/b/x.mkv", "")
			},
			[]string{".envrc" + fresh, "a/Makefile" + fresh, "b/x.mk" + fresh},
		},
		"times that are set back": {
			nil,
			func(t *testing.T, ws string) {
				write(t, ws+"/Makefile", "")
				if err := os.Chtimes(ws+"/Makefile", before(), before()); err != nil {
					t.Fatal(err)
				}
			},
			[]string{"Makefile" + fresh},
		},
		"renamed": {
			func(t *testing.T, ws string) { write(t, ws+"/m", ""); write(t, ws+"/v/x/tasks.json", "") },
			func(t *testing.T, ws string) {
				if err := errors.Join(os.Rename(ws+"/m", ws+"/Makefile"), os.Rename(ws+"/v", ws+"/.vscode")); err != nil {
					t.Fatal(err)
				}
			},
			[]string{".vscode/: new, or what is in it", "Makefile" + fresh},
		},
		"in a directory of such a name": {
			func(t *testing.T, ws string) {
				write(t, ws+"/.claude/a/b", "")
				write(t, ws+"/.claude/c", "")
				write(t, ws+"/staged/d", "")
			},
			func(t *testing.T, ws string) {
				write(t, ws+"/.claude/a/b", "x")
				if err := os.Rename(ws+"/staged", ws+"/.claude/a/staged"); err != nil {
					t.Fatal(err)
				}
			},
			[]string{".claude/a/: new, or what is in it", ".claude/a/b" + fresh, ".claude/a/staged/: new, or what is in it"},
		},
		"through symbolic links": {
			func(t *testing.T, ws string) {
				write(t, ws+"/x/tasks.json", "")
				write(t, ws+"/GNUmakefile", "")
				symlink(t, "x", ws+"/.vscode")
				symlink(t, "GNUmakefile", ws+"/Makefile")
				symlink(t, "..", ws+"/x/.idea")
				symlink(t, "/etc", ws+"/.cursor")
				symlink(t, "nothing", ws+"/.zed")
				symlink(t, ".envrc", ws+"/.envrc")
			},
			func(t *testing.T, ws string) {
				write(t, ws+"/x/tasks.json", "x")
				write(t, ws+"/GNUmakefile", "x")
			},
			// .idea makes everything count, GNUmakefile too.
			[]string{"GNUmakefile" + fresh, "Makefile: leads to what is new or changed", "x/tasks.json" + fresh},
		},
		"a Python environment": {
			func(t *testing.T, ws string) {
				write(t, ws+"/venv/pyvenv.cfg", "")
				write(t, ws+"/venv/bin/python3", "")
				write(t, ws+"/other/bin/python3", "")
			},
			func(t *testing.T, ws string) {
				for _, name := range []string{"venv/pyvenv.cfg", "venv/bin/python3", "venv/bin/activate.fish", "venv/bin/ls", "venv/bin/black", "other/bin/python3",
					"venv/lib/python3/site-packages/x.pth", "venv/lib/python3/site-packages/x/Makefile", "venv/lib/python3/site-packages/x/x.py", "venv/x/.envrc"} {
					write(t, ws+"/"+name, "x")
				}
			},
			[]string{"venv/x/.envrc" + fresh, "venv/: a Python environment, with 6 new or changed files that your tools run"},
		},
		"packages of node's": {
			func(t *testing.T, ws string) { write(t, ws+"/app/node_modules/old/index.js", "") },
			func(t *testing.T, ws string) {
				for i := range 30 {
					write(t, fmt.Sprintf("%s/app/node_modules/p%d/node_modules/q/index.js", ws, i), "")
				}
				write(t, ws+"/app/node_modules/.cache/x", "")
				write(t, ws+"/app/node_modules/.npmrc", "")
				write(t, ws+"/other/node_modules/.cache/x", "")
				write(t, ws+"/one/node_modules/index.js", "")
			},
			[]string{"app/node_modules/: 31 new or changed files", "one/node_modules/index.js" + fresh},
		},
		"a repository in what node has installed": {
			nil,
			func(t *testing.T, ws string) {
				repo(t, ws+"/node_modules/.cache/r", "--template=")
				gitIn(t, ws+"/node_modules/.cache/r", "config", "core.fsmonitor", "evil")
			},
			[]string{"node_modules/.cache/r/.git/config: git's configuration, which makes it run or read other things: core.fsmonitor"},
		},
		"checkouts of claude's": {
			nil,
			func(t *testing.T, ws string) {
				write(t, ws+"/.claude/worktrees/x/main.go", "")
				write(t, ws+"/.claude/worktrees/x/CLAUDE.md", "")
				write(t, ws+"/.claude/skills/x/SKILL.md", "")
			},
			[]string{".claude/: new, or what is in it", ".claude/skills/: new, or what is in it", ".claude/skills/x/: new, or what is in it",
				".claude/skills/x/SKILL.md" + fresh, ".claude/worktrees/: new, or what is in it", ".claude/worktrees/x/CLAUDE.md" + fresh},
		},
		"a new repository": {
			nil,
			func(t *testing.T, ws string) {
				repo(t, ws+"/r", "--template=")
				write(t, ws+"/r/.git/hooks/post-checkout", "")
				write(t, ws+"/r/.git/hooks/update.sample", "")
				gitIn(t, ws+"/r", "config", "core.fsmonitor", "evil")
				gitIn(t, ws+"/r", "config", "filter.\x1b[m.clean", "evil")
				gitIn(t, ws+"/r", "config", "include.path", "x")
			},
			[]string{
				"r/.git/config: git's configuration, which makes it run or read other things: core.fsmonitor, \"filter.\\x1b[m.clean\", include.path",
				"r/.git/hooks/post-checkout" + hook,
			},
		},
		"a hook, commondir and configuration of an old one": {
			func(t *testing.T, ws string) { repo(t, ws+"/r") },
			func(t *testing.T, ws string) {
				write(t, ws+"/r/.git/hooks/pre-commit", "")
				write(t, ws+"/r/.git/commondir", "/x")
				write(t, ws+"/r/.git/config.worktree", "[core]\n\teditor = x\n")
				write(t, ws+"/r/.git/modules/m/HEAD", "")
				mkdir(t, ws+"/r/.git/modules/m/objects")
				mkdir(t, ws+"/r/.git/modules/m/refs")
				write(t, ws+"/r/.git/modules/m/config", "[pager]\n\tlog = x")
			},
			[]string{"r/.git/commondir: says where git finds its configuration",
				"r/.git/config.worktree: git's configuration, which makes it run or read other things: core.editor",
				"r/.git/hooks/pre-commit" + hook,
				"r/.git/modules/m/config: git's configuration, which makes it run or read other things: pager.log"},
		},
		"what a session makes for its locks": {
			func(t *testing.T, ws string) { repo(t, ws+"/r", "--template=") },
			func(t *testing.T, ws string) { mkdir(t, ws+"/x/.git"); mustAsk(t, ws) },
			nil,
		},
		"files for git's directory": {
			func(t *testing.T, ws string) { repo(t, ws+"/r") },
			func(t *testing.T, ws string) {
				write(t, ws+"/a/.git", "gitdir: ../r/.git")
				symlink(t, "../r/.git", ws+"/b/.git")
			},
			[]string{"a/.git: says where git finds its configuration", "b/.git: says where git finds its configuration"},
		},
		"completed to a repository": {
			func(t *testing.T, ws string) {
				mkdir(t, ws+"/x/objects")
				mkdir(t, ws+"/x/refs")
				write(t, ws+"/x/config", "[core]\n\tfsmonitor = x\n")
			},
			func(t *testing.T, ws string) { write(t, ws+"/x/HEAD", "ref: refs/heads/main\n") },
			[]string{"x/config: git's configuration, which makes it run or read other things: core.fsmonitor"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := home(t)
			ws := mkdir(t, h+"/ws")
			if c.before != nil {
				c.before(t, ws)
			}
			since := settled(t, h)
			c.after(t, ws)
			if name == "what a session makes for its locks" {
				since = since.Add(time.Nanosecond)
			}
			same(t, "changes", changesOf(t, ws, since, nil, "Makefile", "*.mk"), c.want...)
		})
	}
}

// What is not known is new, whatever its times are.
func TestChangesKnown(t *testing.T) {
	h := home(t)
	ws := mkdir(t, h+"/ws")
	repo(t, ws+"/old")
	gitIn(t, ws+"/old", "config", "core.fsmonitor", "mine")
	write(t, ws+"/x/config", "[core]\n\tfsmonitor = evil\n")
	write(t, ws+"/x/hooks/pre-commit", "")
	_, found := mustAsk(t, ws)
	same(t, "repositories", found.Repositories, ws+"/old/.git")
	since := settled(t, h)
	mkdir(t, ws+"/y")
	if err := os.Rename(ws+"/x", ws+"/y/.git"); err != nil {
		t.Fatal(err)
	}
	gitIn(t, ws+"/old", "checkout", "-q", "-b", "other")
	same(t, "changes", changesOf(t, ws, since, found.Repositories),
		"y/.git/config: git's configuration, which makes it run or read other things: core.fsmonitor",
		"y/.git/hooks/pre-commit: a hook, which git runs")
}

func TestChangesOfHostileTrees(t *testing.T) {
	h := home(t)
	ws := mkdir(t, h+"/ws")
	outside := mkdir(t, h+"/outside")
	write(t, outside+"/Makefile", "")
	since := before()
	symlink(t, "../outside", ws+"/link")
	symlink(t, "loop", ws+"/loop")
	for _, name := range []string{"Makefile", "a/.git", "b/.git/config", "b/.git/hooks/pre-push", "pyvenv.cfg"} {
		mkdir(t, ws+"/"+name[:max(0, strings.LastIndex(name, "/"))])
		if err := unix.Mkfifo(ws+"/"+name, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(t, ws+"/esc\x1b]0;x\a\n/Makefile", "")
	symlink(t, outside, ws+"/c/.git/hooks")
	write(t, ws+"/d/.git/config", "[core\n")
	// Deeper than a path can be long.
	fd, err := unix.Open(ws, unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		name := strings.Repeat("d", 200)
		if err := unix.Mkdirat(fd, name, 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(fd, name, unix.O_DIRECTORY, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		fd = next
	}
	unix.Close(fd)
	got := changesOf(t, ws, since, nil, "Makefile")
	for _, line := range got {
		if strings.ContainsAny(line, "\x1b\n\a") || strings.Contains(line, "outside") {
			t.Errorf("%q", line)
		}
	}
	for _, want := range [][]string{
		{`"esc\x1b]0;x\a\n/Makefile": new or changed`}, {"Makefile: new"}, {"a/.git: says"}, {"b/.git/hooks/pre-push: a hook"},
		{"b/.git/config: git's configuration"}, {"c/.git/hooks: the hooks"}, {"d/.git/config: git's configuration"}, {"dddd", "cannot be looked into"},
		{"pyvenv.cfg: of a Python"},
	} {
		hasLine(t, got, want...)
	}
	// A workspace that was replaced by a link is not followed.
	symlink(t, "outside", h+"/gone")
	if _, _, err := Changes(t.Context(), []string{h + "/gone"}, since, nil, nil); err == nil {
		t.Error("followed a link")
	}
}

func TestChangesMany(t *testing.T) {
	h := home(t)
	for i := range MaxChanges + 500 {
		write(t, fmt.Sprintf("%s/ws/%04d/Makefile", h, i), "")
	}
	changes, total, err := Changes(t.Context(), []string{h + "/ws"}, before(), []string{"Makefile"}, nil)
	if err != nil || total != MaxChanges+500 || len(changes) != MaxChanges {
		t.Fatalf("%d of %d, %v", len(changes), total, err)
	}
	for i, c := range changes {
		if c.Path != fmt.Sprintf("%s/ws/%04d/Makefile", h, i) {
			t.Fatalf("%d is %s", i, c.Path)
		}
	}
}

func TestChangesErrors(t *testing.T) {
	h := home(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Changes(ctx, []string{h}, before(), nil, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	write(t, h+"/ws/Makefile", "")
	changes, total, err := Changes(t.Context(), []string{h + "/missing", h + "/ws"}, before(), []string{"Makefile"}, nil)
	refused(t, err, h+"/missing: no such file or directory")
	if total != 1 || len(changes) != 1 {
		t.Errorf("%d of %d changes beside an error", len(changes), total)
	}
	_, _, err = Changes(t.Context(), []string{h}, before(), []string{"[x"}, nil)
	refused(t, err, `"[x"`, "syntax error")
}

// What the tools of a person run out of their home.
func TestChangesOfAHome(t *testing.T) {
	h := home(t)
	t.Setenv("HOME", h)
	files := []string{
		".bashrc", ".bash_profile", ".profile", ".zshrc", ".zshenv", ".inputrc", ".config/fish/config.fish", ".config/fish/conf.d/x.fish",
		".ssh/authorized_keys", ".ssh/config", ".ssh/rc", ".config/autostart/x.desktop", ".config/systemd/user/x.service", ".config/environment.d/x.conf",
		"bin/ls", ".local/bin/ls", ".crontab", ".vimrc", ".config/nvim/init.lua", ".emacs.d/init.el", ".config/direnv/direnvrc", ".envrc",
		".gitconfig", ".config/git/config", "CLAUDE.md", "AGENTS.md", ".claude/settings.json", ".claude/skills/x/SKILL.md", ".claude/commands/x.md",
		".codex/config.toml", ".cursor/mcp.json", ".mcp.json", ".npmrc", ".cargo/config.toml", ".config/pip/pip.conf", ".docker/config.json", ".kube/config",
	}
	others := []string{"project/bin/ls", "project/init.lua", "notes", ".cache/x", ".local/share/x", ".config/other/x", ".docker/other"}
	for _, name := range []string{".ssh/known", ".config/systemd/x", ".local/bin/x", "bin/x", ".claude/x", ".emacs.d/x"} {
		write(t, h+"/"+name, "") // of a directory that is new only that is told
	}
	since := settled(t, h)
	for _, name := range append(slices.Clone(files), others...) {
		write(t, h+"/"+name, "x")
	}
	told := map[string]bool{}
	for _, line := range changesOf(t, h, since, nil) {
		name, _, _ := strings.Cut(line, ": ")
		told[name] = true
	}
	for _, name := range files {
		if !told[name] {
			t.Errorf("nothing is told of %s", name)
		}
	}
	for _, name := range others {
		if told[name] {
			t.Errorf("it tells of %s", name)
		}
	}
	// The same, when that directory alone is shared.
	for dir, file := range map[string]string{"bin": "ls", ".config/systemd": "user/x.service", ".ssh": "rc", "project/bin": "", ".config/nvim": "init.lua"} {
		if got := strings.Join(changesOf(t, h+"/"+dir, since, nil), "\n"); strings.Contains(got, file+": new or changed") != (file != "") {
			t.Errorf("of %s is told %q", dir, got)
		}
	}
}

// A home without git's configuration has one only as long as a session needs it.
func TestPlaceholders(t *testing.T) {
	h := home(t)
	t.Setenv("HOME", h)
	os.Unsetenv("GIT_CONFIG_GLOBAL") // t.Setenv has noted what it was
	if err := os.Remove(h + "/.gitconfig"); err != nil {
		t.Fatal(err)
	}
	since := settled(t, h)
	dirs, _ := mustAsk(t, h)
	same(t, "locks", dirs[0].Lock, ".config/git/config", ".gitconfig")
	both := []string{h + "/.gitconfig", h + "/.config/git/config"}
	same(t, "placeholders", Placeholders([]string{h}), both...)
	same(t, "placeholders elsewhere", Placeholders([]string{h + "/.config/x", "/etc"}))
	for _, line := range changesOf(t, h, since, nil) {
		if strings.Contains(line, "onfig:") {
			t.Errorf("it tells of its own: %s", line)
		}
	}
	write(t, h+"/.config/git/config", placeholder+"[user]\n\tname = x\n")
	same(t, "placeholders", Placeholders([]string{h}), h+"/.gitconfig")
	write(t, h+"/.config/git/config", placeholder)
	if err := RemovePlaceholders(both); err != nil {
		t.Error(err)
	}
	if err := RemovePlaceholders(both); err != nil {
		t.Errorf("once more: %v", err)
	}
	for _, name := range append(both, h+"/.config/git") {
		if exists(name) {
			t.Errorf("%s is left", name)
		}
	}
}
