package system

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkout is what somebody works in: a repository with a clone's remote, a linked
// worktree and a submodule, in a team's directory.
func checkout(t *testing.T, dir string) {
	t.Helper()
	identity(t, as(t, "operator"))
	sh(t, as(t, "operator"), dir, `
		mkdir team; chgrp team team; chmod 2770 team; cd team; umask 007
		git init -q lib; (cd lib; echo lib >lib; git add lib; git commit -qm lib)
		git init -q upstream; (cd upstream; echo one >one; git add one; git commit -qm one; git -c protocol.file.allow=always submodule --quiet add ../lib lib; git commit -qm lib; git branch feature; git tag v1)
		git -c protocol.file.allow=always clone -q --recurse-submodules upstream project
		cd project; git worktree add -q ../worktree
		printf 'all:\n\techo made >made; cat made\n' >Makefile; git add Makefile; git commit -qm make`)
}

// Everything that makes up a day, by the agent, and whose it is then.
func TestADaysWork(t *testing.T) {
	for _, kind := range []string{"tmpfs", "ext4"} {
		t.Run(kind, func(t *testing.T) {
			begin(t)
			team(t)
			operator, dir := as(t, "operator"), ""
			if kind == "ext4" {
				dir = ext4(t) + "/operator"
			} else {
				dir = tree(t, operator, "work")
			}
			checkout(t, dir)
			tools(t)
			path := operator.home + "/.nvm/versions/node/v20.20.2/bin:/usr/local/bin:/usr/bin:/bin"
			addAlias(t, "worker", worker+"tools=yes\n")
			project := dir + "/team/project"
			sh(t, operator, project, `mkdir package; cd package; echo '{"name":"local","version":"1.0.0","bin":{"hello":"hello.js"},"scripts":{"postinstall":"node -e \"require(\\\"fs\\\").writeFileSync(\\\"installed\\\",\\\"\\\")\""}}' >package.json
				printf '#!/usr/bin/env node\nconsole.log("hello from " + process.argv[0])\n' >hello.js; chmod 755 hello.js`)
			work := func(name, where, commands string) string {
				t.Helper()
				r := run(t, operator.with("PATH="+path), at(where, "aaau", "worker", "-euc", "umask 007; "+commands)...)
				if r.status != 0 {
					t.Errorf("%s: status %d, %s%s", name, r.status, r.stdout, r.stderr)
				}
				return strings.TrimSpace(r.stdout)
			}
			work("git", project, `git status; echo two >two; git add two; git commit -qm two; git branch topic; git checkout -q topic; echo three >three; git add three; git commit -qm three
				git checkout -q -; git commit -q --allow-empty -m four; git checkout -q topic; git rebase -q -; git worktree add -q .trees/new; cd .trees/new; echo new >new; git add new; git commit -qm new; cd ../..
				git status --porcelain; git log --oneline | wc -l`)
			work("worktree", dir+"/team/worktree", "git status; echo in >in; git add in; git commit -qm in; git log -1 --format=%s")
			work("submodule", project+"/lib", "git status; git checkout -q -b fix; echo fix >fix; git add fix; git commit -qm fix; git log -1 --format=%s")
			work("superproject", project, "git submodule status; git add lib; git commit -qm lib; git -C lib log -1 --format=%s")
			if got := work("npm", project, "npm pack --silent ./package >/dev/null; npm install --silent --offline --no-audit --no-fund ./local-1.0.0.tgz; ls node_modules/local/installed; node_modules/.bin/hello; npx hello | head -1; command -v node"); !strings.Contains(got, "hello from "+operator.home+"/.nvm") {
				t.Errorf("node says %q", got)
			}
			if got := work("make", project, "make -s"); got != "made" {
				t.Errorf("make printed %q", got)
			}
			if got := work("venv", project, `python3 -m venv --without-pip .venv; .venv/bin/python -c 'import sys; print(sys.prefix)'`); got != project+"/.venv" {
				t.Errorf("python printed %q", got)
			}
			// The person takes over where the agent has left.
			belongs(t, operator, dir)
			if got := output(t, as(t, "root"), "find", dir+"/team", "!", "-group", "team"); got != "" {
				t.Errorf("not the team's: %.500q", got)
			}
			for _, where := range []string{"project", "worktree", "project/lib", "project/.trees/new"} {
				if got := sh(t, operator, dir+"/team/"+where, `git fsck --no-progress; git log --format='%an <%ae> %cn <%ce>' | sort -u; git status --short | grep -v '^??' || true`); got != "Olga Operator <olga@example.org> Olga Operator <olga@example.org>" {
					t.Errorf("the log of %s is by %q", where, got)
				}
			}
			if got := sh(t, operator, project, `.venv/bin/python -c 'print("mine")'; make -s; git rebase -q main; git commit -q --allow-empty -m mine; git worktree remove --force .trees/new; git checkout -q main; git merge -q --no-edit topic; git log -1 --format=%s`); !strings.HasPrefix(got, "mine\nmade") {
				t.Errorf("the person's own: %q", got)
			}
		})
	}
}

