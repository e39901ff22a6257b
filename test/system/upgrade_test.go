package system

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The package that is installed, as the sandbox calls it, and one of a later version:
// the same sources, but for that and the version of tapes, of which the installed one
// knows nothing.
const (
	packaged = "/run/sandbox/package.deb"
	later    = "../../build/later.deb"
)

// replace installs a package over the other, under live sessions, and makes sure that
// it is the new programs that run.
func replace(t *testing.T, with string) {
	t.Helper()
	services := []string{"aaau.service", "aaau-launcher.service"}
	before := map[string]int{}
	for _, s := range services {
		before[s] = mainPID(t, s)
	}
	version := output(t, as(t, "root"), "aaau-server", "--version")
	if r := feedFor(t, time.Minute, as(t, "root"), "", "dpkg", "--no-triggers", "-i", with); r.status != 0 {
		t.Fatalf("dpkg: %+v", r)
	}
	if now := output(t, as(t, "root"), "aaau-server", "--version"); now == version {
		t.Fatalf("it is %s as before", now)
	}
	for _, s := range services {
		pid := mainPID(t, s)
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err != nil || pid == before[s] || strings.HasSuffix(exe, "(deleted)") {
			t.Errorf("%s is %s, process %d after %d, %v", s, exe, pid, before[s], err)
		}
	}
}

// A newer bridge takes an older one's place, and an older one a newer's: sessions go on,
// and nobody in them notices. One that the older bridge knows nothing of goes on
// without it, and is there again when the newer one is.
func TestUpgrade(t *testing.T) {
	beginLong(t, 3*time.Minute)
	newer, err := filepath.Abs(later)
	if _, err2 := os.Stat(newer); err != nil || err2 != nil {
		t.Fatalf("%v %v: make build/later.deb", err, err2)
	}
	operator := as(t, "operator")
	waits := func(status int) string {
		return output(t, operator, "aaau", "start", "--", "sh", "-c", fmt.Sprintf("read x; exit %d", status))
	}
	ends := func(id string, status int) {
		t.Helper()
		output(t, operator, "aaau", "send", id, "--enter", "go")
		if r := run(t, operator, "aaau", "wait", id); r.status != status {
			t.Errorf("session %s: %+v", id, r)
		}
	}
	frozen := func(id string) {
		t.Helper()
		if got := inStatus(t, id, "frozen"); got != "[admin]" {
			t.Errorf("session %s is frozen for %s", id, got)
		}
	}
	s, seven, eight := openShell(t, operator), waits(7), waits(8)
	output(t, operator, "aaau", "freeze", eight)
	follower := start(t, operator, nil, "follow", "paced")
	if got := follower.line(); got != "open" {
		t.Fatal(got)
	}
	s.prints("x=kept; echo before", "before")
	seen := len(s.all())
	t.Cleanup(func() {
		if r := run(t, as(t, "root"), "dpkg-query", "--show", "--showformat=${Version}", "aaau"); strings.Contains(r.stdout, "+later") {
			replace(t, packaged)
		}
	})

	replace(t, newer)
	s.prints("echo $x", "kept")
	frozen(eight)
	ends(seven, 7)

	// Sessions on tapes of the new version.
	nine, ten := waits(9), waits(10)
	output(t, operator, "aaau", "freeze", ten)
	all := append(processes(t, nine), processes(t, ten)...)
	since := journalNow(t)
	replace(t, packaged)
	s.prints("echo $x", "kept")
	frozen(eight)
	said := messages(t, since, "aaau.service")
	for _, id := range []string{nine, ten} {
		scope := filepath.Base(scopeDir(t, id))
		pattern := fmt.Sprintf(`session %s continues, .* newer version: 2, .*systemctl stop %s`, id, scope)
		if !regexp.MustCompile(pattern).MatchString(said) {
			t.Errorf("no %q in %q", pattern, said)
		}
		refused(t, operator, []string{"continues", "newer version", scope, id}, "aaau", "attach", id)
		refused(t, as(t, "observer"), []string{"continues", id}, "aaau", "attach", id) // it is not private
		if list := output(t, operator, "aaau", "list"); !regexp.MustCompile(`(?m)^` + id + ` .* shell +operator +sh +- +0 +stranded \(.* newer version: 2, .*\)$`).MatchString(list) {
			t.Errorf("session %s is not shown as stranded:\n%s", id, list)
		}
	}
	for _, p := range all {
		if _, err := os.Stat("/proc/" + strconv.Itoa(p.pid)); err != nil {
			t.Errorf("%v has not lived on: %v", p, err)
		}
	}

	replace(t, newer)
	s.prints("echo $x", "kept")
	ends(nine, 9)
	for id, status := range map[string]int{ten: 10, eight: 8} {
		frozen(id)
		output(t, operator, "aaau", "thaw", id)
		ends(id, status)
	}
	if noise := regexp.MustCompile(`aaau: [^\r\n]*`).FindString(s.all()[seen:]); noise != "" {
		t.Errorf("who was there was told %q", noise)
	}
	s.typed("exit 11\r")
	s.ends(11)
	follower.say("stop\n")
	if got := follower.line(); !strings.HasPrefix(got, "whole: ") || !strings.HasSuffix(got, " ()") {
		t.Error(got)
	} else {
		t.Log(got)
	}
}
