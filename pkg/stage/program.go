package stage

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// startProgram starts argv as a session leader, on a terminal with that as its
// controlling one and itself in the foreground. The program is looked for on the
// agent's own PATH, with the agent's own rights.
func startProgram(argv, env []string, terminal bool, who account, advice string) (pid int, refused *privsep.Error) {
	path, refused := find(argv[0], pathOf(env))
	if refused != nil {
		if refused.Code == notFound && advice != "" {
			refused = privsep.Errorf(notFound, "program not found: %.200s; %s", argv[0], advice)
		}
		return 0, refused
	}
	pid, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Env:   env,
		Files: []uintptr{privsep.StdinFD, privsep.StdoutFD, privsep.StderrFD},
		Sys: &syscall.SysProcAttr{
			Setsid: true, Setctty: terminal, Ctty: 0,
			// The groups are as they are to be. With CAP_SETUID setuid(2) sets all three uids.
			Credential: &syscall.Credential{Uid: who.uid, Gid: who.gid, NoSetGroups: true},
		},
	})
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return 0, privsep.Errorf("program-not-executable", "program not executable: %.200s is neither a binary for this machine nor a script with a #! line", path)
	case errors.Is(err, syscall.ENOENT):
		return 0, noInterpreter(path)
	case err != nil:
		return 0, privsep.Errorf("program-not-executable", "program not executable: %.200s: %v", path, err)
	}
	return pid, nil
}

// noInterpreter words the error of a program whose interpreter does not exist in this session.
func noInterpreter(path string) *privsep.Error {
	const code = "program-not-executable"
	interpreter := interpreterOf(path)
	if interpreter == "" {
		return privsep.Errorf(code, "program not executable: %.200s names an interpreter that does not exist", path)
	}
	return privsep.Errorf(code, "program not executable: the interpreter of %.200s is %.200q, which this session does not see: "+
		"begin it with #!/usr/bin/env %.100s, or share the directory of the interpreter with --workspace DIR:ro", path, interpreter, filepath.Base(interpreter))
}

// interpreterOf returns what a script names after #!, as far as the kernel reads that; "" if
// it is no script, or cannot be read. The file is the agent's: it may have become a pipe.
func interpreterOf(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	var start [256]byte // BINPRM_BUF_SIZE
	n, err := unix.Read(fd, start[:])
	if err != nil {
		return ""
	}
	line, script := strings.CutPrefix(string(start[:n]), "#!")
	line, _, _ = strings.Cut(line, "\n")
	words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if !script || len(words) == 0 {
		return ""
	}
	return words[0]
}

const notFound = "program-not-found"

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
		return "", privsep.Errorf("program-not-executable", "program not executable: %.200s (the agent's user may not run it)", unfit)
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
