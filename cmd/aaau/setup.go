package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// setup runs a profile's install= and login= as the agent, in the home that it has
// for this person.
func setup(c *cli.Context) error {
	o := order{env: c.StringSlice("env"), noWorkspace: true}
	login := !c.Bool("no-login")
	for args := c.Args().Slice(); len(args) > 0; args = args[1:] { // the CLI library knows options before the alias only
		switch {
		case args[0] == "--no-login":
			login = false
		case args[0] == "--env" && len(args) > 1:
			o.env, args = append(o.env, args[1]), args[1:]
		case o.Profile == "" && args[0] != "" && args[0][0] != '-':
			o.Profile = args[0]
		default:
			return fmt.Errorf("setup takes an alias, --no-login and --env NAME, not %q", args[0])
		}
	}
	if o.Profile == "" {
		return errors.New("setup needs an alias: aaau setup claude")
	}
	socket, t := c.String("socket"), newTerminal(os.Stdin)
	has, err := steps(c, socket, o.Profile)
	if err != nil {
		return err
	}
	if !has.Install && !has.Login {
		return fmt.Errorf("there is nothing to set up for %s: its profile has neither install= nor login=", o.Profile)
	}
	if has.Install {
		say("installing " + o.Profile + " in your agent's home")
		o.Step = spec.Install
		if err := t.attach(c.Context, socket, o); err != nil {
			return explainStep("installing", o.Profile, err)
		}
	}
	if has.Login && login {
		say("signing " + o.Profile + " in")
		o.Step = spec.Login
		if err := t.attach(c.Context, socket, o); err != nil {
			return explainStep("signing in", o.Profile, err)
		}
	}
	say(o.Profile + " is set up; start it in a project: aaau " + o.Profile)
	return nil
}

// steps asks which steps the profile has.
func steps(c *cli.Context, socket, profile string) (wire.ProfileReply, error) {
	conn, err := client.Dial(c.Context, socket)
	if err != nil {
		return wire.ProfileReply{}, err
	}
	defer conn.Close()
	return conn.Profile(c.Context, profile)
}

// explainStep says beside the step's own words which of them it was that failed.
func explainStep(what, profile string, err error) error {
	var s status
	if errors.As(err, &s) {
		say(fmt.Sprintf("%s %s failed (exit status %d)", what, profile, int(s)))
	}
	return err
}
