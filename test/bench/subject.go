package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// installed is where this program is for user agent to run.
const installed = "/usr/local/bin/aaau-bench"

// The subjects, in the order of the report.
const (
	aaau       = "aaau"
	bare       = "bare PTY"
	systemdRun = "systemd-run"
	tmux       = "tmux"
)

// subject is one way to a program on a terminal.
type subject struct {
	name  string
	argv  func(mode string) []string // its client, with the program's mode
	attr  syscall.SysProcAttr
	env   []string
	draws bool // a screen, and leaves out what has scrolled away
}

// subjects makes them all; stop ends what has been started for them.
func subjects() (all []subject, stop func() error, err error) {
	if err := install(); err != nil {
		return nil, nil, fmt.Errorf("installing the program: %w", err)
	}
	operator, err := credential("operator")
	if err != nil {
		return nil, nil, err
	}
	env := []string{"PATH=/usr/local/bin:/usr/bin:/bin", "TERM=xterm", "LANG=C.UTF-8"}
	person := subject{attr: syscall.SysProcAttr{Credential: operator}, env: append(env, "HOME=/home/operator")}
	root := subject{attr: syscall.SysProcAttr{Credential: &syscall.Credential{}}, env: append(env, "HOME=/root")}
	as := func(s subject, name string, argv func(mode string) []string) subject {
		s.name, s.argv = name, argv
		return s
	}
	inTmux := func(command ...string) []string {
		return append([]string{"tmux", "-L", "bench", "-f", "/dev/null"}, command...)
	}
	all = []subject{
		as(person, aaau, func(mode string) []string {
			return []string{"aaau", "-p", installed + " program " + mode}
		}),
		as(person, bare, func(mode string) []string {
			return []string{installed, "program", mode}
		}),
		as(root, systemdRun, func(mode string) []string {
			return []string{"systemd-run", "--quiet", "--pty", "--uid=agent", installed, "program", mode}
		}),
		as(person, tmux, func(mode string) []string {
			return inTmux("new-session", installed, "program", mode)
		}),
	}
	all[3].draws = true

	// A session that stays, so that tmux's server is running already.
	if err := all[3].run(inTmux("new-session", "-d", "sleep", "infinity")); err != nil {
		return nil, nil, err
	}
	return all, func() error { return all[3].run(inTmux("kill-server")) }, nil
}

// run runs a command beside the subject, as its user.
func (s subject) run(argv []string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	attr := s.attr
	cmd.SysProcAttr, cmd.Env, cmd.Dir = &attr, s.env, "/"
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", argv, err, out)
	}
	return nil
}

// install copies this program to where a session sees it, which has a /tmp of
// its own.
func install() error {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(installed, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err2 := to.Close(); err == nil {
		err = err2
	}
	return err
}

// credential is that of a user after login.
func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	groups, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	var ids []uint32
	for _, id := range append([]string{u.Uid, u.Gid}, groups...) {
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, err
		}
		ids = append(ids, uint32(n))
	}
	return &syscall.Credential{Uid: ids[0], Gid: ids[1], Groups: ids[2:]}, nil
}
