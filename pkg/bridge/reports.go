package bridge

import (
	"bytes"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/vtseq"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// A program may ask to be told of changes: whether its terminal has the focus (mode 1004),
// and its size in band (mode 2048). In a session the terminal that drives can change, or be
// away, without any terminal saying a word; so the bridge tells the program itself. What
// the driver's terminal says of its focus is passed on; what it says of its size is not,
// since the bridge writes that when it sizes the session's terminal.

// reports is what the program asked to be told, and what it was told last. live.mu guards
// all but owed.
type reports struct {
	focusOn bool // mode 1004 is set
	sizeOn  bool // mode 2048 is set

	focus session.Focus // as told last
	ours  bool          // the bridge told that, not the driver's terminal
	size  wire.Size     // as told last, in band

	owed atomic.Bool // something could not be written: whoever types next tells it
}

// remember takes over what an earlier bridge knew of the session.
func (l *live) remember() {
	r := &l.reports
	r.focusOn, r.sizeOn, r.focus = l.Reports()
	if r.sizeOn {
		r.size = l.FullSize()
	}
}

// switched notes that the program has set or reset one of the two modes. A program that
// sets mode 2048 is told its size at once.
func (l *live) switched(mode int, on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch mode {
	case vtseq.ModeFocus:
		l.reports.focusOn, l.reports.focus, l.reports.ours = on, session.FocusUnknown, false
	case vtseq.ModeInBandSize:
		l.reports.sizeOn, l.reports.size = on, wire.Size{}
	}
	l.SetReports(l.reports.focusOn, l.reports.sizeOn, l.reports.focus)
	l.tell()
}

// tell writes to the program what it asked to be told and does not know yet. Nothing is
// told before the client that has started the session joins it, nor while people are on
// their way back to a bridge that was restarted, or this one stops: nothing has changed for the program then. l.mu is held.
func (l *live) tell() { l.tellBy(l.TryWrite) }

// tellBy is tell by a way to write to the program. l.mu is held.
func (l *live) tellBy(write func([]byte) int) {
	r := &l.reports
	if l.Pipes || !r.focusOn && !r.sizeOn || l.expected || l.awaitsDriver() || l.watch.b.stopping.Load() {
		return
	}
	var report []byte
	focus, size := session.FocusOut, l.FullSize()
	if d := l.drives(); d != nil && !d.unfocused {
		focus = session.FocusIn
	}
	// A program that was told nothing takes it that its terminal has the focus.
	if tells := r.focusOn && focus != r.focus && (r.focus != session.FocusUnknown || focus == session.FocusOut); tells {
		report = append(report, map[session.Focus]string{session.FocusIn: focusIn, session.FocusOut: focusOut}[focus]...)
	} else {
		focus = r.focus
	}
	if r.sizeOn && size != r.size {
		report = fmt.Appendf(report, "\x1b[48;%d;%d;%d;%dt", size.Rows, size.Cols, size.YPixel, size.XPixel)
	}
	if len(report) == 0 {
		return
	}
	n := write(report)
	if r.owed.Store(n == 0); n == 0 {
		return
	}
	r.ours = r.ours || focus != r.focus
	r.focus, r.size = focus, size
	l.SetReports(r.focusOn, r.sizeOn, r.focus)
	l.rec.note(audit.NewAnswer(report[:n]))
}

const focusIn, focusOut = "\x1b[I", "\x1b[O"

// TypeAfter is the session's. Before and after it the program is told what could not be written
// while somebody typed: that somebody else has come to the keyboard is told before what they type.
func (l *live) TypeAfter(at *session.Place, data []byte, still func() bool, first func() error) error {
	tellOwed := func(write func([]byte) int) {
		if l.reports.owed.Load() {
			l.mu.Lock()
			l.tellBy(write)
			l.mu.Unlock()
		}
	}
	err := l.Session.TypeAfter(at, data, still, func() error {
		tellOwed(l.WriteInTurn)
		return first()
	})
	tellOwed(l.TryWrite)
	return err
}

// awaitsDriver says whether somebody who may drive was here in another bridge's time, and
// may be about to be back. l.mu is held.
func (l *live) awaitsDriver() bool {
	for _, cursors := range l.awaited {
		if cursors != nil {
			return true
		}
	}
	return false
}

// heard takes what a client's terminal said by itself, and says whether the program is to
// get it as it is. Of a client that does not drive, the program gets nothing.
func (l *live) heard(c *client, report []byte, drives bool) (pass bool) {
	switch string(report) {
	case focusIn, focusOut:
		return l.heardFocus(c, string(report) == focusIn, drives)
	}
	if size, ok := inBandSize(report); ok {
		l.heardSize(c, size)
		return false
	}
	return drives
}

func (l *live) heardFocus(c *client, in, drives bool) (pass bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.unfocused = !in
	if !drives {
		return false
	}
	r, focus := &l.reports, session.FocusOut
	if in {
		focus = session.FocusIn
	}
	known := r.ours && r.focus == focus // a terminal says so when a new driver's is put into the mode
	r.focus, r.ours = focus, false
	l.SetReports(r.focusOn, r.sizeOn, r.focus)
	return !known
}

// heardSize takes from a terminal's own report the pixels, if its kernel did not know them.
func (l *live) heardSize(c *client, size wire.Size) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.inBand = size
	if c.size.XPixel == 0 && c.size.SameCells(size) {
		c.size = size
		l.arrange()
	}
}

