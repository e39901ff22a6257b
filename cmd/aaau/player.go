package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/AgentaaU/AaaU/pkg/vtseq"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// player shows a recording as fast as it was.
type player struct {
	speed  float64
	idle   time.Duration // of the recording: the longest wait; 0: no limit
	total  time.Duration // likewise its length; 0: it is not known
	name   string
	screen bool      // the standard output is a terminal
	t      *terminal // where keys come from; nil: nowhere

	signals <-chan os.Signal
	out     shown
	cut     vtseq.Cutter
	held    []byte   // may yet become something to be cut
	fit     *fitting // nil: it is shown as it is
	newline bool     // what was shown last ended a line

	next    *castEvent    // nil: it has not come yet
	resized wire.Size     // with what is next; zero: it is not
	count   int           // of what has come
	at      time.Duration // of the recording: how far it is shown
	due     time.Time     // when what is next is to be shown; without it, when the last was
	left    time.Duration // while paused: until due
	paused  bool
	step    bool          // while paused: what is next is shown when it comes
	skip    time.Duration // up to here nothing is waited for

	titled time.Time
	called string // the title
	keys   vtseq.Keys
	begun  time.Time // when what is unfinished in keys came
}

// What a person can have.
const (
	slowest, fastest = 0.01, 1000.0
	skipped          = 5 * time.Second
)

// What the terminal is asked for beside the recording: to keep its title, and later to
// have it back (XTWINOPS), and to have another one meanwhile.
const (
	keepTitle    = "\x1b[22;2t"
	restoreTitle = "\x1b[23;2t"
	setTitle     = "\x1b]2;%s\x1b\\"
	// titleEvery is how often that is done: often enough to show seconds, and to win
	// against the program's own titles.
	titleEvery = 250 * time.Millisecond
	// reading is how long a person has for what is said before all is cleared.
	reading = 2 * time.Second
)

// errQuit is how the person says that they have seen enough.
var errQuit = errors.New("quit")

// play shows a recording until its end, or until the person leaves.
func (p *player) play(k *cast, wait bool) error {
	var typed <-chan []byte
	if p.t != nil {
		typed = p.t.typed
	}
	if wait {
		select {
		case <-time.After(reading):
		case <-typed:
		case sig := <-p.signals:
			return sentAway(sig.(syscall.Signal))
		}
	}
	if p.screen {
		if err := p.out.redraw([]byte("\x1b[H\x1b[2J")); err != nil {
			return err
		}
		p.out.aside(keepTitle)
		p.fit = newFitting(k.header.Height, k.header.Width, size, p.put)
	}
	p.due = time.Now()
	timer, tick := time.NewTimer(0), time.NewTicker(titleEvery)
	defer timer.Stop()
	defer tick.Stop()
	for {
		p.title()
		events, due := k.events, timer.C
		if p.next == nil || p.paused {
			due = nil
		} else {
			timer.Reset(time.Until(p.due))
		}
		if p.next != nil {
			events = nil
		}
		select {
		case e, more := <-events:
			if !more {
				return k.err
			}
			p.next, p.resized = &e, k.sizes.take(p.count)
			p.count++
			if p.step {
				if err := p.show(); err != nil {
					return err
				}
			} else {
				p.schedule()
			}
		case <-due:
			if err := p.show(); err != nil {
				return err
			}
		case keys, open := <-typed:
			if !open {
				return errQuit // its terminal is gone
			}
			if err := p.typed(keys); err != nil {
				return err
			}
		case <-tick.C:
			if p.fit != nil {
				if err := p.fit.refresh(); err != nil {
					return err
				}
			}
		case sig := <-p.signals:
			switch sig {
			case syscall.SIGTSTP:
			case syscall.SIGCONT:
				if err := p.again(); err != nil {
					return err
				}
				continue
			default:
				return sentAway(sig.(syscall.Signal))
			}
			if err := p.suspend(); err != nil {
				return err
			}
		}
	}
}

// schedule decides when what is next is shown: so long after what was before, even if
// that was late.
func (p *player) schedule() {
	from := p.at
	if p.skip > from {
		from, p.due = p.skip, time.Now()
	}
	gap := max(p.next.at-from, 0)
	if p.idle > 0 {
		gap = min(gap, p.idle)
	}
	wait := time.Duration(float64(gap) / p.speed)
	if p.paused {
		p.left = wait
	} else {
		p.due = p.due.Add(wait)
	}
}

// show shows what is next, without what it would ask the terminal, or do to its
// clipboard.
func (p *player) show() error {
	p.at, p.step = max(p.at, p.next.at), false
	p.held = append(p.held, p.next.data...)
	if size := p.resized; p.fit != nil && size.Rows > 0 && size.Cols > 0 {
		p.fit.resize(int(size.Rows), int(size.Cols))
	}
	p.next = nil
	for len(p.held) > 0 {
		send, skip := p.cut.Next(p.held, vtseq.All)
		if send == 0 && skip == 0 {
			break
		}
		if err := p.write(p.held[:send]); err != nil {
			return err
		}
		p.held = p.held[:copy(p.held, p.held[send+skip:])]
	}
	return nil
}

