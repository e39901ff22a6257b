package bridge

import (
	"time"

	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/vtseq"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// ringing is how long a program's calls for attention are gathered. Of those that come
// within it the most telling one is told, at its end: programs often ring the bell first
// and then send a notice that says why.
const ringing = time.Second

// calling gathers calls for attention. It belongs to the watcher's goroutine.
type calling struct {
	best  vtseq.Found      // valid while over is not nil
	timer *time.Timer      // its channel is over; stopped when the call is told
	over  <-chan time.Time // nil while there is no call to be told
}

// telling says how much a call tells people: the more, the higher.
func telling(f vtseq.Found) int {
	switch {
	case f.Kind == vtseq.Bell:
		return 0
	case f.Title == "" && f.Text == "":
		return 1
	case f.Title == "" || f.Text == "":
		return 2
	default:
		return 3
	}
}

// add takes a call. Of two that tell as much the later one is kept.
func (c *calling) add(f vtseq.Found) {
	if c.over == nil {
		c.timer = time.NewTimer(ringing)
		c.best, c.over = f, c.timer.C
	} else if telling(f) >= telling(c.best) {
		c.best = f
	}
}

// take ends the gathering; false if there was no call.
func (c *calling) take() (vtseq.Found, bool) {
	if c.over == nil {
		return vtseq.Found{}, false
	}
	c.timer.Stop()
	f := c.best
	*c = calling{}
	return f, true
}

// echoed is how soon after a key a bell answers that key: shells and editors ring when there
// is nothing to complete or to delete. It is told, but nobody is waited for.
const echoed = 300 * time.Millisecond

// answersKey says whether a call only answers a key that was pressed so long before.
func answersKey(f vtseq.Found, since time.Duration) bool {
	return f.Kind == vtseq.Bell && since < echoed
}

// heard takes a call for attention that the program has made.
func (w *watcher) heard(f vtseq.Found, now time.Time) {
	if !answersKey(f, now.Sub(w.l.When(session.LastTyped))) {
		w.l.Note(session.LastCall, now)
	}
	w.calling.add(f)
}

// tellCall tells people of the call that has been gathered, if there is one.
func (w *watcher) tellCall() {
	f, ok := w.calling.take()
	if !ok {
		return
	}
	e := w.l.event(wire.EventAttention, f.Text)
	e.Title = f.Title
	if f.Kind == vtseq.Bell {
		e.Message = "the bell"
	}
	w.b.publish(e, w.l)
}
