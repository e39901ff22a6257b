package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// attach puts the standard streams into the session that is asked for, until it
// ends or the person leaves.
func attach(ctx context.Context, socket string, o order) error {
	in := os.Stdin
	if o.noInput {
		null, err := os.Open(os.DevNull)
		if err != nil {
			return err
		}
		defer null.Close()
		in = null
	}
	return newTerminal(in).attach(ctx, socket, o)
}

func (t *terminal) attach(ctx context.Context, socket string, o order) error {
	o.Size, o.noTerminal = size(), !t.isTTY() && !isTTY(os.Stdout)
	o.streams(t.isTTY(), isTTY(os.Stdout), isTTY(os.Stderr))
	// A person's session waits for them; one that is a part of a pipe ends with it.
	o.Screen = !o.Pipes && isTTY(os.Stdout)
	o.Piped = o.Attach == "" && (!t.isTTY() || !isTTY(os.Stdout) || o.Pipes)
	// Before anything is raw: whatever ends us from here on gives the terminal
	// back first. SIGPIPE is one of them, when what we write to has gone.
	signals := make(chan os.Signal, 8)
	notify(signals, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGWINCH)
	defer signal.Stop(signals)
	signal.Ignore(syscall.SIGPIPE)
	s, took, err := open(ctx, socket, o, signals)
	if err != nil {
		return err
	}
	defer s.Close()
	if t.isTTY() && isTTY(os.Stderr) {
		for _, n := range took.notes {
			say(n)
		}
		say(firstLine(s.OpenReply, o, took.leftOut))
	}
	if !s.Pipes { // whose output wants new lines made of its line feeds, and input in lines
		if err := t.raw(); err != nil {
			return fmt.Errorf("making the terminal raw: %w", err)
		}
		defer t.restore()
		if t.isTTY() {
			notify(signals, syscall.SIGTSTP, syscall.SIGCONT)
		}
	}

	if err := t.startReading(); err != nil {
		return err
	}
	defer t.stopReading()

	done, gone, noMore := make(chan error, 3), make(chan struct{}), make(chan struct{})
	over := sync.OnceFunc(func() { // what is typed from here on is not this session's
		close(gone)
		s.Close()
		<-noMore
	})
	defer over()
	out := &shown{titled: !s.Pipes && isTTY(os.Stdout) && keepsTitle(os.Getenv("TERM"))}
	go t.guard(func() { done <- output(s, out) })
	go t.guard(func() {
		defer close(noMore)
		if err := input(s, t, o, gone); err != nil {
			done <- err
		}
	})
	unfocused := false // the program was told so, when this client was stopped
	passed := passing{ours: s.Pipes && o.Attach == ""}
	defer passed.wait()
	for {
		select {
		case err := <-done:
			return leave(s, t, out, over, took, err)
		case <-passed.late:
			return leave(s, t, out, over, took, sentAway(passed.signal))
		case sig := <-signals:
			switch sig {
			case syscall.SIGWINCH:
			case syscall.SIGTSTP:
				unfocused = suspend(s, out, o) || unfocused
				if err := t.stop(); err != nil {
					return leave(s, t, out, over, took, err)
				}
				continue
			case syscall.SIGCONT: // others have had the terminal meanwhile
				unfocused = suspend(s, out, o) || unfocused
				if err := t.again(); err != nil { // in the background it stops here
					return leave(s, t, out, over, took, err)
				}
				out.resume()
				if s.CanRedraw() {
					_ = s.Redraw() // as below
				}
				if unfocused {
					s.Tell([]byte("\x1b[I"))
					unfocused = false
				}
			default:
				if !passed.pass(s, sig.(syscall.Signal)) {
					return leave(s, t, out, over, took, sentAway(sig.(syscall.Signal)))
				}
			}
			now := size()
			_ = s.Resize(now) // the output's end says why it fails
		}
	}
}