func (p *player) write(b []byte) error {
	if p.fit != nil {
		return p.fit.write(b)
	}
	return p.put(b)
}

// put writes to the terminal.
func (p *player) put(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	p.newline, p.called = b[len(b)-1] == '\n', "" // it may have called itself something
	_, err := p.out.Write(b)
	return err
}

// typed does what keys ask for, in whichever protocol: the recording has set the
// terminal's keyboard as its program had it.
func (p *player) typed(typed []byte) (err error) {
	now := time.Now()
	each := func(piece []byte, key vtseq.Key) {
		if err == nil {
			err = p.piece(piece, key)
		}
	}
	if p.keys.Unfinished() && now.Sub(p.begun) >= unfinishedTime { // it was Escape, say
		p.keys.Flush(each)
	}
	p.keys.Split(typed, each)
	p.begun, p.titled = now, time.Time{}
	return err
}

// piece does what one piece of what is typed asks for.
func (p *player) piece(piece []byte, key vtseq.Key) error {
	switch {
	case key.Kind == vtseq.Text:
		for _, r := range string(piece) {
			if err := p.key(r); err != nil {
				return err
			}
		}
	case key.IsControl(3): // ^C
		return sentAway(syscall.SIGINT)
	case key.IsControl(0x1a): // ^Z
		return p.suspend()
	case key.IsRight():
		p.forward()
	default:
		for _, r := range playerKeys {
			if key.Is(r) {
				return p.key(r)
			}
		}
	}
	return nil
}

// playerKeys are the characters that key knows.
const playerKeys = "q .+=-"

func (p *player) key(key rune) error {
	switch key {
	case 'q':
		return errQuit
	case ' ':
		p.pause(!p.paused)
	case '.': // only what is next
		if p.paused && p.next != nil {
			return p.show()
		}
		p.step = p.paused // when it comes
	case '+', '=':
		p.faster(2)
	case '-':
		p.faster(0.5)
	}
	return nil
}

// remains is how long it is until what is next is shown.
func (p *player) remains() time.Duration {
	if p.paused {
		return p.left
	}
	return max(time.Until(p.due), 0)
}

func (p *player) pause(on bool) {
	if on == p.paused {
		return
	}
	left := time.Duration(0)
	if p.next != nil {
		left = p.remains()
	}
	p.paused, p.step, p.left, p.due = on, false, left, time.Now().Add(left)
}

func (p *player) faster(times float64) {
	speed := min(max(p.speed*times, slowest), fastest)
	if p.next != nil {
		p.left = time.Duration(float64(p.remains()) * p.speed / speed)
		p.due = time.Now().Add(p.left)
	}
	p.speed = speed
}

// forward leaves out the waiting for a while.
func (p *player) forward() {
	p.skip = p.now() + skipped
	if p.next != nil {
		p.schedule()
	}
}

// now is where in the recording it is, also between two events of it.
func (p *player) now() time.Duration {
	now := max(p.at, p.skip)
	if p.next != nil {
		now = p.next.at - time.Duration(float64(p.remains())*p.speed)
	}
	return max(p.at, now)
}

// suspend pauses, and stops this program with its terminal given back, as ^Z stops others.
func (p *player) suspend() error {
	p.pause(true)
	if p.fit != nil {
		p.out.aside(restoreTitle)
		p.out.suspend()
	}
	return p.t.stop()
}

// again takes the terminal again and shows on it what is to be seen now. It is paused still.
func (p *player) again() error {
	if p.fit != nil {
		p.out.suspend()
	}
	if err := p.t.again(); err != nil || p.fit == nil {
		return err
	}
	err := p.out.redraw(p.fit.anew())
	p.out.aside(keepTitle)
	p.titled, p.called = time.Time{}, ""
	return err
}

// title shows the progress where it disturbs no picture.
func (p *player) title() {
	now := time.Now()
	if !p.screen || now.Sub(p.titled) < titleEvery {
		return
	}
	if called := p.progress(); called != p.called {
		p.out.aside(fmt.Sprintf(setTitle, called))
		p.titled, p.called = now, called
	}
}

// leave gives the terminal back.
func (p *player) leave() {
	_ = p.write(p.held[:p.cut.Flush(p.held)]) // it fails if the terminal is gone
	if p.fit != nil {
		_ = p.fit.end() // it fails if the terminal is gone
	}
	if p.screen {
		p.out.aside(restoreTitle)
	}
	owing := p.out.leave()
	if p.t == nil {
		return
	}
	p.t.settle(owing)
	p.t.stopReading()
	p.t.restore()
	if !p.newline && !owing.fresh {
		fmt.Fprintln(stdout) // a line for the prompt
	}
}
