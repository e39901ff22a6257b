package bridge

import (
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	api "github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// bare is a client of version 2 that does nothing by itself.
type bare struct {
	*wire.Reader
	conn *net.UnixConn
	t    *testing.T
}

// bare connects, and sends frames in one go: pairs of a type and what is in it.
func (h *harness) bare(frames ...any) *bare {
	h.t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: h.socket, Net: "unix"})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	c := &bare{Reader: wire.NewClientReader(conn), conn: conn, t: h.t}
	if _, err := conn.Write(wire.Hello()); err != nil {
		h.t.Fatal(err)
	}
	c.send(frames...)
	return c
}

func (c *bare) send(frames ...any) {
	c.t.Helper()
	for i := 0; i < len(frames); i += 2 {
		if _, err := c.conn.Write(wire.Frame(frames[i].(wire.Type), frames[i+1])); err != nil {
			c.t.Fatal(err)
		}
	}
}

// next reads up to a frame of this type.
func (c *bare) next(want wire.Type, into any) {
	c.t.Helper()
	for {
		t, payload, err := c.Next()
		if err != nil {
			c.t.Fatalf("waiting for a frame of type %#x: %v", want, err)
		}
		if t == want {
			if into == nil {
				return
			}
			if err := json.Unmarshal(payload, into); err != nil {
				c.t.Fatal(err)
			}
			return
		}
	}
}

// in is a bare client in a session.
func (h *harness) in(req wire.OpenRequest) (*bare, wire.OpenReply) {
	h.t.Helper()
	c := h.bare(wire.Open, req)
	if _, err := c.Hello(); err != nil {
		h.t.Fatal(err)
	}
	var reply wire.OpenReply
	c.next(wire.Opened, &reply)
	return c, reply
}

// asking is a connection for requests.
func (h *harness) asking() *api.Conn {
	h.t.Helper()
	c, err := api.Dial(h.t.Context(), h.socket)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	return c
}

// A program that prints without end, faster than a client reads, does not keep from
// the client what else there is for it: answers, and that it is out.
func TestFloodKeepsNobodyIn(t *testing.T) {
	h := start(t, nil)
	s, err := h.open(wire.OpenRequest{Session: spec.Session{Argv: []string{"yes"}}, Detached: true}) // nobody holds it up
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	v, reply := h.in(wire.OpenRequest{Attach: s.ID, ReadOnly: true})
	frames := make(chan wire.Type)
	go func() {
		defer close(frames)
		for {
			typ, _, err := v.Next()
			if err != nil {
				return
			}
			if typ != wire.Output && typ != wire.Lost {
				frames <- typ
			}
			time.Sleep(20 * time.Millisecond) // it is never done
		}
	}()
	await := func(want wire.Type) {
		t.Helper()
		for {
			select {
			case got, ok := <-frames:
				if !ok {
					t.Fatalf("no frame of type %#x until the end", want)
				}
				if got == want {
					return
				}
			case <-time.After(patience):
				t.Fatalf("no frame of type %#x", want)
			}
		}
	}
	v.send(wire.Ping, nil)
	await(wire.Pong)
	if n, err := h.asking().Dismiss(t.Context(), s.ID, reply.Client); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	await(wire.Error)
	if typ, ok := <-frames; ok {
		t.Errorf("a frame of type %#x after the last", typ)
	}
	var note *wire.ErrorNote
	if err := h.asking().Kill(t.Context(), s.ID, 0); errors.As(err, &note) {
		t.Error(note)
	}
}

