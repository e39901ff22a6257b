package bridge

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/tape"
	"github.com/AgentaaU/AaaU/pkg/vtseq"
)

// watcher reads a session's output for itself, off everybody's way: for what asks
// for people's attention, for what asks a terminal when none is there to answer, and
// to know the screen, for who comes later or could not follow. The program waits for it
// as long as it moves: a screen of which something is missing would be none.
type watcher struct {
	b     *Bridge
	l     *live
	calls chan func()   // what is to be done with the screen
	last  chan struct{} // closed by leave: no more output comes
	done  chan struct{} // closed when run has returned

	scan     vtseq.Output
	cursor   *tape.Cursor
	printed  time.Time // when output was last found
	calling  calling
	drawing  *drawing
	answered []byte // to what the program asked of its terminal, and is not recorded

	mu    sync.Mutex // held to use the drawing when run has returned
	blind bool       // then: there is none, or it is not to be trusted
}

// newWatcher is for a session that has not been started: however short it is, nothing
// of it is missed.
func newWatcher(b *Bridge, l *live) *watcher {
	w := &watcher{b: b, l: l, calls: make(chan func()), last: make(chan struct{}), done: make(chan struct{})}
	hold := tape.WhileReading
	if l.Pipes { // there is nothing in it
		hold = tape.Never
	}
	w.cursor, _ = l.Read(l.LookedTo(session.Scan), hold) // nil: it has ended
	w.drawing = newDrawing(l, hold)                      // likewise
	return w
}

// leave has the watcher see what there still is, and returns when it has: what a
// program says last is told before its end.
func (w *watcher) leave() {
	close(w.last)
	<-w.done
}

// run watches until the session's end, or until it falls over what a program prints:
// its output is only kept then, and nobody is let in who would see it unlooked at.
func (w *watcher) run() {
	defer close(w.done)
	w.blind = true
	if w.l.begun != nil {
		<-w.l.begun // nothing is told of a session before its start
	}
	if w.cursor == nil || w.drawing == nil {
		return
	}
	defer w.cursor.Close()
	defer w.drawing.cursor.Close()
	if w.l.Poisonous() {
		w.b.tellPoisonous(w.l, "bridges before this one died of looking through its output")
		return
	}
	defer func() {
		if r := recover(); r != nil {
			w.l.SetPoisonous()
			w.b.tellPoisonous(w.l, fmt.Sprint(r))
		}
	}()
	// An earlier bridge may have died with more undrawn than the program may print: it waits
	// then, and nothing new comes that would have it drawn.
	w.drawing.keepUp(w.cursor.Pos())
	for ending := false; ; {
		for w.cursor.Behind() {
			w.look()
			select { // a program may print for ever
			case call := <-w.calls:
				w.do(call)
			case <-w.calling.over:
				w.tellCall()
			default:
			}
		}
		if ending {
			w.tellCall()
			w.drawing.draw(w.cursor.Pos())
			w.blind = false
			return
		}
		select {
		case <-w.cursor.More():
		case call := <-w.calls:
			w.do(call)
		case <-w.calling.over:
			w.tellCall()
		case <-w.last:
			ending = true
		}
	}
}

// look goes through some of what has come.
func (w *watcher) look() {
	data, lost := w.cursor.View(chunk)
	w.noteOutput(time.Now())
	if lost > 0 {
		w.scan = vtseq.Output{}
	}
	if !w.l.Pipes {
		w.scanAll(data)
	}
	w.cursor.Advance(len(data))
	w.l.Looked(session.Scan, w.cursor.Pos())
	if w.drawing.due(w.cursor.Pos()) {
		w.drawing.keepUp(w.cursor.Pos())
	}
}

// scanAll scans the data at the cursor, and notes how far that went, for the next bridge to
// know what this one died of. Recording answers and drawing take long, and are not what is
// noted here.
func (w *watcher) scanAll(data []byte) {
	for at := w.cursor.Pos(); len(data) > 0; {
		n := min(len(data), glance)
		w.l.Looking(session.Scan, at)
		w.scan.Scan(data[:n], w.found)
		if len(w.answered) > 0 { // recorded before it is said that this was looked at
			w.l.Pause(session.Scan, w.recordAnswers)
		}
		at, data = at+int64(n), data[n:]
	}
}

func (w *watcher) do(call func()) {
	w.drawing.draw(w.cursor.Head())
	call()
}

// errBlind is returned where there is no screen to be seen.
var errBlind = errors.New("the session's output cannot be looked through")

// call has something done when the screen is drawn, also after the session's end. An
// error means that it was not; errGone, that gone was closed before.
func (w *watcher) call(gone <-chan struct{}, do func(*drawing)) error {
	done, err := make(chan struct{}), errBlind
	select {
	case w.calls <- func() { defer close(done); do(w.drawing); err = nil }:
		<-done // also if run fell over it, which recovers
		return err
	case <-w.done:
		return w.callLate(do)
	case <-gone:
		return errGone
	}
}

// callLate is call when run has returned. If do falls over the drawing, that is not used again.
func (w *watcher) callLate(do func(*drawing)) (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.blind {
		return errBlind
	}
	defer func() {
		if r := recover(); r != nil {
			w.blind, err = true, errBlind
			w.b.tellPoisonous(w.l, fmt.Sprint(r))
		}
	}()
	do(w.drawing)
	return nil
}

// errGone is returned where whoever asked has gone.
var errGone = errors.New("gone")

func (w *watcher) found(f vtseq.Found) {
	switch f.Kind {
	case vtseq.Title:
		w.l.mu.Lock()
		w.l.title = f.Text
		w.l.mu.Unlock()
	case vtseq.Mode:
		w.l.switched(f.Param, f.On)
	case vtseq.Bell, vtseq.Notice:
		w.heard(f, time.Now())
	case vtseq.Asked:
		if w.l.isDriven() {
			return // its terminal answers
		}
		state := w.l.terminalState()
		if f.Query == vtseq.AskCursor || f.Query == vtseq.AskCursorExt {
			w.l.Pause(session.Scan, func() { w.drawing.draw(w.cursor.Head()) })
			state.Row, state.Col = w.drawing.screen.Cursor()
		}
		answer := vtseq.Answer(f, state)
		w.answered = append(w.answered, answer[:w.l.TryWrite(answer)]...)
		if len(w.answered) > chunk {
			w.l.Pause(session.Scan, w.recordAnswers)
		}
	}
}

// recordAnswers records what was typed in place of a terminal. A bridge that dies before
// it answers again, and so records it.
func (w *watcher) recordAnswers() {
	if len(w.answered) == 0 {
		return
	}
	rec := audit.NewAnswer(w.answered)
	if err := w.l.rec.write(rec); err != nil {
		w.l.rec.note(rec) // to be recorded when that is possible
	}
	w.answered = w.answered[:0]
}
