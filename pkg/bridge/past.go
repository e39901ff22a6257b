package bridge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/fdstore"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/tape"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// past is what is kept of a session that has ended. The table of them stands on a tape
// of its own too, a line of JSON each, which is stored as sessions are: so the next
// bridge knows how those ended that ended before it. What becomes of sessions
// becomes of it: it is gone where they are.
type past struct {
	Info  wire.SessionInfo
	Right auth.Session
	At    time.Time
}

// How long what is known of an ended session is kept, and of how many.
const (
	pastTime = time.Hour
	maxPast  = 1000
)

const (
	// pastSize is the size of the table's tape, in bytes: several times maxPast lines of
	// the usual length. If they are longer it has fewer.
	pastSize = 2 << 20
	// pastName is what the tape is stored as. No session has such an id.
	pastName = "past"
)

// remember notes a session that has ended. It comes before its end is told, and the
// session stays stored until it was: a bridge that dies between leaves it to the next
// to tell, which finds it noted. b.mu is held.
func (b *Bridge) remember(p past) error {
	if slices.ContainsFunc(b.past, func(q past) bool { return q.Info.ID == p.Info.ID }) {
		return nil
	}
	b.past = append(b.past, p)
	b.past = b.past[max(0, len(b.past)-maxPast):]
	if b.pastTape == nil {
		return nil
	}
	line, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if line = append(line, '\n'); len(line) > tape.MaxChunk {
		return fmt.Errorf("it takes %d bytes", len(line))
	}
	copy(b.pastTape.Space(len(line)), line)
	b.pastTape.Advance(len(line))
	return nil
}

// recall takes the table over from the bridge before this one, out of what is stored;
// or stores a new one. Its tape stays open as long as this process lives: sessions may
// end while it does.
func (b *Bridge) recall() {
	var sessions []Parcel
	for _, p := range b.Stored {
		if p.Name != pastName {
			sessions = append(sessions, p)
			continue
		}
		if b.pastTape == nil {
			if err := b.recallFrom(p.FD); err != nil {
				b.Log.Printf("how sessions ended before is not known any more: %v", err)
			}
		}
		unix.Close(p.FD) // the store has its own
	}
	b.Stored = sessions
	if b.pastTape != nil {
		return
	}
	t, err := tape.New(pastSize)
	if err == nil {
		_ = b.Store.Remove(pastName) // one that cannot be read; if it fails, Put does
		if err = b.Store.Put(pastName, []byte(pastName), t.FD()); err != nil {
			t.Close()
		}
	}
	if err != nil {
		b.Log.Printf("how sessions end will not be known to the next bridge: %v", err)
		return
	}
	b.pastTape = t
}

// recallFrom reads the table out of its parcel, which stays the caller's.
func (b *Bridge) recallFrom(parcel int) error {
	_, fds, err := fdstore.Open(parcel)
	if err != nil {
		return err
	}
	if len(fds) != 1 {
		privsep.Close(fds...)
		return fmt.Errorf("a parcel of %d descriptors", len(fds))
	}
	t, _, err := tape.Open(fds[0])
	if err != nil {
		return err
	}
	c, err := t.Read(0, tape.Never)
	if err != nil {
		return err
	}
	defer c.Close()
	from := c.Pos()
	text, _ := c.View(int(c.Head() - from))
	if from > 0 { // in the middle of a line
		text = text[bytes.IndexByte(text, '\n')+1:]
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range bytes.Lines(text) {
		var p past
		// One that was being written when its bridge died is no JSON. It was not told yet.
		if json.Unmarshal(line, &p) == nil {
			b.past = append(b.past, p)
		}
	}
	b.past = b.past[max(0, len(b.past)-maxPast):]
	if len(text) > 0 && text[len(text)-1] != '\n' {
		t.Space(1)[0] = '\n' // the next one is not a part of it
		t.Advance(1)
	}
	b.pastTape = t
	return nil
}

// recent are those whose time is not over: of the others, whoever asks, nothing is known
// any more but what is recorded. b.mu is held.
func (b *Bridge) recent() []past {
	for len(b.past) > 0 && time.Since(b.past[0].At) > pastTime {
		b.past = b.past[1:]
	}
	return b.past
}

// resolvePast is resolve for sessions that have ended, the latest first.
func (b *Bridge) resolvePast(who peer.Peer, named string) (past, bool) {
	ref := ref(named)
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.recent()
	fits := []func(past) bool{
		func(p past) bool { return p.Info.ID == ref },
		func(p past) bool { return p.Info.Name == ref && p.Info.Owner == who.UID },
		func(p past) bool { return p.Info.Name == ref },
		func(p past) bool { return len(ref) >= 4 && strings.HasPrefix(p.Info.ID, ref) },
	}
	for _, fit := range fits {
		for _, p := range slices.Backward(all) {
			if ref != "" && fit(p) && b.Policy.On(who, p.Right) >= auth.ReadOnly {
				return p, true
			}
		}
	}
	return past{}, false
}

// ownPast returns the person's own latest session of this name that has ended.
func (b *Bridge) ownPast(who peer.Peer, ref string) (past, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range slices.Backward(b.recent()) {
		if ref != "" && p.Info.Name == ref && p.Info.Owner == who.UID && b.Policy.On(who, p.Right) >= auth.ReadOnly {
			return p, true
		}
	}
	return past{}, false
}
