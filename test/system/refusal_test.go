package system

import (
	"net"
	"os"
	"strings"
	"testing"
)

// refused makes sure that a command line is refused as people are to meet it:
// one line on stderr with these words, status 255, nothing on stdout, and the
// terminal as it was.
func refused(t *testing.T, who account, words []string, argv ...string) {
	t.Helper()
	r := run(t, who, argv...)
	checkRefusal(t, "without a terminal", words, r.status, r.stderr)
	if r.stdout != "" {
		t.Errorf("stdout is %q", r.stdout)
	}
	c := sit(t, who, argv...)
	status, shown := c.leave()
	checkRefusal(t, "on a terminal", words, status, shown)
}

func checkRefusal(t *testing.T, where string, words []string, status int, said string) {
	t.Helper()
	want := 255
	switch {
	case strings.HasPrefix(said, "aaau: program not executable: "):
		want = 126
	case strings.HasPrefix(said, "aaau: program not found: "):
		want = 127
	}
	if status != want {
		t.Errorf("%s the exit status is %d, not %d", where, status, want)
	}
	if strings.Count(said, "\n") != 1 || !strings.HasSuffix(said, "\n") || !strings.HasPrefix(said, "aaau: ") || strings.Contains(said, "\r") {
		t.Errorf("%s it is not one line: %q", where, said)
	}
	for _, w := range words {
		if !strings.Contains(said, w) {
			t.Errorf("%s it does not say %q: %q", where, w, said)
		}
	}
}

func TestCommandLinesThatMakeNoSense(t *testing.T) {
	begin(t)
	listenAt(t, "/run/dead.sock", 0o666).Close()
	for _, test := range []struct {
		name  string
		argv  []string
		words []string
	}{
		{"program and alias", []string{"aaau", "-p", "id", "claude"}, []string{"-p", "claude"}},
		{"program and alias, connect", []string{"aaau", "connect", "-p", "id", "codex"}, []string{"-p", "codex"}},
		{"unknown alias", []string{"aaau", "gemini"}, []string{"unknown alias", "gemini", "claude", "codex", "--"}},
		{"an alias with a path in it", []string{"aaau", "../shell"}, []string{"unknown alias", "claude"}},
		{"a command mistyped", []string{"aaau", "statsu"}, []string{"statsu", "did you mean aaau status?"}},
		{"an alias mistyped", []string{"aaau", "cluade"}, []string{"cluade", "did you mean claude?"}},
		{"a long alias", []string{"aaau", strings.Repeat("x", 50)}, []string{strings.Repeat("x", 40) + "…\""}},
		{"a long session", []string{"aaau", "attach", strings.Repeat("x", 50)}, []string{"no session", strings.Repeat("x", 40) + "…\""}},
		{"a directory put", []string{"aaau", "put", "/etc", "nosuch"}, []string{"/etc is a directory", "tar cf"}},
		{"a directory that is gone", []string{"sh", "-c", "mkdir gone && cd gone && rmdir ../gone && exec aaau claude"}, []string{"has been removed", "cd", "--no-workspace"}},
		{"nothing after --", []string{"aaau", "--"}, []string{"--"}},
		{"unknown option", []string{"aaau", "--nonsense"}, []string{"nonsense", "--help"}},
		{"empty program", []string{"aaau", "-p", ""}, []string{"-p"}},
		{"empty name", []string{"aaau", "-p", "''"}, []string{"not found"}},
		{"open quote", []string{"aaau", "-p", "sh -c 'true"}, []string{"-p"}},
		{"unknown session", []string{"aaau", "-n", "nosuch"}, []string{"no session", "nosuch"}},
		{"session and program", []string{"aaau", "-n", "nosuch", "-p", "id"}, []string{"-n", "-p"}},
		{"kill without a session", []string{"aaau", "kill"}, []string{"id"}},
		{"kill an unknown session", []string{"aaau", "kill", "nosuch"}, []string{"no session", "nosuch"}},
		{"socket missing", []string{"aaau", "-s", "/run/nowhere.sock", "-p", "id"}, []string{"/run/nowhere.sock", "systemctl enable --now aaau.socket"}},
		{"dead socket", []string{"aaau", "-s", "/run/dead.sock", "-p", "id"}, []string{"/run/dead.sock", "aaau.socket"}},
		{"endless program", []string{"aaau", "-p", "echo " + strings.Repeat("x", 100_000)}, []string{"32768 bytes"}},
	} {
		t.Run(test.name, func(t *testing.T) { refused(t, as(t, "operator"), test.words, test.argv...) })
	}
}

// Once whatever -s named was taken for a socket of ours, and its group for the one
// that people should be put into: root, for one.
func TestAdviceIsGivenForSocketsOnly(t *testing.T) {
	begin(t)
	for _, file := range []string{"/etc/hostname", "/etc", launcherSocket} {
		r := run(t, as(t, "operator"), "aaau", "-s", file, "-p", "id")
		checkRefusal(t, "of "+file, []string{file}, r.status, r.stderr)
		if strings.Contains(r.stderr, "usermod") {
			t.Errorf("dangerous advice: %q", r.stderr)
		}
	}
}

// listenAt binds a socket of root's; the file stays for the length of the test.
func listenAt(t *testing.T, name string, mode os.FileMode) *net.UnixListener {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	t.Cleanup(func() { ln.Close(); os.Remove(name) })
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
	return ln
}

