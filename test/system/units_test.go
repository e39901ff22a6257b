package system

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestUnitsAreVerified(t *testing.T) {
	begin(t)
	out, err := exec.Command("systemd-analyze", "verify", "aaau.socket", "aaau.service",
		"aaau-launcher.socket", "aaau-launcher.service", "aaau.slice").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestNothingRunsBeforeTheFirstClient(t *testing.T) {
	begin(t)
	services := []string{"aaau.service", "aaau-launcher.service"}
	systemctl(t, "stop", "aaau.socket", "aaau-launcher.socket", services[0], services[1])
	systemctl(t, "start", "aaau.socket") // which brings the other
	for _, s := range services {
		if state := property(t, s, "ActiveState"); state != "inactive" {
			t.Errorf("before the first client %s is %s", s, state)
		}
	}
	if state := property(t, "aaau-launcher.socket", "ActiveState"); state != "active" {
		t.Errorf("the launcher's socket is %s", state)
	}
	if n := programsOfOurs(t); n != 0 {
		t.Errorf("%d programs of ours run before the first client", n)
	}
	output(t, as(t, "operator"), "aaau", "-p", "true")
	for _, s := range services {
		if state := property(t, s, "ActiveState"); state != "active" {
			t.Errorf("after the first client %s is %s", s, state)
		}
	}
	if n := programsOfOurs(t); n != 2 {
		t.Errorf("%d programs of ours run after the first client", n)
	}
}

func programsOfOurs(t *testing.T) (n int) {
	t.Helper()
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		exe, err := os.Readlink("/proc/" + d.Name() + "/exe")
		if err == nil && regexp.MustCompile(`/aaau(-server|-launcher)?$`).MatchString(exe) {
			n++
		}
	}
	return n
}

func TestSocketsAreForThoseTheyAreFor(t *testing.T) {
	begin(t)
	for _, test := range []struct {
		file         string
		mode         os.FileMode
		owner, group string
	}{
		{serverSocket, os.ModeSocket | 0o660, "root", "aaau"},
		{launcherSocket, os.ModeSocket | 0o600, "aaau-bridge", "aaau-bridge"},
		{"/run/aaau", os.ModeDir | 0o755, "root", "root"},
		{"/var/lib/aaau/agent", os.ModeDir | 0o700, "agent", "agent"},
		{"/var/lib/aaau/anchors", os.ModeDir | os.ModeSetgid | 0o750, "root", "aaau-audit"},
		{"/var/log/aaau", os.ModeDir | os.ModeSetgid | 0o750, "aaau-bridge", "aaau-audit"},
		{"/etc/aaau", os.ModeDir | 0o755, "root", "root"},
	} {
		fi, err := os.Stat(test.file)
		if err != nil {
			t.Error(err)
			continue
		}
		st := fi.Sys().(*syscall.Stat_t)
		if fi.Mode() != test.mode || st.Uid != as(t, test.owner).uid || st.Gid != group(t, test.group) {
			t.Errorf("%s: mode %v of %d:%d, not %v of %s:%s", test.file, fi.Mode(), st.Uid, st.Gid, test.mode, test.owner, test.group)
		}
	}
}

func TestBridgeHasNoPrivileges(t *testing.T) {
	begin(t)
	output(t, as(t, "operator"), "aaau", "-p", "true")
	bridge := as(t, "aaau-bridge")
	dir := fmt.Sprintf("/proc/%d/", mainPID(t, "aaau.service"))
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		t.Fatal(err)
	}
	uid, gid := fmt.Sprint(bridge.uid), fmt.Sprint(group(t, "aaau-audit"))
	for key, want := range map[string]string{
		"Uid": strings.TrimSpace(strings.Repeat(uid+" ", 4)), "Gid": strings.TrimSpace(strings.Repeat(gid+" ", 4)), "Groups": gid,
		"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000",
		"CapBnd": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2",
	} {
		m := regexp.MustCompile(`(?m)^` + key + `:\s+(.*?)\s*$`).FindStringSubmatch(string(status))
		if m == nil || strings.Join(strings.Fields(m[1]), " ") != want {
			t.Errorf("the bridge's %s is %q, not %q", key, m, want)
		}
	}
	for _, home := range []string{"/home/operator", "/root"} {
		secret := home + "/aaau-test-secret"
		if err := os.WriteFile(secret, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(secret) })
		if _, err := os.Stat(dir + "root" + secret); err == nil {
			t.Errorf("the bridge sees %s", home)
		}
	}
	if limits, err := os.ReadFile(dir + "limits"); err != nil || regexp.MustCompile(`Max open files +1024 `).Match(limits) {
		t.Errorf("the bridge's soft limit of open files is that of others: %s, %v", limits, err)
	}
}

