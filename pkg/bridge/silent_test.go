package bridge

import (
	"bytes"
	"strings"
	"syscall"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/privsep/privseptest"
	"github.com/AgentaaU/AaaU/pkg/scope"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// An end of which the stage tells nothing is told and recorded as unknown, unless AaaU killed
// the session, or the kernel did for want of memory.
func TestSilentEndIsToldAsThat(t *testing.T) {
	nine := 9
	for _, c := range []struct {
		name     string
		end      func(*harness, *live) error
		want     wire.EndedNote
		recorded audit.SessionEnd
		text     string
	}{
		{"silent", func(_ *harness, l *live) error { return l.Write([]byte("\n")) },
			wire.EndedNote{Code: 255, Unknown: true, Why: session.Unknown}, audit.SessionEnd{Unknown: true}, session.Unknown},
		{"killed by a person", func(h *harness, l *live) error { return h.asking().Kill(h.t.Context(), l.ID, syscall.SIGKILL) },
			wire.EndedNote{Signal: 9}, audit.SessionEnd{Signal: &nine}, "ended by SIGKILL"},
		{"out of memory", func(h *harness, l *live) error {
			h.starved(l, scope.Starved{Killed: 1, Limit: 96 << 30 / 10})
			return l.Write([]byte("\n"))
		}, wire.EndedNote{Signal: 9, Why: limitReached}, audit.SessionEnd{Signal: &nine}, "ended by SIGKILL: " + limitReached},
	} {
		t.Run(c.name, func(t *testing.T) {
			var said bytes.Buffer // read when the bridge has ended
			h := start(t, func(b *Bridge) { b.Log = journal.To(&said) })
			h.launcher.OnRequest(func(r privsep.Request) error {
				if r.Start != nil {
					return privseptest.ErrMute
				}
				return nil
			})
			s := h.sh("read x; exit 3")
			if err := c.end(h, h.live(s.ID)); err != nil {
				t.Fatal(err)
			}
			if _, note := h.all(s); note != c.want {
				t.Errorf("it ended %+v, not %+v", note, c.want)
			}
			i, err := h.asking().Status(t.Context(), s.ID)
			if err != nil || i.Ended == nil || *i.Ended != c.want {
				t.Errorf("after the end the status is %+v, %v", i.Ended, err)
			}
			if err := h.stop(); err != nil {
				t.Error(err)
			}
			for e, err := range audit.Read(h.record, s.ID) {
				if err != nil {
					t.Fatal(err)
				}
				m, err := e.Decode()
				end, is := m.(*audit.SessionEnd)
				if err != nil || !is {
					continue
				}
				text, err := e.Text()
				if err != nil || text != c.text {
					t.Errorf("recorded is %q, %v", text, err)
				}
				if end.Unknown != c.recorded.Unknown || end.Status != nil || (end.Signal == nil) != (c.recorded.Signal == nil) {
					t.Errorf("recorded is %+v", end)
				}
			}
			if warned := strings.Contains(said.String(), "the kernel's log may say"); warned != c.want.Unknown {
				t.Errorf("the journal has %q", said.String())
			}
		})
	}
}

// A kill that the launcher refused does not explain an end.
func TestRefusedKillIsNone(t *testing.T) {
	h := start(t, nil)
	h.launcher.OnRequest(func(r privsep.Request) error {
		switch {
		case r.Start != nil:
			return privseptest.ErrMute
		case r.Kill != nil:
			return privsep.Errorf("failed", "it is not killed")
		}
		return nil
	})
	s := h.sh("read x; exit 3")
	if err := h.asking().Kill(t.Context(), s.ID, syscall.SIGKILL); err == nil {
		t.Error("it was not refused")
	}
	if err := h.live(s.ID).Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	if _, note := h.all(s); !note.Unknown {
		t.Errorf("it ended %+v", note)
	}
}
