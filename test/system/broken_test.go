package system

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A bridge that cannot start, for a file is wrong, says so to who starts it and to all who
// connect, and keeps its sessions until it can.
func TestConfigurationIsBroken(t *testing.T) {
	begin(t)
	configure(t, "")
	const file = "/etc/aaau/aaau.conf.d/90-test.conf"
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	operator := as(t, "operator")
	s, follower := openShell(t, operator), start(t, operator, nil, "follow", "text")
	if got := follower.line(); got != "open" {
		t.Fatal(got)
	}
	id := output(t, operator, "aaau", "start", "--", "sh", "-c", "read x; exit 7")
	waiting := sit(t, operator, "aaau", "wait", id)
	t.Cleanup(func() { write("") }) // before it is removed, and the bridge restarted

	write("nosuch=1\n")
	reloadFails(t, file+":1: nosuch")
	s.prints("echo as it $((40+2))", "as it 42")

	said := []string{"does not start", file + ":1: nosuch", "journalctl -u aaau"}
	for _, end := range []struct {
		name     string
		restarts string // of systemd's, since somebody has started it
		how      func()
	}{
		{"restarted", "1", func() {
			if out, err := systemctlMay("restart", "aaau.service"); err == nil || !strings.Contains(out, "failed") {
				t.Errorf("restarting it: %q, %v", out, err)
			}
		}},
		{"killed", "2", func() {
			old := mainPID(t, "aaau.service")
			kill(t, old, syscall.SIGKILL)
			await(t, "the next", func() bool {
				pid, err := systemctlMay("show", "--value", "--property=MainPID", "aaau.service")
				return err == nil && pid != "0" && pid != strconv.Itoa(old)
			})
		}},
		{"restarted again", "1", func() {
			if out, err := systemctlMay("restart", "aaau.service"); err == nil {
				t.Errorf("restarting it: %q", out)
			}
		}},
	} {
		end.how()
		refused(t, operator, said, "aaau", "start", "--", "true")
		refused(t, operator, said, "aaau", "list")
		if got := property(t, "aaau.service", "NRestarts"); got != end.restarts {
			t.Errorf("%s: systemd has started it %s times", end.name, got)
		}
		if got := property(t, "aaau.service", "StatusText"); !strings.Contains(got, "nosuch") {
			t.Errorf("%s: its status is %q", end.name, got)
		}
	}
	s.expect("does not start")

	write("")
	await(t, "the bridge", func() bool { return run(t, operator, "aaau", "list").status == 0 })
	if got := property(t, "aaau.service", "StatusText"); got != "" {
		t.Errorf("its status is %q", got)
	}
	s.typed("echo still $((40+2))\r") // beside what it was told
	s.expect("still 42")
	output(t, operator, "aaau", "send", id, "--enter", "go")
	if status, shown := waiting.leave(); status != 7 || shown != "" {
		t.Errorf("who waited hears %d, %q", status, shown)
	}
	follower.say("stop\n")
	if got := follower.line(); !strings.HasPrefix(got, "whole: ") {
		t.Error(got)
	}
	s.typed("exit 8\r")
	s.ends(8)
}
