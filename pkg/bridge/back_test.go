package bridge

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/auth"
	api "github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/spec"
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

// What the table below has of somebody and a session.
const (
	hidden  = "hidden"  // there is no such session
	watched = "watched" // what it printed, and what they typed themselves
	whole   = "whole"
)

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

// ended is a session of which everything is recorded.
func (h *harness) ended(script string) (id, out string) {
	h.t.Helper()
	s := h.sh(script)
	out, _ = h.all(s)
	return s.ID, out
}

func TestExport(t *testing.T) {
	h := start(t, nil)
	id, out := h.ended(`printf '\033[1mone\033[m\r\ntw\303\266\377\r\n'`)
	asking := h.asking()
	for format, want := range map[string]string{
		wire.FormatRaw:       out,
		wire.FormatText:      "one\ntwö\ufffd\n",
		wire.FormatAsciicast: `"o", "\u001b[1mone\u001b[m\r`,
		wire.FormatJSONL:     `"command_type":"session_end"`,
	} {
		var got bytes.Buffer
		incomplete, err := asking.Export(t.Context(), id, format, &got)
		if err != nil || incomplete != "" || !strings.Contains(got.String(), want) || format == wire.FormatRaw && got.String() != want {
			t.Errorf("%s: %q, %q, %v", format, got.String(), incomplete, err)
		}
	}
	var cast bytes.Buffer
	if incomplete, err := asking.Replay(t.Context(), id, &cast); err != nil || incomplete != "" || !strings.HasPrefix(cast.String(), `{"version":2,"width":80,"height":24,`) {
		t.Errorf("%q, %q, %v", cast.String(), incomplete, err)
	}
	var found []wire.Found
	_, err := asking.Search(t.Context(), id, wire.Query{Text: "one"}, func(f wire.Found) error { found = append(found, f); return nil })
	if err != nil || len(found) != 2 || found[0].Kind != "session_start" || found[1].Kind != "output" || found[1].Text != "one" {
		t.Errorf("%+v, %v", found, err)
	}
	stop := errors.New("enough")
	if _, err := asking.Search(t.Context(), "", wire.Query{}, func(wire.Found) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}

	// That people have looked is recorded.
	var did []string
	for m, err := range audit.Search(h.record, audit.Query{Kinds: []audit.Kind{audit.KindControl}}) {
		if err != nil {
			t.Fatal(err)
		}
		meta, err := m.Decode()
		if err != nil {
			t.Fatal(err)
		}
		control := meta.(*audit.Control)
		if m.User == "" || m.Source != audit.Human || control.Person == nil || control.Client == 0 || m.SessionID != id && control.Action != "search" {
			t.Errorf("%s", m.Raw)
		}
		did = append(did, control.Action+" "+control.Reason)
	}
	all := strings.Join(did, "; ")
	for _, want := range []string{"export raw", "export text", "export asciicast", "export jsonl", "replay asciicast", `search text "one"`} {
		if strings.Count(all, want) != 1 {
			t.Errorf("%s is not recorded: %s", want, all)
		}
	}
}

// A client that does not read makes nobody wait, gets everything when it does, and is
// heard all the while.
func TestSlowLookBack(t *testing.T) {
	h := start(t, nil)
	id, out := h.ended(`yes 'some lines of output, many of them' | head -c 4000000`)
	c := h.bare(wire.Ask, wire.Request{Seq: 1, Do: wire.DoExport, Session: id, Format: wire.FormatRaw},
		wire.Ask, wire.Request{Seq: 2, Do: wire.DoExport, Session: id, Format: wire.FormatJSONL})
	if got, _ := h.all(h.sh("echo fine")); got != "fine\r\n" {
		t.Errorf("%q", got)
	}
	if _, err := h.asking().List(t.Context()); err != nil {
		t.Error(err)
	}
	c.send(wire.Ping, []byte("x"))
	if _, err := c.Hello(); err != nil {
		t.Fatal(err)
	}
	sum, n, jsonl, ponged := sha256.New(), 0, 0, false
	for answers := 0; answers < 2; {
		typ, payload, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		switch typ {
		case wire.Piece:
			seq, data, err := wire.ParsePiece(payload)
			switch {
			case err != nil || len(data) == 0 || len(data) > wire.MaxPiece:
				t.Fatalf("a piece of %d bytes: %v", len(data), err)
			case seq == 1:
				sum.Write(data)
				n += len(data)
			case seq == 2:
				jsonl += len(data)
			}
		case wire.Answer:
			answers++
		case wire.Pong:
			ponged = true
		default:
			t.Errorf("a frame of type %#x", typ)
		}
	}
	if want := sha256.Sum256([]byte(out)); !bytes.Equal(sum.Sum(nil), want[:]) || jsonl < len(out) || !ponged {
		t.Errorf("%d bytes of %d, and %d as JSON; a pong: %t", n, len(out), jsonl, ponged)
	}
}

