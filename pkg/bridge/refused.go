package bridge

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/journal"
)

// Who is refused something, or looks back, has that stand in the bridge's own chain, as
// often as they like. Sessions' records would have to make room for it one day. So each
// user has an allowance of it, and beyond that nothing is lost: refusals are counted and
// told together, and who looks back waits, since each look has to be known.

const (
	// maxAtOnce is how often in a row something of one user's is told.
	maxAtOnce = 200
	// refusedEvery and looksEvery are how long each one takes to come back.
	refusedEvery = time.Second
	looksEvery   = time.Second / 2
	// controlsAtOnce and controlsEvery are the same for what people do to sessions and for
	// coming to them. One may come to a session with a thousand terminals.
	controlsAtOnce = 10000
	controlsEvery  = time.Second
	// maxAllowed bounds how many users have an allowance of their own: somebody may have
	// thousands of uids (subuid(5)). The others have one together.
	maxAllowed = 32
	// heldFor is how long refusals are counted before that is told.
	heldFor = 10 * time.Second
)

// allowance is how often something of each user's may be told: maxAtOnce times in a row,
// and then again and again.
type allowance struct {
	every time.Duration
	most  int // instead of maxAtOnce, if not 0

	mu   sync.Mutex           // guards what follows
	full map[uint32]time.Time // when a user has all of it again; who is not there has
}

// take takes one of what uid may have, and says after what time it may be used: at once,
// if that is not positive. With what it is taken of it can be given back.
func (a *allowance) take(uid uint32) (of uint32, wait time.Duration) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.full == nil {
		a.full = map[uint32]time.Time{}
	}
	if of = uid; a.full[of].IsZero() && len(a.full) >= maxAllowed {
		maps.DeleteFunc(a.full, func(_ uint32, full time.Time) bool { return full.Before(now) })
		if len(a.full) >= maxAllowed {
			of = nobody // together with others
		}
	}
	full := a.full[of]
	if full.Before(now) {
		full = now
	}
	a.full[of] = full.Add(a.every)
	most := time.Duration(maxAtOnce)
	if a.most > 0 {
		most = time.Duration(a.most)
	}
	return of, full.Sub(now) - (most-1)*a.every
}

// back gives back one that was not used.
func (a *allowance) back(of uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if full, is := a.full[of]; is {
		a.full[of] = full.Add(-a.every)
	}
}

// tryTake takes one if it may be used at once; else it says after what time one may be.
func (a *allowance) tryTake(uid uint32) (wait time.Duration) {
	of, wait := a.take(uid)
	if wait > 0 {
		a.back(of)
	}
	return wait
}

// wait takes one, and returns when it may be used; an error is ctx's.
func (a *allowance) wait(ctx context.Context, uid uint32) error {
	of, wait := a.take(uid)
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		a.back(of)
		return ctx.Err()
	}
}

// refusals are those that are held back.
type refusals struct {
	allowed allowance

	telling sync.Mutex // held while they are told; before mu

	mu    sync.Mutex // guards what follows
	held  map[uint32]*heldBack
	timer *time.Timer // armed while there are some
}

// heldBack are refusals of one user's, or of several that have one allowance together.
type heldBack struct {
	audit.Denied
	user, why string // of the last
}

// hold says whether a refusal is to be told with others, and has tell be called when they
// are. What comes after one that is held back is too.
func (r *refusals) hold(c *client, why string, tell func()) bool {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	of, wait := r.allowed.take(c.who.UID)
	h := r.held[of]
	if h == nil && wait <= 0 {
		return false
	}
	r.allowed.back(of)
	if h == nil {
		if len(r.held) == 0 {
			r.held, r.timer = map[uint32]*heldBack{}, time.AfterFunc(heldFor, tell)
		}
		h = &heldBack{Denied: audit.Denied{Person: c.recorded(), Since: seconds(now)}}
		r.held[of] = h
	}
	h.Several = h.Several || h.UID != c.who.UID
	h.More++
	h.Person, h.Until, h.user, h.why = c.recorded(), seconds(now), c.user, why
	return true
}

// take are all that are held back, and no more.
func (r *refusals) take() map[uint32]*heldBack {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
	}
	held := r.held
	r.held = nil
	return held
}

// tellHeldBack tells what refusals were held back. When it returns, they are told.
func (b *Bridge) tellHeldBack() {
	b.refused.telling.Lock()
	defer b.refused.telling.Unlock()
	for _, h := range b.refused.take() {
		whose := ""
		if h.Several {
			whose = ", not only this user"
		}
		about := journal.About{User: h.user, UID: strconv.FormatUint(uint64(h.UID), 10), Client: strconv.FormatUint(h.Client, 10)}
		took := time.Duration((h.Until - h.Since) * float64(time.Second)).Round(time.Millisecond)
		b.Log.Tell(journal.Denied, about, "refused %s, pid %d: %.300q, the last of %d within %v%s", person(h.UID), h.PID, h.why, h.More, took, whose)
		b.recordOwn(audit.Record{
			Source: audit.Human, User: h.user, Content: fmt.Sprintf("%d more were refused; the last: %s", h.More, h.why), Metadata: h.Denied,
		}, about)
	}
}
