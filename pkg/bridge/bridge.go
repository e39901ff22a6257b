// Package bridge is between the people and the sessions: it listens, decides who
// may come in, asks the launcher for sessions, and carries bytes.
//
// It parses everything that people and agents send, and for that reason can do
// nothing else: it has no privileges, and the launcher does not believe it.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/tape"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// How many connections are held at a time, and of one person's.
const (
	maxClients        = 8192
	maxClientsPerUser = 2048
)

// Bridge serves one or more listening sockets. Set the exported fields, then
// call Serve, from which on Policy, the maxima and Retain are Reload's, SetMax's and
// SetRetain's.
type Bridge struct {
	Config           config.Dirs
	Policy           auth.Policy // guarded by mu: see policy
	MaxSessions      int         // guarded by mu
	MaxPerUser       int         // guarded by mu
	MaxTapes         int64       // bytes of all sessions' tapes; 0: no limit; guarded by mu
	RecordReserve    int64       // bytes of the record's disk that sessions leave free
	RecordSessionMax int64       // bytes of a session's output that are recorded; 0: no limit
	RecordRate       int64       // bytes of a session's output a second; 0: no limit
	HomeMax          int64       // bytes of an agent's home; 0: no limit
	AgentUser        string      // instead of the profiles' own; empty: theirs
	LauncherSocket   string
	Log              *journal.Log
	Store            Store    // nil: sessions end with the bridge
	Stored           []Parcel // what it held when we were started
	Record           *audit.Store
	Retain           audit.Retain // what of it may stay; guarded by mu: see SetRetain

	mu          sync.Mutex // guards the tables and what Reload changes, never held across I/O
	sessions    map[string]*live
	ended       map[string]*live    // those that somebody has not got all of yet
	stranded    map[string]stranded // those that go on, and that this bridge cannot take back; set before it serves
	retaining   chan struct{}       // has room for one: Retain is new
	past        []past              // the latest last
	pastTape    *tape.Tape          // where it stands for the next bridge; nil: nowhere
	perUser     map[uint32]int      // sessions, those being started included
	total       int
	tapes       int64 // bytes of their tapes, those included that somebody still reads
	clients     map[*client]bool
	clientsOf   map[uint32]int
	fdsOf       map[uint32]int // descriptors that clients sent, by person
	backs       map[*look]bool // those that look back
	changesTold map[string]int // bytes of lists of changed files that were recorded, by a session's id
	lastClient  uint64

	homesRoom func() (free, size int64, err error) // stands in for the kernel's answer in tests; else nil

	refused refusals  // that are not told yet
	looks   allowance // of who looks back
	// controls is each person's allowance of records in sessions' chains, beside what is
	// typed: for kills, shares, sizes and the like. They may use the record's reserve, so
	// nobody may have many.
	controls allowance

	serving   sync.WaitGroup // clients
	recording sync.WaitGroup // recorders
	closing   chan struct{}  // closed when this bridge ends, and recorders do
	anchors   *anchors
	own       *anchored      // the bridge's own chain
	running   sync.WaitGroup // sessions, and what is done for them
	stopping  atomic.Bool    // this bridge ends, its sessions do not
	memories  memoryWatch
	entered   chan struct{} // has room for one: there is a new session
	stirred   chan struct{} // likewise: some session does something
	turn      chan struct{} // likewise: who looks back and works at it

	noLimits sync.Once // tells the journal of limits that are not in force
}

// FromConfig makes a Bridge as the configuration has it.
func FromConfig(dirs config.Dirs, cfg config.Config, policy auth.Policy) *Bridge {
	b := &Bridge{Config: dirs, Policy: policy, HomeMax: cfg.HomeMax, RecordReserve: cfg.RecordReserve, RecordSessionMax: cfg.RecordSessionMax, RecordRate: cfg.RecordSessionRate}
	b.SetMax(cfg.MaxSessions, cfg.MaxSessionsPerUser, cfg.MaxTapes)
	b.SetRetain(audit.Retain{Age: cfg.RecordAge, Bytes: cfg.RecordMax})
	return b
}

