package system

import (
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

// What an agent does without a bridge, nobody records: so it does nothing. (When
// terminals are kept in systemd's store, sessions will outlive a crash, and this
// test's first half is to say so.)
func TestBridgeDies(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(t *testing.T)
	}{
		{"killed", func(t *testing.T) { kill(t, mainPID(t, "aaau.service"), syscall.SIGKILL) }},
		{"stopped", func(t *testing.T) { systemctl(t, "stop", "aaau.service") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			first, all := openStubborn(t)
			second := openShell(t, as(t, "observer"))
			all = append(all, processes(t, second.id)...)
			test.end(t)
			for _, p := range all {
				if !p.ended() {
					t.Errorf("%v goes on without a bridge", p)
				}
			}
			for _, s := range []shell{first, second} {
				// Either the session's end comes to the client, or the bridge's.
				if status, said := s.leave(); status != 137 || said != "" {
					checkRefusal(t, "of the bridge's end", []string{"bridge"}, status, strings.TrimLeft(said, "\n"))
				}
			}
			if got := output(t, as(t, "operator"), "aaau", "-p", "id -un"); got != "agent" {
				t.Errorf("afterwards the agent is %q", got)
			}
		})
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
	s.ends(137)
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
