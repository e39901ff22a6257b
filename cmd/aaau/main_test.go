package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// parse runs the command line as far as the order.
func parse(args ...string) (o order, err error) {
	a, args := split(append([]string{"aaau"}, args...))
	a.Action = func(c *cli.Context) error { o, err = asked(c); return nil }
	for _, c := range a.Commands {
		if c.Name == "connect" {
			c.Action = a.Action
		}
	}
	if err := a.Run(args); err != nil {
		return o, err
	}
	return o, err
}

func TestRequest(t *testing.T) {
	for _, word := range [][]string{nil, {"connect"}} {
		with := func(args ...string) order {
			t.Helper()
			req, err := parse(append(slices.Clone(word), args...)...)
			if err != nil {
				t.Errorf("%q: %v", args, err)
			}
			return req
		}
		if r := with(); r.Attach != "" || r.Profile != "" || r.Argv != nil {
			t.Errorf("%+v", r)
		}
		if r := with("claude"); r.Profile != "claude" {
			t.Errorf("%+v", r)
		}
		if r := with("-n", "abc", "-r"); r.Attach != "abc" || !r.ReadOnly {
			t.Errorf("%+v", r)
		}
		if r := with("claude", "--resume", "-n", "x", "--", "-r"); r.Profile != "claude" || r.Attach != "" || !slices.Equal(r.Args, []string{"--resume", "-n", "x", "--", "-r"}) {
			t.Errorf("%+v", r)
		}
		if r := with("--", "kill", "-n", "--", "x y"); r.Profile != "" || !slices.Equal(r.Argv, []string{"kill", "-n", "--", "x y"}) {
			t.Errorf("%+v", r)
		}
		if r := with("--workspace", "a,b:ro", "--workspace", "c", "--env", "K", "claude"); !slices.Equal(r.workspaces, []string{"a,b:ro", "c"}) || !slices.Equal(r.env, []string{"K"}) {
			t.Errorf("%+v", r)
		}
		// Words, and no shell.
		if r := with("-p", `sh -c "echo $HOME; *" 'a b' c\ d`); !slices.Equal(r.Argv, []string{"sh", "-c", "echo $HOME; *", "a b", "c d"}) {
			t.Errorf("%q", r.Argv)
		}
	}
}

func TestRequestRefusals(t *testing.T) {
	for args, want := range map[string]string{
		"-p|id|claude":        "both -p and the alias claude",
		"-n|x|claude":         "leave -p, -- or the alias out",
		"-n|x|-p|id":          "leave -p, -- or the alias out",
		"-n|x|--|id":          "leave -p, -- or the alias out",
		"-n|x|-C|/":           "leave --workspace, -C and --env out",
		"-p|id|--|id":         "both -p and --",
		"--":                  "-- needs a program",
		"--no-workspace|-C|/": "goes with neither",
		"-n|":                 "needs a session's id",
		"-p|":                 "needs a program",
		"-p|it's":             "-p: ",
		"-p":                  "flag needs an argument",
		"--nosuch":            "not defined",
		"connect|-p|id|x":     "both -p and the alias x",
	} {
		if _, err := parse(strings.Split(args, "|")...); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

// Of commands, options may stand anywhere, and after "--" there are none.
// Options work wherever they stand, also of a command's command.
func TestArgumentsOfASubcommand(t *testing.T) {
	for line, want := range map[string]string{
		"audit search text":                         "text||/run/aaau/server.sock|false|",
		"audit search text --session x --json":      "text|x|/run/aaau/server.sock|true|",
		"audit search --kind input -n x a":          "a|x|/run/aaau/server.sock|false|input",
		"-s S audit search a --kind a --kind b":     "a||S|false|a,b",
		"audit search -s S --json -- --kind":        "--kind||S|true|",
		"audit search -- --kind -n":                 "",
		"audit nosuch":                              "",
		"audit search --nosuch":                     "",
		"audit search text and another":             "",
		"audit search --from yesterday text":        "",
		"audit search --session= --user= --json=no": "",
	} {
		a, args := split(append([]string{"aaau"}, strings.Fields(line)...))
		got := ""
		for _, c := range a.Commands {
			if c.Name != "audit" {
				continue
			}
			search := c.Subcommands[0].Action
			c.Subcommands[0].Action = func(c *cli.Context) error {
				if c.NArg() > 1 || c.String("from") != "" {
					return search(c) // which refuses it
				}
				got = strings.Join([]string{c.Args().First(), c.String("session"), c.String("socket"), fmt.Sprint(c.Bool("json")), strings.Join(c.StringSlice("kind"), ",")}, "|")
				return nil
			}
		}
		if err := a.Run(args); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", line, got, err, want)
		}
	}
}

func TestArguments(t *testing.T) {
	for line, want := range map[string]string{
		"send x text":         "x|text|false",
		"send x -e text":      "x|text|true",
		"-s S send x text -e": "x|text|true",
		"send x -- -e":        "x|-e|false",
		"send -e x -- -- b":   "x|--|b|true",
		"send -- x -n":        "x|-n|false",
	} {
		a, args := split(append([]string{"aaau"}, strings.Fields(line)...))
		got := "nothing"
		for _, c := range a.Commands {
			if c.Name == "send" {
				c.Action = func(c *cli.Context) error {
					got = strings.Join(append(c.Args().Slice(), fmt.Sprint(c.Bool("enter"))), "|")
					return nil
				}
			}
		}
		if err := a.Run(args); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", line, got, err, want)
		}
	}
}
