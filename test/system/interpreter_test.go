package system

import (
	"os"
	"strings"
	"testing"
)

// A script of the workspace whose interpreter lies in the person's home, which the session does not
// see, says so, with the status that a shell has for it; also one that is the person's alone.
func TestScriptWithItsInterpreterInTheHome(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	dir := tree(t, operator, "scripts")
	sh(t, operator, dir, `mkdir -p ~/own/bin; cp /bin/sh ~/own/bin/interpreter
printf '#!%s/own/bin/interpreter\necho it runs\n' ~ | tee everybodys mine; chmod 755 everybodys; chmod 700 mine; printf '#!/bin/sh\necho it runs\n' >runs; chmod 700 runs`)
	t.Cleanup(func() { os.RemoveAll(operator.home + "/own") })
	for _, name := range []string{"everybodys", "mine"} {
		words := []string{"the interpreter of ", name, operator.home + "/own/bin/interpreter", "does not see, as it lies in /home", "#!/usr/bin/env interpreter"}
		refused(t, operator, words, at(dir, "aaau", "-C", ".", "--", "./"+name)...) // with status 126
		if r := run(t, operator, at(dir, "aaau", "-C", ".", "--workspace", operator.home+"/own:ro", "--", "./"+name)...); r.status != 0 || r.stdout != "it runs\n" {
			t.Errorf("with the interpreter shared: %+v", r)
		}
	}
	if r := run(t, operator, at(dir, "aaau", "-C", ".", "--", "./runs")...); r.status != 0 || r.stdout != "it runs\n" {
		t.Errorf("%+v", r)
	}
	refused(t, operator, []string{"./nosuch"}, at(dir, "aaau", "-C", ".", "--", "./nosuch")...) // with status 127
}

// Who starts a session is told of hooks whose interpreter lies in their home.
func TestHookWithItsInterpreterInTheHome(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	dir := tree(t, operator, "hooked")
	sh(t, operator, dir, `mkdir -p ~/own/bin; cp /bin/sh ~/own/bin/node; git init -q; mkdir -p .git/hooks
printf '#!%s/own/bin/node\nexit 0\n' ~ >.git/hooks/pre-commit; chmod 755 .git/hooks/pre-commit`)
	t.Cleanup(func() { os.RemoveAll(operator.home + "/own") })
	const commit = "git -c user.name=a -c user.email=a@b commit --allow-empty -qm x"
	status, said := sit(t, operator, at(dir, "aaau", "-C", ".", "--", "sh", "-c", commit)...).leave()
	if want := "aaau: the agent's git cannot run pre-commit in " + dir + "/.git/hooks: the interpreter is " + operator.home + "/own/bin/node, which the session does not see"; status != 1 || !strings.Contains(said, want) {
		t.Errorf("status %d, %q", status, said)
	}
	status, said = sit(t, operator, at(dir, "aaau", "-C", ".", "--workspace", operator.home+"/own:ro", "--", "sh", "-c", commit)...).leave()
	if status != 0 || strings.Contains(said, "cannot run") {
		t.Errorf("with the interpreter shared: status %d, %q", status, said)
	}
}
