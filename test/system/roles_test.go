package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/auth/authtest"
	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// What access.conf calls the roles of the table.
var roleWords = map[string]string{"None": "deny", "ReadOnly": "ReadOnly", "Auditor": "Auditor", "Interactive": "Interactive", "Admin": "Admin"}

// lies are what a client could hope to be believed.
var lies = map[string]any{"role": "Admin", "uid": 0, "admin": true, "owner": 0, "user": "root", "client": 1, "as": "Admin", "own": true}

// manner is how somebody comes to a session, to try what they may.
type manner struct {
	name     string
	readOnly bool // they asked to watch only
	try      func(*trial)
}

var manners = []manner{
	{"asking", false, func(tr *trial) { tr.asks(nil) }},
	{"asking, with lies", false, func(tr *trial) { tr.asks(lies) }},
	{"inside", false, func(tr *trial) { tr.inside(nil) }},
	{"inside, with lies", false, func(tr *trial) { tr.inside(lies) }},
	{"inside to watch", true, func(tr *trial) { tr.inside(nil) }},
	{"inside to watch, with lies", true, func(tr *trial) { tr.inside(lies) }},
	{"version 1", false, func(tr *trial) { tr.version1() }},
}

// Every role tries everything with a session of its own and with another's, in both
// versions of the protocol, honestly and not. Whatever it is told, what counts is what
// has become of the session.
func TestRoles(t *testing.T) {
	for role, word := range roleWords {
		t.Run(role, func(t *testing.T) {
			begin(t)
			observer, owners := as(t, "observer"), map[bool]account{true: as(t, "observer"), false: as(t, "operator")}
			var trials []*trial
			for _, m := range manners {
				for own, owner := range owners {
					id := output(t, owner, "aaau", "start", "-p", helper+" witness")
					trials = append(trials, &trial{manner: m, role: role, own: own, id: id, who: observer})
				}
			}
			grant(t, "user=observer "+word)
			for _, tr := range trials {
				t.Run(fmt.Sprintf("%s, own %t", tr.name, tr.own), func(t *testing.T) {
					tr.t = t
					tr.watch()
					defer tr.end()
					tr.try(tr)
				})
			}
		})
	}
}

// beWitness tells what is done to its session: a shell that no signal of Go's runtime
// disturbs.
func beWitness([]string) int {
	const script = `stty raw -echo; trap 'echo urged' URG; echo ready; while :; do IFS= read -r x && echo "typed $x"; done`
	fmt.Println(syscall.Exec("/bin/sh", []string{"sh", "-c", script}, os.Environ()))
	return 1
}

// trial is somebody who tries what they may do with a session.
type trial struct {
	manner
	role string
	own  bool
	id   string
	who  account
	t    *testing.T

	ctx      context.Context
	cancel   context.CancelFunc
	root     *client.Conn    // who sees what comes of it
	watching *client.Session // and hears the witness
	watched  sync.WaitGroup

	mu    sync.Mutex // guards what follows
	heard bytes.Buffer
	marks int
}

// watch has root follow what happens in the session.
func (tr *trial) watch() {
	tr.t.Helper()
	tr.ctx, tr.cancel = context.WithTimeout(context.Background(), patience)
	var err error
	if tr.root, err = client.Dial(tr.ctx, serverSocket); err != nil {
		tr.t.Fatal(err)
	}
	if tr.watching, err = client.Open(tr.ctx, serverSocket, wire.OpenRequest{Attach: tr.id, ReadOnly: true}); err != nil {
		tr.t.Fatal(err)
	}
	tr.watched.Go(func() { _, _ = tr.watching.Copy(client.Sink{Out: tr}) }) // until the end
	await(tr.t, "the witness", func() bool { return strings.Contains(tr.said(), "ready\n") })
	tr.witness()
}

// end ends the session.
func (tr *trial) end() {
	_ = tr.root.Kill(tr.ctx, tr.id, 0) // it may be over
	tr.watched.Wait()
	tr.watching.Close()
	tr.root.Close()
	tr.cancel()
}

