package system

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// settings are all files that init may write, by name.
func settings(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, dir := range []string{"/etc/aaau", "/etc/sysusers.d", "/etc/tmpfiles.d", "/etc/systemd/system"} {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(name)
			files[name] = string(text)
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	return files
}

func TestInitWithDefaultsChangesNothing(t *testing.T) {
	begin(t)
	before := settings(t)
	for range 2 {
		said := output(t, as(t, "root"), "aaau-server", "init")
		for _, next := range []string{"usermod -aG aaau", "newgrp aaau", "systemctl enable --now aaau.socket"} {
			if !strings.Contains(said, next) {
				t.Errorf("it does not say %q: %q", next, said)
			}
		}
		if after := settings(t); !maps.Equal(before, after) {
			t.Errorf("there was %v, and is %v", before, after)
		}
	}
	// What is missing is made again.
	moveAway(t, "/var/lib/aaau/agent")
	output(t, as(t, "root"), "aaau-server", "init")
	if got := output(t, as(t, "operator"), "aaau", "-p", "stat --format '%U %G %a' ."); got != "agent agent 700" {
		t.Errorf("the new home is %q", got)
	}
}

func TestInitWithEverythingElse(t *testing.T) {
	begin(t)
	before := settings(t)
	root := as(t, "root")
	applied := func() {
		t.Helper()
		systemctl(t, "daemon-reload")
		systemctl(t, "restart", "aaau.socket")
	}
	argv := strings.Fields("aaau-server init -u agent2 -g people -s /run/aaau2/s.sock -l /var/log/aaau2 -h /var/lib/aaau/agent2 --shell /bin/sh")
	t.Cleanup(func() {
		for _, name := range []string{"/run/aaau2", "/var/log/aaau2", "/var/lib/aaau/agent2"} {
			os.RemoveAll(name)
		}
		run(t, root, "userdel", "agent2")
		run(t, root, "groupdel", "people")
		systemctl(t, "restart", "aaau.socket")
	})
	first := output(t, root, argv...)
	changed := settings(t)
	if second := output(t, root, argv...); strings.Contains(second, "Wrote") || !maps.Equal(changed, settings(t)) {
		t.Errorf("the second time it says %q", second)
	}
	if !strings.Contains(first, "usermod -aG people") {
		t.Errorf("it says %q", first)
	}
	applied()
	for name, owner := range map[string]string{"/var/lib/aaau/agent2": "agent2:agent2", "/var/log/aaau2": "aaau-bridge:aaau-audit", "/run/aaau2/s.sock": "root:people"} {
		if got := output(t, root, "stat", "-L", "--format=%U:%G", name); got != owner {
			t.Errorf("%s belongs to %s, not %s", name, got, owner)
		}
	}
	refused(t, as(t, "operator"), []string{"usermod -aG people operator"}, "aaau", "-p", "id")
	output(t, root, "usermod", "-aG", "people", "operator")
	operator := as(t, "operator")
	for _, socket := range []string{"/run/aaau2/s.sock", serverSocket} { // where clients look by themselves
		got := output(t, operator, "aaau", "-s", socket, "-p", `sh -c 'id -un; id -Gn; pwd; echo $SHELL $HOME'`)
		if want := "agent2\nagent2\n/var/lib/aaau/agent2\n/bin/sh /var/lib/aaau/agent2"; got != want {
			t.Errorf("at %s the session says %q, not %q", socket, got, want)
		}
	}
	agent2 := as(t, "agent2")
	agent2.gid = group(t, "people")
	refused(t, agent2, []string{"agent"}, "aaau", "-p", "id")

	output(t, root, "aaau-server", "init")
	if after := settings(t); !maps.Equal(before, after) {
		t.Errorf("before there was %v, and after init with the defaults there is %v", before, after)
	}
	applied()
	if got := output(t, operator, "aaau", "-p", `sh -c 'id -un; echo $SHELL'`); got != "agent\n/bin/bash" {
		t.Errorf("with the defaults again the session says %q", got)
	}
	if fi, err := os.Lstat(serverSocket); err != nil || fi.Mode()&os.ModeSocket == 0 {
		t.Errorf("%s is %v, %v", serverSocket, fi, err)
	}
}

func TestInitRefuses(t *testing.T) {
	begin(t)
	before := settings(t)
	for _, test := range []struct {
		name string
		who  string
		args []string
		word string
	}{
		{"one name for both", "root", []string{"-u", "same", "-g", "same"}, "same"},
		{"root as the agent", "root", []string{"-u", "root"}, "root"},
		{"root as the group", "root", []string{"-g", "root"}, "root"},
		{"the bridge as the agent", "root", []string{"-u", "aaau-bridge"}, "aaau-bridge"},
		{"a name that is a line", "root", []string{"-u", "a\nu evil 0"}, "name"},
		{"a path that is not absolute", "root", []string{"-s", "s.sock"}, "absolute"},
		{"a path with a blank", "root", []string{"-l", "/var/log/a b"}, "/var/log/a b"},
		{"a shell that is none", "root", []string{"--shell", "/etc/passwd"}, "/etc/passwd"},
		{"an argument", "root", []string{"agent"}, "agent"},
		{"not root", "operator", nil, "sudo aaau-server init"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := run(t, as(t, test.who), append([]string{"/usr/sbin/aaau-server", "init"}, test.args...)...)
			if r.status != 1 || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, test.word) {
				t.Errorf("status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
			}
		})
	}
	if after := settings(t); !maps.Equal(before, after) {
		t.Errorf("there was %v, and is %v", before, after)
	}
}

// An agent's user who becomes root by a group starts nothing, and init says so before anybody
// tries.
func TestAgentUserInRootGroup(t *testing.T) {
	begin(t)
	root := as(t, "root")
	const why = "in the group disk, with which it is root in effect"
	output(t, root, "usermod", "-aG", "disk", "agent")
	t.Cleanup(func() { run(t, root, "gpasswd", "-d", "agent", "disk") })
	refused(t, as(t, "operator"), []string{why, "sudo gpasswd -d agent disk"}, "aaau", "-p", "id")
	r := run(t, root, "aaau-server", "init")
	if r.status != 1 || !strings.Contains(r.stderr, "in group disk, with which it is root in effect") || !strings.Contains(r.stderr, "sudo gpasswd -d agent disk") {
		t.Errorf("init: status %d, %q", r.status, r.stderr)
	}
	output(t, root, "gpasswd", "-d", "agent", "disk")
	if got := output(t, as(t, "operator"), "aaau", "-p", "id -un"); got != "agent" {
		t.Errorf("out of the group it is %q", got)
	}
}
