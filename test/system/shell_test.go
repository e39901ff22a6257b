package system

import (
	"strconv"
	"strings"
	"testing"
)

// shell is the bash of a session, and a person who types at its prompt.
type shell struct {
	*console
	id string // the session's
}

// openShell has a person start a session with plain aaau, or as argv says, and
// waits for the prompt.
func openShell(t *testing.T, who account, argv ...string) shell {
	t.Helper()
	c := sit(t, who, append([]string{"aaau"}, argv...)...)
	s := shell{c, c.session()}
	// What is typed has not the characters that the prompt has, and so is not taken for one.
	if _, status := s.do(`bind 'set enable-bracketed-paste off'; PS1='\175$?\173'`); status != 0 {
		t.Fatalf("the shell is not as it should be: status %d", status)
	}
	return s
}

// promptForm is the shell's prompt: the last line's exit status, as nothing else prints
// it. It can be seen: whoever comes late is shown it.
const promptForm = `\}([0-9]+)\{`

// do types a line and waits for the next prompt: what was printed between, and
// the line's exit status.
func (s shell) do(line string) (printed string, status int) {
	s.t.Helper()
	s.typed(line + "\r")
	return s.prompt()
}

// prompt waits for the next prompt, for a line that was typed already.
func (s shell) prompt() (printed string, status int) {
	s.t.Helper()
	m := s.match(promptForm)
	status, err := strconv.Atoi(m[2])
	if err != nil {
		s.t.Fatal(err)
	}
	_, printed, _ = strings.Cut(plain(m[0]), "\n") // the line itself is before that
	return printed, status
}

// prints is do for a line of which it is known what it prints, in all, with
// status 0.
func (s shell) prints(line, want string) {
	s.t.Helper()
	if got, status := s.do(line); strings.TrimSpace(got) != want || status != 0 {
		s.t.Errorf("%q printed %q with status %d, not %q", line, got, status, want)
	}
}

// foreground types a line and waits until a program of that name is in the
// foreground of the session's terminal.
func (s shell) foreground(line, name string) process {
	s.t.Helper()
	s.typed(line + "\r")
	return find(s.t, s.id, name, func(p process) bool { return p.pgrp == p.tpgid && p.state == "S" })
}

// close ends the shell as a person does.
func (s shell) close() {
	s.t.Helper()
	s.typed("exit 0\r")
	s.ends(0)
}