// Write hears the witness.
func (tr *trial) Write(p []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.heard.Write(p)
}

func (tr *trial) said() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.heard.String()
}

// witness is what the witness has told since it was asked last.
func (tr *trial) witness() string {
	tr.t.Helper()
	tr.marks++
	mark := fmt.Sprintf("typed mark %d\n", tr.marks)
	if err := tr.root.Send(tr.ctx, tr.id, []byte(mark[len("typed "):])); err != nil {
		tr.t.Fatal(err)
	}
	var told string
	await(tr.t, mark, func() (ok bool) { told, _, ok = strings.Cut(tr.said(), mark); return ok })
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.heard.Next(len(told) + len(mark))
	return told
}

func (tr *trial) status() wire.SessionInfo {
	tr.t.Helper()
	s, err := tr.root.Status(tr.ctx, tr.id)
	if err != nil {
		tr.t.Fatal(err)
	}
	return s
}

// may says what the table says, for who has asked for no more than to watch too.
func (tr *trial) may(action string) bool {
	role := tr.role
	if tr.readOnly && role != "None" {
		role = "ReadOnly"
	}
	return authtest.May(role, tr.own, action)
}

// check holds an answer, and what the witness tells, to the table.
func (tr *trial) check(what, action string, note *wire.ErrorNote, tells string) {
	tr.t.Helper()
	tr.answered(what, action, note)
	tr.seen(what, action, tells)
}

func (tr *trial) answered(what, action string, note *wire.ErrorNote) {
	tr.t.Helper()
	switch may := tr.may(action); {
	case may && note != nil:
		tr.t.Errorf("%s: refused: %s: %s", what, note.Code, note.Message)
	case !may && note == nil:
		tr.t.Errorf("%s: granted", what)
	case !may && note.Code != "denied":
		tr.t.Errorf("%s: not denied, but %s: %s", what, note.Code, note.Message)
	}
}

func (tr *trial) seen(what, action, tells string) {
	tr.t.Helper()
	if !tr.may(action) {
		tells = ""
	}
	if got := tr.witness(); got != tells {
		tr.t.Errorf("%s: the witness tells %q, not %q", what, got, tells)
	}
}

// is holds a state of the session's to the table.
func (tr *trial) is(what, action string, got bool) {
	tr.t.Helper()
	if want := tr.may(action); got != want {
		tr.t.Errorf("%s: it has come to pass: %t, not %t", what, got, want)
	}
}

