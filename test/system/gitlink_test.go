package system

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	programs["mapped"] = writeMapped
	programs["opened"] = writeOpened
	programs["slow"] = slowStage
}

// What git enters from a repository that was there: one that its index names. It must
// work where nothing prevents it, and in a session nothing may run, also while that
// goes on.
var gitlinkTraps = []trap{
	{"an index names a repository", "repository repo", "new repo/evil; armed repo/evil; add evil", ""},
	{"a repository is made where an index names one", "repository repo; named sub", "new repo/sub; armed repo/sub", ""},
	{"configured first", "repository repo; named sub", "mkdir -p repo/sub/.git; " + config + " >repo/sub/.git/config; cp -r repo/.git/objects repo/.git/refs repo/sub/.git; cp repo/.git/HEAD repo/sub/.git", ""},
	{"its directory renamed into place", "repository repo; named sub", "new repo/x; armed repo/x; rmdir repo/sub; mv repo/x repo/sub", ""},
	{"its directory copied into place", "repository repo; named sub", "new x; armed x; rmdir repo/sub; cp -r x repo/sub", ""},
	{"a directory above renamed into place", "repository repo; named m/b/sub", "new repo/x/b/sub; armed repo/x/b/sub; rm -r repo/m; mv repo/x repo/m", ""},
	{"a directory above exchanged", "repository repo; named m/b/sub", "new repo/x/b/sub; armed repo/x/b/sub; " + helper + " exchange repo/x repo/m", ""},
	{"its .git renamed into place", "repository repo; named sub", "new repo/x; armed repo/x; mv repo/x/.git repo/sub/", ""},
	{"in a linked worktree", "repository repo; git -C repo worktree add -q ../wt", "new wt/evil; armed wt/evil; git -C wt add evil", "git -C wt status"},
	{"in a submodule", submodule, "new repo/sub/evil; armed repo/sub/evil; git -C repo/sub add evil", ""},
	{"in a directory that may only be passed", "repository repo; named m/sub", "chmod 311 repo/m; new repo/m/sub; armed repo/m/sub", ""},

	{"armed after it was added, by git", "repository repo", "plain lib; armed repo/lib", ""},
	{"armed after it was added, in place", "repository repo", "plain lib; " + config + " >>repo/lib/.git/config", ""},
	{"armed by a descriptor of before", "repository repo", "new repo/lib; " + helper + ` opened repo/lib/.git/config "$evil" & begun; add lib; wait`, ""},
	{"armed by memory of before", "repository repo", "new repo/lib; echo '#" + strings.Repeat(" ", 200) + "' >>repo/lib/.git/config; " + helper + ` mapped repo/lib/.git/config "$evil" & begun; add lib; wait`, ""},
	{"truncated and written", "repository repo", "plain lib; " + config + " >repo/lib/.git/config", ""},
	{"a second name of its configuration", "repository repo", "new repo/lib; ln repo/lib/.git/config repo/c; add lib; sleep 0.2; " + config + " >>repo/c", ""},
	{"a hook afterwards", "repository repo", "plain lib; cp evil repo/lib/.git/hooks/post-index-change; touch -d yesterday repo/lib/a", ""},
	{"a hook renamed into place", "repository repo", "plain lib; mkdir h; cp evil h/post-index-change; rm -r repo/lib/.git/hooks; mv h repo/lib/.git/hooks; touch -d yesterday repo/lib/a", ""},
	{"an include", "repository repo", "plain lib; " + config + " >repo/c; git -C repo/lib config include.path ../../c", ""},
	{"for a worktree", "repository repo", "plain lib; git -C repo/lib config extensions.worktreeConfig true; git -C repo/lib config --worktree core.fsmonitor $evil", ""},
	{"commondir afterwards", "repository repo", "plain lib; new x; armed x; echo ../../../x/.git >repo/lib/.git/commondir", ""},
	{"a repository in one that was added", "repository repo", "plain lib; new repo/lib/deep; armed repo/lib/deep; git -C repo/lib add deep", ""},

	{"a .git file", "repository repo", "new x; armed x; mkdir repo/evil; echo 'gitdir: ../../x/.git' >repo/evil/.git; name evil", ""},
	{"a .git file, afterwards", "repository repo; named sub", "new x; armed x; echo 'gitdir: ../../x/.git' >g; mv g repo/sub/.git", ""},
	{"a .git link", "repository repo", "new x; armed x; mkdir repo/evil; ln -s ../../x/.git repo/evil/.git; name evil", ""},
	{"a .git file into modules", "repository repo", "new x; armed x; mkdir -p repo/evil repo/.git/modules; mv x/.git repo/.git/modules/evil; echo 'gitdir: ../.git/modules/evil' >repo/evil/.git; name evil", ""},
	{"a .git file into modules, through a link", "repository repo", "new x; armed x; mkdir -p repo/evil repo/.git/modules; ln -s ../../../x repo/.git/modules/y; echo 'gitdir: ../.git/modules/y/.git' >repo/evil/.git; name evil", ""},
	{"the repository itself, whose program is in the tree", "repository repo; mkdir repo/t; printf '#!/bin/sh\n' >repo/t/f; chmod 755 repo/t/f; git -C repo config core.fsmonitor t/f; git -C repo add t; git -C repo commit -qm t",
		"git -C repo worktree add -q w; cp -f evil repo/w/t/f; name w", ""},
	{"a worktree that leads away", "repository repo", "new x; armed x; git -C repo worktree add -q w; echo ../../../../x/.git >repo/.git/worktrees/w/commondir; name w", ""},

	{"an index written in place", "repository repo", "new repo/evil; armed repo/evil; cp -r repo r; git -C r add evil; cat r/.git/index >repo/.git/index", ""},
	{"an index that is shared", "repository repo", "new repo/evil; armed repo/evil; name evil; git -C repo update-index --split-index", ""},
	{"outside of the checkout", "repository repo; echo >repo/XXXXXX; git -C repo add XXXXXX; git -C repo commit -qm X",
		"new evil2; armed evil2; cp repo/.git/index i; GIT_INDEX_FILE=$PWD/i git -C repo update-index --add --cacheinfo 160000,$(git -C evil2 rev-parse HEAD),XXXXXXXX; sed 's#XXXXXXXX#../evil2#' i >j; mv j repo/.git/index", ""},
}

