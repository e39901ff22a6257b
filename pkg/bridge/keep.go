package bridge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/fdstore"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/tape"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Sessions outlive their bridge: what they are made of is stored before their
// programs start, and the next bridge takes them back.

// Store keeps descriptors where the next bridge finds them; fdstore.Store is one.
type Store interface {
	Put(name string, note []byte, fds ...int) error
	Remove(name string) error
}

// Parcel is one that a store gave back, under the name that it was put in with. The
// descriptor is the bridge's to close.
type Parcel struct {
	Name string
	FD   int
}

// note is what the next bridge has to know of a session.
type note struct {
	Info   session.Info         `json:"info"`
	Name   string               `json:"name,omitempty"`
	Shared map[uint32]auth.Role `json:"shared,omitempty"`
	Frozen map[string]string    `json:"frozen,omitempty"`
	Record recording            `json:"record,omitzero"`
	Began  baseline             `json:"began,omitzero"`
}

// save notes what is to be known of the session. l.mu is held.
func (l *live) save() error {
	text, err := json.Marshal(note{Info: l.Info, Name: l.name, Shared: l.shared, Frozen: l.Frozen(), Record: l.recording, Began: l.baseline})
	if err != nil {
		return err
	}
	return l.SetNote(text)
}

// saved is save for who does not hold l.mu; what goes wrong is journalled.
func (l *live) saved() {
	l.mu.Lock()
	err := l.save()
	l.mu.Unlock()
	if err != nil { // told without the lock: users' names are looked up for it
		l.trouble("noting it for the next bridge: %v", err)
	}
}

// keep stores a new session, before its program may start.
func (b *Bridge) keep(s *session.Session) error {
	if b.Store == nil {
		return nil
	}
	err := s.Lend(-1, func(parcel []int) error { return b.Store.Put(s.ID, []byte(s.Scope), parcel...) })
	if err != nil {
		return fmt.Errorf("storing the session: %w", err)
	}
	return nil
}

// ended is what follows a session's id in the name of its parcel once its input has
// ended.
const ended = "-e"

// keepEnded stores a session anew whose input has ended, once: what is stored would
// keep the pipe open.
func (b *Bridge) keepEnded(l *live) {
	if b.Store == nil || !l.Pipes || l.inputEnded.Swap(true) {
		return
	}
	null, err := unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(null)
		err = l.Lend(null, func(parcel []int) error { return b.Store.Put(l.ID+ended, []byte(l.Scope), parcel...) })
	}
	if err == nil {
		err = b.Store.Remove(l.ID)
	}
	if err != nil && !errors.Is(err, session.ErrEnded) {
		l.trouble("storing it without its input: %v", err)
	}
}

// drop takes a session that has ended out of the store.
func (b *Bridge) drop(s *session.Session) {
	if b.Store == nil {
		return
	}
	err := b.Store.Remove(s.ID)
	if s.Pipes {
		err = errors.Join(err, b.Store.Remove(s.ID+ended))
	}
	if err != nil {
		b.Log.Tell(journal.Trouble, journal.About{Session: s.ID, Profile: s.Profile}, "session %s: %v", s.ID, err)
	}
}

// How long a client whose bridge has died has to come back: until then the program
// waits for it, as it did before.
const (
	comeBack      = 5 * time.Second
	comeBackPiped = 30 * time.Second
)

// adopt takes back what an earlier bridge has stored.
func (b *Bridge) adopt() {
	if b.Store == nil {
		return
	}
	b.recall() // first: who was just ending is not noted twice
	began, n, bytes := time.Now(), 0, int64(0)
	var others []string // the scopes of those that go on without this bridge
	// A session that is there twice is the one whose input has ended.
	slices.SortFunc(b.Stored, func(x, y Parcel) int { return strings.Compare(y.Name, x.Name) })
	before := ""
	for _, p := range b.Stored {
		id := strings.TrimSuffix(p.Name, ended)
		if id == before {
			unix.Close(p.FD)
			continue
		}
		before = id
		scope, l, recovered, err := b.adoptOne(p)
		unix.Close(p.FD) // the store has its own
		switch {
		case errors.Is(err, errTold):
			_ = b.Store.Remove(p.Name) // at the next start again
		case err != nil:
			b.Log.Tell(journal.Stranded, journal.About{Session: id}, "session %.20s continues, but this bridge cannot take it back: %v: a bridge that can will; or systemctl stop %s", p.Name, err, cmp.Or(scope, "its scope"))
			others = append(others, scope)
			b.stranded[id] = b.strand(id, scope, err) // nobody else is here yet
		default:
			n, bytes = n+1, bytes+recovered
			b.running.Go(func() { b.awaitClients(l) })
		}
	}
	if len(b.Stored) > 0 {
		b.Log.Tell(journal.BridgeResume, journal.About{}, "took back %d sessions in %.1f ms; %d bytes of output had been read and not counted", n, time.Since(began).Seconds()*1000, bytes)
	}
	b.Stored = nil
	b.running.Go(func() { b.reconcile(others) })
}

// errTold is returned for a session whose end was told already.
var errTold = errors.New("it has ended")

// adoptOne takes a session back. Beside its name, a parcel says in any version which
// scope the session is in.
func (b *Bridge) adoptOne(p Parcel) (scope string, l *live, recovered int64, err error) {
	text, fds, err := fdstore.Open(p.FD)
	if err != nil {
		return "", nil, 0, err
	}
	l, recovered, err = b.adoptParcel(strings.TrimSuffix(p.Name, ended), fds)
	return string(text), l, recovered, err
}

