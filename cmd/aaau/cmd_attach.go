package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

func attachCommand() *cli.Command {
	return &cli.Command{Name: "attach", Usage: "join a session: by default yours of this directory, else your latest", ArgsUsage: "[ID]",
		Flags: viewFlags(),
		Action: func(c *cli.Context) error {
			o := order{OpenRequest: wire.OpenRequest{Attach: c.Args().First()}}
			if c.NArg() > 1 {
				return errors.New("attach joins one session")
			}
			if err := o.view(c); err != nil {
				return err
			}
			if o.Attach == "" {
				err := with(c, func(ctx context.Context, conn *client.Conn) error {
					s, err := mine(ctx, conn)
					o.Attach = s.ID
					return err
				})
				if err != nil {
					return err
				}
			}
			return attach(c.Context, c.String("socket"), o)
		}}
}

func startCommand() *cli.Command {
	return &cli.Command{Name: "start", Usage: "start a session that nobody is in, and print its id", ArgsUsage: "[ALIAS [ARG...]]",
		Flags: newFlags(),
		Action: func(c *cli.Context) error {
			o, err := asked(c)
			if err != nil {
				return err
			}
			o.Detached, o.Size = true, size()
			o.Pipes = o.terminal != nil && !*o.terminal
			s, took, err := request(c.Context, c.String("socket"), o)
			if err != nil {
				return err
			}
			defer s.Close()
			for _, n := range took.notes {
				say(n)
			}
			_, err = fmt.Fprintln(stdout, s.ID)
			return err
		}}
}

func detachCommand() *cli.Command {
	return &cli.Command{Name: "detach", Usage: "take your clients out of a session, and as its owner everybody's; the session continues", ArgsUsage: "ID",
		Flags: []cli.Flag{&cli.Uint64Flag{Name: "client", Usage: "only client `NUMBER` (see aaau status)"}},
		Action: on(func(ctx context.Context, c *cli.Context, conn *client.Conn, id string) error {
			n, err := conn.Dismiss(ctx, id, c.Uint64("client"))
			if err == nil && n == 0 {
				say("nobody was in it whom you may take out")
			}
			return err
		})}
}
