package system

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What ignores a signal from its start, as nohup(1) has it or a script's background job, goes
// on doing so.
func TestSignalsThatWereIgnored(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	dir := tree(t, operator, "ignored")
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM} {
		name := unix.SignalName(s)
		for _, command := range []string{`-p 'sh -c "echo begun; until test -e go; do sleep 0.05; done; echo survived"'`, "wait $id"} {
			id := ""
			if strings.HasPrefix(command, "wait") {
				id = began(t, operator, dir, "-C", ".", "--", "sh", "-c", "until test -e go; do sleep 0.05; done")
			} else {
				command = "-C . " + command
			}
			c := spawn(t, operator, "sh", "-c", fmt.Sprintf(`cd %s; id=%s; trap '' %s; exec aaau %s`, dir, id, strings.TrimPrefix(name, "SIG"), command))
			await(t, "the program", func() bool {
				return (id != "" || strings.Contains(c.stdout(), "begun")) && ignores(c.cmd.Process.Pid, s)
			})
			kill(t, c.cmd.Process.Pid, s)
			sh(t, operator, dir, "touch go")
			if r := c.result(); r.status != 0 || id == "" && r.stdout != "begun\nsurvived\n" {
				t.Errorf("%s, ignored by aaau %s: %+v", name, command, r)
			}
			sh(t, operator, dir, "rm go")
		}
	}
}

// ignores says whether a process is aaau, and ignores a signal.
func ignores(pid int, s syscall.Signal) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil || !strings.HasPrefix(string(status), "Name:\taaau\n") {
		return false
	}
	_, rest, _ := strings.Cut(string(status), "\nSigIgn:\t")
	mask, err := strconv.ParseUint(rest[:16], 16, 64)
	return err == nil && mask&(1<<(s-1)) != 0
}

// tidy is a program that does something before it ends.
const tidy = `trap 'echo tidied; exit 3' INT TERM HUP QUIT; echo begun; while :; do sleep 0.05; done`

// A signal to a client in a pipe is the program's, which has time to tidy up; so has that of a
// client which was killed.
func TestSignalsReachTheProgram(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		c := spawn(t, operator, "aaau", "-T", "--", "sh", "-c", tidy)
		await(t, "the program", func() bool { return c.stdout() == "begun\n" })
		kill(t, c.cmd.Process.Pid, s)
		if r := c.result(); r.stdout != "begun\ntidied\n" || r.status != 3 {
			t.Errorf("%s: %+v", unix.SignalName(s), r)
		}
	}
	// One that does not care is ended at the second signal, and the client's status is that of it.
	c := spawn(t, operator, "aaau", "-T", "--name", "careless", "--", "sh", "-c", "trap '' INT TERM; echo begun; while :; do sleep 0.05; done")
	await(t, "the program", func() bool { return c.stdout() == "begun\n" })
	since := journalNow(t)
	kill(t, c.cmd.Process.Pid, syscall.SIGINT)
	await(t, "the signal to be passed on", func() bool { return strings.Contains(journal(t, since, "--output=cat"), "sends SIGINT") })
	kill(t, c.cmd.Process.Pid, syscall.SIGTERM)
	if r := c.result(); r.status != 128+int(syscall.SIGTERM) {
		t.Errorf("two signals: %+v", r)
	}

	c = spawn(t, operator, "aaau", "-T", "--name", "killed", "-C", tree(t, operator, "killed"), "--", "sh", "-c", strings.Replace(tidy, "echo tidied", "touch tidied", 1))
	await(t, "the program", func() bool { return c.stdout() == "begun\n" })
	kill(t, c.cmd.Process.Pid, syscall.SIGKILL)
	await(t, "the file of a program whose client was killed", func() bool {
		_, err := os.Stat(operator.home + "/killed/tidied")
		return err == nil
	})
}

// Whom a signal takes out of a session with a terminal reads how to come back.
func TestSignalAtATerminal(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	c := sit(t, operator, "aaau", "--name", "stays", "--", "sh", "-c", "echo begun; exec sleep 1000")
	id := c.session()
	c.expect("begun")
	c.signal(syscall.SIGTERM)
	status, said := c.leave()
	if status != 128+int(syscall.SIGTERM) || !strings.Contains(said, "detached by SIGTERM; back with: aaau attach "+id) {
		t.Errorf("status %d, %q", status, said)
	}
	if got := inStatus(t, "stays", "state"); got != "running" {
		t.Errorf("the session is %s", got)
	}
	output(t, operator, "aaau", "kill", id)
}

