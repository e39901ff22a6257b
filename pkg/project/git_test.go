package project

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNoRepository(t *testing.T) {
	h := home(t)
	mkdir(t, h+"/ws/a/b")
	dirs, found := mustAsk(t, h+"/ws")
	same(t, "locks", dirs[0].Lock)
	same(t, "notes", found.Notes)
	for _, want := range []string{
		"GIT_AUTHOR_NAME=Olga Op", "GIT_AUTHOR_EMAIL=olga@example.org", "GIT_COMMITTER_NAME=Olga Op", "GIT_COMMITTER_EMAIL=olga@example.org",
		"GIT_CONFIG_COUNT=5", "GIT_CONFIG_KEY_0=gc.worktreePruneExpire", "GIT_CONFIG_VALUE_0=never",
	} {
		if !slices.Contains(found.Env, want) {
			t.Errorf("no %s in %q", want, found.Env)
		}
	}
}

func TestIdentity(t *testing.T) {
	for name, c := range map[string]struct {
		environ  []string
		settings []setting
		want     []string
	}{
		"none": {},
		"the environment wins": {
			[]string{"GIT_AUTHOR_NAME=A"}, []setting{{key: "user.name", value: "U"}},
			[]string{"GIT_AUTHOR_NAME=A", "GIT_COMMITTER_NAME=U"},
		},
		"the last one counts": {
			nil, []setting{{key: "user.email", value: "1"}, {key: "user.email", value: "2"}},
			[]string{"GIT_AUTHOR_EMAIL=2", "GIT_COMMITTER_EMAIL=2"},
		},
		"one of them only": {
			[]string{"EMAIL=e"}, []setting{{key: "author.name", value: "A"}, {key: "author.email", value: "a"}},
			[]string{"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a", "GIT_COMMITTER_EMAIL=e"},
		},
	} {
		if got := identity(c.environ, c.settings); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// The identity is that of the first directory, not of another one's, nor of the
// repository that the person's environment names.
func TestIdentityOfTheFirstDirectory(t *testing.T) {
	h := home(t)
	a, b := repo(t, h+"/a"), repo(t, h+"/b")
	gitIn(t, a, "config", "user.name", "At Work")
	gitIn(t, b, "config", "user.name", "Not Me")
	t.Setenv("GIT_DIR", b+"/.git")
	_, found := mustAsk(t, a, b)
	if !slices.Contains(found.Env, "GIT_AUTHOR_NAME=At Work") {
		t.Errorf("%q", found.Env)
	}
}

func TestLocks(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, h string)
		want []string
	}{
		"plain": {
			func(t *testing.T, h string) { repo(t, h+"/ws") },
			[]string{".git/config", ".git/hooks", ".git/commondir"},
		},
		"nothing but the directory": {
			func(t *testing.T, h string) { mkdir(t, h+"/ws/.git") },
			[]string{".git/config", ".git/hooks", ".git/commondir"},
		},
		"deep, and with strange names": {
			func(t *testing.T, h string) { repo(t, h+"/ws/a b/c\n\x1b") },
			[]string{"a b/c\n\x1b/.git/config", "a b/c\n\x1b/.git/hooks", "a b/c\n\x1b/.git/commondir"},
		},
		"bare": {
			func(t *testing.T, h string) { gitIn(t, mkdir(t, h+"/ws"), "init", "-q", "--bare", "x.git") },
			[]string{"x.git/config", "x.git/hooks", "x.git/commondir"},
		},
		"bare, the workspace itself": {
			func(t *testing.T, h string) { gitIn(t, mkdir(t, h+"/ws"), "init", "-q", "--bare") },
			[]string{"config", "hooks", "commondir"},
		},
		"almost bare": {
			func(t *testing.T, h string) { write(t, h+"/ws/HEAD", ""); mkdir(t, h+"/ws/objects") },
			nil,
		},
		"a linked worktree beside": {
			func(t *testing.T, h string) { gitIn(t, repo(t, h+"/ws/r"), "worktree", "add", "-q", "../wt") },
			[]string{"r/.git/config", "r/.git/hooks", "r/.git/commondir", "wt/.git", "r/.git/worktrees/wt/commondir", "r/.git/worktrees/wt/gitdir"},
		},
		"configuration of each worktree": {
			func(t *testing.T, h string) {
				repo(t, h+"/ws/r")
				gitIn(t, h+"/ws/r", "worktree", "add", "-q", "../wt")
				gitIn(t, h+"/ws/r", "config", "extensions.worktreeConfig", "true")
			},
			[]string{"r/.git/config", "r/.git/hooks", "r/.git/commondir", "wt/.git", "r/.git/worktrees/wt/commondir", "r/.git/worktrees/wt/gitdir",
				"r/.git/config.worktree", "r/.git/worktrees/wt/config.worktree"},
		},
		"submodules, and theirs": {
			func(t *testing.T, h string) {
				repo(t, h+"/inner")
				repo(t, h+"/sub")
				gitIn(t, h+"/sub", "submodule", "--quiet", "add", h+"/inner", "in")
				gitIn(t, h+"/sub", "commit", "-q", "-m", "in")
				repo(t, h+"/ws")
				gitIn(t, h+"/ws", "submodule", "--quiet", "add", "--name", "a/b", h+"/sub", "lib")
				gitIn(t, h+"/ws", "submodule", "--quiet", "update", "--init", "--recursive")
			},
			[]string{".git/config", ".git/hooks", ".git/commondir", "lib/.git", "lib/in/.git",
				".git/modules/a/b/config", ".git/modules/a/b/hooks", ".git/modules/a/b/commondir",
				".git/modules/a/b/modules/in/config", ".git/modules/a/b/modules/in/hooks", ".git/modules/a/b/modules/in/commondir"},
		},
		"a repository in git's own directory": {
			func(t *testing.T, h string) { repo(t, h+"/ws"); repo(t, h+"/ws/.git/x") },
			[]string{".git/config", ".git/hooks", ".git/commondir", ".git/x/.git/config", ".git/x/.git/hooks", ".git/x/.git/commondir"},
		},
		"a hook that is elsewhere": {
			func(t *testing.T, h string) {
				repo(t, h+"/ws")
				write(t, h+"/ws/tools/check", "#!/bin/sh\n")
				symlink(t, "../../tools/check", h+"/ws/.git/hooks/pre-commit")
			},
			[]string{".git/config", ".git/hooks", ".git/commondir", "tools/check"},
		},
		"what the person keeps the configuration in": {
			func(t *testing.T, h string) {
				mkdir(t, h+"/ws")
				if err := os.Rename(h+"/.gitconfig", h+"/ws/gitconfig"); err != nil {
					t.Fatal(err)
				}
				symlink(t, "ws/gitconfig", h+"/.gitconfig")
			},
			[]string{"gitconfig"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := home(t)
			c.make(t, h)
			dirs, found := mustAsk(t, h+"/ws")
			same(t, "locks", dirs[0].Lock, c.want...)
			for _, rel := range dirs[0].Lock {
				if _, err := os.Lstat(filepath.Join(dirs[0].Path, rel)); err != nil {
					t.Errorf("locked, and not there: %v", err)
				}
			}
			if len(found.Dirs) > 0 {
				t.Errorf("further directories: %+v", found.Dirs)
			}
			// A second session finds the same.
			dirs, _ = mustAsk(t, h+"/ws")
			same(t, "locks of a second session", dirs[0].Lock, c.want...)
		})
	}
}

