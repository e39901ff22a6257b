package main

import (
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/config"
)

func checkCommand() *cli.Command {
	return &cli.Command{
		Name:  "check",
		Usage: "say all mistakes in aaau.conf, access.conf and the profiles",
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return fmt.Errorf("check takes no arguments, but there is %q", c.Args().First())
			}
			return check(config.System, os.Stderr)
		},
	}
}

// check prints a line for each mistake in the files, and for each note. It fails if there is
// a mistake.
func check(dirs config.Dirs, out io.Writer) error {
	mistakes, notes := dirs.Check()
	for _, n := range notes {
		fmt.Fprintln(out, "note:", n)
	}
	for _, err := range mistakes {
		fmt.Fprintln(out, err)
	}
	switch len(mistakes) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("there is a mistake in the configuration")
	}
	return fmt.Errorf("there are %d mistakes in the configuration", len(mistakes))
}
