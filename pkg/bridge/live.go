package bridge

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/tape"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// live is a session and the people around it.
type live struct {
	*session.Session
	name       string
	watch      *watcher
	rec        *recorder
	recording  recording
	inputEnded atomic.Bool // and it is stored without
	memory     memory
	begun      chan struct{} // closed when its start was told, if it was to be; nil: an earlier bridge did

	reviewing sync.Mutex // held while somebody's role is made another, and outside of mu

	mu       sync.Mutex           // guards what follows
	expected bool                 // the client that has started the session has not joined it yet
	people   []*client            // in the order in which they came
	driver   *client              // who typed last
	sent     burst                // the text that was sent last, and not typed by who is here
	shared   map[uint32]auth.Role // with whom, beside those who may join anyway
	title    string               // as the program set it
	baseline baseline             // see homes.go
	reports  reports              // what the program is told of the terminal
	resizing *time.Timer          // arranges again when a size may be recorded; nil: none is waited for
	// awaited are cursors for those who were here in another bridge's time, by token,
	// until they are back.
	awaited map[uint64][]*tape.Cursor
	drove   uint64          // the token of the driver in that time; 0: not known
	allBack chan struct{}   // closed when they are
	piped   bool            // one of them is all of a pipe; set once
	were    map[uint64]bool // tokens of all that were here in that time and are not back, however late
}

// rights is the session as decisions are made about it.
func (l *live) rights() auth.Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return auth.Session{Owner: l.Owner.UID, Profile: l.Profile, Private: l.Private, Shared: maps.Clone(l.shared)}
}

// read makes cursors on all of the session's outputs; the caller closes them.
func (l *live) read(from, fromErrors int64, hold tape.Hold) ([]*tape.Cursor, error) {
	out, err := l.Read(from, hold)
	if err != nil {
		return nil, err
	}
	errs, err := l.ReadErrors(fromErrors, hold)
	switch {
	case err != nil:
		out.Close()
		return nil, err
	case errs == nil: // a terminal has one
		return []*tape.Cursor{out}, nil
	}
	return []*tape.Cursor{out, errs}, nil
}

// join puts a client among the people; whoever is the first that may type, drives.
func (l *live) join(c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expected = false
	l.people = append(l.people, c)
	if c.drove && l.driver == nil {
		l.driver = c
	}
	l.arrange()
}

// leave takes a client away.
func (l *live) leave(c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.people = slices.DeleteFunc(l.people, func(p *client) bool { return p == c })
	if l.driver == c {
		l.driver = nil
	}
	l.arrange()
}

// arrange has everything be as it is for who drives now: the terminal's size is
// theirs; of those who are shown the screen the program waits for them alone; and who
// has a terminal of another size is shown what fits. l.mu is held.
func (l *live) arrange() {
	driver := l.drives()
	if driver != nil {
		l.SetDriver(driver.token())
	}
	now := l.FullSize()
	if driver != nil && !l.Pipes && driver.size != now && driver.size.Rows > 0 && driver.size.Cols > 0 {
		now = l.sizeFor(driver)
	}
	for _, p := range l.people {
		p.drives.Store(p == driver)
		if p.shown == nil {
			continue
		}
		size, hold := p.size, tape.Never
		if p == driver {
			hold = tape.WhileReading
		}
		p.cursors[0].SetHold(hold)
		p.shown.size.Store(&size)
		p.shown.fits.Store(size.SameCells(now) || size.Rows == 0 || size.Cols == 0)
		p.out.nudge()
	}
	l.tell()
}

// sizeFor gives the terminal the size of the driver, and returns the size that it has then.
// It is another one if the session has ended, of which its people are about to hear, or if
// the person has no allowance left to have that recorded: then it is tried again when they
// have. l.mu is held.
func (l *live) sizeFor(driver *client) wire.Size {
	before := l.FullSize()
	select {
	case <-l.Gone():
		return before
	default:
	}
	if !driver.size.SameCells(before) {
		if wait := l.watch.b.controls.tryTake(driver.who.UID); wait > 0 {
			l.resizeLater(wait)
			return before
		}
		l.watch.drawing.resized(driver.size.Rows, driver.size.Cols) // first: what is printed for it comes after
		l.watch.b.tellResized(l, driver, driver.size)
	}
	_ = l.Resize(driver.size) // it ends just now
	return driver.size
}

