package bridge

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// A session may be given a time, after which it is ended, kindly first. The deadline is noted with the session, and so the next bridge's to keep.

// warning is how long before a deadline people are told of it, at most: a tenth of the
// session's time.
const warning = time.Minute

// hint is how long each signal is given to end a session.
const hint = 2 * time.Second

// checkTime holds a session's time to what can be meant.
func checkTime(seconds int64) error {
	if seconds < 0 || seconds > wire.MaxTime {
		return fmt.Errorf("a session of %d seconds: from 1 to %d, or 0 for as long as it likes", seconds, wire.MaxTime)
	}
	return nil
}

// deadlineOf is when a session is to end that was asked for, zero for never.
func deadlineOf(began time.Time, req wire.OpenRequest) time.Time {
	if req.Time == 0 {
		return time.Time{}
	}
	return began.Add(time.Duration(req.Time) * time.Second)
}

// deadline is a session's, in seconds since 1970; 0: it has none.
func deadline(s session.Info) float64 {
	if s.Deadline.IsZero() {
		return 0
	}
	return seconds(s.Deadline)
}

// keepDeadline ends the session when its time is over, unless it has ended before.
func (b *Bridge) keepDeadline(l *live) {
	soon := min(warning, l.Deadline.Sub(l.Began)/10)
	if !l.lasts(time.Until(l.Deadline) - soon) {
		return
	}
	if left := time.Until(l.Deadline); left > 0 { // else an earlier bridge has told
		b.publish(l.event(wire.EventDeadline, fmt.Sprintf("the session's time is over in %v", left.Round(time.Second))), l)
	}
	if !l.lasts(time.Until(l.Deadline)) {
		return
	}
	b.tellDeadline(l)
	ctx, cancel := context.WithTimeout(context.Background(), launchTimeout)
	defer cancel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} { // a shell heeds only the latter
		if err := b.kill(ctx, l.Session, sig); err != nil {
			l.trouble("%v", err)
		}
		if len(l.Frozen()) > 0 || !l.lasts(hint) {
			break
		}
	}
	b.insist(l.Session)
}

// lasts says whether the session is still there after a time.
func (l *live) lasts(d time.Duration) bool {
	select {
	case <-l.Gone():
		return false
	case <-time.After(d):
		return true
	}
}

// tellDeadline tells that the session is ended as its time is over.
func (b *Bridge) tellDeadline(l *live) {
	why := fmt.Sprintf("its time of %v is over", l.Deadline.Sub(l.Began).Round(time.Second))
	b.Log.Tell(journal.Deadline, l.about(nil), "session %s: %s: it is ended", l.ID, why)
	b.control(l, nil, audit.Control{Action: "deadline", Reason: why})
	b.publish(l.event(wire.EventDeadline, "the session is ended: "+why), l)
}
