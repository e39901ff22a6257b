package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

func listCommand() *cli.Command {
	return &cli.Command{Name: "list", Aliases: []string{"ls"}, Usage: "list the sessions that you may see", Flags: append(endedFlags(), jsonFlag()),
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return fmt.Errorf("list takes no arguments, but there is %q", c.Args().First())
			}
			if c.Bool("ended") {
				return listEnded(c)
			}
			if c.IsSet("from") || c.IsSet("to") {
				return errors.New("--from and --to are for sessions that have ended: give --ended too")
			}
			return with(c, func(ctx context.Context, conn *client.Conn) error {
				all, err := conn.List(ctx)
				if err != nil {
					return err
				}
				slices.SortStableFunc(all, func(a, b wire.SessionInfo) int { return int(a.Began*1e6) - int(b.Began*1e6) })
				if c.Bool("json") {
					return printJSON(all)
				}
				return printTable(all)
			})
		}}
}

func printTable(all []wire.SessionInfo) error {
	if len(all) == 0 {
		say("no sessions that you may see")
		return nil
	}
	var t table
	t.row("ID", "NAME", "PROFILE", "OWNER", "PROGRAM", "AGE", "CLIENTS", "STATE")
	for _, s := range all {
		t.row(s.ID, dash(s.Name), dash(s.Profile), dash(s.OwnerName), dash(s.Program), age(s.Began), s.Clients, state(s))
	}
	return t.print(stdout)
}

// state is what a session does, in a list.
func state(s wire.SessionInfo) string {
	switch s.Activity {
	case wire.ActivityWaits, wire.ActivityIdle:
		return s.Activity + " " + age(s.ActivitySince)
	case wire.ActivityWorks:
		return s.Activity
	}
	return lasting(s)
}

// lasting is a session's state, whatever its program does meanwhile.
func lasting(s wire.SessionInfo) string {
	if len(s.Frozen) > 0 {
		why := slices.Clone(s.Frozen)
		if i := slices.Index(why, "admin"); i >= 0 && s.FrozenBy != "" {
			why[i] = "by " + harmless(s.FrozenBy)
		}
		return s.State + " (" + strings.Join(why, ", ") + ")"
	}
	if s.Why != "" {
		return s.State + " (" + harmless(s.Why) + ")"
	}
	return s.State
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return harmless(s)
}

// age is the time since then in one unit, where it is known.
func age(since float64) string {
	if since == 0 {
		return dash("")
	}
	d := time.Since(time.UnixMicro(int64(since * 1e6)))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}