// What has to work in a repository whose configuration is read-only.
func TestGitWorks(t *testing.T) {
	begin(t)
	team(t)
	operator := as(t, "operator")
	dir := tree(t, operator, "work")
	checkout(t, dir)
	project := dir + "/team/project"
	s := openShell(t, operator, "-C", dir+"/team/project")
	for _, command := range []string{
		"git status", "git checkout -b mine", "echo x >x && git add x && git commit -m x", "git commit --amend --no-edit", "git branch other",
		"git checkout feature", // what a clone does not have yet, but its remote
		"git checkout main",
		"git tag t1", "git tag -a -m annotated t2", "git tag -d t1", "git stash -u", "git stash list", "git log --oneline", "git diff HEAD~1", "git blame one", "git show",
		"git reset -q --hard && echo y >y && git add y && git stash && git stash pop && git reset -q --hard", "git reset --soft HEAD~1 && git commit -m again", "git cherry-pick mine", "git revert --no-edit HEAD",
		"git merge --no-edit mine", "git rebase HEAD~1", "git -c sequence.editor=true rebase -i HEAD~1", "git rm -q --cached one && git reset -q --hard", "git mv one two && git commit -m mv", "git clean -fdq",
		"git gc --quiet", "git fsck --no-progress", "git reflog", "git worktree add w1", "git worktree list", "git -C w1 commit --allow-empty -m w1", "git worktree remove w1", "git worktree add --detach w2", "git worktree move w2 w3", "git worktree remove w3",
		"git -c core.worktree=x rev-parse", "git submodule status", "git submodule foreach git status", "git bisect start HEAD HEAD~2 && git bisect reset", "git notes add -m note",
		"git archive HEAD | tar t", "git format-patch -1 --stdout | git apply --check -R", "git grep one", "git describe --always", "git shortlog -s HEAD </dev/null",
		"git init new && cd new && git commit --allow-empty -m first && git config a.b c && cd ..", "git init --bare new.git", "git clone -q . copy && git -C copy checkout -b x && git -C copy config a.b c && git -C copy push -q origin x",
		"git update-index --refresh", "git maintenance run --quiet", "git repack -adq", "git pack-refs --all", "git read-tree HEAD", "git rev-parse --git-common-dir",
		"git -C lib checkout -b fix", "git -C lib commit --allow-empty -m fix",
	} {
		if out, status := s.do("GIT_PAGER=cat " + command); status != 0 || strings.Contains(out, "fatal:") || strings.Contains(out, "error:") {
			t.Errorf("%s: status %d, %s", command, status, strings.TrimSpace(out))
		}
	}
	s.close()
	belongs(t, operator, dir)
	if got := sh(t, operator, project, "git fsck --no-progress; git config --get-regexp '^(branch|remote).*' | sort | head -4; git status --short | head -3"); !strings.Contains(got, "remote.origin.url") {
		t.Errorf("afterwards: %s", got)
	}
}

