package main

import (
	"fmt"
	"time"

	"github.com/AgentaaU/AaaU/pkg/render"
	"github.com/AgentaaU/AaaU/pkg/screen"
	"github.com/AgentaaU/AaaU/pkg/vtseq"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// viewEvery is how often a recording that does not fit is drawn, at most.
const viewEvery = 20 * time.Millisecond

// fitting shows a recording on a terminal of another size. What is printed to the main screen
// of one that is large enough goes there as it is, with all that scrolls. Else a full-screen
// program's lines would not end where they did: its screen is drawn here, and of that is
// shown what there is room for.
type fitting struct {
	s    *screen.Screen
	size func() wire.Size // of the terminal
	out  func([]byte) error

	held    []byte    // may become a mark
	cramped bool      // some of the recording did not fit: from then on all of it is drawn
	dirty   bool      // what the terminal shows is not what was drawn
	shown   wire.Size // of the terminal, when it was shown last
	at      time.Time // then
}

// newFitting is nil where the recording has no size.
func newFitting(rows, cols int, size func() wire.Size, out func([]byte) error) *fitting {
	if rows <= 0 || cols <= 0 {
		return nil
	}
	f := &fitting{s: screen.New(rows, cols), size: size, out: out}
	f.resize(rows, cols)
	return f
}

// resize is a new size of the recording.
func (f *fitting) resize(rows, cols int) {
	f.s.Resize(rows, cols)
	now := f.size()
	if rows > int(now.Rows) || cols > int(now.Cols) {
		f.cramped = true
	}
	f.dirty = f.dirty || f.views()
}

// views says whether the screen is drawn here.
func (f *fitting) views() bool {
	rows, cols := f.s.Size()
	now := f.size()
	return f.cramped || f.s.Alternate() && (rows != int(now.Rows) || cols != int(now.Cols))
}

// write shows more of the recording.
func (f *fitting) write(b []byte) (err error) {
	left := render.Pieces(append(f.held, b...), func(piece, mark []byte) {
		if err == nil && len(piece) > 0 {
			err = f.piece(piece)
		}
		if err == nil && len(mark) > 0 {
			err = f.mark(mark)
		}
	})
	f.held = append([]byte(nil), left...)
	if err == nil && f.dirty && time.Since(f.at) >= viewEvery {
		err = f.view()
	}
	return err
}

func (f *fitting) piece(b []byte) error {
	_, _ = f.s.Write(b) // it takes everything
	if !f.views() {
		return f.out(b)
	}
	f.dirty = true
	return nil
}

// mark shows what erases a screen, or has the other one shown. The terminal switches its
// screens too, so that what its main screen shows stays.
func (f *fitting) mark(b []byte) error {
	alternate := f.s.Alternate()
	_, _ = f.s.Write(b)
	f.dirty = f.views()
	if f.cramped {
		return nil
	}
	if alternate && !f.s.Alternate() { // a cursor that was hidden there was not shown again
		b = append(append([]byte(nil), b...), "\x1b[m\x1b[?25h"...)
	}
	return f.out(b)
}

// refresh shows what has not been shown yet, or is to be shown in another size.
func (f *fitting) refresh() error {
	if f.dirty || f.views() && f.size() != f.shown {
		return f.view()
	}
	return nil
}

// anew is what makes a terminal in whatever state show the screen as it is now. Where that
// ends within a sequence, the rest of the sequence is lost.
func (f *fitting) anew() []byte {
	if !f.views() {
		snapshot, _ := f.s.Snapshot(0)
		return snapshot
	}
	f.dirty, f.at, f.shown = false, time.Now(), f.size()
	b := append(vtseq.AppendReset(nil), "\x1b[H\x1b[2J"...)
	return append(b, f.s.View(int(f.shown.Rows), int(f.shown.Cols))...)
}

func (f *fitting) view() error {
	f.dirty, f.at, f.shown = false, time.Now(), f.size()
	return f.out(f.s.View(int(f.shown.Rows), int(f.shown.Cols)))
}

// end shows the last of it, and has the cursor where the terminal's next line can begin.
func (f *fitting) end() error {
	held := f.held
	f.held = nil
	if err := f.piece(held); err != nil || !f.views() {
		return err
	}
	if err := f.refresh(); err != nil {
		return err
	}
	return f.out(fmt.Appendf(nil, "\x1b[%d;1H", f.size().Rows))
}