// What has to be made for its lock does not disturb git.
func TestGitStillWorks(t *testing.T) {
	h := home(t)
	repo(t, h+"/sub")
	r := repo(t, h+"/ws/r", "--template=")
	gitIn(t, r, "submodule", "--quiet", "add", h+"/sub", "lib")
	gitIn(t, r, "commit", "-q", "-m", "lib")
	gitIn(t, r, "worktree", "add", "-q", "../wt")
	gitIn(t, h+"/ws", "clone", "-q", "--bare", "r", "bare.git")
	gitIn(t, r, "config", "extensions.worktreeConfig", "true")
	mustAsk(t, h+"/ws")

	for _, dir := range []string{r, h + "/ws/wt"} {
		if out := gitIn(t, dir, "status", "--porcelain"); out != "" {
			t.Errorf("status in %s: %s", dir, out)
		}
		write(t, dir+"/file", "more in "+dir)
		gitIn(t, dir, "commit", "-q", "-a", "-m", "second")
		gitIn(t, dir, "branch", "b-"+filepath.Base(dir))
		gitIn(t, dir, "stash", "list")
	}
	if common := gitIn(t, r, "rev-parse", "--git-common-dir"); common != ".git" && common != r+"/.git" {
		t.Errorf("common directory: %s", common)
	}
	gitIn(t, r, "worktree", "add", "-q", "../wt2")
	gitIn(t, h+"/ws/wt2", "status")
	if out := gitIn(t, r, "worktree", "list", "--porcelain"); !strings.HasPrefix(out, "worktree "+r+"\n") || strings.Count(out, "worktree ") != 3 {
		t.Errorf("worktrees: %s", out)
	}
	gitIn(t, r, "worktree", "remove", "../wt2")
	if out := gitIn(t, r, "submodule", "status"); !strings.Contains(out, " lib (") {
		t.Errorf("submodules: %q", out)
	}
	gitIn(t, r+"/lib", "commit", "-q", "--allow-empty", "-m", "in the submodule")
	gitIn(t, r, "config", "remote.x.url", "/x")
	gitIn(t, r, "gc", "-q")
	gitIn(t, r, "fsck")
	gitIn(t, h+"/ws/bare.git", "gc", "-q")
	gitIn(t, r, "push", "-q", h+"/ws/bare.git", "HEAD:other")
	gitIn(t, h+"/ws", "clone", "-q", "bare.git", "again")
	gitIn(t, h+"/ws", "clone", "-q", "r", "once-more")
	gitIn(t, h+"/ws", "clone", "-q", "--shared", "wt", "from-wt")
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, ws string)
		want []string
	}{
		".git is a link": {
			func(t *testing.T, ws string) {
				repo(t, ws+"/real")
				if err := os.Rename(ws+"/real/.git", ws+"/store"); err != nil {
					t.Fatal(err)
				}
				symlink(t, "../store", ws+"/real/.git")
			},
			[]string{"/ws/real/.git is a symbolic link", "gitdir: ", "/ws/store"},
		},
		".git is a link to nothing": {
			func(t *testing.T, ws string) { symlink(t, "nothing", ws+"/.git") },
			[]string{"/ws/.git is a symbolic link"},
		},
		"config is a link": {
			func(t *testing.T, ws string) {
				repo(t, ws)
				if err := os.Rename(ws+"/.git/config", ws+"/.git/c"); err != nil {
					t.Fatal(err)
				}
				symlink(t, "c", ws+"/.git/config")
			},
			[]string{"/ws/.git/config is a symbolic link"},
		},
		"hooks is a link": {
			func(t *testing.T, ws string) {
				repo(t, ws, "--template=")
				symlink(t, "..", ws+"/.git/hooks")
			},
			[]string{"/ws/.git/hooks is a symbolic link"},
		},
		"a hook leads to nothing": {
			func(t *testing.T, ws string) {
				repo(t, ws)
				symlink(t, "../../check", ws+"/.git/hooks/pre-commit")
			},
			[]string{"pre-commit names ", "/ws/check, which does not exist"},
		},
		"a hook leads through a link": {
			func(t *testing.T, ws string) {
				repo(t, ws)
				write(t, ws+"/tools/check", "")
				symlink(t, "tools", ws+"/t")
				symlink(t, "../../t/check", ws+"/.git/hooks/pre-commit")
			},
			[]string{"pre-commit leads through ", "/ws/t, a symbolic link"},
		},
		"config has a second name": {
			func(t *testing.T, ws string) {
				repo(t, ws)
				if err := os.Link(ws+"/.git/config", ws+"/mine"); err != nil {
					t.Fatal(err)
				}
			},
			[]string{"/ws/.git/config has a second name"},
		},
		"a hook has a second name": {
			func(t *testing.T, ws string) {
				repo(t, ws)
				write(t, ws+"/.git/hooks/pre-commit", "")
				if err := os.Link(ws+"/.git/hooks/pre-commit", ws+"/mine"); err != nil {
					t.Fatal(err)
				}
			},
			[]string{"/ws/.git/hooks/pre-commit has a second name"},
		},
		"a .git file leads through a link": {
			func(t *testing.T, ws string) {
				mkdir(t, ws+"/store")
				gitIn(t, ws, "init", "-q", "--separate-git-dir", ws+"/store/x", "work")
				symlink(t, "store", ws+"/s")
				write(t, ws+"/work/.git", "gitdir: ../s/x\n")
			},
			[]string{"/ws/work/.git leads through ", "/ws/s, a symbolic link"},
		},
		"configuration that git does not understand": {
			func(t *testing.T, ws string) {
				repo(t, ws+"/x")
				write(t, ws+"/x/.git/config", "[core\n")
			},
			[]string{"bad config line 1", "/ws/x/.git/config"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := home(t)
			c.make(t, h+"/ws")
			_, _, err := ask(t, h+"/ws")
			refused(t, err, c.want...)
		})
	}
}