// A linked worktree that the session does not see is not gone.
func TestWorktreesOutsideAreSafe(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	identity(t, operator)
	dir := tree(t, operator, "work")
	sh(t, operator, dir, "git init -q project; cd project; git commit -q --allow-empty -m first; git worktree add -q ../other; cd ../other; echo staged >staged; git add staged")
	before := sh(t, operator, dir+"/other", "git status --porcelain=v2 --branch")
	inside(t, operator, dir+"/project", "set +e; git worktree prune -v; git worktree list; git worktree remove ../other; git worktree remove --force other; git worktree repair; git gc -q --prune=now; git maintenance run; git remote prune origin; git fetch --all --prune; true")
	if after := sh(t, operator, dir+"/other", "git status --porcelain=v2 --branch"); after != before {
		t.Errorf("the other worktree was %q, and is %q", before, after)
	}
	sh(t, operator, dir+"/other", "git commit -qm staged; git show HEAD:staged")
}

// A team's repository, with whatever umask.
func TestSharedRepositories(t *testing.T) {
	begin(t)
	team(t)
	operator := as(t, "operator")
	identity(t, operator)
	dir := tree(t, operator, "work")
	sh(t, operator, dir, "chgrp team .; chmod 2770 .; git init -q --shared=group repo; cd repo; git commit -q --allow-empty -m first")
	inside(t, operator, dir+"/repo", "mkdir d; echo >x; git add x; git commit -qm x; git checkout -q -b y; git tag -a -m t t; git stash list; git worktree add w")
	belongs(t, operator, dir)
	if got := sh(t, operator, dir, "find . ! -group team; find . -type d ! -perm -2000; find repo/.git/objects repo/.git/refs -type d ! -perm -0070"); got != "" {
		t.Errorf("not the team's: %q", got)
	}
}

// What sessions leave behind in a repository changes nothing for its owner.
func TestRepositoriesAreAsTheyWere(t *testing.T) {
	begin(t)
	team(t)
	operator := as(t, "operator")
	identity(t, operator)
	dir := tree(t, operator, "work")
	checkout(t, dir)
	sh(t, operator, dir, `git init -q --bare bare; git init -q --bare cfg; git --git-dir=cfg config core.bare false; git --git-dir=cfg config core.worktree ..; echo >dot; git --git-dir=cfg add dot; git --git-dir=cfg commit -qm dot`)
	const look = `set +e; for d in bare cfg team/project team/project/lib team/worktree team/project/.git; do (cd $d; echo $d; git rev-parse --path-format=absolute --is-bare-repository --is-inside-work-tree --git-dir --git-common-dir --show-toplevel; git status --short; git config --list --local | sort; git worktree list) 2>&1; done; git --git-dir=cfg status --short -uno`
	before := sh(t, operator, dir, look)
	inside(t, operator, dir, "git -C team/project status")
	inside(t, operator, dir+"/team/project", "git status")
	if after := sh(t, operator, dir, look); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
	sh(t, operator, dir, "cd team/project; git submodule update; git submodule deinit -f lib; git -c protocol.file.allow=always submodule update --init; git worktree add ../more; git push ../../bare HEAD:refs/heads/x; git clone -q ../../bare ../../bare2")
}

