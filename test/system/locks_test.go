package system

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// What a person does with git in another window takes locks away with the files that
// they are on; they come back.
func TestLocksComeBack(t *testing.T) {
	operator := as(t, "operator")
	for _, test := range []struct{ name, mine, theirs string }{
		{"config set", "git config a.b c", "echo '[x]' >>.git/config"},
		{"config set often", "for i in $(seq 20); do git config a.b$i c; done", "echo '[x]' >>.git/config"},
		{"tracking", "git checkout -q -b x; git branch -m y; git remote add o /nowhere; git branch -u main", "echo '[x]' >>.git/config"},
		{"hooks exchanged", "cp -r .git/hooks h; " + helper + " exchange h .git/hooks", "touch .git/hooks/pre-commit"},
		{"hooks replaced", "mv .git/hooks .git/h; mkdir -p .git/hooks", "touch .git/hooks/pre-commit"},
		{"hooks removed", "rm -r .git/hooks", "mkdir .git/hooks && touch .git/hooks/pre-commit"},
		{"worktree's file", "cat w/.git >g; mv g w/.git", "echo gitdir: /x >w/.git"},
		{"worktree removed", "git worktree remove --force w", "echo '[x]' >>.git/config"},
		{"worktree moved", "git worktree move w w2", "echo '[x]' >>.git/config"},
		{"worktree added", "git worktree add -q v", "echo '[x]' >>.git/config"},
		{"another repository's config", "git -C nested config a.b c", "echo '[x]' >>nested/.git/config"},
		{"another repository removed", "rm -rf nested", "echo '[x]' >>.git/config"},
		{"branches", "git branch x; git checkout -q x; git commit -q --allow-empty -m x; git rebase -q main; git stash -u; git gc -q; git pull -q . main; git tag t", "echo '[x]' >>.git/config"},
		{"submodule added", "git -c protocol.file.allow=always submodule --quiet add ./nested sub", "echo '[x]' >>.git/config"},
		{"initialized again", "git init -q .", "echo '[x]' >>.git/config"},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			identity(t, operator)
			dir := tree(t, operator, "project")
			sh(t, operator, dir, "git init -q .; git commit -q --allow-empty -m first; git worktree add -q w; git init -q nested; git -C nested commit -q --allow-empty -m n; ls .git/hooks/pre-commit.sample >/dev/null")
			s := openShell(t, operator, "-C", dir)
			defer func() { run(t, operator, "aaau", "kill", s.id) }()
			sh(t, operator, dir, test.mine)
			// Either it goes on, and then it cannot do that; or it is frozen, and says why.
			frozen := ""
			if !soon(func() bool {
				s.typed(test.theirs + " 2>/dev/null\r")
				m := s.match(promptForm + "|(frozen[^\n]*|killed[^\n]*)")
				if frozen = m[3]; frozen != "" && s.shows(promptForm) {
					m, frozen = s.match(promptForm), ""
				}
				return frozen != "" || m[2] != "0"
			}) {
				t.Errorf("the agent can go on to %q", test.theirs)
			}
			if frozen != "" {
				t.Errorf("what people do every day ends the session: %s", frozen)
			}
		})
	}
}

