package stage

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// bash runs a script in a directory with a repository, and others around it.
func bash(t *testing.T, dir, script string) {
	t.Helper()
	cmd := exec.Command("bash", "-euc", `
		export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x
		new() { git init -q "$1"; git -C "$1" commit -q --allow-empty -m first; }
		name() { git -C repo update-index --add --cacheinfo "160000,$(git -C repo rev-parse HEAD),$1"; }
		plain() { new "repo/$1"; name "$1"; }
		`+script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// watched is a directory with a repository that was there, as a guard has it.
func watched(t *testing.T, prepare string) (dir string, l *gitlinks) {
	t.Helper()
	dir = t.TempDir()
	bash(t, dir, "new repo; git -C repo worktree add -q ../wt; "+prepare)
	locks := map[string]bool{}
	for _, name := range []string{"repo/.git/config", "repo/.git/hooks", "repo/.git/worktrees/wt/commondir", "wt/.git"} {
		locks[dir+"/"+name] = true
	}
	l, err := newGitlinks(locks)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.round++
		l.forget()
		unix.Close(l.watches)
	})
	return dir, l
}

func TestGitlinks(t *testing.T) {
	const git = "repo/lib/.git"
	set := func(line string) string { return "plain lib; printf '" + line + "' >>" + git + "/config" }
	for _, test := range []struct{ name, do, want string }{ // want is what is to be put aside, if anything
		{"nothing", "true", ""},
		{"files", "echo >repo/a; git -C repo add a", ""},
		{"a repository that is not named", "new repo/lib; git -C repo/lib config core.fsmonitor x", ""},
		{"a plain one", "plain lib", ""},
		{"of another hash", "git init -q --object-format=sha256 repo/lib; name lib", ""},
		{"a clone", "git clone -q repo repo/lib; name lib", ""},
		{"a worktree", "git -C repo worktree add -q lib; name lib", ""},
		{"a submodule", "new sub; git -C repo -c protocol.file.allow=always submodule --quiet add ../sub lib", ""},
		{"deep", "plain a/b/c", ""},
		{"nothing there", "name lib", ""},
		{"a file there", "name lib; echo >repo/lib", ""},
		{"configured by people", set(`[user]\n\tname = Somebody Else ; me\n# more\n[branch "a-b/c"]\n\tremote = origin\n\tmerge = refs/heads/x\n[pull]\n  rebase=true\n`), ""},
		{"no configuration", "plain lib; rm " + git + "/config", ""},
		{"no hooks", "plain lib; rm -r " + git + "/hooks", ""},
		{"a .git file that is none", "name lib; mkdir repo/lib; echo x >" + git, ""},

		{"fsmonitor", set(`\tfsmonitor = x\n`), git},
		{"editor", set(`[core]\n\teditor = x\n`), git},
		{"of mixed case", set(`[CoRe]\n\tFsMonitor = x\n`), git},
		{"in one line", set(`[core] fsmonitor = x\n`), git},
		{"without a value", set(`[core]\n\tfsmonitor\n`), git},
		{"continued", set(`[user]\n\tname = x\\\\\n[core]fsmonitor=x\n`), git},
		{"continued key", set(`[core]\n\tfilemode = true\\\\\n`), git},
		{"quoted", set(`[user]\n\tname = "x\n`), git},
		{"a return", set(`[user]\r\tname = x\n`), git},
		{"a return before a setting", set(`[core]\n\tfilemode = true\r\r\tfsmonitor = x\n`), git},
		{"include", set(`[include]\n\tpath = ../../c\n`), git},
		{"conditional include", set(`[includeIf "gitdir:**"]\n\tpath = ../../c\n`), git},
		{"filter", set(`[filter "x"]\n\tclean = x\n`), git},
		{"alias", set(`[alias]\n\tst = !x\n`), git},
		{"hooksPath", set(`[core]\n\thooksPath = ../h\n`), git},
		{"another work tree", set(`[core]\n\tworktree = ../..\n`), git},
		{"per worktree", set(`[extensions]\n\tworktreeConfig = true\n`), git},
		{"partial clone", set(`[extensions]\n\tpartialClone = origin\n`), git},
		{"transport", set(`[remote "x"]\n\turl = ext::x\n`), git},
		{"in an old way", set(`[remote.origin]\n\turl = x\n`), git},
		{"too long", "plain lib; yes '#' | head -c 100000 >>" + git + "/config", git},
		{"configuration that is a link", "plain lib; mv " + git + "/config repo/c; ln -s ../../c " + git + "/config", git},
		{"configuration that is a pipe", "plain lib; rm " + git + "/config; mkfifo " + git + "/config", git},
		{"a hook", "plain lib; echo >" + git + "/hooks/x", git},
		{"hooks that are a link", "plain lib; rm -r " + git + "/hooks; ln -s ../../.. " + git + "/hooks", git},
		{"commondir", "plain lib; echo ../../../x >" + git + "/commondir", git},
		{"a .git link", "new x; mkdir repo/lib; ln -s ../../x/.git " + git + "; name lib", git},
		{"a link to a checkout", "new x; ln -s ../x repo/lib; name lib", "repo/lib"},
		{"a link on the way", "new x/lib; ln -s ../x repo/a; name a/lib", "repo/a"},
		{"a .git file that leads away", "new x; mkdir repo/lib; echo 'gitdir: ../../x/.git' >" + git + "; name lib", git},
		{"by way of another", "new x; mkdir repo/lib; echo 'gitdir: ../.git/modules/../../../x/.git' >" + git + "; name lib", git},
		{"a .git file to git's own", "mkdir repo/lib; echo 'gitdir: ../.git' >" + git + "; name lib", git},
		{"a submodule that is armed", "new sub; git -C repo -c protocol.file.allow=always submodule --quiet add ../sub lib; git -C repo/lib config core.fsmonitor x", git},
		{"modules that are a link", "new x; mkdir repo/lib; ln -s ../.. repo/.git/modules; echo 'gitdir: ../.git/modules/x/.git' >" + git + "; name lib", "repo/.git/modules"},
		{"a worktree that leads away", "git -C repo worktree add -q lib; name lib; echo ../../../x >repo/.git/worktrees/lib/commondir", git},
		{"a worktree without commondir", "git -C repo worktree add -q lib; name lib; rm repo/.git/worktrees/lib/commondir", git},
		{"in a linked worktree", "new wt/lib; git -C wt/lib config core.fsmonitor x; git -C wt add lib 2>/dev/null", "wt/lib/.git"},
		{"in one that is in order", "plain lib; new repo/lib/deep; git -C repo/lib/deep config core.fsmonitor x; git -C repo/lib add deep 2>/dev/null", "repo/lib/deep/.git"},
		{"in an index that is shared", "plain lib; git -C repo/lib config core.fsmonitor x; git -C repo update-index --split-index", git},
		{"an index that is a link", "mv repo/.git/index repo/i; ln -s ../i repo/.git/index", "repo/.git/index"},
		{"an index that is cut", "name lib; truncate -s -1 repo/.git/index", "repo/.git/index"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, l := watched(t, "true")
			bash(t, dir, test.do)
			if changed, err := l.changed(); err != nil || !changed && !strings.Contains(test.name, "noth") && !strings.Contains(test.name, "not named") {
				t.Errorf("nothing to look at (%v)", err)
			}
			d := l.look()
			if test.want == "" {
				if d != nil {
					t.Errorf("%+v", *d)
				}
				return
			}
			if d == nil || d.path != dir+"/"+test.want {
				t.Fatalf("it is %+v, not %s", d, test.want)
			}
			if said := d.putAside(); !strings.HasSuffix(said, "put aside as "+filepath.Base(test.want)+".from-agent") {
				t.Error(said)
			}
			if d := l.look(); d != nil {
				t.Errorf("afterwards: %+v", *d)
			}
		})
	}
}

