package gitland

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A pair is two repositories over one working tree.
type pair struct {
	t             testing.TB
	tree          string
	person, agent Repository
	lander        *Lander
}

// shell runs a script in the tree, as git's user of one of the repositories.
func (p *pair) shell(r Repository, script string) (string, error) {
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = p.tree
	cmd.Env = append(os.Environ(), "GIT_DIR="+r.Dir, "GIT_WORK_TREE="+p.tree, "GIT_EDITOR=true",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org",
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (p *pair) must(r Repository, script string) string {
	p.t.Helper()
	out, err := p.shell(r, script)
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return strings.TrimSpace(out)
}

// newPair makes a repository with a few commits and a session's over the same tree.
func newPair(t testing.TB) *pair {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
	p := &pair{t: t, tree: filepath.Join(dir, "tree")}
	p.person = Repository{Dir: filepath.Join(p.tree, ".git"), Tree: p.tree}
	p.agent = Repository{Dir: filepath.Join(dir, "session"), Tree: p.tree}
	if err := os.Mkdir(p.tree, 0o700); err != nil {
		t.Fatal(err)
	}
	p.must(p.person, `git init -q -b main; for i in 1 2 3 4; do echo $i >f$i; done; git add .; git commit -qm first; git branch side; echo 5 >f5; git add .; git commit -qm second; git tag v1`)
	p.lander = &Lander{Person: p.person, Session: Session{
		ID: "abc", URL: p.agent.Dir, UploadPack: "git-upload-pack",
		File: func(_ context.Context, name string, _ int64) ([]byte, error) {
			return os.ReadFile(filepath.Join(p.agent.Dir, name))
		},
		Apply: func(ctx context.Context, step Step) error {
			return Apply(ctx, p.agent, filepath.Join(p.agent.Dir, "aaau"), step)
		},
	}}
	if err := p.lander.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.must(p.person, `s=`+p.agent.Dir+`; mkdir -p $s/objects/info $s/aaau; cp -a .git/HEAD .git/config .git/refs .git/index $s; rm -rf $s/refs/aaau; [ ! -e .git/packed-refs ] || cp .git/packed-refs $s
		cp -a .git/logs $s; echo "$PWD/.git/objects" >$s/objects/info/alternates`)
	return p
}

func (p *pair) land() Report {
	p.t.Helper()
	report, err := p.lander.Land(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return report
}

// alike checks that both repositories have the same refs, HEAD and index, and that the tree is
// what both say.
func (p *pair) alike(status string) {
	p.t.Helper()
	const look = `git for-each-ref --format='%(refname) %(objectname)' refs/heads refs/tags; cat $GIT_DIR/HEAD; git ls-files -s; git status --porcelain`
	person, agent := p.must(p.person, look), p.must(p.agent, look)
	if person != agent {
		p.t.Errorf("the person's repository has\n%s\nthe session's\n%s", person, agent)
	}
	if got := p.must(p.person, "git status --porcelain"); got != status {
		p.t.Errorf("status is %q, not %q", got, status)
	}
	p.whole()
}

// whole checks that both repositories have no fault.
func (p *pair) whole() {
	p.t.Helper()
	for _, r := range []Repository{p.person, p.agent} {
		if out := p.must(r, "git fsck --no-dangling 2>&1"); strings.Contains(out, "error") || strings.Contains(out, "missing") {
			p.t.Errorf("%s: %s", r.Dir, out)
		}
		if _, err := os.Lstat(filepath.Join(r.Dir, "index.lock")); err == nil {
			p.t.Errorf("%s is locked", r.Dir)
		}
	}
	for _, name := range []string{"journal", "new", "next", "old"} {
		if _, err := os.Lstat(filepath.Join(p.lander.dir(), name)); err == nil {
			p.t.Errorf("%s is left", name)
		}
	}
}

// What one side does arrives on the other: commits, branches, tags, HEAD, what is staged.
func TestWorkArrives(t *testing.T) {
	for name, script := range map[string]string{
		"nothing":           `true`,
		"a commit":          `echo x >f1; git commit -qam x`,
		"a new file":        `echo x >new; git add new; git commit -qm x`,
		"a removed file":    `git rm -q f2; git commit -qm x`,
		"amended":           `echo x >f1; git commit -qa --amend -m x`,
		"a new branch":      `git branch topic`,
		"on a new branch":   `git switch -qc topic; echo x >f1; git commit -qam x`,
		"with slashes":      `git switch -qc a/b/c; echo x >f1; git commit -qam x`,
		"on an old branch":  `git switch -q side; echo x >f1; git commit -qam x`,
		"another's branch":  `git branch -f side main`,
		"detached":          `git switch -q --detach HEAD~1`,
		"a tag":             `git tag t1; git tag -a -m x t2`,
		"a moved tag":       `git tag -f v1 HEAD~1`,
		"staged":            `echo x >f1; git add f1; echo y >new; git add new`,
		"unstaged":          `echo x >f1; git add f1; git commit -qm x; git reset -q --soft HEAD~1; git reset -q`,
		"rebased":           `git switch -q side; echo x >f9; git add f9; git commit -qm x; git rebase -q main`,
		"merged":            `git switch -q side; echo x >f9; git add f9; git commit -qm x; git switch -q main; git merge -q --no-edit side`,
		"an orphan":         `git switch -q --orphan empty; echo x >f1; git add f1; git commit -qm x`,
		"a mode":            `chmod +x f1; git commit -qam x`,
		"a link":            `ln -s f1 l; git add l; git commit -qm x`,
		"a strange name":    `echo x >"$(printf 'a\tb\nc"')"; git add .; git commit -qm x`,
		"reset":             `git reset -q --hard HEAD~1`,
		"a branch, renamed": `git branch -m side other`,
		"a fixed conflict": `git switch -q side; echo x >f1; git commit -qam x; git switch -q main; echo y >f1; git commit -qam y
			git merge side && exit 1; echo z >f1; git commit -qam z`,
	} {
		t.Run(name, func(t *testing.T) {
			for _, from := range []string{"session", "person"} {
				t.Run(from, func(t *testing.T) {
					p := newPair(t)
					worker := map[string]Repository{"session": p.agent, "person": p.person}[from]
					p.must(worker, script)
					report := p.land()
					if report.Later {
						t.Error("the repository is said to be in use")
					}
					if name == "a branch, renamed" { // the old one is the person's to delete
						p.must(p.person, "git branch -D side 2>&1 || true")
						p.must(p.agent, "git branch -D side 2>&1 || true")
					}
					p.alike(map[string]string{"staged": "M  f1\nA  new", "unstaged": "M f1"}[name])
					if again := p.land(); len(again.Landed)+len(again.Taken)+again.Staged+len(again.Told) > 0 {
						t.Errorf("the next landing did %+v", again)
					}
				})
			}
		})
	}
}

// What is in the middle of being merged can be finished on either side; a rebase is waited for.
func TestUnfinishedWork(t *testing.T) {
	const conflict = `git switch -q side; echo x >f1; git commit -qam x; git switch -q main; echo y >f1; git commit -qam y; `
	for name, c := range map[string]struct{ begin, end, status string }{
		"a merge":       {"git merge side && exit 1 || true", "echo z >f1; git add f1; git commit -qm z; git rev-parse HEAD^2", "UU f1"},
		"a cherry-pick": {"git cherry-pick side && exit 1 || true", "echo z >f1; git add f1; git cherry-pick --continue", "UU f1"},
		"a revert":      {"git revert --no-edit HEAD~2 && exit 1 || true", "git rm -q f5; git revert --continue", "UD f5"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, ends := range []string{"session", "person"} {
				t.Run(ends, func(t *testing.T) {
					p := newPair(t)
					if name == "a revert" {
						p.must(p.agent, `echo x >>f5; git commit -qam x`)
					}
					p.must(p.agent, conflict+c.begin)
					p.land()
					p.alike(c.status)
					r := map[string]Repository{"session": p.agent, "person": p.person}[ends]
					p.must(r, c.end)
					p.land()
					p.alike("")
				})
			}
		})
	}
	t.Run("a rebase", func(t *testing.T) {
		p := newPair(t)
		p.must(p.agent, conflict+"git rebase side && exit 1 || true; git branch more")
		if report := p.land(); !report.Later || len(report.Landed) == 0 {
			t.Errorf("%+v", report)
		}
		if got := p.must(p.person, "cat .git/HEAD; git rev-parse more"); !strings.HasPrefix(got, "ref: refs/heads/main\n") {
			t.Errorf("the person has %q", got)
		}
		p.must(p.agent, "echo z >f1; git add f1; git rebase --continue")
		p.land()
		p.alike("")
	})
}

// The newest stash arrives, once.
func TestStashArrives(t *testing.T) {
	p := newPair(t)
	p.must(p.agent, `echo x >f1; git stash -q`)
	p.land()
	p.land()
	if got := p.must(p.person, "git stash list; git stash pop -q; cat f1"); got != "stash@{0}: from session abc\nx" {
		t.Errorf("the person has %q", got)
	}
}

// Where both sides did something, each thing that only one side did arrives, and nothing is lost.
func TestBothWork(t *testing.T) {
	p := newPair(t)
	p.must(p.agent, `echo agent >f1; git commit -qam agent; git tag from-agent`)
	p.must(p.person, `echo person >mine; git add mine; git branch from-person side`)
	p.land()
	p.alike("A  mine")
	p.must(p.person, `git commit -qm person`)
	p.must(p.agent, `git branch more`)
	p.land()
	p.alike("")
	if log := p.must(p.agent, `git log --format=%s`); log != "person\nagent\nsecond\nfirst" {
		t.Errorf("the history is %q", log)
	}
}

// What both moved stays as it is on both sides, and is told once.
func TestClashesAreTold(t *testing.T) {
	for name, c := range map[string]struct{ agent, person, told string }{
		"a branch":  {`git branch -f side main`, `git branch -f side $(git commit-tree -m x HEAD:)`, "both sides moved refs/heads/side"},
		"HEAD":      {`git switch -qc one`, `git switch -qc two`, "HEAD stays on two"},
		"staged":    {`echo a >f1; git add f1`, `echo b >f1; git add f1`, `both sides staged ["f1"]`},
		"deleted":   {`git branch -D -q side`, `true`, "git branch -D side"},
		"both here": {`echo a >f1; git commit -qam a`, `echo b >f2; git add f2; git commit -qm b`, "both sides moved refs/heads/main"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			p.must(p.agent, c.agent)
			p.must(p.person, c.person)
			const look = `git for-each-ref --format='%(refname) %(objectname)' refs/heads; cat $GIT_DIR/HEAD; git ls-files -s`
			before := []string{p.must(p.agent, look), p.must(p.person, look)}
			report := p.land()
			if !slices.ContainsFunc(report.Told, func(s string) bool { return strings.Contains(s, c.told) }) || len(report.Told) != 1 {
				t.Errorf("%q is told, not %q", report.Told, c.told)
			}
			after := []string{p.must(p.agent, look), p.must(p.person, look)}
			if name != "HEAD" && !slices.Equal(before, after) { // a branch that the other side does not have arrives all the same
				t.Errorf("%q became %q", before, after)
			}
			if again := p.land(); len(again.Told) != 0 {
				t.Errorf("it is told again: %q", again.Told)
			}
			p.whole()
		})
	}
}

// A name that git, a shell or a terminal could misread does not land; the others do.
func TestHostileNames(t *testing.T) {
	p := newPair(t)
	id := p.must(p.agent, "git rev-parse HEAD")
	bad := []string{"-x", "--upload-pack=x", "@", "HEAD", "refs/heads/main", "$(touch z)", "a;b", "a`b`", "right\u202eleft", "MAIN", strings.Repeat("a", 40), strings.Repeat("x", 250), "a|b", "a'b"}
	for _, name := range bad {
		path := filepath.Join(p.agent.Dir, "refs/heads", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.must(p.agent, "git branch fix/good; git branch fix-#12,ü")
	report := p.land()
	if len(report.Landed) != 2 || len(report.Told) != len(bad) {
		t.Errorf("%d of %d are told: %q; landed: %v", len(report.Told), len(bad), report.Told, report.Landed)
	}
	if got := p.must(p.person, "git for-each-ref --format='%(refname:short)' refs/heads"); got != "fix-#12,ü\nfix/good\nmain\nside" {
		t.Errorf("the person has %q", got)
	}
	p.must(p.person, "git fsck --no-dangling")
}

// A history that is said to be shallow, and is not whole, does not land, and what is whole does.
func TestShallowLie(t *testing.T) {
	p := newPair(t)
	p.must(p.agent, `git switch -qc lie; echo x >f1; git commit -qam 1; echo y >f1; git commit -qam 2; git rev-parse HEAD >$GIT_DIR/shallow; git branch good main`)
	report := p.land()
	if len(report.Told) == 0 {
		t.Error("nothing is told")
	}
	if got := p.must(p.person, "git for-each-ref --format='%(refname:short)' refs/heads"); got != "good\nmain\nside" {
		t.Errorf("the person has %q", got)
	}
	p.must(p.person, "git fsck --no-dangling && git log --oneline --all")
	if again := p.land(); len(again.Told) != 0 {
		t.Errorf("it is told again: %q", again.Told)
	}
}

// Objects that git's own check refuses do not land, and are not fetched again.
func TestBadObjects(t *testing.T) {
	p := newPair(t)
	p.must(p.agent, `blob=$(echo x | git hash-object -w --stdin)
		tree=$(printf '100644 blob %s\t.git\n' $blob | git mktree --missing 2>/dev/null || printf '100644 .git\0%b' "$(echo $blob | sed 's/../\\x&/g')" | git hash-object -t tree -w --literally --stdin)
		git update-ref refs/heads/evil $(git commit-tree -m evil $tree); git branch good`)
	report := p.land()
	if len(report.Told) != 1 || !strings.Contains(report.Told[0], "refs/heads/evil is not landed") {
		t.Errorf("%q is told", report.Told)
	}
	if got := p.must(p.person, "git for-each-ref --format='%(refname:short)' refs/heads"); got != "good\nmain\nside" {
		t.Errorf("the person has %q", got)
	}
	packs := func() string { return p.must(p.person, "find .git/objects -type f | sort | sha256sum") }
	before := packs()
	p.land()
	if packs() != before {
		t.Error("it was fetched again")
	}
}

// A landing that is killed at any moment is finished or undone by the next.
func TestKilledLanding(t *testing.T) {
	for round := range 12 {
		p := newPair(t)
		p.must(p.agent, `git switch -qc topic; echo x >f1; echo n >new; git add new; git commit -qam x`)
		p.must(p.person, `echo mine >mine; git add mine`)
		cmd := exec.Command(os.Args[0], "-test.run=^TestLandInChild$")
		cmd.Env = append(os.Environ(), "GITLAND_TREE="+p.tree, "GITLAND_SESSION="+p.agent.Dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		journal := filepath.Join(p.lander.dir(), "journal")
		for killed := false; !killed; {
			select {
			case <-done:
				killed = true
			default:
				if _, err := os.Lstat(journal); err == nil { // the step has begun: some hundred microseconds of it pass
					for range round * 1300 {
						_, _ = os.Lstat(journal)
					}
					_ = cmd.Process.Kill()
					<-done
					killed = true
				}
			}
		}
		p.land()
		p.land()
		p.alike("A  mine")
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
}

// TestLandInChild is the process that TestKilledLanding kills.
func TestLandInChild(t *testing.T) {
	tree, session := os.Getenv("GITLAND_TREE"), os.Getenv("GITLAND_SESSION")
	if tree == "" {
		return
	}
	agent := Repository{Dir: session, Tree: tree}
	l := &Lander{Person: Repository{Dir: filepath.Join(tree, ".git"), Tree: tree}, Session: Session{
		ID: "abc", URL: session, UploadPack: "git-upload-pack",
		File: func(_ context.Context, name string, _ int64) ([]byte, error) {
			return os.ReadFile(filepath.Join(session, name))
		},
		Apply: func(ctx context.Context, step Step) error {
			return Apply(ctx, agent, filepath.Join(session, "aaau"), step)
		},
	}}
	if _, err := l.Land(context.Background()); err != nil {
		fmt.Println(err)
	}
}
