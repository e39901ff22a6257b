// Package bridgetest runs a bridge for the tests of programs that speak to one, as
// net/http/httptest does for HTTP:
//
//	s, err := bridgetest.New()
//	if err != nil { … }
//	defer s.Close()
//	session, err := client.Open(ctx, s.Socket, wire.OpenRequest{…})
//
// The bridge is the real one, on a socket of its own, and so are the programs, their
// terminals and pipes. Only the root half is a stand-in (pkg/privsep/privseptest): nothing
// needs root, systemd or an agent user, and nothing is kept apart. Programs run as the
// tester, with the tester's environment, files and network.
package bridgetest

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/bridge"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/privsep/privseptest"
)

// Server is a bridge that serves. Whoever the tester is, they may connect: root as
// Admin, anybody else as pkg/auth has it for members of the access group.
type Server struct {
	Socket string         // where clients connect
	Bridge *bridge.Bridge // Reload and SetMax change it
	Dir    string         // what the bridge and the sessions write: the record, files; removed by Close

	launcher *privseptest.Launcher
	close    func() error
}

// New starts a Server; Close ends it. The bridge can be changed before it serves. It
// says nothing to its log, unless that is changed.
func New(change ...func(*bridge.Bridge)) (_ *Server, err error) {
	dir, err := os.MkdirTemp("", "bridgetest")
	if err != nil {
		return nil, err
	}
	s := &Server{Socket: filepath.Join(dir, "server.sock"), Dir: dir}
	s.launcher = privseptest.New(dir)
	var opened []io.Closer
	defer func() {
		if err == nil {
			return
		}
		for _, o := range opened {
			o.Close()
		}
		os.RemoveAll(dir)
	}()
	record, err := audit.Open(dir, audit.Options{})
	if err != nil {
		return nil, err
	}
	opened = append(opened, record)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.Socket, Net: "unix"})
	if err != nil {
		return nil, err
	}
	opened = append(opened, ln)
	launcherSocket := filepath.Join(dir, "launcher.sock")
	requests, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: launcherSocket, Net: "unixpacket"})
	if err != nil {
		return nil, err
	}
	s.Bridge = &bridge.Bridge{
		Policy:         auth.Policy{Group: uint32(os.Getgid()), GroupName: "testers"},
		MaxSessions:    100,
		MaxPerUser:     100,
		LauncherSocket: launcherSocket,
		Log:            journal.To(io.Discard),
		Record:         record,
	}
	for _, c := range change {
		c(s.Bridge)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served, launched := make(chan error, 1), make(chan struct{})
	go func() { served <- s.Bridge.Serve(ctx, ln) }()
	go func() { s.launcher.Serve(requests); close(launched) }()
	s.close = sync.OnceValue(func() error {
		cancel()
		err := <-served
		requests.Close()
		<-launched
		return errors.Join(s.launcher.Err(), err, record.Close(), os.RemoveAll(dir))
	})
	return s, nil
}

// Close ends every session and the bridge, and removes Dir. The error tells of all
// that went wrong since New and was nobody's to be told; to ask again is to hear the
// same.
func (s *Server) Close() error { return s.close() }

// OnRequest has every request to the root half from now on judged first: an error
// refuses it, a *privsep.Error in words for the person who asked. Nil undoes that.
func (s *Server) OnRequest(judge func(privsep.Request) error) { s.launcher.OnRequest(judge) }