// One works at a time, and whoever waits for that is answered all else. Who goes does not
// wait.
func TestLookingBackByTurns(t *testing.T) {
	h := start(t, nil)
	id, out := h.ended("echo fine")
	h.turn <- struct{}{}
	ask := wire.Request{Seq: 1, Do: wire.DoExport, Session: id, Format: wire.FormatRaw}
	c, gone := h.bare(wire.Ask, ask, wire.Ping, []byte("x")), h.bare(wire.Ask, ask, wire.Ping, []byte("x"))
	for _, c := range []*bare{c, gone} {
		if _, err := c.Hello(); err != nil {
			t.Fatal(err)
		}
		if typ, _, err := c.Next(); err != nil || typ != wire.Pong {
			t.Fatalf("a frame of type %#x, %v, when it is another's turn", typ, err)
		}
	}
	gone.conn.Close()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		h.mu.Lock()
		n := len(h.backs)
		h.mu.Unlock()
		if n == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d wait", n)
		}
	}
	<-h.turn
	if typ, payload, err := c.Next(); err != nil || typ != wire.Piece || !bytes.HasSuffix(payload, []byte(out)) {
		t.Errorf("a frame of type %#x, %q, %v", typ, payload, err)
	}
	c.next(wire.Answer, nil)
	if len(h.turn) > 0 { // before the answer it was given back
		t.Error("it is still its turn")
	}
}

// So many look back at a time, and no more; who goes gives the place back.
func TestLookingBackIsBounded(t *testing.T) {
	h := start(t, nil)
	id, _ := h.ended(`yes 'some lines of output, many of them' | head -c 4000000`)
	ask := wire.Request{Do: wire.DoExport, Session: id, Format: wire.FormatRaw}
	c := h.bare()
	for i := range maxBackPerUser {
		ask.Seq = uint32(i + 1)
		c.send(wire.Ask, ask)
	}
	other := h.asking()
	refused := func() bool {
		var note *wire.ErrorNote
		_, err := other.Export(t.Context(), id, wire.FormatText, io.Discard)
		return errors.As(err, &note) && note.Code == "too-many-waits"
	}
	for end := time.Now().Add(patience); !refused(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("one more is served")
		}
		c.send(wire.Ask, ask) // the other had a place just then
	}
	c.conn.Close()
	for end := time.Now().Add(patience); refused(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the places are not given back")
		}
	}
	for range maxBack { // of other people's
		h.mu.Lock()
		h.backs[&look{uid: 5000}] = true
		h.mu.Unlock()
	}
	if !refused() {
		t.Error("there are more than the bridge lets people")
	}
	h.mu.Lock()
	clear(h.backs)
	h.mu.Unlock()
}

// Who does not read on for long loses their place when it is needed, and not before; they
// are told, or their connection ends, when they read again. Asked for again it is whole.
func TestLookThatIsNotReadGivesWay(t *testing.T) {
	h := start(t, nil)
	id, out := h.ended(`yes 'some lines of output, many of them' | head -c 4000000`)
	ask := wire.Request{Seq: 1, Do: wire.DoExport, Session: id, Format: wire.FormatRaw}
	paused := []*bare{h.bare(wire.Ask, ask)}
	looks := func() (all []*look) {
		h.mu.Lock()
		defer h.mu.Unlock()
		return slices.Collect(maps.Keys(h.backs))
	}
	soon(t, "it waits for its client", func() bool { return len(looks()) == 1 && looks()[0].waits.Load() != 0 })
	first := looks()[0]
	since := first.waits.Load()
	for range maxBackPerUser - 1 {
		paused = append(paused, h.bare(wire.Ask, ask))
	}
	soon(t, "all wait for their clients", func() bool {
		return len(looks()) == maxBackPerUser && !slices.ContainsFunc(looks(), func(at *look) bool { return at.waits.Load() == 0 })
	})
	other := h.asking()
	export := func() (string, error) {
		var got strings.Builder
		_, err := other.Export(t.Context(), id, wire.FormatRaw, &got)
		return got.String(), err
	}
	var note *wire.ErrorNote
	if _, err := export(); !errors.As(err, &note) || note.Code != "too-many-waits" {
		t.Errorf("while all have not waited for long: %v", err)
	}
	soon(t, "who has waited for long gives way", func() bool {
		first.waits.Store(since - int64(unread)) // it may have waited for a moment, and gone on
		got, err := export()
		if errors.As(err, &note) && note.Code == "too-many-waits" {
			return false
		}
		if got != out || err != nil {
			t.Errorf("%d bytes of %d, %v", len(got), len(out), err)
		}
		return true
	})
	soon(t, "a place is free again", func() bool { return len(looks()) == maxBackPerUser-1 })
	c := paused[0]
	if _, err := c.Hello(); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; {
		typ, payload, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if typ == wire.Piece {
			if n += len(payload) - 4; n >= len(out) {
				t.Fatal("it went on without a place")
			}
			continue
		}
		if err := wire.Decode(payload, &note); typ != wire.Refused || err != nil || note.Seq != 1 || note.Code != wire.CodeGaveWay {
			t.Errorf("a frame of type %#x, %+v", typ, note)
		}
		break
	}
	c.send(wire.Ask, ask)
	for n := 0; n < len(out); {
		typ, payload, err := c.Next()
		if typ != wire.Piece || err != nil {
			t.Fatalf("a frame of type %#x, %v", typ, err)
		}
		n += len(payload) - 4
	}
	c.next(wire.Answer, nil)
}

