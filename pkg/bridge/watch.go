package bridge

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/AgentaaU/AaaU/pkg/screen"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/tape"
	"github.com/AgentaaU/AaaU/pkg/vtseq"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// watcher reads a session's output for itself, off everybody's way: for what asks
// for people's attention, for what asks a terminal when none is there to answer, and
// to draw the screen when somebody wants to know it.
type watcher struct {
	b     *Bridge
	l     *live
	peeks chan chan wire.Screen
	last  chan struct{} // closed by leave: no more output comes
	done  chan struct{} // closed when run has returned

	scan   vtseq.Output
	cursor *tape.Cursor
	rang   time.Time // when attention was asked for last

	screenNow *screen.Screen // nil until somebody asks
	drawn     int64          // up to where it is
}

// ringing is how often a session may ask for attention.
const ringing = time.Second

// newWatcher is for a session that has not been started: however short it is, nothing
// of it is missed.
func newWatcher(b *Bridge, l *live) *watcher {
	w := &watcher{b: b, l: l, peeks: make(chan chan wire.Screen), last: make(chan struct{}), done: make(chan struct{})}
	w.cursor, _ = l.Read(l.WatchedTo(), tape.Never) // nil: it has ended
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
	if w.l.begun != nil {
		<-w.l.begun // nothing is told of a session before its start
	}
	if w.cursor == nil {
		return
	}
	defer w.cursor.Close()
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
	for ending := false; ; {
		for w.cursor.Behind() {
			data, lost := w.cursor.View(chunk)
			if lost > 0 {
				w.scan = vtseq.Output{}
			}
			w.l.Watching(w.cursor.Pos())
			if !w.l.Pipes {
				w.scan.Scan(data, w.found)
			}
			w.cursor.Advance(len(data))
			w.l.Watched(w.cursor.Pos())
		}
		if ending {
			return
		}
		select {
		case <-w.cursor.More():
		case reply := <-w.peeks:
			w.draw(w.cursor.Head())
			reply <- w.picture()
		case <-w.last:
			ending = true
		}
	}
}

// screen tells what the session shows.
func (w *watcher) screen(ctx context.Context) (wire.Screen, error) {
	reply := make(chan wire.Screen, 1)
	select {
	case w.peeks <- reply:
	case <-w.l.Ended():
		return wire.Screen{}, session.ErrEnded
	case <-ctx.Done():
		return wire.Screen{}, ctx.Err()
	}
	select {
	case s := <-reply:
		return s, nil
	case <-ctx.Done():
		return wire.Screen{}, ctx.Err()
	}
}

// The size of a page that a session with pipes, which has no terminal, is shown on.
const pageRows, pageCols = 24, 80

// draw brings the screen up to an offset. The first time it begins with the oldest
// output that is on the tape.
func (w *watcher) draw(upTo int64) {
	rows, cols := w.l.Size()
	if w.l.Pipes {
		rows, cols = pageRows, pageCols
	}
	if w.screenNow == nil {
		w.screenNow = screen.New(int(rows), int(cols))
	}
	w.screenNow.Resize(int(rows), int(cols))
	from, err := w.l.Read(w.drawn, tape.Never)
	if err != nil {
		return
	}
	defer from.Close()
	for from.Pos() < upTo {
		data, _ := from.View(chunk)
		data = data[:min(int64(len(data)), upTo-from.Pos())]
		if w.l.Pipes { // nobody has made a new line of it yet
			data = bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n"))
			_, _ = w.screenNow.Write(data)
			from.Advance(len(data) - bytes.Count(data, []byte("\n")))
			continue
		}
		_, _ = w.screenNow.Write(data) // it takes everything
		from.Advance(len(data))
	}
	w.drawn = from.Pos()
}

// maxText bounds the text of a screen, in bytes: a frame must hold it.
const maxText = 100 << 10

func (w *watcher) picture() wire.Screen {
	text := w.screenNow.Text()
	if len(text) > maxText {
		text = text[:maxText]
		text = text[:bytes.LastIndexByte([]byte(text), '\n')+1]
	}
	row, col := w.screenNow.Cursor()
	rows, cols := w.screenNow.Size()
	return wire.Screen{Text: text, Row: row, Col: col, Rows: rows, Cols: cols}
}

func (w *watcher) found(f vtseq.Found) {
	switch f.Kind {
	case vtseq.Title:
		w.l.mu.Lock()
		w.l.title = f.Text
		w.l.mu.Unlock()
	case vtseq.Bell, vtseq.Notice:
		if time.Since(w.rang) < ringing {
			return
		}
		w.rang = time.Now()
		e := w.l.event(wire.EventAttention, f.Text)
		e.Title = f.Title
		if f.Kind == vtseq.Bell {
			e.Message = "the bell"
		}
		w.b.publish(e, w.l)
	case vtseq.Asked:
		if w.l.isDriven() {
			return // its terminal answers
		}
		rows, cols := w.l.Size()
		state := vtseq.State{Rows: int(rows), Cols: int(cols)}
		if f.Query == vtseq.AskCursor || f.Query == vtseq.AskCursorExt {
			w.draw(w.cursor.Head())
			state.Row, state.Col = w.screenNow.Cursor()
		}
		w.l.TryWrite(vtseq.Answer(f, state))
	}
}
