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
	known    bool  // it was measured once, or failed to be so often that it counts as full
	bytes    int64 // when last measured
	free     int64 // of the file system, then
	measured time.Time
	failed   int // how often in a row it could not be measured since
}

// baseline is how much room there was when a session was first looked at. The next bridge
// must know it, or each restart would grant the session that much more. A nil field is not
// known yet.
type baseline struct {
	Bytes *int64 `json:"bytes,omitempty"` // of the agent's home
	Free  *int64 `json:"free,omitempty"`  // of the file system of the homes
}

// homesWatch is what watchHomes knows. Only the goroutine of watchHomes uses it.
type homesWatch struct {
	b     *Bridge
	known map[home]use
	found chan found // from the goroutine that measures, which closes it; nil: nobody measures
	again bool       // a home was due while others were measured
}

// found is what a measurement has found.
type found struct {
	home
	bytes int64
	free  int64 // of the file system, before
	err   error
}

// watchHomes runs until ctx ends.
func (b *Bridge) watchHomes(ctx context.Context) {
	if b.HomeMax == 0 {
		return
	}
	w := &homesWatch{b: b, known: map[home]use{}}
	defer func() {
		if w.found != nil {
			for range w.found { // until the goroutine that measures has ended
			}
		}
	}()
	rest, last := homesTick, int64(0)
	for {
		by := b.homes()
		var tick <-chan time.Time // never, while there is nobody
		if len(by) > 0 {
			waiting := false
			free, size, err := b.roomOfHomes()
			if err != nil {
				b.Log.Printf("looking at %s: %v", homesDir, err)
			} else {
				waiting = w.look(ctx, by, free, size, rest == homesTick)
			}
			if rest = b.restOf(rest, free-last); waiting {
				rest = homesTick // somebody is making room, perhaps
			}
			last, tick = free, time.After(rest)
		}
		looked, stirred := time.Now(), b.stirred
		for looking := false; !looking; {
			select {
			case <-ctx.Done():
				return
			case <-b.entered:
				looking = true
			case <-tick:
				looking = true
			case f, more := <-w.found:
				w.take(ctx, f, more)
			case <-stirred:
				rest, stirred, tick = homesTick, nil, time.After(time.Until(looked.Add(homesTick)))
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

// look sees to the room that the file system has left, which is cheap to know, and then to
// each home. A home that must be measured first is bounded when that is done: measuring may
// take long, and is nothing to wait for. look says whether any session waits for room.
func (w *homesWatch) look(ctx context.Context, by map[home][]*live, free, size int64, busy bool) (waiting bool) {
	for _, sessions := range by {
		for _, s := range sessions {
			w.b.keepRoom(ctx, s, free, reserve(size))
		}
	}
	var due []home
	for h, sessions := range by {
		if w.due(h, free, busy) {
			due = append(due, h)
		} else {
			w.bound(ctx, h, sessions)
		}
	}
	w.measure(ctx, due, free)
	for _, sessions := range by {
		waiting = waiting || slices.ContainsFunc(sessions, waits)
	}
	return waiting
}

// due says whether a home must be measured.
func (w *homesWatch) due(h home, free int64, busy bool) bool {
	last := w.known[h]
	return !last.known || last.failed > 0 || max(last.free-free, free-last.free) >= w.b.HomeMax/64 ||
		busy && time.Since(last.measured) >= homesAnyway
}

// measure has homes be measured one after the other, unless others are being measured.
func (w *homesWatch) measure(ctx context.Context, due []home, free int64) {
	if w.again = w.found != nil && len(due) > 0; w.again || len(due) == 0 {
		return
	}
	to := make(chan found)
	w.found = to
	go func() { // watchHomes waits until it has closed the channel
		defer close(to)
		for _, h := range due {
			reply, err := w.b.ask(ctx, privsep.Request{Measure: &privsep.Measure{User: h.user, UID: h.uid}})
			select {
			case to <- found{home: h, bytes: reply.Bytes, free: free, err: err}:
			case <-ctx.Done():
				return
			}
		}
	}()
}

// take notes what a measurement has found, and bounds that home's sessions; without more,
// all homes have been measured.
func (w *homesWatch) take(ctx context.Context, f found, more bool) {
	if !more {
		if w.found = nil; w.again {
			w.b.stir()
		}
		return
	}
	last := w.known[f.home]
	if f.err == nil {
		last = use{known: true, bytes: f.bytes, free: f.free, measured: time.Now()}
	} else {
		w.b.Log.Printf("measuring the home of %s for %s: %v", f.user, person(f.uid), f.err)
		if last.failed++; last.failed >= homesTries {
			last.known, last.bytes = true, math.MaxInt64
		}
	}
	w.known[f.home] = last
	sessions := w.b.homes()[f.home]
	if w.bound(ctx, f.home, sessions); slices.ContainsFunc(sessions, waits) {
		w.b.stir() // so that it is soon looked whether there is room again
	}
}

// bound holds a home's sessions to what it may have, if it is known what it has.
func (w *homesWatch) bound(ctx context.Context, h home, sessions []*live) {
	if last := w.known[h]; last.known {
		for _, s := range sessions {
			w.b.boundHome(ctx, s, last.bytes)
		}
	}
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

// waits says whether a session waits for room.
func waits(s *live) bool {
	frozen := s.Frozen()
	_, home := frozen[homeFull]
	_, disk := frozen[diskFull]
	return home || disk
}

// boundHome stops a session that has filled its home, until the home has no more than it
// may. A session that found it full may go on, to empty it, but not add to it.
func (b *Bridge) boundHome(ctx context.Context, s *live, bytes int64) {
	atBegin := s.atBegin(homeFull, func(at *baseline) **int64 { return &at.Bytes }, bytes, 0)
	b.hold(ctx, s, homeFull, bytes > b.HomeMax, bytes-atBegin > b.HomeMax/16,
		fmt.Sprintf("the agent's home has more than the %d MiB that it may have", b.HomeMax>>20))
}

// keepRoom stops a session while the file system of the homes is nearly full, if that has
// lost room since the session began: what the session takes up need not be seen in a home
// (a file that was removed is there as long as somebody has it open).
func (b *Bridge) keepRoom(ctx context.Context, s *live, free, reserve int64) {
	atBegin := s.atBegin(diskFull, func(at *baseline) **int64 { return &at.Free }, free, math.MaxInt64)
	b.hold(ctx, s, diskFull, free < reserve, atBegin-free > reserve/8,
		fmt.Sprintf("the file system of the agents' homes has less than %d MiB left", reserve>>20))
}

// atBegin is one value of the session's baseline. If it is not known it is set to now, and
// noted for the next bridge; but not from a value that no measurement found, nor while the
// session is frozen for the reason, since then it has taken what it may already: then it
// is unknown.
func (l *live) atBegin(reason string, of func(*baseline) **int64, now, unknown int64) int64 {
	_, frozen := l.Frozen()[reason]
	l.mu.Lock()
	at := of(&l.baseline)
	known, takes := *at, *at == nil && !frozen && now != math.MaxInt64
	if takes {
		*at = &now
	}
	l.mu.Unlock()
	switch {
	case known != nil:
		return *known
	case !takes:
		return unknown
	}
	l.saved()
	return now
}

// reserve is what a file system of such a size is to have left, in bytes.
func reserve(size int64) int64 { return min(size/50, 1<<30) }

// roomOfHomes is what is free and what there is of the file system of the homes, in bytes.
func (b *Bridge) roomOfHomes() (free, size int64, err error) {
	if b.homesRoom != nil {
		return b.homesRoom()
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(homesDir, &fs); err != nil {
		return 0, 0, err
	}
	return int64(fs.Bavail) * fs.Bsize, int64(fs.Blocks) * fs.Bsize, nil
}

// hold freezes a session for a reason if there is too little room and the session has taken
// of it, and lets it go on when there is enough, whatever it has taken.
func (b *Bridge) hold(ctx context.Context, s *live, reason string, little, taken bool, why string) {
	_, frozen := s.Frozen()[reason]
	full := little && (taken || frozen)
	if full == frozen || !s.Ran() { // before it ran, a frozen one could not even say why it does not start
		return
	}
	var err error
	if full {
		err = b.freeze(ctx, s, reason, s.event(wire.EventFreeze, why+": the session is frozen until there is room, which you can make from another one: aaau"))
	} else {
		err = b.thaw(ctx, s, reason, s.event(wire.EventThaw, "there is room again: the session continues"))
	}
	if err != nil {
		s.trouble("%v", err)
		return
	}
	b.tellHeld(s, full, why)
}
