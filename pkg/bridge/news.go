package bridge

import (
	"slices"
	"sync"

	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// maxMessage bounds what is told in a sentence, in characters.
const maxMessage = 1000

// event is one of this session's.
func (l *live) event(kind, message string) wire.Event {
	return wire.Event{
		Time: now(), Kind: kind, Session: l.ID, Name: l.name, Profile: l.Profile, Owner: l.Owner.UID,
		Message: shown(message, maxMessage),
	}
}

// by says whose doing an event is.
func by(e wire.Event, c *client) wire.Event {
	uid := c.who.UID
	e.Client, e.UID, e.User = c.id, &uid, name(uid)
	return e
}

// publish tells an event to everybody in the session, and to all who asked for
// events and may see it. It waits for nobody.
func (b *Bridge) publish(e wire.Event, l *live) {
	rights := l.rights()
	b.mu.Lock()
	rules := b.Policy
	var listeners []*client
	for c := range b.clients {
		if c.listens.Load() {
			listeners = append(listeners, c)
		}
	}
	b.mu.Unlock()
	l.mu.Lock()
	people := slices.Clone(l.people)
	l.mu.Unlock()
	for _, c := range people {
		if c.id == e.Client && e.Kind == wire.EventAttach {
			continue
		}
		i := item{words: c.inWords(e)}
		if !c.listens.Load() {
			i.frame = c.enc.News(e)
		}
		c.seat.offer(c.out, i)
	}
	for _, c := range listeners {
		if rules.On(c.who, rights) >= auth.ReadOnly {
			c.out.offer(c.enc.News(e))
		}
	}
}

// seating keeps the events that come after a client has joined a session and before it has been
// told so.
type seating struct {
	mu    sync.Mutex // guards what follows
	taken bool
	early []item
}

// maxEarly is how many events are kept: it is a matter of microseconds.
const maxEarly = 16

// offer passes an event on, or keeps it.
func (s *seating) offer(to *sender, i item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.taken:
		to.offerItem(i)
	case len(s.early) < maxEarly:
		s.early = append(s.early, i)
	}
}

// take passes on what was kept: the client has been told.
func (s *seating) take(to *sender) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = true
	for _, i := range s.early {
		to.offerItem(i)
	}
	s.early = nil
}

// shown is text of an agent's or a stranger's as it may be shown.
func shown(s string, most int) string { return journal.Shown(s, most) }
