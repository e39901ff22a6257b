package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

func statusCommand() *cli.Command {
	return &cli.Command{Name: "status", Usage: "tell about a session, and who is in it", ArgsUsage: "ID", Flags: []cli.Flag{jsonFlag()},
		Action: on(func(ctx context.Context, c *cli.Context, conn *client.Conn, id string) error {
			s, err := conn.Status(ctx, id)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(s)
			}
			return printStatus(s)
		})}
}

func printStatus(s wire.SessionInfo) error {
	w := tabwriter.NewWriter(stdout, 0, 8, 2, ' ', 0)
	row := func(key, format string, args ...any) { fmt.Fprintf(w, "%s:\t%s\n", key, fmt.Sprintf(format, args...)) }
	row("session", "%s", s.ID)
	row("name", "%s", dash(s.Name))
	row("state", "%s", lasting(s))
	if does := doing(s); does != "" {
		row("activity", "%s", does)
	}
	if s.Ended != nil {
		row("ended", "%s", how(*s.Ended))
	}
	if s.Starved > 0 {
		row("memory", "was out: the kernel killed %d of its processes", s.Starved)
	}
	row("program", "%s (profile %s) as %s", harmless(s.Program), s.Profile, s.User)
	row("title", "%s", dash(s.Title))
	row("owner", "%s (uid %d)", harmless(s.OwnerName), s.Owner)
	row("you", "%s", s.Role)
	row("began", "%s, %s ago", time.UnixMicro(int64(s.Began*1e6)).Format(time.DateTime), age(s.Began))
	if s.Deadline != 0 && s.Ended == nil {
		row("ends", "%s", time.UnixMicro(int64(s.Deadline*1e6)).Format(time.DateTime))
	}
	for _, d := range s.Workspaces {
		row("workspace", "%s", short(d))
	}
	if s.Pipes {
		row("terminal", "none: pipes")
	} else {
		row("terminal", "%d rows, %d columns", s.Rows, s.Cols)
	}
	row("output", "%d bytes", s.Bytes)
	row("private", "%s", private(s))
	for _, share := range s.Shared {
		row("shared", "with %s as %s", harmless(share.Name), share.Role)
	}
	row("clients", "%d", s.Clients)
	for _, p := range s.People {
		drives := ""
		if p.Drives {
			drives = ", drives"
		}
		row("client "+fmt.Sprint(p.Client), "%s (pid %d) as %s, for %s%s", harmless(p.Name), p.PID, p.Role, age(p.Since), drives)
	}
	return w.Flush()
}

// private says for whom a session is there.
func private(s wire.SessionInfo) string {
	shared := ""
	if len(s.Shared) > 0 {
		shared = ", and those it is shared with"
	}
	switch {
	case s.Private:
		return "yes: for its owner, Admins and Auditors" + shared
	case s.Others == wire.OthersNone:
		return "no, but access.conf leaves it to its owner, Admins and Auditors" + shared
	case s.Others == wire.OthersWatch:
		return "no: other members may watch it"
	case s.Others == wire.OthersJoin:
		return "no: other members may join it"
	}
	return "no"
}

// doing says what a session's program seems to do; empty if that is not known.
func doing(s wire.SessionInfo) string {
	text := map[string]string{
		wire.ActivityWorks: "works, for %s",
		wire.ActivityWaits: "waits for a person, for %s",
		wire.ActivityIdle:  "idle, for %s",
	}[s.Activity]
	if text == "" {
		return ""
	}
	return fmt.Sprintf(text, age(s.ActivitySince))
}

// how says how a session ended.
func how(e wire.EndedNote) string {
	if e.Unknown {
		return harmless(e.Why)
	}
	if e.Signal == 0 {
		return fmt.Sprintf("exit status %d", e.Code)
	}
	if e.Why != "" {
		return harmless(e.Why)
	}
	if name := unix.SignalName(syscall.Signal(e.Signal)); name != "" {
		return "by " + name
	}
	return fmt.Sprintf("by signal %d", e.Signal)
}

func waitCommand() *cli.Command {
	return &cli.Command{Name: "wait", Usage: "wait for a session's end, and exit as its program did", ArgsUsage: "ID",
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return errOneSession(c)
			}
			id := c.Args().First()
			return persistently(c, func(ctx context.Context, conn *client.Conn) error {
				s, unknown := conn.Status(ctx, id)
				if unknown == nil {
					id = s.ID // another may come by the name, or the same beginning
				}
				ended, err := conn.Wait(ctx, id)
				if err != nil {
					return err
				}
				if unknown == nil {
					tidy(ctx, conn, s)
				}
				if ended.Why != "" {
					say("session " + id + " ended: " + ended.Why)
				}
				return exit(ended)
			})
		}}
}

func peekCommand() *cli.Command {
	return &cli.Command{Name: "peek", Usage: "print what a session's screen shows, without joining it", ArgsUsage: "ID", Flags: []cli.Flag{jsonFlag()},
		Action: on(func(ctx context.Context, c *cli.Context, conn *client.Conn, id string) error {
			screen, err := conn.Peek(ctx, id)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(screen)
			}
			for line := range strings.SplitSeq(strings.TrimRight(screen.Text, "\n"), "\n") {
				fmt.Fprintln(stdout, legible(line))
			}
			return nil
		})}
}
