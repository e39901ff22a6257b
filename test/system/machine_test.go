package system

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// patience is how long anything may take that takes milliseconds when all is
	// well.
	patience = 30 * time.Second
	// lifetime is how long a whole test may take.
	lifetime = 3 * time.Minute
)

// begin is every test's first line. At the test's end it makes sure that no
// session is left, and if the test has failed it shows the journal's end.
func begin(t *testing.T) {
	t.Helper()
	beginLong(t, lifetime)
}

// allowed is how long the present test may take.
var allowed = lifetime

// beginLong is begin for a test that takes its time.
func beginLong(t *testing.T, most time.Duration) {
	t.Helper()
	began := journalNow(t)
	allowed = most
	hangs := time.AfterFunc(most, func() { panic(t.Name() + " hangs") })
	t.Cleanup(func() {
		allowed = lifetime
		defer hangs.Stop()
		if !eventually(func() bool { return len(scopes(t)) == 0 }) {
			t.Errorf("the test left sessions behind: %v", scopes(t))
			systemctlMay("kill", "--signal=KILL", "aaau-*.scope")
		}
		if t.Failed() {
			t.Logf("the journal's last lines:\n%s", journal(t, began, "--output=short-precise", "--lines=60"))
		}
	})
	if os.Getenv("AAAU_RACE") != "" {
		installRaces(t)
	}
}

// eventually asks until the answer is yes, for want of an event to wait for; no
// is its answer when patience is at its end.
func eventually(yes func() bool) bool {
	for end := time.Now().Add(patience); !yes(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// await is eventually for a test that cannot go on without.
func await(t *testing.T, what string, yes func() bool) {
	t.Helper()
	if !eventually(yes) {
		t.Fatalf("in vain waited for %s", what)
	}
}

// systemctl must succeed.
func systemctl(t *testing.T, args ...string) string {
	t.Helper()
	if verb := args[0]; verb == "start" || verb == "restart" {
		// Tests do in seconds what systemd thinks is too often.
		systemctlMay(append([]string{"reset-failed"}, args[1:]...)...)
	}
	out, err := systemctlMay(args...)
	if err != nil {
		t.Fatalf("systemctl %q: %v: %s", args, err, out)
	}
	return out
}

// systemdRun has systemd run something, by systemd-run(1).
func systemdRun(args ...string) (string, error) {
	out, err := exec.Command("systemd-run", args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func systemctlMay(args ...string) (string, error) {
	out, err := exec.Command("systemctl", args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// property is one of a unit's.
func property(t *testing.T, unit, name string) string {
	t.Helper()
	return systemctl(t, "show", "--value", "--property="+name, unit)
}

// mainPID is a service's, which must run.
func mainPID(t *testing.T, service string) int {
	t.Helper()
	pid, err := strconv.Atoi(property(t, service, "MainPID"))
	if err != nil || pid == 0 {
		t.Fatalf("%s does not run: %v", service, err)
	}
	return pid
}

// journalNow is the journal's end, for journal to go on from. (Not a cursor:
// journalctl 252 with a cursor and a filter leaves out one entry.)
func journalNow(t *testing.T) string {
	t.Helper()
	syncJournal(t)
	now := time.Now()
	return fmt.Sprintf("@%d.%06d", now.Unix(), now.Nanosecond()/1000)
}

// syncJournal makes sure that all that was said is in the journal.
func syncJournal(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("journalctl", "--sync").CombinedOutput(); err != nil {
		t.Fatalf("journalctl --sync: %v: %s", err, out)
	}
}

// journal is what was journalled since, as journalctl shows it with args.
func journal(t *testing.T, since string, args ...string) string {
	t.Helper()
	syncJournal(t)
	args = append([]string{"--quiet", "--no-pager", "--since=" + since}, args...)
	out, err := exec.Command("journalctl", args...).CombinedOutput()
	if err != nil && len(out) > 0 { // nothing found is a failure too
		t.Fatalf("journalctl %q: %v: %s", args, err, out)
	}
	return string(out)
}

// messages are a service's own words since.
func messages(t *testing.T, since, service string) string {
	t.Helper()
	program := map[string]string{"aaau.service": "aaau-server", "aaau-launcher.service": "aaau-launcher"}[service]
	return journal(t, since, "--output=cat", "--unit="+service, "--identifier="+program)
}

// scopes are the names of all sessions' scopes.
func scopes(t *testing.T) (names []string) {
	t.Helper()
	for line := range strings.Lines(systemctl(t, "list-units", "--all", "--plain", "--no-legend", "--full", "aaau-*.scope")) {
		names = append(names, strings.Fields(line)[0])
	}
	return names
}

// scopeDir is a session's directory in the cgroup file system.
func scopeDir(t *testing.T, session string) string {
	t.Helper()
	dirs, err := filepath.Glob("/sys/fs/cgroup/aaau.slice/aaau-*.slice/aaau-*-" + session + ".scope")
	if err != nil || len(dirs) != 1 {
		t.Fatalf("session %s has scopes %q: %v", session, dirs, err)
	}
	return dirs[0]
}

// process is one that a test has found and holds on to: pids are used again,
// descriptors are not.
type process struct {
	pid   int
	name  string
	state string
	pgrp  int
	sid   int
	tpgid int // the foreground process group of its terminal
	pidfd int
}

func (p process) String() string { return fmt.Sprintf("%s(%d)", p.name, p.pid) }

// processes are those in a session's scope, seen from outside.
func processes(t *testing.T, session string) (all []process) {
	t.Helper()
	pids, err := os.ReadFile(filepath.Join(scopeDir(t, session), "cgroup.procs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range strings.Fields(string(pids)) {
		p := process{pid: int(number(t, f))}
		if p.pidfd, err = unix.PidfdOpen(p.pid, 0); err != nil {
			continue // it has ended
		}
		t.Cleanup(func() { unix.Close(p.pidfd) })
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
		if err != nil {
			continue
		}
		// proc_pid_stat(5): pid (comm) state ppid pgrp session tty_nr tpgid
		s := string(stat)
		open, shut := strings.Index(s, "("), strings.LastIndex(s, ")")
		p.name = s[open+1 : shut]
		var ppid, tty int
		if _, err := fmt.Sscan(s[shut+1:], &p.state, &ppid, &p.pgrp, &p.sid, &tty, &p.tpgid); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		all = append(all, p)
	}
	return all
}

// find waits for a process of a session, by its name and what else is asked.
func find(t *testing.T, session, name string, fits func(process) bool) (found process) {
	t.Helper()
	await(t, name+" in session "+session, func() bool {
		for _, p := range processes(t, session) {
			if p.name == name && fits(p) {
				found = p
				return true
			}
		}
		return false
	})
	return found
}

// ended says whether a process has, waiting for it.
func (p process) ended() bool {
	fds := []unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(patience.Milliseconds()))
		if err != unix.EINTR {
			return n == 1 && err == nil
		}
	}
}
