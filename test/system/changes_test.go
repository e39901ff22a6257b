package system

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A person who shares all of their home is told which of the files in it their login, their
// shell and their desktop run, and there is nothing of AaaU's in it afterwards.
func TestChangesOfAHome(t *testing.T) {
	begin(t)
	operator := emptyHome(t, "operator")
	r := run(t, operator, "aaau", "--workspace", operator.home, "--", "sh", "-ec", `cd `+operator.home+`; echo x >>.bashrc; echo x >>.profile
		mkdir -p .ssh .config/autostart .config/systemd/user bin app/node_modules/p; echo k >.ssh/authorized_keys; echo x >.config/autostart/a.desktop
		echo x >.config/systemd/user/x.service; echo x >bin/ls; for i in 1 2 3 4 5; do echo x >app/node_modules/p/$i.js; done; echo x >notes`)
	if r.status != 0 {
		t.Fatalf("%+v", r)
	}
	for _, name := range []string{".bashrc", ".profile", ".ssh/authorized_keys", ".config/autostart/a.desktop", ".config/systemd/user/x.service", "bin/ls"} {
		if !strings.Contains(r.stderr, "  "+operator.home+"/"+name+": new or changed\n") {
			t.Errorf("nothing is told of %s: %s", name, r.stderr)
		}
	}
	if line := "  " + operator.home + "/app/node_modules/: 5 new or changed files\n"; !strings.Contains(r.stderr, line) || strings.Count(r.stderr, "node_modules") != 1 {
		t.Errorf("of node_modules is told: %s", r.stderr)
	}
	if strings.Contains(r.stderr, "notes") || strings.Contains(r.stderr, "gitconfig") {
		t.Errorf("too much is told: %s", r.stderr)
	}
	clean := func(when string) {
		t.Helper()
		for _, name := range []string{".gitconfig", ".config/git"} {
			if _, err := os.Lstat(filepath.Join(operator.home, name)); err == nil {
				t.Errorf("%s there is a %s", when, name)
			}
		}
	}
	clean("at the end")

	// As long as a session may write there, there is one that it cannot write.
	first, second := began(t, operator, "/", "--workspace", operator.home, "--", "sh", "-c", "read x"), began(t, operator, "/", "--workspace", operator.home, "--", "sh", "-c", "echo x >>"+operator.home+"/.gitconfig; read x")
	peek(t, second, "Read-only file system")
	output(t, operator, "aaau", "kill", second)
	run(t, operator, "aaau", "wait", second)
	if _, err := os.Lstat(filepath.Join(operator.home, ".gitconfig")); err != nil {
		t.Error("a session goes on, and its .gitconfig is gone")
	}
	output(t, operator, "aaau", "kill", first)
	run(t, operator, "aaau", "wait", first)
	clean("after both")
}

// While a session goes on aaau changes looks, and after its end it knows what was found.
func TestChangesCommand(t *testing.T) {
	begin(t)
	operator, observer := emptyHome(t, "operator"), as(t, "observer")
	dir := filepath.Join(operator.home, "many")
	output(t, operator, "mkdir", dir)
	const files = 60
	c := sit(t, operator, "aaau", "-C", dir, "--", "sh", "-ec", fmt.Sprintf(`i=0; while [ $i -lt %d ]; do mkdir d$i; echo x >d$i/.envrc; i=$((i+1)); done; echo done; read x`, files))
	id := c.session()
	c.expect("done")
	type list struct {
		Session  string
		Recorded bool
		Total    int
		Changes  []struct{ Path, What string }
	}
	check := func(recorded bool) {
		t.Helper()
		got := parsed[list](t, operator, "aaau", "changes", id, "--json")
		if got.Session != id || got.Recorded != recorded || got.Total != files || len(got.Changes) != files || got.Changes[0].Path != dir+"/d0/.envrc" {
			t.Errorf("changes are %+v", got)
		}
		r := run(t, operator, "aaau", "changes", id)
		if r.status != 0 || strings.Count(r.stdout, "/.envrc: new or changed\n") != files || strings.Contains(r.stderr, "as it was found") != recorded {
			t.Errorf("changes are %+v", r)
		}
	}
	check(false)
	refused(t, observer, []string{"no session"}, "aaau", "changes", id)
	c.typed("\r")
	status, rest := c.leave()
	if status != 0 || !strings.Contains(rest, fmt.Sprintf("and %d more: aaau changes %s", files-40, id)) {
		t.Errorf("at its end: status %d, %q", status, rest)
	}
	check(true)
	refused(t, observer, []string{"no session"}, "aaau", "changes", id)
	systemctl(t, "restart", "aaau.service")
	check(true)
	refused(t, operator, []string{"one session"}, "aaau", "changes")

	// Nobody was there at its end.
	id = began(t, operator, dir, "-C", ".", "--", "sh", "-c", "echo x >.npmrc")
	run(t, operator, "aaau", "wait", id)
	r := run(t, operator, "aaau", "changes", id)
	if r.status != 0 || r.stdout != dir+"/.npmrc: new or changed\n" || !strings.Contains(r.stderr, "also since its end") {
		t.Errorf("%+v", r)
	}
}

// emptyHome is a person with nothing in their home for the length of a test.
func emptyHome(t *testing.T, name string) account {
	t.Helper()
	who := as(t, name)
	if err := unix.Mount("tmpfs", who.home, "tmpfs", 0, fmt.Sprintf("mode=0700,uid=%d,gid=%d", who.uid, who.gid)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(who.home, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return who
}
