package bridge

import (
	"errors"
	"fmt"
	"io"
	"os/user"
	"strconv"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/session"
)

// What happens is told twice: to the journal in a sentence, to the record in
// fields.

func (b *Bridge) tellStarted(s *session.Session) {
	where := ""
	if w := workspaces(s); len(w) > 0 {
		where = fmt.Sprintf(", with %.400q", w)
	}
	b.Log.Printf("session %s started: %s runs %.200q as %s in %s%s", s.ID, person(s.Owner.UID), s.Argv, s.User, s.Scope, where)
	b.record("system", name(s.Owner.UID), s.ID, "session_start", fmt.Sprintf("%q", s.Argv), map[string]any{
		"argv": s.Argv, "profile": s.Profile, "agent_user": s.User, "scope": s.Scope,
		"uid": s.Owner.UID, "pid": s.Owner.PID, "stage_pid": s.PID,
		"workspaces": workspaces(s), "secrets": s.Secrets,
	})
}

func (b *Bridge) tellEnded(s *session.Session) {
	took, exit := time.Since(s.Began).Round(time.Millisecond), s.Exit()
	b.Log.Printf("session %s ended: %s after %s, %d bytes of output", s.ID, exit, took, s.Bytes())
	fields := map[string]any{"duration_ms": took.Milliseconds(), "bytes": s.Bytes()}
	switch {
	case !exit.Ran:
	case exit.Wait.Signaled():
		fields["signal"] = int(exit.Wait.Signal())
	default:
		fields["status"] = exit.Wait.ExitStatus()
	}
	b.record("system", "system", s.ID, "session_end", exit.String(), fields)
}

func (b *Bridge) tellAttached(s *session.Session, who peer.Peer, role auth.Role) {
	b.Log.Printf("session %s: %s attached as %s", s.ID, person(who.UID), role)
	b.record("human", name(who.UID), s.ID, "attach", role.String(), fields(who))
}

func (b *Bridge) tellDetached(s *session.Session, who peer.Peer, err error) {
	why := ""
	if err != nil && !errors.Is(err, io.EOF) {
		why = ": " + err.Error()
	}
	b.Log.Printf("session %s: %s detached%s", s.ID, person(who.UID), why)
	b.record("human", name(who.UID), s.ID, "detach", why, fields(who))
}

func (b *Bridge) tellRefused(who peer.Peer, sessionID, why string) {
	b.Log.Printf("refused %s, pid %d: %.300q", person(who.UID), who.PID, why)
	b.record("human", name(who.UID), sessionID, "denied", why, fields(who))
}

func (b *Bridge) tellKill(s *session.Session, who peer.Peer) {
	b.Log.Printf("session %s: %s kills it", s.ID, person(who.UID))
	b.record("human", name(who.UID), s.ID, "control", "kill", fields(who))
}

func fields(who peer.Peer) map[string]any { return map[string]any{"uid": who.UID, "pid": who.PID} }

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
func (b *Bridge) tellHeld(s *session.Session, frozen bool, why string) {
	what := "thaw"
	if frozen {
		what = "freeze"
	}
	b.Log.Printf("session %s: %s: %s", s.ID, what, why)
	b.record("system", "system", s.ID, "control", what, map[string]any{"reason": why, "home": s.User + " for " + name(s.Owner.UID)})
}

// tellRelocked tells that locked files were replaced from outside.
func (b *Bridge) tellRelocked(s *session.Session, failed error) {
	what, fields := "locked what was replaced from outside", map[string]any{}
	if failed != nil {
		what = "what was replaced from outside cannot be locked: " + failed.Error()
		fields["error"] = failed.Error()
	}
	b.Log.Printf("session %s: %s", s.ID, what)
	b.record("system", "system", s.ID, "control", "relock", fields)
}

// tellTripped tells that a session was killed for something that would have been run,
// or written, as the person.
func (b *Bridge) tellTripped(s *session.Session, why string) {
	b.Log.Printf("session %s: killed: %s", s.ID, why)
	b.record("system", "system", s.ID, "control", "tripped", map[string]any{"reason": why})
}
