// Package spec is what a person may ask of a new session. It travels from the
// client to the bridge (pkg/wire) and on to the launcher (pkg/privsep), which
// alone decides; everything in it is a stranger's word.
package spec

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/AgentaaU/AaaU/pkg/argv"
)

// The limits of a Session. All of it together still has to fit into a frame of
// pkg/wire and a message of pkg/privsep.
const (
	MaxArgv  = 32 << 10 // bytes of a program and its arguments
	MaxEnv   = 12 << 10 // bytes of environment
	MaxDirs  = 128      // directories: SCM_RIGHTS takes 253 (unix(7))
	MaxLocks = 500      // locked paths and stubs, in all
	MaxLock  = 12 << 10 // bytes of them, and of aliases
)

// The limits of a file that is put into a session.
const (
	MaxFile     = 32 << 20 // bytes
	MaxFileName = 100      // bytes
)

// Session is what is asked of a new session.
type Session struct {
	Profile string    `json:"profile,omitempty"` // empty: the default
	Step    Step      `json:"step,omitempty"`    // one of the profile's own steps, instead of its program
	Argv    argv.Argv `json:"argv,omitempty"`    // instead of the profile's program
	Args    argv.Argv `json:"args,omitempty"`    // after the profile's program
	Size
	// Pipes asks for three of them instead of a terminal, as where the person's own
	// input is none: nothing is echoed, no byte is changed, errors come apart from
	// output, and input has an end. Size is of no meaning then.
	Pipes bool `json:"pipes,omitempty"`
	// ErrorsApart asks for a pipe as the standard error of a program that has a terminal:
	// the person's own goes to a file or a pipe. With Pipes it means nothing.
	ErrorsApart bool        `json:"errors_apart,omitempty"`
	Modes       Modes       `json:"modes,omitempty"` // the person's terminal's; nil: the kernel's own
	Env         argv.Argv   `json:"env,omitempty"`   // NAME=value
	Umask       *uint32     `json:"umask,omitempty"` // nil: 022
	Cwd         argv.String `json:"cwd,omitempty"`   // where the program starts; empty: at home
	// Stubs are names that are to exist, as links to nowhere, where the session sees
	// nothing of the person's: else git would take what it does not see for gone.
	Stubs argv.Argv `json:"stubs,omitempty"`
	Dirs  []Dir     `json:"dirs,omitempty"` // with a descriptor each, in this order
}

// Size is a terminal's, in character cells, and in pixels if these are known.
type Size struct {
	Rows   uint16 `json:"rows"`
	Cols   uint16 `json:"cols"`
	XPixel uint16 `json:"xpixel,omitempty"` // of the whole screen, not of a cell
	YPixel uint16 `json:"ypixel,omitempty"`
}

// SameCells says whether two sizes are the same but for pixels.
func (s Size) SameCells(t Size) bool { return s.Rows == t.Rows && s.Cols == t.Cols }

// Step is a part of a profile's setup.
type Step string

// The steps of a setup.
const (
	Install Step = "install" // put the program into the agent's home
	Login   Step = "login"   // sign it in
)

// Dir says what the directory that goes with it is for.
type Dir struct {
	ReadOnly bool `json:"read_only,omitempty"`
	Tool     bool `json:"tool,omitempty"` // of the person's tools: read-only
	// Alias is another absolute name that the person has for it, through symbolic
	// links that the session may not see.
	Alias argv.String `json:"alias,omitempty"`
	// Lock lists paths beneath it that the session must not write, rename,
	// remove or replace.
	Lock argv.Argv `json:"lock,omitempty"`
}

// Shown is a directory of a person's that a session sees, at its own name.
type Shown struct {
	Path     argv.String `json:"path"`
	ReadOnly bool        `json:"read_only,omitempty"`
	Tool     bool        `json:"tool,omitempty"`
}

// Check holds s to the limits, and to what can be meant at all. Its errors are for
// the person who asked.
func (s Session) Check() error {
	if s.Step != "" && s.Step != Install && s.Step != Login {
		return fmt.Errorf("there is no setup step %.20q", string(s.Step))
	}
	if len(s.Argv) > 0 && (len(s.Args) > 0 || s.Step != "") {
		return errors.New("a program of your own takes the place of the profile's: one of them only")
	}
	if size(s.Argv)+size(s.Args) > MaxArgv {
		return fmt.Errorf("the program and its arguments are too long (longer than %d bytes)", MaxArgv)
	}
	if size(s.Env) > MaxEnv {
		return fmt.Errorf("the environment is too long (longer than %d bytes)", MaxEnv)
	}
	for _, e := range s.Env {
		if name, _, ok := strings.Cut(e, "="); !ok || !isVariable(name) {
			return fmt.Errorf("%s is not of the form NAME=value", argv.Quote(name, 40))
		}
	}
	if s.Umask != nil && *s.Umask > 0o777 {
		return fmt.Errorf("no umask: %#o", *s.Umask)
	}
	if s.Cwd != "" && !filepath.IsAbs(string(s.Cwd)) {
		return fmt.Errorf("not an absolute path: %.200q", s.Cwd)
	}
	if err := s.Modes.Check(); err != nil {
		return err
	}
	if len(s.Dirs) > MaxDirs {
		return fmt.Errorf("%d directories, at most %d", len(s.Dirs), MaxDirs)
	}
	locks, bytes := len(s.Stubs), size(s.Stubs)
	for _, stub := range s.Stubs {
		if !filepath.IsAbs(stub) || filepath.Clean(stub) != stub || stub == "/" {
			return fmt.Errorf("not an absolute path: %.200q", stub)
		}
	}
	for _, d := range s.Dirs {
		if a := string(d.Alias); a != "" && (!filepath.IsAbs(a) || filepath.Clean(a) != a || a == "/") {
			return fmt.Errorf("not another name for a directory: %.200q", a)
		}
		locks, bytes = locks+len(d.Lock), bytes+size(d.Lock)+len(d.Alias)
		for _, l := range d.Lock {
			if !filepath.IsLocal(l) || filepath.Clean(l) != l || l == "." {
				return fmt.Errorf("not a path beneath a directory: %.200q", l)
			}
		}
	}
	if locks > MaxLocks || bytes > MaxLock {
		return fmt.Errorf("%d paths to protect, of %d bytes: at most %d, of %d", locks, bytes, MaxLocks, MaxLock)
	}
	return nil
}

// CheckName says whether a file that is put into a session may have this name, which
// neither a shell nor a person could take for anything else.
func CheckName(name string) error {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	if name == "" || len(name) > MaxFileName || strings.Trim(name, letters+"._-") != "" || name[0] == '.' || name[0] == '-' {
		return fmt.Errorf("%.120q is no name for a file there: 1 to %d of A-Z a-z 0-9 . _ -, and neither . nor - first", name, MaxFileName)
	}
	return nil
}

func size(list []string) (n int) {
	for _, s := range list {
		n += len(s)
	}
	return n
}

func isVariable(name string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
	return name != "" && len(name) <= 100 && strings.IndexByte(letters, name[0]) >= 0 && strings.Trim(name, letters+"0123456789") == ""
}
