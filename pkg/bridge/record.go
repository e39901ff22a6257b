package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/tape"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// recorder writes a session's record. It reads the session's tapes, and the program
// waits for it, however long: what is not recorded yet is not lost. While nothing can be
// recorded the session is frozen, what is typed is refused, and what happens is kept.
//
//	tape ────────────────────▶ run ──▶ audit.Chain
//	what happens ─ note ──▶ notes ──▶│
//	what is typed ─ write ───────────┘
type recorder struct {
	b      *Bridge
	l      *live
	tracks []*tape.Cursor // of output, and with pipes of errors

	input atomic.Int64 // bytes of what was typed, since the last look for room for it

	spent int64 // bytes that were recorded since the last look for room; of run

	writing sync.Mutex   // held while anything but output is recorded, so that it stays in order; before mu
	chain   *audit.Chain // nil: it could not be opened yet; guarded by writing
	head    anchored     // of the chain

	mu     sync.Mutex     // guards what follows, never held across I/O: others hold locks of theirs who note
	notes  []audit.Record // that are not in the chain
	taken  int            // how many of them are being recorded
	over   bool           // the chain has its end
	missed int            // notes for which there was no room, and of which nobody was told yet

	noted chan struct{} // has room for one: there are notes
	last  chan struct{} // closed by leave: no more output comes
	whole bool          // all of it is recorded; set before done
	short bool          // the rest of it never will be; likewise
	done  chan struct{} // closed when run has returned
}

// recording is how a session is recorded, as its profile says.
type recording struct {
	OnFailure string `json:"on_failure,omitempty"` // config.Freeze, which is also the default, Kill or Continue
	NoInput   bool   `json:"no_input,omitempty"`   // of what is typed the length only
	Granted   int64  `json:"granted,omitempty"`    // bytes of output that it may have beyond RecordSessionMax; guarded by live.mu
}

func (b *Bridge) recordingOf(profile string) recording {
	p, err := b.Config.Profile(profile)
	if err != nil { // the launcher has found it, or this is no session
		return recording{}
	}
	return recording{OnFailure: p.OnRecordFailure, NoInput: !p.RecordInput}
}

const (
	// record is the reason for which a session is frozen that cannot be recorded.
	record = "record"
	// recordAgain is how often it is tried then.
	recordAgain = time.Second
	// endTime is how long the end of a session waits to be recorded whose profile has it go
	// on without a record.
	endTime = 5 * time.Second
	// inputRecord is about how much a record of input takes beside what was typed, in bytes.
	inputRecord = 512
	// maxNotes bounds what is kept of a session that cannot be recorded. It is frozen, and
	// nobody joins it; there is no more than some of its people going.
	maxNotes = 10_000
)

// newRecorder is for a session that has not been started. An error means that its chain
// cannot be opened; then it is tried again by run.
func newRecorder(b *Bridge, l *live) (*recorder, error) {
	r := &recorder{b: b, l: l, spent: roomEvery, noted: make(chan struct{}, 1), last: make(chan struct{}), done: make(chan struct{})}
	var err error
	if r.tracks, err = l.read(0, 0, tape.Always); err != nil {
		return r, err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	return r, r.open()
}

// open opens the chain, and has the cursors be where it has come to. r.writing is held.
func (r *recorder) open() error {
	if r.chain != nil {
		return nil
	}
	chain, err := r.b.Record.Session(r.l.ID, r.l.User, r.l.SeparateErrors())
	if err != nil {
		return err
	}
	r.chain, r.head.name, r.head.chain = chain, r.l.ID, chain
	if chain.Head().Seq > 0 { // an earlier bridge may not have come to anchor the last
		r.b.anchors.change(&r.head)
	}
	for i, c := range r.tracks {
		c.Move(chain.Recorded(audit.Stream(i)))
	}
	return nil
}

// note has something be recorded soon. It waits for nothing, and does no I/O: callers hold
// locks. It says whether that will be: after the session's end nothing more is.
func (r *recorder) note(rec audit.Record) bool {
	r.mu.Lock()
	if r.over {
		r.mu.Unlock()
		return false
	}
	switch last := len(r.notes) - 1; {
	case last >= r.taken && isResize(rec) && isResize(r.notes[last]):
		r.notes[last] = rec // nothing is recorded that was printed at the size before
	case len(r.notes) < maxNotes:
		r.notes = append(r.notes, rec)
	default:
		r.missed++
	}
	r.mu.Unlock()
	select {
	case r.noted <- struct{}{}:
	default: // that is known
	}
	return true
}

func isResize(rec audit.Record) bool { return rec.Metadata.Kind() == audit.KindResize }

// hole tells what the record has not.
func (r *recorder) hole(format string, args ...any) {
	r.b.Log.Tell(journal.RecordHole, r.l.about(nil), "session %s: the record has a hole: "+format, append([]any{r.l.ID}, args...)...)
}

// typed is write for what somebody types, n bytes of it: it must not take the room either
// that output leaves.
func (r *recorder) typed(rec audit.Record, n int) error {
	if r.input.Add(int64(n)+inputRecord) >= roomEvery {
		if err := r.b.roomLeft(); err != nil {
			return err
		}
		r.input.Store(0)
	}
	return r.write(rec)
}

// write records something, after all notes; an error means that it is not recorded. After
// the session's end there is nothing more to be, nor the end again: the bridge that wrote
// it may have died before it could tell it.
func (r *recorder) write(rec audit.Record) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	if err := r.flush(); err != nil || r.chain.Ended() {
		return err
	}
	_, err := r.chain.Append(rec)
	r.b.anchors.change(&r.head)
	return err
}

