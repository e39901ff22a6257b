package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// The bridge sees no file of people's. Which files of theirs a session has changed their own
// client finds; the bridge records what it says, in its own chain, as it often comes after
// the session's end, and tells it to the owner who asks.

const (
	// maxChangesTold bounds what is recorded of one session's changes, in bytes.
	maxChangesTold = 1 << 20
	// maxSessionsTold is of how many sessions that is counted; of those that have ended, the
	// count is forgotten then.
	maxSessionsTold = 4096
	// Limits of one change, in bytes, and of how many files it may stand for.
	maxChangePath  = 4096
	maxChangeWhat  = 1024
	maxChangeFiles = 1 << 30
)

// changes records what changed in a session of the client's, or tells what was recorded.
func (c *client) changes(ctx context.Context, req wire.Request) (wire.Reply, error) {
	return c.counted(func(at *look) (wire.Reply, error) {
		id, right, err := c.inRecord(req.Session)
		if err != nil {
			return wire.Reply{}, err
		}
		switch owns := right.Owner == c.who.UID; {
		case req.Changes != nil && owns:
			return wire.Reply{}, c.tellChanges(id, *req.Changes)
		case req.Changes != nil:
			return wire.Reply{}, refusal("denied", "what changed in session %s is its owner's to tell", id)
		case !owns && !c.b.policy().On(c.who, right).SeesAll():
			return wire.Reply{}, refusal("denied", "what changed in session %s is told to its owner, to Admins and to Auditors", id)
		}
		q := audit.Query{Session: id, Kinds: []audit.Kind{audit.KindChanges}, To: time.Now()}
		did := audit.Control{Action: string(wire.DoSearch), Reason: words(audit.Query{Kinds: q.Kinds})}
		return c.back(ctx, req, at, id, right.Profile, did, func(w *pieces) (string, error) {
			q.View = func(chain string, _ *audit.SessionStart) (func(*audit.Entry) error, bool) {
				return (&view{out: w, all: true}).see, audit.IsBridge(chain) && w.rest() == nil
			}
			lines := json.NewEncoder(w)
			lines.SetEscapeHTML(false)
			return c.findIn(w, q, func(f wire.Found) error {
				if f.Kind != string(audit.KindChanges) { // a mark, which the answer tells of as well
					return nil
				}
				return lines.Encode(f)
			})
		})
	})
}

// tellChanges records what the client says that has changed.
func (c *client) tellChanges(id string, told wire.Changes) error {
	rec := audit.Changes{Person: c.recorded(), Changes: []audit.Change{}, Total: told.Total, More: told.More, Error: shown(told.Error, maxMessage)}
	size := len(rec.Error)
	for _, change := range told.Changes {
		if len(change.Path) > maxChangePath || len(change.What) > maxChangeWhat || change.Files < 0 || change.Files > maxChangeFiles {
			return refusal("malformed", "a change has a path of %d bytes and words of %d at most", maxChangePath, maxChangeWhat)
		}
		size += len(change.Path) + len(change.What)
		rec.Changes = append(rec.Changes, audit.Change{Path: change.Path, What: change.What, Files: change.Files})
	}
	if told.Total < 0 || told.Total > maxChangeFiles {
		return refusal("malformed", "there cannot be %d changes", told.Total)
	}
	if !c.b.mayTellChanges(id, size) {
		return refusal("too-many-changes", "of session %s %d KiB of changed files are recorded already, as many as there may be", id, maxChangesTold>>10)
	}
	c.b.recordOwn(audit.Record{
		Source: audit.Human, User: c.user, SessionID: id, Content: fmt.Sprintf("%d changes of files that tools of theirs run", told.Total), Metadata: rec,
	}, journal.About{Session: id, User: c.user})
	return nil
}

// mayTellChanges counts what is recorded of a session's changes, and says whether it is not
// too much.
func (b *Bridge) mayTellChanges(id string, size int) bool {
	const least = 256 // that a record takes with nothing in it
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.changesTold) >= maxSessionsTold {
		for old := range b.changesTold {
			if b.sessions[old] == nil {
				delete(b.changesTold, old)
			}
		}
	}
	if b.changesTold == nil {
		b.changesTold = map[string]int{}
	}
	b.changesTold[id] += size + least
	return b.changesTold[id] <= maxChangesTold
}

// writable are a session's workspaces in which its agent may write.
func writable(s session.Info) (paths []string) {
	for _, d := range s.Dirs {
		if !d.Tool && !d.ReadOnly {
			paths = append(paths, string(d.Path))
		}
	}
	return bounded(paths)
}
