package bridge

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/journal"
)

// tidying is how often the record is looked through for what has expired. It costs a look
// at each of its files, and an idle bridge should not be seen.
const tidying = time.Hour

// SetRetain changes what of the record may stay, and has the rest go.
func (b *Bridge) SetRetain(r audit.Retain) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Retain = r
	select {
	case b.retaining <- struct{}{}:
	default: // it is about to be looked at anyway
	}
}

// keepRecord keeps house in the record until ctx ends. The service does it by itself, and
// no timer beside it: what is removed stands in the bridge's own chain.
func (b *Bridge) keepRecord(ctx context.Context) {
	for {
		b.expire() // first: it leaves alone what is being compressed
		if err := b.Record.Tidy(b.unfinished); err != nil {
			b.Log.Printf("compressing the record: %v", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-b.retaining:
		case <-time.After(tidying):
		}
	}
}

// unfinished says whether more will come in the record of a session: also of one that
// another bridge may take back.
func (b *Bridge) unfinished(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, is := b.stranded[id]
	return is || b.sessions[id] != nil
}

// expire removes what is not to stay, and tells what that was.
func (b *Bridge) expire() {
	b.mu.Lock()
	retain := b.Retain
	b.mu.Unlock()
	gone, err := b.Record.Expire(retain, b.unfinished)
	if err != nil {
		b.Log.Printf("removing what has expired of the record: %v", err)
	}
	if len(gone) == 0 {
		return
	}
	bytes, aged := int64(0), 0
	for _, g := range gone {
		if bytes += g.Bytes; g.Reason == "age" {
			aged++
		}
	}
	var why []string
	if aged > 0 {
		why = append(why, fmt.Sprintf("%d older than %d days", aged, retain.Age/(24*time.Hour)))
	}
	if rest := len(gone) - aged; rest > 0 {
		why = append(why, fmt.Sprintf("%d for the rest to be no more than %d MiB", rest, mib(retain.Bytes)))
	}
	b.Log.Tell(journal.Retention, journal.About{}, "the record: removed %d files of %d MiB: %s", len(gone), mib(bytes), strings.Join(why, ", "))
}