const linking = `
new() { repository "$1" 2>/dev/null || { git init -q "$1"; git -C "$1" commit -q --allow-empty -m first; }; }
armed() { git -C "$1" config core.fsmonitor "$evil"; }
add() { git -C repo add "$1"; }
name() { git -C repo update-index --add --cacheinfo "160000,$(git -C repo rev-parse HEAD),$1"; }
named() { mkdir -p "repo/$1"; name "$1"; git -C repo commit -qm sub; }
plain() { new "repo/$1"; git -C repo add "$1"; sleep 0.2; }
begun() { until test -e /tmp/begun; do sleep 0.01; done; rm /tmp/begun; }
`

// writeOpened writes to a file that it has open, when it is likely to be trusted.
func writeOpened(args []string) int {
	f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	begins()
	fmt.Fprintf(f, evilConfig, args[1])
	return 0
}

// begins says in a file that it is ready, and lets what is to come before it happen.
func begins() {
	if err := os.WriteFile("/tmp/begun", nil, 0o600); err != nil {
		fmt.Println(err)
	}
	time.Sleep(time.Second)
}

// writeMapped does so by memory: nobody has the file open then.
func writeMapped(args []string) int {
	fd, err := unix.Open(args[0], unix.O_RDWR, 0)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 1
	}
	m, err := unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	unix.Close(fd)
	begins()
	copy(m[strings.Index(string(m), "#")+1:], fmt.Appendf(nil, "\n"+evilConfig+"#", args[1]))
	return 0
}

func TestGitEntersNothingOfTheAgents(t *testing.T) {
	operator := as(t, "operator")
	const attack = "/usr/local/bin/aaau-test-attack"
	for _, kind := range []string{"tmpfs", "ext4"} {
		t.Run(kind, func(t *testing.T) {
			begin(t)
			identity(t, operator)
			tree(t, operator, "pwned")
			dir := ""
			if kind == "ext4" {
				dir = ext4(t) + "/operator"
			} else {
				dir = tree(t, operator, "links")
			}
			for _, p := range gitlinkTraps {
				t.Run(p.name, func(t *testing.T) {
					begin(t)
					p.prepare = linking + p.prepare
					one := []trap{p}
					if kind == "tmpfs" {
						setTraps(t, dir, one)
						file(t, attack, linking+attacks(dir, one))
						output(t, operator, "bash", attack)
						provoke(t, dir, one)
						if len(pwned(t)) == 0 {
							t.Error("it is no trap at all")
						}
						sh(t, operator, dir, "chmod -R u+rwX .; rm -rf *")
					}
					setTraps(t, dir, one)
					file(t, attack, linking+attacks(dir, one))
					c := sit(t, operator, "aaau", "-C", dir, "--", "bash", "-c", "bash "+attack+"; read")
					m := c.match(`\naaau: the session was killed([^\n]*)\n`)
					provoke(t, dir, one)
					for range pwned(t) {
						t.Errorf("during the session it works (%q)", m[2])
					}
					if !strings.Contains(m[2], ".from-agent") {
						t.Errorf("it is not told what was done: %q", m[2])
					}
					c.leave()
					provoke(t, dir, one)
					for range pwned(t) {
						t.Error("after the session it works")
					}
					sh(t, operator, dir, "chmod -R u+rwX .; rm -rf *")
				})
			}
		})
	}
}

