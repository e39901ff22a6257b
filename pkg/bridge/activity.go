package bridge

import (
	"time"

	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// A session's program prints what it does, calls for attention when it needs somebody, and is
// silent otherwise. What it seems to do is derived from when it did so last, whenever
// somebody asks; see session.Moment.
const (
	// quiet is how long a program may print nothing and still works. Agents have something
	// that moves while they work, at least once a second.
	quiet = 3 * time.Second
	// resumed is how long a program that has called, and that nobody has answered, prints
	// without a pause until it is believed to have gone on by itself. What it prints for
	// less is its question, or somebody has joined and it drew its screen again.
	resumed = 5 * time.Second
)

// times are a session's Moments, and when it began.
type times struct{ began, output, burst, typed, call time.Time }

// activity says what a session's program seems to do, and since when.
func activity(t times, now time.Time) (what string, since time.Time) {
	printing := now.Sub(t.output) < quiet
	from := latest(t.call, t.burst)
	wentOn := t.output.Sub(from) >= resumed
	switch called := t.call.After(t.typed); {
	case called && !wentOn:
		return wire.ActivityWaits, t.call
	case printing:
		return wire.ActivityWorks, t.burst
	case called: // the program continued, and is silent now
		return wire.ActivityWaits, t.output
	default:
		return wire.ActivityIdle, latest(t.began, t.output, t.typed)
	}
}

func latest(all ...time.Time) (last time.Time) {
	for _, t := range all {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// activity is what clients are told of the session: nothing where nobody looks at its
// output.
func (l *live) activity() (what string, since float64) {
	if l.Poisonous() {
		return "", 0
	}
	what, at := activity(times{
		began: l.Began, output: l.When(session.LastOutput), burst: l.When(session.BurstBegan),
		typed: l.When(session.LastTyped), call: l.When(session.LastCall),
	}, time.Now())
	return what, seconds(at)
}

// noteOutput notes that there is output. It is called for every chunk.
func (w *watcher) noteOutput(now time.Time) {
	if now.Sub(w.printed) >= quiet {
		w.l.Note(session.BurstBegan, now)
	}
	w.printed = now
	w.l.Note(session.LastOutput, now)
}
