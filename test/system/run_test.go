package system

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/audit"
)

// byHand starts a bridge on root's terminal and waits until it listens.
func byHand(t *testing.T, socket string, args ...string) *console {
	t.Helper()
	return byHandOf(t, "aaau-server", socket, args...)
}

// byHandOf does that with another program.
func byHandOf(t *testing.T, program, socket string, args ...string) *console {
	t.Helper()
	t.Cleanup(func() { os.Remove(socket) })
	c := sit(t, as(t, "root"), append([]string{program, "run", "-s", socket}, args...)...)
	c.expect("listening at " + socket)
	await(t, "the bridge's user", func() bool { return credentials(t, c.pid) != "0 0" })
	return c
}

// credentials are a process's effective uid and gid.
func credentials(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`Uid:\s+\d+\s+(\d+)\s.*\nGid:\s+\d+\s+(\d+)\s`).FindStringSubmatch(string(text))
	return m[1] + " " + m[2]
}

func TestBridgeByHand(t *testing.T) {
	begin(t)
	const socket, lock, pid = "/run/x.sock", "/run/x.lock", "/run/x.pid"
	// What a dead bridge has left is in nobody's way.
	listenAt(t, socket, 0o600).Close()
	if err := os.WriteFile(lock, []byte("4711\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(lock); os.Remove(pid) })
	c := byHand(t, socket, "--lock-file", lock, "-p", pid)

	bridge := as(t, "aaau-bridge")
	if got, want := credentials(t, c.pid), fmt.Sprintf("%d %d", bridge.uid, bridge.gid); got != want {
		t.Errorf("the bridge is %s, not %s", got, want)
	}
	if text, err := os.ReadFile(pid); err != nil || strings.TrimSpace(string(text)) != fmt.Sprint(c.pid) {
		t.Errorf("the pid file says %q, %v", text, err)
	}
	if got := output(t, as(t, "root"), "stat", "--format=%a %U %G", socket); got != "660 root aaau" {
		t.Errorf("the socket is %s", got)
	}
	if got := output(t, as(t, "operator"), "aaau", "-s", socket, "-p", "id -un"); got != "agent" {
		t.Errorf("the agent is %q", got)
	}
	refused(t, as(t, "outsider"), []string{"usermod -aG aaau outsider"}, "aaau", "-s", socket, "-p", "id")

	for _, second := range []struct{ args, word string }{
		{"-s " + socket, socket},
		{"-s /run/y.sock --lock-file " + lock, lock},
	} {
		r := run(t, as(t, "root"), append([]string{"aaau-server", "run"}, strings.Fields(second.args)...)...)
		if r.status != 1 || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, second.word) {
			t.Errorf("a second bridge with %s: status %d, %q", second.args, r.status, r.stderr)
		}
	}
	if got := output(t, as(t, "operator"), "aaau", "-s", socket, "-p", "id -un"); got != "agent" {
		t.Errorf("after the second bridges' tries the agent is %q", got)
	}
	c.typed("\x03")
	c.ends(0)
}

func TestBridgeByHandEndsCleanly(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(c *console)
	}{
		{"^C", func(c *console) { c.typed("\x03") }},
		{"SIGTERM", func(c *console) { c.signal(syscall.SIGTERM) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			c := byHand(t, "/run/x.sock")
			s := openShell(t, as(t, "operator"), "-s", "/run/x.sock")
			all := processes(t, s.id)
			test.end(c)
			c.ends(0)
			if status, said := s.leave(); status != 137 || said != "" {
				checkRefusal(t, "of the bridge's end", []string{"bridge"}, status, strings.TrimLeft(said, "\n"))
			}
			for _, p := range all {
				if !p.ended() {
					t.Errorf("%v goes on without a bridge", p)
				}
			}
		})
	}
}