func TestKill(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	dir := tree(t, operator, "kill")
	one := began(t, operator, dir, "-C", ".", "--name", "one", "--", "sh", "-c", "echo $$; "+strings.Replace(tidy, "echo tidied", "touch tidied", 1))
	peek(t, "one", "begun")
	if said := output(t, operator, "aaau", "kill", "one"); said != fmt.Sprintf("session %s (one) ended: exit status 3", one) {
		t.Errorf("it says %q", said)
	}
	if _, err := os.Stat(dir + "/tidied"); err != nil {
		t.Error("the program had no time:", err)
	}

	// Several, of which one cannot be.
	began(t, operator, dir, "--name", "two", "--", "sleep", "1000")
	began(t, operator, dir, "--name", "three", "--", "sh", "-c", "trap '' TERM; echo begun; while :; do sleep 0.05; done")
	peek(t, "three", "begun")
	r := run(t, operator, "aaau", "kill", "two", "nosuch", "three")
	if r.status != 255 || !strings.Contains(r.stdout, "(two) ended: by SIGTERM") || !strings.Contains(r.stdout, "(three) ended: by SIGHUP") ||
		!strings.Contains(r.stderr, "aaau: nosuch: ") || !strings.Contains(r.stderr, "1 of 3 sessions could not be ended") {
		t.Errorf("%+v", r)
	}

	// Of one's own all, and no other's.
	began(t, operator, dir, "--name", "four", "--", "sleep", "1000")
	began(t, operator, dir, "--name", "five", "--", "sleep", "1000")
	theirs := began(t, observer, "/", "--", "sleep", "1000")
	if said := output(t, operator, "aaau", "kill", "--all"); strings.Count(said, "ended: by SIGTERM") != 2 {
		t.Errorf("--all says %q", said)
	}
	if got := inStatus(t, theirs, "state"); got != "running" {
		t.Errorf("another's session is %s", got)
	}

	began(t, operator, dir, "--name", "six", "--", "sh", "-c", "trap '' TERM HUP; echo begun; while :; do sleep 0.05; done")
	peek(t, "six", "begun")
	output(t, operator, "aaau", "kill", "-f", "six")
	if r := run(t, operator, "aaau", "wait", "six"); r.status != 128+int(syscall.SIGKILL) {
		t.Errorf("--force: %+v", r)
	}
	began(t, operator, dir, "--name", "seven", "--", "sleep", "1000")
	output(t, operator, "aaau", "freeze", "seven")
	if said := output(t, operator, "aaau", "kill", "seven"); !strings.Contains(said, "by SIGKILL") {
		t.Errorf("a frozen one: %q", said)
	}
	for _, args := range [][]string{{}, {"--all", "one"}, {"--force", "--signal", "INT", "x"}, {"--signal", "NOSUCH", "x"}} {
		if r := run(t, operator, append([]string{"aaau", "kill"}, args...)...); r.status != 255 || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

// A session is named after its directory in any script, and found by that.
func TestNamesInAnyScript(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	for dir, name := range map[string]string{"日本": "日本", "café": "café", "cafe\u0301-2": "café-2", "a\u202eb": "a-b"} {
		id := began(t, operator, tree(t, operator, dir), "-C", ".", "--", "sleep", "1000")
		if got := inStatus(t, id, "name"); got != name {
			t.Errorf("a session in %q is called %q", dir, got)
		}
		output(t, operator, "aaau", "peek", name)
	}
	output(t, operator, "aaau", "peek", "cafe\u0301") // typed in the other form
	began(t, operator, "/", "--name", "日本語", "--", "sleep", "1000")
	if list := output(t, operator, "aaau", "list"); !strings.Contains(list, " 日本語 ") || !strings.Contains(list, " café ") {
		t.Errorf("%s", list)
	}
	refused(t, operator, []string{"no name for a session"}, "aaau", "start", "--name", "a\u200bb", "--", "true")
}
