package bridge

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/tape"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// shelf is a store for tests: what is put there is handed to the next bridge.
type shelf struct {
	t       *testing.T
	parcels []Parcel
}

func (s *shelf) Put(name string, note []byte, fds ...int) error {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(ends[0])
	s.t.Cleanup(func() { unix.Close(ends[1]) })
	s.parcels = append(s.parcels, Parcel{name, ends[1]})
	return unix.Sendmsg(ends[0], note, unix.UnixRights(fds...), nil, 0)
}

func (s *shelf) Remove(name string) error {
	var left []Parcel
	for _, p := range s.parcels {
		if p.Name != name {
			left = append(left, p)
		}
	}
	s.parcels = left
	return nil
}

// bridge is the next one, which has not begun to serve.
func (s *shelf) bridge() (*Bridge, *bytes.Buffer) {
	s.t.Helper()
	said := &bytes.Buffer{}
	b := &Bridge{Store: s, Log: journal.To(said)}
	for _, p := range s.parcels {
		fd, err := unix.FcntlInt(uintptr(p.FD), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			s.t.Fatal(err)
		}
		b.Stored = append(b.Stored, Parcel{p.Name, fd})
	}
	b.recall()
	if b.pastTape != nil {
		s.t.Cleanup(func() { b.pastTape.Close() })
	}
	return b, said
}

// endedSession is one of uid 1005's that has.
func endedSession(id string, code int) past {
	return past{
		At:    time.Now(),
		Info:  wire.SessionInfo{ID: id, Owner: 1005, State: wire.StateEnded, Ended: &wire.EndedNote{Code: code}},
		Right: auth.Session{Owner: 1005, Private: true, Shared: map[uint32]auth.Role{1006: auth.ReadOnly}},
	}
}

func (b *Bridge) noted(p past) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.remember(p)
}