// What was in order is seen to change, in whatever way.
func TestGitlinksChange(t *testing.T) {
	const git = "repo/lib/.git"
	for _, test := range []struct{ name, prepare, do, want, held string }{ // held is what is written in place
		{"made", "name lib", "new repo/lib; git -C repo/lib config core.fsmonitor x", git, ""},
		{"made, deep", "name a/b/lib; mkdir repo/a", "new repo/a/b/lib; git -C repo/a/b/lib config core.fsmonitor x", "repo/a/b/lib/.git", ""},
		{"renamed", "name a/b/lib; mkdir -p repo/a; new repo/x/lib; git -C repo/x/lib config core.fsmonitor x", "mv repo/x repo/a/b", "repo/a/b/lib/.git", ""},
		{"configured", "plain lib", "git -C repo/lib config core.fsmonitor x", git, ""},
		{"a hook", "plain lib", "echo >" + git + "/hooks/x", git, ""},
		{"hooks renamed", "plain lib; rm -r " + git + "/hooks; mkdir h; echo >h/x", "mv h " + git + "/hooks", git, ""},
		{"commondir of a worktree", "git -C repo worktree add -q lib; name lib", "rm repo/.git/worktrees/lib/commondir", git, ""},
		{"written in place", "plain lib", ": >>" + git + "/config", git, git + "/config"},
		{"an index written in place", "name lib", ": >>repo/.git/index", "repo/.git/index", "repo/.git/index"},
		{"a .git file", "git -C repo worktree add -q lib; name lib", "echo 'gitdir: ../../x' >" + git, git, git},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, l := watched(t, "true")
			bash(t, dir, test.prepare)
			if d := l.look(); d != nil {
				t.Fatalf("before: %+v", *d)
			}
			if _, err := l.changed(); err != nil {
				t.Fatal(err)
			}
			if test.held != "" { // who opens it waits for us
				cmd := exec.Command("bash", "-c", test.do)
				cmd.Dir = dir
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				defer cmd.Wait()
				for lease := unix.F_RDLCK; lease == unix.F_RDLCK; {
					lease, _ = unix.FcntlInt(uintptr(l.files[dir+"/"+test.held].fd), unix.F_GETLEASE, 0)
				}
			} else {
				bash(t, dir, test.do)
				if changed, err := l.changed(); err != nil || !changed {
					t.Errorf("no word of it (%v)", err)
				}
			}
			if d := l.look(); d == nil || d.path != dir+"/"+test.want {
				t.Errorf("it is %+v, not %s", d, test.want)
			}
			l.round++
			l.forget()
		})
	}
}