// What is read-only for the agent, and what stays as it was.
func TestConfigurationAndHooksAreReadOnly(t *testing.T) {
	begin(t)
	team(t)
	operator := as(t, "operator")
	dir := tree(t, operator, "work")
	checkout(t, dir)
	sh(t, operator, dir, "git init -q --bare team/project/bare.git; git init -q team/project/nested/deep/one; git -C team/project config include.path ../.gitconfig; echo >team/project/.gitconfig")
	const sum = `find . -name config -o -name hooks -o -name .gitconfig -o -path '*/hooks/*' -o -name .git -type f | sort | xargs -d '\n' ls -dl --time-style=full-iso; find . -name config -type f | sort | xargs sha256sum`
	before := sh(t, operator, dir+"/team", sum)
	for _, where := range []string{"project", "worktree", "project/lib"} {
		// Of a worktree only what is git's; there the submodule is an empty directory.
		got := inside(t, operator, dir+"/team/"+where, `set +e; [ -e lib/.git ] || rmdir lib 2>/dev/null; d=$(realpath $(git rev-parse --git-common-dir))
			for f in $(find . $d \( -name config -o -name .gitconfig -o -name '*.sample' -o -name .git -o -name commondir -o -name gitdir \) -type f); do
				echo x 2>/dev/null >>$f && echo wrote $f; rm -f $f 2>/dev/null && echo removed $f; mv $f /tmp/ 2>/dev/null; mv $f $f.x 2>/dev/null && echo moved $f; chmod 777 $f 2>/dev/null && echo chmod $f; done
			for d in $(find . $d -type d \( -name hooks -o -name .git -o -name worktrees -o -name modules -o -name lib -o -name nested \)); do mv $d $d.x 2>/dev/null && echo moved $d; rmdir $d 2>/dev/null && echo removed $d; done
			for d in $(find . $d -name hooks); do touch $d/new 2>/dev/null && echo made $d/new; done; git config a.b c 2>/dev/null && echo config; true`)
		if got != "" {
			t.Errorf("in %s: %s", where, got)
		}
	}
	if after := sh(t, operator, dir+"/team", sum); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// Who the agent commits as, and who not.
func TestIdentityTravels(t *testing.T) {
	operator := as(t, "operator")
	for _, test := range []struct{ name, prepare, want string }{
		{"of the person", `git config --global user.name 'Olga "O" Öperator $HOME'; git config --global user.email o@example.org`, `Olga "O" Öperator $HOME o@example.org Olga "O" Öperator $HOME o@example.org`},
		{"of the repository", `git config --global user.name Global; git config --global user.email g@example.org; git config user.name Local; git config user.email l@example.org`, `Local l@example.org Local l@example.org`},
		{"by a condition", `printf '[user]\n\tname=Work\n\temail=w@example.org\n' >~/.gitwork; git config --global 'includeIf.gitdir:~/who/.path' ~/.gitwork`, `Work w@example.org Work w@example.org`},
		{"author and committer", `git config --global user.name U; git config --global user.email u@example.org; git config author.name A; git config author.email a@example.org; git config committer.name C`, `A a@example.org C u@example.org`},
		{"as the environment says", `git config --global user.name U; git config --global user.email u@example.org; export GIT_AUTHOR_NAME=Env GIT_COMMITTER_EMAIL=env@example.org`, `Env u@example.org U env@example.org`},
		{"nobody", "true", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			t.Cleanup(func() { output(t, as(t, "root"), "rm", "-rf", operator.home+"/.gitconfig", operator.home+"/.gitwork") })
			dir := tree(t, operator, "who")
			r := run(t, operator, at(dir, "bash", "-euc", "git init -q .; "+test.prepare+"; aaau -C . -- bash -c 'git commit -q --allow-empty -m x && git log -1 --format=\"%an %ae %cn %ce\"; env | grep ^GIT_.*_NAME || echo none'")...)
			if test.want == "" {
				if !strings.Contains(r.stderr, "Please tell me who you are") || !strings.HasSuffix(r.stdout, "none\n") {
					t.Errorf("nobody is %+v", r)
				}
				return
			}
			if !strings.HasPrefix(r.stdout, test.want+"\n") {
				t.Errorf("it is %+v, not %q", r, test.want)
			}
		})
	}
}

