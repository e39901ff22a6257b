package system

import (
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/tape"
)

// held is a session that the test holds, in the bridge's place.
type held struct {
	*session.Session
	t           *testing.T
	out, errors *collected
}

// hold starts a session with pipes for the operator.
func hold(t *testing.T, ln *net.UnixListener, program ...string) held {
	t.Helper()
	conn, client := visit(t, ln, as(t, "operator"))
	defer client.end() // it need not stay
	c := launcher(t)
	defer c.Close()
	err := privsep.Send(c, privsep.Request{Start: &privsep.Start{Session: spec.Session{Profile: "shell", Argv: argv.Argv(program), Pipes: true}}}, int(conn.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	var reply privsep.Reply
	fds, err := privsep.Receive(c, &reply, privsep.MaxFDs)
	if err != nil || reply.Session == nil {
		t.Fatalf("%+v %v", reply, err)
	}
	s, err := session.New(session.Info{Session: *reply.Session}, fds)
	if err != nil {
		t.Fatal(err)
	}
	s.Start(func() {}, func(*session.Session) {}, func(string) {})
	h := held{Session: s, t: t}
	h.out, h.errors = collect(t, s, s.Read), collect(t, s, s.ReadErrors)
	t.Cleanup(func() {
		s.Abandon()
		h.awaitEnd()
	})
	if err := errors.Join(privsep.Send(c, privsep.Go{Go: true}), s.Started()); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h held) awaitEnd() {
	h.t.Helper()
	select {
	case <-h.Ended():
	case <-time.After(patience):
		h.t.Fatal("the session does not end")
	}
}

func (h held) write(text string) {
	h.t.Helper()
	if err := h.Write([]byte(text)); err != nil {
		h.t.Fatal(err)
	}
}

// collected is what comes of a session's output, up to its end.
type collected struct {
	t    *testing.T
	done chan struct{}
	mu   sync.Mutex
	got  strings.Builder
}

func collect(t *testing.T, s *session.Session, read func(int64, tape.Hold) (*tape.Cursor, error)) *collected {
	t.Helper()
	c, err := read(0, tape.Always)
	if err != nil {
		t.Fatal(err)
	}
	r := &collected{t: t, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		defer c.Close()
		for ended := false; !ended || c.Behind(); {
			select {
			case <-c.More():
			case <-s.Ended():
				ended = true
			}
			for c.Behind() {
				data, _ := c.View(1 << 20)
				r.mu.Lock()
				r.got.Write(data)
				r.mu.Unlock()
				c.Advance(len(data))
			}
		}
	}()
	return r
}

func (r *collected) sofar() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.String()
}

func (r *collected) all() string {
	<-r.done
	return r.sofar()
}

func (r *collected) expect(text string) {
	r.t.Helper()
	await(r.t, text, func() bool { return strings.Contains(r.sofar(), text) })
}

// launcher is a connection to the launcher, which obeys root too.
func launcher(t *testing.T) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: launcherSocket, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// asked is the launcher's answer to a request.
func asked(t *testing.T, req privsep.Request, fds ...int) privsep.Reply {
	t.Helper()
	c := launcher(t)
	defer c.Close()
	var reply privsep.Reply
	if err := privsep.Send(c, req, fds...); err != nil {
		t.Fatal(err)
	}
	if _, err := privsep.Receive(c, &reply, 0); err != nil {
		t.Fatal(err)
	}
	return reply
}
