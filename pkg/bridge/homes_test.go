package bridge

import (
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// That a session begins is something that happens, and that it ends, though it prints
// nothing: the homes are looked at soon.
func TestSilentSessionStirs(t *testing.T) {
	h := start(t, nil)
	s, err := h.open(wire.OpenRequest{Session: spec.Session{Pipes: true, Argv: []string{"cat"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	stirred := func() bool { return len(h.stirred) > 0 }
	soon(t, "its beginning stirs", stirred)
	<-h.stirred
	if err := s.EndInput(); err != nil {
		t.Fatal(err)
	}
	h.all(s)
	soon(t, "its end stirs", stirred)
}

// The homes are looked at ever more rarely while nothing happens.
func TestRestOf(t *testing.T) {
	b := Bridge{HomeMax: 64 << 20}
	for _, c := range []struct {
		last    time.Duration
		changed int64
		want    time.Duration
	}{
		{homesTick, 0, homesPause},
		{homesTick, 1 << 20, homesTick},
		{homesPause, 1<<20 - 1, homesRest},
		{homesPause, -1 << 20, homesTick},
		{homesRest, 1 - 1<<20, homesRest},
		{homesRest, 1 << 20, homesTick},  // somebody made room
		{homesRest, -1 << 20, homesTick}, // or took it
	} {
		if got := b.restOf(c.last, c.changed); got != c.want {
			t.Errorf("after %v, %d more room: %v, not %v", c.last, c.changed, got, c.want)
		}
	}
}
