package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// backs is a bridge's record with sessions of every age in it. Each is uid 1000's but
// those that begin with nobody; its program has a secret argument and prints its id, and
// two people type. Of nobody's the beginning has expired.
func backs(t *testing.T) *Bridge {
	t.Helper()
	const group = 990
	dir := t.TempDir()
	store, err := audit.Open(dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if err := store.Bridge().Announce(); err != nil {
		t.Fatal(err)
	}
	b := &Bridge{
		Record: store, Log: journal.To(io.Discard), sessions: map[string]*live{}, backs: map[*look]bool{}, turn: make(chan struct{}, 1),
		Policy: auth.Policy{Group: group, AgentUIDs: []uint32{1008}, Rules: []auth.Rule{
			{ID: 1002, Profile: "claude"}, {ID: 1003, Role: auth.Admin, Profile: "claude"}, {ID: 1009, Role: auth.Admin},
			{ID: 1010, Role: auth.Auditor},
		}},
	}
	owner := peer.Peer{UID: 1000, GID: group}
	shared := map[uint32]auth.Role{1006: auth.ReadOnly}
	for _, s := range []struct {
		id      string
		private bool
	}{
		{"liveopen", false}, {"liveshut", true}, {"pastopen", false}, {"pastshut", true}, {"oldopen", false}, {"oldshut", true}, {"nobodys", false},
	} {
		c, err := store.Session(s.id, "agent", false)
		if err != nil {
			t.Fatal(err)
		}
		var records []audit.Record
		if s.id != "nobodys" {
			records = append(records, audit.Record{Source: audit.System, User: "owner", Content: `["claude" "argument-secret"]`, Metadata: audit.SessionStart{
				Person: audit.Person{UID: 1000}, Program: "claude", Argv: []string{"claude", "argument-secret"}, Profile: "claude", Private: s.private,
			}})
		}
		records = append(records, audit.NewInput("owner", audit.Person{UID: 1000}, []byte("typed-by-1000\r")),
			audit.NewInput("guest", audit.Person{UID: 1006}, []byte("typed-by-1006\r")))
		if _, err := c.Append(records...); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Output(audit.Stdout, []byte("printed-by-"+s.id+"\r\n"), true); err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasPrefix(s.id, "live"):
			b.sessions[s.id] = &live{shared: shared, Session: &session.Session{Info: session.Info{
				Session: privsep.Session{ID: s.id}, Owner: owner, Profile: "claude", Private: s.private}}}
			continue
		case strings.HasPrefix(s.id, "past"):
			b.past = append(b.past, past{At: time.Now(), Info: wire.SessionInfo{ID: s.id, Owner: 1000},
				Right: auth.Session{Owner: 1000, Profile: "claude", Private: s.private, Shared: shared}})
		}
		if err := c.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// Who may look back, and at what: what they could have watched.
func TestWhoLooksBack(t *testing.T) {
	b := backs(t)
	for _, row := range []struct {
		name                                                                    string
		uid                                                                     uint32
		stranger                                                                bool
		liveopen, liveshut, pastopen, pastshut, oldopen, oldshut, nobodys, aaau string
	}{
		//                                   liveopen liveshut pastopen pastshut oldopen oldshut nobodys aaau
		{"the owner", 1000, false, whole, whole, whole, whole, whole, whole, hidden, hidden},
		{"another", 1004, false, watched, hidden, watched, hidden, watched, hidden, hidden, hidden},
		{"one it is shared with", 1006, false, watched, watched, watched, watched, watched, hidden, hidden, hidden},
		{"one without the profile", 1002, false, hidden, hidden, hidden, hidden, hidden, hidden, hidden, hidden},
		{"the profile's Admin", 1003, false, whole, whole, whole, whole, whole, whole, hidden, hidden},
		{"an Admin", 1009, false, whole, whole, whole, whole, whole, whole, whole, whole},
		{"an Auditor", 1010, false, whole, whole, whole, whole, whole, whole, whole, whole},
		{"root", 0, false, whole, whole, whole, whole, whole, whole, whole, whole},
		{"a stranger", 1005, true, hidden, hidden, hidden, hidden, hidden, hidden, hidden, hidden},
		{"an agent", 1008, false, hidden, hidden, hidden, hidden, hidden, hidden, hidden, hidden},
	} {
		who := peer.Peer{UID: row.uid, GID: 990}
		if row.stranger {
			who.GID = 5
		}
		c := &client{b: b, who: who, most: auth.Admin}
		for id, want := range map[string]string{
			"liveopen": row.liveopen, "liveshut": row.liveshut, "pastopen": row.pastopen, "pastshut": row.pastshut,
			"oldopen": row.oldopen, "oldshut": row.oldshut, "nobodys": row.nobodys,
		} {
			if got := c.seesOf(t, id); got != want {
				t.Errorf("%s: %s is %s, not %s", row.name, id, got, want)
			}
			if got := c.findsOf(t, id); got != want {
				t.Errorf("%s: of %s a search finds %s, not %s", row.name, id, got, want)
			}
		}
		own, err := c.search1(t, audit.Query{Kinds: []audit.Kind{audit.KindBridgeStart}})
		if err != nil || (len(own) > 0) != (row.aaau == whole) {
			t.Errorf("%s: of the bridge's own chain a search finds %d, %v", row.name, len(own), err)
		}
		if _, _, err := c.inRecord("aaau"); err == nil {
			t.Errorf("%s: the bridge's own chain is taken for a session", row.name)
		}
	}
}

// Who a session was shared with looks back at it for as long as that is known of it, and
// no longer if nobody has asked for it meanwhile.
func TestSharesOfLongAgo(t *testing.T) {
	b := backs(t)
	c := &client{b: b, who: peer.Peer{UID: 1006, GID: 990}, most: auth.Admin}
	if got := c.findsOf(t, "pastshut"); got != watched {
		t.Errorf("of one that has just ended a search finds %s", got)
	}
	for i := range b.past {
		b.past[i].At = time.Now().Add(-pastTime - time.Second)
	}
	if got := c.findsOf(t, "pastshut"); got != hidden {
		t.Errorf("of one of long ago a search finds %s", got)
	}
}

// seesOf is what a client gets of a session's record.
func (c *client) seesOf(t *testing.T, id string) string {
	t.Helper()
	got, right, err := c.inRecord(id)
	_, _, none := c.inRecord(strings.Repeat("x", len(id)))
	if err != nil {
		if want := strings.ReplaceAll(none.Error(), strings.Repeat("x", len(id)), id); err.Error() != want {
			t.Errorf("uid %d, %s: %v, but of one that never was: %v", c.who.UID, id, err, want)
		}
		return hidden
	}
	if got != id {
		t.Errorf("%s is %s", id, got)
	}
	if got, _, err := c.inRecord(id[:len(id)-1]); got != id || err != nil {
		t.Errorf("the beginning of %s is %s, %v", id, got, err)
	}
	var text bytes.Buffer
	out := &pieces{ctx: t.Context(), c: c}
	defer out.release()
	if err := audit.JSONL(&text, c.view(out, right).records(c.b.Record.Dir(), id)); err != nil {
		t.Fatal(err)
	}
	return c.judged(t, id, text.String())
}

// judged is what a record, as lines of JSON, shows to a client.
func (c *client) judged(t *testing.T, id, text string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if !json.Valid([]byte(line)) {
			t.Errorf("%q", line)
		}
	}
	if !strings.Contains(text, "printed-by-"+id) {
		return "without output"
	}
	secrets := 0
	for _, s := range []string{"typed-by-1000", "typed-by-1006", "argument-secret"} {
		if strings.Contains(text, s) {
			secrets++
		}
	}
	switch {
	case secrets == 3, id == "nobodys" && secrets == 2:
		return whole
	case secrets == 0 && c.who.UID != 1006, secrets == 1 && c.who.UID == 1006 && strings.Contains(text, "typed-by-1006"):
		if n := strings.Count(text, `"withheld":"rights"`); n == 0 {
			t.Errorf("%s: it is not said that something is withheld", id)
		}
		return watched
	}
	return fmt.Sprintf("%d secrets", secrets)
}

// search1 is what a client's search finds.
func (c *client) search1(t *testing.T, q audit.Query) (all []wire.Found, err error) {
	t.Helper()
	out := &pieces{ctx: t.Context(), c: c}
	defer out.release()
	_, err = c.find(out, q, func(f wire.Found) error {
		f.Metadata = bytes.Clone(f.Metadata) // the reader's
		all = append(all, f)
		return nil
	})
	return all, err
}

// findsOf is what a client finds of a session, by looking for all that there is: what is
// not for it is not even found.
func (c *client) findsOf(t *testing.T, id string) string {
	t.Helper()
	text := ""
	for _, sought := range []string{"printed-by-", "typed-by-", "argument-secret"} {
		found, err := c.search1(t, audit.Query{Session: id, Text: sought})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if f.Session != id {
				t.Errorf("of %s it finds %+v", id, f)
			}
			line, _ := json.Marshal(f)
			text += string(line) + "\n"
		}
	}
	if text == "" {
		return hidden
	}
	text += `"withheld":"rights"` // such records have nothing that is looked for here
	lines := strings.SplitAfter(text, "\n")
	return c.judged(t, id, strings.Join(lines[:len(lines)-1], "")+`{"withheld":"rights"}`)
}

// What names more than one session names none; what the asker may not know of does not
// count.
func TestBeginningsOfOldSessions(t *testing.T) {
	b := backs(t)
	for uid, want := range map[uint32]string{1000: "ambiguous", 1004: "oldopen", 1009: "ambiguous"} {
		c := &client{b: b, who: peer.Peer{UID: uid, GID: 990}, most: auth.Admin}
		id, _, err := b.resolveOld(c.who, "oldo")
		if id != "oldopen" || err != nil {
			t.Errorf("uid %d: oldo is %q, %v", uid, id, err)
		}
		if id, _, err := b.resolveOld(c.who, "old"); id != "" || err != nil {
			t.Errorf("uid %d: three characters name %q, %v", uid, id, err)
		}
		id, _, err = b.resolveOld(c.who, "past") // whose table is not asked here
		var note *wire.ErrorNote
		if errors.As(err, &note) {
			id = note.Code
		}
		if want := strings.Replace(want, "old", "past", 1); id != want {
			t.Errorf("uid %d: past is %q, %v, not %q", uid, id, err, want)
		}
	}
}