func TestTooManyRepositories(t *testing.T) {
	h := home(t)
	for i := range 200 {
		mkdir(t, filepath.Join(h, "ws", "some-directory-with-a-name", string(rune('a'+i%26)), string(rune('a'+i/26)), ".git"))
	}
	_, _, err := ask(t, h+"/ws")
	refused(t, err, h+"/ws: 200 git repositories are more than can be protected at a time: choose a directory further down")
}

func TestFurtherDirectories(t *testing.T) {
	for name, c := range map[string]struct {
		make  func(t *testing.T, h string) // makes h/ws
		dir   string                       // beneath h
		locks []string                     // in it
		note  []string
	}{
		"a linked worktree": {
			func(t *testing.T, h string) { gitIn(t, repo(t, h+"/repo"), "worktree", "add", "-q", "../ws") },
			"repo/.git", []string{"config", "hooks", "commondir", "worktrees/ws/commondir", "worktrees/ws/gitdir"},
			[]string{"git's directory ", "/repo/.git is visible too"},
		},
		"a submodule": {
			func(t *testing.T, h string) {
				repo(t, h+"/sub")
				repo(t, h+"/super")
				gitIn(t, h+"/super", "submodule", "--quiet", "add", h+"/sub", "lib")
				symlink(t, "super/lib", h+"/ws")
			},
			"super/.git/modules/lib", []string{"config", "hooks", "commondir"},
			[]string{"/super/.git/modules/lib is visible too"},
		},
		"another's": {
			func(t *testing.T, h string) {
				gitIn(t, repo(t, h+"/repo"), "worktree", "add", "-q", "../ws")
				if err := os.Chown(h+"/repo/.git", 65534, 65534); err != nil {
					t.Fatal(err)
				}
			},
			"", nil, []string{"git does not work in ", "/repo/.git is not yours"},
		},
		"gone": {
			func(t *testing.T, h string) {
				gitIn(t, repo(t, h+"/repo"), "worktree", "add", "-q", "../ws")
				if err := os.RemoveAll(h + "/repo"); err != nil {
					t.Fatal(err)
				}
			},
			"", nil, []string{"git does not work in ", "does not exist"},
		},
		// What an agent could have written into the workspace the last time.
		"a repository that knows nothing of it": {
			func(t *testing.T, h string) {
				repo(t, h+"/secret")
				write(t, h+"/ws/.git", "gitdir: "+h+"/secret/.git\n")
			},
			"", nil, []string{"git does not work in ", "names another work tree, or none", "-C "},
		},
		"another's worktree": {
			func(t *testing.T, h string) {
				gitIn(t, repo(t, h+"/secret"), "worktree", "add", "-q", "../wt")
				write(t, h+"/ws/.git", "gitdir: "+h+"/secret/.git/worktrees/wt\n")
			},
			"", nil, []string{"names another work tree"},
		},
		"another submodule": {
			func(t *testing.T, h string) {
				repo(t, h+"/sub")
				repo(t, h+"/super")
				gitIn(t, h+"/super", "submodule", "--quiet", "add", h+"/sub", "lib")
				write(t, h+"/ws/.git", "gitdir: "+h+"/super/.git/modules/lib\n")
			},
			"", nil, []string{"names another work tree"},
		},
		"a bare repository around its worktrees": {
			func(t *testing.T, h string) {
				repo(t, h+"/src")
				gitIn(t, h, "clone", "-q", "--bare", "src", "proj")
				gitIn(t, h+"/proj", "worktree", "add", "-q", "wt")
				symlink(t, "proj/wt", h+"/ws")
			},
			"", nil, []string{"around it; to share that: -C "},
		},
		"a part of a work tree": {
			func(t *testing.T, h string) {
				mkdir(t, repo(t, h+"/repo")+"/a/b")
				symlink(t, "repo/a/b", h+"/ws")
			},
			"", nil, []string{"/repo/a/b is part of the repository ", "/repo, which the agent does not see; to share it all: -C "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := home(t)
			c.make(t, h)
			dirs, found := mustAsk(t, h+"/ws")
			hasLine(t, found.Notes, c.note...)
			if len(found.Notes) != 1 {
				t.Errorf("notes: %q", found.Notes)
			}
			if c.dir == "" {
				if len(found.Dirs) > 0 {
					t.Errorf("further directories: %+v", found.Dirs)
				}
				return
			}
			same(t, "locks of the workspace", dirs[0].Lock, ".git")
			if len(found.Dirs) != 1 || found.Dirs[0].Path != filepath.Join(h, c.dir) || found.Dirs[0].ReadOnly {
				t.Fatalf("further directories: %+v", found.Dirs)
			}
			same(t, "locks", found.Dirs[0].Lock, c.locks...)
		})
	}
}