// Who has a file open to be written may write what they like later.
func TestGitlinksAreNotOpen(t *testing.T) {
	for _, mapped := range []bool{false, true} {
		dir, l := watched(t, "true")
		bash(t, dir, "plain lib")
		fd, err := unix.Open(dir+"/repo/lib/.git/config", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if mapped {
			m, err := unix.Mmap(fd, 0, 10, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Munmap(m)
			unix.Close(fd)
		} else {
			defer unix.Close(fd)
		}
		if d := l.look(); d == nil || d.path != dir+"/repo/lib/.git" {
			t.Errorf("mapped %v: %+v", mapped, d)
		}
	}
}

func TestPutAsideTakesNothingsPlace(t *testing.T) {
	dir := t.TempDir()
	bash(t, dir, "mkdir x x.from-agent; echo >x.from-agent-2; ln -s . x.from-agent-3")
	if said := (danger{dir + "/x", "why"}).putAside(); !strings.HasSuffix(said, "why; it was put aside as x.from-agent-4") {
		t.Error(said)
	}
	if _, err := os.Stat(dir + "/x.from-agent-4"); err != nil {
		t.Error(err)
	}
	if said := (danger{dir + "/none", "why"}).putAside(); !strings.Contains(said, "cannot be put aside") {
		t.Error(said)
	}
}
