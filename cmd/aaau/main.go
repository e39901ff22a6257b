// Command aaau is the client: it puts a person's terminal into a session.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/kballard/go-shellquote"
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
	err := app().RunContext(context.Background(), os.Args)
	var s status
	switch {
	case errors.As(err, &s):
		os.Exit(int(s))
	case err != nil:
		fmt.Fprintf(os.Stderr, "aaau: %v\n", err)
		os.Exit(exitFailed)
	}
}

func app() *cli.App {
	flags := func() []cli.Flag {
		return []cli.Flag{
			&cli.StringFlag{Name: "socket", Aliases: []string{"s"}, Value: wire.DefaultSocket, EnvVars: []string{"AAAU_SOCKET"}, Usage: "the bridge's `SOCKET`"},
			&cli.StringFlag{Name: "session", Aliases: []string{"n"}, Usage: "join the session with this `ID`"},
			&cli.BoolFlag{Name: "read-only", Aliases: []string{"r"}, Usage: "watch, without typing"},
			&cli.StringFlag{Name: "program", Aliases: []string{"p"}, Usage: "run `'CMD ARGS'`, split as a shell splits words"},
		}
	}
	usage := func(_ *cli.Context, err error, _ bool) error { return fmt.Errorf("%w (see aaau --help)", err) }
	return &cli.App{
		Name:            "aaau",
		Usage:           "run an agent as another user, and be there",
		ArgsUsage:       "[claude|codex]",
		Version:         version.Version,
		HideHelpCommand: true,
		Flags:           flags(),
		Action:          connect,
		OnUsageError:    usage,
		ExitErrHandler:  func(*cli.Context, error) {},
		Commands: []*cli.Command{
			{Name: "connect", Usage: "start a session, or join one (the default)", ArgsUsage: "[claude|codex]",
				Flags: flags(), Action: connect, OnUsageError: usage, HideHelpCommand: true},
			{Name: "kill", Usage: "end a session by force, with every process in it", ArgsUsage: "ID",
				Flags: flags()[:1], Action: kill, OnUsageError: usage, HideHelpCommand: true},
		},
	}
}

// request reads what is asked for off the command line.
func request(c *cli.Context) (wire.OpenRequest, error) {
	req := wire.OpenRequest{Attach: c.String("session"), Profile: c.Args().First(), ReadOnly: c.Bool("read-only")}
	program := c.String("program")
	switch {
	case c.NArg() > 1:
		return req, fmt.Errorf("one alias only, not also %q: use -p 'CMD ARGS' for a program of your own", c.Args().Get(1))
	case c.IsSet("program") && req.Profile != "":
		return req, fmt.Errorf("both -p and the alias %s name a program: leave one out", req.Profile)
	case req.Attach != "" && (c.IsSet("program") || req.Profile != ""):
		return req, errors.New("-n joins a session that runs its program already: leave -p or the alias out")
	case c.IsSet("session") && req.Attach == "":
		return req, errors.New("-n needs a session's id")
	}
	if c.IsSet("program") {
		argv, err := shellquote.Split(program)
		if err != nil {
			return req, fmt.Errorf("-p: %w in %q", err, program)
		}
		if len(argv) == 0 {
			return req, errors.New("-p needs a program")
		}
		req.Argv = argv
	}
	return req, nil
}

func connect(c *cli.Context) error {
	req, err := request(c)
	if err != nil {
		return err
	}
	return attach(c.Context, c.String("socket"), req)
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
	_, err = s.Copy(io.Discard, func(line string) {
		refused = errors.New(line)
		s.Close()
	})
	if refused != nil {
		return refused
	}
	return err
}
