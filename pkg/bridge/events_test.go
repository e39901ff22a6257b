package bridge

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Nobody's names or numbers make a line of the journal, or a long one.
func TestJournalIsOurs(t *testing.T) {
	var said bytes.Buffer
	h := start(t, func(b *Bridge) { b.Log = journal.To(&said) })
	s := h.sh("read x")
	h.mu.Lock()
	l := h.sessions[s.ID]
	h.mu.Unlock()
	h.tellTripped(l, "new: .git/\nsession s1: started by root")
	h.tellRelocked(l, fmt.Errorf("no a\nb"))
	c := h.bare(wire.Open, []byte(`{"umask":`+strings.Repeat("9", 60000)+`}`))
	if _, err := c.Hello(); err != nil {
		t.Fatal(err)
	}
	var note wire.ErrorNote
	if c.next(wire.Error, &note); note.Code != "protocol" || len(note.Message) > 4*maxMessage {
		t.Errorf("%s, %d bytes", note.Code, len(note.Message))
	}
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(said.String()) {
		if len(line) > 5*maxMessage || !strings.HasPrefix(line, "session s1") && !strings.HasPrefix(line, "refused") || strings.Contains(line, "session s1: started by root") && !strings.Contains(line, "killed") {
			t.Errorf("%.200q", line)
		}
	}
}

// What fails leaves things as they were.
func TestFreezeTwice(t *testing.T) {
	h := start(t, nil)
	s := h.sh("read x")
	asking := h.asking()
	if err := asking.Freeze(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	h.launcher.OnRequest(func(privsep.Request) error { return errors.New("not now") })
	if err := asking.Freeze(t.Context(), s.ID); err == nil {
		t.Error("the launcher has refused it")
	}
	h.launcher.OnRequest(nil)
	if i, err := asking.Status(t.Context(), s.ID); err != nil || i.State != wire.StateFrozen {
		t.Errorf("%s, %v: its processes are stopped still", i.State, err)
	}
	if err := asking.Thaw(t.Context(), s.ID); err != nil {
		t.Error(err)
	}
}

// Rights can be taken away however many have some.
func TestShareAgain(t *testing.T) {
	h := start(t, nil)
	s := h.sh("read x")
	h.mu.Lock()
	l := h.sessions[s.ID]
	h.mu.Unlock()
	l.mu.Lock()
	l.shared = map[uint32]auth.Role{}
	for uid := range uint32(maxShares) {
		l.shared[5000+uid] = auth.Interactive
	}
	l.mu.Unlock()
	asking := h.asking()
	if err := asking.Share(t.Context(), s.ID, 5000, true); err != nil {
		t.Error(err)
	}
	if err := asking.Share(t.Context(), s.ID, 4999, true); err == nil {
		t.Error("there are as many as there may be")
	}
}

// A bridge that takes back a session of which the record has the end already adds nothing.
func TestEndIsRecordedOnce(t *testing.T) {
	h := start(t, nil)
	s := h.sh("read x")
	h.mu.Lock()
	l := h.sessions[s.ID]
	h.mu.Unlock()
	if _, err := s.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	h.all(s)
	<-l.Ended()
	next := &recorder{b: h.Bridge, l: l, noted: make(chan struct{}, 1), done: make(chan struct{})}
	next.note(l.told(audit.System, "system", "", audit.Control{Action: "policy"}))
	close(next.done)
	next.finish(l.told(audit.System, "system", "", audit.SessionEnd{}))
	last, ends := audit.Kind(""), 0
	for e, err := range audit.Read(h.record, l.ID) {
		if err != nil {
			t.Fatal(err)
		}
		if last = e.Kind; last == audit.KindSessionEnd {
			ends++
		}
	}
	if last != audit.KindSessionEnd || ends != 1 {
		t.Errorf("there are %d ends, and the last record is %s", ends, last)
	}
}

// What the bridge types in place of a terminal that is not there is recorded as that, and
// no more than the program got.
func TestAnswersAreRecorded(t *testing.T) {
	h := start(t, nil)
	script := `stty raw -echo; printf 'abc\033[6n\033[c'; IFS= read -rsd c x; read -r y`
	s, err := h.open(wire.OpenRequest{Session: spec.Session{Argv: []string{"bash", "-c", script}}, Detached: true})
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	l := h.sessions[s.ID]
	h.mu.Unlock()
	typed, by := "", map[string]int{}
	for typed != "\x1b[1;4R\x1b[?62;22c" {
		typed = ""
		for e, err := range audit.Read(h.record, l.ID) {
			if errors.As(err, new(*audit.BadLine)) {
				continue // it is being written
			}
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind == audit.KindInput {
				text, err := e.Text()
				if err != nil {
					t.Fatal(err)
				}
				typed += text
				by[fmt.Sprintf("%s %s %s", e.Source, e.User, e.Metadata)]++
			}
		}
		time.Sleep(time.Millisecond)
	}
	for who := range by {
		if !strings.HasPrefix(who, `system system {"bytes":`) {
			t.Errorf("it was %s", who)
		}
	}
	if err := h.asking().Kill(t.Context(), s.ID, 9); err != nil {
		t.Fatal(err)
	}
	<-l.Ended()
}
