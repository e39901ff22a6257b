package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Session is a session that this client is in. Writing is for any goroutine, Copy is
// for one.
//
// When its bridge dies the session does not: Copy then connects to the next one and
// goes on at the byte that it had come to. What is written meanwhile waits. What was
// on its way to the dead bridge is not sent again, for it might be typed twice; Copy
// tells how much that was.
type Session struct {
	wire.OpenReply
	socket string

	writing sync.Mutex // held while a frame is written: they go whole

	mu    sync.Mutex // guards what follows
	turn  *sync.Cond // of mu: away or over has changed
	conn  *net.UnixConn
	away  bool             // the bridge is
	over  bool             // nothing will be written any more
	again wire.OpenRequest // what to come back with
	sent  uint64           // bytes of input

	words      atomic.Bool // this bridge says some things in words, on the terminal
	redraws    atomic.Bool // this bridge redraws the screen on request
	anew       atomic.Bool // that was asked for, and has not come
	unanswered atomic.Bool // something was said since the bridge was heard last

	in                   *wire.Reader // of Copy's goroutine, and so on
	offset, offsetErrors int64        // of what comes next; -1: the screen is to be shown anew
	untold               untold
}

func newSession(c *Conn, req wire.OpenRequest) *Session {
	s := &Session{socket: c.socket, conn: c.conn, in: c.in}
	s.turn = sync.NewCond(&s.mu)
	s.again = wire.OpenRequest{Resume: req.Resume, Back: true, ReadOnly: req.ReadOnly, Piped: req.Piped}
	s.again.Size, s.again.Screen = req.Size, req.Screen
	s.has(c.features)
	return s
}

// Write types p into the session.
func (s *Session) Write(p []byte) (int, error) {
	n := 0
	for len(p) > 0 {
		part := p[:min(len(p), wire.MaxPayload)]
		if err := s.frame(wire.Input, part); err != nil {
			return n, err
		}
		n, p = n+len(part), p[len(part):]
	}
	return n, nil
}

// EndInput tells a session with pipes that no more input comes.
func (s *Session) EndInput() error { return s.frame(wire.EndInput, nil) }

// Resize tells the session the size of this client's terminal.
func (s *Session) Resize(size wire.Size) error {
	s.mu.Lock()
	s.again.Size = size
	s.mu.Unlock()
	return s.frame(wire.Resize, size)
}

// HasWords says whether the bridge puts what concerns this client on its terminal, in words
// (Sink.Words). Then Notice and Event need not.
func (s *Session) HasWords() bool { return s.words.Load() && s.again.Screen && !s.Pipes }

// has notes what this bridge can do.
func (s *Session) has(f wire.Features) {
	s.words.Store(f&wire.Words != 0)
	s.redraws.Store(f&wire.Redraws != 0)
}

// Tell writes what the terminal would say by itself. It is lost if it would have to wait.
func (s *Session) Tell(report []byte) {
	if !s.writing.TryLock() {
		return // somebody waits for the bridge to read
	}
	defer s.writing.Unlock()
	s.mu.Lock()
	conn, can := s.conn, !s.away && !s.over
	if can {
		s.sent += uint64(len(report))
	}
	s.mu.Unlock()
	if can {
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = conn.Write(wire.Frame(wire.Input, report)) // what fails here fails elsewhere
		_ = conn.SetWriteDeadline(time.Time{})
	}
}

// CanRedraw says whether the bridge can be asked to redraw the session's screen on this
// client's terminal.
func (s *Session) CanRedraw() bool { return s.redraws.Load() && s.again.Screen && !s.Pipes }

// Redraw has the screen be redrawn on this client's terminal (Sink.Redraw), on which something
// else was shown. Output that comes before that is not for the terminal.
func (s *Session) Redraw() error {
	s.anew.Store(true)
	return s.Do(wire.Request{Do: wire.DoRedraw})
}

// Do asks for something without waiting for the answer: a refusal comes by Copy.
func (s *Session) Do(r wire.Request) error { return s.frame(wire.Ask, r) }

// Redial is a new connection to the session's bridge, or the one after it, for requests.
func (s *Session) Redial(ctx context.Context) (*Conn, error) { return Dial(ctx, s.socket) }

// Kill ends the session by force, with every process in it.
func (s *Session) Kill() error { return s.Do(wire.Request{Do: wire.DoKill}) }

// Detach takes leave, for good: that the bridge then ends the connection is no reason to
// come back. From a bridge that is away one need not.
func (s *Session) Detach() error {
	s.mu.Lock()
	away, conn := s.away, s.conn
	s.over = true
	s.turn.Broadcast()
	s.mu.Unlock()
	if away {
		return nil
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	_, err := conn.Write(wire.Frame(wire.Detach, nil))
	return err
}

// Close ends the connection.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.turn.Broadcast()
	return s.conn.Close()
}

