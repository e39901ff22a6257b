package main

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/client"
)

func shareCommand() *cli.Command {
	return &cli.Command{Name: "share", Usage: "let somebody into your session", ArgsUsage: "ID USER",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "read-only", Aliases: []string{"r"}, Usage: "to watch, without typing"}},
		Action: func(c *cli.Context) error {
			return forUser(c, func(ctx context.Context, conn *client.Conn, uid uint32) error {
				return conn.Share(ctx, c.Args().First(), uid, c.Bool("read-only"))
			})
		}}
}

func unshareCommand() *cli.Command {
	return &cli.Command{Name: "unshare", Usage: "take somebody out of your session, and keep them out", ArgsUsage: "ID USER",
		Action: func(c *cli.Context) error {
			return forUser(c, func(ctx context.Context, conn *client.Conn, uid uint32) error {
				return conn.Unshare(ctx, c.Args().First(), uid)
			})
		}}
}

func forUser(c *cli.Context, do func(context.Context, *client.Conn, uint32) error) error {
	if c.NArg() != 2 {
		return fmt.Errorf("%s needs a session and a user", c.Command.Name)
	}
	uid, err := uidOf(c.Args().Get(1))
	if err != nil {
		return err
	}
	return with(c, func(ctx context.Context, conn *client.Conn) error { return do(ctx, conn, uid) })
}

// uidOf is a user's number, by name or as it is.
func uidOf(name string) (uint32, error) {
	id := name
	u, err := user.Lookup(name)
	if unknown := user.UnknownUserError(""); err != nil && !errors.As(err, &unknown) {
		return 0, err
	}
	if err == nil {
		id = u.Uid
	}
	uid, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("there is no user %q (people who are not in /etc/passwd, by number)", name)
	}
	return uint32(uid), nil
}
