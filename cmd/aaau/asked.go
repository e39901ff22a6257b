package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kballard/go-shellquote"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/project"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// order is what the command line asks for.
type order struct {
	wire.OpenRequest
	workspaces  []string // DIR or DIR:ro, named with --workspace
	dir         string   // -C
	noWorkspace bool
	env         []string // names
	noTerminal  bool     // neither the input nor the output is one
	terminal    *bool    // -t or -T: whether the program is to have one
	noInput     bool     // the program's input is empty
	detachKey   byte     // 0: none
}

// asked reads the command line.
func asked(c *cli.Context) (order, error) {
	o := order{
		OpenRequest: wire.OpenRequest{Attach: c.String("session")},
		workspaces:  c.StringSlice("workspace"), dir: c.String("C"), noWorkspace: c.Bool("no-workspace"),
		env: c.StringSlice("env"), noInput: c.Bool("no-input"),
	}
	o.Name = c.String("name")
	if err := o.view(c); err != nil {
		return o, err
	}
	if err := o.takes(c); err != nil {
		return o, err
	}
	if t, no := c.Bool("terminal"), c.Bool("no-terminal"); t || no {
		o.terminal = &t
		if t && no {
			return o, errors.New("both -t and -T: leave one out")
		}
		if t && o.noInput {
			return o, errors.New("-t gives the program a terminal, -N no input: leave one out")
		}
	}
	o.Profile = c.Args().First()
	o.Args = c.Args().Tail()
	rest, hasRest := c.App.Metadata[program].([]string)
	if hasRest && o.Profile != "" { // then it is the program's
		o.Args = append(append(o.Args, "--"), rest...)
		hasRest = false
	}
	switch {
	case c.IsSet("program") && hasRest:
		return o, errors.New("both -p and -- name a program: leave one out")
	case c.IsSet("program") && o.Profile != "":
		return o, fmt.Errorf("both -p and the alias %s name a program: leave one out", o.Profile)
	case c.IsSet("session") && o.Attach == "":
		return o, errors.New("-n needs a session's id")
	case o.Attach != "" && (c.IsSet("program") || hasRest || o.Profile != ""):
		return o, errors.New("-n joins a session that runs its program already: leave -p, -- or the alias out")
	case o.Attach != "" && (len(o.workspaces) > 0 || o.dir != "" || o.noWorkspace || len(o.env) > 0):
		return o, errors.New("-n joins a session that has its workspace already: leave --workspace, -C and --env out")
	case o.Attach != "" && (o.Name != "" || o.terminal != nil || o.noInput || o.Time != 0):
		return o, errors.New("-n joins a session that has its name, its time and its terminal already: leave --name, --time, -t, -T and -N out")
	case o.noWorkspace && (len(o.workspaces) > 0 || o.dir != ""):
		return o, errors.New("--no-workspace goes with neither --workspace nor -C")
	case hasRest && len(rest) == 0:
		return o, errors.New("-- needs a program")
	}
	if hasRest {
		o.Argv = rest
	}
	if c.IsSet("program") {
		argv, err := shellquote.Split(c.String("program"))
		if err != nil {
			return o, fmt.Errorf("-p: %w in %q", err, c.String("program"))
		}
		if len(argv) == 0 {
			return o, errors.New("-p needs a program")
		}
		o.Argv = argv
	}
	return o, nil
}

// takes reads how long a session may take: whole seconds, rounded up.
func (o *order) takes(c *cli.Context) error {
	if !c.IsSet("time") {
		return nil
	}
	d, err := time.ParseDuration(c.String("time"))
	if err != nil || d <= 0 || d > wire.MaxTime*time.Second {
		return fmt.Errorf("--time %q: give a time such as 90m or 8h, of a year at most", c.String("time"))
	}
	o.Time = int64((d + time.Second - 1) / time.Second)
	return nil
}

// streams decides what a new session's program has as its standard streams, by which of the
// person's own are a terminal. As with ssh, -t and -T decide before that.
func (o *order) streams(in, out, errs bool) {
	switch {
	case o.Attach != "":
	case o.terminal != nil:
		o.Pipes = !*o.terminal
	case in && out:
		o.ErrorsApart = !errs
	default:
		o.Pipes = true
	}
}

