package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/client"
)

func killCommand() *cli.Command {
	return &cli.Command{Name: "kill", Usage: "end a session by force, with every process in it", ArgsUsage: "ID",
		Flags: []cli.Flag{&cli.StringFlag{Name: "signal", Value: "KILL", Usage: "send `SIGNAL` to all of them, and wait for nothing"}},
		Action: on(func(ctx context.Context, c *cli.Context, conn *client.Conn, id string) error {
			signal, err := signalOf(c.String("signal"))
			if err != nil {
				return err
			}
			if signal != syscall.SIGKILL {
				return conn.Kill(ctx, id, signal)
			}
			s, err := conn.Status(ctx, id)
			if err != nil {
				return err
			}
			if s.Ended != nil {
				return fmt.Errorf("session %s has ended", s.ID)
			}
			if err := conn.Kill(ctx, s.ID, signal); err != nil {
				return err
			}
			_, err = conn.Wait(ctx, s.ID) // it is gone when we are
			return err
		})}
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
