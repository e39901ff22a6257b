package bridge

import (
	"io"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/audit"
	api "github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/scope"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

const limitReached = "out of memory (limit 9.6 GiB, MemoryMax= of aaau-.scope.d)"

// People are told of a process that the kernel killed for want of memory, and of a session that
// ended so.
func TestOutOfMemory(t *testing.T) {
	h := start(t, nil)
	s := h.sh("read x; kill -9 $$")
	h.mu.Lock()
	l := h.sessions[s.ID]
	h.mu.Unlock()
	limit := int64(96) << 30 / 10
	h.starved(l, scope.Starved{Killed: 1, Limit: limit})
	told := make(chan string, 10)
	type end struct {
		note wire.EndedNote
		err  error
	}
	ended := make(chan end, 1)
	go func() {
		note, err := s.Copy(api.Sink{Out: io.Discard, Event: func(e wire.Event) {
			if e.Kind == wire.EventTrouble {
				told <- e.Message
			}
		}})
		ended <- end{note, err}
	}()
	if got, want := <-told, limitReached+": a process of the session was killed"; got != want {
		t.Errorf("told was %q, not %q", got, want)
	}
	if i, err := h.asking().Status(t.Context(), s.ID); err != nil || i.Starved != 1 {
		t.Errorf("the status says %d, %v", i.Starved, err)
	}
	h.starved(l, scope.Starved{Killed: 2, Limit: limit})
	if _, err := s.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	if e := <-ended; e.err != nil || e.note.Signal != 9 || e.note.Why != limitReached {
		t.Errorf("it ended %+v, %v", e.note, e.err)
	}
	i, err := h.asking().Status(t.Context(), s.ID)
	if err != nil || i.Ended == nil || i.Ended.Why != limitReached || i.Starved != 2 {
		t.Errorf("after the end the status is %+v, %v", i, err)
	}
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	var recorded []string
	for e, err := range audit.Read(h.record, s.ID) {
		if err != nil {
			t.Fatal(err)
		}
		switch m, err := e.Decode(); m := m.(type) {
		case *audit.Control:
			recorded = append(recorded, m.Action+": "+m.Reason)
		case *audit.SessionEnd:
			text, err := e.Text()
			if err != nil {
				t.Fatal(err)
			}
			recorded = append(recorded, text)
		default:
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	want := "out_of_memory: " + limitReached + ": a process of the session was killed\nended by SIGKILL: " + limitReached
	if got := strings.Join(recorded, "\n"); got != want {
		t.Errorf("recorded is %q, not %q", got, want)
	}
}

// A session that somebody kills is not said to have been out of memory, and one whose program
// lived on is told of what the kernel killed just before.
func TestOutOfMemoryIsNotGuessed(t *testing.T) {
	h := start(t, nil)
	killed := h.sh("kill -9 $$")
	if _, note := h.all(killed); note.Signal != 9 || note.Why != "" {
		t.Errorf("%+v", note)
	}
	s := h.sh("read x; exit 137")
	h.mu.Lock()
	l := h.sessions[s.ID]
	h.mu.Unlock()
	l.SetStarved(1) // an earlier bridge has told of one
	h.starved(l, scope.Starved{Killed: 3})
	if _, err := s.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	var told []string
	note, err := s.Copy(api.Sink{Out: io.Discard, Event: func(e wire.Event) {
		if e.Kind == wire.EventTrouble {
			told = append(told, e.Message)
		}
	}})
	if err != nil || note.Code != 137 || note.Why != "" {
		t.Errorf("%+v, %v", note, err)
	}
	if len(told) != 1 || !strings.HasSuffix(told[0], "MemoryMax= of aaau.slice): 2 processes of the session were killed") {
		t.Errorf("told was %q", told)
	}
}
