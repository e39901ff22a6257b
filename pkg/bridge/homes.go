package bridge

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/session"
)

// Where the kernel does not bound an agent's home (a project quota would), the
// bridge has it measured while sessions use it, and stops those that go on filling
// it. Measuring is a walk, so it is done only when the file system lost room since
// the last time.
const (
	homesDir = "/var/lib/aaau/homes"
	// homesTick is how often room is looked at, which costs one system call.
	homesTick = 2 * time.Second
	// homesAnyway is after how long a home is measured though no room was lost:
	// somebody else may have made room at the same time.
	homesAnyway = 10 * time.Minute
)

// home names one: an agent user's for a person.
type home struct {
	user string
	uid  uint32
}

// use is what is known of a home.
type use struct {
	bytes    int64 // when last measured
	free     int64 // of the file system, then
	measured time.Time
}

// watchHomes runs until ctx ends.
func (b *Bridge) watchHomes(ctx context.Context) {
	if b.HomeMax == 0 {
		return
	}
	known := map[home]use{}
	began := map[*session.Session]int64{} // what was in its home when a session was first seen
	for {
		by := b.homes()
		for s := range began {
			if !slices.Contains(by[homeOf(s)], s) {
				delete(began, s)
			}
		}
		for h, sessions := range by {
			if !b.measure(ctx, h, known) {
				continue
			}
			for _, s := range sessions {
				if _, ok := began[s]; !ok {
					began[s] = known[h].bytes
				}
				b.bound(ctx, s, known[h].bytes, began[s])
			}
		}
		var tick <-chan time.Time // never, while there is nobody
		if len(by) > 0 {
			tick = time.After(homesTick)
		}
		select {
		case <-ctx.Done():
			return
		case <-b.entered:
		case <-tick:
		}
	}
}

func homeOf(s *session.Session) home { return home{s.User, s.Owner.UID} }

// homes are those in use, and by which sessions.
func (b *Bridge) homes() map[home][]*session.Session {
	by := map[home][]*session.Session{}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.sessions {
		by[homeOf(s)] = append(by[homeOf(s)], s)
	}
	return by
}

// measure brings what is known of a home up to date, and says whether it is known.
func (b *Bridge) measure(ctx context.Context, h home, known map[home]use) bool {
	var fs unix.Statfs_t
	if err := unix.Statfs(homesDir, &fs); err != nil {
		b.Log.Printf("looking at %s: %v", homesDir, err)
		return false
	}
	free := int64(fs.Bfree) * fs.Bsize
	last, ok := known[h]
	if ok && last.free-free < b.HomeMax/64 && free-last.free < b.HomeMax/64 && time.Since(last.measured) < homesAnyway {
		return true
	}
	reply, err := b.ask(ctx, privsep.Request{Measure: &privsep.Measure{User: h.user, UID: h.uid, AtMost: 2 * b.HomeMax}})
	if err != nil {
		// Not to be measured is to be too large: an agent could see to that.
		b.Log.Printf("measuring the home of %s for %s: %v", h.user, person(h.uid), err)
		reply.Bytes = 2*b.HomeMax + 1
	}
	known[h] = use{reply.Bytes, free, time.Now()}
	return true
}

// bound stops a session that has filled its home, or lets it go on when there is
// room again. One that found it full may go on, to empty it, but not add to it.
func (b *Bridge) bound(ctx context.Context, s *session.Session, bytes, atBegin int64) {
	full := bytes > min(max(b.HomeMax, atBegin+b.HomeMax/16), b.HomeMax/10*19)
	const reason = "home-full"
	_, frozen := s.Frozen()[reason]
	if full == frozen {
		return
	}
	var err error
	if full {
		err = b.freeze(ctx, s, reason, fmt.Sprintf("the agent's home has more than the %d MiB that it may have: the session is frozen until there is room, which you can make from another one: aaau", b.HomeMax>>20))
	} else {
		err = b.thaw(ctx, s, reason, "the agent's home has room again: the session goes on")
	}
	if err != nil {
		b.Log.Printf("session %s: %v", s.ID, err)
		return
	}
	b.tellBounded(s, full)
}