// soon is eventually for what should take milliseconds.
func soon(yes func() bool) bool {
	for end := time.Now().Add(10 * time.Second); !yes(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// shows waits for something new on the terminal that matches, and stays new.
func (c *console) shows(pattern string) bool {
	re := regexp.MustCompile(pattern)
	return eventually(func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return re.Match(c.shown[c.seen:])
	})
}

// The same tree twice, by itself and as a part of another: it is no less locked.
func TestLocksHoldInNestedWorkspaces(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	identity(t, operator)
	outer := tree(t, operator, "outer")
	repo := outer + "/repo"
	sh(t, operator, outer, "git init -q repo; cd repo; git commit -q --allow-empty -m first; mkdir sub")
	for _, dirs := range [][]string{{outer, repo}, {repo, outer}, {repo, repo + "/sub"}, {repo + "/sub", outer, repo}, {repo, repo + "/.git"}, {repo + "/.git", repo}, {repo + "/.git"}, {outer + ":ro", repo}, {outer, repo + ":ro"}} {
		t.Run(strings.Join(dirs, " "), func(t *testing.T) {
			var args []string
			for _, d := range dirs {
				args = append(args, "--workspace", d)
			}
			got := inside(t, operator, "/", `set +e; exec 2>/dev/null; cd /home/operator/outer/repo; for f in .git/config .git/hooks/pre-commit .git/commondir; do echo x >>$f && echo wrote $f; done
				mv .git/config .git/c && echo moved config; mv .git/hooks .git/h && echo moved hooks; mv .git g && echo moved .git; cd ..; mv repo r && echo moved repo; true`, args...)
			if got != "" {
				t.Errorf("the agent %s", got)
			}
		})
	}
}

// People have a directory with all their checkouts.
func TestManyRepositories(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	identity(t, operator)
	dir := tree(t, operator, "src")
	sh(t, operator, dir, "git init -q r1; for i in $(seq 2 40); do cp -r r1 r$i; done; mkdir deep; mkdir -p deep/{1..40}/{1..50}")
	if got := inside(t, operator, dir, `set +e; for i in $(seq 40); do echo x 2>/dev/null >>r$i/.git/config && echo wrote $i; done; true`); got != "" {
		t.Errorf("of 40 repositories: %s", got)
	}
	sh(t, operator, dir, "for i in $(seq 41 250); do cp -r r1 r$i; done")
	r := run(t, operator, at(dir, "aaau", "-C", ".", "--", "bash", "-c", `for i in $(seq 250); do echo x 2>/dev/null >>r$i/.git/config && echo wrote $i; done; true`)...)
	if r.status == 255 {
		checkRefusal(t, "of 250 repositories", []string{dir}, r.status, r.stderr)
	} else if r.stdout != "" {
		t.Errorf("of 250 repositories: %+v", r)
	}
}

// A person's dotfiles lead into a checkout: what git, and only git, takes from there.
func TestGlobalConfigurationInAWorkspace(t *testing.T) {
	for _, test := range []struct{ name, prepare, attack string }{
		{"included", "echo >dotfiles/git.inc; git config --global include.path ~/dotfiles/git.inc", config + " >>git.inc"},
		{"linked", "mv ~/.gitconfig dotfiles/gitconfig; ln -s dotfiles/gitconfig ~/.gitconfig", config + " >>gitconfig; cp gitconfig g; mv g gitconfig"},
		{"hooks", "mkdir dotfiles/hooks; git config --global core.hooksPath ~/dotfiles/hooks", "cp evil hooks/pre-commit; cp evil hooks/post-index-change"},
		{"a program", "printf '#!/bin/sh\n' >dotfiles/fsmonitor; chmod 755 dotfiles/fsmonitor; git config --global core.fsmonitor ~/dotfiles/fsmonitor", "cat evil >fsmonitor"},
		{"the directory of its configuration", "mkdir -p dotfiles/config/git; mkdir -p ~/.config; ln -s ../dotfiles/config/git ~/.config/git", config + " >>config/git/config"},
		{"the home itself", "true", config + " >>/home/operator/.gitconfig; mkdir -p /home/operator/.config/git; " + config + " >>/home/operator/.config/git/config"},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			operator := as(t, "operator")
			for _, protected := range []bool{false, true} {
				identity(t, operator)
				tree(t, operator, "pwned")
				tree(t, operator, "dotfiles")
				other := tree(t, operator, "other")
				sh(t, operator, operator.home, test.prepare)
				sh(t, operator, other, "git init -q repo; cd repo; git commit -q --allow-empty -m first")
				attack := "cd /home/operator/dotfiles; name=dotfiles; evil=$PWD/evil\n" + prologue + "arm evil\n" + test.attack
				file(t, "/usr/local/bin/aaau-test-attack", attack)
				where := operator.home + "/dotfiles"
				if test.name == "the home itself" {
					where = operator.home
				}
				if !protected {
					run(t, operator, "bash", "/usr/local/bin/aaau-test-attack")
				} else if r := run(t, operator, "aaau", "-C", where, "--", "bash", "/usr/local/bin/aaau-test-attack"); r.status == 255 {
					t.Logf("refused: %s", r.stderr)
					checkRefusal(t, "of dotfiles", nil, r.status, r.stderr)
				}
				sh(t, operator, other+"/repo", "set +e; git status; git commit -q --allow-empty -m x; true")
				if fired := len(pwned(t)) > 0; fired == protected {
					t.Errorf("in a session %v: fired %v", protected, fired)
				}
				sh(t, as(t, "root"), operator.home, "rm -rf .gitconfig .config dotfiles other pwned")
			}
		})
	}
}

