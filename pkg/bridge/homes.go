package bridge

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Where the kernel does not bound an agent's home (a project quota would), the
// bridge has it measured while sessions use it, and stops those that go on filling
// it. Measuring is a walk, so it is done only when the file system lost room since
// the last time.
const (
	homesDir = "/var/lib/aaau/homes"
	// homesTick is how often room is looked at while something goes on, which costs one
	// system call.
	homesTick = 2 * time.Second
	// homesPause is after how long it is looked at once more when nothing does, for what a
	// silent program may have begun; and homesRest how often from then on. An idle bridge is
	// not to wake: a look costs it five to thirteen context switches, of three a minute.
	homesPause = time.Minute
	homesRest  = 15 * time.Minute
	// homesAnyway is after how long a home is measured though no room was lost, if
	// something goes on: somebody else may have made room at the same time.
	homesAnyway = 10 * time.Minute
	// homesTries is how often a home may fail to be measured before it counts as
	// full: its agent could see to that.
	homesTries = 5

	// The reasons for which a session is frozen.
	homeFull, diskFull = "home-full", "disk-full"
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
	failed   int // how often in a row it could not be measured since
}

// watchHomes runs until ctx ends.
func (b *Bridge) watchHomes(ctx context.Context) {
	if b.HomeMax == 0 {
		return
	}
	known := map[home]use{}
	began := map[*live]use{} // its home, when a session was first seen
	rest, last := homesTick, int64(0)
	for {
		by := b.homes()
		for s := range began {
			if !slices.Contains(by[homeOf(s)], s) {
				delete(began, s)
			}
		}
		var tick <-chan time.Time // never, while there is nobody
		if len(by) > 0 {
			full := false
			free, size, err := room()
			if err != nil {
				b.Log.Printf("looking at %s: %v", homesDir, err)
			} else {
				full = b.boundHomes(ctx, by, known, began, free, size, rest == homesTick)
			}
			if rest = b.restOf(rest, free-last); full {
				rest = homesTick // somebody is making room, perhaps
			}
			last, tick = free, time.After(rest)
		}
		looked := time.Now()
		select {
		case <-ctx.Done():
			return
		case <-b.entered:
		case <-tick:
		case <-b.stirred:
			rest = homesTick
			select {
			case <-ctx.Done():
				return
			case <-b.entered:
			case <-time.After(time.Until(looked.Add(homesTick))):
			}
		}
	}
}

// stir says that some session does something, so that it is looked at.
func (b *Bridge) stir() {
	select {
	case b.stirred <- struct{}{}:
	default: // that is known
	}
}

// restOf is how long the homes need not be looked at after a rest in which the room
// changed by so much: the longer, the longer nothing happened.
func (b *Bridge) restOf(last time.Duration, changed int64) time.Duration {
	switch {
	case max(changed, -changed) >= b.HomeMax/64:
		return homesTick
	case last == homesTick:
		return homesPause
	}
	return homesRest
}

// boundHomes looks at each home in use, and says whether any session waits for room.
func (b *Bridge) boundHomes(ctx context.Context, by map[home][]*live, known map[home]use, began map[*live]use, free, size int64, busy bool) (full bool) {
	for h, sessions := range by {
		if !b.measure(ctx, h, known, free, busy) {
			continue
		}
		for _, s := range sessions {
			if _, ok := began[s]; !ok {
				began[s] = known[h]
			}
			if s.Ran() { // a frozen one could not even say why it does not start
				b.boundHome(ctx, s, known[h].bytes, began[s].bytes)
				b.keepRoom(ctx, s, began[s].free, free, reserve(size))
			}
			full = full || waits(s)
		}
	}
	return full
}

func homeOf(s *live) home { return home{s.User, s.Owner.UID} }

// homes are those in use that the kernel does not bound, and by which sessions.
func (b *Bridge) homes() map[home][]*live {
	by := map[home][]*live{}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.sessions {
		if !s.HomeBounded {
			by[homeOf(s)] = append(by[homeOf(s)], s)
		}
	}
	return by
}

// measure brings what is known of a home up to date, and says whether it is known.
func (b *Bridge) measure(ctx context.Context, h home, known map[home]use, free int64, busy bool) bool {
	last, ok := known[h]
	if ok && last.failed == 0 && max(last.free-free, free-last.free) < b.HomeMax/64 && (!busy || time.Since(last.measured) < homesAnyway) {
		return true
	}
	reply, err := b.ask(ctx, privsep.Request{Measure: &privsep.Measure{User: h.user, UID: h.uid}})
	if err != nil {
		b.Log.Printf("measuring the home of %s for %s: %v", h.user, person(h.uid), err)
		if last.failed++; last.failed >= homesTries {
			last.bytes = math.MaxInt64
		}
		known[h] = last
		return ok || last.failed >= homesTries
	}
	known[h] = use{bytes: reply.Bytes, free: free, measured: time.Now()}
	return true
}

// waits says whether a session waits for room.
func waits(s *live) bool {
	frozen := s.Frozen()
	_, home := frozen[homeFull]
	_, disk := frozen[diskFull]
	return home || disk
}

// boundHome stops a session that has filled its home, until there is room again. One
// that found it full may go on, to empty it, but not add to it.
func (b *Bridge) boundHome(ctx context.Context, s *live, bytes, atBegin int64) {
	b.hold(ctx, s, homeFull, bytes > b.HomeMax && bytes-atBegin > b.HomeMax/16,
		fmt.Sprintf("the agent's home has more than the %d MiB that it may have", b.HomeMax>>20))
}

// keepRoom stops a session while the file system of the homes is nearly full and has
// lost room since the session began: what it takes up need not be seen in a home (a
// file that was removed is there as long as somebody has it open).
func (b *Bridge) keepRoom(ctx context.Context, s *live, atBegin, free, reserve int64) {
	b.hold(ctx, s, diskFull, free < reserve && atBegin-free > reserve/8,
		fmt.Sprintf("the file system of the agents' homes has less than %d MiB left", reserve>>20))
}

// reserve is what a file system of such a size is to have left, in bytes.
func reserve(size int64) int64 { return min(size/50, 1<<30) }

// room is what is free and what there is of the file system of the homes, in bytes.
func room() (free, size int64, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(homesDir, &fs); err != nil {
		return 0, 0, err
	}
	return int64(fs.Bavail) * fs.Bsize, int64(fs.Blocks) * fs.Bsize, nil
}

// hold freezes a session for a reason, or lets it go on, if it is not so already.
func (b *Bridge) hold(ctx context.Context, s *live, reason string, full bool, why string) {
	_, frozen := s.Frozen()[reason]
	if full == frozen {
		return
	}
	var err error
	if full {
		err = b.freeze(ctx, s, reason, s.event(wire.EventFreeze, why+": the session is frozen until there is room, which you can make from another one: aaau"))
	} else {
		err = b.thaw(ctx, s, reason, s.event(wire.EventThaw, "there is room again: the session goes on"))
	}
	if err != nil {
		s.trouble("%v", err)
		return
	}
	b.tellHeld(s, full, why)
}
