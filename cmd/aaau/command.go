package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// with runs something that asks the bridge.
func with(c *cli.Context, do func(context.Context, *client.Conn) error) error {
	conn, err := client.Dial(c.Context, c.String("socket"))
	if err != nil {
		return err
	}
	defer conn.Close()
	return do(c.Context, conn)
}

// persistently is with for what waits: when the bridge dies the next is asked, for as
// long as one may take to come.
func persistently(c *cli.Context, do func(context.Context, *client.Conn) error) error {
	const most, pause = 30 * time.Second, 100 * time.Millisecond
	var lost time.Time
	for ; ; time.Sleep(pause) {
		asked := time.Now()
		err := with(c, do)
		var note *wire.ErrorNote
		gaveWay := errors.As(err, &note) && note.Code == wire.CodeGaveWay // while it was paused
		notStarted := errors.As(err, &note) && note.Code == wire.CodeNotStarted && !lost.IsZero()
		if !errors.Is(err, client.ErrEnded) && !gaveWay && !notStarted {
			return err
		}
		if lost.IsZero() || time.Since(asked) > time.Second { // it had been there
			lost = time.Now()
		}
		if time.Since(lost) > most {
			return err
		}
	}
}

// on is an action for the one session that the arguments name.
func on(do func(ctx context.Context, c *cli.Context, conn *client.Conn, id string) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.NArg() != 1 {
			return errOneSession(c)
		}
		return with(c, func(ctx context.Context, conn *client.Conn) error { return do(ctx, c, conn, c.Args().First()) })
	}
}

func errOneSession(c *cli.Context) error {
	return fmt.Errorf("%s needs one session: its id, the beginning of it, or its name (see aaau list)", c.Command.Name)
}

func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "print JSON, for programs"} }

func printJSON(v any) error {
	e := json.NewEncoder(stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// mine is the person's session of this directory, the latest; else their latest.
func mine(ctx context.Context, conn *client.Conn) (wire.SessionInfo, error) {
	all, err := conn.List(ctx)
	if err != nil {
		return wire.SessionInfo{}, err
	}
	here, err := os.Getwd()
	if err == nil {
		here, err = filepath.EvalSymlinks(here)
	}
	var best wire.SessionInfo
	atHome := false
	for _, s := range all {
		if s.Owner != uint32(os.Getuid()) || s.State == wire.StateStranded {
			continue
		}
		is := err == nil && slices.ContainsFunc(s.Workspaces, func(w string) bool { return w == here })
		if is && !atHome || is == atHome && s.Began > best.Began {
			best, atHome = s, atHome || is
		}
	}
	if best.ID == "" {
		return best, errors.New("you have no session: aaau starts one, aaau list shows those that you may see")
	}
	return best, nil
}
