// Command aaau is the client: it puts a person's terminal into a session.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/version"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// exitFailed is the status of the client's own failures; below it is the agent's. Where there is
// no program, or none that can be run, the status is what a shell's would be.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
	exitFailed        = 255
)

// status is how the agent ended, as an error to carry it to the end of main.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

func main() {
	keepIgnored()
	err := run(context.Background(), os.Args)
	var s status
	switch {
	case errors.As(err, &s):
		os.Exit(int(s))
	case err != nil:
		say(err.Error())
		os.Exit(failure(err))
	}
}

// failure is the exit status of what went wrong before a program ran.
func failure(err error) int {
	var note *wire.ErrorNote
	if errors.As(err, &note) {
		switch note.Code {
		case "program-not-executable":
			return exitNotExecutable
		case "program-not-found":
			return exitNotFound
		}
	}
	return exitFailed
}

func run(ctx context.Context, args []string) error {
	app, args := split(args)
	return app.RunContext(ctx, args)
}

// split takes what follows a first "--" for a program and its arguments, which the
// CLI library does not tell from an alias, and puts options in the order that it
// wants.
func split(args []string) (*cli.App, []string) {
	app := app()
	if i := slices.Index(args, "--"); i >= 0 {
		app.Metadata = map[string]any{program: args[i+1:]}
		args = args[:i]
	}
	return app, reorder(app, args)
}

// program is the name of what split finds.
const program = "program"

func app() *cli.App {
	usage := func(_ *cli.Context, err error, _ bool) error { return fmt.Errorf("%w (see aaau --help)", err) }
	app := &cli.App{
		Name:                      "aaau",
		Usage:                     "run an agent as another user, and be there",
		UsageText:                 "aaau [options] [claude|codex|ALIAS [ARG...]]\naaau [options] -- CMD [ARG...]\naaau COMMAND [options] ...",
		Version:                   version.Version,
		HideHelpCommand:           true,
		DisableSliceFlagSeparator: true,
		Flags:                     slices.Concat(socketFlag(), joinFlags(), newFlags(), noInputFlag()),
		Action:                    connect,
		ExitErrHandler:            func(*cli.Context, error) {},
		Commands: []*cli.Command{
			{Name: "connect", Usage: "start a session, or join one (the default)", ArgsUsage: "[ALIAS [ARG...]]",
				Flags: slices.Concat(joinFlags(), newFlags(), noInputFlag()), Action: connect},
			startCommand(), attachCommand(), detachCommand(),
			listCommand(), statusCommand(), peekCommand(), sendCommand(), putCommand(), waitCommand(),
			killCommand(), freezeCommand(), thawCommand(), shareCommand(), unshareCommand(), eventsCommand(),
			changesCommand(), replayCommand(), exportCommand(), auditCommand(),
			setupCommand(),
		},
	}
	app.OnUsageError = usage
	for _, c := range app.Commands {
		for _, c := range append(c.Subcommands, c) {
			c.OnUsageError, c.HideHelpCommand = usage, true
			c.Flags = append(socketFlag(), c.Flags...)
		}
	}
	return app
}

func socketFlag() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "socket", Aliases: []string{"s"}, Value: wire.DefaultSocket, EnvVars: []string{"AAAU_SOCKET"}, Usage: "the bridge's `SOCKET`"},
	}
}

func joinFlags() []cli.Flag {
	return append(viewFlags(), &cli.StringFlag{Name: "session", Aliases: []string{"n"}, Usage: "join the session with this `ID`, the beginning of one, or name"})
}

// viewFlags are for being in a session.
func viewFlags() []cli.Flag {
	return []cli.Flag{
		readOnlyFlag(), detachKeyFlag(),
		&cli.IntFlag{Name: "history", Value: defaultHistory, Usage: "on joining show up to `N` lines of what was printed before"},
	}
}

const defaultHistory = 1000

func readOnlyFlag() cli.Flag {
	return &cli.BoolFlag{Name: "read-only", Aliases: []string{"r"}, Usage: "watch, without typing"}
}

func detachKeyFlag() cli.Flag {
	return &cli.StringFlag{Name: "detach-key", Value: keyName(defaultKey), EnvVars: []string{"AAAU_DETACH_KEY"}, Usage: "detach at three times `KEY` within a second: ^A to ^_, or none"}
}

// newFlags are for a new session.
func newFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "program", Aliases: []string{"p"}, Usage: "run `'CMD ARGS'`, split as a shell splits words"},
		&cli.StringFlag{Name: "name", Usage: "call the session `NAME` (default: as its directory)"},
		&cli.StringFlag{Name: "time", Usage: "end the session after this `TIME`, as 90m or 8h (default: never)"},
		&cli.BoolFlag{Name: "terminal", Aliases: []string{"t"}, Usage: "give the program a terminal, also if the input or the output is none"},
		&cli.BoolFlag{Name: "no-terminal", Aliases: []string{"T"}, Usage: "give the program three pipes, also if input and output are a terminal"},
	}, workspaceFlags()...)
}

func noInputFlag() []cli.Flag {
	return []cli.Flag{&cli.BoolFlag{Name: "no-input", Aliases: []string{"N"}, Usage: "give the program an empty input, and leave ours to others: for loops that read it"}}
}

func workspaceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "workspace", Usage: "let the agent work in `DIR`, or read it with DIR:ro (repeatable)"},
		&cli.StringFlag{Name: "C", Usage: "be in `DIR`, and let the agent work there"},
		&cli.BoolFlag{Name: "no-workspace", Usage: "let the agent see no directory of yours"},
		envFlag(),
	}
}

func envFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "env", Usage: "pass on your variable `NAME`, if the profile takes it (repeatable)"}
}

func connect(c *cli.Context) error {
	o, err := asked(c)
	if err != nil {
		return err
	}
	return attach(c.Context, c.String("socket"), o)
}