// An index is written by memory that was mapped before it was looked at: there is no
// word of that, so nobody may have such.
func TestIndexIsNotWrittenByMemory(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	identity(t, operator)
	dir := tree(t, operator, "links")
	sh(t, operator, dir, "git init -q .; git commit -q --allow-empty -m first; echo >a; git add a")
	c := sit(t, operator, "aaau", "-C", dir, "--", "bash", "-c", "cp .git/index .git/i; "+helper+" mapped .git/i x & until test -e /tmp/begun; do sleep 0.01; done; mv .git/i .git/index; read")
	if m := c.match(`\naaau: the session was killed([^\n]*)\n`); !strings.Contains(m[2], "open to be written") {
		t.Errorf("told is %q", m[2])
	}
	c.leave()
	if got, err := filepath.Glob(dir + "/.git/index.from-agent"); err != nil || len(got) != 1 {
		t.Errorf("the index is %q, %v", got, err)
	}
}

// What agents and people do with repositories within repositories all day.
func TestRepositoriesWithinMayBeNamed(t *testing.T) {
	operator := as(t, "operator")
	for _, test := range []struct{ name, prepare, theirs, mine string }{
		{"all is added", "true", "git init -q lib; echo x >lib/x; git -C lib add x; git -C lib commit -qm lib; git add -A; git commit -qm all; git -C lib config user.name Somebody; git -C lib checkout -q -b b; echo y >lib/x; git -C lib commit -qam y; git add -A; git commit -qm again; git -C lib gc -q", "git status; echo >mine; git add mine; git commit -qm mine"},
		{"a clone is added", "git init -q ../other; git -C ../other commit -q --allow-empty -m x; mv ../other .; echo other >.gitignore", "git clone -q other lib; git add -A; git commit -qm all; git -C lib checkout -q -b x; git -C lib push -q -u origin x", "git status"},
		{"a worktree is added", "true", "git worktree add -q .trees/w; git add -A; git commit -qm all; echo >.trees/w/w; git -C .trees/w add w; git -C .trees/w commit -qm w", "git status"},
		{"a submodule is initialised", "git init -q lib; git -C lib commit -q --allow-empty -m x; git -c protocol.file.allow=always submodule --quiet add ./lib sub; git commit -qam sub; git submodule --quiet deinit -f sub; git submodule --quiet init; rm -rf .git/modules/sub", "git -c protocol.file.allow=always submodule update; git -C sub checkout -q -b x; git -C sub commit -q --allow-empty -m more; git add sub; git commit -qm sub", "git status"},
		{"a submodule is added from outside", "git init -q lib; git -C lib commit -q --allow-empty -m x", "true", "git -c protocol.file.allow=always submodule --quiet add ./lib sub; git commit -qm sub; git -C sub checkout -q -b x; git submodule --quiet deinit -f sub; git -c protocol.file.allow=always submodule --quiet update --init; git status"},
		{"a submodule goes and comes, outside", "git init -q lib; git -C lib commit -q --allow-empty -m x; git -c protocol.file.allow=always submodule --quiet add ./lib sub; git commit -qam sub; git -C sub config alias.x log", "true", "git submodule --quiet deinit -f sub; git -c protocol.file.allow=always submodule --quiet update --init; git status; git mv sub sub2; git commit -qm moved; git status"},
		{"large", "for i in $(seq 3000); do echo $i >f$i; done; git add .; git commit -qm large", "git init -q lib; git -C lib commit -q --allow-empty -m lib; for i in $(seq 20); do echo $i >f$i; git add -A; done; git commit -qm more; echo >f1; git stash; git stash pop; git reset -q --hard HEAD~1", "git status; git gc -q"},
		{"split", "git update-index --split-index", "echo x >x; git add x; git commit -qm x; git init -q lib; git -C lib commit -q --allow-empty -m x; git add -A; git commit -qm lib", "git status"},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			identity(t, operator)
			dir := tree(t, operator, "within")
			sh(t, operator, dir, "git init -q .; git commit -q --allow-empty -m first; "+test.prepare)
			s := openShell(t, operator, "-C", dir)
			if out, status := s.do("(set -e; " + test.theirs + ")"); status != 0 {
				t.Errorf("the agent's: status %d, %s", status, out)
			}
			sh(t, operator, dir, test.mine)
			if out, _ := s.do("git status >/dev/null; echo o''n"); !strings.HasSuffix(strings.TrimSpace(out), "on") {
				t.Errorf("then it says %q", out)
			}
			if got := output(t, as(t, "root"), "find", dir, "-name", "*.from-agent*"); got != "" {
				t.Errorf("put aside is %s", got)
			}
			s.close()
		})
	}
}