// A repository whose owner signs: the agent has no key, and its commits no signature.
func TestNoKeysTravel(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	identity(t, operator)
	dir := tree(t, operator, "signed")
	sh(t, operator, dir, "git init -q .; git config --global commit.gpgsign true; git config --global gpg.format ssh; git config --global user.signingKey ~/.ssh/id.pub; git config --global credential.helper store")
	secrets := []string{"SSH_AUTH_SOCK=/tmp/agent-secret", "GPG_AGENT_INFO=x-secret", "SSH_AGENT_PID=1", "GITHUB_TOKEN=x-secret", "GH_TOKEN=x-secret", "AWS_SECRET_ACCESS_KEY=x-secret", "ANTHROPIC_API_KEY=x-secret",
		"GIT_ASKPASS=/bin/x-secret", "SSH_ASKPASS=/bin/x-secret", "GIT_SSH_COMMAND=x-secret", "NPM_TOKEN=x-secret", "DBUS_SESSION_BUS_ADDRESS=unix:path=/x-secret", "KRB5CCNAME=x-secret", "DISPLAY=:x-secret", "XAUTHORITY=x-secret",
		"WAYLAND_DISPLAY=x-secret", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=core.fsmonitor", "GIT_CONFIG_VALUE_0=x-secret", "GIT_DIR=x-secret", "LD_PRELOAD=/x-secret", "BASH_ENV=/x-secret", "NODE_OPTIONS=--x-secret", "PYTHONPATH=/x-secret",
		"VSCODE_IPC_HOOK_CLI=x-secret", "TMUX=x-secret", "GIT_TRACE=/x-secret", "EDITOR=x-secret"}
	delete := secrets[:0:0]
	for _, s := range secrets { // what would hinder this test's own git
		if !strings.HasPrefix(s, "GIT_DIR") && !strings.HasPrefix(s, "LD_PRELOAD") && !strings.HasPrefix(s, "BASH_ENV") {
			delete = append(delete, s)
		}
	}
	got := inside(t, operator.with(delete...), dir, "env; git commit --allow-empty -qm unsigned; git log -1 --format=%G?")
	if strings.Contains(got, "secret") || !strings.HasSuffix(got, "\nN") {
		t.Errorf("inside there is %q", got)
	}
	// Where it is the repository that says so.
	sh(t, operator, dir, "git config commit.gpgsign true; git config tag.gpgsign true")
	if r := run(t, operator, at(dir, "aaau", "-C", ".", "--", "bash", "-c", "git commit --allow-empty -qm unsigned2 && git log -1 --format=%s")...); r.stdout != "unsigned2\n" {
		t.Errorf("in a repository that says to sign: %+v", r)
	}
}

// told is what a person reads when a session of these commands has ended.
func told(t *testing.T, who account, dir, commands string, args ...string) string {
	t.Helper()
	if len(args) == 0 {
		args = []string{"aaau", "-C", "."}
	}
	c := sit(t, who, at(dir, append(append([]string{}, args...), "--", "bash", "-c", commands+"\necho d''one")...)...)
	c.match("done\r\n|\naaau: the session was killed") // which some are for what they do
	c.leave()
	all := plain(c.all())
	if _, said, ok := strings.Cut(all, "done\n"); ok {
		return said
	}
	return all[strings.LastIndex(all, "aaau: the session was killed"):]
}

// What people's own tools run, in the root of a project or anywhere in it.
var executed = []string{
	".vscode/tasks.json", ".vscode/settings.json", ".idea/workspace.xml", ".envrc", ".claude/settings.json", ".claude/settings.local.json", ".mcp.json", "Makefile", "package.json", "special.watch",
	"sub/.vscode/launch.json", "sub/deep/er/.envrc", "sub/dir/Makefile", "node_modules/x/.vscode/tasks.json",
}