// requests tries all that can be asked for, with a function that asks.
func (tr *trial) requests(ask func(wire.Request) (wire.Reply, *wire.ErrorNote)) {
	for _, do := range []wire.Verb{wire.DoStatus, wire.DoPeek} {
		_, note := ask(wire.Request{Do: do})
		tr.check(string(do), "see", note, "")
	}
	reply, note := ask(wire.Request{Do: wire.DoList})
	tr.answered("list", "see", note)
	listed := false
	for _, s := range reply.Sessions {
		listed = listed || s.ID == tr.id
	}
	tr.is("list", "see", listed)

	_, note = ask(wire.Request{Do: wire.DoSend, Bytes: []byte("sent\n")})
	tr.check("send", "type", note, "typed sent\n")
	_, note = ask(wire.Request{Do: wire.DoKill, Signal: int(unix.SIGURG)})
	tr.check("a signal", "kill", note, "urged\n")

	frozen := func() bool { return tr.status().State == wire.StateFrozen }
	_, note = ask(wire.Request{Do: wire.DoFreeze})
	tr.answered("freeze", "freeze", note)
	tr.is("freeze", "freeze", frozen())
	if err := tr.root.Freeze(tr.ctx, tr.id); err != nil {
		tr.t.Error(err)
	}
	_, note = ask(wire.Request{Do: wire.DoThaw})
	tr.answered("thaw", "thaw", note)
	tr.is("thaw", "thaw", !frozen())
	if err := tr.root.Thaw(tr.ctx, tr.id); err != nil {
		tr.t.Error(err)
	}

	const stranger = 4711
	shared := func() bool {
		for _, s := range tr.status().Shared {
			if s.UID == stranger {
				return true
			}
		}
		return false
	}
	uid := uint32(stranger)
	_, note = ask(wire.Request{Do: wire.DoShare, UID: &uid})
	tr.answered("share", "share", note)
	tr.is("share", "share", shared())
	if err := tr.root.Share(tr.ctx, tr.id, uid, false); err != nil {
		tr.t.Error(err)
	}
	_, note = ask(wire.Request{Do: wire.DoUnshare, UID: &uid})
	tr.answered("unshare", "share", note)
	tr.is("unshare", "share", !shared())
	_ = tr.root.Unshare(tr.ctx, tr.id, uid) // it may be done

	victim, err := client.Open(tr.ctx, serverSocket, wire.OpenRequest{Attach: tr.id, ReadOnly: true})
	if err != nil {
		tr.t.Fatal(err)
	}
	defer victim.Close()
	_, note = ask(wire.Request{Do: wire.DoDismiss, Client: victim.Client})
	tr.check("dismiss", "dismiss", note, "")
	there := func() bool {
		for _, p := range tr.status().People {
			if p.Client == victim.Client {
				return true
			}
		}
		return false
	}
	if tr.may("dismiss") {
		var dismissed *wire.ErrorNote
		if _, err := victim.Copy(client.Sink{}); !errors.As(err, &dismissed) || dismissed.Code != wire.CodeDismissed {
			tr.t.Errorf("dismissed: %v", err)
		}
	} else if !there() {
		tr.t.Error("somebody was dismissed")
	}
}

// asks tries it on connections that are in no session.
func (tr *trial) asks(lies map[string]any) {
	ask := func(req wire.Request) (wire.Reply, *wire.ErrorNote) {
		c := speak2(tr.t, connect(tr.t, tr.who, 1)[0], lies)
		defer c.conn.Close()
		req.Session = tr.id
		return c.ask(req)
	}
	tr.requests(ask)

	c := speak2(tr.t, connect(tr.t, tr.who, 1)[0], lies)
	file := memfd(tr.t, "text", allSeals)
	put := wire.Frame(wire.Ask, wire.Request{Seq: 1, Do: wire.DoPut, Session: tr.id, File: argv.String("file")})
	if _, _, err := c.conn.WriteMsgUnix(put, unix.UnixRights(file), nil); err != nil && tr.role != "None" {
		tr.t.Error(err)
	}
	note := c.next(nil, wire.Answer)
	if err := tr.root.Send(tr.ctx, tr.id, []byte("\n")); err != nil {
		tr.t.Error(err)
	}
	tr.answered("put", "type", note)
	want := "typed \n"
	if tr.may("type") {
		want = "typed /tmp/file \n"
	}
	if got := tr.witness(); got != want {
		tr.t.Errorf("put: the witness tells %q, not %q", got, want)
	}

	waiting := speak2(tr.t, connect(tr.t, tr.who, 1)[0], lies)
	if tr.may("see") { // it hears of the end
		waiting.object(wire.Ask, wire.Request{Seq: 7, Do: wire.DoWait, Session: tr.id})
		if note := waiting.settled(); note != nil {
			tr.t.Errorf("wait: %+v", note)
		}
	} else if _, note := waiting.ask(wire.Request{Do: wire.DoWait, Session: tr.id}); note == nil || note.Code != "denied" {
		tr.t.Errorf("wait: %+v", note)
	}

	_, note = ask(wire.Request{Do: wire.DoKill})
	tr.killed(note)
	if tr.may("see") {
		_ = tr.root.Kill(tr.ctx, tr.id, 0)
		var reply wire.Reply
		if note := waiting.next(&reply, wire.Answer); note != nil || reply.Ended == nil || reply.Ended.Signal != int(unix.SIGKILL) {
			tr.t.Errorf("wait: %+v %+v", reply, note)
		}
	}
}

