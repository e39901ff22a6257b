package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

func killCommand() *cli.Command {
	return &cli.Command{Name: "kill", Usage: "end sessions, gently first, with every process in them", ArgsUsage: "ID... | --all",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "by SIGKILL at once, and wait for nothing"},
			&cli.StringFlag{Name: "signal", Usage: "send `SIGNAL` to all of them, and nothing else"},
			&cli.BoolFlag{Name: "all", Usage: "all of your own"},
		},
		Action: func(c *cli.Context) error {
			k := killing{}
			switch {
			case c.Bool("force") && c.IsSet("signal"):
				return errors.New("--force sends SIGKILL, --signal another: leave one out")
			case c.Bool("force"):
				k.signal = syscall.SIGKILL
			case c.IsSet("signal"):
				var err error
				if k.signal, err = signalOf(c.String("signal")); err != nil {
					return err
				}
			}
			if c.Bool("all") == (c.NArg() > 0) {
				return errors.New("kill needs sessions (their ids, the beginnings of these, or their names: see aaau list), or --all")
			}
			return with(c, func(ctx context.Context, conn *client.Conn) error {
				refs := c.Args().Slice()
				if c.Bool("all") {
					var err error
					if refs, err = ownSessions(ctx, conn); err != nil {
						return err
					}
				}
				return k.all(ctx, conn, refs)
			})
		}}
}

// ownSessions are the ids of all that are the person's own.
func ownSessions(ctx context.Context, conn *client.Conn) (ids []string, err error) {
	all, err := conn.List(ctx)
	for _, s := range all {
		if s.Owner == uint32(os.Getuid()) && s.State != wire.StateStranded {
			ids = append(ids, s.ID)
		}
	}
	if err == nil && len(ids) == 0 {
		say("you have no sessions")
	}
	return ids, err
}

// killing is how sessions are ended.
type killing struct {
	signal syscall.Signal // 0: gently, and then their ends are waited for
}

// all ends sessions. What fails with one keeps the others from nothing.
func (k killing) all(ctx context.Context, conn *client.Conn, refs []string) error {
	failed := 0
	for _, ref := range refs {
		err := k.one(ctx, conn, ref)
		if err == nil {
			continue
		}
		if len(refs) == 1 {
			return err
		}
		say(fmt.Sprintf("%s: %v", ref, err))
		failed++
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d sessions could not be ended", failed, len(refs))
	}
	return nil
}

func (k killing) one(ctx context.Context, conn *client.Conn, ref string) error {
	if k.signal != 0 {
		return conn.Kill(ctx, ref, k.signal)
	}
	s, err := conn.Status(ctx, ref)
	if err != nil {
		return err
	}
	if s.Ended != nil {
		return fmt.Errorf("session %s has ended", s.ID)
	}
	if err := conn.End(ctx, s.ID); err != nil {
		return err
	}
	late := time.AfterFunc(2*time.Second, func() { say("waiting for session " + called(s) + " to end …") })
	defer late.Stop()
	ended, err := conn.Wait(ctx, s.ID)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "session %s ended: %s\n", called(s), how(ended))
	return nil
}

// called is a session's id and name.
func called(s wire.SessionInfo) string {
	if s.Name == "" {
		return s.ID
	}
	return fmt.Sprintf("%s (%s)", s.ID, printable(s.Name))
}

// signalOf reads a signal's name, with or without SIG, or number.
func signalOf(name string) (syscall.Signal, error) {
	upper := strings.ToUpper(name)
	if s := unix.SignalNum("SIG" + strings.TrimPrefix(upper, "SIG")); s != 0 {
		return s, nil
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 1 && n <= 64 {
		return syscall.Signal(n), nil
	}
	return 0, fmt.Errorf("there is no signal %q: TERM, INT, KILL …, or a number from 1 to 64", name)
}

func freezeCommand() *cli.Command {
	return &cli.Command{Name: "freeze", Usage: "stop a session where it is, with every process in it", ArgsUsage: "ID",
		Action: on(func(ctx context.Context, _ *cli.Context, conn *client.Conn, id string) error {
			return conn.Freeze(ctx, id)
		})}
}

func thawCommand() *cli.Command {
	return &cli.Command{Name: "thaw", Usage: "let a frozen session go on", ArgsUsage: "ID",
		Action: on(func(ctx context.Context, _ *cli.Context, conn *client.Conn, id string) error {
			return conn.Thaw(ctx, id)
		})}
}