func TestChangesOfWhatPeoplesToolsRunAreTold(t *testing.T) {
	operator := as(t, "operator")
	const watching = "program=/bin/bash\nworkspace=yes\nany-program=yes\nwatch=Makefile package.json\nwatch=*.watch\n"
	args := []string{"aaau", "-C", ".", "watcher"}
	script := func(each string) string {
		var all strings.Builder
		for _, f := range executed {
			fmt.Fprintf(&all, "f='%s'; %s\n", f, each)
		}
		return all.String()
	}
	sits := func(t *testing.T, dir, commands string) string {
		t.Helper()
		c := sit(t, operator, at(dir, append(args, "-c", commands+"\necho d''one")...)...)
		c.expect("done\r\n")
		c.leave()
		_, said, _ := strings.Cut(plain(c.all()), "done\n")
		return said
	}
	for _, test := range []struct{ name, prepare, change string }{
		{"new", "true", `mkdir -p $(dirname $f); echo evil >$f`},
		{"changed", `mkdir -p $(dirname $f); echo good >$f`, `echo evil >$f`},
		{"changed with the time and size of before", `mkdir -p $(dirname $f); echo good >$f; touch -d '2 days ago' $f`, `cp -p $f /tmp/x; echo evil >$f; touch -r /tmp/x $f`},
		{"replaced", `mkdir -p $(dirname $f); echo good >$f; touch -d '2 days ago' $f`, `echo evil >/tmp/y; touch -d '3 days ago' /tmp/y; cp -p /tmp/y x; mv x $f`},
		{"made executable", `mkdir -p $(dirname $f); echo good >$f`, `chmod 755 $f`},
		{"linked", `mkdir -p $(dirname $f); echo good >$f; echo evil >other`, `ln -sf "$PWD/other" $f`},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			addAlias(t, "watcher", watching)
			dir := tree(t, operator, "told")
			sh(t, operator, dir, script(test.prepare+"; true"))
			said := sits(t, dir, script(test.change))
			for _, f := range executed {
				if !strings.Contains(said, dir+"/"+f) {
					t.Errorf("%s is not told", f)
				}
			}
			if t.Failed() {
				t.Logf("told is %s", said)
			}
		})
	}
	t.Run("nothing", func(t *testing.T) {
		begin(t)
		addAlias(t, "watcher", watching)
		dir := tree(t, operator, "told")
		sh(t, operator, dir, "git init -q repo; "+script(`mkdir -p $(dirname $f); echo good >$f`))
		if said := sits(t, dir, script(`cat $f; touch other; echo x >x; mkdir -p plain; git -C repo status`)); said != "" {
			t.Errorf("nothing was changed, and told is %q", said)
		}
	})
}

