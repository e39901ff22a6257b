package project

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What configuration names is locked, beside what every repository has.
func TestConfigured(t *testing.T) {
	always := []string{".git/config", ".git/hooks", ".git/commondir"}
	for name, c := range map[string]struct {
		make func(t *testing.T, h, ws string) // in a repository that is there
		want []string                         // more locks
		note string
	}{
		"an include": {
			func(t *testing.T, h, ws string) {
				write(t, ws+"/.gitconfig", "[alias]\n\tx = status\n")
				gitIn(t, ws, "config", "include.path", "../.gitconfig")
			},
			[]string{".gitconfig"}, "/ws/.gitconfig: git uses it as you (include.path in ",
		},
		"an include of an include, in the home": {
			func(t *testing.T, h, ws string) {
				write(t, h+"/more", "[include]\n\tpath = ws/a\n")
				write(t, ws+"/a", "[include]\n\tpath = b\n")
				write(t, ws+"/b", "[core]\n\teditor = ~/ws/ed -w\n")
				write(t, ws+"/ed", "")
				gitIn(t, ws, "config", "--global", "include.path", "~/more")
			},
			[]string{"a", "b", "ed"}, "/ws/ed: git uses it as you (core.editor in ",
		},
		"on a branch that is not checked out, in a branch's": {
			func(t *testing.T, h, ws string) {
				write(t, ws+"/a", "[includeIf \"onbranch:y\"]\n\tpath = b\n")
				write(t, ws+"/b", "[core]\n\thooksPath = my-hooks\n")
				gitIn(t, ws, "config", "includeIf.onbranch:x.path", ws+"/a")
			},
			[]string{"a", "b", "my-hooks"}, "made ",
		},
		"on a condition, in the home": {
			func(t *testing.T, h, ws string) {
				write(t, ws+"/a", "")
				gitIn(t, ws, "config", "--global", "includeIf.gitdir:/nowhere/.path", "ws/a")
			},
			[]string{"a"}, "",
		},
		"includes of what is not the agent's": {
			func(t *testing.T, h, ws string) {
				gitIn(t, ws, "config", "include.path", "/nowhere/at/all")
				gitIn(t, ws, "config", "--add", "include.path", "~/missing")
			},
			nil, "",
		},
		"hooks in the work tree": {
			func(t *testing.T, h, ws string) {
				write(t, ws+"/.githooks/pre-commit", "")
				gitIn(t, ws, "config", "core.hooksPath", ".githooks")
			},
			[]string{".githooks"}, "the agent may not write ",
		},
		"hooks from the home, none there yet": {
			func(t *testing.T, h, ws string) { gitIn(t, ws, "config", "--global", "core.hooksPath", ".githooks") },
			[]string{".githooks"}, "made ",
		},
		"hooks from the home, by their full name": {
			func(t *testing.T, h, ws string) { gitIn(t, ws, "config", "--global", "core.hooksPath", "~/ws/x/y") },
			[]string{"x/y"}, "made ",
		},
		"husky": {
			func(t *testing.T, h, ws string) {
				write(t, ws+"/.husky/_/pre-commit", "")
				write(t, ws+"/.husky/pre-commit", "")
				gitIn(t, ws, "config", "core.hooksPath", ".husky/_")
			},
			[]string{".husky"}, "/ws/.husky: git uses it as you",
		},
		"hooks elsewhere": {
			func(t *testing.T, h, ws string) { gitIn(t, ws, "config", "core.hooksPath", "/dev/null") },
			nil, "",
		},
		"a filter": {
			func(t *testing.T, h, ws string) {
				write(t, ws+"/tools/clean.py", "")
				gitIn(t, ws, "config", "filter.x.clean", `sh -c 'python3 "$HOME"/ws/tools/clean.py --x=1 %f'`)
			},
			[]string{"tools/clean.py"}, "",
		},
		"a filter with a space": {
			func(t *testing.T, h, ws string) {
				write(t, ws+"/my tools/clean", "")
				gitIn(t, ws, "config", "filter.x.process", h+"/ws/my tools/clean")
			},
			[]string{"my tools/clean"}, "",
		},
		"a filter that is not there": {
			func(t *testing.T, h, ws string) { gitIn(t, ws, "config", "filter.x.clean", "./nope --flag/x y") },
			nil, "/ws/nope, which does not exist: the agent could make it",
		},
		"a filter that is a directory": {
			func(t *testing.T, h, ws string) {
				mkdir(t, ws+"/tools/clean")
				gitIn(t, ws, "config", "filter.x.clean", "node ./tools/clean")
			},
			[]string{"tools/clean"}, "",
		},
		"many kinds": {
			func(t *testing.T, h, ws string) {
				for i, key := range []string{"core.fsmonitor", "core.sshCommand", "diff.x.textconv", "diff.external", "merge.x.driver",
					"gpg.ssh.program", "credential.https://x.helper", "trailer.x.command", "pager.log", "sequence.editor", "mergetool.x.cmd"} {
					name := "t" + string(rune('a'+i))
					write(t, ws+"/"+name, "")
					gitIn(t, ws, "config", key, "./"+name+" arg")
				}
				mkdir(t, ws+"/template")
				gitIn(t, ws, "config", "init.templateDir", h+"/ws/template")
			},
			[]string{"ta", "tb", "tc", "td", "te", "tf", "tg", "th", "ti", "tj", "tk", "template"}, "",
		},
		"an alias": {
			func(t *testing.T, h, ws string) {
				write(t, ws+"/run", "")
				write(t, ws+"/file2", "")
				mkdir(t, ws+"/src")
				symlink(t, "file2", ws+"/file3")
				gitIn(t, ws, "config", "alias.a", "!cd src/ && ./run . && cat file3")
				gitIn(t, ws, "config", "alias.b", "show file2")
			},
			[]string{"run"}, "/ws/file3, a symbolic link",
		},
		"nothing that is run": {
			func(t *testing.T, h, ws string) {
				write(t, ws+"/name", "")
				gitIn(t, ws, "config", "user.name", "name")
				gitIn(t, ws, "config", "remote.x.url", "./name")
				gitIn(t, ws, "config", "commit.template", "name")
			},
			nil, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := home(t)
			c.make(t, h, repo(t, h+"/ws"))
			dirs, found := mustAsk(t, h+"/ws")
			same(t, "locks", dirs[0].Lock, slices.Concat(always, c.want)...)
			if c.note != "" {
				hasLine(t, found.Notes, c.note)
			} else if len(c.want) == 0 {
				same(t, "notes", found.Notes)
			}
			for _, line := range found.Notes {
				if strings.Contains(line, "\n") {
					t.Errorf("more than a line: %q", line)
				}
			}
		})
	}
}

func TestConfiguredRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, h, ws string)
		want []string
	}{
		"an include that is not there": {
			func(t *testing.T, h, ws string) { gitIn(t, ws, "config", "include.path", "../.gitconfig") },
			[]string{"include.path in ", "/ws/.git/config names ", "/ws/.gitconfig, which does not exist", "make it yourself, or remove the line"},
		},
		"an include that is not there, in the home, on a condition": {
			func(t *testing.T, h, ws string) {
				gitIn(t, ws, "config", "--global", "includeIf.onbranch:x.path", "ws/.gitconfig")
			},
			[]string{"includeif.onbranch:x.path in ", "/.gitconfig names ", "/ws/.gitconfig, which does not exist"},
		},
		"an include that is a link": {
			func(t *testing.T, h, ws string) {
				write(t, h+"/common", "")
				symlink(t, "../common", ws+"/conf")
				gitIn(t, ws, "config", "include.path", "../conf")
			},
			[]string{"include.path in ", "leads through ", "/ws/conf, a symbolic link"},
		},
		"hooks through a link": {
			func(t *testing.T, h, ws string) {
				symlink(t, "/usr", ws+"/link")
				gitIn(t, ws, "config", "core.hooksPath", "link/hooks")
			},
			[]string{"core.hookspath in ", "leads through ", "/ws/link, a symbolic link"},
		},
		"the work tree is the hooks": {
			func(t *testing.T, h, ws string) { gitIn(t, ws, "config", "--global", "core.hooksPath", ws) },
			[]string{"/ws is what git runs", "share another directory"},
		},
		"a filter that is a link": {
			func(t *testing.T, h, ws string) {
				symlink(t, "../x/cli.js", ws+"/node_modules/.bin/x")
				write(t, ws+"/node_modules/x/cli.js", "")
				gitIn(t, ws, "config", "filter.x.clean", "node_modules/.bin/x %f")
			},
			[]string{"filter.x.clean in ", "leads through ", "/node_modules/.bin/x, a symbolic link", "name ", "/ws/node_modules/x/cli.js itself"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := home(t)
			c.make(t, h, repo(t, h+"/ws"))
			_, _, err := ask(t, h+"/ws")
			refused(t, err, c.want...)
		})
	}
}

// Configuration of the repository that a workspace is a part of counts.
func TestConfiguredAround(t *testing.T) {
	h := home(t)
	r := repo(t, h+"/repo")
	write(t, r+"/ws/tools/clean", "")
	write(t, r+"/ws/check", "")
	symlink(t, "../../ws/check", r+"/.git/hooks/pre-commit")
	gitIn(t, r, "config", "filter.x.clean", "ws/tools/clean")
	gitIn(t, r, "config", "core.hooksPath", "ws/hooks")
	dirs, _ := mustAsk(t, r+"/ws")
	same(t, "locks", dirs[0].Lock, "check", "hooks", "tools/clean")
}

