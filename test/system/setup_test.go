package system

import (
	"os"
	"strings"
	"testing"
)

func TestSetupOfAnyAlias(t *testing.T) {
	begin(t)
	newHome(t, "operator")
	const install = `install=mkdir -p "$HOME/.local/bin" && printf '#!/bin/sh\necho hello "$@"\n' >"$HOME/.local/bin/greeter" && chmod 755 "$HOME/.local/bin/greeter" && pwd && ls -A /home && env | grep -c WANTED; true`
	addAlias(t, "greeter", "program=greeter\nworkspace=yes\nenv=WANTED\n"+install+"\nlogin=echo signed >\"$HOME/signed\"; echo signing in as $(id -un)\n")
	addAlias(t, "fails", "program=no-such-program\ninstall=echo words; exit 3\n")
	addAlias(t, "bare", "program=no-such-program\n")
	operator := as(t, "operator")
	project := tree(t, operator, "project")

	refusedAt(t, operator, project, []string{"greeter", "aaau setup greeter"}, "aaau", "greeter")
	r := run(t, operator.with("WANTED=x"), at(project, "aaau", "setup", "--env", "WANTED", "greeter", "--no-login")...)
	if r.status != 0 || !strings.Contains(r.stdout, "/var/lib/aaau/agent\n1\n") || strings.Contains(r.stdout, "signing in") { // and no workspace
		t.Errorf("setup: %+v", r)
	}
	if got := succeeds(t, operator, at(project, "aaau", "greeter", "you")...); got != "hello you" {
		t.Errorf("it is set up, and says %q", got)
	}
	home := homeFor(t, "operator")
	if _, err := os.Stat(home + "/signed"); err == nil {
		t.Error("with --no-login it signed in")
	}
	c := sit(t, operator, at(project, "aaau", "setup", "greeter")...)
	c.expect("signing in as agent")
	c.ends(0)
	if _, err := os.Stat(home + "/signed"); err != nil {
		t.Error(err)
	}
	belongs(t, operator, project)

	r = run(t, operator, "aaau", "setup", "fails")
	if r.status == 0 || strings.Count(r.stderr, "aaau: ") == 0 || strings.Contains(r.stderr, "is set up") {
		t.Errorf("a setup that fails: %+v", r)
	}
	refused(t, operator, []string{"bare"}, "aaau", "setup", "bare")
	refused(t, operator, []string{"unknown alias", "nonsense"}, "aaau", "setup", "nonsense")
	refused(t, operator, []string{"alias"}, "aaau", "setup")
	// Each person's agent is set up by itself.
	newHome(t, "observer")
	refused(t, as(t, "observer"), []string{"aaau setup greeter"}, "aaau", "--no-workspace", "greeter")
}

// The machine has no claude: who types it is told what to do, in one line.
func TestWhatIsNotThereYetSaysSetup(t *testing.T) {
	begin(t)
	withoutAgents(t)
	newHome(t, "operator")
	operator := as(t, "operator")
	for _, alias := range []string{"claude", "codex"} {
		project := tree(t, operator, "project")
		refusedAt(t, operator, project, []string{alias, "aaau setup " + alias}, "aaau", alias)
		refusedAt(t, operator, project, []string{alias, "aaau setup " + alias}, "aaau", alias, "--resume")
		refusedAt(t, operator, operator.home, []string{"--workspace"}, "aaau", alias)
	}
}
