package stage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/shebang"
)

// A command is what a session runs.
type command struct {
	argv, env []string
	terminal  bool // else it has pipes
	who       account
	advice    string   // for when there is none of its name
	hidden    []string // directories that are empty in the session
}

// start starts the program as a session leader, on a terminal with that as its
// controlling one and itself in the foreground. The program is looked for on the
// agent's own PATH, with the agent's own rights.
func (c command) start() (pid int, refused *privsep.Error) {
	path, refused := find(c.argv[0], pathOf(c.env))
	if refused != nil {
		if refused.Code == notFound && c.advice != "" {
			refused = privsep.Errorf(notFound, "program not found: %.200s; %s", c.argv[0], c.advice)
		}
		return 0, refused
	}
	pid, err := syscall.ForkExec(path, c.argv, &syscall.ProcAttr{
		Env:   c.env,
		Files: []uintptr{privsep.StdinFD, privsep.StdoutFD, privsep.StderrFD},
		Sys: &syscall.SysProcAttr{
			Setsid: true, Setctty: c.terminal, Ctty: 0,
			// The groups are as they are to be. With CAP_SETUID setuid(2) sets all three uids.
			Credential: &syscall.Credential{Uid: c.who.uid, Gid: c.who.gid, NoSetGroups: true},
		},
	})
	switch {
	case err == nil:
		return pid, nil
	case errors.Is(err, syscall.ENOEXEC):
		return 0, privsep.Errorf(notExecutable, "program not executable: %.200s is neither a binary for this machine nor a script with a #! line", path)
	case errors.Is(err, syscall.ENOENT):
		return 0, noInterpreter(path, c.hidden)
	case errors.Is(err, syscall.EACCES) && shebang.Of(path) != "": // the script itself can be run: find
		return 0, privsep.Errorf(notExecutable, "program not executable: the interpreter of %.200s is %.200q, which the agent's user may not run", path, shebang.Of(path))
	default:
		return 0, privsep.Errorf(notExecutable, "program not executable: %.200s: %v", path, err)
	}
}

// noInterpreter words the error of a program whose interpreter does not exist in this session.
func noInterpreter(path string, hidden []string) *privsep.Error {
	interpreter := shebang.Of(path)
	switch {
	case interpreter == "":
		return privsep.Errorf(notExecutable, "program not executable: %.200s names an interpreter that does not exist", path)
	case strings.HasSuffix(interpreter, "\r"):
		return privsep.Errorf(notExecutable, "program not executable: the first line of %.200s ends in a carriage return, as Windows writes it, and no interpreter is called %.200q: remove it", path, interpreter)
	}
	why := "does not exist in this session"
	for _, dir := range hidden {
		if strings.HasPrefix(interpreter, dir+"/") {
			why = fmt.Sprintf("this session does not see, as it lies in %.100s", dir)
		}
	}
	return privsep.Errorf(notExecutable, "program not executable: the interpreter of %.200s is %.200q, which %s: "+
		"begin the script with #!/usr/bin/env %.100s, or share the directory of the interpreter with --workspace DIR:ro", path, interpreter, why, filepath.Base(interpreter))
}

// The errors of a program that cannot be started, for the client's exit status.
const (
	notFound      = "program-not-found"
	notExecutable = "program-not-executable"
)

// find looks a program up as execvp(3) does: a name with a slash is a path,
// anything else is looked for in path.
func find(name, path string) (string, *privsep.Error) {
	candidates := []string{name}
	if !strings.Contains(name, "/") {
		candidates = nil
		for _, dir := range filepath.SplitList(path) {
			if filepath.IsAbs(dir) {
				candidates = append(candidates, filepath.Join(dir, name))
			}
		}
	}
	unfit := ""
	for _, c := range candidates {
		fi, err := os.Stat(c)
		if err != nil {
			continue
		}
		if fi.Mode().IsRegular() && unix.Faccessat(unix.AT_FDCWD, c, unix.X_OK, unix.AT_EACCESS) == nil {
			return c, nil
		}
		if unfit == "" {
			unfit = c
		}
	}
	if unfit != "" {
		return "", privsep.Errorf(notExecutable, "program not executable: %.200s (the agent's user may not run it)", unfit)
	}
	if strings.Contains(name, "/") {
		return "", privsep.Errorf(notFound, "program not found: %.200s (the agent's user sees no such file)", name)
	}
	return "", privsep.Errorf(notFound, "program not found: %.200s is not on the agent's PATH (its home's bin, /usr/local/bin, /usr/bin and so on)", name)
}

func pathOf(env []string) string {
	for _, e := range env {
		if p, ok := strings.CutPrefix(e, "PATH="); ok {
			return p
		}
	}
	return ""
}
