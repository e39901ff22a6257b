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
	"log"
	"maps"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// maxClients is how many connections are held at a time, in all sessions.
const maxClients = 8192

// Bridge serves one or more listening sockets. Set the exported fields, then
// call Serve, from which on Policy and the maxima are Reload's and SetMax's.
type Bridge struct {
	Config         config.Dirs
	Policy         auth.Policy // guarded by mu: see policy
	MaxSessions    int         // guarded by mu
	MaxPerUser     int         // guarded by mu
	HomeMax        int64       // bytes of an agent's home; 0: no limit
	AgentUser      string      // instead of the profiles' own; empty: theirs
	LauncherSocket string
	Log            *log.Logger
	Record         *audit.Log

	mu       sync.Mutex // guards the tables and what Reload changes, never held across I/O
	sessions map[string]*session.Session
	perUser  map[uint32]int // sessions, those being started included
	total    int
	clients  map[*client]*sender // nil until it is in a session

	running sync.WaitGroup // clients and sessions
	entered chan struct{}  // has room for one: there is a new session
}

// FromConfig makes a Bridge as the configuration has it.
func FromConfig(dirs config.Dirs, cfg config.Config, policy auth.Policy) *Bridge {
	return &Bridge{Config: dirs, Policy: policy, HomeMax: cfg.HomeMax, MaxSessions: cfg.MaxSessions, MaxPerUser: cfg.MaxSessionsPerUser}
}

// Serve accepts clients until ctx ends, and then ends every session. It closes
// the listeners.
func (b *Bridge) Serve(ctx context.Context, listeners ...*net.UnixListener) error {
	b.sessions = map[string]*session.Session{}
	b.perUser = map[uint32]int{}
	b.clients = map[*client]*sender{}
	b.entered = make(chan struct{}, 1)

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var accepting sync.WaitGroup
	for _, ln := range listeners {
		defer context.AfterFunc(ctx, func() { ln.Close() })()
		accepting.Go(func() { stop(b.accept(ctx, ln)) })
	}
	b.running.Go(func() { b.watchHomes(ctx) })
	accepting.Wait()

	b.mu.Lock()
	for c := range b.clients { // first: what ends is the bridge, not their agent
		c.conn.Close()
	}
	left := slices.Collect(maps.Values(b.sessions))
	b.mu.Unlock()
	for _, s := range left {
		b.running.Go(func() { b.end(s) })
	}
	b.running.Wait()
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
		c := &client{b: b, conn: conn}
		b.mu.Lock()
		full := len(b.clients) >= maxClients || ctx.Err() != nil
		if !full {
			b.clients[c] = nil
			b.running.Add(1)
		}
		b.mu.Unlock()
		if full {
			// Into an empty socket buffer: this waits for nobody.
			conn.Write(append(wire.Hello(), wire.Frame(wire.Error, wire.ErrorNote{
				Code: "too-many-clients", Message: fmt.Sprintf("there are %d connections, as many as the bridge holds: try again", maxClients),
			})...))
			conn.Close()
			continue
		}
		go func() {
			defer b.running.Done()
			defer func() {
				conn.Close()
				b.mu.Lock()
				delete(b.clients, c)
				b.mu.Unlock()
			}()
			c.serve(ctx)
		}()
	}
}

// reserve takes a place for a new session of uid, or refuses it.
func (b *Bridge) reserve(uid uint32) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.total >= b.MaxSessions:
		return refusal("too-many-sessions", "there are %d sessions, as many as this machine allows (max-sessions= in aaau.conf)", b.total)
	case b.perUser[uid] >= b.MaxPerUser:
		return refusal("too-many-sessions", "you have %d sessions, as many as you are allowed (max-sessions-per-user= in aaau.conf)", b.perUser[uid])
	}
	b.total++
	b.perUser[uid]++
	return nil
}

func (b *Bridge) release(uid uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total--
	if b.perUser[uid]--; b.perUser[uid] == 0 {
		delete(b.perUser, uid)
	}
}

// enter puts a session into the table, and starts it.
func (b *Bridge) enter(s *session.Session) {
	b.mu.Lock()
	b.sessions[s.ID] = s
	b.running.Add(1)
	b.mu.Unlock()
	select {
	case b.entered <- struct{}{}:
	default: // somebody is about to look anyway
	}
	s.Start(b.leave, func(why string) {
		b.tellTripped(s, why)
		b.notify(s, "tripped", "the session was killed: "+why)
	})
	if len(s.Locks) > 0 {
		b.running.Go(func() { b.keepLocked(s) })
	}
}

// leave takes a session that has ended out of the table, and records it: both are
// done when its clients hear of it.
func (b *Bridge) leave(s *session.Session) {
	defer b.running.Done()
	b.mu.Lock()
	delete(b.sessions, s.ID)
	b.mu.Unlock()
	b.release(s.Owner.UID)
	b.tellEnded(s)
}

// notify tells all of a session's clients something.
func (b *Bridge) notify(s *session.Session, code, message string) {
	frame := wire.Frame(wire.Notice, wire.ErrorNote{Code: code, Message: message})
	deaf := 0
	b.mu.Lock()
	for _, out := range b.clients {
		if out != nil && out.session == s && !out.offer(frame) {
			deaf++
		}
	}
	b.mu.Unlock()
	if deaf > 0 {
		b.Log.Printf("session %s: %d clients do not read, and did not hear: %s", s.ID, deaf, message)
	}
}
