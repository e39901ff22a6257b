package client

import (
	"net"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

func TestUntold(t *testing.T) {
	skips := wire.Frame(wire.News, wire.Event{Kind: wire.EventSkipped, Count: 7})[4+1:]
	other := wire.Frame(wire.News, wire.Event{Kind: wire.EventFreeze, Count: 9})[4+1:]
	words, nothing := append([]byte{0, 0, 0, 5}, "words"...), []byte{0, 0, 0, 0}
	synctest.Test(t, func(t *testing.T) {
		var u untold
		for _, step := range []struct {
			what             string
			do               func()
			skipped, missing uint64
		}{
			{"at first", func() {}, 0, 0},
			{"news of something else", func() { u.heard(wire.News, other) }, 0, 0},
			{"output is left out", func() { u.heard(wire.News, skips) }, 7, 0},
			{"input is lost", func() { u.add(0, 3) }, 7, 3},
			{"long ago, but never shown", func() { time.Sleep(time.Hour) }, 7, 3},
			{"words were taken away", func() { u.heard(wire.Overlay, nothing); time.Sleep(readWithin) }, 7, 3},
			{"shown for a moment", func() { u.heard(wire.Overlay, words); time.Sleep(readWithin - 1) }, 7, 3},
			{"and by the next bridge", func() { u.heard(wire.Overlay, words); time.Sleep(readWithin - 1) }, 7, 3},
			{"shown, and then more is left out", func() { u.heard(wire.Overlay, words); time.Sleep(readWithin); u.heard(wire.News, skips) }, 14, 3},
			{"shown", func() { u.heard(wire.Overlay, words); time.Sleep(readWithin) }, 0, 0},
			{"malformed", func() { u.heard(wire.News, nil); u.heard(wire.Overlay, nil) }, 0, 0},
		} {
			step.do()
			if skipped, missing := u.rest(); skipped != step.skipped || missing != step.missing {
				t.Errorf("%s: %d and %d bytes, not %d and %d", step.what, skipped, missing, step.skipped, step.missing)
			}
		}
	})
}

// The next bridge is told what this one has said, and died.
func TestNextBridgeIsToldWhatWasSaid(t *testing.T) {
	conn, bridge := pair(t)
	socket := filepath.Join(t.TempDir(), "socket")
	next, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	s := newSession(&Conn{conn: conn, socket: socket, in: wire.NewClientReader(conn)}, wire.OpenRequest{Resume: 1, Screen: true})
	done := make(chan error, 1)
	go func() {
		_, err := s.Copy(Sink{})
		done <- err
	}()
	if _, err := bridge.Write(wire.Frame(wire.News, wire.Event{Kind: wire.EventSkipped, Count: 70})); err != nil {
		t.Fatal(err)
	}
	bridge.Close()
	c, err := next.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := wire.NewReader(c)
	var asked wire.OpenRequest
	if _, err := in.Hello(); err != nil {
		t.Fatal(err)
	}
	if typ, payload, err := in.Next(); err != nil || typ != wire.Open || wire.Decode(payload, &asked) != nil {
		t.Fatalf("%#x, %v", typ, err)
	}
	if !asked.Back || asked.Skipped != 70 {
		t.Errorf("it asks for %+v", asked)
	}
	if _, err := c.Write(append(wire.Hello(), wire.Frame(wire.Ended, wire.EndedNote{})...)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	<-done
}