func TestLauncherIsConfined(t *testing.T) {
	begin(t)
	output(t, as(t, "operator"), "aaau", "-p", "true")
	bounds := strings.Fields(property(t, "aaau-launcher.service", "CapabilityBoundingSet"))
	for _, c := range bounds {
		switch c {
		case "cap_sys_admin", "cap_setuid", "cap_setgid", "cap_setpcap", "cap_net_admin", "cap_chown", "cap_dac_read_search", "cap_sys_chroot", "cap_sys_nice", "cap_sys_resource", "cap_linux_immutable":
		default:
			t.Errorf("the launcher may have %s", c)
		}
	}
	if len(bounds) == 0 || property(t, "aaau-launcher.service", "NoNewPrivileges") != "yes" {
		t.Errorf("the launcher is not confined: %v", bounds)
	}
}

// Who, what, as whom, when it began, when and how it ended.
func TestJournalTellsASessionsStory(t *testing.T) {
	begin(t)
	for _, test := range []struct{ program, end string }{
		{"sh -c 'exit 7'", "exit status 7"},
		{"sh -c 'kill -KILL $$'", "SIGKILL"},
	} {
		since := journalNow(t)
		c := sit(t, as(t, "operator"), "aaau", "-p", test.program)
		id := c.session()
		c.leave()
		await(t, "the end in the journal", func() bool {
			return strings.Contains(messages(t, since, "aaau.service"), "ended")
		})
		said := messages(t, since, "aaau.service")
		for _, pattern := range []string{
			id + ` started: operator \(uid \d+\) runs \["sh" "-c" .*\] as agent in aaau-shell-` + id + `\.scope`,
			id + ` ended: .*` + test.end,
		} {
			if !regexp.MustCompile(pattern).MatchString(said) {
				t.Errorf("journalctl -u aaau does not say %q but %q", pattern, said)
			}
		}
	}
	// A name that looks like more lines stays one.
	since := journalNow(t)
	run(t, as(t, "operator"), "aaau", "-p", "sh -c 'exit 0' \"$(printf 'x\\nsession forged ended: all is well')\"")
	run(t, as(t, "operator"), "aaau", "-p", "sh -c 'exit 0' 'x\nsession forged ended: all is well'")
	for line := range strings.Lines(messages(t, since, "aaau.service") + messages(t, since, "aaau-launcher.service")) {
		if strings.HasPrefix(line, "session forged") {
			t.Errorf("a person wrote a line of the journal: %q", line)
		}
	}
}

func TestLimitsOfAScope(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	scope := scopes(t)[0]
	for name, want := range map[string]string{
		"Slice": "aaau-shell.slice", "SendSIGHUP": "yes", "TimeoutStopUSec": "5s", "CollectMode": "inactive-or-failed",
		"OOMPolicy": "continue", "TasksMax": "4096", "CPUWeight": "50", "MemorySwapMax": "268435456", "MemoryHigh": "infinity",
		"IPAddressDeny": "169.254.0.0/16 fe80::/64",
	} {
		got := strings.Fields(property(t, scope, name))
		slices.Sort(got)
		if !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s=%s, not %s", name, got, want)
		}
	}
	if got := property(t, scope, "MemoryMax"); got == "infinity" || got == "0" {
		t.Errorf("MemoryMax=%s", got)
	}
	if after := property(t, scope, "After"); !strings.Contains(after, "aaau.service") {
		t.Errorf("at shutdown the bridge may end before the agents: After=%s", after)
	}
	s.close()
}