// How long git of the person's would have, from the moment that an index names what is
// armed.
func TestGitlinkIsUndoneInTime(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	identity(t, operator)
	dir := tree(t, operator, "links")
	var all []time.Duration
	for range 5 {
		sh(t, operator, dir, "rm -rf repo; git init -q repo; cd repo; for i in $(seq 2000); do echo >f$i; done; git add .; git commit -qm first")
		c := sit(t, operator, "aaau", "-C", dir, "--", "bash", "-c", "cd repo; git init -q evil; git -C evil commit -q --allow-empty -m x; git -C evil config core.fsmonitor x; cp .git/index .git/i; GIT_INDEX_FILE=.git/i git add evil 2>/dev/null; mv .git/i .git/index; read")
		c.match(`\naaau: the session was killed[^\n]*\n`)
		c.leave()
		at := func(how, name string) time.Time {
			text := output(t, as(t, "root"), "stat", "-c", how, name)
			s, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				t.Fatal(err)
			}
			return time.UnixMicro(int64(s * 1e6))
		}
		all = append(all, at("%.9Y", dir+"/repo/evil").Sub(at("%.9Z", dir+"/repo/.git/index")))
	}
	t.Logf("from the index to the end: %v", all)
	slices.Sort(all)
	most := all[len(all)/2] // others may disturb some
	if os.Getenv("AAAU_EXACT") != "" {
		most = all[len(all)-1]
	}
	if most > 200*time.Millisecond {
		t.Errorf("it took %v", most)
	}
}

// slowStage tries all that keeps the stage waiting for a processor. Its status is 0 if
// nothing may be done.
func slowStage([]string) (status int) {
	tasks, err := os.ReadDir("/proc/1/task")
	if err != nil || len(tasks) == 0 {
		fmt.Println("no stage:", err)
		return 1
	}
	one := &unix.CPUSet{}
	one.Set(0)
	for _, e := range tasks {
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			fmt.Println(err)
			return 1
		}
		for name, err := range map[string]error{
			"idle":     unix.SchedSetAttr(tid, &unix.SchedAttr{Policy: unix.SCHED_IDLE}, 0),
			"nice":     unix.Setpriority(unix.PRIO_PROCESS, tid, 19),
			"affinity": unix.SchedSetaffinity(tid, one),
		} {
			if err != unix.EPERM {
				fmt.Println("thread", tid, name, err)
				status = 1
			}
		}
	}
	if err := unix.Setpriority(unix.PRIO_USER, os.Getuid(), 19); err != unix.EPERM {
		fmt.Println("all of the user:", err)
		status = 1
	}
	return status
}

// Git of the person's is faster than a guard that gets no processor.
func TestAgentCannotSlowTheGuard(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	identity(t, operator)
	dir := tree(t, operator, "links")
	sh(t, operator, dir, "git init -q .; git commit -q --allow-empty -m first")
	since := journalNow(t)
	s := openShell(t, operator, "-C", dir)
	try := func() {
		t.Helper()
		// By its status: on a busy machine git may have to wait in the midst of replacing its
		// configuration, and the session is frozen for as long, and says so on the terminal.
		if said, status := s.do(helper + " slow"); status != 0 {
			t.Errorf("status %d: %s", status, said)
		}
	}
	try()
	sh(t, operator, dir, "git config a.b c; git commit -q --allow-empty -m more") // the guard at work
	try()
	stage := find(t, s.id, "aaau-stage", func(process) bool { return true })
	urgent := 0
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", stage.pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range tasks {
		tid, _ := strconv.Atoi(e.Name())
		if a, err := unix.SchedGetAttr(tid, 0); err != nil {
			t.Error(err)
		} else if a.Policy == unix.SCHED_FIFO && a.Priority == 1 && a.Flags&unix.SCHED_FLAG_RESET_ON_FORK != 0 {
			urgent++
		} else if a.Policy != unix.SCHED_NORMAL || a.Nice != 0 {
			t.Errorf("a thread of the stage is scheduled by %+v", *a)
		}
	}
	if said := strings.Contains(journal(t, since, "--output=cat"), "no real-time priority"); urgent > 1 || said == (urgent == 1) {
		t.Errorf("%d threads of the stage run at once, and that it cannot be: %v", urgent, said)
	}
	s.close()
}
