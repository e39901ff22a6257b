package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// reorder has options work wherever they stand: before a command, and among its
// arguments. The CLI library wants them right after the command. What follows an
// alias is the program's, and stays; what follows "--" is no option.
func reorder(app *cli.App, args []string) []string {
	if len(args) == 0 {
		return args
	}
	before, rest := take(app.Flags, args[1:], false)
	if len(rest) == 0 {
		return args
	}
	i := slices.IndexFunc(app.Commands, func(c *cli.Command) bool { return c.HasName(rest[0]) })
	if i < 0 {
		return args
	}
	command := app.Commands[i]
	out := []string{args[0], rest[0]}
	if len(rest) > 1 {
		if sub := command.Command(rest[1]); sub != nil {
			command, rest, out = sub, rest[1:], append(out, rest[1])
		}
	}
	out = append(out, before...)
	if command.Name == "connect" || command.Name == "start" {
		return append(out, rest[1:]...)
	}
	options, words := take(command.Flags, rest[1:], true)
	if after, ok := app.Metadata[program].([]string); ok { // it is no program then
		words = slices.Concat([]string{"--"}, words, after)
	}
	return slices.Concat(out, options, words)
}

// take splits a command line into options, with their values, and what is none: all
// of it, or what follows the first word that is none.
func take(flags []cli.Flag, args []string, all bool) (options, words []string) {
	for i := 0; i < len(args); i++ {
		a := args[i]
		if len(a) < 2 || a[0] != '-' { // "-" is an argument
			if !all {
				return options, args[i:]
			}
			words = append(words, a)
			continue
		}
		options = append(options, a)
		if hasValue(flags, a) && i+1 < len(args) {
			i++
			options = append(options, args[i])
		}
	}
	return options, words
}

// hasValue says whether the argument after this option is its value.
func hasValue(flags []cli.Flag, option string) bool {
	name := strings.TrimLeft(option, "-")
	if strings.Contains(name, "=") {
		return false
	}
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			d, ok := f.(cli.DocGenerationFlag)
			return ok && d.TakesValue()
		}
	}
	return false
}
