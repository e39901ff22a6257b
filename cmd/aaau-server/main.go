// Command aaau-server is the bridge (run) and the administrator's tool (init).
package main

import (
	"context"
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
		Commands:        []*cli.Command{runCommand(), initCommand()},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return fmt.Errorf("unknown command %q (see aaau-server --help)", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, c := range app.Commands {
		c.OnUsageError, c.HideHelpCommand = usage, true
	}
	if err := app.RunContext(context.Background(), os.Args); err != nil {
		fmt.Fprintf(os.Stderr, "aaau-server: %v\n", err)
		os.Exit(1)
	}
}