func TestProgramsThatCannotRun(t *testing.T) {
	begin(t)
	const bin = "/var/lib/aaau/agent/bin/" // as the session sees it
	own := homeFor(t, "operator") + "/bin/"
	script(t, own+"plain", "no program\n", 0o644)
	script(t, own+"nobodys", "#!/bin/sh\n", 0o000)
	script(t, own+"headless", "echo there is no first line\n", 0o755)
	script(t, own+"orphan", "#!/no/such/interpreter\n", 0o755)
	script(t, own+"foreign", "\x7fELF\x02\x01\x01 and of no machine at all", 0o755)
	const not, found = "not executable", "not found"
	for _, test := range []struct {
		program string
		words   []string
	}{
		{"no-such-program", []string{found, "no-such-program", "PATH"}},
		{"/no/such/program", []string{found, "/no/such/program"}},
		{"./no-such-program", []string{found, "no-such-program"}},
		{"plain", []string{not, bin + "plain"}},
		{bin + "plain", []string{not, bin + "plain"}},
		{bin + "nobodys", []string{not, bin + "nobodys"}},
		{"headless", []string{not, bin + "headless", "#!"}},
		{"orphan", []string{not, bin + "orphan", "interpreter"}},
		{"foreign", []string{not, bin + "foreign"}},
		{"/etc", []string{not, "/etc"}},
		{"/etc/hostname/id", []string{found, "/etc/hostname/id"}},
	} {
		t.Run(test.program, func(t *testing.T) {
			refused(t, as(t, "operator"), test.words, "aaau", "-p", test.program)
		})
	}
}

func TestMachinesThatAreNotReady(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T)
		words []string
	}{
		{"socket stopped", func(t *testing.T) {
			systemctl(t, "stop", "aaau.socket", "aaau.service")
			t.Cleanup(func() { systemctl(t, "start", "aaau.socket") })
		}, []string{"/run/aaau/server.sock", "systemctl enable --now aaau.socket"}},
		{"launcher not running", func(t *testing.T) {
			systemctl(t, "mask", "--runtime", "--now", "aaau-launcher.socket", "aaau-launcher.service")
			t.Cleanup(func() {
				systemctl(t, "unmask", "--runtime", "aaau-launcher.socket", "aaau-launcher.service")
				systemctl(t, "start", "aaau-launcher.socket")
			})
		}, []string{"launcher", "systemctl"}},
		{"scope refused by systemd", func(t *testing.T) {
			systemctlMay("stop", "aaau-shell.slice") // it may not have been there yet
			systemctl(t, "mask", "--runtime", "aaau-shell.slice")
			t.Cleanup(func() { systemctl(t, "unmask", "--runtime", "aaau-shell.slice") })
		}, []string{"systemd", "scope", "aaau-shell.slice", "masked"}},
		{"agent user missing", func(t *testing.T) {
			edit(t, "/etc/passwd", func(text string) string {
				return strings.ReplaceAll("\n"+text, "\nagent:", "\nnobody-of-that-name:")[1:]
			})
		}, []string{`"agent"`, "aaau-server init"}},
		{"home missing", func(t *testing.T) {
			moveAway(t, "/var/lib/aaau/agent")
		}, []string{"/var/lib/aaau/agent", "systemd-tmpfiles --create"}},
		{"home not the agent's", func(t *testing.T) {
			home := homeFor(t, "operator")
			if err := os.Chown(home, 4321, 4321); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := os.Chown(home, int(as(t, "agent").uid), int(as(t, "agent").gid)); err != nil {
					t.Error(err)
				}
			})
		}, []string{"/var/lib/aaau/homes/agent/", "chown"}},
		{"homes missing", func(t *testing.T) {
			moveAway(t, "/var/lib/aaau")
		}, []string{"/var/lib/aaau", "systemd-tmpfiles --create"}},
		{"configuration that cannot be read", func(t *testing.T) {
			if err := os.WriteFile("/etc/aaau/aaau.conf", []byte("max-session=3\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Remove("/etc/aaau/aaau.conf") })
		}, []string{"/etc/aaau/aaau.conf:1", "max-session"}},
		{"configuration that anybody can write", func(t *testing.T) {
			if err := os.WriteFile("/etc/aaau/aaau.conf", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Remove("/etc/aaau/aaau.conf") })
			if err := os.Chmod("/etc/aaau/aaau.conf", 0o666); err != nil {
				t.Fatal(err)
			}
		}, []string{"/etc/aaau/aaau.conf", "writable by no one else"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			test.spoil(t)
			refused(t, as(t, "operator"), test.words, "aaau", "-p", "id")
			// Whatever was begun for the session is undone.
			await(t, "the stages' end", func() bool { return stages(t) == 0 })
		})
	}
	t.Run("all is well again", func(t *testing.T) {
		begin(t)
		if got := output(t, as(t, "operator"), "aaau", "-p", "id -un"); got != "agent" {
			t.Errorf("the agent is %q", got)
		}
	})
}

// stages are the launcher's children, which the launcher did not put into scopes.
func stages(t *testing.T) int {
	t.Helper()
	pids, err := os.ReadFile("/sys/fs/cgroup/system.slice/aaau-launcher.service/cgroup.procs")
	if err != nil || len(pids) == 0 {
		return 0 // it does not run
	}
	return len(strings.Fields(string(pids))) - 1
}

// edit changes a file for the length of a test.
func edit(t *testing.T, name string, change func(string) string) {
	t.Helper()
	old, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(name, old, 0o644); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(name, []byte(change(string(old))), 0o644); err != nil {
		t.Fatal(err)
	}
}

// moveAway has something not be there for the length of a test.
func moveAway(t *testing.T, name string) {
	t.Helper()
	if err := os.Rename(name, name+".away"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		os.Remove(name) // if the test made an empty one
		if err := os.Rename(name+".away", name); err != nil {
			t.Error(err)
		}
	})
}
