package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// stored starts a session in a bridge whose sessions outlive it.
func (h *harness) stored(req wire.OpenRequest) *live {
	h.t.Helper()
	req.Detached = true
	s, err := h.open(req)
	if err != nil {
		h.t.Fatal(err)
	}
	s.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.sessions[s.ID]
	h.t.Cleanup(func() { // its bridge leaves it alone
		go h.stop()
		<-h.closing
		h.launcher.Kill(l.Scope)
		<-l.Ended()
		h.running.Wait()
	})
	return l
}

// soon fails a test in which something does not come to pass.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so: %s", what)
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A program that prints without end, faster than it is recorded, does not keep from the
// record what happens, nor the bridge from ending.
func TestFloodIsNotAllThatIsRecorded(t *testing.T) {
	h := start(t, func(b *Bridge) { b.Store, b.RecordRate = &shelf{t: t}, 16<<20 })
	l := h.stored(wire.OpenRequest{Session: spec.Session{Pipes: true, Argv: []string{"yes", "more and more of it"}}})
	soon(t, "it prints", func() bool { return l.Bytes() > 16<<20 })
	if err := h.asking().Share(t.Context(), l.ID, 5000, true); err != nil {
		t.Fatal(err)
	}
	soon(t, "what happens is recorded", func() bool {
		l.rec.mu.Lock()
		defer l.rec.mu.Unlock()
		return len(l.rec.notes) == 0
	})
	go h.stop()
	soon(t, "the recorder ends", func() bool { return isClosed(l.rec.done) })
}

// A session that is killed since it cannot be recorded stays stored: the bridge after
// one that could not record its end does.
func TestEndThatCannotBeRecorded(t *testing.T) {
	shelf := &shelf{t: t}
	h := start(t, func(b *Bridge) { b.Store = shelf })
	l := h.stored(wire.OpenRequest{Session: spec.Session{Argv: []string{"sleep", "1000"}}})
	if err := l.rec.chain.Close(); err != nil { // as a disk does that is gone
		t.Fatal(err)
	}
	killing := &recorder{b: h.Bridge, l: &live{Session: l.Session, watch: l.watch, recording: recording{OnFailure: config.Kill}}}
	killing.freeze(audit.ErrClosed, false)
	soon(t, "the session's end is to be recorded", func() bool { return isClosed(l.rec.done) })
	go h.stop()
	<-l.Ended()
	if l.Told() || !slices.ContainsFunc(shelf.parcels, func(p Parcel) bool { return p.Name == l.ID }) {
		t.Errorf("it is told: %v, and stored is %v", l.Told(), shelf.parcels)
	}
}

// A session that was frozen since it could not be recorded goes on when it can, also if
// that is in the next bridge's time.
func TestFrozenByAnEarlierBridge(t *testing.T) {
	h := start(t, func(b *Bridge) { b.Store = &shelf{t: t} })
	l := h.stored(wire.OpenRequest{Session: spec.Session{Argv: []string{"sleep", "1000"}}})
	if err := l.rec.chain.Close(); err != nil { // as that bridge left it
		t.Fatal(err)
	}
	l.Freeze(record, "the record cannot be written")
	next, err := newRecorder(h.Bridge, l)
	if err != nil {
		t.Fatal(err)
	}
	h.recording.Add(1)
	go next.run()
	soon(t, "it goes on", func() bool { return len(l.Frozen()) == 0 })
	next.leave()
}

// Nobody joins a session that cannot be recorded, whatever they say, but who was there in
// the earlier bridge's time: once.
func TestNobodyJoinsUnrecorded(t *testing.T) {
	h := start(t, func(b *Bridge) { b.Store = &shelf{t: t} })
	l := h.stored(wire.OpenRequest{Session: spec.Session{Argv: []string{"sleep", "1000"}}})
	l.mu.Lock()
	l.were = map[uint64]bool{77: true}
	l.mu.Unlock()
	l.Freeze(record, "the record cannot be written")
	join := func(req wire.OpenRequest) (code string) {
		req.Attach = l.ID
		s, err := h.open(req)
		if err == nil {
			s.Close()
			return ""
		}
		var note *wire.ErrorNote
		if !errors.As(err, &note) {
			t.Fatal(err)
		}
		return note.Code
	}
	for _, c := range []struct {
		req  wire.OpenRequest
		code string
	}{
		{wire.OpenRequest{}, record},
		{wire.OpenRequest{Back: true}, record},
		{wire.OpenRequest{Back: true, Resume: 78}, record},
		{wire.OpenRequest{Back: true, Resume: 77}, ""},
		{wire.OpenRequest{Back: true, Resume: 77}, record},
	} {
		if got := join(c.req); got != c.code {
			t.Errorf("%+v: %q, not %q", c.req, got, c.code)
		}
	}
	l.Thaw(record)
	if got := join(wire.OpenRequest{Back: true, Resume: 78}); got != "" {
		t.Errorf("when it is recorded: %s", got)
	}
}

