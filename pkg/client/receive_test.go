package client

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// pair is a client's connection, and the bridge's end of it.
func pair(t *testing.T) (client, bridge *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends []*net.UnixConn
	for _, fd := range fds {
		f := os.NewFile(uintptr(fd), "socket")
		defer f.Close()
		c, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		ends = append(ends, c.(*net.UnixConn))
	}
	return ends[0], ends[1]
}

// pager is who reads what is written to it some time.
type pager struct{ got, reads chan bool }

func (p pager) Write(b []byte) (int, error) {
	p.got <- true
	<-p.reads
	return len(b), nil
}

// A bridge is not taken for dead because nobody reads what it said: aaau CMD | less.
func TestOutputThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, bridge := pair(t)
		s := newSession(&Conn{conn: conn, in: wire.NewClientReader(conn)}, wire.OpenRequest{})
		p := pager{make(chan bool), make(chan bool)}
		type result struct {
			ended wire.EndedNote
			err   error
		}
		done := make(chan result, 1)
		go func() {
			ended, err := s.Copy(Sink{Out: p})
			done <- result{ended, err}
		}()
		output := make([]byte, wire.OutputHeadLen+1)
		wire.OutputHead(output, wire.Output, 0, 1)
		bridge.Write(append(output, wire.Frame(wire.Ended, wire.EndedNote{Code: 7})...))
		<-p.got
		time.Sleep(time.Hour)
		close(p.reads)
		if r := <-done; r.err != nil || r.ended.Code != 7 {
			t.Errorf("%+v", r)
		}
	})
}

// Who takes leave stays away: once the bridge's answer, the connection's end, was taken
// for the bridge's own.
func TestDetachIsForGood(t *testing.T) {
	conn, bridge := pair(t)
	socket := filepath.Join(t.TempDir(), "socket")
	next, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	back := make(chan net.Conn, 1)
	go func() {
		if c, err := next.Accept(); err == nil {
			back <- c
		}
	}()
	s := newSession(&Conn{conn: conn, socket: socket, in: wire.NewClientReader(conn)}, wire.OpenRequest{})
	done := make(chan error, 1)
	go func() {
		_, err := s.Copy(Sink{})
		done <- err
	}()
	if err := s.Detach(); err != nil {
		t.Fatal(err)
	}
	bridge.Close()
	select {
	case err := <-done:
		if err != ErrLost {
			t.Error(err)
		}
	case c := <-back:
		c.Close()
		t.Error("it came back")
	}
	s.Close()
}
