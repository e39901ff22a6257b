package main

import (
	"errors"
	"fmt"

	"github.com/AgentaaU/AaaU/pkg/suggest"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// meant adds the command that somebody may have mistyped to the error of an alias that
// there is not.
func meant(alias string, err error) error {
	var note *wire.ErrorNote
	if !errors.As(err, &note) || note.Code != "unknown-profile" {
		return err
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