// Whatever is asked for, there is an answer, and the connection goes on.
func TestHostileLookBack(t *testing.T) {
	h := start(t, nil)
	id, _ := h.ended("echo fine")
	long := strings.Repeat("x", 60_000)
	c := h.bare(wire.Ping, []byte("x"))
	if _, err := c.Hello(); err != nil {
		t.Fatal(err)
	}
	c.next(wire.Pong, nil)
	for request, code := range map[string]string{
		`"do":"export","session":"` + id + `"`:                         "malformed",
		`"do":"export","session":"` + id + `","format":"` + long + `"`: "malformed",
		`"do":"export","session":"` + id + `","format":"RAW"`:          "malformed",
		`"do":"export","format":"raw"`:                                 "no-session",
		`"do":"export","format":"raw","session":"` + long + `"`:        "no-session",
		`"do":"export","format":"raw","session":"aaau"`:                "no-session",
		`"do":"replay","session":"../aaau"`:                            "no-session",
		`"do":"replay","session":"sessions/` + id + `"`:                "no-session",
		`"do":"replay","session":"` + id + `\u0000"`:                   "no-session",
		`"do":"replay","session":"...."`:                               "no-session",
		`"do":"replay","session":"*` + id[1:] + `"`:                    "no-session",
		`"do":"search"`: "malformed",
		`"do":"search","query":{"text":"` + long + `"}`:                                   "malformed",
		`"do":"search","query":{"user":"` + long + `"}`:                                   "malformed",
		`"do":"search","query":{"kinds":["nosuch"]}`:                                      "malformed",
		`"do":"search","query":{"kinds":["` + long + `"]}`:                                "malformed",
		`"do":"search","query":{"kinds":[` + strings.Repeat(`"input",`, 99) + `"input"]}`: "malformed",
		`"do":"search","query":{"from":1e300}`:                                            "malformed",
		`"do":"search","query":{"to":-1e300}`:                                             "malformed",
		`"do":"search","session":"nosuch","query":{}`:                                     "no-session",
	} {
		c.send(wire.Ask, []byte(`{"seq":7,`+request+`}`))
		typ, payload, err := c.Next()
		if err != nil || typ != wire.Refused {
			t.Fatalf("%.100s: a frame of type %#x, %.200q, %v", request, typ, payload, err)
		}
		var note wire.ErrorNote
		if err := wire.Decode(payload, &note); err != nil || note.Code != code || note.Seq != 7 || len(note.Message) > 4*maxMessage {
			t.Errorf("%.100s: %s, %.100q", request, note.Code, note.Message)
		}
	}
	c.send(wire.Ask, wire.Request{Seq: 8, Do: wire.DoSearch, Query: &wire.Query{Text: "nothing has this", From: 1, To: 2}})
	var reply wire.Reply
	if c.next(wire.Answer, &reply); reply.Seq != 8 {
		t.Errorf("%+v", reply)
	}
}

// What cannot be recorded is not shown.
func TestLookingBackNeedsTheRecord(t *testing.T) {
	h := start(t, nil)
	id, _ := h.ended("echo fine")
	asking := h.asking()
	if err := h.Record.Bridge().Close(); err != nil {
		t.Fatal(err)
	}
	var note *wire.ErrorNote
	if _, err := asking.Export(t.Context(), id, wire.FormatText, io.Discard); !errors.As(err, &note) || note.Code != record {
		t.Errorf("%v", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.backs) > 0 {
		t.Errorf("%d have a place", len(h.backs))
	}
}

// A session that goes on is shown as far as it has come.
func TestLookBackAtLive(t *testing.T) {
	h := start(t, nil)
	s, err := h.open(wire.OpenRequest{Session: spec.Session{Argv: []string{"sh", "-c", "echo here; read x"}}, Name: "work"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	asking := h.asking()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		var text bytes.Buffer
		incomplete, err := asking.Export(t.Context(), "work", wire.FormatText, &text)
		if err != nil || incomplete != "" {
			t.Fatalf("%q, %v", incomplete, err)
		}
		if text.String() == "here\n" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%q", text.String())
		}
	}
	go s.Copy(api.Sink{})
}