// suspend gives the terminal back for as long as this client is stopped. A bridge that cannot
// redraw the screen afterwards is an older one; then the terminal stays as it is. It says whether
// the program was told that its terminal has lost the focus.
func suspend(s *client.Session, out *shown, o order) (unfocused bool) {
	if !s.CanRedraw() {
		_ = out.words(nil, nil) // what fails here fails at what is written next
		return false
	}
	if unfocused = out.suspend() && !o.ReadOnly; unfocused {
		s.Tell([]byte("\x1b[O"))
	}
	return unfocused
}

// patience is how long nothing is said about a bridge that does not answer.
const patience = 5 * time.Second

// open starts or joins the session, and is given up at a signal. What it took along
// is closed.
func open(ctx context.Context, socket string, o order, signals <-chan os.Signal) (*client.Session, luggage, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		s    *client.Session
		took luggage
		err  error
	}
	opened := make(chan result, 1)
	go func() {
		s, took, err := request(ctx, socket, o)
		opened <- result{s, took, err}
	}()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case r := <-opened:
			return r.s, r.took, r.err
		case <-late.C:
			say("no answer from the bridge yet, still waiting (see journalctl -u aaau)")
		case sig := <-signals:
			if sig != syscall.SIGWINCH {
				return nil, luggage{}, sentAway(sig.(syscall.Signal)).status()
			}
		}
	}
}

func request(ctx context.Context, socket string, o order) (s *client.Session, l luggage, err error) {
	conn, err := client.Dial(ctx, socket)
	if err != nil {
		return nil, l, err
	}
	if o.Attach == "" {
		l, err = o.pack(ctx, conn)
		defer l.close()
	}
	if err == nil {
		s, err = conn.Open(ctx, o.OpenRequest, l.files()...)
	}
	if err != nil {
		conn.Close()
	}
	return s, l, err
}

// say tells the person something.
func say(line string) { fmt.Fprintf(stderr, "aaau: %s\n", harmless(line)) }

// errDetached is how the person says that they leave.
var errDetached = errors.New("detached")

// sentAway is a signal that ends this client, not the agent.
type sentAway syscall.Signal

func (s sentAway) Error() string  { return syscall.Signal(s).String() }
func (s sentAway) status() status { return status(128 + int(s)) }

// leave gives the terminal back, says what is to be said, and returns what the
// client exits with.
func leave(s *client.Session, t *terminal, out *shown, over func(), took luggage, err error) error {
	owing := out.leave()
	if !errors.Is(err, errDetached) { // with which the input has ended
		over()
	}
	t.settle(owing)
	t.stopReading()
	t.restore()
	if errors.Is(err, errDetached) && s.Detach() != nil {
		err = client.ErrLost
	}
	s.Close() // what still comes is not for a terminal that is the person's again
	if over := status(0); err != nil && !errors.As(err, &over) && !s.Pipes && !owing.fresh && isTTY(os.Stdout) && isTTY(os.Stderr) {
		fmt.Fprintln(stderr) // what is said now does not go on somebody's prompt
	}
	if over := status(0); err == nil || errors.As(err, &over) {
		out.tellAgain()
	}
	tellChanges(s, took.repositories)
	var (
		sig  sentAway
		note *wire.ErrorNote
	)
	switch {
	case errors.Is(err, errDetached):
		say("detached; back with: aaau attach " + s.ID)
		return nil
	case errors.As(err, &note) && note.Code == wire.CodeDismissed:
		say(note.Message + "; back with: aaau attach " + s.ID)
		return nil
	case errors.Is(err, syscall.EPIPE): // whoever read our output has gone
		return sentAway(syscall.SIGPIPE).status()
	case errors.As(err, &sig):
		if !s.Pipes { // a session with a terminal continues without us
			say("detached by " + unix.SignalName(syscall.Signal(sig)) + "; back with: aaau attach " + s.ID)
		}
		return sig.status()
	}
	return err
}

// events says which of a session's a person in it is told: those that explain what
// they see. Who comes and goes is for aaau status and aaau events.
var events = map[string]bool{wire.EventFreeze: true, wire.EventThaw: true, wire.EventTrouble: true, wire.EventKill: true, wire.EventDeadline: true}

