package client

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Sink is where what a session says goes. Out and Errors get its output; anything
// else may be nil.
type Sink struct {
	Out, Errors io.Writer
	// Redraw gets what makes a terminal show the session's screen, if that was asked for
	// (OpenRequest.Screen), in pieces; by default Out does. Output goes on from there.
	Redraw func([]byte) error
	// Notice gets what concerns this client, a line for a person: what was asked
	// and refused, and what was lost.
	Notice func(line string)
	// Words gets what shows words of the bridge's own on the terminal, and what makes the
	// terminal what it was: to be written before anything else is, here too. Both are empty
	// when words are only to be taken away. They are valid until it returns.
	Words func(show, restore []byte) error
	// Away gets what is to be said while there is no bridge, which nobody knows the screen
	// without, and "" when that is over; by default Notice does.
	Away  func(line string)
	Event func(wire.Event)
}

// ErrSilent is returned when the bridge has not answered for a long time.
var ErrSilent = errors.New("the bridge does not answer any more (see journalctl -u aaau)")

// How a dead bridge is found out: when nothing came for a while after something was
// said to it, it is asked for a sign of life.
const (
	pingEvery = 15 * time.Second
	pingTries = 3
)

// Copy brings what the session says to its places until it ends, and says how it
// did. The error is ErrLost if the bridge is lost for good, a *wire.ErrorNote if it
// ended the connection with a reason (CodeDismissed: somebody took this client out).
func (s *Session) Copy(to Sink) (wire.EndedNote, error) {
	for {
		ended, err := s.copy(to)
		if errors.Is(err, ErrLost) || errors.Is(err, ErrSilent) {
			if back := s.comeBack(to); back == nil {
				continue
			} else if !errors.Is(back, ErrLost) {
				err = back
			}
		}
		s.mu.Lock()
		s.over = true
		s.turn.Broadcast()
		s.mu.Unlock()
		return ended, err
	}
}

// copy is Copy with one bridge.
func (s *Session) copy(to Sink) (wire.EndedNote, error) {
	var heard, busy atomic.Bool
	silent := make(chan struct{})
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.watch(&heard, &busy, silent, done)
	}()
	defer func() { close(done); <-watched }()
	for {
		t, payload, err := s.in.Next()
		if err != nil {
			select {
			case <-silent:
				return wire.EndedNote{}, ErrSilent
			default:
			}
			if errors.Is(err, wire.ErrProtocol) {
				return wire.EndedNote{}, err
			}
			return wire.EndedNote{}, ErrLost
		}
		heard.Store(true)
		s.unanswered.Store(false)
		if t == wire.Ended {
			var ended wire.EndedNote
			return ended, wire.Decode(payload, &ended)
		}
		busy.Store(true)
		if err := s.take(to, t, payload); err != nil {
			return wire.EndedNote{}, err
		}
		busy.Store(false)
	}
}

// take does with a frame what is to be done, and keeps count.
func (s *Session) take(to Sink, t wire.Type, payload []byte) error {
	if err := to.take(t, payload); err != nil {
		return err
	}
	s.untold.heard(t, payload)
	if t == wire.Redraw {
		s.anew.Store(false)
		s.offset, _, _ = wire.ParseOutput(payload) // as above
	}
	if t == wire.Output || t == wire.Errors {
		at, data, err := wire.ParseOutput(payload)
		if err != nil {
			return err
		}
		if end := at + int64(len(data)); t == wire.Output {
			s.offset = end
		} else {
			s.offsetErrors = end
		}
	}
	return nil
}

// watch closes the connection, and silent before, if the bridge gives no sign of
// life, which nobody hears while what it said is written to somebody who does not
// read. A ticker does not save ticks up: to have been stopped for an hour is one.
func (s *Session) watch(heard, busy *atomic.Bool, silent chan<- struct{}, done <-chan struct{}) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	asked := 0
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		// Who has said nothing waits for nothing: an idle bridge is left alone.
		if heard.Swap(false) || busy.Load() || !s.unanswered.Load() {
			asked = 0
			continue
		}
		s.mu.Lock()
		conn := s.conn
		s.mu.Unlock()
		if asked == pingTries {
			close(silent)
			conn.Close()
			return
		}
		asked++
		if !s.writing.TryLock() {
			continue // somebody waits for the bridge to read
		}
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = conn.Write(wire.Frame(wire.Ping, nil)) // what fails here fails elsewhere
		_ = conn.SetWriteDeadline(time.Time{})
		s.writing.Unlock()
	}
}

func (to Sink) take(t wire.Type, payload []byte) error {
	switch t {
	case wire.Output, wire.Errors:
		_, data, err := wire.ParseOutput(payload)
		if err != nil {
			return err
		}
		w := to.Out
		if t == wire.Errors {
			w = to.Errors
		}
		if w == nil {
			return nil
		}
		if _, err := w.Write(data); err != nil {
			return fmt.Errorf("writing the session's output: %w", err)
		}
	case wire.Redraw:
		_, part, err := wire.ParseOutput(payload)
		switch {
		case err != nil:
			return err
		case to.Redraw != nil:
			err = to.Redraw(part)
		case to.Out != nil:
			_, err = to.Out.Write(part)
		}
		if err != nil {
			return fmt.Errorf("showing the session's screen: %w", err)
		}
	case wire.Overlay:
		show, restore, err := wire.ParseOverlay(payload)
		if err == nil && to.Words != nil {
			err = to.Words(show, restore)
		}
		if err != nil {
			return fmt.Errorf("showing words: %w", err)
		}
	case wire.Error:
		return errorNote(payload)
	case wire.Refused:
		to.notice(errorNote(payload).Error())
	case wire.Lost:
		var lost wire.LostNote
		if err := wire.Decode(payload, &lost); err != nil {
			return err
		}
		to.notice(fmt.Sprintf("%d bytes of output were too fast for this client", lost.To-lost.From))
	case wire.News:
		var event wire.Event
		if err := wire.Decode(payload, &event); err != nil {
			return err
		}
		if to.Event != nil {
			to.Event(event)
		}
	case wire.Answer, wire.Pong:
	default:
		if t&wire.Optional == 0 {
			return fmt.Errorf("%w: unknown frame of type %#x", wire.ErrProtocol, byte(t))
		}
	}
	return nil
}

func (to Sink) notice(line string) {
	if to.Notice != nil {
		to.Notice(line)
	}
}