// inBandSize reads CSI 48 ; rows ; columns ; height ; width t.
func inBandSize(report []byte) (wire.Size, bool) {
	params, begins := bytes.CutPrefix(report, []byte("\x1b[48;"))
	params, ends := bytes.CutSuffix(params, []byte("t"))
	if !begins || !ends {
		return wire.Size{}, false
	}
	var ns [4]uint16
	fields := bytes.Split(params, []byte(";"))
	if len(fields) != len(ns) {
		return wire.Size{}, false
	}
	for i, f := range fields {
		n, err := strconv.ParseUint(string(f), 10, 16)
		if err != nil {
			return wire.Size{}, false
		}
		ns[i] = uint16(n)
	}
	return wire.Size{Rows: ns[0], Cols: ns[1], YPixel: ns[2], XPixel: ns[3]}, true
}

// sized is the size of a client's terminal: with pixels that follow from what the terminal
// itself said of others, if its kernel does not know them. in.mu is held.
func (c *client) sized(size wire.Size) wire.Size {
	if b := c.inBand; size.XPixel == 0 && size.YPixel == 0 && b.Rows > 0 && b.Cols > 0 {
		size.YPixel = uint16(uint64(b.YPixel) / uint64(b.Rows) * uint64(size.Rows))
		size.XPixel = uint16(uint64(b.XPixel) / uint64(b.Cols) * uint64(size.Cols))
	}
	return size
}

// heldTime is how long the beginning of what may be a report of the driver's terminal waits
// for the rest: if none comes, keys were typed.
const heldTime = 300 * time.Millisecond

// sorted is what a client's terminal sent.
type sorted struct {
	all     []byte // for the program
	typed   []byte // of that, what a person typed
	reports []byte // and what the terminal said by itself
}

// typed writes what a client's terminal sent. What a terminal says by itself is taken from
// the one that drives alone, and is not recorded as typed; what a person types makes them
// drive. Pipes take any byte.
func (l *live) typed(c *client, data []byte) error {
	c.typing.Lock()
	defer c.typing.Unlock()
	if l.Pipes {
		return l.write(c, sorted{all: data, typed: data})
	}
	var s sorted
	drives, came := c.drives.Load(), len(data)+c.input.Held()
	c.input.Split(data, func(piece []byte, report bool) {
		switch {
		case !report:
			s.typed = append(s.typed, piece...)
		case l.heard(c, piece, drives):
			s.reports = append(s.reports, piece...)
		default:
			return
		}
		s.all = append(s.all, piece...)
	})
	c.place.Skip(came - c.input.Held() - len(s.all))
	if drives && c.input.Held() > 0 {
		l.release(c)
	}
	return l.write(c, s)
}

// release has what is held of the driver's input be typed after a while. c.typing is held.
func (l *live) release(c *client) {
	if c.held != nil {
		c.held.Reset(heldTime)
		return
	}
	c.held = time.AfterFunc(heldTime, func() {
		c.typing.Lock()
		defer c.typing.Unlock()
		if c.left {
			return
		}
		var s sorted
		c.input.Flush(func(held []byte, _ bool) { s.typed = append(s.typed, held...) })
		s.all = s.typed
		if err := c.refused(l.write(c, s)); err != nil {
			c.conn.Close() // the receiving side tells why
		}
	})
}

// write records what a client's terminal sent and gives it to the program. c.typing is held.
func (l *live) write(c *client, s sorted) error {
	if len(s.all) == 0 {
		return nil
	}
	if len(s.typed) > 0 {
		l.Note(session.LastTyped, time.Now())
		l.mu.Lock()
		if l.driver != c {
			c.unfocused = c.unfocused && c.drives.Load() // a person who comes to the keyboard has the focus
			l.driver = c
			l.arrange()
		}
		l.mu.Unlock()
	}
	// It is recorded when it is this client's turn to type, so that the record has the order
	// in which the program got what several people typed.
	return l.TypeAfter(c.place, s.all, c.stays, func() error {
		if len(s.typed) > 0 {
			if err := l.watch.b.recordInput(l, c, s.typed); err != nil {
				return err
			}
		}
		if len(s.reports) > 0 {
			return l.watch.b.recordReports(l, c, s.reports)
		}
		return nil
	})
}

// endTyping lets nothing that is held of a client's input be typed any more.
func (c *client) endTyping() {
	c.typing.Lock()
	defer c.typing.Unlock()
	c.left = true
	if c.held != nil {
		c.held.Stop()
	}
}

// toldFocusOut says whether the program was told that the focus is gone, and people are on
// their way back to a bridge that was restarted: so nothing has changed for those who come back.
func (l *live) toldFocusOut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.awaited != nil && l.reports.focus == session.FocusOut
}

// terminalState is what the bridge's own answers to queries depend on, but for the cursor.
func (l *live) terminalState() vtseq.State {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := l.FullSize()
	return vtseq.State{
		Rows: int(size.Rows), Cols: int(size.Cols), Width: int(size.XPixel), Height: int(size.YPixel),
		Modes: map[int]bool{vtseq.ModeFocus: l.reports.focusOn, vtseq.ModeInBandSize: l.reports.sizeOn},
	}
}