// output copies until the session's end; the error is the status to exit with,
// or nil for 0.
func output(s *client.Session, out *shown) error {
	tell := say
	sink := client.Sink{Out: out, Redraw: out.redraw, Words: out.words}
	if !s.Pipes && isTTY(os.Stderr) {
		tell = func(line string) {
			if !s.HasWords() { // a line of its own is all there is, though there may be a screen
				fmt.Fprintf(stderr, "\r\naaau: %s\r\n", harmless(line))
			}
		}
		if isTTY(os.Stdout) {
			sink.Away = out.away
		}
	}
	var errs io.Writer = stderr
	if s.ErrorsApart && isTTY(os.Stderr) {
		errs = nil // they would spoil the screen
	}
	sink.Errors, sink.Notice = errs, tell
	sink.Event = func(e wire.Event) {
		switch {
		case e.Kind == wire.EventSkipped:
			if e.Message == "" { // an older bridge's
				e.Message = fmt.Sprintf("%d bytes of output were too fast for this terminal: this is the screen now", e.Count)
			}
			tell(e.Message)
			return
		case !events[e.Kind] || e.Client == s.Client:
			return
		case e.Kind == wire.EventKill:
			e.Message = e.User + " sends " + e.Message
		}
		tell(e.Message)
		if s.HasWords() && isTTY(os.Stderr) && e.Kind != wire.EventFreeze && e.Kind != wire.EventThaw {
			out.note(e.Message)
		}
	}
	ended, err := s.Copy(sink)
	if err != nil {
		return err
	}
	if ended.Why != "" && !s.Pipes && isTTY(os.Stderr) {
		out.note("ended: " + ended.Why)
	} else if ended.Why != "" {
		say("ended: " + ended.Why)
	}
	return exit(ended)
}

// exit is what to exit with for a session that has ended so, nil for 0.
func exit(ended wire.EndedNote) error {
	switch {
	case ended.Signal != 0:
		return status(128 + ended.Signal)
	case ended.Code != 0:
		return status(ended.Code)
	}
	return nil
}

// input copies what is typed, until the session is gone. The end of an input that is
// no terminal is passed on to a session of its own, to a terminal as it has it: ^D.
func input(s *client.Session, t *terminal, o order, gone <-chan struct{}) error {
	keys := detachKeys{key: o.detachKey}
	watches := t.isTTY() && !s.Pipes // for the key that detaches
	inLine := false                  // what was typed last has not ended its line
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var typed []byte
		open, detach := true, false
		var late <-chan time.Time
		if wait, any := keys.wait(time.Now()); any {
			timer.Reset(wait)
			late = timer.C
		}
		select {
		case typed, open = <-t.typed:
			switch {
			case !watches:
			case open:
				typed, detach = keys.take(typed, time.Now())
			default:
				typed = keys.rest()
			}
		case <-late:
			typed, detach = keys.late(time.Now())
		case <-gone:
			return nil
		}
		if len(typed) > 0 && !o.ReadOnly {
			if _, err := s.Write(typed); err != nil {
				return nil // the other direction knows why
			}
			last := typed[len(typed)-1]
			inLine = last != '\n' && last != '\r'
		}
		switch {
		case detach:
			return errDetached
		case open:
		case s.Pipes && o.Attach == "":
			_ = s.EndInput() // a failure is the other direction's to tell
			return nil
		case t.isTTY():
			return errDetached // its terminal is gone
		case o.ReadOnly || o.Attach != "": // what others are in goes on
			return nil
		case inLine:
			_, _ = s.Write([]byte{4, 4}) // the first VEOF gives the program the line; likewise
			return nil
		default:
			_, _ = s.Write([]byte{4})
			return nil
		}
	}
}

// size is that of the terminal on any of our standard streams.
func size() wire.Size {
	for _, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		if ws, err := pty.GetsizeFull(f); err == nil && ws.Rows > 0 && ws.Cols > 0 {
			return wire.Size{Rows: ws.Rows, Cols: ws.Cols, XPixel: ws.X, YPixel: ws.Y}
		}
	}
	return wire.Size{Rows: 24, Cols: 80}
}
