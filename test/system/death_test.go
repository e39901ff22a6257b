package system

import (
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The launcher has no part in a session once it is started.
func TestLauncherDies(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(t *testing.T)
	}{
		{"killed", func(t *testing.T) { kill(t, mainPID(t, "aaau-launcher.service"), syscall.SIGKILL) }},
		{"stopped", func(t *testing.T) { systemctl(t, "stop", "aaau-launcher.service") }},
		{"restarted", func(t *testing.T) { systemctl(t, "restart", "aaau-launcher.service") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			s := openShell(t, as(t, "operator"))
			all := processes(t, s.id)
			test.end(t)
			s.prints("echo still here", "still here")
			s.typed("exit 7\r")
			s.ends(7)
			for _, p := range all {
				if !p.ended() {
					t.Errorf("%v lives on", p)
				}
			}
			if got := output(t, as(t, "operator"), "aaau", "-p", "id -un"); got != "agent" {
				t.Errorf("afterwards the agent is %q", got)
			}
		})
	}
}

// A bridge has no part in a session's life, and people in one notice nothing.
func TestBridgeDies(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(t *testing.T)
	}{
		{"killed", func(t *testing.T) { kill(t, mainPID(t, "aaau.service"), syscall.SIGKILL) }},
		{"restarted", func(t *testing.T) { systemctl(t, "restart", "aaau.service") }},
		{"killed with the launcher", func(t *testing.T) {
			kill(t, mainPID(t, "aaau-launcher.service"), syscall.SIGKILL)
			kill(t, mainPID(t, "aaau.service"), syscall.SIGKILL)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			operator := as(t, "operator")
			s, other := openShell(t, operator), openShell(t, operator)
			all := processes(t, s.id)
			output(t, operator, "aaau", "freeze", other.id)
			old := mainPID(t, "aaau.service")
			test.end(t)
			await(t, "the next bridge", func() bool {
				pid, err := systemctlMay("show", "--value", "--property=MainPID", "aaau.service")
				return err == nil && pid != "0" && pid != strconv.Itoa(old)
			})
			s.prints("echo still here", "still here")
			if list := output(t, operator, "aaau", "list"); !strings.Contains(list, "frozen (by operator)") {
				t.Errorf("after it the sessions are\n%s", list)
			}
			output(t, operator, "aaau", "thaw", other.id)
			other.typed("echo still $((40+2))\r") // beside what it was told of being frozen
			other.expect("still 42")
			s.typed("exit 7\r")
			s.ends(7)
			for _, p := range all {
				if !p.ended() {
					t.Errorf("%v lives on", p)
				}
			}
			other.close()
		})
	}
}

// A bridge that is stopped is not away for a moment. From 254 on systemd keeps its
// sessions for the next all the same; before, it lets go of them, and they end.
func TestBridgeIsStopped(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	id := output(t, operator, "aaau", "start", "--", "sh", "-c", "read x; exit 7")
	kept := property(t, "aaau.service", "FileDescriptorStorePreserve") == "yes"
	all := processes(t, id)
	systemctl(t, "stop", "aaau.socket", "aaau.service")
	if !kept {
		for _, p := range all {
			if !p.ended() {
				t.Errorf("%v goes on without a bridge", p)
			}
		}
	}
	systemctl(t, "start", "aaau.socket")
	if !kept {
		refused(t, operator, []string{"no session"}, "aaau", "wait", id)
		return
	}
	output(t, operator, "aaau", "send", id, "--enter", "go")
	if r := run(t, operator, "aaau", "wait", id); r.status != 7 {
		t.Errorf("%+v", r)
	}
}

// A frozen session cannot see that nobody holds it any more: somebody else must.
func TestFrozenAndNobodys(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	id := output(t, operator, "aaau", "start", "--", "sleep", "1000")
	all := processes(t, id)
	output(t, operator, "aaau", "freeze", id)
	scope := filepath.Base(scopeDir(t, id))
	// As if it had been lost: out of the store, behind the bridge's back.
	systemctl(t, "stop", "aaau.service")
	if property(t, "aaau.service", "FileDescriptorStorePreserve") == "yes" {
		systemctl(t, "clean", "--what=fdstore", "aaau.service")
	}
	systemctl(t, "start", "aaau.service")
	for _, p := range all {
		if !p.ended() {
			t.Errorf("%v of %s lives on", p, scope)
		}
	}
}

// As an upgrade of systemd itself does it.
func TestSystemdReexecutes(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	systemctl(t, "daemon-reexec")
	s.prints("echo still here", "still here")
	output(t, as(t, "operator"), "aaau", "-p", "true")
	output(t, as(t, "operator"), "aaau", "kill", s.id)
	s.ends(129)
}

// However often they die, the next session starts: no start limit and nothing that
// a dead one has left is in its way.
func TestBothDieOften(t *testing.T) {
	begin(t)
	for range 5 {
		output(t, as(t, "operator"), "aaau", "-p", "id -un")
		kill(t, mainPID(t, "aaau-launcher.service"), syscall.SIGKILL)
		kill(t, mainPID(t, "aaau.service"), syscall.SIGKILL)
		await(t, "the bridge to be back", func() bool { return property(t, "aaau.service", "SubState") == "running" })
	}
	if got := output(t, as(t, "operator"), "aaau", "-p", "id -un"); got != "agent" {
		t.Errorf("afterwards the agent is %q", got)
	}
}
