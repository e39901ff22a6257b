package bridge

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/AgentaaU/AaaU/pkg/anchor"
	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// anchors has the launcher keep the heads of the record's chains, where this process
// cannot write: of a session when it starts and when it has ended, and meanwhile a
// minute after something was recorded, of all that have changed together.
type anchors struct {
	wake chan struct{} // has room for one: there is something to be done

	mu      sync.Mutex // guards what follows
	now     map[string]anchor.Head
	changed []*anchored
	timer   *time.Timer // armed while something is in changed
	due     bool        // it has rung
}

// anchored is a chain that is.
type anchored struct {
	name    string
	chain   *audit.Chain
	changed atomic.Bool // it is among the changed
}

const (
	// anchorEvery is how old a record may become before it is anchored.
	anchorEvery = time.Minute
	// anchorTime is how long the launcher may take: an ending bridge waits for it.
	anchorTime = 5 * time.Second
	// anchorAgain is how long after a failure it is tried again.
	anchorAgain = 10 * time.Second
)

func newAnchors() *anchors {
	a := &anchors{wake: make(chan struct{}, 1), now: map[string]anchor.Head{}}
	a.timer = time.AfterFunc(time.Hour, func() {
		a.mu.Lock()
		a.due = true
		a.mu.Unlock()
		a.signal()
	})
	a.timer.Stop()
	return a
}

func (a *anchors) signal() {
	select {
	case a.wake <- struct{}{}:
	default: // that is known
	}
}

// change notes that a chain has records that are not anchored.
func (a *anchors) change(c *anchored) {
	if c.changed.Swap(true) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.later(c)
}

// later has a chain be anchored in a while. a.mu is held.
func (a *anchors) later(c *anchored) {
	if len(a.changed) == 0 {
		a.timer.Reset(anchorEvery)
	}
	a.changed = append(a.changed, c)
}

// add has a head be anchored at once, unless a later one is. Final: the chain has its
// last record.
func (a *anchors) add(name string, h audit.Head, final bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := a.now[name]; !final && now.Seq >= h.Seq {
		return // a short session's start may come after its end
	}
	if final { // what is held of it is held of its session
		a.changed = slices.DeleteFunc(a.changed, func(c *anchored) bool { return c.name == name })
	}
	a.now[name] = anchor.Head{Chain: name, Seq: h.Seq, Hash: h.Hash.String(), Final: final}
	a.signal()
}

// leave has the last of a chain that is left without its end be anchored, and nothing more
// of it: what did not come to the disk never will.
func (a *anchors) leave(name string, h audit.Head) {
	a.add(name, h, false)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed = slices.DeleteFunc(a.changed, func(c *anchored) bool { return c.name == name })
}

// take are the heads that are to be anchored now. Of chains that are being written it is
// what is on the disk: else a power cut would look like tampering.
func (a *anchors) take(all bool) []anchor.Head {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.due || all {
		changed := a.changed
		a.changed, a.due = nil, false
		for _, c := range changed {
			c.changed.Store(false)
			h := c.chain.Durable()
			if now := a.now[c.name]; h.Seq > now.Seq {
				a.now[c.name] = anchor.Head{Chain: c.name, Seq: h.Seq, Hash: h.Hash.String()}
			}
			if h != c.chain.Head() && !c.changed.Swap(true) {
				a.later(c)
			}
		}
	}
	heads := slices.Collect(maps.Values(a.now))
	clear(a.now)
	return heads
}

// back gives heads back that could not be anchored.
func (a *anchors) back(heads []anchor.Head) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range heads {
		if now, is := a.now[h.Chain]; !is || now.Seq < h.Seq {
			a.now[h.Chain] = h
		}
	}
}

// anchor does so until the bridge ends.
func (b *Bridge) anchor() {
	failed := false
	for ending := false; !ending; {
		select {
		case <-b.anchors.wake:
		case <-b.closing:
			ending = true
		}
		heads := b.anchors.take(ending)
		for len(heads) > 0 {
			some := heads[:min(len(heads), anchor.MaxHeads)]
			ctx, cancel := context.WithTimeout(context.Background(), anchorTime)
			_, err := b.ask(ctx, privsep.Request{Anchor: &privsep.Anchor{Heads: some}})
			cancel()
			if err != nil {
				b.anchors.back(heads)
				if !failed {
					b.Log.Tell(journal.Trouble, journal.About{}, "the record continues, but its anchors cannot be kept: %v", err)
				}
				failed = true
				time.AfterFunc(anchorAgain, b.anchors.signal)
				break
			}
			if failed {
				b.Log.Tell(journal.Trouble, journal.About{}, "the record's anchors are kept again")
			}
			failed, heads = false, heads[len(some):]
		}
	}
}

// anchorOwn notes that the bridge's own chain has changed. One that runs by hand may have
// its record elsewhere, under the same name.
func (b *Bridge) anchorOwn() {
	if b.Store != nil {
		b.anchors.change(b.own)
	}
}