// The repository that a workspace is a part of may take its hooks, say, from there.
func TestWorkspacesWithinARepository(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	const here = "repo/here"
	parts := []trap{
		{"hooksPath within", "repository repo; mkdir -p repo/here/hooks; git -C repo config core.hooksPath here/hooks", "cp evil repo/here/hooks/pre-commit", ""},
		{"include within", "repository repo; mkdir repo/here; echo >repo/here/inc; git -C repo config include.path ../here/inc", config + " >>repo/here/inc", ""},
		{"a program within", "repository repo; mkdir repo/here; printf '#!/bin/sh\n' >repo/here/f; chmod 755 repo/here/f; git -C repo config core.fsmonitor here/f", "cat evil >repo/here/f", ""},
		{"a linked hook within", "repository repo; mkdir repo/here; printf '#!/bin/sh\n' >repo/here/f; chmod 755 repo/here/f; ln -s ../../here/f repo/.git/hooks/pre-commit", "cat evil >repo/here/f", ""},
		{"a submodule of a superproject with hooks within", strings.ReplaceAll(submodule, " sub;", " here;") + "; mkdir here/hooks; git config core.hooksPath here/hooks", "cp evil repo/here/hooks/pre-commit", ""},
	}
	identity(t, operator)
	tree(t, operator, "pwned")
	for _, where := range []string{"open", "closed"} {
		dir := tree(t, operator, where)
		setTraps(t, dir, parts)
		for _, p := range parts {
			// The evil itself is in the workspace, which is all that the agent has.
			attack := "set +e; cd '" + dir + "/" + slug(p.name) + "/" + here + "'; evil=$PWD/evil; printf '#!/bin/sh\\n: >/home/operator/pwned/" + slug(p.name) + "\\n' >evil; chmod 755 evil\n" +
				strings.NewReplacer("repo/here/", "", "cp evil ", "cp -f evil ").Replace(p.attack)
			file(t, "/usr/local/bin/aaau-test-attack", attack)
			argv := []string{"aaau", "-C", filepath.Join(dir, slug(p.name), here), "--", "bash", "/usr/local/bin/aaau-test-attack"}
			if where == "open" {
				argv = argv[4:]
			}
			if r := run(t, operator, argv...); r.status == 255 {
				t.Logf("%s is refused: %s", p.name, r.stderr)
			}
		}
		provoke(t, dir, parts)
		fired := pwned(t)
		for _, p := range parts {
			if slices.Contains(fired, slug(p.name)) != (where == "open") {
				t.Errorf("%s, %s: fired %v", p.name, where, fired)
			}
		}
	}
}

