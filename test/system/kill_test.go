package system

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// openStubborn has the operator start a session of programs that only SIGKILL
// ends, one of which has taken leave of it; and finds them all.
func openStubborn(t *testing.T) (shell, []process) {
	t.Helper()
	c := sit(t, as(t, "operator"), "aaau", "-p", helper+" stubborn")
	s := shell{c, c.session()}
	s.match(`(stubborn (parent|child)\r\n){2}`)
	all := processes(t, s.id)
	if len(all) != 3 { // and the stage
		t.Fatalf("the session's processes are %v", all)
	}
	return s, all
}

// refuseToEnd ignores every signal that it can, and has a child in a session of
// its own do so too.
func refuseToEnd(args []string) int {
	signal.Ignore()
	name := "child"
	if len(args) == 0 {
		name = "parent"
		child := exec.Command(helper, "stubborn", name)
		child.Stdout = os.Stdout
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := child.Start(); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	fmt.Println("stubborn", name)
	select {}
}

func TestForceKill(t *testing.T) {
	for _, who := range []string{"operator", "root"} {
		t.Run("by "+who, func(t *testing.T) {
			begin(t)
			s, all := openStubborn(t)
			for _, sig := range []string{"HUP", "TERM", "INT"} { // it does not end of these
				systemctl(t, "kill", "--signal="+sig, filepath.Base(scopeDir(t, s.id)))
			}
			if r := run(t, as(t, who), "aaau", "kill", "--force", s.id); r.status != 0 || r.stdout != "" || r.stderr != "" {
				t.Errorf("aaau kill --force: status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
			}
			s.ends(137)
			for _, p := range all {
				if !p.ended() {
					t.Errorf("%v lives on", p)
				}
			}
			refused(t, as(t, "operator"), []string{"has ended", s.id}, "aaau", "kill", s.id)
		})
	}
}

// A frozen scope cannot be stopped (systemd 257 refuses), and must be killed.
func TestForceKillOfTheFrozen(t *testing.T) {
	begin(t)
	s, all := openStubborn(t)
	scope := filepath.Base(scopeDir(t, s.id))
	systemctl(t, "freeze", scope)
	output(t, as(t, "operator"), "aaau", "kill", "--force", s.id)
	s.ends(137)
	for _, p := range all {
		if !p.ended() {
			t.Errorf("%v lives on", p)
		}
	}
}

func TestOnlyOwnerAndAdminsKill(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	refused(t, as(t, "observer"), []string{"not allowed"}, "aaau", "kill", s.id)
	refused(t, as(t, "outsider"), []string{"usermod"}, "aaau", "kill", s.id)
	s.prints("echo still here", "still here")
	s.close()
}

// What one ends by the unit's name is ended, and told as it was.
func TestStoppedByTheAdministrator(t *testing.T) {
	for _, test := range []struct {
		name string
		argv []string
		want int
	}{
		{"stop the scope", []string{"stop", "SCOPE"}, 129}, // bash ends by SIGHUP
		{"stop the slice", []string{"stop", "aaau.slice"}, 129},
		{"kill the scope", []string{"kill", "--signal=KILL", "SCOPE"}, 255}, // its first process first, which tells nothing more
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			s := openShell(t, as(t, "operator"))
			scope := filepath.Base(scopeDir(t, s.id))
			argv := strings.Split(strings.ReplaceAll(strings.Join(test.argv, "\n"), "SCOPE", scope), "\n")
			systemctl(t, argv...)
			s.ends(test.want)
		})
	}
}

// configure writes a drop-in for the length of a test.
func configure(t *testing.T, text string) {
	t.Helper()
	const dir = "/etc/aaau/aaau.conf.d"
	if os.Mkdir(dir, 0o755) == nil {
		t.Cleanup(func() { os.Remove(dir) })
	}
	name := filepath.Join(dir, "90-test.conf")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	systemctl(t, "restart", "aaau.service")
	t.Cleanup(func() {
		os.Remove(name)
		systemctl(t, "restart", "aaau.service")
	})
}

func TestMaximumOfSessions(t *testing.T) {
	for _, test := range []struct {
		name, config    string
		second, refused string // who opens the second session, and who no third
		free            string // who still may
	}{
		{"per user", "max-sessions-per-user=2\n", "operator", "operator", "observer"},
		{"in total", "max-sessions=2\n", "observer", "operator", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			configure(t, test.config)
			key, _, _ := strings.Cut(test.config, "=")
			first, second := openShell(t, as(t, "operator")), openShell(t, as(t, test.second))
			refused(t, as(t, test.refused), []string{"2 sessions", key + "="}, "aaau", "-p", "id")
			if test.free != "" {
				output(t, as(t, test.free), "aaau", "-p", "id")
			}
			second.prints("echo still here", "still here") // joining is not starting
			o := sit(t, as(t, "observer"), "aaau", "-r", "-n", first.id)
			o.match(promptForm)
			o.typed("\x1d\x1d\x1d")
			o.ends(0)

			first.close()
			output(t, as(t, test.refused), "aaau", "-p", "id")
			second.close()
		})
	}
}

// A refused or failed start must give back the place that it took.
func TestFailedStartsDoNotCount(t *testing.T) {
	begin(t)
	configure(t, "max-sessions=1\n")
	for range 3 {
		refused(t, as(t, "operator"), []string{"no-such-program"}, "aaau", "start", "-p", "no-such-program")
		if list := output(t, as(t, "operator"), "aaau", "list", "--json"); list != "[]" {
			t.Errorf("after it had failed there is %s", list)
		}
		run(t, as(t, "operator"), "aaau", "-p", "no-such-program")
		run(t, as(t, "operator"), "aaau", "no_such_alias")
	}
	output(t, as(t, "operator"), "aaau", "-p", "id")
	output(t, as(t, "operator"), "aaau", "-p", "id")
}
