package main

import (
	"bytes"
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
			&cli.StringFlag{Name: "format", Aliases: []string{"f"}, Value: wire.FormatAsciicast, Usage: "as `FORMAT`: asciicast, text, screens, jsonl, raw"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "into `FILE` (default: the standard output)"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return errOneSession(c)
			}
			format, name := c.String("format"), c.String("output")
			if err := knownFormat(format); err != nil {
				return err
			}
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
			incomplete, err := exported(c, standard{&out}, c.Args().First(), format)
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
// recorded is the same whoever tells it, but for the first line of an asciicast, which
// says how long it is.
func backTo(c *cli.Context, w io.Writer, format string, ask func(context.Context, *client.Conn, io.Writer) (string, error)) (incomplete string, err error) {
	out := &rest{w: w, apart: format == wire.FormatAsciicast}
	err = persistently(c, func(ctx context.Context, conn *client.Conn) error {
		out.again()
		var err error
		incomplete, err = ask(ctx, conn, out)
		return err
	})
	return incomplete, err
}

// rest leaves out what it has written already.
type rest struct {
	w     io.Writer
	apart bool   // the first line is only once, whatever it says
	head  []byte // of it; until it is whole it is not written
	first bool   // it is coming
	done  bool   // it was written
	n     int64  // was written, after it
	skip  int64  // comes again
}

// again says that it begins anew.
func (r *rest) again() { r.skip, r.first, r.head = r.n, r.apart, nil }

func (r *rest) Write(p []byte) (int, error) {
	all := len(p)
	if r.first {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			r.head = append(r.head, p...)
			return all, nil
		}
		r.head, p, r.first = append(r.head, p[:i+1]...), p[i+1:], false
		if !r.done {
			r.done = true
			if _, err := r.w.Write(r.head); err != nil {
				return 0, err
			}
		}
	}
	again := min(r.skip, int64(len(p)))
	if p, r.skip = p[again:], r.skip-again; len(p) == 0 { // of nothing a pipe's reader would hear, too
		return all, nil
	}
	n, err := r.w.Write(p)
	r.n += int64(n)
	if err != nil {
		return 0, err
	}
	return all, nil
}
