package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// What commands that look back exit with beside 0 and exitFailed.
const (
	exitNothing    status = 1 // a search has found nothing
	exitIncomplete status = 2 // what was shown is not all that there was
)

func exportCommand() *cli.Command {
	return &cli.Command{Name: "export", Usage: "write out what is recorded of a session", ArgsUsage: "ID",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Aliases: []string{"f"}, Value: wire.FormatAsciicast, Usage: "as `FORMAT`: asciicast, text, jsonl, raw"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "into `FILE` (default: the standard output)"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return errOneSession(c)
			}
			format, name := c.String("format"), c.String("output")
			if format == wire.FormatRaw && name == "" && isTTY(os.Stdout) {
				return errors.New("raw is what a terminal obeys: name a file with -o, or see it with aaau replay")
			}
			out := os.Stdout
			if name != "" {
				var err error
				if out, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
					return err
				}
			}
			incomplete, err := backTo(c, out, func(ctx context.Context, conn *client.Conn, w io.Writer) (string, error) {
				return conn.Export(ctx, c.Args().First(), format, w)
			})
			if name != "" {
				if err = errors.Join(err, out.Close()); err != nil {
					return fmt.Errorf("%w (what came before is in %s)", err, name)
				}
			}
			return whole(incomplete, err)
		}}
}

// whole is the error for what is incomplete.
func whole(incomplete string, err error) error {
	if err == nil && incomplete != "" {
		say(incomplete)
		return exitIncomplete
	}
	return err
}

// backTo looks back, and goes on with the next bridge where one has died: what was
// recorded is the same whoever tells it.
func backTo(c *cli.Context, w io.Writer, ask func(context.Context, *client.Conn, io.Writer) (string, error)) (incomplete string, err error) {
	out := &rest{w: w}
	err = persistently(c, func(ctx context.Context, conn *client.Conn) error {
		out.skip = out.n
		var err error
		incomplete, err = ask(ctx, conn, out)
		return err
	})
	return incomplete, err
}

// rest leaves out what it has written already.
type rest struct {
	w    io.Writer
	n    int64 // was written
	skip int64 // comes again
}

func (r *rest) Write(p []byte) (int, error) {
	again := min(r.skip, int64(len(p)))
	r.skip -= again
	n, err := r.w.Write(p[again:])
	r.n += int64(n)
	return int(again) + n, err
}
