package project

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The person is told of hooks whose interpreter lies in their home, where the session does not
// see it, and of no others.
func TestHooksWithoutTheirInterpreter(t *testing.T) {
	const node = "/.nvm/versions/node/v20/bin/node"
	for name, c := range map[string]struct {
		make func(t *testing.T, h, ws string)
		seen []string // beside the workspace, beneath the home
		want []string // parts of the one note; ~ is the home
	}{
		"in the home": {func(t *testing.T, h, ws string) {
			write(t, ws+"/.git/hooks/pre-push", "#!"+h+node+"\n")
			write(t, ws+"/.git/hooks/pre-commit", "#! "+h+node+" -x\n")
			write(t, ws+"/.git/hooks/post-merge", "#!/bin/sh\n")
			write(t, ws+"/.git/hooks/update.sample", "#!"+h+node+"\n")
		}, nil, []string{"cannot run pre-commit, pre-push in ~/ws/.git/hooks: the interpreter is ~" + node + ", which the session does not see: begin with #!/usr/bin/env node,"}},
		"of a tool that is seen": {func(t *testing.T, h, ws string) {
			write(t, ws+"/.git/hooks/pre-push", "#!"+h+node+"\n")
		}, []string{"/.nvm/versions/node"}, nil},
		"of the workspace": {func(t *testing.T, h, ws string) {
			write(t, ws+"/bin/node", "")
			write(t, ws+"/.git/hooks/pre-push", "#!"+ws+"/bin/node\n")
		}, nil, nil},
		"by a link in the home": {func(t *testing.T, h, ws string) {
			symlink(t, "/bin/sh", h+"/bin/sh")
			write(t, ws+"/.git/hooks/pre-push", "#!"+h+"/bin/sh\n")
		}, nil, []string{"pre-push", "the interpreter is ~/bin/sh,"}},
		"not executable, or for nobody": {func(t *testing.T, h, ws string) {
			write(t, ws+"/.git/hooks/pre-push", "#!"+h+node+"\n")
			if err := os.Chmod(ws+"/.git/hooks/pre-push", 0o644); err != nil {
				t.Fatal(err)
			}
			write(t, ws+"/.git/hooks/pre-commit", "#!"+h+"/no/such\n")
			mkdir(t, ws+"/.git/hooks/commit-msg")
		}, nil, nil},
		"core.hooksPath": {func(t *testing.T, h, ws string) {
			gitIn(t, ws, "config", "core.hooksPath", ".husky")
			write(t, ws+"/.husky/pre-push", "#!"+h+node+"\n")
		}, nil, []string{"pre-push in ~/ws/.husky: the interpreter is ~" + node}},
		"core.hooksPath of the person's own": {func(t *testing.T, h, ws string) {
			gitIn(t, ws, "config", "--global", "core.hooksPath", h+"/hooks")
			write(t, h+"/hooks/pre-push", "#!"+h+node+"\n")
		}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := home(t)
			write(t, h+node, "")
			ws := repo(t, h+"/ws")
			c.make(t, h, ws)
			_, found := mustAsk(t, ws)
			seen := []string{ws}
			for _, s := range c.seen {
				seen = append(seen, h+s)
			}
			lines := HookNotes(found.Hooks, seen, h)
			if c.want == nil {
				same(t, "notes", lines)
				return
			}
			for i := range c.want {
				c.want[i] = strings.ReplaceAll(c.want[i], "~", h)
			}
			if hasLine(t, lines, c.want...); len(lines) != 1 {
				t.Errorf("notes: %q", lines)
			}
		})
	}
}

// Very many hooks are told in few lines, and not all looked at.
func TestManyHooksWithoutTheirInterpreter(t *testing.T) {
	h := home(t)
	ws := repo(t, h+"/ws")
	for i := range 2 * maxHooks {
		interpreter := fmt.Sprintf("%s/bin/i%d", h, i)
		write(t, interpreter, "")
		write(t, fmt.Sprintf("%s/.git/hooks/hook%d", ws, i), "#!"+interpreter+"\n")
	}
	_, found := mustAsk(t, ws)
	lines := HookNotes(found.Hooks, []string{ws}, h)
	if len(lines) != maxHookNotes+1 || !strings.Contains(lines[maxHookNotes], fmt.Sprintf("cannot run %d more hooks", maxHooks-maxHookNotes)) {
		t.Errorf("%q", lines)
	}
	for _, home := range []string{"", "/"} { // belongs to no person
		if isUnseen("/bin/sh", nil, home) {
			t.Errorf("with home %q a program of the machine's is not seen", home)
		}
	}
}
