package bridge

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	api "github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// What the table below has of somebody and a session.
const (
	hidden  = "hidden"  // there is no such session
	watched = "watched" // what it printed, and what they typed themselves
	whole   = "whole"
)

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
