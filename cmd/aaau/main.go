// Command aaau is the client: it puts a person's terminal into a session.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/version"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// exitFailed is the status of the client's own failures; below it is the agent's.
const exitFailed = 255

// status is how the agent ended, as an error to carry it to the end of main.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

func main() {
	err := run(context.Background(), os.Args)
	var s status
	switch {
	case errors.As(err, &s):
		os.Exit(int(s))
	case err != nil:
		say(err.Error())
		os.Exit(exitFailed)
	}
}

func run(ctx context.Context, args []string) error {
	app, args := split(args)
	return app.RunContext(ctx, args)
}

// split takes what follows a first "--" for a program and its arguments, which the
// CLI library does not tell from an alias.
func split(args []string) (*cli.App, []string) {
	app := app()
	if i := slices.Index(args, "--"); i >= 0 {
		app.Metadata = map[string]any{program: args[i+1:]}
		args = args[:i]
	}
	return app, args
}

// program is the name of what split finds.
const program = "program"

func app() *cli.App {
	usage := func(_ *cli.Context, err error, _ bool) error { return fmt.Errorf("%w (see aaau --help)", err) }
	return &cli.App{
		Name:                      "aaau",
		Usage:                     "run an agent as another user, and be there",
		UsageText:                 "aaau [options] [claude|codex|ALIAS [ARG...]]\naaau [options] -- CMD [ARG...]",
		Version:                   version.Version,
		HideHelpCommand:           true,
		DisableSliceFlagSeparator: true,
		Flags:                     flags(),
		Action:                    connect,
		OnUsageError:              usage,
		ExitErrHandler:            func(*cli.Context, error) {},
		Commands: []*cli.Command{
			{Name: "connect", Usage: "start a session, or join one (the default)", ArgsUsage: "[ALIAS [ARG...]]",
				Flags: flags(), Action: connect, OnUsageError: usage, HideHelpCommand: true},
			{Name: "setup", Usage: "install an alias's program in your agent's home, and sign it in", ArgsUsage: "ALIAS [--no-login]",
				Flags: slices.Concat(flags()[:1], workspaceFlags()[3:], []cli.Flag{&cli.BoolFlag{Name: "no-login", Usage: "only install"}}), Action: setup, OnUsageError: usage, HideHelpCommand: true},
			{Name: "kill", Usage: "end a session by force, with every process in it", ArgsUsage: "ID",
				Flags: flags()[:1], Action: kill, OnUsageError: usage, HideHelpCommand: true},
		},
	}
}

func flags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "socket", Aliases: []string{"s"}, Value: wire.DefaultSocket, EnvVars: []string{"AAAU_SOCKET"}, Usage: "the bridge's `SOCKET`"},
		&cli.StringFlag{Name: "session", Aliases: []string{"n"}, Usage: "join the session with this `ID`"},
		&cli.BoolFlag{Name: "read-only", Aliases: []string{"r"}, Usage: "watch, without typing"},
		&cli.StringFlag{Name: "program", Aliases: []string{"p"}, Usage: "run `'CMD ARGS'`, split as a shell splits words"},
	}, workspaceFlags()...)
}

func workspaceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "workspace", Usage: "let the agent work in `DIR`, or read it with DIR:ro (repeatable)"},
		&cli.StringFlag{Name: "C", Usage: "be in `DIR`, and let the agent work there"},
		&cli.BoolFlag{Name: "no-workspace", Usage: "let the agent see no directory of yours"},
		&cli.StringSliceFlag{Name: "env", Usage: "pass on your variable `NAME`, if the profile takes it (repeatable)"},
	}
}

func connect(c *cli.Context) error {
	a, err := asked(c)
	if err != nil {
		return err
	}
	return attach(c.Context, c.String("socket"), a)
}

func kill(c *cli.Context) error {
	if c.NArg() != 1 {
		return errors.New("kill needs one session's id")
	}
	s, err := client.Open(c.Context, c.String("socket"), wire.OpenRequest{Attach: c.Args().First()})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Kill(); err != nil {
		return err
	}
	var refused error
	_, err = s.Copy(io.Discard, func(t wire.Type, line string) {
		if t == wire.Refused {
			refused = errors.New(line)
			s.Close()
		}
	})
	if refused != nil {
		return refused
	}
	return err
}
