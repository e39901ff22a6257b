package bridge

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/privsep"
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

// roomy is a harness whose agents' homes may have 64 MiB, on a file system of 100 GiB (so
// that its reserve is 1 GiB) of which the returned number of bytes is free.
func roomy(t *testing.T) (*harness, *atomic.Int64) {
	t.Helper()
	free := new(atomic.Int64)
	free.Store(50 << 30)
	h := start(t, func(b *Bridge) {
		b.HomeMax = 64 << 20
		b.homesRoom = func() (int64, int64, error) { return free.Load(), 100 << 30, nil }
	})
	return h, free
}

// awaitFrozen waits until a session is frozen for a reason, or is not.
func (h *harness) awaitFrozen(l *live, reason string, want bool) {
	h.t.Helper()
	soon(h.t, reason, func() bool {
		h.stir()
		_, is := l.Frozen()[reason]
		return is == want
	})
}

// A session that is frozen for a full home stays so until the home has no more than it may,
// and what it was when the session began is noted for the next bridge.
func TestFrozenUntilThereIsRoom(t *testing.T) {
	h, free := roomy(t)
	measured := make(chan struct{}, 100)
	h.launcher.OnRequest(func(req privsep.Request) error {
		if req.Measure != nil {
			measured <- struct{}{}
		}
		return nil
	})
	found := func(bytes int64) {
		t.Helper()
		h.launcher.SetHome(bytes)
		for len(measured) > 0 {
			<-measured
		}
		free.Add(-2 << 20) // so that it is measured
		h.stir()
		<-measured
	}
	h.launcher.SetHome(80 << 20) // it finds it full
	l := h.live(h.sh("read x").ID)
	soon(t, "its baseline", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.baseline.Bytes != nil && *l.baseline.Bytes == 80<<20
	})
	found(85 << 20)
	h.awaitFrozen(l, homeFull, true)
	found(81 << 20) // less than it may add, and more than the home may have
	found(80 << 20) // which is looked at after what was found before
	if _, is := l.Frozen()[homeFull]; !is {
		t.Error("it goes on though its home has more than it may")
	}
	found(64 << 20)
	h.awaitFrozen(l, homeFull, false)
}

// A home that could not be measured at first says nothing of the room that the file system had.
func TestFailedMeasureIsNoBaseline(t *testing.T) {
	h, free := roomy(t)
	failed := new(atomic.Int32)
	h.launcher.OnRequest(func(req privsep.Request) error {
		if req.Measure != nil && failed.Add(1) <= 2 {
			return errors.New("not now")
		}
		return nil
	})
	l := h.live(h.sh("read x").ID)
	soon(t, "two failures", func() bool {
		h.stir()
		return failed.Load() > 2
	})
	free.Store(1<<30 - 1)
	h.awaitFrozen(l, diskFull, true)
	free.Store(1 << 30)
	h.awaitFrozen(l, diskFull, false)
}

// A home that takes long to be measured keeps nobody from seeing that the disk is nearly full.
func TestSlowMeasureDelaysNothing(t *testing.T) {
	h, free := roomy(t)
	measuring, over := make(chan struct{}, 100), make(chan struct{})
	h.launcher.OnRequest(func(req privsep.Request) error {
		if req.Measure != nil {
			measuring <- struct{}{}
			<-over
		}
		return nil
	})
	defer close(over)
	l := h.live(h.sh("read x").ID)
	<-measuring
	free.Store(1<<30 - 1)
	h.awaitFrozen(l, diskFull, true)
}

// What a session found when it began decides whether it has taken too much, and is kept.
func TestAtBegin(t *testing.T) {
	for _, c := range []struct {
		name     string
		baseline *int64
		frozen   bool
		now      int64
		want     int64
	}{
		{"at first", nil, false, 7, 7},
		{"later", ptr(5), false, 7, 5},
		{"frozen by an earlier bridge that noted none", nil, true, 7, -1},
		{"never measured", nil, false, 1<<63 - 1, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := start(t, nil)
			l := h.live(h.sh("read x").ID)
			l.mu.Lock()
			l.baseline.Bytes = c.baseline
			l.mu.Unlock()
			if c.frozen {
				l.Freeze(homeFull, "")
				defer l.Thaw(homeFull)
			}
			if got := l.atBegin(homeFull, func(b *baseline) **int64 { return &b.Bytes }, c.now, -1); got != c.want {
				t.Errorf("%d, not %d", got, c.want)
			}
		})
	}
}

func ptr(n int64) *int64 { return &n }
