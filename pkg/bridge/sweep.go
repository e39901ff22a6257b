package bridge

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// sweepPatience is how long the launcher may take for a sweep.
const sweepPatience = 30 * time.Second

// sweep has the launcher take the setuid and setgid bits from what a session has changed of its
// owner's files, and records which. It is called when none of the session's processes is left. A
// client of the owner's that is there does that itself, and tells the owner.
func (b *Bridge) sweep(l *live) {
	if len(writable(l.Info)) == 0 {
		return
	}
	l.mu.Lock()
	expected := len(l.awaited) > 0
	l.mu.Unlock()
	if expected { // after a bridge's death
		select {
		case <-l.allBack:
		case <-time.After(comeBackPiped):
		}
		if len(l.Places()) > 0 { // somebody is back, and may be just about to join
			return
		}
	}
	if l.hasOwner() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), sweepPatience)
	defer cancel()
	began := l.Began.Unix() - 1 // a file system's clock may be behind
	reply, err := b.askIn(ctx, l.Session, privsep.Request{Sweep: &privsep.Sweep{UID: l.UID, GID: l.GID, Since: began}})
	if err != nil {
		l.trouble("setuid files may be left in its directories: %v", err)
	}
	if len(reply.Swept) == 0 {
		return
	}
	owner := name(l.Owner.UID)
	did := audit.Changes{Person: audit.Person{UID: l.Owner.UID, PID: l.Owner.PID}, Total: len(reply.Swept)}
	for _, path := range reply.Swept {
		did.Changes = append(did.Changes, audit.Change{Path: argv.String(path), What: "setuid or setgid, new or changed: the bit was taken away", Files: 1})
	}
	b.recordOwn(audit.Record{
		Source: audit.System, User: "system", SessionID: l.ID, Content: fmt.Sprintf("%d setuid or setgid files in directories of %s", len(did.Changes), owner), Metadata: did,
	}, journal.About{Session: l.ID, User: owner})
}

// hasOwner says whether a client of the session's owner is in it that looks at what has changed.
func (l *live) hasOwner() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.people, func(c *client) bool { return c.who.UID == l.Owner.UID && c.version > 1 })
}