// begin records the session's start, which is the first of the notes, and has that be on
// the disk and anchored soon. What cannot be recorded stays noted: the record of a session
// that did not come to pass for that begins with it, too, if it can be written later.
func (r *recorder) begin() error {
	r.writing.Lock()
	err := r.flush()
	r.writing.Unlock()
	if err != nil {
		return err
	}
	r.b.running.Go(func() {
		if err := r.chain.Sync(); err == nil { // else it is tried again, and the session frozen
			r.b.anchors.add(r.l.ID, r.chain.Durable(), false)
		}
	})
	return nil
}

// flush records the notes. r.writing is held.
func (r *recorder) flush() error {
	r.mu.Lock()
	missed := r.missed
	r.missed = 0
	r.mu.Unlock()
	if missed > 0 {
		r.hole("%d records of what people did", missed)
	}
	if err := r.open(); err != nil {
		return err
	}
	r.mu.Lock()
	if len(r.notes) == 0 || r.chain.Ended() {
		r.mu.Unlock()
		return nil
	}
	notes := slices.Clone(r.notes)
	r.taken = len(notes)
	r.mu.Unlock()
	r.b.anchors.change(&r.head)
	n, err := r.chain.Append(notes...)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes, r.taken = slices.Delete(r.notes, 0, n), 0 // more may have come after them
	return err
}

// leave has all be recorded that there is, and returns when it is; false if the bridge
// ends before.
func (r *recorder) leave() bool {
	close(r.last)
	<-r.done
	return r.whole
}

// run records until the session's end.
func (r *recorder) run() {
	defer close(r.done)
	defer closeAll(r.tracks)
	defer r.b.recording.Done()
	if r.l.begun != nil {
		<-r.l.begun // the session's start is recorded first
	}
	more := [2]<-chan struct{}{}
	for i, c := range r.tracks {
		more[i] = c.More()
	}
	last, ending := r.last, false
	var enough <-chan time.Time
	_, failing := r.l.Frozen()[record] // so an earlier bridge has found it
	for {
		if failing {
			r.hold(tape.Always) // what is being recorded is not written over meanwhile
		}
		err := r.all(ending)
		if r.whole = err == nil && ending; r.whole {
			return
		}
		var again <-chan time.Time
		if failing = r.failed(err, failing, ending); failing {
			again = time.After(recordAgain)
		}
		select {
		case <-r.b.closing:
			if err := r.all(false); err != nil { // the next bridge goes on with the output
				r.l.trouble("leaving the record: %v", err)
			}
			return
		case <-more[0]:
		case <-more[1]:
		case <-r.noted:
		case <-again:
		case <-last:
			last, ending, enough = nil, true, r.patience()
		case <-enough:
			r.forgo()
			return
		}
	}
}

// patience is ready when the end of a session need not wait any more for its record. For
// most that is never.
func (r *recorder) patience() <-chan time.Time {
	if r.l.recording.OnFailure == config.Continue {
		return time.After(endTime)
	}
	return nil
}

// forgo gives up what is not recorded of a session that has ended.
func (r *recorder) forgo() {
	missing := int64(0)
	for i, c := range r.tracks {
		from := c.Pos()
		if r.chain != nil {
			from = min(from, r.chain.Recorded(audit.Stream(i)))
		}
		missing += c.Head() - from
	}
	r.mu.Lock()
	notes := len(r.notes) - r.taken
	r.notes, r.short = r.notes[:r.taken], true // who writes just now takes those away
	r.mu.Unlock()
	r.hole("its end, %d bytes of output before it, and %d records of what people did", missing, notes)
}

// all records what there is now.
func (r *recorder) all(ending bool) error {
	r.writing.Lock()
	err := r.flush()
	r.writing.Unlock()
	if err != nil {
		return err
	}
	for i, c := range r.tracks {
		if err := r.stream(audit.Stream(i), c, ending); err != nil {
			return err
		}
	}
	return nil
}

