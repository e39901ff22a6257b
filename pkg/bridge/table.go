package bridge

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// reserve takes a place for a new session of uid, and room for its tapes in bytes, or
// refuses it. Memory that no output was written to yet counts as well: it cannot be
// refused later.
func (b *Bridge) reserve(uid uint32, name string, tapes int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.total >= b.MaxSessions:
		return refusal("too-many-sessions", "there are %d sessions, as many as this machine allows (max-sessions= in aaau.conf)", b.total)
	case b.perUser[uid] >= b.MaxPerUser:
		return refusal("too-many-sessions", "you have %d sessions, as many as you are allowed (max-sessions-per-user= in aaau.conf)", b.perUser[uid])
	case b.MaxTapes > 0 && b.tapes+tapes > b.MaxTapes:
		return refusal("too-many-tapes", "the session's output needs %d MiB of memory, and sessions have %d of the %d MiB that this machine allows: "+
			"end one (aaau list), or have max-tapes= in aaau.conf raised", mib(tapes), mib(b.tapes), mib(b.MaxTapes))
	case name != "" && b.named(uid, name):
		return refusal("name-taken", "you have a session %s already: aaau attach %s", name, name)
	}
	b.count(uid, tapes)
	return nil
}

// count counts a session of uid. b.mu is held.
func (b *Bridge) count(uid uint32, tapes int64) {
	b.total++
	b.perUser[uid]++
	b.tapes += tapes
}

// mib is a number of bytes in MiB, not less than it is.
func mib(bytes int64) int64 { return (bytes + 1<<20 - 1) >> 20 }

// memory is how many bytes the tapes will take of the session that is asked for. What is
// wrong with a profile the launcher says.
func (b *Bridge) memory(req wire.OpenRequest) int64 {
	profile, err := b.Config.Profile(req.Profile)
	if err != nil {
		profile.Tape = 0
	}
	return session.Memory(profile.Tape, req.Pipes || req.ErrorsApart)
}

// resized notes that a session's tapes have more bytes than were reserved.
func (b *Bridge) resized(by int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tapes += by
}

func (b *Bridge) release(uid uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total--
	if b.perUser[uid]--; b.perUser[uid] == 0 {
		delete(b.perUser, uid)
	}
}

// named says whether a session of uid's has this name. b.mu is held.
func (b *Bridge) named(uid uint32, name string) bool {
	for _, l := range b.sessions {
		if l.Owner.UID == uid && l.name == name {
			return true
		}
	}
	return false
}

// nameFor names a session as was asked, or else after its first workspace: shop, and
// shop-2 if the person has a shop. b.mu is held.
func (b *Bridge) nameFor(s *session.Session, asked string) string {
	base := asked
	if base == "" {
		for _, w := range workspaces(s.Info) {
			base = asName(filepath.Base(w))
			break
		}
	}
	name := base
	for n := 2; name != "" && b.named(s.Owner.UID, name); n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	return name
}

// enter puts a session that c has asked for into the table, and starts it. Its start is
// noted before anybody can come to it, and so is what its record begins with.
// An error means that it cannot be recorded, and it is closed.
func (b *Bridge) enter(s *session.Session, name string, c *client) (*live, error) {
	l := &live{Session: s, begun: make(chan struct{}), recording: b.recordingOf(s.Profile)}
	var err error
	if l.rec, err = newRecorder(b, l); err != nil {
		closeAll(l.rec.tracks)
		s.Close()
		return nil, err
	}
	b.mu.Lock()
	l.name = b.nameFor(s, name)
	b.mu.Unlock()
	l.rec.note(b.startOf(l, c))
	b.install(l)
	return l, nil
}

// install is enter for a session that has its name. It is saved first, so that the
// next bridge finds what it must know.
func (b *Bridge) install(l *live) {
	s := l.Session
	l.remember()
	l.watch = newWatcher(b, l)
	l.saved()
	b.mu.Lock()
	b.sessions[s.ID] = l
	b.running.Add(1)
	b.mu.Unlock()
	select {
	case b.entered <- struct{}{}:
	default: // somebody is about to look anyway
	}
	b.stir() // and then soon again, though it prints nothing
	b.watchMemory(l)
	s.Start(func() { b.sweep(l) }, func(*session.Session) { b.leave(l) }, func(why string) { b.tellTripped(l, why) })
	b.running.Go(l.watch.run)
	b.recording.Add(1)
	b.running.Go(l.rec.run)
	if len(s.Locks) > 0 {
		b.running.Go(func() { b.keepLocked(l) })
	}
	if s.Time > 0 {
		b.running.Go(func() { b.keepDeadline(l) })
	}
}

