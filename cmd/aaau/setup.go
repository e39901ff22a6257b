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

func setupCommand() *cli.Command {
	return &cli.Command{Name: "setup", Usage: "install an alias's program in your agent's home, and sign it in", ArgsUsage: "ALIAS",
		Flags: []cli.Flag{detachKeyFlag(), envFlag(), &cli.BoolFlag{Name: "no-login", Usage: "only install"}}, Action: setup}
}

// setup runs a profile's install= and login= as the agent, in the home that it has
// for this person.
func setup(c *cli.Context) error {
	o := order{env: c.StringSlice("env"), noWorkspace: true}
	if err := o.view(c); err != nil {
		return err
	}
	login := !c.Bool("no-login")
	o.Profile = c.Args().First()
	if c.NArg() > 1 {
		return fmt.Errorf("setup takes one alias, not also %q", c.Args().Get(1))
	}
	if o.Profile == "" {
		return errors.New("setup needs an alias: aaau setup claude")
	}
	socket, tty := c.String("socket"), newTerminal(os.Stdin)
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
		if err := tty.attach(c.Context, socket, o); err != nil {
			return explainStep("installing", o.Profile, err)
		}
	}
	if has.Login && login {
		say("signing " + o.Profile + " in")
		o.Step = spec.Login
		if err := tty.attach(c.Context, socket, o); err != nil {
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
