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
	b.record("system", name(l.Owner.UID), l.ID, "session_start", fmt.Sprintf("%q", l.Argv), map[string]any{
		"argv": l.Argv, "profile": l.Profile, "agent_user": l.User, "scope": l.Scope, "name": l.name,
		"uid": l.Owner.UID, "pid": l.Owner.PID, "stage_pid": l.PID, "pipes": l.Pipes,
		"workspaces": workspaces(l.Info), "secrets": l.Secrets,
	})
	b.publish(by(l.event(wire.EventStart, program(l.Argv)), c), l)
}

func (b *Bridge) tellEnded(l *live) {
	took, exit := time.Since(l.Began).Round(time.Millisecond), l.Exit()
	b.Log.Printf("session %s ended: %s after %s, %d bytes of output", l.ID, exit, took, l.Bytes())
	fields := map[string]any{"duration_ms": took.Milliseconds(), "bytes": l.Bytes()}
	if l.Telling() {
		fields["again"] = true // the record may have it already
	}
	switch {
	case !exit.Ran:
	case exit.Wait.Signaled():
		fields["signal"] = int(exit.Wait.Signal())
	default:
		fields["status"] = exit.Wait.ExitStatus()
	}
	b.record("system", "system", l.ID, "session_end", exit.String(), fields)
	e, note := l.event(wire.EventEnd, exit.String()), endedNote(exit)
	e.Ended = &note
	if exit.Ran {
		b.publish(e, l)
	}
}

func (b *Bridge) tellAttached(c *client) {
	l, role := c.in, c.allowed().String()
	b.Log.Printf("session %s: %s attached as %s", l.ID, person(c.who.UID), role)
	b.record("human", name(c.who.UID), l.ID, "attach", role, clientFields(c))
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
	b.record("human", name(c.who.UID), l.ID, "detach", why, clientFields(c))
	b.publish(by(l.event(wire.EventDetach, ""), c), l)
}

func (b *Bridge) tellRefused(who peer.Peer, sessionID, why string) {
	b.Log.Printf("refused %s, pid %d: %.300q", person(who.UID), who.PID, why)
	b.record("human", name(who.UID), shown(sessionID, 40), "denied", why, fields(who))
}

func (b *Bridge) tellKill(l *live, c *client, signal syscall.Signal) {
	which := unix.SignalName(signal)
	if which == "" {
		which = fmt.Sprintf("signal %d", signal)
	}
	b.Log.Printf("session %s: %s sends %s to all of it", l.ID, person(c.who.UID), which)
	f := clientFields(c)
	f["signal"] = int(signal)
	b.record("human", name(c.who.UID), l.ID, "control", "kill", f)
	b.publish(by(l.event(wire.EventKill, which), c), l)
}

// tellControl tells of a freeze or a thaw that somebody asked for.
func (b *Bridge) tellControl(l *live, c *client, what string) {
	b.Log.Printf("session %s: %s by %s", l.ID, what, person(c.who.UID))
	b.record("human", name(c.who.UID), l.ID, "control", what, clientFields(c))
}

func (b *Bridge) tellShare(l *live, c *client, kind string, uid uint32, role auth.Role) {
	b.Log.Printf("session %s: %s by %s: %s as %s", l.ID, kind, person(c.who.UID), person(uid), role)
	f := clientFields(c)
	f["with"], f["role"] = uid, role.String()
	b.record("human", name(c.who.UID), l.ID, "control", kind, f)
	e := by(l.event(kind, name(uid)), c)
	e.Role = role.String()
	b.publish(e, l)
}

func (b *Bridge) tellPut(l *live, c *client, path string) {
	b.Log.Printf("session %s: %s put %.200q", l.ID, person(c.who.UID), path)
	f := clientFields(c)
	f["path"] = path
	b.record("human", name(c.who.UID), l.ID, "control", "put", f)
}

func fields(who peer.Peer) map[string]any { return map[string]any{"uid": who.UID, "pid": who.PID} }

func clientFields(c *client) map[string]any {
	f := fields(c.who)
	f["client"] = c.id
	return f
}

func (b *Bridge) record(source, user, id, kind, content string, fields map[string]any) {
	err := b.Record.Write(audit.Record{
		Source: source, User: user, SessionID: id, CommandType: kind, Content: content, Metadata: fields,
	})
	if err != nil {
		b.Log.Printf("the record has a hole: %v", err)
	}
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
	b.record("system", "system", l.ID, "control", what, map[string]any{"reason": why, "home": l.User + " for " + name(l.Owner.UID)})
}

// tellRelocked tells that locked files were replaced from outside.
func (b *Bridge) tellRelocked(l *live, failed error) {
	what, fields := "locked what was replaced from outside", map[string]any{}
	if failed != nil {
		what = "what was replaced from outside cannot be locked: " + shown(failed.Error(), maxMessage)
		fields["error"] = failed.Error()
	}
	b.Log.Printf("session %s: %s", l.ID, what)
	b.record("system", "system", l.ID, "control", "relock", fields)
}

// tellPoisonous tells that a session's output cannot be looked through.
func (b *Bridge) tellPoisonous(l *live, why string) {
	b.Log.Printf("session %s: its output cannot be looked through, and is only kept: %.500s", l.ID, why)
	b.record("system", "system", l.ID, "control", "poisonous", map[string]any{"reason": shown(why, 500)})
	b.publish(l.event(wire.EventTrouble, "its output cannot be shown any more: aaau kill "+l.ID), l)
}

// tellTripped tells that a session was killed for something that would have been run,
// or written, as the person.
func (b *Bridge) tellTripped(l *live, why string) {
	why = shown(why, maxMessage) // the agent has named files in it
	b.Log.Printf("session %s: killed: %s", l.ID, why)
	b.record("system", "system", l.ID, "control", "tripped", map[string]any{"reason": why})
	b.publish(l.event(wire.EventTrouble, "the session was killed: "+why), l)
}