// Serve takes back what an earlier bridge has stored, and accepts clients until ctx
// ends. Then it ends every session, unless they are stored: they wait for the next
// bridge, and this process is to end. It closes the listeners.
func (b *Bridge) Serve(ctx context.Context, listeners ...*net.UnixListener) error {
	b.mu.Lock()
	b.sessions, b.ended = map[string]*live{}, map[string]*live{}
	if b.stranded == nil {
		b.stranded = map[string]stranded{}
	}
	b.retaining = make(chan struct{}, 1)
	b.perUser = map[uint32]int{}
	b.clients, b.clientsOf, b.fdsOf = map[*client]bool{}, map[uint32]int{}, map[uint32]int{}
	b.refused.allowed.every, b.looks.every = refusedEvery, looksEvery
	if b.controls.every == 0 { // else a test has set it
		b.controls.every, b.controls.most = controlsEvery, controlsAtOnce
	}
	b.backs, b.turn = map[*look]bool{}, make(chan struct{}, 1)
	b.mu.Unlock()
	b.entered, b.stirred, b.closing, b.anchors = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}), newAnchors()
	var anchoring sync.WaitGroup
	anchoring.Go(b.anchor)
	b.own = &anchored{name: audit.BridgeChain, chain: b.Record.Bridge()}
	b.anchorOwn()

	b.openMemoryWatch()
	var watching sync.WaitGroup
	watching.Go(b.runMemoryWatch)
	defer watching.Wait()
	if b.memories.file != nil {
		defer b.memories.file.Close()
	}
	b.adopt()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var accepting sync.WaitGroup
	for _, ln := range listeners {
		defer context.AfterFunc(ctx, func() { ln.Close() })()
		accepting.Go(func() { stop(b.accept(ctx, ln)) })
	}
	b.running.Go(func() { b.watchHomes(ctx) })
	b.running.Go(func() { b.keepRecord(ctx) })
	accepting.Wait()

	b.stopping.Store(b.Store != nil)
	b.mu.Lock()
	for c := range b.clients { // first: what ends is the bridge, not their agent
		c.conn.Close()
	}
	left := slices.Collect(maps.Values(b.sessions))
	b.mu.Unlock()
	b.serving.Wait()
	b.tellHeldBack()
	if b.stopping.Load() {
		close(b.closing)
		b.recording.Wait()
		anchoring.Wait()
		return cause(ctx)
	}
	giveUp := sync.OnceFunc(func() { close(b.closing) })
	timer := time.AfterFunc(closingTime, giveUp)
	defer timer.Stop()
	for _, s := range left {
		b.running.Go(func() { b.end(s.Session) })
	}
	b.running.Wait()
	giveUp()
	anchoring.Wait()
	return cause(ctx)
}

// closingTime is how long a bridge whose sessions end with it tries to record that.
const closingTime = 2 * grace

// cause is why a bridge ends, nil if it was told to.
func cause(ctx context.Context) error {
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (b *Bridge) accept(ctx context.Context, ln *net.UnixListener) error {
	for {
		conn, err := ln.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.ENOBUFS):
			// Those who are in go on; those who wait, wait.
			b.Log.Printf("accepting: %v", err)
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		case err != nil:
			return fmt.Errorf("accepting: %w", err)
		}
		c := &client{b: b, conn: conn, since: time.Now(), most: auth.Admin}
		if err := b.enroll(ctx, c); err != nil {
			// Into an empty socket buffer: this waits for nobody.
			conn.Write(append(wire.Hello(), wire.Encoder2{}.Error(c.note(err))...))
			conn.Close()
			continue
		}
		go func() {
			defer b.serving.Done()
			defer b.forget(c)
			c.serve(ctx)
		}()
	}
}

// enroll counts a connection, and among its person's, whatever they may: who is to be
// refused has it for a while too.
func (b *Bridge) enroll(ctx context.Context, c *client) error {
	if err := c.identify(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return refusal("busy", "the bridge is ending: try again")
	case len(b.clients) >= maxClients:
		return refusal("too-many-clients", "there are %d connections, as many as the bridge holds: try again", maxClients)
	case b.clientsOf[c.who.UID] >= maxClientsPerUser:
		return refusal("too-many-clients", "you have %d connections, as many as you may", maxClientsPerUser)
	}
	b.lastClient++
	c.id = b.lastClient
	b.clients[c] = true
	b.clientsOf[c.who.UID]++
	b.serving.Add(1)
	return nil
}

func (b *Bridge) forget(c *client) {
	c.conn.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.clients, c)
	if b.clientsOf[c.who.UID]--; b.clientsOf[c.who.UID] == 0 {
		delete(b.clientsOf, c.who.UID)
	}
}