// resizeLater has the session be arranged again after a while, once. l.mu is held.
func (l *live) resizeLater(wait time.Duration) {
	if l.resizing != nil {
		return
	}
	l.resizing = time.AfterFunc(wait, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.resizing = nil
		l.arrange()
	})
}

// resizeNoMore gives up what resizeLater has begun, at the session's end.
func (l *live) resizeNoMore() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.resizing != nil {
		l.resizing.Stop()
	}
}

// drives is who typed last, or else came first of those who may type; nil if there
// is nobody, or the one who drove in another bridge's time is awaited. l.mu is held.
func (l *live) drives() *client {
	if l.driver != nil && l.driver.may(auth.Type) {
		return l.driver
	}
	if l.awaited[l.drove] != nil {
		return nil
	}
	for _, p := range l.people {
		if p.may(auth.Type) {
			return p
		}
	}
	return nil
}

// isDriven says whether somebody is there whose terminal answers the program, or is
// about to be back.
func (l *live) isDriven() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.awaitsDriver() || l.drives() != nil
}

// resize notes the size of a client's terminal.
func (l *live) resize(c *client, size wire.Size) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.size = c.sized(size)
	l.arrange()
}

// info tells of the session to somebody in role.
func (l *live) info(role auth.Role) wire.SessionInfo {
	i := describe(l.Info, l.name, role)
	i.State = wire.StateRunning
	if frozen := l.Frozen(); len(frozen) > 0 {
		i.State, i.Frozen = wire.StateFrozen, slices.Sorted(maps.Keys(frozen))
		i.FrozenBy = freezer(frozen[byAdmin])
	} else {
		i.Activity, i.ActivitySince = l.activity()
	}
	i.Rows, i.Cols = l.Size()
	i.Bytes = l.Bytes()
	i.Starved = l.memory.killed()
	l.mu.Lock()
	defer l.mu.Unlock()
	i.Title, i.Clients = l.title, len(l.people)
	return i
}

// maxPeople is how many clients a status names; there may be more. A frame holds them,
// and maxShares others, whatever they are called.
const maxPeople = 400

// status is info with the people in the session, and those who may join it by the rules.
func (l *live) status(role auth.Role, rules auth.Policy) wire.SessionInfo {
	i := l.info(role)
	i.Others = others(rules, l.Private)
	i.Writable, i.Watch = writable(l.Info), l.Watch
	l.mu.Lock()
	driver := l.drives()
	for _, p := range l.people[:min(len(l.people), maxPeople)] {
		i.People = append(i.People, wire.Person{
			Client: p.id, UID: p.who.UID, PID: p.who.PID,
			Role: p.allowed().String(), Since: seconds(p.since), Drives: p == driver,
		})
	}
	for _, uid := range slices.Sorted(maps.Keys(l.shared)) {
		i.Shared = append(i.Shared, wire.Share{UID: uid, Role: l.shared[uid].String()})
	}
	l.mu.Unlock()
	rights := l.rights()
	// Whoever knows the names may take their time, which is nobody's who types.
	for n := range i.People {
		i.People[n].Name = name(i.People[n].UID)
	}
	for n := range i.Shared {
		i.Shared[n].Name = name(i.Shared[n].UID)
		// A share gives nobody more than the rules do: what they may is what is told.
		if who, known := account(i.Shared[n].UID); known {
			i.Shared[n].Role = rules.On(who, rights).String()
		}
	}
	return i
}

// describe tells what never changes of a session.
func describe(s session.Info, called string, role auth.Role) wire.SessionInfo {
	return wire.SessionInfo{
		ID: s.ID, Name: called, Profile: s.Profile, Program: program(s.Argv), Owner: s.Owner.UID, OwnerName: name(s.Owner.UID),
		User: s.User, Role: role.String(), Began: seconds(s.Began), Deadline: deadline(s), Private: s.Private, Pipes: s.Pipes,
		Workspaces: bounded(workspaces(s)),
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

func now() float64 { return seconds(time.Now()) }
