package system

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Out by dpkg as in by dpkg, with a session open. Last in the order of the files,
// as it takes the most away; whatever comes of it, the package is back at the end.
func TestPackageIsRemovedAndInstalledAgain(t *testing.T) {
	begin(t)
	root := as(t, "root")
	deb := newestPackage(t)
	s := openShell(t, as(t, "operator"))
	all := processes(t, s.id)
	t.Cleanup(func() {
		if r := run(t, root, "dpkg", "--no-triggers", "-i", deb); r.status != 0 {
			t.Errorf("installing again: %+v", r)
		}
		systemctl(t, "enable", "--now", "aaau.socket")
	})

	if r := run(t, root, "dpkg", "--no-triggers", "-r", "aaau"); r.status != 0 {
		t.Fatalf("dpkg -r: %+v", r)
	}
	s.ends(129) // by the shell's own SIGHUP: recorded, not lost
	for _, p := range all {
		if !p.ended() {
			t.Errorf("%v goes on without the package", p)
		}
	}
	if n := programsOfOurs(t); n != 0 {
		t.Errorf("%d programs of ours run", n)
	}
	gone(t, "/usr/bin/aaau", "/usr/sbin/aaau-server", "/usr/libexec/aaau", "/usr/lib/aaau", serverSocket, launcherSocket,
		"/usr/lib/sysusers.d/aaau.conf", "/usr/lib/tmpfiles.d/aaau.conf", "/usr/lib/systemd/catalog/aaau.catalog", "/etc/systemd/system/sockets.target.wants/aaau.socket")
	if r := run(t, root, "journalctl", "--list-catalog"); r.status != 0 || r.stdout == "" || strings.Contains(r.stdout, "AaaU:") {
		t.Errorf("entries are explained still: %+v", r)
	}
	for _, unit := range []string{"aaau.socket", "aaau.service", "aaau-launcher.socket", "aaau-launcher.service", "aaau.slice"} {
		if out, err := systemctlMay("cat", unit); err == nil {
			t.Errorf("there still is %s: %s", unit, out)
		}
		if state := property(t, unit, "ActiveState"); state != "inactive" {
			t.Errorf("%s is %s", unit, state)
		}
	}

	if r := run(t, root, "dpkg", "--no-triggers", "-P", "aaau"); r.status != 0 {
		t.Fatalf("dpkg -P: %+v", r)
	}
	gone(t, "/etc/aaau", "/run/aaau")
	if _, err := os.Stat("/var/lib/aaau/agent"); err != nil {
		t.Errorf("an agent's work is not a package's to delete: %v", err)
	}
	if r := run(t, root, "dpkg", "-s", "aaau"); r.status == 0 {
		t.Errorf("dpkg still knows it: %q", r.stdout)
	}

	// The way in, as it is written in the README.
	if r := run(t, root, "dpkg", "--no-triggers", "-i", deb); r.status != 0 {
		t.Fatalf("dpkg -i: %+v", r)
	}
	if state := property(t, "aaau.socket", "ActiveState"); state != "inactive" {
		t.Errorf("installing has brought the socket up: %s", state)
	}
	systemctl(t, "enable", "--now", "aaau.socket")
	if got := output(t, as(t, "operator"), "aaau", "-p", "id -un"); got != "agent" {
		t.Errorf("the agent is %q", got)
	}
	// Again over itself, as an upgrade does it.
	if r := run(t, root, "dpkg", "--no-triggers", "-i", deb); r.status != 0 {
		t.Fatalf("dpkg -i of the same: %+v", r)
	}
	if got := output(t, as(t, "operator"), "aaau", "-p", "id -un"); got != "agent" {
		t.Errorf("after an upgrade the agent is %q", got)
	}
}

func gone(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := os.Lstat(name); !os.IsNotExist(err) {
			t.Errorf("there still is %s: %v", name, err)
		}
	}
}

// newestPackage is the one that the sandbox was made with.
func newestPackage(t *testing.T) string {
	t.Helper()
	if deb := os.Getenv("AAAU_DEB"); deb != "" {
		return deb
	}
	debs, err := filepath.Glob("../../dist/aaau_*.deb")
	if err != nil || len(debs) == 0 {
		t.Fatalf("no package in dist/: run make deb: %v", err)
	}
	newest, err := filepath.Abs(debs[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, deb := range debs[1:] {
		t.Logf("dist/ has several packages: %s", strings.Join(debs, " "))
		a, errA := os.Stat(newest)
		b, errB := os.Stat(deb)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if b.ModTime().After(a.ModTime()) {
			newest = deb
		}
	}
	return newest
}
