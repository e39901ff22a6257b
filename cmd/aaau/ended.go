package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// endedSession is a session that has ended, as its record has it.
type endedSession struct {
	ID        string      `json:"id"`
	Name      string      `json:"name"`
	Directory argv.String `json:"directory"`
	Program   argv.String `json:"program"` // empty: it began before the time in question
	Argv      argv.Argv   `json:"argv"`    // of others' sessions only the program
	Profile   string      `json:"profile"`
	OwnerName string      `json:"owner_name"`
	Began     float64     `json:"began"`            // in seconds since 1970
	Ended     float64     `json:"ended,omitempty"`  // 0: its end is not in the record
	Status    *int        `json:"status,omitempty"` // neither: nobody knows, or it never ran
	Signal    *int        `json:"signal,omitempty"`
	NeverRan  bool        `json:"never_ran,omitempty"` // its program could not be started
}

// maxEnded is how many sessions are listed that have ended: the latest.
const maxEnded = 10000

// endedBegins is how far back those that have ended are listed unless a time is given.
const endedBegins = "24h"

func endedFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "ended", Usage: "those that have ended, from the record"},
		&cli.StringFlag{Name: "from", Value: endedBegins, Usage: "with --ended, those that did so not before `TIME`: 2026-11-25, '2026-11-25 14:30', or 8h, of so long ago"},
		&cli.StringFlag{Name: "to", Usage: "with --ended, not after `TIME`"},
	}
}

// listEnded prints the sessions that have ended and that the person may see.
func listEnded(c *cli.Context) error {
	q := wire.Query{Kinds: []string{"session_start", "session_end"}}
	var err error
	if q.From, q.To, err = period(c.String("from"), c.String("to")); err != nil {
		return err
	}
	return with(c, func(ctx context.Context, conn *client.Conn) error {
		seen := endedSessions{}
		incomplete, err := conn.Search(ctx, "", q, seen.add)
		if err != nil {
			return err
		}
		live, err := conn.List(ctx)
		if err != nil {
			return err
		}
		for _, s := range live {
			delete(seen, s.ID)
		}
		all := seen.all()
		if c.Bool("json") {
			err = printJSON(all)
		} else {
			err = printEnded(all)
		}
		return whole(incomplete, err)
	})
}

// period is what --from and --to say.
func period(from, to string) (begin, end float64, err error) {
	now := time.Now()
	if begin, err = instant(from, now, false); err != nil {
		return 0, 0, fmt.Errorf("--from: %w", err)
	}
	if end, err = instant(to, now, true); err != nil {
		return 0, 0, fmt.Errorf("--to: %w", err)
	}
	if end != 0 && end < begin {
		return 0, 0, errors.New("--to is before --from: give an earlier --from")
	}
	return begin, end, nil
}

// endedSessions are sessions by id. A session's records come one after the other.
type endedSessions map[string]*endedSession

func (s endedSessions) add(f wire.Found) error {
	if f.Kind != "session_start" && f.Kind != "session_end" {
		return nil // a mark, which the answer tells of as well
	}
	var meta struct {
		Argv           argv.Argv
		Program        argv.String
		Profile        string
		Status, Signal *int
		Unknown        bool
		DurationMS     int64 `json:"duration_ms"`
	}
	if err := json.Unmarshal(f.Metadata, &meta); err != nil {
		return fmt.Errorf("%w: a record of session %s: %w", wire.ErrProtocol, harmless(f.Session), err)
	}
	e := s[f.Session]
	if e == nil {
		if len(s) >= 2*maxEnded {
			s.drop()
		}
		e = &endedSession{ID: f.Session, Name: f.Name, Directory: f.Dir}
		s[f.Session] = e
	}
	if f.Kind == "session_start" {
		e.Program, e.Argv, e.Profile, e.OwnerName, e.Began = meta.Program, meta.Argv, meta.Profile, f.User, f.Time
		return nil
	}
	e.Ended, e.Status, e.Signal = f.Time, meta.Status, meta.Signal
	e.NeverRan = meta.Status == nil && meta.Signal == nil && !meta.Unknown
	if e.Began == 0 {
		e.Began = f.Time - float64(meta.DurationMS)/1e3
	}
	return nil
}

// drop forgets all but the latest.
func (s endedSessions) drop() {
	latest := s.all()
	clear(s)
	for i := range latest {
		s[latest[i].ID] = &latest[i]
	}
}

// last is when a session ended, or if its end is not in the record, began.
func (e endedSession) last() float64 {
	if e.Ended != 0 {
		return e.Ended
	}
	return e.Began
}

// all are the sessions, the latest last.
func (s endedSessions) all() []endedSession {
	all := []endedSession{}
	for _, e := range s {
		all = append(all, *e)
	}
	slices.SortFunc(all, func(a, b endedSession) int { return cmp.Or(cmp.Compare(a.last(), b.last()), cmp.Compare(a.ID, b.ID)) })
	return all[max(0, len(all)-maxEnded):]
}

func printEnded(all []endedSession) error {
	if len(all) == 0 {
		say("no session that you may see has ended in this time: an earlier --from finds more")
		return nil
	}
	var t table
	t.row("ID", "NAME", "OWNER", "BEGAN", "ENDED", "STATUS", "DIRECTORY", "PROGRAM")
	for _, e := range all {
		t.row(harmless(e.ID), dash(e.Name), dash(e.OwnerName), zoned(e.Began), zoned(e.Ended), e.how(), dash(string(e.Directory)), dash(e.command()))
	}
	return t.print(stdout)
}

// command is the program with its arguments, quoted where it has to be.
func (e endedSession) command() string {
	if len(e.Argv) < 2 {
		return string(e.Program)
	}
	return append(argv.Argv{string(e.Program)}, e.Argv[1:]...).Command()
}

func (e endedSession) how() string {
	switch {
	case e.Signal != nil && *e.Signal != 0:
		return how(wire.EndedNote{Signal: *e.Signal})
	case e.Status != nil:
		return how(wire.EndedNote{Code: *e.Status})
	case e.NeverRan:
		return "did not start"
	}
	return "unknown"
}

// zoned is a time as people are shown it; 0 is not known.
func zoned(at float64) string {
	if at == 0 {
		return dash("")
	}
	return time.UnixMicro(int64(at * 1e6)).Format(dateTimeZone)
}
