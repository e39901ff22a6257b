package bridge

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/AgentaaU/AaaU/pkg/tape"
	"github.com/AgentaaU/AaaU/pkg/vtseq"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// A client that is shown the screen begins with a snapshot of it, and then gets output
// from that very byte on. It gets another snapshot instead of what it was too slow for;
// and while its terminal has another size, views only.
//
//	          ┌─── the size is another ───┐
//	          ▼                           │
//	snapshot ─────▶ output ─── too slow ──┼──▶ snapshot
//	          ▲                           ▼
//	          └─── it is the same ──── views

// display is how a client is shown the screen.
type display struct {
	size atomic.Pointer[wire.Size] // of its terminal
	fits atomic.Bool               // that can show output as it is

	// The sender's, once it has the seat:
	watch   *watcher
	hears   bool      // words can be put on it
	words   speech    // what is to be said there
	drawn   bool      // it was sent a snapshot, and everything since
	history int       // lines of it, before the first snapshot
	anew    bool      // a snapshot is due
	from    int64     // what the client has seen before; nothing is said of a negative one
	missed  bool      // what it has not seen came while no bridge was there, and is gone
	owed    int64     // how far behind it came back from another bridge, less what it has caught up
	viewing bool      // views are sent, and no output
	viewed  int64     // up to where the last showed it
	viewIn  wire.Size // for which it was
	drew    time.Time // when it was
	mark    int64     // an offset
	marked  time.Time // when it was the last
	stuck   time.Time // since when the client takes nothing; zero: it does
}

const (
	// viewEvery is how often a view is sent at most.
	viewEvery = 100 * time.Millisecond
	// tooLate is how old output may become before a client gets it, if it is more than
	// tooFar, in bytes: it is shown the screen as it is then, instead.
	tooLate = 3 * time.Second
	tooFar  = 64 << 10
)

// paints says whether what is to be sent next is a picture.
func (d *display) paints() bool {
	return d != nil && (d.anew || d.viewing || !d.fits.Load())
}

// late says whether a client has not come in tooLate to where the output was, or has
// taken nothing for that time. Output that came while the client was without a bridge does
// not count: it is not the terminal that is slow.
func (d *display) late(c *tape.Cursor) bool {
	behind := c.Head() - c.Pos()
	d.owed = min(d.owed, behind)
	stuck := d.stuck
	if d.stuck = (time.Time{}); !stuck.IsZero() && time.Since(stuck) > tooLate && behind > tooFar {
		return true
	}
	if c.Pos() >= d.mark-d.owed {
		d.mark, d.marked = c.Head(), time.Now()
		return false
	}
	return behind-d.owed > tooFar && time.Since(d.marked) > tooLate
}

// waits notes that the client takes nothing just now.
func (d *display) waits() {
	if d != nil && d.stuck.IsZero() {
		d.stuck = time.Now()
	}
}

// skip has a client that has come so far be shown the screen as it is.
func (d *display) skip(from int64) { d.anew, d.from = true, from }

// showAnew has a client be shown the screen whose terminal shows something else.
func (d *display) showAnew() {
	if d != nil {
		d.skip(-1)
		d.viewIn = wire.Size{}
	}
}

// redraw has the client's own terminal be shown the screen anew: something else was on it
// meanwhile. What was said then has not been seen, and so it is said again why the session is
// frozen.
func (c *client) redraw(_ context.Context, _ wire.Request, l *live) (wire.Reply, error) {
	if l != c.in || c.shown == nil {
		return wire.Reply{}, refusal("no-terminal", "session %s is not shown on a terminal of yours by this connection", l.ID)
	}
	c.out.send(item{anew: true})
	if c.shown.hears {
		for _, why := range l.Frozen() {
			c.out.offerItem(item{words: why})
		}
	}
	return wire.Reply{}, nil
}

// due is ready when the next view may be sent, or something is to be done about words.
func (d *display) due(c *tape.Cursor) <-chan time.Time {
	if d == nil {
		return nil
	}
	next := d.words.next()
	if d.viewing && c.Head() != d.viewed {
		if view := d.drew.Add(viewEvery); next.IsZero() || view.Before(next) {
			next = view
		}
	}
	if next.IsZero() {
		return nil
	}
	return time.After(max(0, time.Until(next)))
}

// paint makes the picture that is due, and says whether there was one.
func (o *sender) paint(ending bool) bool {
	if o.seat == nil || o.seat.shown == nil {
		return false
	}
	d := o.seat.shown
	fits := d.fits.Load()
	if fits && d.viewing {
		d.viewing = false
		d.skip(-1)
	}
	switch {
	case !fits && o.view(d, ending):
		return true
	case fits && d.anew:
		return o.snapshot(d)
	}
	return o.speak(d, ending)
}

// snapshot makes one, and has output go on after it.
func (o *sender) snapshot(d *display) bool {
	var snapshot []byte
	var next int64
	err := d.watch.call(o.gone, func(now *drawing) { snapshot, next = now.snapshot(d.history) })
	if err != nil {
		o.seat.shown = nil // what there is, is sent as it is
		return false
	}
	if skipped := next - d.from; d.from >= 0 && skipped > 0 {
		why := fmt.Sprintf("%d bytes of output were too fast for this terminal: this is the screen now", skipped)
		if d.missed {
			why = fmt.Sprintf("%d bytes of output came while this terminal was without a bridge, and are not shown: this is the screen now", skipped)
		}
		o.pending = append(o.pending, o.enc.News(wire.Event{Time: now(), Kind: wire.EventSkipped, Session: o.seat.session.ID, Message: why, Count: int(skipped)})...)
		d.say(why)
	}
	d.missed, d.owed = false, 0
	o.redraw(snapshot, next)
	o.seat.streams[0].goOn(next)
	d.anew, d.history, d.mark, d.drawn = false, 0, 0, true
	return true
}

// view makes one, if there is something new to be seen, and it is time.
func (o *sender) view(d *display, ending bool) bool {
	cursor, size := o.seat.streams[0].cursor, *d.size.Load()
	fresh := !d.viewing || size != d.viewIn
	if !fresh && (d.viewed == cursor.Head() || !ending && time.Since(d.drew) < viewEvery) {
		return false
	}
	var view []byte
	err := d.watch.call(o.gone, func(now *drawing) {
		view, d.viewed = now.screen.View(int(size.Rows), int(size.Cols)), now.cursor.Pos()
	})
	if err != nil {
		o.seat.shown = nil // likewise
		return false
	}
	if fresh {
		view = append(append(vtseq.AppendReset(nil), "\x1b[H\x1b[2J"...), view...)
	}
	o.redraw(view, -1)
	cursor.Move(d.viewed)
	d.viewing, d.anew, d.viewIn, d.drew = true, false, size, time.Now()
	return true
}

// redraw has a picture be sent, after which output goes on at next, or does not.
func (o *sender) redraw(p []byte, next int64) {
	o.seat.shown.words.stands = "" // the client takes them away
	for ; len(p) > chunk; p = p[chunk:] {
		o.pending = append(o.pending, o.enc.Redraw(-1, p[:chunk])...)
	}
	o.pending = append(o.pending, o.enc.Redraw(next, p)...)
}