// stream records what is on one tape, but for a character that has no end yet.
func (r *recorder) stream(which audit.Stream, c *tape.Cursor, ending bool) error {
	// Up to here, and no further: a program may print for ever, and there is more to be
	// done. More is ready again for what comes meanwhile.
	for upTo := c.Head(); c.Pos() < upTo; {
		if err := r.room(); err != nil && !ending { // what it leaves is for the end
			return err
		}
		data, _ := c.View(chunk)
		if lost := c.Pos() - r.chain.Recorded(which); lost > 0 {
			// The program waits for this cursor, unless its profile has it go on. But a chain
			// that was removed begins anew, when the tape has no longer what it began with.
			if err := r.chain.Miss(which, lost, "it was not kept until it could be recorded"); err != nil {
				return err
			}
			r.hole("%d bytes of %s", lost, which)
		}
		r.b.anchors.change(&r.head)
		n, err := r.chain.Output(which, data, ending && c.Pos()+int64(len(data)) == c.Head())
		c.Advance(n)
		r.b.stir()
		r.spent += int64(n)
		r.pace(n)
		if err != nil || n == 0 {
			return err
		}
	}
	return nil
}

// failed does what is to be done about the record's not being written, or being written
// again, and says whether it is not.
func (r *recorder) failed(err error, was, ending bool) bool {
	switch {
	case err != nil && !was:
		r.l.trouble("the record cannot be written: %v", err)
		r.freeze(err, ending)
	case err != nil:
		if _, is := r.l.Frozen()[record]; !is {
			r.freeze(err, ending) // it could not be; or it goes on again
		}
	case was:
		r.l.trouble("the record is written again")
		r.thaw()
	}
	return err != nil
}

func (r *recorder) freeze(err error, ending bool) {
	switch {
	case ending:
		return // there is nobody to be frozen; its end is told when it is recorded: see patience
	case r.l.recording.OnFailure == config.Continue:
		r.hold(tape.Never) // what the tape loses is a hole
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), launchTimeout)
	defer cancel()
	if r.l.recording.OnFailure == config.Kill {
		// It stays stored: should this bridge end first, the next one records its end.
		if err := r.b.kill(ctx, r.l.Session, syscall.SIGKILL); err != nil {
			r.l.trouble("%v", err) // likewise
		}
		return
	}
	why := fmt.Sprintf("the record cannot be written (%v): the session is frozen until it can; or end it: aaau kill %s", err, r.l.ID)
	if err := r.b.freeze(ctx, r.l, record, r.l.event(wire.EventFreeze, why)); err != nil {
		r.l.trouble("%v", err) // it waits where its output does
	}
}

// hold has the program wait for the recorder, or not.
func (r *recorder) hold(how tape.Hold) {
	for _, c := range r.tracks {
		c.SetHold(how)
	}
}

func (r *recorder) thaw() {
	r.hold(tape.Always)
	if _, is := r.l.Frozen()[record]; !is {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), launchTimeout)
	defer cancel()
	if err := r.b.thaw(ctx, r.l, record, r.l.event(wire.EventThaw, "the record is written again: the session continues")); err != nil {
		r.l.trouble("%v", err)
	}
}

// finish records a session's end, when all else is, and brings the record to the disk. It
// is tried again and again; false if the bridge ends before, or it is not waited for.
func (r *recorder) finish(end audit.Record) bool {
	<-r.done
	if r.short {
		return false
	}
	for enough := r.patience(); ; {
		err := r.write(end)
		if err == nil {
			// One that is closed is on the disk: the last time something else went wrong.
			if err = r.chain.Finish(); errors.Is(err, audit.ErrClosed) {
				err = nil
			}
		}
		if err == nil {
			r.b.anchors.add(r.l.ID, r.chain.Head(), true)
			return true
		}
		r.l.trouble("recording its end: %v", err)
		select {
		case <-r.b.closing:
			return false
		case <-enough:
			r.hole("its end")
			return false
		case <-time.After(recordAgain):
		}
	}
}

// close leaves the record of a session whose end is in it, or is a hole.
func (r *recorder) close() {
	<-r.done
	r.writing.Lock() // first: who writes just now takes away what it has written
	defer r.writing.Unlock()
	r.mu.Lock()
	late := r.notes
	r.notes, r.over = nil, true
	r.mu.Unlock()
	for _, rec := range late {
		r.b.recordOwn(rec, r.l.about(nil))
	}
	if r.chain == nil {
		return
	}
	if err := r.chain.Close(); err != nil && !errors.Is(err, audit.ErrClosed) {
		r.l.trouble("leaving the record: %v", err)
	}
	if !r.chain.Ended() || r.chain.Durable() != r.chain.Head() { // it was given up
		r.b.anchors.leave(r.l.ID, r.chain.Durable())
	}
}
