package project

import (
	"bytes"
	"context"
	"crypto/sha1"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// prompt does what a person and their prompt do at once, everywhere in a directory,
// and says whether it ran the agent's program.
func prompt(t *testing.T, ws string) bool {
	t.Helper()
	mark := filepath.Dir(ws) + "/marker"
	_ = os.Remove(mark)
	err := filepath.WalkDir(ws, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		if strings.HasPrefix(d.Name(), ".git") {
			return fs.SkipDir
		}
		for _, args := range [][]string{{"status"}, {"commit", "--dry-run"}, {"diff"}, {"log"}} {
			cmd := exec.Command("git", args...)
			cmd.Dir = name
			_ = cmd.Run() // it may fail, as long as it runs nothing
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return exists(mark)
}

// config runs something that leaves a mark for prompt.
func config(ws, more string) string {
	return "[core]\n\trepositoryformatversion = 0\n\tfsmonitor = \"touch " + filepath.Dir(ws) + "/marker; false\"\n" + more
}

// evil makes a repository that runs something.
func evil(t *testing.T, ws, dir string) {
	t.Helper()
	repo(t, dir)
	write(t, dir+"/.git/config", config(ws, ""))
}

func gitlink(t *testing.T, ws, name string) {
	t.Helper()
	gitIn(t, ws, "update-index", "--add", "--cacheinfo", "160000,"+gitIn(t, ws, "rev-parse", "HEAD")+","+name)
}

// rawIndex puts a name into an index that git would not, in the place of "placeholder…",
// of the same length.
func rawIndex(t *testing.T, index, name string) {
	t.Helper()
	sign(t, index, bytes.Repeat([]byte("X"), len(name)), []byte(name))
}

// sign replaces something in an index.
func sign(t *testing.T, index string, from, to []byte) {
	t.Helper()
	text, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, from) {
		t.Fatalf("no %q in the index", from)
	}
	text = bytes.Replace(text[:len(text)-sha1.Size], from, to, 1)
	sum := sha1.Sum(text)
	write(t, index, string(append(text, sum[:]...)))
}

func disarm(t *testing.T, ws string, since time.Time, known []string) (disarmed, changes []string) {
	t.Helper()
	done, rest, _, err := Disarm(t.Context(), []string{ws}, since, nil, known)
	if err != nil {
		t.Error(err)
	}
	for _, c := range done {
		disarmed = append(disarmed, strings.ReplaceAll(c.String(), ws+"/", ""))
	}
	for _, c := range rest {
		changes = append(changes, strings.ReplaceAll(c.String(), ws+"/", ""))
	}
	return disarmed, changes
}

func TestDisarm(t *testing.T) {
	for name, c := range trapTests {
		for _, isKnown := range []bool{true, false} {
			if !isKnown && c.blind {
				continue
			}
			t.Run(name+map[bool]string{true: "", false: ", not known"}[isKnown], func(t *testing.T) {
				ws := mkdir(t, home(t)+"/ws")
				if c.before == nil {
					repo(t, ws)
				} else {
					c.before(t, ws)
				}
				_, found := mustAsk(t, ws)
				known := found.Repositories
				if !isKnown {
					known = nil
				}
				since := settled(t, filepath.Dir(ws))
				c.after(t, ws)
				if fires := prompt(t, ws); fires == c.dead {
					t.Fatalf("before: it runs: %v", fires)
				}
				got, _ := disarm(t, ws, since, known)
				if len(got) != len(c.want) {
					t.Errorf("got %q", got)
				}
				for i := range min(len(got), len(c.want)) {
					if !strings.Contains(got[i], c.want[i]) || strings.ContainsAny(got[i], "\x1b\n") {
						t.Errorf("got %q, want %q", got[i], c.want[i])
					}
				}
				if prompt(t, ws) {
					t.Error("it runs afterwards")
				}
				if c.before == nil && name != "the top made bare" {
					gitIn(t, ws, "status")
				}
				// There is nothing left to do, and the next session begins.
				again, _ := disarm(t, ws, since, known)
				same(t, "again", again)
				mustAsk(t, ws)
				// The way back is the one that is told.
				for _, line := range got {
					_, command, ok := strings.Cut(line, "back with: ")
					if !ok {
						t.Errorf("no way back in %q", line)
					}
					cmd := exec.Command("bash", "-c", command)
					cmd.Dir = ws
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Errorf("%s: %v %s", command, err, out)
					}
				}
				if !c.once && prompt(t, ws) == c.dead {
					t.Error("it is not as it was")
				}
			})
		}
	}
}

// What is new and runs nothing goes on working.
func TestDisarmLeavesAlone(t *testing.T) {
	for _, isKnown := range []bool{true, false} {
		h := home(t)
		ws := repo(t, h+"/ws")
		repo(t, ws+"/old")
		repo(t, h+"/inner")
		repo(t, h+"/sub")
		gitIn(t, h+"/sub", "submodule", "--quiet", "add", h+"/inner", "in")
		gitIn(t, h+"/sub", "commit", "-q", "-m", "in")
		gitIn(t, ws, "config", "core.hooksPath", ".husky/_")
		gitIn(t, ws, "config", "core.editor", "vim")
		write(t, ws+"/.husky/_/pre-commit", "")
		write(t, ws+"/.husky/pre-commit", "")
		_, found := mustAsk(t, ws)
		known := found.Repositories
		if !isKnown {
			known = nil
		}
		since := settled(t, h)
		gitIn(t, ws, "worktree", "add", "-q", "wt/a")
		gitIn(t, ws+"/old", "worktree", "add", "-q", "../wt/b")
		gitIn(t, ws, "submodule", "--quiet", "add", h+"/sub", "lib")
		gitIn(t, ws, "submodule", "--quiet", "update", "--init", "--recursive")
		mkdir(t, ws+"/n")
		gitIn(t, ws+"/n", "init", "-q", "a")
		gitIn(t, ws+"/n", "clone", "-q", h+"/inner", "b")
		gitIn(t, ws+"/n", "clone", "-q", "--recurse-submodules", h+"/sub", "c")
		gitIn(t, ws+"/n", "clone", "-q", "--bare", h+"/inner", "d.git")
		gitIn(t, ws+"/n", "clone", "-q", "--separate-git-dir=e.git", h+"/inner", "e")
		gitIn(t, ws+"/n/b", "worktree", "add", "-q", "../b2")
		gitIn(t, ws+"/n/b", "config", "core.pager", "cat")
		gitIn(t, ws+"/n/b", "config", "filter.lfs.clean", "git-lfs clean -- %f")
		gitIn(t, ws+"/n/b", "config", "user.name", `A "B" C`)
		write(t, ws+"/n/b/.git/hooks/pre-push", "#!/bin/sh\ncommand -v git-lfs >/dev/null 2>&1 || { printf >&2 \"\\n%s\\n\\n\" \"This repository is configured for Git LFS but 'git-lfs' was not found on your path.\"; exit 2; }\ngit lfs pre-push \"$@\"\n")
		gitIn(t, ws+"/n/b", "rebase", "-q", "HEAD")
		if got, _ := disarm(t, ws, since, known); got != nil {
			t.Errorf("known %v: %q", isKnown, got)
		}
		for _, dir := range []string{"", "wt/a", "wt/b", "lib", "lib/in", "n/a", "n/b", "n/b2", "n/c", "n/c/in", "n/e", "old"} {
			gitIn(t, ws+"/"+dir, "status")
		}
		if left, err := filepath.Glob(ws + "/*/*" + aside); err != nil || left != nil {
			t.Error(left, err)
		}
	}
}

// By links and names of files that it would not make itself, git of the person's
// writes where no agent may.
func TestDisarmWrites(t *testing.T) {
	for name, c := range map[string]struct {
		after func(t *testing.T, ws string)
		then  []string
		want  string
	}{
		"the message": {
			func(t *testing.T, ws string) {
				_ = os.Remove(ws + "/.git/COMMIT_EDITMSG")
				symlink(t, "../../victim", ws+"/.git/COMMIT_EDITMSG")
			},
			[]string{"commit", "-q", "--allow-empty", "-m", "evil"},
			".git/COMMIT_EDITMSG: a symbolic link, by which git would write to ../../victim: put aside",
		},
		"a file of the index": {
			func(t *testing.T, ws string) {
				blob := filepath.Dir(ws) + "/blob"
				write(t, blob, "evil")
				gitIn(t, ws, "update-index", "--add", "--cacheinfo", "100644,"+gitIn(t, ws, "hash-object", "-w", blob)+","+strings.Repeat("X", len("../victim")))
				rawIndex(t, ws+"/.git/index", "../victim")
			},
			[]string{"checkout", "."},
			".git/index: has an index",
		},
		"a hook by the index": {
			func(t *testing.T, ws string) {
				blob := filepath.Dir(ws) + "/blob"
				write(t, blob, "evil")
				gitIn(t, ws, "update-index", "--add", "--cacheinfo", "100644,"+gitIn(t, ws, "hash-object", "-w", blob)+","+strings.Repeat("X", len(".git/hooks/x")))
				rawIndex(t, ws+"/.git/index", ".git/hooks/x")
			},
			[]string{"checkout", "."},
			".git/index: has an index",
		},
	} {
		for _, disarms := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				h := home(t)
				ws := repo(t, h+"/ws")
				_, found := mustAsk(t, ws)
				since := settled(t, h)
				c.after(t, ws)
				if disarms {
					got, _ := disarm(t, ws, since, found.Repositories)
					if len(got) != 1 || !strings.Contains(got[0], c.want) {
						t.Errorf("%q", got)
					}
				}
				_ = exec.Command("git", append([]string{"-C", ws}, c.then...)...).Run()
				if wrote := exists(h+"/victim") || exists(ws+"/.git/hooks/x"); wrote == disarms {
					t.Errorf("disarmed %v, written %v", disarms, wrote)
				}
			})
		}
	}
}