// killed checks the last thing that is tried.
func (tr *trial) killed(note *wire.ErrorNote) {
	tr.t.Helper()
	if note != nil && tr.may("kill") && (note.Code == "gone" || note.Code == "ended") {
		note = nil // the answer may come too late for the session's end
	}
	tr.answered("kill", "kill", note)
	if tr.may("kill") {
		if _, err := tr.root.Wait(tr.ctx, tr.id); err != nil {
			tr.t.Error(err)
		}
		return
	}
	tr.seen("kill", "kill", "")
}

// inside tries it as one of the session's people.
func (tr *trial) inside(lies map[string]any) {
	c := speak2(tr.t, connect(tr.t, tr.who, 1)[0], lies)
	reply, note := c.open(wire.OpenRequest{Attach: tr.id, ReadOnly: tr.readOnly, Session: spec.Session{Size: wire.Size{Rows: 21, Cols: 71}}})
	tr.answered("attach", "see", note)
	if note != nil {
		tr.seen("attach", "see", "")
		return
	}
	if want := map[bool]string{true: "ReadOnly", false: tr.role}[tr.readOnly]; reply.Role != want {
		tr.t.Errorf("attached as %s, not %s", reply.Role, want)
	}
	sized := func(rows, cols uint16) bool { s := tr.status(); return s.Rows == rows && s.Cols == cols }
	tr.is("the size that it came with", "resize", sized(21, 71))
	for !strings.Contains(c.out.String(), "ready\n") {
		if note := c.next(nil, wire.Output); note != nil {
			tr.t.Fatalf("no output: %+v", note)
		}
	}

	c.write(wire.Frame(wire.Input, []byte("keys\n")))
	tr.check("keys", "type", c.settled(), "typed keys\n")
	c.object(wire.Resize, wire.Size{Rows: 31, Cols: 91})
	if note := c.settled(); note != nil {
		tr.t.Errorf("resize: %+v", note)
	}
	tr.is("resize", "resize", sized(31, 91))
	tr.seen("resize", "resize", "")

	// By its name too: who came to watch is no more in this session than that.
	for _, session := range []string{"", tr.id} {
		tr.requests(func(req wire.Request) (wire.Reply, *wire.ErrorNote) {
			req.Session = session
			return c.ask(req)
		})
	}
	_, note = c.ask(wire.Request{Do: wire.DoKill})
	tr.killed(note)
}

// version1 tries what there is in version 1.
func (tr *trial) version1() {
	c := speak1(tr.t, connect(tr.t, tr.who, 1)[0], "SESSION:"+tr.id+"\n")
	id, why := c.opened()
	if id == "" {
		if tr.may("see") || !strings.HasPrefix(why, "Auth failed: ") {
			tr.t.Errorf("attach: %q", why)
		}
		tr.seen("attach", "see", "")
		return
	}
	tr.is("attach", "see", id == tr.id)
	c.until(&c.out, "ready\n")
	// denied is what was said since the last time.
	denied := func() *wire.ErrorNote {
		said, there := c.settled()
		switch {
		case strings.Contains(said, "\x01ERROR:") && strings.Contains(said, "not allowed"):
			return &wire.ErrorNote{Code: "denied", Message: said}
		case strings.Contains(said, "\x01ERROR:"):
			return &wire.ErrorNote{Code: "failed", Message: said}
		case !there:
			return &wire.ErrorNote{Code: "gone"}
		}
		return nil
	}
	c.frame("keys\n")
	tr.check("keys", "type", denied(), "typed keys\n")
	c.frame("\x01RESIZE:31,91")
	if note := denied(); note != nil {
		tr.t.Errorf("resize: %+v", note)
	}
	s := tr.status()
	tr.is("resize", "resize", s.Rows == 31 && s.Cols == 91)
	c.frame("\x01GET_STATUS")
	said, _ := c.settled()
	tr.is("status", "see", strings.HasPrefix(said, "\x01STATUS:{"))
	c.frame("\x01FORCE_KILL")
	tr.killed(denied())
}
