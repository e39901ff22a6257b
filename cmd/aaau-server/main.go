// Command aaau-server is the bridge (run) and the administrator's tool (init, check, audit).
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/version"
)

func main() {
	usage := func(_ *cli.Context, err error, _ bool) error { return fmt.Errorf("%w (see aaau-server --help)", err) }
	app := &cli.App{
		Name:            "aaau-server",
		Usage:           "the bridge between people and agents, and its administrator's tools",
		Version:         version.Version,
		HideHelpCommand: true,
		OnUsageError:    usage,
		ExitErrHandler:  func(*cli.Context, error) {},
		Commands:        []*cli.Command{runCommand(), initCommand(), checkCommand(), auditCommand()},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return fmt.Errorf("unknown command %q (see aaau-server --help)", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, c := range app.Commands {
		for _, c := range append(c.Subcommands, c) {
			c.HideHelpCommand = true
			if c.OnUsageError == nil {
				c.OnUsageError = usage
			}
		}
	}
	err := app.RunContext(context.Background(), os.Args)
	if err == nil {
		return
	}
	fails := failure{err, 1}
	errors.As(err, &fails)
	if fails.error != nil {
		fmt.Fprintf(os.Stderr, "aaau-server: %v\n", err)
	}
	os.Exit(fails.status)
}

// failure is an error, or nil where all is said, with what to exit with.
type failure struct {
	error
	status int
}
