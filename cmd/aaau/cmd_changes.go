package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/project"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

func changesCommand() *cli.Command {
	return &cli.Command{Name: "changes", Usage: "list all files that have changed in a session and that tools of yours run", ArgsUsage: "ID", Flags: []cli.Flag{jsonFlag()},
		Action: on(func(ctx context.Context, c *cli.Context, conn *client.Conn, id string) error {
			list, incomplete, err := changesIn(ctx, conn, id)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				err = printJSON(list)
			} else {
				err = list.print()
			}
			return whole(incomplete, err)
		})}
}

// changeList is what changed in a session: as it is now, or as somebody's client found it
// and the record has it.
type changeList struct {
	Session string  `json:"session"`
	Time    float64 `json:"time"` // when it was so, in seconds since 1970
	// Recorded: it is from the record, which has it from a client of the owner's.
	Recorded bool `json:"recorded"`
	wire.Changes
}

// changesIn looks for what has changed in a session that still runs, if the person may look. For
// another one it returns what was found when the session was left last; if nobody looked then,
// it looks now, as long as the bridge knows where.
func changesIn(ctx context.Context, conn *client.Conn, id string) (list changeList, incomplete string, err error) {
	s, unknown := conn.Status(ctx, id)
	own := unknown == nil && s.Owner == uint32(os.Getuid())
	if own && s.State != wire.StateEnded && s.State != wire.StateStranded {
		list, err = changesNow(s)
		return list, "", err
	}
	if unknown == nil {
		id = s.ID
	}
	if own && s.State == wire.StateEnded {
		tidy(ctx, conn, s)
	}
	list, incomplete, err = changesTold(ctx, conn, id)
	if err != nil || list.Recorded {
		return list, incomplete, err
	}
	if own && s.State == wire.StateEnded {
		say("nothing was told of changes when the session ended: this is what has changed since it began, also since its end")
		list, err = changesNow(s)
	}
	list.Session = id
	return list, incomplete, err
}

// changesNow looks for changes in a session of the person's.
func changesNow(s wire.SessionInfo) (changeList, error) {
	list := changeList{Session: s.ID, Time: float64(time.Now().UnixMicro()) / 1e6, Changes: wire.Changes{Changes: []wire.Change{}}}
	if len(s.Writable) == 0 {
		return list, nil // it sees no file that it could change, or its bridge is older and does not say
	}
	ctx, cancel := looking()
	defer cancel()
	changes, total, err := project.Changes(ctx, s.Writable, began(s.Began), s.Watch, nil)
	list.Changes = listed(changes, total, err)
	return list, nil
}

// changesTold is the last whole list that the record has of a session.
func changesTold(ctx context.Context, conn *client.Conn, id string) (last changeList, incomplete string, err error) {
	last.Changes.Changes = []wire.Change{}
	var next changeList
	incomplete, err = conn.Changes(ctx, id, func(f wire.Found) error {
		var part wire.Changes
		if err := json.Unmarshal(f.Metadata, &part); err != nil {
			return fmt.Errorf("a list of changed files that cannot be read: %w", err)
		}
		part.Changes = append(next.Changes.Changes, part.Changes...)
		next = changeList{Session: f.Session, Time: f.Time, Recorded: true, Changes: part}
		if !part.More {
			last, next = next, changeList{}
		}
		return nil
	})
	var note *wire.ErrorNote
	if errors.As(err, &note) && note.Code == "unknown-request" {
		err = errors.New("the bridge is older than this client, and records no changes: sudo systemctl restart aaau")
	}
	return last, incomplete, err
}

// print is for people.
func (l changeList) print() error {
	if l.Error != "" {
		say("perhaps not all was found: " + l.Error)
	}
	if l.Total == 0 {
		say("no file that your own tools run has changed, as far as is known")
		return nil
	}
	if l.Recorded {
		say("as it was found at " + moment(l.Time) + ":")
	}
	for _, c := range l.Changes.Changes {
		line := project.Change{Path: string(c.Path), What: c.What}.String()
		if _, err := fmt.Fprintln(stdout, harmless(line)); err != nil {
			return err
		}
	}
	if n := l.Total - len(l.Changes.Changes); n > 0 {
		fmt.Fprintf(stdout, "and %d more\n", n)
	}
	return nil
}
