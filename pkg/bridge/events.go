package bridge

import (
	"errors"
	"fmt"
	"io"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// What happens is told three times: to the journal in a sentence, to the record in
// fields, and to people as an event.

func (b *Bridge) tellStarted(l *live, c *client) {
	where := ""
	if w := workspaces(l.Info); len(w) > 0 {
		where = fmt.Sprintf(", with %.400q", w)
	}
	b.Log.Printf("session %s started: %s runs %.200q as %s in %s%s", l.ID, person(l.Owner.UID), l.Argv, l.User, l.Scope, where)
	b.publish(by(l.event(wire.EventStart, program(l.Argv)), c), l)
}

// startOf is the record of a session's start.
func (b *Bridge) startOf(l *live) audit.Record {
	rows, cols := l.Size()
	return l.told(audit.System, name(l.Owner.UID), fmt.Sprintf("%q", l.Argv), audit.SessionStart{
		Person: recorded(l.Owner), Program: argv.String(l.Argv[0]), Argv: l.Argv, Profile: l.Profile, AgentUser: l.User, AgentPID: l.PID,
		Pipes: l.Pipes, Rows: rows, Cols: cols, Scope: l.Scope, Name: l.name, Private: l.Private,
		Workspaces: workspaces(l.Info), Secrets: l.Secrets,
	})
}

func (b *Bridge) tellEnded(l *live) {
	took, exit := time.Since(l.Began).Round(time.Millisecond), l.Exit()
	b.Log.Printf("session %s ended: %s after %s, %d bytes of output", l.ID, exit, took, l.Bytes())
	end := audit.SessionEnd{DurationMS: took.Milliseconds(), Bytes: l.Bytes(), Again: l.Telling()} // the record may have it already
	switch {
	case !exit.Ran:
	case exit.Wait.Signaled():
		signal := int(exit.Wait.Signal())
		end.Signal = &signal
	default:
		status := exit.Wait.ExitStatus()
		end.Status = &status
	}
	l.rec.finish(l.told(audit.System, "system", exit.String(), end))
	e, note := l.event(wire.EventEnd, exit.String()), endedNote(exit)
	e.Ended = &note
	if exit.Ran {
		b.publish(e, l)
	}
}

func (b *Bridge) tellAttached(c *client) {
	l, role := c.in, c.allowed().String()
	b.Log.Printf("session %s: %s attached as %s", l.ID, person(c.who.UID), role)
	l.rec.note(l.told(audit.Human, c.user, role, audit.Attach{Person: c.recorded(), Role: role}))
	e := by(l.event(wire.EventAttach, ""), c)
	e.Role = role
	b.publish(e, l)
}

func (b *Bridge) tellDetached(c *client, err error) {
	why := ""
	if err != nil && !errors.Is(err, io.EOF) {
		why = ": " + shown(err.Error(), maxMessage)
	}
	l := c.in
	b.Log.Printf("session %s: %s detached%s", l.ID, person(c.who.UID), why)
	l.rec.note(l.told(audit.Human, c.user, why, audit.Detach{Person: c.recorded()}))
	b.publish(by(l.event(wire.EventDetach, ""), c), l)
}

func (b *Bridge) tellRefused(who peer.Peer, sessionID, why string) {
	b.Log.Printf("refused %s, pid %d: %.300q", person(who.UID), who.PID, why)
	_, err := b.Record.Bridge().Append(audit.Record{
		Source: audit.Human, User: name(who.UID), SessionID: shown(sessionID, 40), Content: why, Metadata: audit.Denied{Person: recorded(who)},
	})
	if err != nil {
		b.Log.Printf("the record has a hole: %v", err)
	}
}

func (b *Bridge) tellKill(l *live, c *client, signal syscall.Signal) {
	which := unix.SignalName(signal)
	if which == "" {
		which = fmt.Sprintf("signal %d", signal)
	}
	b.Log.Printf("session %s: %s sends %s to all of it", l.ID, person(c.who.UID), which)
	b.control(l, c, audit.Control{Action: "kill", Signal: int(signal)})
	b.publish(by(l.event(wire.EventKill, which), c), l)
}

// tellControl tells of a freeze or a thaw that somebody asked for.
func (b *Bridge) tellControl(l *live, c *client, what string) {
	b.Log.Printf("session %s: %s by %s", l.ID, what, person(c.who.UID))
	b.control(l, c, audit.Control{Action: what})
}

func (b *Bridge) tellShare(l *live, c *client, kind string, uid uint32, role auth.Role) {
	b.Log.Printf("session %s: %s by %s: %s as %s", l.ID, kind, person(c.who.UID), person(uid), role)
	b.control(l, c, audit.Control{Action: kind, With: &uid, Role: role.String()})
	e := by(l.event(kind, name(uid)), c)
	e.Role = role.String()
	b.publish(e, l)
}

func (b *Bridge) tellPut(l *live, c *client, path string) {
	b.Log.Printf("session %s: %s put %.200q", l.ID, person(c.who.UID), path)
	b.control(l, c, audit.Control{Action: "put", Path: argv.String(path)})
}

// recorded is how the record names who is at the other end.
func recorded(who peer.Peer) audit.Person { return audit.Person{UID: who.UID, PID: who.PID} }

func (c *client) recorded() audit.Person {
	p := recorded(c.who)
	p.Client = c.id
	return p
}

// control records what somebody, or without c we ourselves, did to a session.
func (b *Bridge) control(l *live, c *client, did audit.Control) {
	if c == nil {
		l.rec.note(l.told(audit.System, "system", did.Action, did))
		return
	}
	p := c.recorded()
	did.Person = &p
	l.rec.note(l.told(audit.Human, c.user, did.Action, did))
}

// told makes a record of the session's.
func (l *live) told(source audit.Source, user, content string, m audit.Metadata) audit.Record {
	return audit.Record{Source: source, User: user, SessionID: l.ID, Content: content, Metadata: m}
}

// recordInput records what somebody is about to type, before they do.
func (b *Bridge) recordInput(l *live, c *client, data []byte) error {
	user, who := c.user, c.recorded()
	rec := audit.NewInput(user, who, data)
	if l.AsksSecret() {
		rec = audit.NewWithheldInput(user, who, len(data), "password")
	}
	rec.SessionID = l.ID
	if err := l.rec.write(rec); err != nil {
		return refusal(record, "what you typed cannot be recorded, and so it was not: %v", err)
	}
	return nil
}

func (b *Bridge) tellResized(l *live, c *client, size wire.Size) {
	p := c.recorded()
	l.rec.note(l.told(audit.Human, c.user, fmt.Sprintf("%d by %d", size.Rows, size.Cols), audit.Resize{Person: &p, Rows: size.Rows, Cols: size.Cols}))
}

// name is a user's name where there is one, else the number.
func name(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// person names a user for people.
func person(uid uint32) string { return fmt.Sprintf("%s (uid %d)", name(uid), uid) }

// tellHeld tells that a session was frozen for want of room, or thawed.
func (b *Bridge) tellHeld(l *live, frozen bool, why string) {
	what := "thaw"
	if frozen {
		what = "freeze"
	}
	b.Log.Printf("session %s: %s: %s", l.ID, what, why)
	b.control(l, nil, audit.Control{Action: what, Reason: why, Home: l.User + " for " + name(l.Owner.UID)})
}

// tellRelocked tells that locked files were replaced from outside.
func (b *Bridge) tellRelocked(l *live, failed error) {
	what, did := "locked what was replaced from outside", audit.Control{Action: "relock"}
	if failed != nil {
		what = "what was replaced from outside cannot be locked: " + shown(failed.Error(), maxMessage)
		did.Error = failed.Error()
	}
	b.Log.Printf("session %s: %s", l.ID, what)
	b.control(l, nil, did)
}

// tellPoisonous tells that a session's output cannot be looked through.
func (b *Bridge) tellPoisonous(l *live, why string) {
	b.Log.Printf("session %s: its output cannot be looked through, and is only kept: %.500s", l.ID, why)
	b.control(l, nil, audit.Control{Action: "poisonous", Reason: shown(why, 500)})
	b.publish(l.event(wire.EventTrouble, "its output cannot be shown any more: aaau kill "+l.ID), l)
}

// tellTripped tells that a session was killed for something that would have been run,
// or written, as the person.
func (b *Bridge) tellTripped(l *live, why string) {
	why = shown(why, maxMessage) // the agent has named files in it
	b.Log.Printf("session %s: killed: %s", l.ID, why)
	b.control(l, nil, audit.Control{Action: "tripped", Reason: why})
	b.publish(l.event(wire.EventTrouble, "the session was killed: "+why), l)
}
