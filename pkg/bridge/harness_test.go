package bridge

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/auth"
	api "github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/privsep/privseptest"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// harness is a bridge on a socket of its own.
type harness struct {
	*Bridge
	t        *testing.T
	socket   string
	launcher *privseptest.Launcher
	record   string
	stop     func() error
}

func start(t *testing.T, change func(*Bridge)) *harness {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { nothingLeft(t, before) })
	dir := t.TempDir()
	listen := func(network, name string) *net.UnixListener {
		ln, err := net.ListenUnix(network, &net.UnixAddr{Name: filepath.Join(dir, name), Net: network})
		if err != nil {
			t.Fatal(err)
		}
		return ln
	}
	record, err := audit.Open(dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{t: t, socket: filepath.Join(dir, "server.sock"), launcher: privseptest.New(dir), record: dir}
	h.Bridge = &Bridge{
		Policy:      auth.Policy{Group: uint32(os.Getgid()), GroupName: "testers"},
		MaxSessions: 100, MaxPerUser: 100, LauncherSocket: filepath.Join(dir, "launcher.sock"),
		Log: journal.To(io.Discard), Record: record,
	}
	if change != nil {
		change(h.Bridge)
	}
	ln, lln := listen("unix", "server.sock"), listen("unixpacket", "launcher.sock")
	ctx, cancel := context.WithCancel(context.Background())
	served, launched := make(chan error, 1), make(chan struct{})
	go func() { h.launcher.Serve(lln); close(launched) }()
	go func() { served <- h.Serve(ctx, ln) }()
	h.stop = sync.OnceValue(func() error {
		cancel()
		err := <-served
		lln.Close()
		<-launched
		record.Close()
		return errors.Join(err, h.launcher.Err())
	})
	t.Cleanup(func() {
		if err := h.stop(); err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return h
}

// patience is how long anything may take that takes milliseconds when all is well.
const patience = time.Minute

// nothingLeft waits for the end of all goroutines that were not there before.
func nothingLeft(t *testing.T, before goleak.Option) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		err := goleak.Find(before)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Error(err)
			return
		}
	}
}

// open starts or joins a session.
func (h *harness) open(req wire.OpenRequest) (*api.Session, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if req.Rows == 0 {
		req.Size = wire.Size{Rows: 24, Cols: 80}
	}
	return api.Open(ctx, h.socket, req)
}

func (h *harness) sh(script string) *api.Session {
	h.t.Helper()
	s, err := h.open(wire.OpenRequest{Session: spec.Session{Argv: []string{"sh", "-c", script}}})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { s.Close() })
	return s
}

// all reads a session to its end.
func (h *harness) all(s *api.Session) (string, wire.EndedNote) {
	h.t.Helper()
	var out strings.Builder
	ended, err := s.Copy(api.Sink{Out: &out, Notice: func(line string) { h.t.Errorf("notice: %s", line) }})
	if err != nil {
		h.t.Fatalf("after %q: %v", out.String(), err)
	}
	return out.String(), ended
}