// modes are those of the terminal on any of our standard streams; nil if there is none.
func modes() spec.Modes {
	for _, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		if t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
			return spec.ModesOf(*t)
		}
	}
	return nil
}

// defaultKey is ^].
const defaultKey = ']' & 0x1f

// view reads how the person is in a session.
func (o *order) view(c *cli.Context) error {
	o.ReadOnly, o.History = c.Bool("read-only"), c.Int("history")
	if o.History < 0 {
		return fmt.Errorf("--history %d: give a number of lines, 0 for none", o.History)
	}
	key := c.String("detach-key")
	switch {
	case key == "": // a variable that is empty
		o.detachKey = defaultKey
	case key == "none":
		o.detachKey = 0
	case len(key) == 2 && key[0] == '^' && 'A' <= upper(key[1]) && upper(key[1]) <= '_':
		o.detachKey = key[1] & 0x1f
	default:
		return fmt.Errorf("--detach-key %q: write ^A to ^Z, ^[, ^\\, ^], ^^, ^_, or none", key)
	}
	return nil
}

func upper(b byte) byte {
	if 'a' <= b && b <= 'z' {
		b -= 'a' - 'A'
	}
	return b
}

// luggage is what a new session takes along.
type luggage struct {
	dirs  []project.Dir
	notes []string // for the person

	leftOut      []string          // of the person's PATH
	repositories []string          // in them, at the start
	aliases      map[string]string // how the person calls some of them, by path
}

func (l luggage) files() (files []*os.File) {
	for _, d := range l.dirs {
		files = append(files, d.File)
	}
	return files
}

func (l luggage) close() {
	for _, d := range l.dirs {
		d.File.Close()
	}
}

// pack completes the request for a new session: directories, environment, umask.
// The luggage is the caller's to close, also beside an error.
func (o *order) pack(ctx context.Context, conn *client.Conn) (l luggage, err error) {
	profile, err := conn.Profile(ctx, o.Profile)
	if err != nil {
		return l, meant(o.Profile, err)
	}
	o.Env = project.Environment(os.Environ())
	if o.noTerminal || o.Pipes {
		o.Env = slices.DeleteFunc(o.Env, func(e string) bool { return strings.HasPrefix(e, "TERM=") })
	}
	if !o.Pipes {
		o.Modes = modes()
	}
	for _, name := range o.env {
		value, ok := os.LookupEnv(name)
		if !ok {
			return l, fmt.Errorf("--env %s: there is no such variable in your environment", name)
		}
		o.Env = append(o.Env, name+"="+value)
	}
	umask := umask()
	o.Umask = &umask
	if err := o.packWorkspaces(&l, profile); err != nil {
		return l, err
	}
	var hooks []string
	if len(l.dirs) > 0 {
		git, err := project.Git(ctx, l.dirs)
		hooks = git.Hooks
		l.dirs = append(l.dirs, git.Dirs...)
		l.notes = append(l.notes, git.Notes...)
		l.repositories = git.Repositories
		if err != nil {
			return l, err
		}
		o.Env = append(o.Env, git.Env...)
		o.Stubs = git.Stubs
		if git.Shared {
			umask &^= 0o070
		}
	}
	if err := o.packTools(&l, profile); err != nil {
		return l, err
	}
	l.notes = append(l.notes, project.HookNotes(hooks, l.seen(), os.Getenv("HOME"))...)
	for _, d := range l.dirs {
		o.Dirs = append(o.Dirs, spec.Dir{ReadOnly: d.ReadOnly, Tool: d.Tool, Lock: d.Lock, Alias: argv.String(l.aliases[d.Path])})
	}
	return l, nil
}

// seen are the directories that the session sees of people's files, by all their names.
func (l luggage) seen() (names []string) {
	for _, d := range l.dirs {
		names = append(names, d.Path)
		if alias := l.aliases[d.Path]; alias != "" {
			names = append(names, alias)
		}
	}
	return names
}

func (l luggage) has(path string) bool {
	for _, d := range l.dirs {
		if d.Path == path {
			return true
		}
	}
	return false
}

// umask is ours, which umask(2) tells only by changing it.
func umask() uint32 {
	mask := unix.Umask(0o077)
	unix.Umask(mask)
	return uint32(mask)
}