func TestNewRepositoriesAreTold(t *testing.T) {
	operator := as(t, "operator")
	for _, test := range []struct {
		name, prepare, commands string
		told                    []string
	}{
		{"a repository", "", "git init -q new; git -C new config core.fsmonitor /bin/evil", []string{"new/.git", "core.fsmonitor"}},
		{"its hooks", "", "git init -q new; cp /bin/true new/.git/hooks/pre-commit", []string{"new/.git", "pre-commit"}},
		{"the workspace itself", "", "git init -q .; git config core.fsmonitor x", []string{"/told/.git", "core.fsmonitor"}},
		{"deep", "", "mkdir -p a/b/c/d/e/f; git init -q a/b/c/d/e/f; git -C a/b/c/d/e/f config alias.x '!y'", []string{"a/b/c/d/e/f/.git"}},
		{"bare", "", "git init -q --bare b; git -C b config core.fsmonitor x", []string{"told/b", "core.fsmonitor"}},
		{"bare, in a directory of the tree", "mkdir docs; echo x >docs/x", "git init -q --bare /tmp/b; cp -r /tmp/b/* docs/; git config -f docs/config core.fsmonitor x", []string{"told/docs"}},
		{"as a submodule", "git init -q .; git commit -q --allow-empty -m x", "git init -q new; git -C new config core.fsmonitor /bin/evil; git -C new commit -q --allow-empty -m x; git add new; git commit -qm new", []string{"new/.git"}},
		{"in the place of an empty submodule", "git init -q .; mkdir sub; git update-index --add --cacheinfo 160000,1234567890123456789012345678901234567890,sub; git commit -qm sub", "git init -q sub; git -C sub config core.fsmonitor x", []string{"sub/.git"}},
		{"a .git file", "git init -q .", "git init -q --separate-git-dir=/home/operator/told/g new; git -C new config core.fsmonitor x", []string{"told/g"}},
		{"a .git link", "git init -q .", "git init -q g; mkdir new; ln -s ../g/.git new/.git; git -C g config core.fsmonitor x", []string{"told/g"}},
		{"a worktree", "git init -q .; git commit -q --allow-empty -m x", "git worktree add -q new; cp -r .git g; git config -f g/config core.fsmonitor x; echo $PWD/g >.git/worktrees/new/commondir", []string{"told/g"}},
		{"a worktree that leads away", "git init -q .; git commit -q --allow-empty -m x; mkdir ../away; git init -q ../away/r", "git worktree add -q new; echo 'gitdir: /home/operator/away/r/.git' >new/.git", []string{"new/.git"}},
		{"hidden in git's directory", "git init -q .; git commit -q --allow-empty -m x", "cp -r .git /tmp/g; cp -r /tmp/g .git/x; git config -f .git/x/config core.fsmonitor x; mkdir new; echo 'gitdir: ../.git/x' >new/.git", []string{".git/x"}},
		{"an include", "git init -q .", "git init -q new; git -C new config include.path ../../more; printf '[core]\\nfsmonitor=x\\n' >more", []string{"new/.git"}},
		{"of a name with escapes", "", `git init -q "$(printf 'new\033[2J\nline')"; cd new*; git config core.fsmonitor x`, []string{"new"}},
		{"a rebase that is to be continued", "git init -q .; git commit -q --allow-empty -m x; git commit -q --allow-empty -m y", "GIT_SEQUENCE_EDITOR='sed -i 1ibreak' git rebase -q -i HEAD~1; echo 'exec /bin/evil' >>.git/rebase-merge/git-rebase-todo", []string{".git/rebase-merge"}},
		{"links of git's files to elsewhere", "git init -q .; git commit -q --allow-empty -m x", "ln -sf /home/operator/.bashrc .git/COMMIT_EDITMSG; sleep 1", []string{"symbolic link", "/told/.git/"}},
		{"an interpreter", "python3 -m venv --without-pip .venv", "cp /bin/true x; mv x .venv/bin/python", []string{".venv/bin/python"}},
		{"an interpreter's link", "python3 -m venv --without-pip env", "ln -sf /home/operator/told/evil env/bin/python3", []string{"env/bin/python"}},
		{"an interpreter's settings", "python3 -m venv --without-pip env", "echo 'home = /home/operator/told' >>env/pyvenv.cfg", []string{"env/pyvenv.cfg"}},
		{"a new environment", "", "python3 -m venv --without-pip .venv", []string{".venv/"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			identity(t, operator)
			dir := tree(t, operator, "told")
			t.Cleanup(func() { os.RemoveAll(operator.home + "/away") })
			sh(t, operator, dir, test.prepare+"\ntrue")
			said := told(t, operator, dir, test.commands)
			for _, word := range test.told {
				if !strings.Contains(said, word) {
					t.Errorf("%q is not in %q", word, said)
				}
			}
			if strings.ContainsAny(said, "\x1b\r\x07") {
				t.Errorf("what is told has the agent's control characters: %q", said)
			}
		})
	}
}

// Whose files have to be listed before anything else, or they go under.
func TestChangesAreToldAtDetachAndAtTheEnd(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	identity(t, operator)
	dir := tree(t, operator, "told")
	s := openShell(t, operator, "-C", dir)
	s.do("git init -q zz; git -C zz config core.fsmonitor x; for i in $(seq 300); do mkdir -p d$i; echo >d$i/.envrc; done")
	s.typed("\x1d\x1d\x1d")
	status, said := s.leave()
	if status != 0 || !strings.Contains(said, "zz/.git") || !strings.Contains(said, "aaau attach "+s.id) {
		t.Errorf("detached with status %d, %.1000q", status, said)
	}
	if strings.Index(said, "zz/.git") > strings.Index(said, ".envrc") {
		t.Errorf("the repository is not told first: %.1000q", said)
	}
	// The one who joins it again is told again at its end.
	again := shell{sit(t, operator, "aaau", "-n", s.id), s.id}
	again.match(promptForm)
	again.typed("\rexit 0\r")
	if _, said := again.leave(); !strings.Contains(said, "/.envrc") {
		t.Errorf("at the end it is told %.500q", said)
	}
}