func (b *Bridge) adoptParcel(id string, fds []int) (*live, int64, error) {
	var n note
	s, recovered, err := session.Adopt(fds, func(text []byte) (session.Info, error) {
		err := json.Unmarshal(text, &n)
		if err == nil && n.Info.ID != id {
			err = fmt.Errorf("it is session %.20q", n.Info.ID)
		}
		return n.Info, err
	})
	if err != nil {
		return nil, 0, err
	}
	if s.Told() && len(s.Places()) == 0 {
		s.Close()
		return nil, 0, errTold
	}
	for reason, why := range n.Frozen {
		s.Freeze(reason, why)
	}
	l := &live{Session: s, name: n.Name, shared: n.Shared, recording: n.Record, baseline: n.Began, awaited: map[uint64][]*tape.Cursor{}, allBack: make(chan struct{}), were: map[uint64]bool{}, drove: s.Driver()}
	for _, place := range s.Places() {
		l.were[place.Token()] = true
		l.awaited[place.Token()] = nil // who only watches is not waited for
		if place.Hold() == tape.Never {
			continue
		}
		if cursors, err := l.read(0, 0, tape.Always); err == nil {
			l.awaited[place.Token()] = cursors
		}
		l.piped = l.piped || place.Hold() == tape.Always
	}
	if len(l.awaited) == 0 {
		close(l.allBack)
	}
	if l.rec, err = newRecorder(b, l); err != nil {
		b.Log.Printf("session %s: %v", l.ID, err) // and what follows from it
	}
	b.mu.Lock()
	b.count(s.Owner.UID, s.Memory())
	b.mu.Unlock()
	b.install(l)
	return l, recovered, nil
}

// awaitClients gives the clients of a session that was taken back time to come back,
// and does what their old bridge had begun.
func (b *Bridge) awaitClients(l *live) {
	b.freezeAgain(l)
	wait := comeBack
	if l.piped {
		wait = comeBackPiped
	}
	select {
	case <-l.allBack:
	case <-time.After(wait):
	}
	l.mu.Lock()
	missing := l.awaited
	l.awaited = nil
	l.arrange() // who did not come back has left
	l.mu.Unlock()
	gone := 0
	for _, cursors := range missing {
		closeAll(cursors)
		if cursors != nil {
			gone++
		}
	}
	if gone > 0 && l.Ran() {
		b.Log.Printf("session %s: %d of its clients did not come back from the bridge before this one within %v: its program waits for them no longer", l.ID, gone, wait)
	}
	lost := false
	for _, place := range l.Places() {
		if _, is := missing[place.Token()]; is {
			lost = lost || place.Hold() == tape.Always
			b.settle(l, place)
		}
	}
	// The rest of its pipe has gone; or it was just being started, and nobody knows it.
	if lost || !l.Ran() {
		b.end(l.Session)
	}
}

// freezeAgain stops a session that was frozen, unless somebody has let it go on meanwhile:
// the freezing may not have come to pass.
func (b *Bridge) freezeAgain(l *live) {
	l.Changing.Lock()
	defer l.Changing.Unlock()
	if len(l.Frozen()) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), launchTimeout)
	defer cancel()
	if _, err := b.ask(ctx, privsep.Request{Freeze: &privsep.Scope{Name: l.Scope}}); err != nil {
		l.trouble("freezing it again: %v", err)
	}
}

// back gives an awaited client the cursors that were kept for it, which are its own
// from here on; none, if it is not awaited.
func (l *live) back(c *client, token uint64) ([]*tape.Cursor, tape.Hold) {
	l.mu.Lock()
	cursors, is := l.awaited[token]
	c.drove = cursors != nil && token == l.drove
	delete(l.were, token)
	if delete(l.awaited, token); is && len(l.awaited) == 0 {
		close(l.allBack)
	}
	l.mu.Unlock()
	if cursors == nil {
		return nil, tape.Never
	}
	for _, place := range l.Places() {
		if place.Token() == token {
			return cursors, place.Hold()
		}
	}
	return cursors, tape.Never
}

// wasHere says whether a client that says so comes back indeed: its token, which nobody
// else knows, has a place of an earlier bridge's time. (One of those too many for a place
// is not believed.)
func (l *live) wasHere(req wire.OpenRequest) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return req.Back && l.were[req.Resume]
}

// ending is a session that has ended, and for whose last output an earlier bridge's
// client comes back. Its token is its right to it.
func (b *Bridge) ending(req wire.OpenRequest) *live {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.ended[req.Attach]
	if l == nil || !req.Back || req.Resume == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.awaited[req.Resume] == nil {
		return nil
	}
	return l
}

// settle gives up a client's place in a session. When the last of one that has ended is
// gone, nothing has to be kept of it.
func (b *Bridge) settle(l *live, place *session.Place) {
	place.Free()
	if !l.Told() || len(l.Places()) > 0 {
		return
	}
	b.mu.Lock()
	_, is := b.ended[l.ID]
	delete(b.ended, l.ID)
	b.mu.Unlock()
	if is {
		b.drop(l.Session)
		b.running.Go(func() {
			l.AwaitFreed()
			if err := l.Forget(); err != nil {
				l.trouble("%v", err)
			}
		})
	}
}

// reconcile has what is frozen and nobody's ended: in no session's scope of this bridge's
// and in none of the others. What is not frozen sees itself that nobody holds it, and ends.
func (b *Bridge) reconcile(others []string) {
	keep := others
	b.mu.Lock()
	for _, l := range b.sessions {
		keep = append(keep, l.Scope)
	}
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), launchTimeout)
	defer cancel()
	if _, err := b.ask(ctx, privsep.Request{Reconcile: &privsep.Reconcile{Keep: keep}}); err != nil {
		b.Log.Printf("looking for frozen sessions that are nobody's: %v", err)
	}
}
