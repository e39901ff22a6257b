package bridge

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	api "github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Whoever connects is told why nobody serves, also beside those who say much, or nothing,
// or hear nothing; and then the listener is as it was.
func TestRefuse(t *testing.T) {
	defer nothingLeft(t, goleak.IgnoreCurrent())
	socket := filepath.Join(t.TempDir(), "socket")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		Refuse(ctx, errors.New("aaau.conf:1: \x1b]0;no\nsuch"), ln)
		close(done)
	}()
	for n := range 50 {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if n%2 > 0 {
			c.Write([]byte(strings.Repeat("x", 5000)))
		}
	}
	for range 50 {
		c, err := api.Dial(t.Context(), socket)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.List(t.Context())
		c.Close()
		var note *wire.ErrorNote
		if !errors.As(err, &note) || note.Code != wire.CodeNotStarted || !strings.Contains(note.Message, "aaau.conf:1: \ufffd]0;no\ufffdsuch") {
			t.Fatalf("%v", err)
		}
	}
	cancel()
	<-done
	waits, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer waits.Close()
	ln.SetDeadline(time.Now().Add(patience))
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