// The directory outside of the workspace that git's own lies in: is it of this one?
func TestForeignRepositoriesAreNotAdded(t *testing.T) {
	operator := as(t, "operator")
	const private = "/home/operator/private"
	for _, test := range []struct{ name, prepare, attack string }{
		{"a .git file", "", "echo 'gitdir: /home/operator/private/.git' >.git"},
		{"a .git link", "", "ln -s /home/operator/private/.git .git"},
		{"a worktree's", "", "echo 'gitdir: /home/operator/private/.git/worktrees/wt' >.git"},
		{"commondir", "", "git init -q .; echo /home/operator/private/.git >.git/commondir"},
		{"a forged worktree", "", "mkdir g; echo ref: refs/heads/main >g/HEAD; echo /home/operator/private/.git >g/commondir; echo /home/operator/victim/.git >g/gitdir; echo 'gitdir: g' >.git"},
		{"core.worktree", "", "git init -q .; git config core.worktree /home/operator/private"},
		{"alternates", "", "git init -q .; mkdir -p .git/objects/info; echo /home/operator/private/.git/objects >.git/objects/info/alternates"},
		{"a submodule's", "git init -q .; git commit -q --allow-empty -m x", "mkdir sub; echo 'gitdir: /home/operator/private/.git' >sub/.git; git update-index --add --cacheinfo 160000,1234567890123456789012345678901234567890,sub; printf '[submodule \"sub\"]\\n\\tpath = sub\\n\\turl = ./x\\n' >.gitmodules"},
		{"a worktree that the agent added", "git init -q .; git commit -q --allow-empty -m x", "git worktree add -q w; echo /home/operator/private/.git >.git/worktrees/w/commondir; echo 'gitdir: /home/operator/private/.git' >w/.git"},
		{"an include", "", "git init -q .; git config include.path /home/operator/private/secret"},
		{"hooksPath", "", "git init -q .; git config core.hooksPath /home/operator/private"},
		{"links", "", "git init -q .; rm -r .git/hooks; ln -s /home/operator/private .git/hooks; mv .git/config c; ln -s /home/operator/private/secret .git/config; ln -s /home/operator/private/x .git/commondir"},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			identity(t, operator)
			tree(t, operator, "private")
			sh(t, operator, private, "git init -q .; echo s3cr3t >secret; git add .; git commit -qm secret; git worktree add -q ../privatewt 2>/dev/null; mv ../privatewt wt; git worktree repair -q wt 2>/dev/null || true; ls .git/worktrees >/dev/null")
			dir := tree(t, operator, "victim")
			sh(t, operator, dir, test.prepare+"\ntrue")
			before := sh(t, operator, private, "find . /home/operator -not -path '/home/operator/victim*' -printf '%p %i %m %s\\n' | sort")
			r := run(t, operator, at(dir, "aaau", "-C", ".", "--", "bash", "-c", test.attack)...)
			if r.status != 0 && !strings.Contains(r.stderr, "the session was killed") {
				t.Errorf("the attack fails: %+v", r)
			}
			for _, where := range []string{".", "sub", "w"} {
				if _, err := os.Stat(filepath.Join(dir, where)); err != nil {
					continue
				}
				r = run(t, operator, at(filepath.Join(dir, where), "aaau", "-C", ".", "--", "bash", "-c", "ls -A /home/operator; ls -A /home/operator/private/.git && echo listed; git log -p --all | cat; grep -r s3cr3t /home/operator")...)
				if strings.Contains(r.stdout, "s3cr3t") || strings.Contains(r.stdout, "listed") {
					t.Errorf("in %s the agent sees %q", where, r.stdout)
				}
				if r.status == 255 {
					t.Logf("refused: %s", r.stderr)
				}
			}
			if after := sh(t, operator, private, "find . /home/operator -not -path '/home/operator/victim*' -printf '%p %i %m %s\\n' | sort"); after != before {
				t.Errorf("aaau itself was led to change\n%s\nto\n%s", before, after)
			}
		})
	}
}
