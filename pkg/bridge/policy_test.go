package bridge

import (
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/auth"
	api "github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

func TestDecisions(t *testing.T) {
	const group = 990
	person := func(uid uint32) peer.Peer { return peer.Peer{UID: uid, GID: group} }
	b := &Bridge{
		Policy: auth.Policy{Group: group, Join: auth.JoinReadOnly, Rules: []auth.Rule{
			{ID: 1001, Role: auth.ReadOnly}, {ID: 1002, Profile: "claude"}, {ID: 1003, Role: auth.Admin, Profile: "claude"},
		}},
		sessions: map[string]*live{},
	}
	for id, private := range map[string]bool{"open": false, "closed": true} {
		b.sessions[id] = &live{Session: &session.Session{Info: session.Info{Session: privsep.Session{ID: id}, Owner: person(1000), Profile: "claude", Private: private}}}
	}
	for _, c := range []struct {
		uid          uint32
		open, closed auth.Role
		starts       string // why not, if not
	}{
		{1000, auth.Interactive, auth.Interactive, ""},
		{1001, auth.ReadOnly, auth.None, "you may watch its sessions, but not start any"},
		{1002, auth.None, auth.None, "denied profile claude"},
		{1003, auth.Admin, auth.Admin, ""},
		{1004, auth.ReadOnly, auth.None, ""},
	} {
		for id, want := range map[string]auth.Role{"open": c.open, "closed": c.closed, "nosuch": auth.None} {
			if l, role, err := b.resolve(person(c.uid), id); role != want || (l == nil) != (want == auth.None) || (err == nil) != (l != nil) {
				t.Errorf("uid %d, %s: %v, %v, %v", c.uid, id, l != nil, role, err)
			}
		}
		if _, err := b.mayStart(person(c.uid), "claude"); (err == nil) != (c.starts == "") || err != nil && !strings.Contains(err.Error(), c.starts) {
			t.Errorf("uid %d starts: %v", c.uid, err)
		}
	}
}

// Another policy is for those who come, and for those who are there.
func TestReload(t *testing.T) {
	h := start(t, nil)
	s := h.sh("read x; echo got $x; read x")
	v, err := h.open(wire.OpenRequest{Attach: s.ID})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	before := h.policy()
	with := func(rules ...auth.Rule) auth.Policy {
		p := before
		p.Rules = rules
		return p
	}
	// The tester is root, whom rules do not touch.
	h.Reload(with())
	h.SetMax(1, 1, 0)
	var note *wire.ErrorNote
	if _, err := h.open(wire.OpenRequest{Session: spec.Session{Argv: []string{"true"}}}); !errors.As(err, &note) || note.Code != "too-many-sessions" {
		t.Errorf("the second of one: %v", err)
	}
	without := before
	without.AgentUIDs = []uint32{uint32(os.Getuid())}
	h.Reload(without)
	for _, req := range []wire.OpenRequest{{Attach: s.ID}, {Session: spec.Session{Argv: []string{"true"}}}} {
		if _, err := h.open(req); !errors.As(err, &note) || note.Code != "denied" {
			t.Errorf("%+v: %v", req, err)
		}
	}
	for _, c := range []*api.Session{s, v} {
		if _, err := c.Copy(api.Sink{}); !errors.As(err, &note) || note.Code != "denied" {
			t.Errorf("who was there: %v", err)
		}
	}
}

func TestReloadWhilePeopleCome(t *testing.T) {
	h := start(t, nil)
	var reloading sync.WaitGroup
	stop := make(chan struct{})
	reloading.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				h.Reload(h.policy())
				h.SetMax(100, 100, 0)
			}
		}
	})
	for range 10 {
		if out, _ := h.all(h.sh("echo fine")); out != "fine\r\n" {
			t.Errorf("%q", out)
		}
	}
	close(stop)
	reloading.Wait()
}

// Who is dismissed is out at once, and the session goes on, also one that would end
// with them.
func TestDismissed(t *testing.T) {
	h := start(t, nil)
	c, reply := h.in(wire.OpenRequest{Piped: true, Session: spec.Session{Argv: []string{"sleep", "1000"}}})
	asking := h.asking()
	if n, err := asking.Dismiss(t.Context(), reply.ID, 0); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if s, err := asking.Status(t.Context(), reply.ID); err != nil || len(s.People) > 0 {
		t.Errorf("%+v, %v", s.People, err)
	}
	if n, err := asking.Dismiss(t.Context(), reply.ID, 0); n != 0 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
	var note wire.ErrorNote
	if c.next(wire.Error, &note); note.Code != wire.CodeDismissed {
		t.Errorf("%+v", note)
	}
	c.conn.Close()
	for range 20 { // it would be ended in a moment
		time.Sleep(20 * time.Millisecond)
		if s, err := asking.Status(t.Context(), reply.ID); err != nil || s.Ended != nil {
			t.Fatalf("the session has ended with a client that was dismissed: %v", err)
		}
	}
}

// Those who are refused have no connections beyond those of a person either.
func TestRefusedPeopleAreCounted(t *testing.T) {
	h := start(t, func(b *Bridge) { b.Policy.AgentUIDs = []uint32{uint32(os.Getuid())} })
	uid := uint32(os.Getuid())
	code := func() string {
		conn, err := net.Dial("unix", h.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Write(wire.Hello()) // it may be refused before
		c := &bare{Reader: wire.NewClientReader(conn), t: t}
		if _, err := c.Hello(); err != nil {
			t.Fatal(err)
		}
		var note wire.ErrorNote
		c.next(wire.Error, &note)
		return note.Code
	}
	if got := code(); got != "denied" {
		t.Error(got)
	}
	h.mu.Lock()
	h.clientsOf[uid] += maxClientsPerUser
	h.mu.Unlock()
	if got := code(); got != "too-many-clients" {
		t.Error(got)
	}
}

// What people send along is bounded, however many connections they have, and is given
// back with them.
func TestKeptDescriptors(t *testing.T) {
	h := start(t, nil)
	var all []*bare
	refused := false
	for range maxKept/spec.MaxDirs + 1 {
		c := h.bare(wire.Ask, wire.Request{Do: wire.DoSubscribe})
		if _, err := c.Hello(); err != nil {
			t.Fatal(err)
		}
		c.next(wire.Answer, nil)
		all = append(all, c)
		if _, _, err := c.conn.WriteMsgUnix(wire.Frame(wire.Ping, nil), unix.UnixRights(make([]int, spec.MaxDirs)...), nil); err != nil {
			t.Fatal(err)
		}
		typ, payload, err := c.Next()
		var note wire.ErrorNote
		switch {
		case err != nil:
			t.Fatal(err)
		case typ == wire.Error:
			if refused = true; wire.Decode(payload, &note) != nil || note.Code != "busy" {
				t.Errorf("%+v", note)
			}
		}
	}
	if !refused {
		t.Errorf("more than %d are kept", maxKept)
	}
	for _, c := range all {
		c.conn.Close()
	}
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	if len(h.fdsOf) > 0 {
		t.Errorf("still counted: %v", h.fdsOf)
	}
}
