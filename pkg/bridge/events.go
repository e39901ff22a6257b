package bridge

import (
	"errors"
	"fmt"
	"io"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/scope"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// What happens is told three times: to the journal in a sentence, with what it can be
// looked up by; to the record in fields; and to people as an event.

// about is what an entry of the journal about the session, and somebody or else its
// owner, is looked up by.
func (l *live) about(c *client) journal.About {
	a := journal.About{Session: l.ID, Profile: l.Profile, AgentUser: l.User}
	if c == nil {
		a.User, a.UID = name(l.Owner.UID), strconv.FormatUint(uint64(l.Owner.UID), 10)
	} else {
		a.User, a.UID = name(c.who.UID), strconv.FormatUint(uint64(c.who.UID), 10)
		a.Client = strconv.FormatUint(c.id, 10)
	}
	return a
}

// trouble tells the journal of what does not work for a session, and goes on.
func (l *live) trouble(format string, args ...any) {
	l.watch.b.Log.Tell(journal.Trouble, l.about(nil), "session %s: "+format, append([]any{l.ID}, args...)...)
}

func (b *Bridge) tellStarted(l *live, c *client) {
	if missing := scope.Missing(l.Profile, l.Scope); len(missing) > 0 {
		b.noLimits.Do(func() {
			b.Log.Tell(journal.NoLimits, journal.About{}, "sessions are not held to their limits of %s: the kernel has no such controller for them", strings.Join(missing, " and "))
		})
	}
	where := ""
	if w := workspaces(l.Info); len(w) > 0 {
		where = ", with " + shown(fmt.Sprintf("%.400q", w), maxMessage)
	}
	b.Log.Tell(journal.SessionStart, l.about(c), "session %s started: %s runs %s as %s in %s%s", l.ID, person(l.Owner.UID),
		shown(fmt.Sprintf("%.200q", l.Argv), maxMessage), l.User, l.Scope, where)
	b.publish(by(l.event(wire.EventStart, program(l.Argv)), c), l)
}

// startOf is the record of the start of a session of c's.
func (b *Bridge) startOf(l *live, c *client) audit.Record {
	rows, cols := l.Size()
	return l.told(audit.System, c.user, fmt.Sprintf("%q", l.Argv), audit.SessionStart{
		Person: c.recorded(), Program: argv.String(l.Argv[0]), Argv: l.Argv, Profile: l.Profile, AgentUser: l.User, AgentPID: l.PID,
		PTY: l.Terminal(), Pipes: l.Pipes, ErrorsApart: l.ErrorsApart, Rows: rows, Cols: cols, Scope: l.Scope, Name: l.name, Private: l.Private, Deadline: deadline(l.Info),
		Limits: scope.Properties(l.Profile, l.Scope), Workspaces: workspaces(l.Info), Secrets: l.Secrets,
	})
}

// tellEnded tells a session's end, and says whether it is recorded. A bridge whose sessions
// go on without it leaves one that is not to the next.
func (b *Bridge) tellEnded(l *live) bool {
	took, exit, used := time.Since(l.Began).Round(time.Millisecond), l.Exit(), l.Used()
	end := audit.SessionEnd{
		DurationMS: took.Milliseconds(), Bytes: l.Bytes() - l.ErrorBytes(), ErrorBytes: l.ErrorBytes(),
		MemoryPeak: used.MemoryPeak, CPUUsec: used.CPU,
	}
	switch {
	case !exit.Ran:
	case l.isSilent():
		end.Unknown = true
	case exit.Wait.Signaled():
		signal := int(exit.Wait.Signal())
		end.Signal = &signal
	default:
		status := exit.Wait.ExitStatus()
		end.Status = &status
	}
	how := exit.String()
	if l.memory.why != "" {
		exit.Silent = false
		how = exit.String() + ": " + l.memory.why
	}
	recorded := l.rec.finish(l.told(audit.System, "system", how, end))
	if !recorded && b.stopping.Load() {
		return false
	}
	b.Log.Tell(journal.SessionEnd, l.about(nil), "session %s ended: %s after %s, %d bytes of output", l.ID, how, took, l.Bytes())
	if end.Unknown {
		b.Log.Tell(journal.SilentEnd, l.about(nil), "session %s: %s: the kernel's log may say who did", l.ID, how)
	}
	e, note := l.event(wire.EventEnd, how), l.endedNote()
	e.Ended = &note
	if exit.Ran {
		b.publish(e, l)
	}
	return recorded
}

func (b *Bridge) tellAttached(c *client) {
	l, role := c.in, c.allowed().String()
	b.Log.Tell(journal.Attach, l.about(c), "session %s: %s attached as %s", l.ID, person(c.who.UID), role)
	rec := l.told(audit.Human, c.user, role, audit.Attach{Person: c.recorded(), Role: role})
	if !l.rec.note(rec) { // who came just at the end has seen it all the same
		b.recordOwn(rec, l.about(c))
	}
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
	b.Log.Tell(journal.Detach, l.about(c), "session %s: %s detached%s", l.ID, person(c.who.UID), why)
	l.rec.note(l.told(audit.Human, c.user, why, audit.Detach{Person: c.recorded()}))
	b.publish(by(l.event(wire.EventDetach, ""), c), l)
}

// tellRefused tells of what somebody must not, with a session or without: named as they
// did, which may be no session's name. Beyond what is told of a user it is told later.
func (b *Bridge) tellRefused(c *client, called, why string) {
	if b.refused.hold(c, why, b.tellHeldBack) {
		return
	}
	about := journal.About{User: c.user, UID: strconv.FormatUint(uint64(c.who.UID), 10), Client: strconv.FormatUint(c.id, 10)}
	if l := b.meant(c, called); l != nil {
		about = l.about(c)
	}
	b.Log.Tell(journal.Denied, about, "refused %s, pid %d: %.300q", person(c.who.UID), c.who.PID, why)
	b.recordOwn(audit.Record{
		Source: audit.Human, User: c.user, SessionID: shown(called, 40), Content: why, Metadata: audit.Denied{Person: c.recorded()},
	}, about)
}

// recordOwn records something in the bridge's own chain.
func (b *Bridge) recordOwn(rec audit.Record, about journal.About) {
	_, err := b.Record.Bridge().Append(rec)
	b.anchorOwn()
	if err != nil {
		b.Log.Tell(journal.RecordHole, about, "the record has a hole: %v", err)
	}
}

// meant is the session that somebody asks for; nil if they had to guess, and guessed
// wrong. They need not know of it.
func (b *Bridge) meant(c *client, called string) *live {
	if called == "" && c.in == nil {
		return nil
	}
	if l, _, err := c.target(called); err == nil {
		return l
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sessions[called]
}

// tellBack tells who looks back, at which session or with an empty id at any. It is not
// done if it cannot be recorded.
func (b *Bridge) tellBack(c *client, id, profile string, did audit.Control) error {
	about := journal.About{Session: id, Profile: profile, User: c.user, UID: strconv.FormatUint(uint64(c.who.UID), 10), Client: strconv.FormatUint(c.id, 10)}
	what, where := did.Action, "the record: "
	if did.Action == string(wire.DoExport) {
		what += " as " + did.Reason
	}
	if id != "" {
		where = "session " + id + ": "
	}
	b.Log.Tell(journal.LookBack, about, "%s%s looks back: %s", where, person(c.who.UID), what)
	p := c.recorded()
	did.Person = &p
	_, err := b.Record.Bridge().Append(audit.Record{Source: audit.Human, User: c.user, SessionID: id, Content: did.Action, Metadata: did})
	b.anchorOwn()
	if err != nil {
		return refusal(record, "that you look back cannot be recorded, and so you cannot: %v", err)
	}
	return nil
}

func (b *Bridge) tellKill(l *live, c *client, signal syscall.Signal) {
	which := unix.SignalName(signal)
	if which == "" {
		which = fmt.Sprintf("signal %d", signal)
	}
	b.Log.Tell(journal.Kill, l.about(c), "session %s: %s sends %s to all of it", l.ID, person(c.who.UID), which)
	b.control(l, c, audit.Control{Action: "kill", Signal: int(signal)})
	b.publish(by(l.event(wire.EventKill, which), c), l)
}

// tellControl tells of a freeze or a thaw that somebody asked for.
func (b *Bridge) tellControl(l *live, c *client, what string) {
	b.Log.Tell(freezing(what == "freeze"), l.about(c), "session %s: %s by %s", l.ID, what, person(c.who.UID))
	b.control(l, c, audit.Control{Action: what})
}

func (b *Bridge) tellShare(l *live, c *client, kind string, uid uint32, role auth.Role) {
	told := journal.Share
	if kind == wire.EventUnshare {
		told = journal.Unshare
	}
	b.Log.Tell(told, l.about(c), "session %s: %s by %s: %s as %s", l.ID, kind, person(c.who.UID), person(uid), role)
	b.control(l, c, audit.Control{Action: kind, With: &uid, Role: role.String()})
	e := by(l.event(kind, name(uid)), c)
	e.Role = role.String()
	b.publish(e, l)
}

func (b *Bridge) tellPut(l *live, c *client, path string) {
	b.Log.Tell(journal.Put, l.about(c), "session %s: %s put %.200q", l.ID, person(c.who.UID), path)
	b.control(l, c, audit.Control{Action: "put", Path: argv.String(path)})
}

// recorded is how the record names who is at the other end.
func (c *client) recorded() audit.Person {
	return audit.Person{UID: c.who.UID, LoginUID: c.login, PID: c.who.PID, Client: c.id}
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
	switch {
	case l.recording.NoInput:
		rec = audit.NewWithheldInput(user, who, len(data), "profile")
	case l.AsksSecret():
		rec = audit.NewWithheldInput(user, who, len(data), "password")
	}
	return b.recordTyped(l, c, rec, len(data))
}

// recordReports records what a client's terminal says by itself, before the program gets
// it: as what nobody typed.
func (b *Bridge) recordReports(l *live, c *client, data []byte) error {
	return b.recordTyped(l, c, audit.NewAnswer(data), len(data))
}

// recordTyped records n bytes that a client is about to write to the program.
func (b *Bridge) recordTyped(l *live, c *client, rec audit.Record, n int) error {
	rec.SessionID = l.ID
	if err := l.rec.typed(rec, n); err != nil {
		if l.recording.OnFailure == config.Continue {
			l.rec.hole("%d bytes that %s typed", n, c.user)
			return nil
		}
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
	b.Log.Tell(freezing(frozen), l.about(nil), "session %s: %s: %s", l.ID, what, why)
	b.control(l, nil, audit.Control{Action: what, Reason: why, Home: l.User + " for " + name(l.Owner.UID)})
}

func freezing(frozen bool) journal.Kind {
	if frozen {
		return journal.Freeze
	}
	return journal.Thaw
}

// tellRelocked tells that locked files were replaced from outside.
func (b *Bridge) tellRelocked(l *live, failed error) {
	kind, what, did := journal.Relock, "locked what was replaced from outside", audit.Control{Action: "relock"}
	if failed != nil {
		kind = journal.Exposed
		what = "what was replaced from outside cannot be locked: " + shown(failed.Error(), maxMessage)
		did.Error = shown(failed.Error(), maxMessage)
	}
	b.Log.Tell(kind, l.about(nil), "session %s: %s", l.ID, what)
	b.control(l, nil, did)
}

// tellPoisonous tells that a session's output cannot be looked through.
func (b *Bridge) tellPoisonous(l *live, why string) {
	b.Log.Tell(journal.Poisonous, l.about(nil), "session %s: its output cannot be looked through, and is only kept: %.500s", l.ID, why)
	b.control(l, nil, audit.Control{Action: "poisonous", Reason: shown(why, 500)})
	b.publish(l.event(wire.EventTrouble, "its output cannot be shown any more: aaau kill "+l.ID), l)
}

// tellTripped tells that a session was killed for something that would have been run,
// or written, as the person.
func (b *Bridge) tellTripped(l *live, why string) {
	why = shown(why, maxMessage) // the agent has named files in it
	b.Log.Tell(journal.Tripped, l.about(nil), "session %s: killed: %s", l.ID, why)
	b.control(l, nil, audit.Control{Action: "tripped", Reason: why})
	b.publish(l.event(wire.EventTrouble, "the session was killed: "+why), l)
}
