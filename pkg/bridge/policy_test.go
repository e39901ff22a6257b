package bridge

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/peer"
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
		sessions: map[string]*session.Session{
			"open":   {Info: session.Info{Owner: person(1000), Profile: "claude"}},
			"closed": {Info: session.Info{Owner: person(1000), Profile: "claude", Private: true}},
		},
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
			if s, role := b.findFor(person(c.uid), id); role != want || (s == nil) != (want == auth.None) {
				t.Errorf("uid %d, %s: %v, %v", c.uid, id, s != nil, role)
			}
		}
		if _, err := b.mayStart(person(c.uid), "claude"); (err == nil) != (c.starts == "") || err != nil && !strings.Contains(err.Error(), c.starts) {
			t.Errorf("uid %d starts: %v", c.uid, err)
		}
	}
}

// Another policy is for those who come; who is in a session goes on.
func TestReload(t *testing.T) {
	h := start(t, nil)
	s := h.sh("read x; echo got $x")
	before := h.policy()
	without := before
	without.AgentUIDs = []uint32{uint32(os.Getuid())}
	h.Reload(without)
	for _, req := range []wire.OpenRequest{{Attach: s.ID}, {Session: spec.Session{Argv: []string{"true"}}}} {
		var note *wire.ErrorNote
		if _, err := h.open(req); !errors.As(err, &note) || note.Code != "denied" {
			t.Errorf("%+v: %v", req, err)
		}
	}
	h.Reload(before)
	h.SetMax(1, 1)
	var note *wire.ErrorNote
	if _, err := h.open(wire.OpenRequest{Session: spec.Session{Argv: []string{"true"}}}); !errors.As(err, &note) || note.Code != "too-many-sessions" {
		t.Errorf("the second of one: %v", err)
	}
	v, err := h.open(wire.OpenRequest{Attach: s.ID, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	s.Write([]byte("it\n"))
	if out, _ := h.all(s); !strings.Contains(out, "got it") {
		t.Errorf("%q", out)
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
				h.SetMax(100, 100)
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
