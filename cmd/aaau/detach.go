package main

import (
	"bytes"
	"slices"
	"time"

	"github.com/AgentaaU/AaaU/pkg/vtseq"
)

// How to detach: the key this many times within this time, as with machinectl(1).
const (
	detachCount = 3
	detachTime  = time.Second
	// unfinishedTime is how long the beginning of a sequence is held: what is behind it is
	// on its way then, or somebody has pressed Escape and must not notice the wait.
	unfinishedTime = 20 * time.Millisecond
)

// detachKeys watches what is typed for the key that detaches, in whichever protocol the
// terminal sends it. A press that may be one of three is held back for as long as it may
// be. The program gets it, in its place, when it was not, and never when it was.
type detachKeys struct {
	key   byte // 0: there is none
	keys  vtseq.Keys
	held  []heldPress
	begun time.Time // when the unfinished sequence in keys came
	out   []byte    // what the last call has returned
}

// heldPress is a press of the key, with its releases.
type heldPress struct {
	bytes []byte
	at    time.Time
}

// take looks through what was typed just now. It returns what the program is to get of
// it, and of what was held back, until the next call; and whether the person detaches,
// with which everything after that is dropped.
func (d *detachKeys) take(typed []byte, now time.Time) (pass []byte, detach bool) {
	if d.key == 0 {
		return typed, false
	}
	d.out = d.out[:0]
	unfinished := d.keys.Unfinished()
	switch {
	case unfinished:
	case len(d.held) == 0 && bytes.IndexByte(typed, d.key) < 0 && bytes.IndexByte(typed, 0x1b) < 0:
		return typed, false
	case len(typed) == 1 && typed[0] == d.key && d.key != 0x1b: // also in a paste that never ends
		d.expire(now)
		return d.out, d.pressed(typed, now)
	}
	d.expire(now)
	d.keys.Split(typed, func(piece []byte, key vtseq.Key) { detach = d.piece(piece, key, now) || detach })
	if d.keys.Unfinished() {
		d.begun = now
	}
	return d.out, detach
}

// wait is how long the program waits at most for what is held back; false if nothing is.
func (d *detachKeys) wait(now time.Time) (time.Duration, bool) {
	var until time.Time
	if len(d.held) > 0 {
		until = d.held[0].at.Add(detachTime)
	}
	if d.keys.Unfinished() {
		if end := d.begun.Add(unfinishedTime); until.IsZero() || end.Before(until) {
			until = end
		}
	}
	return max(until.Sub(now), 0), !until.IsZero()
}

// late is take for when nothing was typed for that long.
func (d *detachKeys) late(now time.Time) (pass []byte, detach bool) {
	d.out = d.out[:0]
	d.expire(now)
	if d.keys.Unfinished() && now.Sub(d.begun) >= unfinishedTime {
		d.keys.Flush(func(piece []byte, key vtseq.Key) { detach = d.piece(piece, key, now) })
	}
	return d.out, detach
}

// rest is what is held back, when nothing more will be typed.
func (d *detachKeys) rest() []byte {
	d.out = d.out[:0]
	d.pass()
	d.keys.Flush(func(piece []byte, _ vtseq.Key) { d.out = append(d.out, piece...) })
	return d.out
}

// piece takes one key or what else there is; true if it completes the way out.
func (d *detachKeys) piece(p []byte, key vtseq.Key, now time.Time) (detach bool) {
	n := len(d.held)
	switch {
	case n == detachCount: // what comes behind the way out is for nobody
		return false
	case key.IsControl(d.key):
		return d.pressed(p, now)
	case n > 0 && key.ReleasesControl(d.key):
		d.held[n-1].bytes = append(d.held[n-1].bytes, p...)
		return false
	case key.Kind == vtseq.Report, key.Kind == vtseq.Release, key.IsModifier():
		// They are no key press between two others.
	default:
		d.pass()
	}
	d.out = append(d.out, p...)
	return false
}

// pressed holds a press of the key back.
func (d *detachKeys) pressed(p []byte, now time.Time) (detach bool) {
	d.held = append(d.held, heldPress{slices.Clone(p), now})
	return len(d.held) == detachCount
}

// expire lets go of the presses that can no longer be one of three.
func (d *detachKeys) expire(now time.Time) {
	for len(d.held) > 0 && now.Sub(d.held[0].at) >= detachTime {
		d.out = append(d.out, d.held[0].bytes...)
		d.held = slices.Delete(d.held, 0, 1)
	}
}

// pass lets go of all of them.
func (d *detachKeys) pass() {
	for _, h := range d.held {
		d.out = append(d.out, h.bytes...)
	}
	d.held = d.held[:0]
}

// keyName is a control key as it is written: ^].
func keyName(key byte) string { return "^" + string(rune(key|0x40)) }
