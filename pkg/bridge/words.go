package bridge

import (
	"fmt"
	"slices"
	"time"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Words of AaaU's own (the session is frozen, typing is not allowed …) stand on a client's
// terminal for some seconds, over what the session's program shows there. The bridge has a
// picture of the screen, so it knows what restores it; pkg/screen's Words makes both from
// the same picture. They go in one frame (wire.Overlay) when the client has been sent all
// output; whatever it is sent next has it restore the screen first.

const (
	// standFor is how long words stand, and standAtLeast how long while others wait.
	standFor     = 5 * time.Second
	standAtLeast = 1500 * time.Millisecond
	// wordsEvery is how often words are put on the terminal again at most, after output.
	wordsEvery = 100 * time.Millisecond
	// frameWithin is how long the end of a frame is waited for that a program has begun
	// (synchronized output), and noRoomFor how long for any moment that suits.
	frameWithin = time.Second
	noRoomFor   = time.Minute
	// maxSentences bounds how many wait, with the one that stands.
	maxSentences = 4
)

// speech is what is to be said on a client's terminal. It belongs to its sender.
type speech struct {
	waiting []string  // the first is being said
	came    time.Time // when it became the first
	since   time.Time // when it was shown first; zero: not yet
	stands  string    // what is on the terminal now
	in      wire.Size // of the terminal then
	tried   time.Time // when it was last tried to put it there
	framed  time.Time // when the program was first found in the midst of a frame; zero: it is not
}

// say has something be said on the client's terminal. What is said already stands longer.
func (d *display) say(sentence string) {
	if d == nil || !d.hears || sentence == "" {
		return
	}
	w := &d.words
	switch i := slices.Index(w.waiting, sentence); {
	case i == 0 && !w.since.IsZero():
		w.since = time.Now()
		return
	case i >= 0:
		return
	case len(w.waiting) == maxSentences:
		w.waiting = slices.Delete(w.waiting, 1, 2)
	case len(w.waiting) == 0:
		w.came = time.Now()
	}
	w.waiting = append(w.waiting, sentence)
}

// until is when the first sentence has been said.
func (w *speech) until() time.Time {
	switch {
	case w.since.IsZero():
		return w.came.Add(noRoomFor)
	case len(w.waiting) > 1:
		return w.since.Add(standAtLeast)
	default:
		return w.since.Add(standFor)
	}
}

// next is when there is something to be done about words; zero: never.
func (w *speech) next() time.Time {
	switch {
	case len(w.waiting) == 0:
		return time.Time{}
	case w.stands == w.waiting[0]:
		return w.until()
	default:
		return w.tried.Add(wordsEvery)
	}
}

// pop continues with the next sentence if the first has been said.
func (w *speech) pop(now time.Time) {
	if now.Before(w.until()) {
		return
	}
	w.waiting = slices.Delete(w.waiting, 0, 1)
	w.came, w.since, w.framed = now, time.Time{}, time.Time{}
}

// speak puts words on the client's terminal, or takes them away, if it is time. It says
// whether there is something to be sent, or painted first.
func (o *sender) speak(d *display, ending bool) bool {
	w := &d.words
	if len(w.waiting) == 0 || ending { // at the end the client restores its screen itself
		return false
	}
	now, size := time.Now(), *d.size.Load()
	if w.stands != "" && !size.SameCells(w.in) { // what restores it was for another size
		w.stands = ""
		if !d.viewing {
			d.skip(-1)
			return true
		}
	}
	w.pop(now)
	if len(w.waiting) == 0 {
		if w.stands == "" {
			return false
		}
		w.stands = ""
		o.pending = append(o.pending, o.enc.Overlay(nil, nil)...)
		return true
	}
	if w.stands == w.waiting[0] || now.Sub(w.tried) < wordsEvery || !d.viewing && o.seat.streams[0].cursor.Behind() {
		return false
	}
	w.tried = now
	show, restore, known := o.words(d, size, now)
	switch {
	case !known:
		d.skip(-1) // whatever the terminal shows, it is drawn anew
		return true
	case show == nil:
		return false
	}
	if w.since.IsZero() {
		w.since = now
	}
	w.stands, w.in = w.waiting[0], size
	o.pending = append(o.pending, o.enc.Overlay(show, restore)...)
	return true
}

// words makes what shows the first sentence; nil if that is not possible now. Of a terminal
// of which it is not known what it shows, it says so.
func (o *sender) words(d *display, size wire.Size, now time.Time) (show, restore []byte, known bool) {
	w, cursor, known := &d.words, o.seat.streams[0].cursor, true
	sentence := "aaau: " + w.waiting[0]
	err := d.watch.call(o.gone, func(is *drawing) {
		if d.viewing {
			show, restore = is.screen.ViewWords(sentence, int(size.Rows), int(size.Cols))
			return
		}
		rows, cols := is.screen.Size()
		if is.cursor.Pos() != cursor.Pos() || size.Rows > 0 && size.Cols > 0 && !size.SameCells(wire.Size{Rows: uint16(rows), Cols: uint16(cols)}) {
			return // the client does not show this
		}
		switch {
		case !is.screen.Synchronized():
			w.framed = time.Time{}
		case w.framed.IsZero():
			w.framed = now
			return
		case now.Sub(w.framed) < frameWithin:
			return
		}
		known = d.drawn || is.screen.IsKnown()
		show, restore = is.screen.Words(sentence, d.drawn)
	})
	if err != nil {
		o.seat.shown = nil // what there is, is sent as it is
		return nil, nil, true
	}
	return show, restore, known
}

// inWords is what a person in a session is told of an event: those that explain what they
// see, and are not their own doing. Who comes and goes is for aaau status and aaau events.
func (c *client) inWords(e wire.Event) string {
	if e.Client == c.id {
		return ""
	}
	switch e.Kind {
	case wire.EventKill:
		return e.User + " sends " + e.Message
	case wire.EventFreeze, wire.EventThaw, wire.EventTrouble, wire.EventDeadline:
		return e.Message
	}
	return ""
}

// awayFor is for how long a bridge must have been away for that to be worth saying.
const awayFor = 2 * time.Second

// skippedBefore is what a client is told in words that comes back from a bridge which died
// before its own words about this could be read.
func skippedBefore(req wire.OpenRequest) string {
	if req.Skipped == 0 {
		return ""
	}
	return fmt.Sprintf("%d bytes of output were left out before the bridge was restarted", req.Skipped)
}

// cameBack is what a client is told in words that comes back from a bridge which has died.
func cameBack(req wire.OpenRequest, reply wire.OpenReply) (sentence string) {
	if req.Away >= awayFor.Seconds() {
		sentence = fmt.Sprintf("the bridge was away for %.0f s", req.Away)
	}
	missing := req.Missing
	if reply.Known && reply.Typed < req.Sent {
		missing += req.Sent - reply.Typed
	}
	if missing > 0 {
		if sentence == "" {
			sentence = "the bridge was restarted"
		}
		sentence += fmt.Sprintf(": the last %d bytes that were typed before did not arrive, or may not have", missing)
	}
	return sentence
}