// A worktree of a shared repository outside of everything: its .git is not the
// agent's to point elsewhere.
func TestWorktreeOfWhatIsNotShared(t *testing.T) {
	h := home(t)
	gitIn(t, repo(t, h+"/repo"), "worktree", "add", "-q", "../ws/wt")
	dirs, found := mustAsk(t, h+"/ws")
	same(t, "locks", dirs[0].Lock, "wt/.git")
	hasLine(t, found.Notes, "git does not work in "+h+"/ws/wt", "is not shared")
	// Shared read-only, there is nothing to say, or to lock.
	dirs = open(t, h+"/ws", h+"/repo")
	dirs[1].ReadOnly = true
	found, err := Git(t.Context(), dirs)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "locks", dirs[0].Lock, "wt/.git")
	same(t, "locks of what is read-only", dirs[1].Lock)
	same(t, "notes", found.Notes)
}

// What is to be read only within a workspace cannot be moved away.
func TestReadOnlyWithin(t *testing.T) {
	h := home(t)
	repo(t, h+"/ws/a/vendor")
	dirs := open(t, h+"/ws", h+"/ws/a/vendor")
	dirs[1].ReadOnly = true
	if _, err := Git(t.Context(), dirs); err != nil {
		t.Fatal(err)
	}
	same(t, "locks", dirs[0].Lock, "a/vendor")
	same(t, "locks", dirs[1].Lock)
}

// What an agent has put where git keeps a worktree's way back must not make the client wait.
func TestWorkTreeOfAPipe(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, "gitdir"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := workTreeAt(dir); got != "" {
		t.Errorf("a pipe names %q", got)
	}
}
