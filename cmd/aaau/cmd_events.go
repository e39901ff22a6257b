package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// maxExec is how many commands of --exec run at a time; more events wait.
const maxExec = 8

// kinds are those that --only takes.
var kinds = []string{
	wire.EventStart, wire.EventEnd, wire.EventAttach, wire.EventDetach, wire.EventAttention, wire.EventFreeze, wire.EventThaw,
	wire.EventKill, wire.EventDeadline, wire.EventShare, wire.EventUnshare, wire.EventTrouble, wire.EventDropped,
}

func eventsCommand() *cli.Command {
	return &cli.Command{Name: "events", Usage: "tell what happens to the sessions that you may see, a line of JSON each",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "exec", Usage: "run `CMD` for each instead, with the event in AAAU_… variables and, as JSON, on its input"},
			&cli.StringSliceFlag{Name: "only", Usage: "only events of `KIND`: start, end, attach, detach, attention … (repeatable)"},
			&cli.BoolFlag{Name: "mine", Usage: "only of sessions of your own"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return fmt.Errorf("events takes no arguments, but there is %q", c.Args().First())
			}
			only := c.StringSlice("only")
			for _, kind := range only {
				if !slices.Contains(kinds, kind) {
					return fmt.Errorf("there is no kind of event %q: %s", kind, strings.Join(kinds, ", "))
				}
			}
			ctx, stop := notifyContext(c.Context, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			each := printEvent
			if command := c.String("exec"); command != "" {
				run := runner{command: command, places: make(chan struct{}, maxExec)}
				defer run.running.Wait()
				each = run.start
			}
			tell := func(e wire.Event) error {
				if len(only) > 0 && !slices.Contains(only, e.Kind) ||
					c.Bool("mine") && e.Kind != wire.EventDropped && e.Owner != uint32(os.Getuid()) {
					return nil
				}
				return each(e)
			}
			c.Context = ctx
			times := 0
			err := persistently(c, func(ctx context.Context, conn *client.Conn) error {
				if times++; times > 1 {
					if err := tell(wire.Event{Time: float64(time.Now().UnixMicro()) / 1e6, Kind: wire.EventDropped, Message: "the bridge was restarted"}); err != nil {
						return err
					}
				}
				return conn.Events(ctx, tell)
			})
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		}}
}

func printEvent(e wire.Event) error {
	enc := json.NewEncoder(stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(e)
}

// runner runs a command for each event.
type runner struct {
	command string
	places  chan struct{}
	running sync.WaitGroup
}

func (r *runner) start(e wire.Event) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	cmd := exec.Command("/bin/sh", "-c", r.command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(string(text)+"\n"), os.Stdout, os.Stderr
	// What an agent says is in variables, where no shell takes it for a command.
	cmd.Env = append(os.Environ(), "AAAU_KIND="+e.Kind, "AAAU_ID="+e.Session, "AAAU_NAME="+e.Name, "AAAU_PROFILE="+e.Profile,
		"AAAU_USER="+e.User, "AAAU_TITLE="+e.Title, "AAAU_MESSAGE="+e.Message)
	r.places <- struct{}{}
	r.running.Go(func() {
		defer func() { <-r.places }()
		if err := cmd.Run(); err != nil {
			say(fmt.Sprintf("--exec: %v", err))
		}
	})
	return nil
}