// Who is piped into a session takes it along when they go, also while its program does
// not read what they sent; until then they hear that the bridge is alive.
func TestInputThatNobodyReads(t *testing.T) {
	h := start(t, nil)
	c, reply := h.in(wire.OpenRequest{Piped: true, Session: spec.Session{Argv: []string{"sh", "-c", "stty raw -echo; echo ready; exec sleep 1000"}}})
	c.next(wire.Output, nil)
	c.send(wire.Input, make([]byte, wire.MaxPayload))
	c.next(wire.Pong, nil)
	c.conn.Close()
	asking := h.asking()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		s, err := asking.Status(t.Context(), reply.ID)
		if err != nil {
			t.Fatal(err)
		}
		if s.Ended != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it goes on, with %d clients", s.Clients)
		}
	}
}

// However much a client asks for without reading, one long answer waits for it.
func TestAnswersThatNobodyReads(t *testing.T) {
	o := newSender(nil, wire.Encoder2{}, nil)
	sent := make(chan int)
	go func() {
		defer close(sent)
		for n := range 3 {
			o.send(item{frame: make([]byte, wire.MaxReply)})
			sent <- n
		}
	}()
	<-sent
	for n := 1; n < 3; n++ {
		select {
		case <-sent:
			t.Fatalf("answer %d waits beside another", n)
		case <-time.After(50 * time.Millisecond):
		}
		o.take(<-o.items)
		<-sent
	}
	<-sent
	close(o.done)
	o.send(item{frame: make([]byte, wire.MaxReply)}) // to nobody
}

// Who began to drive with a paste does not drive for ever by what their terminal says.
func TestReportsAfterAPaste(t *testing.T) {
	h := start(t, nil)
	first, reply := h.in(wire.OpenRequest{Session: spec.Session{Argv: []string{"cat"}}})
	second, joined := h.in(wire.OpenRequest{Attach: reply.ID})
	asking := h.asking()
	drives := func() (client uint64) {
		t.Helper()
		s, err := asking.Status(t.Context(), reply.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range s.People {
			if p.Drives {
				client = p.Client
			}
		}
		return client
	}
	typed := func(c *bare, text string) {
		c.send(wire.Input, []byte(text), wire.Ping, nil)
		c.next(wire.Pong, nil) // it was typed
	}
	typed(second, "\x1b[200~abc")
	typed(second, "def\x1b[201~")
	if got := drives(); got != joined.Client {
		t.Errorf("after the paste client %d", got)
	}
	typed(first, "x")
	typed(second, "\x1b[I") // focus
	if got := drives(); got != reply.Client {
		t.Errorf("after a report client %d", got)
	}
}

// A long text from the launcher ends in a short frame, and a long frame, whoever queues it,
// holds up nobody: the client hears it, and its place is free again.
func TestLongErrorsHoldUpNobody(t *testing.T) {
	h := start(t, nil)
	long := strings.Repeat("A", 10<<10)
	h.launcher.OnRequest(func(privsep.Request) error { return &privsep.Error{Code: "session-failed", Message: long} })
	c := h.bare(wire.Open, wire.OpenRequest{Session: spec.Session{Argv: []string{"true"}, Size: wire.Size{Rows: 24, Cols: 80}}})
	if _, err := c.Hello(); err != nil {
		t.Fatal(err)
	}
	var note wire.ErrorNote
	if c.next(wire.Error, &note); note.Code != "session-failed" || len(note.Message) != maxMessage {
		t.Errorf("%s with %d bytes", note.Code, len(note.Message))
	}
	c.conn.Close()
	soon(t, "its place is free", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.clients) == 0
	})
}

// A sender puts into its buffer whatever it is given, also a large frame that was queued
// without asking whether another one is there.
func TestTakeDoesNotWait(t *testing.T) {
	o := newSender(nil, wire.Encoder2{}, nil)
	frame := make([]byte, small+1)
	o.finish(frame)
	o.offer(frame)
	o.alive(frame)
	o.sendOrEnd(frame)
	o.send(item{frame: frame})
	for range 5 {
		o.take(<-o.items)
	}
	if len(o.pending) != 5*len(frame) || len(o.large) != 0 {
		t.Errorf("%d bytes are pending, and %d large ones seem to wait", len(o.pending), len(o.large))
	}
}