// frame writes one, when there is a bridge.
func (s *Session) frame(t wire.Type, v any) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	for s.away && !s.over {
		s.turn.Wait()
	}
	conn, over := s.conn, s.over
	if data, ok := v.([]byte); ok && t == wire.Input && !over {
		s.sent += uint64(len(data)) // perhaps
	}
	s.mu.Unlock()
	if over {
		return net.ErrClosed
	}
	s.unanswered.Store(true)
	_, err := conn.Write(wire.Frame(t, v))
	if err != nil && t == wire.Input && errors.Is(err, syscall.EPIPE) {
		return nil // Copy is about to see the bridge's end, and tells what came of this
	}
	return err
}

// How a client comes back: for so long it is tried, with pauses that double; where
// nobody listens any more, not for long; and for a moment nothing is said of it.
const (
	comeBackFor   = 5 * time.Minute
	nobodyFor     = time.Second
	firstPause    = 10 * time.Millisecond
	longestPause  = 250 * time.Millisecond
	sayNothingFor = 2 * time.Second
)

// comeBack connects to the next bridge, after this one's connection has ended.
func (s *Session) comeBack(to Sink) error {
	s.mu.Lock()
	s.conn.Close()
	if s.over {
		s.mu.Unlock()
		return ErrLost
	}
	s.away = true
	if s.anew.Load() { // what the terminal shows is not what this client was sent
		s.offset = -1
	}
	s.again.Attach, s.again.From, s.again.FromErrors = s.ID, s.offset, s.offsetErrors
	again := s.again
	again.Sent = s.sent
	again.Skipped, again.Missing = s.untold.rest()
	s.mu.Unlock()
	if to.Words != nil { // what stands would stay: the next bridge does not know of it
		if err := to.Words(nil, nil); err != nil {
			return err
		}
	}

	ctx, cancel := context.WithTimeout(context.Background(), comeBackFor)
	defer cancel()
	stop := s.whenOver(cancel)
	defer stop()
	away := &absence{to: to}
	defer away.end(false)
	late := time.AfterFunc(sayNothingFor, func() { away.lasts("the bridge is away; waiting for it to come back") })
	defer late.Stop()
	var tell sync.Once
	began := time.Now()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		again.Away = time.Since(began).Seconds()
		c, reply, err := s.reopen(ctx, again)
		if err == nil {
			away.end(true)
			s.isBack(to, c, reply)
			return nil
		}
		var note *wire.ErrorNote
		switch {
		case errors.As(err, &note) && note.Code == "no-session":
			return ErrLost
		case errors.As(err, &note) && note.Code == wire.CodeNotStarted:
			tell.Do(func() { away.say(note.Message) }) // and the session is kept
		case errors.As(err, &note):
			return err
		case errors.Is(err, errNobody) && time.Since(began) > nobodyFor:
			return ErrLost
		}
		select {
		case <-ctx.Done():
			return ErrLost
		case <-time.After(pause):
		}
	}
}

// whenOver calls f when the session is closed, until stop.
func (s *Session) whenOver(f func()) (stop func()) {
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.mu.Lock()
		defer s.mu.Unlock()
		for !s.over {
			select {
			case <-done:
				return
			default:
			}
			s.turn.Wait()
		}
		f()
	}()
	return func() {
		close(done)
		s.mu.Lock()
		s.turn.Broadcast()
		s.mu.Unlock()
		<-ended
	}
}

// errNobody is wrapped where nobody listens.
var errNobody = errors.New("nobody listens")

func (s *Session) reopen(ctx context.Context, req wire.OpenRequest) (*Conn, wire.OpenReply, error) {
	var reply wire.OpenReply
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", s.socket)
	if err != nil {
		return nil, reply, fmt.Errorf("%w: %w", errNobody, err)
	}
	c := &Conn{conn: conn.(*net.UnixConn), in: wire.NewClientReader(conn)}
	payload, err := c.exchange(ctx, wire.Frame(wire.Open, req), nil, wire.Opened)
	if err == nil {
		err = wire.Decode(payload, &reply)
	}
	if err != nil {
		conn.Close()
	}
	return c, reply, err
}

// isBack goes on with a new connection, and tells what was lost.
func (s *Session) isBack(to Sink, c *Conn, reply wire.OpenReply) {
	s.has(c.features)
	s.mu.Lock()
	s.conn, s.in, s.away = c.conn, c.in, false
	s.Client = reply.Client
	missing := uint64(0)
	if reply.Known && reply.Typed <= s.sent {
		missing, s.sent = s.sent-reply.Typed, reply.Typed+reply.Unknown
	}
	if s.over {
		s.conn.Close()
	}
	s.turn.Broadcast()
	s.mu.Unlock()
	if missing > 0 {
		s.untold.add(0, missing)
		to.notice(fmt.Sprintf("the bridge was restarted: the last %d bytes that were typed before did not arrive, or may not have", missing))
	}
	for _, o := range []struct{ at, want int64 }{{reply.Offset, s.offset}, {reply.OffsetErrors, s.offsetErrors}} {
		if o.at > o.want {
			to.notice(fmt.Sprintf("%d bytes of output came while there was no bridge, and are lost", o.at-o.want))
		}
	}
	s.offset, s.offsetErrors = reply.Offset, reply.OffsetErrors
}