// A linked worktree has the hooks of its own checkout.
func TestConfiguredWorktree(t *testing.T) {
	h := home(t)
	r := repo(t, h+"/repo")
	gitIn(t, r, "worktree", "add", "-q", "../ws")
	gitIn(t, r, "config", "core.hooksPath", ".githooks")
	gitIn(t, r, "config", "extensions.worktreeConfig", "true")
	write(t, h+"/ws/ed", "")
	gitIn(t, h+"/ws", "config", "--worktree", "core.editor", "./ed")
	dirs, found := mustAsk(t, h+"/ws")
	same(t, "locks", dirs[0].Lock, ".git", ".githooks", "ed")
	same(t, "locks of git's", found.Dirs[0].Lock, "commondir", "config", "config.worktree", "hooks",
		"worktrees/ws/commondir", "worktrees/ws/config.worktree", "worktrees/ws/gitdir")
	if _, err := os.Stat(r + "/.githooks"); err == nil {
		t.Error("made a directory in what is not shared")
	}
}

// Asking runs nothing that is configured.
func TestNothingIsRun(t *testing.T) {
	h := home(t)
	r := repo(t, h+"/ws")
	proof := h + "/proof"
	write(t, h+"/evil", "#!/bin/sh\ntouch "+proof+"\n")
	write(t, r+"/.gitattributes", "* filter=x diff=x\n")
	for _, key := range []string{"core.fsmonitor", "core.pager", "pager.config", "core.editor", "filter.x.clean", "filter.x.smudge",
		"diff.external", "alias.config", "credential.helper", "core.sshCommand"} {
		gitIn(t, r, "config", key, h+"/evil")
	}
	_, found := mustAsk(t, r)
	if _, _, err := Changes(t.Context(), []string{r}, before(), nil, found.Repositories); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(proof); err == nil {
		t.Error("something was run")
	}
	gitIn(t, r, "status") // it can fail
	if _, err := os.Stat(proof); err != nil {
		t.Errorf("the trap does not work: %v", err)
	}
}

// Without git, all that needs no understanding works.
func TestWithoutGit(t *testing.T) {
	h := home(t)
	r := repo(t, h+"/ws")
	gitIn(t, r, "config", "remote.origin.url", "https://example.org/x")
	t.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
	path := os.Getenv("PATH")
	t.Setenv("PATH", h)
	dirs, found := mustAsk(t, r)
	same(t, "locks", dirs[0].Lock, ".git/config", ".git/hooks", ".git/commondir")
	same(t, "environment", found.Env[:1], "GIT_CONFIG_COUNT=5")

	before, err := os.ReadFile(r + "/.git/config")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"core.hooksPath x", "include.path x", "filter.x.clean y", "remote.x.url ext::y", "extensions.worktreeConfig true"} {
		t.Setenv("PATH", path)
		key, value, _ := strings.Cut(line, " ")
		gitIn(t, r, "config", key, value)
		t.Setenv("PATH", h)
		_, _, err := ask(t, r)
		refused(t, err, filepath.Join(r, ".git/config"), "cannot be understood without git", "install git")
		write(t, r+"/.git/config", string(before))
	}
}

func TestPlain(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]bool{
		"":                                      true,
		"# x\n[core]\n\tbare = false\n":         true,
		"[Core]\n\tBare\n":                      true,
		"[branch \"include\"]\n\tmerge = x\n":   true,
		"[core] editor = x\n":                   false,
		"[core]\n\teditor = x\n":                false,
		"[core]\n\tbare = a\\\n[include]\n":     false,
		"[include \"x\"]\n":                     false,
		"[branch \"x]y\"]\n":                    false,
		"[include]\n":                           false,
		"[branch.x]\n":                          false,
		"[remote \"x\"]\n\turl = ext::x\n":      false,
		"[remote \"x\"]\n\tuploadpack = x\n":    false,
		"\xef\xbb\xbf[include]\n":               false,
		"bare = x\n":                            false,
		"[core]\rbare = 1\r[include]\rpath=x\r": false,
	} {
		write(t, dir+"/config", text)
		if line, ok := plain(dir + "/config"); ok != want {
			t.Errorf("%q: %q %v", text, line, ok)
		}
	}
}

func TestWords(t *testing.T) {
	t.Setenv("HOME", "/home/op")
	for value, want := range map[string]string{
		"!a b":                       "a b|a|b",
		`sh -c '${HOME}/x "$@"' -`:   `sh -c '/home/op/x "$@"' -|sh|-c|/home/op/x|$@|-`,
		`"$HOME"/a\ b`:               `"/home/op"/a\ b|/home/op/a|b|/home/op|/a`,
		"X=./y z":                    "X=./y z|X|./y|z",
		"ext::./p %S":                "./p %S|./p|%S",
		"/with space/x":              "/with space/x|/with|space/x",
		"if a; then ./b; fi >c 2>&1": "if a; then ./b; fi >c 2>&1|if|a|then|./b|fi|c|2|1",
	} {
		if got := strings.Join(words(value), "|"); got != want {
			t.Errorf("%s: %s", value, got)
		}
	}
}
