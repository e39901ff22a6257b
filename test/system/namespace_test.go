package system

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func init() { programs["write-mapped"] = writeByMapping }

// writeByMapping replaces the first bytes of a file by mapped memory, as soon as it can, and keeps
// the file open.
func writeByMapping(args []string) int {
	for {
		fd, err := unix.Open(args[0], unix.O_RDWR, 0)
		if err != nil {
			continue
		}
		m, err := unix.Mmap(fd, 0, len(args[1]), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return 1
		}
		copy(m, args[1])
		select {}
	}
}

// In a mount namespace of the program's own a lock does not come back that was lost because
// somebody outside replaced what it was on. What the program changes there is seen and undone.
func TestLocksInOtherNamespaces(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	identity(t, operator)
	const set = "git config a.b c"
	for name, c := range map[string]struct{ mine, theirs string }{
		"appended":     {set, "while :; do echo '[evil]' >>.git/config; done"},
		"renamed over": {set, "while :; do echo '[evil]' >.git/c; mv .git/c .git/config; done"},
		"linked":       {set, "while :; do n=$((n+1)); ln .git/config .git/x$n && echo '[evil]' >>.git/x$n; done"},
		"mapped":       {set, helper + " write-mapped .git/config '[evil]'"},
		"a hook":       {"mv .git/hooks .git/h; mkdir .git/hooks", "while sleep 0.05; do echo evil >.git/hooks/pre-commit; done"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, operator, "project")
			sh(t, operator, dir, "git init -q .; git commit -q --allow-empty -m first; git config first.key value")
			const nested = `echo begun; { %s; } 2>/dev/null; sleep 1000`
			id := began(t, operator, dir, "-C", ".", "--", "unshare", "-Urm", "bash", "-c", strings.Replace(nested, "%s", c.theirs, 1))
			peek(t, id, "begun")
			sh(t, operator, dir, c.mine)
			if !eventually(func() bool {
				state := inStatus(t, id, "state")
				// What had a second name before it was watched cannot be locked.
				return state == "ended" || state == "frozen" && name == "linked"
			}) {
				t.Errorf("the session goes on: %s", output(t, operator, "aaau", "status", id))
			}
			if got := sh(t, operator, dir, "git config first.key; cat .git/config .git/hooks/pre-commit 2>/dev/null | grep -c evil || true"); got != "value\n0" {
				t.Errorf("git's own files say %q", got)
			}
		})
	}
}

// Programs that sandbox what they run may look at what is locked, whatever somebody outside does to it.
func TestSandboxesMayReadWhatIsLocked(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	identity(t, operator)
	dir := tree(t, operator, "project")
	sh(t, operator, dir, "git init -q .; git commit -q --allow-empty -m first; git worktree add -q w; git init -q nested; git -C nested commit -q --allow-empty -m n")
	const work = `echo begun; while :; do (git status; git -C w status; cat .git/config .git/hooks/*; git commit -q --allow-empty -m x; touch .git a) >/dev/null 2>&1; done`
	for _, program := range [][]string{{"bash", "-c", work}, {"unshare", "-Urm", "bash", "-c", work}} {
		id := began(t, operator, dir, append([]string{"-C", ".", "--"}, program...)...)
		peek(t, id, "begun")
		sh(t, operator, dir, `for i in $(seq 10); do git config a.b$i c; done; printf '[in]\n\tplace = 1\n' >>.git/config; touch .git/config; chmod 600 .git/config; git worktree add -q v$$; rm -rf nested; touch .git/hooks/x; git remote add o$$ /nowhere`)
		if soon := sh(t, operator, dir, "git config a.b10; git config in.place; git status >/dev/null"); !strings.HasPrefix(soon, "c\n1") {
			t.Errorf("the person's own changes are gone: %q", soon)
		}
		sh(t, operator, dir, "rm a")
		await(t, "the program to go on", func() bool { return sh(t, operator, dir, "ls a 2>/dev/null || true") == "a" })
		if state := inStatus(t, id, "state"); state != "running" {
			t.Errorf("the session is %s: %s", state, output(t, operator, "aaau", "status", id))
		}
		output(t, operator, "aaau", "kill", "--force", id)
	}
}