// What is typed leaves the room on the disk that output leaves.
func TestInputLeavesRoom(t *testing.T) {
	h := start(t, nil)
	r := &recorder{b: &Bridge{Record: h.Record, RecordReserve: math.MaxInt64, Log: h.Log, anchors: newAnchors()}}
	r.l = &live{Session: &session.Session{Info: session.Info{Session: privsep.Session{ID: "x1"}}}}
	rec := audit.NewInput("operator", audit.Person{}, []byte(strings.Repeat("x", 64<<10)))
	var err error
	for n := 0; err == nil; n += 64 << 10 {
		if n > roomEvery {
			t.Fatalf("%d bytes are recorded", n)
		}
		err = r.typed(rec, 64<<10)
	}
	if !strings.Contains(err.Error(), "record-reserve=") {
		t.Error(err)
	}
}

// What of a session is anchored last is its end.
func TestEndIsAnchoredLast(t *testing.T) {
	a := newAnchors()
	a.add("x", audit.Head{Seq: 3}, true)
	a.add("x", audit.Head{Seq: 3}, false) // its start's, which waited for the disk
	if heads := a.take(false); len(heads) != 1 || !heads[0].Final {
		t.Errorf("%+v", heads)
	}
}

// A disk that hangs holds up who types, and nobody who only has something noted.
func TestNotesDoNotWaitForTheDisk(t *testing.T) {
	h := start(t, nil)
	c, reply := h.in(wire.OpenRequest{Session: spec.Session{Size: wire.Size{Rows: 24, Cols: 80}, Argv: []string{"cat"}}})
	h.mu.Lock()
	l := h.sessions[reply.ID]
	h.mu.Unlock()
	soon(t, "what there was is recorded", func() bool {
		l.rec.mu.Lock()
		defer l.rec.mu.Unlock()
		return len(l.rec.notes) == 0
	})
	l.rec.writing.Lock() // as a write does
	defer l.rec.writing.Unlock()
	c.send(wire.Resize, wire.Size{Rows: 30, Cols: 100})
	asking := h.asking()
	soon(t, "the session has another size", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		s, err := asking.Status(ctx, reply.ID)
		if err != nil {
			t.Fatal(err)
		}
		return s.Cols == 100
	})
	if err := asking.Kill(t.Context(), reply.ID, 0); err != nil {
		t.Error(err)
	}
}

// To look for a session that is nobody's is to look through the record as well.
func TestGuessesAreCounted(t *testing.T) {
	h := start(t, nil)
	asking := h.asking()
	export := func() (code string) {
		_, err := asking.Export(t.Context(), "nobodys", wire.FormatText, io.Discard)
		var note *wire.ErrorNote
		if !errors.As(err, &note) {
			t.Fatal(err)
		}
		return note.Code
	}
	uid := uint32(os.Getuid())
	for range maxBackPerUser {
		if got := export(); got != "no-session" {
			t.Errorf("it is refused as %s", got)
		}
	}
	var all []*look
	for range maxBackPerUser {
		at, err := h.enterBack(uid)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, at)
	}
	if got := export(); got != "too-many-waits" {
		t.Errorf("it is refused as %s", got)
	}
	for _, at := range all {
		h.leaveBack(at)
	}
}

// recordsOf are the kinds in a session's record.
func (h *harness) recordsOf(id string) (kinds []audit.Kind) {
	h.t.Helper()
	for e, err := range audit.Read(h.record, id) {
		if bad := (*audit.BadLine)(nil); errors.As(err, &bad) && bad.Torn {
			continue // it is being written
		}
		if err != nil {
			h.t.Fatal(err)
		}
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// A session whose profile has it go on without a record also ends without one.
func TestEndWithoutARecord(t *testing.T) {
	var said bytes.Buffer
	h := start(t, func(b *Bridge) { b.Log = journal.To(&said) })
	s := h.sh("echo what it says; read x; echo and then")
	h.mu.Lock()
	l := h.sessions[s.ID]
	h.mu.Unlock()
	const says = "what it says\r\n" // which may come in pieces
	soon(t, "it is recorded", func() bool {
		l.rec.writing.Lock()
		defer l.rec.writing.Unlock()
		return l.rec.chain.Recorded(audit.Stdout) == int64(len(says)) && slices.Contains(h.recordsOf(s.ID), audit.KindAttach)
	})
	l.rec.writing.Lock() // what it sees it sees in order
	l.recording.OnFailure = config.Continue
	err := l.rec.chain.Close() // as a disk does that is gone
	l.rec.writing.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	if out, ended := h.all(s); !strings.HasSuffix(out, "and then\r\n") || ended.Code != 0 {
		t.Errorf("%q, %+v", out, ended)
	}
	soon(t, "nothing more of it is to be anchored", func() bool {
		h.anchors.mu.Lock()
		defer h.anchors.mu.Unlock()
		return !slices.ContainsFunc(h.anchors.changed, func(c *anchored) bool { return c.name == s.ID })
	})
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"the record has a hole: 1 bytes that", "the record has a hole: its end, 12 bytes of output before it, and 0 records of what people did"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("not said: %q, in\n%s", want, said.String())
		}
	}
}