func TestBridgeByHandWithOptions(t *testing.T) {
	begin(t)
	const socket, dir = "/run/x.sock", "/var/log/aaau-test"
	root := as(t, "root")
	output(t, root, "useradd", "--system", "--home-dir=/var/lib/aaau/agent3", "--create-home", "--user-group", "agent3")
	t.Cleanup(func() { run(t, root, "userdel", "--remove", "agent3") })
	configure(t, "agent-users=agent agent3\n")
	output(t, root, "install", "--directory", "--owner=aaau-bridge", dir)
	t.Cleanup(func() { os.RemoveAll(dir) })

	// A group of which the operator is not, and nobody's word but the launcher's on
	// who an agent may be.
	c := byHand(t, socket, "-g", "observer", "-u", "agent3", "-l", dir)
	if got := output(t, as(t, "observer"), "aaau", "-s", socket, "-p", "id -un"); got != "agent3" {
		t.Errorf("the agent is %q", got)
	}
	refused(t, as(t, "operator"), []string{"usermod -aG observer operator"}, "aaau", "-s", socket, "-p", "id")
	c.typed("\x03")
	c.ends(0)
	found := ""
	for e, err := range audit.Search(dir, audit.Query{Kinds: []audit.Kind{audit.KindSessionStart}}) {
		if err != nil {
			t.Fatal(err)
		}
		found += string(e.Raw)
	}
	if !strings.Contains(found, `"agent_user":"agent3"`) {
		t.Errorf("the record in %s is %q", dir, found)
	}

	c = byHand(t, socket, "-u", "observer")
	refused(t, as(t, "operator"), []string{`"observer"`, "agent-users="}, "aaau", "-s", socket, "-p", "id")
	c.typed("\x03")
	c.ends(0)
}

func TestBridgeAsATransientService(t *testing.T) {
	begin(t)
	const socket = "/run/x.sock"
	t.Cleanup(func() { os.Remove(socket) })
	root := as(t, "root")
	said := output(t, root, "aaau-server", "run", "-d", "-s", socket)
	unit := regexp.MustCompile(`aaau-run-[0-9a-f]+\.service`).FindString(said)
	if unit == "" {
		t.Fatalf("it says %q", said)
	}
	t.Cleanup(func() { systemctlMay("stop", unit) })
	pid := mainPID(t, unit)
	if can := property(t, unit, "CanReload"); can != "yes" {
		t.Errorf("CanReload is %s", can)
	}
	if bridge := as(t, "aaau-bridge"); credentials(t, pid) != fmt.Sprintf("%d %d", bridge.uid, bridge.gid) {
		t.Errorf("the bridge is %s", credentials(t, pid))
	}
	if got := output(t, as(t, "operator"), "aaau", "-s", socket, "-p", "id -un"); got != "agent" {
		t.Errorf("the agent is %q", got)
	}
	r := run(t, root, "aaau-server", "run", "-d", "-s", socket)
	if r.status != 1 || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, "systemctl stop "+unit) {
		t.Errorf("the second time: status %d, %q", r.status, r.stderr)
	}
	systemctl(t, "stop", unit)
	if _, err := net.Dial("unix", socket); err == nil {
		t.Errorf("somebody still listens at %s", socket)
	}
}

// Root's own hands may start it; anybody's may not.
func TestBridgeByHandRefuses(t *testing.T) {
	begin(t)
	for _, test := range []struct {
		name, who string
		args      []string
		word      string
	}{
		{"a file in the way", "root", []string{"-s", "/etc/hostname"}, "/etc/hostname"},
		{"no directory", "root", []string{"-s", "/no/such/dir/s.sock"}, "/no/such/dir"},
		{"systemd's own socket", "root", nil, "systemctl stop aaau.socket"},
		{"no such group", "root", []string{"-s", "/run/x.sock", "-g", "nosuch"}, "nosuch"},
		{"not root, as a service", "operator", []string{"-s", "/run/x.sock", "-d"}, "root"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := run(t, as(t, test.who), append([]string{"/usr/sbin/aaau-server", "run"}, test.args...)...)
			if r.status != 1 || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, test.word) {
				t.Errorf("status %d, stderr %q", r.status, r.stderr)
			}
		})
	}
	if err := unix.Access(serverSocket, unix.F_OK); err != nil {
		t.Errorf("systemd's socket: %v", err)
	}
}
