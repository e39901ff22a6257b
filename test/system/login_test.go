package system

import (
	"strings"
	"testing"
)

// A login shell, as agents start one for each command, has the PATH of its session; and what a
// profile of the agent's adds comes before it.
func TestLoginShellsKeepPath(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	s := openShell(t, operator)
	own, _ := s.do(`echo "$PATH"`)
	own = strings.TrimSpace(own)
	if !strings.Contains(own, "/.local/bin:") {
		t.Fatalf("PATH is %q", own)
	}
	for _, shell := range []string{"bash -lc", "sh -lc", "env -i HOME=$HOME bash -lc", "PATH=/usr/bin:/bin bash -lc"} {
		got, _ := s.do(shell + ` 'echo "$PATH"'`)
		if !strings.HasPrefix(strings.TrimSpace(got), own) {
			t.Errorf("%s: PATH is %q, not %q", shell, got, own)
		}
	}
	s.do(`echo 'PATH=$HOME/own:$PATH' >~/.profile`)
	if got, _ := s.do(`bash -lc 'echo "$PATH"'`); !strings.Contains(got, "/own:"+own) {
		t.Errorf("with a profile of its own PATH is %q", got)
	}
	s.do("rm ~/.profile")
	if out, status := s.do("touch /etc/profile.d/x; echo x >>/etc/profile.d/zz-aaau.sh"); status == 0 {
		t.Errorf("the agent can write there: %q", out)
	}
	s.close()
	if got := output(t, as(t, "root"), "sh", "-c", "ls /etc/profile.d"); strings.Contains(got, "aaau") {
		t.Errorf("the machine has %q", got)
	}
}

// What a session has for itself is mounted once, as outside.
func TestMountedOnce(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	for _, dir := range []string{"/proc", "/tmp", "/var/tmp", "/dev/shm", "/dev/pts", "/run/lock", "/dev/mqueue"} {
		got := output(t, operator, "aaau", "--", "sh", "-c", "awk '$5 == d' d="+dir+" /proc/self/mountinfo | wc -l")
		if got != "1" && !(got == "0" && (dir == "/run/lock" || dir == "/dev/mqueue")) {
			t.Errorf("%s is %s mounts", dir, got)
		}
	}
}