// What cannot be looked through all is looked at where git goes.
func TestDisarmInAHurry(t *testing.T) {
	h := home(t)
	ws := repo(t, h+"/ws")
	_, found := mustAsk(t, ws)
	since := settled(t, h)
	evil(t, ws, ws+"/a/b/evil")
	gitlink(t, ws, "a/b/evil")
	evil(t, ws, ws+"/.git/info/x") // not reached
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if !prompt(t, ws) {
		t.Fatal("it does not run")
	}
	done, _, _, err := Disarm(ctx, []string{ws}, since, nil, found.Repositories)
	refused(t, err, "context canceled")
	if len(done) != 1 || prompt(t, ws) {
		t.Error(done)
	}
}

// The agent may do to modes what the person may; root would not notice.
func TestDisarmModes(t *testing.T) {
	if os.Geteuid() == 0 {
		self, err := os.Open("/proc/self/exe")
		if err != nil {
			t.Fatal(err)
		}
		defer self.Close()
		tmp := t.TempDir()
		for dir := tmp; dir != os.TempDir(); dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("/proc/self/fd/3", "-test.run=^TestDisarmModes$", "-test.timeout=60s")
		cmd.ExtraFiles = []*os.File{self}
		cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	for name, modes := range map[string]map[string]os.FileMode{
		"only to pass":         {"a": 0o111, "a/evil": 0o311, "a/evil/.git": 0o311},
		"not to be written":    {"a/evil": 0o555, "a/evil/.git": 0o555},
		"hooks only to pass":   {"a/evil/.git/hooks": 0o111, "a/evil/.git/config": 0o600},
		"the top only to pass": {".": 0o111},
	} {
		t.Run(name, func(t *testing.T) {
			h := home(t)
			ws := repo(t, h+"/ws")
			_, found := mustAsk(t, ws)
			since := settled(t, h)
			evil(t, ws, ws+"/a/evil")
			gitlink(t, ws, "a/evil")
			t.Cleanup(func() { _ = exec.Command("chmod", "-R", "u+rwx", ws).Run() })
			for _, dir := range slices.Backward(sortedKeys(modes)) {
				if err := os.Chmod(ws+"/"+dir, modes[dir]); err != nil {
					t.Fatal(err)
				}
			}
			run := func() bool {
				_ = os.Remove(h + "/marker")
				cmd := exec.Command("git", "-C", ws, "status")
				_ = cmd.Run()
				return exists(h + "/marker")
			}
			if !run() {
				t.Fatal("it does not run")
			}
			if got, _ := disarm(t, ws, since, found.Repositories); len(got) != 1 {
				t.Errorf("%q", got)
			}
			if run() {
				t.Error("it runs")
			}
			for dir, mode := range modes {
				if fi, err := os.Stat(ws + "/" + dir); err == nil && fi.Mode().Perm() != mode {
					t.Errorf("%s has mode %o", dir, fi.Mode().Perm())
				}
			}
		})
	}
}

func sortedKeys(m map[string]os.FileMode) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Beside traps, Disarm tells what Changes does, and more.
func TestDisarmTells(t *testing.T) {
	h := home(t)
	ws := repo(t, h+"/ws")
	repo(t, ws+"/r")
	_, found := mustAsk(t, ws)
	since := settled(t, h)
	evil(t, ws, ws+"/evil")
	write(t, ws+"/.envrc", "")
	gitIn(t, ws, "branch", "mise.toml")
	write(t, ws+"/.git/rebase-merge/git-rebase-todo", "pick 1\nexec evil\n")
	write(t, ws+"/r/.git/HEAD", "")
	_, got := disarm(t, ws, since, found.Repositories)
	same(t, "changes", got, ".envrc: new or changed",
		".git/rebase-merge/git-rebase-todo: an unfinished rebase, which runs programs when you go on with it",
		"r/.git/: git does not take this for a repository any more, and uses what is around it: look at HEAD")
	if _, _, _, err := Disarm(t.Context(), []string{h + "/missing"}, since, nil, nil); err == nil {
		t.Error("no error")
	}
}

func TestArms(t *testing.T) {
	for line, want := range map[string]bool{
		"core.fsmonitor=x": true, "core.fsmonitor=true": false, "core.pager=cat": false, "core.pager=sh": true,
		"core.hookspath=/dev/null": false, "core.hookspath=h": true, "alias.st=submodule foreach x": true,
		"remote.o.url=https://x": false, "remote.o.url=ext::x": true, "remote.o.uploadpack=x": true, "remote.o.vcs=ext": true,
		"branch.m.remote=ext::x": true, "url.ext::x.insteadof=y": true, "protocol.ext.allow=always": true, "protocol.file.allow=always": false,
		"submodule.x.update=merge": false, "submodule.x.update=!x": true, "includeif.x.path=y": true, "user.name=x": false,
		"filter.lfs.smudge=git-lfs smudge -- %f": false, "filter.lfs.smudge=x": true, "filter.x.required=true": false,
		"pager.log=false": false, "pager.log=x": true, "credential.helper=store": false, "credential.helper=store --file=x": true,
		"remote.x.annex-ssh-options=x": true, "tig.color=x": true, "rebase.instructionformat=%n": true,
	} {
		key, value, _ := strings.Cut(line, "=")
		if got := (setting{key: key, value: value}).arms(); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}

// What is read without git is as git reads it.
func TestSimple(t *testing.T) {
	home(t)
	for text, ok := range map[string]bool{
		"":                                 true,
		"[core]\n\tx = y z\n\tb\n#c\n;d\n": true,
		"[Remote \"A b\"]\n\tURL=  x  \n\t e-f =\n": true,
		"[core] x=y\n":         false,
		"[core]\nx = \"y\"\n":  false,
		"[core]\nx = y\\\nz\n": false,
		"[core]\nx = y # z\n":  false,
		"[core.a]\nx = y\n":    false,
		"x = y\n":              false,
		"[core]\r\nx = y\n":    false,
		"\ufeff[core]\nx = y":  false,
		"[a \"b]\"]\nx = y\n":  false,
		"[core]\n\v x = y\n":   false,
	} {
		got, isOK := simple(text)
		if isOK != ok {
			t.Errorf("%q: %v", text, isOK)
		}
		if !isOK {
			continue
		}
		out, err := git(t.Context(), text, "config", "--file", "-", "--null", "--list", "--show-origin")
		if err != nil {
			t.Fatal(err)
		}
		var want []setting
		if len(out) > 0 {
			want = parse(out, false)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, git says %q", text, got, want)
		}
	}
}

// A linked worktree that no index names is one as git and agents make them, whatever the settings of
// its repository run.
func TestLinkedWorktreeIsLeftAlone(t *testing.T) {
	ws := repo(t, home(t)+"/ws")
	gitIn(t, ws, "config", "core.hooksPath", ".husky")
	_, found := mustAsk(t, ws)
	since := settled(t, filepath.Dir(ws))
	gitIn(t, ws, "worktree", "add", "-q", "trees/w")
	if got, _ := disarm(t, ws, since, found.Repositories); got != nil {
		t.Errorf("%q", got)
	}
}
