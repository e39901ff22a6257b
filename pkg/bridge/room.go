package bridge

import (
	"context"
	"fmt"
	"time"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// The record's disk has a reserve, which sessions leave, and a session may print only so
// much, in all and in a second.

const (
	// budget is the reason for which a session is frozen that has printed too much.
	budget = "budget"
	// roomEvery is how much is recorded before it is looked how much room there is.
	roomEvery = 1 << 20
)

// pace takes as long as n bytes may take. The program waits when the tape is full.
func (r *recorder) pace(n int) {
	if rate := r.b.RecordRate; rate > 0 {
		select {
		case <-time.After(time.Duration(float64(n) / float64(rate) * float64(time.Second))):
		case <-r.last: // the rest of it is on the tape
		case <-r.b.closing:
		}
	}
}

// roomLeft is an error if the disk has not the room that must be left: for the ends of
// sessions, and who comes and goes.
func (b *Bridge) roomLeft() error {
	free, err := b.Record.Room()
	if err == nil && free < b.RecordReserve {
		err = fmt.Errorf("its disk has %d MiB left, and %d are to be left (record-reserve= in aaau.conf)", free>>20, b.RecordReserve>>20)
	}
	return err
}

// room is roomLeft, now and then.
func (r *recorder) room() error {
	if r.spent < roomEvery {
		return nil
	}
	if err := r.b.roomLeft(); err != nil {
		return err
	}
	r.spent = 0
	r.budget()
	return nil
}

// budget freezes a session that has printed more than it may.
func (r *recorder) budget() {
	select {
	case <-r.last:
		return // there is nobody to be frozen
	default:
	}
	r.l.mu.Lock()
	most := r.b.RecordSessionMax + r.l.recording.Granted
	r.l.mu.Unlock()
	if _, is := r.l.Frozen()[budget]; is || r.b.RecordSessionMax == 0 || r.l.Bytes() < most {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), launchTimeout)
	defer cancel()
	why := fmt.Sprintf("the session has printed %d MiB, as much as is recorded of one (record-session-max= in aaau.conf): it is frozen; an Admin may grant it as much again: aaau thaw %s", r.l.Bytes()>>20, r.l.ID)
	if err := r.b.freeze(ctx, r.l, budget, r.l.event(wire.EventFreeze, why)); err != nil {
		r.l.trouble("%v", err)
	}
}

// grant lets a session print as much again.
func (b *Bridge) grant(ctx context.Context, l *live, e wire.Event) error {
	l.mu.Lock()
	l.recording.Granted = l.Bytes()
	l.mu.Unlock()
	return b.thaw(ctx, l, budget, e)
}

// mayRecord refuses a new session that there is no room to record: sooner than any that
// goes on is frozen for it.
func (b *Bridge) mayRecord() error {
	free, err := b.Record.Room()
	if err == nil && free < 2*b.RecordReserve {
		err = fmt.Errorf("its disk has %d MiB left, and new sessions need twice record-reserve= (%d MiB)", free>>20, b.RecordReserve>>20)
	}
	if err != nil {
		return refusal(record, "the record cannot be written, so no session starts: %v", err)
	}
	return nil
}
