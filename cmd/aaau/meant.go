package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/AgentaaU/AaaU/pkg/suggest"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// meant adds the command that somebody may have mistyped, or which is another program's, to
// the error of an alias that there is not.
func meant(alias string, err error) error {
	var note *wire.ErrorNote
	if !errors.As(err, &note) || note.Code != "unknown-profile" {
		return err
	}
	if slices.Contains([]string{"init", "check", "run"}, alias) {
		return fmt.Errorf("unknown command or alias %q: administrators have sudo aaau-server %s", alias, alias)
	}
	var commands []string
	for _, c := range app().Commands {
		commands = append(commands, c.Names()...)
	}
	if near := suggest.Nearest(alias, commands); near != "" {
		return fmt.Errorf("unknown command or alias %q: did you mean aaau %s?", alias, near)
	}
	return err
}
