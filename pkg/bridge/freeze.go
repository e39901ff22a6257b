package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// A session is frozen for a set of reasons, and goes on when the last is gone.

// freeze stops a session's processes for a reason, and tells its clients why by an
// event.
func (b *Bridge) freeze(ctx context.Context, l *live, reason string, e wire.Event) error {
	l.Changing.Lock()
	defer l.Changing.Unlock()
	_, was := l.Frozen()[reason]
	l.Freeze(reason, e.Message) // first: who ends a session must know that it may be frozen
	l.saved()
	if _, err := b.ask(ctx, privsep.Request{Freeze: &privsep.Scope{Name: l.Scope}}); err != nil {
		if !was {
			l.Thaw(reason)
			l.saved()
		}
		return err
	}
	b.publish(e, l)
	return nil
}

// thaw takes one reason away, and lets the processes go on if it was the last.
func (b *Bridge) thaw(ctx context.Context, l *live, reason string, e wire.Event) error {
	l.Changing.Lock()
	defer l.Changing.Unlock()
	reasons := l.Frozen()
	if _, ok := reasons[reason]; ok && len(reasons) == 1 {
		if _, err := b.ask(ctx, privsep.Request{Thaw: &privsep.Scope{Name: l.Scope}}); err != nil {
			return err
		}
	}
	l.Thaw(reason)
	l.saved()
	b.publish(e, l)
	return nil
}

const (
	// relockSoon is for how long it is tried to lock again before the session is
	// frozen: a file that is replaced is not there for a moment, and for longer where
	// whoever replaces it has to wait for a processor in the midst of that.
	relockSoon = 5 * time.Millisecond
	// relockPause is the longest pause between two tries.
	relockPause = time.Second
	// remakeAfter is how long something may be missing that can be made again.
	remakeAfter = time.Second
	exposed     = "exposed"
)

// keepLocked has the session's locks made again whenever one is gone, until the
// session ends. While that cannot be done the session is frozen: its agent could
// change what the person's tools run.
func (b *Bridge) keepLocked(l *live) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		select {
		case <-l.Exposed():
		case <-l.Ended():
			return
		}
		began := time.Now()
		_, frozen := l.Frozen()[exposed] // an earlier bridge may have done it
		for pause := time.Millisecond; ; pause = min(2*pause, relockPause) {
			err := b.relock(ctx, l, time.Since(began) > remakeAfter)
			if err == nil {
				break
			}
			if errors.Is(err, session.ErrEnded) {
				return
			}
			if !frozen && time.Since(began) > relockSoon {
				b.tellRelocked(l, err)
				why := fmt.Sprintf("something that git runs was removed or replaced from outside, and cannot be kept from the agent (%v): the session is frozen until it is there again; or end it: aaau kill %s", err, l.ID)
				if err := b.freeze(ctx, l, exposed, l.event(wire.EventFreeze, why)); err != nil {
					l.trouble("%v", err)
					b.end(l.Session)
					return
				}
				frozen = true
			}
			select {
			case <-l.Ended():
				return
			case <-time.After(pause):
			}
		}
		b.tellRelocked(l, nil)
		if frozen {
			if err := b.thaw(ctx, l, exposed, l.event(wire.EventThaw, "what git runs is kept from the agent again: the session continues")); err != nil {
				l.trouble("%v", err)
				b.end(l.Session)
				return
			}
		}
	}
}

func (b *Bridge) relock(ctx context.Context, l *live, remake bool) error {
	for _, r := range l.Locks {
		r.Remake = remake
		if _, err := b.askIn(ctx, l.Session, privsep.Request{Relock: &r}); err != nil {
			return err
		}
	}
	return nil
}