func TestNextBridgeKnowsThePast(t *testing.T) {
	s := &shelf{t: t}
	for i := range 5 { // each begins with what all before it knew
		b, said := s.bridge()
		if len(b.past) != i || said.Len() > 0 || len(b.Stored) > 0 || len(s.parcels) != 1 {
			t.Fatalf("bridge %d knows %d, says %q, has %d parcels of %d", i, len(b.past), said, len(b.Stored), len(s.parcels))
		}
		for j, p := range b.past {
			if want := endedSession(fmt.Sprint("id", j), j); fmt.Sprintf("%+v %+v", p.Right, *p.Info.Ended) != fmt.Sprintf("%+v %+v", want.Right, *want.Info.Ended) {
				t.Errorf("bridge %d: %+v", i, p)
			}
		}
		p := endedSession(fmt.Sprint("id", i), i)
		for range 2 { // an earlier bridge may have noted it, and died before it told it
			if err := b.noted(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	b, _ := s.bridge()
	b.Policy = auth.Policy{Group: 1}
	for uid, may := range map[uint32]bool{0: true, 1005: true, 1006: true, 1007: false} {
		if _, ok := b.resolvePast(peer.Peer{UID: uid, GID: 1}, "id3"); ok != may {
			t.Errorf("uid %d finds it: %v", uid, ok)
		}
	}
}

// A bridge may be killed amid a line: neither the one before nor the one after is lost.
func TestPastWithAHalfLine(t *testing.T) {
	s := &shelf{t: t}
	b, _ := s.bridge()
	for i := range 3 {
		if err := b.noted(endedSession(fmt.Sprint("id", i), i)); err != nil {
			t.Fatal(err)
		}
		copy(b.pastTape.Space(100), `{"Info":{"id":"half`)
		b, _ = s.bridge()
		if len(b.past) != i+1 || b.past[i].Info.ID != fmt.Sprint("id", i) {
			t.Fatalf("after %d: %+v", i, b.past)
		}
	}
}

// The table is bounded in number and in bytes, and has the latest.
func TestPastIsBounded(t *testing.T) {
	for name, long := range map[string]int{"many": 1, "long": 9000} {
		s := &shelf{t: t}
		b, _ := s.bridge()
		for i := range maxPast + 100 {
			p := endedSession(fmt.Sprint("id", i), i)
			p.Info.Title = strings.Repeat("x", long)
			if err := b.noted(p); err != nil {
				t.Fatal(err)
			}
		}
		next, said := s.bridge()
		for _, b := range []*Bridge{b, next} {
			if len(b.past) > maxPast || b.past[len(b.past)-1].Info.ID != fmt.Sprint("id", maxPast+99) {
				t.Errorf("%s: %d, the last %s", name, len(b.past), b.past[len(b.past)-1].Info.ID)
			}
		}
		least := maxPast
		if long > 1 {
			least = pastSize / long / 2
		}
		if len(next.past) < least || said.Len() > 0 {
			t.Errorf("%s: the next has %d of at least %d: %s", name, len(next.past), least, said)
		}
		if long > 1 {
			if err := b.noted(past{Info: wire.SessionInfo{Title: strings.Repeat("x", tape.MaxChunk)}}); err == nil {
				t.Error("what is too long was noted")
			}
		}
	}
}

// What cannot be read is told, and another takes its place.
func TestPastThatCannotBeRead(t *testing.T) {
	s := &shelf{t: t}
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	if err := s.Put(pastName, []byte(pastName), null); err != nil {
		t.Fatal(err)
	}
	b, said := s.bridge()
	if !strings.Contains(said.String(), "not known any more: no tape") || len(s.parcels) != 1 {
		t.Errorf("%d parcels, %q", len(s.parcels), said)
	}
	if err := b.noted(endedSession("id", 7)); err != nil {
		t.Fatal(err)
	}
	if b, said := s.bridge(); len(b.past) != 1 || said.Len() > 0 {
		t.Errorf("%+v, %q", b.past, said)
	}
}

// The name of a session of one's own stays its own after its end, though another's is called
// the same; for everybody else it is the other's as before.
func TestOwnNameAfterTheEnd(t *testing.T) {
	b := &Bridge{Policy: auth.Policy{Group: 990}, sessions: map[string]*live{}}
	add := func(id string, owner uint32) {
		b.sessions[id] = &live{name: "shop", Session: &session.Session{Info: session.Info{
			Session: privsep.Session{ID: id}, Owner: peer.Peer{UID: owner, GID: 990}, Profile: "shell"}}}
	}
	add("theirs", 50001)
	b.past = []past{{At: time.Now(), Info: wire.SessionInfo{ID: "mine", Name: "shop", Owner: 50002}, Right: auth.Session{Owner: 50002, Profile: "shell"}}}
	for uid, want := range map[uint32]string{50001: "theirs", 50003: "theirs", 50002: ""} {
		l, _, err := b.resolve(peer.Peer{UID: uid, GID: 990}, "shop")
		if want == "" {
			if err == nil || err.Error() != "your session shop (mine) has ended (aaau status mine says how); 50001's session of that name is theirs" {
				t.Errorf("uid %d: %v", uid, err)
			}
			if p, ok := b.resolvePast(peer.Peer{UID: uid, GID: 990}, "shop"); !ok || p.Info.ID != "mine" {
				t.Errorf("uid %d: status finds %+v", uid, p)
			}
			continue
		}
		if err != nil || l.ID != want {
			t.Errorf("uid %d: %v", uid, err)
		}
	}
	who := peer.Peer{UID: 50002, GID: 990}
	if l, _, err := b.resolve(who, "theirs"); err != nil || l.ID != "theirs" {
		t.Errorf("by its id: %v", err)
	}
	add("newer", 50002)
	if l, _, err := b.resolve(who, "shop"); err != nil || l.ID != "newer" {
		t.Errorf("with a new one of their own: %v", err)
	}
	delete(b.sessions, "newer")
	b.past[0].At = time.Now().Add(-2 * pastTime)
	if l, _, err := b.resolve(who, "shop"); err != nil || l.ID != "theirs" {
		t.Errorf("an hour later: %v", err)
	}
}