// At the end aaau itself moves and removes what an agent has left, as the person: it
// must not be led to anything else.
func TestPuttingAsideHarmsNothingElse(t *testing.T) {
	operator := as(t, "operator")
	const swap = `while :; do ` + helper + ` exchange new link; done`
	for _, test := range []struct{ name, attack string }{
		{"a link to a repository", "ln -s /home/operator/private new; ln -s /home/operator/private/.git other; mkdir third; ln -s /home/operator/private/.git third/.git; mkdir fourth; echo 'gitdir: /home/operator/private/.git' >fourth/.git"},
		{"a link on the way", "mkdir -p a; ln -s /home/operator a/b; ln -s /home a/c"},
		{"a repository that is there already aside", "git init -q new; git -C new config core.fsmonitor x; ln -s /home/operator/private new/.git.from-agent; ln -s /home/operator/private/secret new/.git/HEAD.from-agent"},
		{"aside is a directory", "git init -q new; git -C new config core.fsmonitor x; mkdir -p new/.git.from-agent/x; mkdir new/.git/HEAD.from-agent"},
		{"links within", "git init -q new; git -C new config core.fsmonitor x; rm new/.git/HEAD; ln -s /home/operator/private/.git/HEAD new/.git/HEAD; rm -r new/.git/hooks; ln -s /home/operator/private/.git/hooks new/.git/hooks"},
		{"swapped while it is done", "git init -q new; git -C new config core.fsmonitor x; cp -r new link0; rm -rf link0; ln -s /home/operator/private link; (" + swap + ") & sleep 0.3"},
		{"swapped while links are removed", `mkdir -p d; for i in $(seq 40); do mkdir -p .git/d; ln -s x .git/d/secret; mv .git/d .git/e$i 2>/dev/null; ln -s /home/operator/private .git/d; rm -f .git/d; done; mkdir p; ln -s x p/secret; ln -s /home/operator/private l; mkdir .git/d; ` + helper + ` exchange p .git/d; ` + helper + ` exchange l .git/d`},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			identity(t, operator)
			private, dir := tree(t, operator, "private"), tree(t, operator, "shop")
			// Both have what would be put aside, were it an agent's.
			const own = "git init -q .; echo secret >secret; git add secret; git commit -qm first; git config core.fsmonitor /bin/true; git config alias.x '!true'; printf '#!/bin/sh\n' >.git/hooks/pre-commit; chmod 755 .git/hooks/pre-commit"
			sh(t, operator, private, own)
			sh(t, operator, dir, own)
			const look = `find . -mindepth 1 \( -path ./.git/index -o -path './.git/fsmonitor*' \) -prune -o -printf '%p %y %m %s %l\n' | sort; git status --short; git fsck --no-progress; cat .git/HEAD .git/config`
			before := sh(t, operator, private, look)
			s := openShell(t, operator, "-C", dir)
			s.typed("{ " + test.attack + "; } >/dev/null 2>&1\r")
			s.match(promptForm + "|killed")
			for range 3 { // leave and come again, as long as it is there
				s.typed("\x1d\x1d\x1d")
				s.leave()
				if len(scopes(t)) == 0 {
					break
				}
				s = shell{sit(t, operator, "aaau", "-n", s.id), s.id}
			}
			run(t, operator, "aaau", "kill", s.id)
			if after := sh(t, operator, private, look); after != before {
				t.Errorf("what is private was\n%s\nand is\n%s", before, after)
			}
			if got := sh(t, operator, dir, "git log --format=%s; git config alias.x; cat .git/hooks/pre-commit"); got != "first\n!true\n#!/bin/sh" {
				t.Errorf("the person's own repository is %q", got)
			}
		})
	}
}

// What was put aside comes back by the words that were said; and what is harmless, or
// the person's own, stays where it is.
func TestNewRepositoriesAreThereForThePerson(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	identity(t, operator)
	dir := tree(t, operator, "shop")
	sh(t, operator, dir, "git init -q .; git commit -q --allow-empty -m first")
	c := sit(t, operator, at(dir, "aaau", "-C", ".", "--", "bash", "-c", `
		git init -q plain; git -C plain commit -q --allow-empty -m plain; git clone -q . clone; git init -q --bare bare; git worktree add -q wt; git -c protocol.file.allow=always submodule --quiet add ./plain sub
		git init -q risky; git -C risky commit -q --allow-empty -m risky; git -C risky config core.hooksPath .husky; mkdir risky/.husky; echo d''one; read`)...)
	c.expect("done\r\n")
	sh(t, operator, dir, "git init -q mine; cd mine; git config alias.x '!true'; git config core.hooksPath .husky; git commit -q --allow-empty -m mine") // in another window
	c.typed("\r")
	c.leave()
	for _, name := range []string{"plain", "clone", "wt", "sub"} {
		sh(t, operator, dir+"/"+name, "git status >/dev/null; git log --format=%s | head -1")
	}
	sh(t, operator, dir+"/bare", "git rev-parse --is-bare-repository")
	_, said, _ := strings.Cut(plain(c.all()), "done\n")
	for _, m := range regexp.MustCompile(`back with: (.*)`).FindAllStringSubmatch(said, -1) {
		sh(t, operator, "/", m[1])
	}
	for _, name := range []string{"risky", "mine"} {
		if got := run(t, operator, at(dir+"/"+name, "git", "log", "--format=%s")...); got.stdout != name+"\n" {
			t.Errorf("after all that was said (%q) %s is %+v", said, name, got)
		}
	}
}