// leave takes a session that has ended out of the table, and records it: both are
// done when its clients hear of it.
func (b *Bridge) leave(l *live) {
	defer b.running.Done()
	b.unwatchMemory(l)
	l.resizeNoMore()
	l.watch.leave()
	if !l.rec.leave() && b.stopping.Load() {
		return // it is stored: the next bridge records the rest of it, and tells its end
	}
	info := l.info(auth.ReadOnly)
	note := l.endedNote()
	info.State, info.Ended, info.Frozen, info.Clients = wire.StateEnded, &note, nil, 0
	info.Activity, info.ActivitySince = "", 0
	info.Writable, info.Watch = writable(l.Info), l.Watch
	rights := l.rights()
	b.mu.Lock()
	delete(b.sessions, l.ID)
	b.ended[l.ID] = l
	var err error
	if l.Ran() {
		err = b.remember(past{Info: info, Right: rights, At: time.Now()})
	}
	b.mu.Unlock()
	b.stir()
	if err != nil {
		l.trouble("noting its end for the next bridge: %v", err)
	}
	b.release(l.Owner.UID)
	b.running.Go(func() {
		l.AwaitFreed()
		b.resized(-l.Memory())
	})
	if !l.Told() { // by an earlier bridge
		if !b.tellEnded(l) && b.stopping.Load() {
			return // likewise
		}
		l.SetTold()
	}
	l.rec.close()
	b.settle(l, nil)
}

// seen is a session with what somebody is there.
type seen struct {
	*live
	as auth.Role
}

// visible are the sessions that somebody may know of.
func (b *Bridge) visible(who peer.Peer) (all []seen) {
	b.mu.Lock()
	rules := b.Policy
	for _, l := range b.sessions {
		all = append(all, seen{live: l})
	}
	b.mu.Unlock()
	for i := range all {
		all[i].as = rules.On(who, all[i].rights())
	}
	return slices.DeleteFunc(all, func(s seen) bool { return s.as < auth.ReadOnly })
}

// resolve finds a session by its id, by a name (one's own first), or by the beginning
// of an id that no other has. Who may not know of a session does not find it, nor
// hear that it has ended.
func (b *Bridge) resolve(who peer.Peer, named string) (*live, auth.Role, error) {
	ref := ref(named)
	var mine, theirs, begun []seen
	for _, s := range b.visible(who) {
		switch {
		case s.ID == ref:
			return s.live, s.as, nil
		case ref != "" && s.name == ref && s.Owner.UID == who.UID:
			mine = append(mine, s)
		case ref != "" && s.name == ref:
			theirs = append(theirs, s)
		case ref != "" && strings.HasPrefix(s.ID, ref):
			begun = append(begun, s)
		}
	}
	if p, ok := b.ownPast(who, ref); ok && len(mine) == 0 {
		// Else what one does with a session that has just ended, another's of the same name would get.
		also := ""
		if len(theirs) == 1 {
			also = fmt.Sprintf("; %s's session of that name is %s", name(theirs[0].Owner.UID), theirs[0].ID)
		}
		return nil, auth.None, refusal("no-session", "your session %s (%s) has ended (aaau status %s says how)%s", ref, p.Info.ID, p.Info.ID, also)
	}
	for _, found := range [][]seen{mine, theirs, begun} {
		if len(found) == 1 {
			return found[0].live, found[0].as, nil
		}
		if len(found) > 1 {
			var ids []string
			for _, s := range found {
				ids = append(ids, s.ID)
			}
			slices.Sort(ids)
			return nil, auth.None, refusal("ambiguous", "%s could be %s", argv.Quote(ref, 40), strings.Join(ids[:min(len(ids), 5)], ", "))
		}
	}
	for _, s := range b.strandedOf(who) {
		if s.info.ID == ref {
			return nil, auth.None, refusal(wire.StateStranded, "session %s continues, but this bridge cannot take it back (%s): a bridge that can will; or sudo systemctl stop %s",
				ref, s.info.Why, cmp.Or(s.scope, "its scope"))
		}
	}
	if p, ok := b.resolvePast(who, ref); ok {
		return nil, auth.None, refusal("no-session", "session %s has ended (aaau status %s says how)", p.Info.ID, p.Info.ID)
	}
	return nil, auth.None, refusal("no-session", "no session %s (aaau list shows those that you may see)", argv.Quote(ref, 40))
}