// Who types while a session's record is given up is in the midst of writing what was noted:
// that stays theirs.
func TestGivingUpWhileOthersWrite(t *testing.T) {
	var said bytes.Buffer
	h := start(t, func(b *Bridge) { b.Log = journal.To(&said) })
	l := &live{Session: &session.Session{Info: session.Info{Session: privsep.Session{ID: "x1"}}}}
	rec := l.told(audit.Human, "operator", "", audit.Control{Action: "thaw"})
	r := &recorder{b: h.Bridge, l: l, notes: []audit.Record{rec, rec, rec}, taken: 2} // as flush leaves it while it writes
	r.forgo()
	if len(r.notes) != 2 || !strings.Contains(said.String(), "and 1 records of what people did") {
		t.Errorf("%d are left to who writes, and said is %s", len(r.notes), said.String())
	}
}

// A session that does not come to pass since its start cannot be recorded has a record that
// begins with that when it can.
func TestStartThatCannotBeRecorded(t *testing.T) {
	h := start(t, nil)
	sessions := filepath.Join(h.record, "sessions")
	if err := os.Rename(sessions, sessions+"-gone"); err != nil {
		t.Fatal(err)
	}
	var note *wire.ErrorNote
	if _, err := h.open(wire.OpenRequest{Session: spec.Session{Argv: []string{"true"}}}); !errors.As(err, &note) || note.Code != record {
		t.Fatal(err)
	}
	if err := os.Rename(sessions+"-gone", sessions); err != nil {
		t.Fatal(err)
	}
	want := []audit.Kind{audit.KindSessionStart, audit.KindSessionEnd}
	soon(t, "its end is recorded", func() bool {
		files, err := filepath.Glob(sessions + "/*")
		if err != nil || len(files) == 0 {
			return false
		}
		id, _, _ := strings.Cut(filepath.Base(files[0]), "-")
		kinds := h.recordsOf(id)
		if len(kinds) > 0 && kinds[0] != want[0] {
			t.Fatalf("it begins with %s", kinds[0])
		}
		return slices.Equal(kinds, want)
	})
	if err := h.stop(); err == nil || !strings.Contains(err.Error(), "was not released") {
		t.Errorf("the launcher says %v", err)
	}
	h.stop = func() error { return nil } // that was to be
}

// A terminal that changes its size without end, while nothing can be recorded, leaves room
// for what else happens; and what is recorded of it is its last size.
func TestManySizes(t *testing.T) {
	h := start(t, nil)
	s := h.sh("read x")
	h.mu.Lock()
	l := h.sessions[s.ID]
	h.mu.Unlock()
	resize := func(rows int) {
		l.rec.note(l.told(audit.Human, "operator", "", audit.Resize{Rows: uint16(rows), Cols: 80}))
	}
	pending := func() int {
		l.rec.mu.Lock()
		defer l.rec.mu.Unlock()
		return len(l.rec.notes)
	}
	const bursts = 300
	for n := range bursts { // some of it while others are being recorded
		for range 20 {
			resize(5000)
		}
		resize(n + 1)
		for pending() > 0 {
			runtime.Gosched()
		}
	}
	l.rec.writing.Lock() // as a disk does that hangs
	for range 2 {
		for n := range 2 * maxNotes {
			resize(n%1000 + 6000)
		}
		h.control(l, nil, audit.Control{Action: "thaw", Reason: "there is room"})
	}
	resize(7000)
	if n := pending(); n > 10 {
		t.Errorf("%d are kept", n)
	}
	l.rec.writing.Unlock()
	soon(t, "the rest is recorded", func() bool { return pending() == 0 })
	var told []string
	for e, err := range audit.Read(h.record, s.ID) {
		if err != nil {
			t.Fatal(err)
		}
		switch m, err := e.Decode(); m := m.(type) {
		case *audit.Resize:
			told = append(told, fmt.Sprint(m.Rows))
		case *audit.Control:
			told = append(told, m.Action)
		default:
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := []string{"300", "6999", "thaw", "6999", "thaw", "7000"}; len(told) < 6 || !slices.Equal(told[len(told)-6:], want) {
		t.Errorf("the last are %q, want %q", told[max(0, len(told)-6):], want)
	}
	for n := range bursts {
		if !slices.Contains(told, fmt.Sprint(n+1)) {
			t.Errorf("the last size of burst %d is not recorded", n+1)
		}
	}
}
