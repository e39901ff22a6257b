package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

func auditCommand() *cli.Command {
	return &cli.Command{Name: "audit", Usage: "look through the record",
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return fmt.Errorf("unknown command audit %q: there is audit search", c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
		Subcommands: []*cli.Command{{
			Name: "search", Usage: "find what was typed, printed and done, in the sessions that you may see", ArgsUsage: "[TEXT]",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "session", Aliases: []string{"n"}, Usage: "only of the session with this `ID`, the beginning of one, or name"},
				&cli.StringFlag{Name: "user", Usage: "only what `USER` did; of output, the agent's"},
				&cli.StringFlag{Name: "from", Usage: "not before `TIME`: 2026-11-25, '2026-11-25 14:30', or 2h, of so long ago"},
				&cli.StringFlag{Name: "to", Usage: "not after `TIME`"},
				&cli.StringSliceFlag{Name: "kind", Usage: "only records of `KIND`: input, output, attach, denied … (repeatable)"},
				&cli.BoolFlag{Name: "json", Usage: "print a line of JSON each, for programs"},
			},
			Action: searchRecord,
		}},
	}
}

func searchRecord(c *cli.Context) error {
	if c.NArg() > 1 {
		return errors.New("search looks for one text: quote it")
	}
	q := wire.Query{Text: c.Args().First(), User: c.String("user"), Kinds: c.StringSlice("kind")}
	var err error
	if q.From, q.To, err = period(c.String("from"), c.String("to")); err != nil {
		return err
	}
	print := printFound
	if c.Bool("json") {
		out := json.NewEncoder(stdout)
		out.SetEscapeHTML(false)
		print = func(f wire.Found) error { return out.Encode(f) }
	}
	found := false
	sorted := byTime{print: print}
	return with(c, func(ctx context.Context, conn *client.Conn) error {
		incomplete, err := conn.Search(ctx, c.String("session"), q, func(f wire.Found) error {
			found = true
			return sorted.add(f)
		})
		err = errors.Join(err, sorted.flush())
		if err := whole(incomplete, err); err != nil {
			return err
		}
		if !found {
			return exitNothing
		}
		return nil
	})
}

// dateTimeZone is a time as people are shown it.
const dateTimeZone = "2006-01-02 15:04:05 -0700"

// inLine is a text as it is shown in a line, without the blanks at its end, of which screens
// are full.
func inLine(text string) string {
	return harmless(strings.ReplaceAll(strings.TrimRight(text, " \t\r\n"), "\t", " "))
}

func printFound(f wire.Found) error {
	text := inLine(f.Text)
	var typed struct {
		Bytes    int
		Withheld string
	}
	if f.Kind == "input" && json.Unmarshal(f.Metadata, &typed) == nil && typed.Withheld != "" {
		text = fmt.Sprintf("(%d bytes, which are not shown: %s)", typed.Bytes, harmless(typed.Withheld))
	}
	_, err := fmt.Fprintln(stdout, zoned(f.Time), dash(f.Session), dash(f.Name), dash(string(f.Dir)), dash(f.User), harmless(f.Kind), text)
	return err
}

// maxSorted is how much of what is found is kept to be sorted, in bytes of text and metadata.
const maxSorted = 64 << 20

// byTime prints what is found in the order of time: the bridge tells it session by session.
type byTime struct {
	print func(wire.Found) error
	all   []wire.Found
	size  int
	told  bool
}

func (s *byTime) add(f wire.Found) error {
	const least = 256 // that each takes with nothing in it
	s.all = append(s.all, f)
	s.size += least + len(f.Text) + len(f.Metadata)
	if s.size <= maxSorted {
		return nil
	}
	if !s.told {
		s.told = true
		say(fmt.Sprintf("more than %d MiB are found: they are sorted in parts, so choose with --from, --to and --session", maxSorted>>20))
	}
	return s.flush()
}

// flush prints what there is.
func (s *byTime) flush() error {
	slices.SortStableFunc(s.all, func(a, b wire.Found) int { return cmp.Compare(a.Time, b.Time) })
	for _, f := range s.all {
		if err := s.print(f); err != nil {
			return err
		}
	}
	s.all, s.size = nil, 0
	return nil
}

// instant is a time that a person gives, in seconds since 1970; 0: none. A day as the
// end is all of it.
func instant(text string, now time.Time, end bool) (float64, error) {
	if text == "" {
		return 0, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return float64(now.Add(-ago.Abs()).UnixMicro()) / 1e6, nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime, "2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339} {
		at, err := time.ParseInLocation(layout, text, time.Local)
		if err != nil {
			continue
		}
		if end && layout == time.DateOnly {
			at = at.AddDate(0, 0, 1).Add(-time.Microsecond)
		}
		return float64(at.UnixMicro()) / 1e6, nil
	}
	return 0, fmt.Errorf("%q is no time: write 2026-11-25, '2026-11-25 14:30', or 2h for two hours ago", text)
}
