package system

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// account is who a program runs as.
type account struct {
	name, home string
	uid, gid   uint32
	groups     []uint32 // supplementary
	env        []string // beside what a login gives
}

// as looks an account up, with the groups that the user database gives it now.
func as(t *testing.T, name string) account {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := u.GroupIds()
	if err != nil {
		t.Fatal(err)
	}
	a := account{name: name, home: u.HomeDir, uid: number(t, u.Uid), gid: number(t, u.Gid)}
	for _, id := range ids {
		a.groups = append(a.groups, number(t, id))
	}
	return a
}

// with is the account with something more in its environment.
func (a account) with(env ...string) account {
	a.env = append(append([]string{}, a.env...), env...)
	return a
}

// group is a group's id.
func group(t *testing.T, name string) uint32 {
	t.Helper()
	g, err := user.LookupGroup(name)
	if err != nil {
		t.Fatal(err)
	}
	return number(t, g.Gid)
}

func number(t *testing.T, id string) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

// command makes ready to run argv as a, in its home, with the environment of a
// login and nothing of ours.
func (a account) command(ctx context.Context, argv ...string) *exec.Cmd {
	path := "/usr/local/bin:/usr/bin:/bin"
	if a.uid == 0 {
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	// Not exec.Command's own search, which is along our PATH.
	cmd := exec.CommandContext(ctx, "/usr/bin/env", append([]string{"--"}, argv...)...)
	cmd.Dir = a.home
	cmd.Env = append([]string{
		"HOME=" + a.home, "USER=" + a.name, "LOGNAME=" + a.name, "SHELL=/bin/bash",
		"PATH=" + path, "LANG=C.UTF-8", "TERM=xterm-256color",
	}, a.env...)
	if options := raceOptions(); options != "" {
		cmd.Env = append(cmd.Env, options)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Credential: &syscall.Credential{Uid: a.uid, Gid: a.gid, Groups: a.groups},
	}
	cmd.WaitDelay = time.Second
	return cmd
}

// result is what a program that has ended has left.
type result struct {
	stdout, stderr string // terminals' line ends made plain
	status         int    // negative: the signal that ended it
}

// run runs argv as a, without a terminal and with nothing to read, to its end.
func run(t *testing.T, a account, argv ...string) result {
	t.Helper()
	return feed(t, a, "", argv...)
}

// feed is run with something to read.
func feed(t *testing.T, a account, stdin string, argv ...string) result {
	t.Helper()
	return feedFor(t, patience, a, stdin, argv...)
}

// feedFor is feed for a program that does much: installs some hundred megabytes, say.
func feedFor(t *testing.T, most time.Duration, a account, stdin string, argv ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), most) // cleanups run programs too
	defer cancel()
	cmd := a.command(ctx, argv...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	r := result{plain(stdout.String()), plain(stderr.String()), status(cmd.ProcessState)}
	if ctx.Err() != nil {
		t.Fatalf("%s: %.200q did not end: stdout %q, stderr %q", a.name, argv, r.stdout, r.stderr)
	}
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %.200q: %v", a.name, argv, err)
	}
	return r
}

// output is the standard output of a program that must succeed, without the
// last line's end.
func output(t *testing.T, a account, argv ...string) string {
	t.Helper()
	r := run(t, a, argv...)
	if r.status != 0 || r.stderr != "" {
		t.Fatalf("%s: %.200q: status %d, stdout %q, stderr %q", a.name, argv, r.status, r.stdout, r.stderr)
	}
	return strings.TrimSuffix(r.stdout, "\n")
}

func plain(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

func status(p *os.ProcessState) int {
	if p == nil {
		return -1
	}
	if w := p.Sys().(syscall.WaitStatus); w.Signaled() {
		return -int(w.Signal())
	}
	return p.ExitCode()
}
