package client

import (
	"time"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// untold is what a bridge says in words on the client's terminal, and what nobody knows any
// more if it dies before its person could read that: the next bridge is told, and says it
// again. It belongs to Copy's goroutine.
type untold struct {
	skipped uint64 // bytes of output that were left out
	missing uint64 // bytes of input that were lost
	shown   time.Time
}

// readWithin is how long words must be there until they count as read: the bridge shows one
// sentence for some seconds, and others before it.
const readWithin = 5 * time.Second

// heard notes what a frame of the bridge's says, or shows.
func (u *untold) heard(t wire.Type, payload []byte) {
	switch t {
	case wire.News:
		var e wire.Event
		if err := wire.Decode(payload, &e); err == nil && e.Kind == wire.EventSkipped {
			u.add(uint64(max(0, e.Count)), 0)
		}
	case wire.Overlay:
		if show, _, err := wire.ParseOverlay(payload); err == nil && len(show) > 0 && u.shown.IsZero() {
			u.shown = time.Now()
		}
	}
}

func (u *untold) add(skipped, missing uint64) {
	if skipped+missing > 0 {
		*u = untold{skipped: u.skipped + skipped, missing: u.missing + missing}
	}
}

// rest is what is still to be said. Whoever asks has it said: it is to be shown anew.
func (u *untold) rest() (skipped, missing uint64) {
	if !u.shown.IsZero() && time.Since(u.shown) >= readWithin {
		*u = untold{}
	}
	u.shown = time.Time{}
	return u.skipped, u.missing
}
