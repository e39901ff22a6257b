package bridge

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/session"
)

// What goes to the launcher for a file, and for a signal.
func TestPutAndKill(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "launcher.sock")
	ln, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: socket, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	mounts, err := os.Open("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var asked []privsep.Request
	var names []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 2 {
			c, err := ln.AcceptUnix()
			if err != nil {
				t.Error(err)
				return
			}
			var req privsep.Request
			fds, err := privsep.Receive(c, &req, 2)
			if err != nil {
				t.Error(err)
			}
			asked = append(asked, req)
			for _, fd := range fds {
				name, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
				names = append(names, name)
			}
			privsep.Close(fds...)
			privsep.Send(c, privsep.Reply{Path: "/tmp/a-2"})
			c.Close()
		}
	}()
	b := &Bridge{LauncherSocket: socket, Log: journal.To(io.Discard)}
	s := &session.Session{Info: session.Info{Session: privsep.Session{Scope: "x.scope", UID: 7, GID: 8}}, Mounts: mounts}
	path, err := b.put(context.Background(), s, "a", int(file.Fd()))
	if err != nil || path != "/tmp/a-2" {
		t.Errorf("%s %v", path, err)
	}
	if err := b.kill(context.Background(), s, unix.SIGTERM); err != nil {
		t.Error(err)
	}
	<-done
	if t.Failed() {
		return
	}
	if put := asked[0].Put; put == nil || *put != (privsep.Put{Name: "a", UID: 7, GID: 8}) {
		t.Errorf("%+v", put)
	}
	if kill := asked[1].Kill; kill == nil || *kill != (privsep.Kill{Name: "x.scope", Signal: 15}) {
		t.Errorf("%+v", kill)
	}
	if ours, _ := os.Readlink("/proc/self/ns/mnt"); len(names) != 2 || names[0] != ours || names[1] != "/etc/passwd" {
		t.Errorf("with %q", names)
	}
	mounts.Close()
	if _, err := b.put(context.Background(), s, "a", int(file.Fd())); err != session.ErrEnded {
		t.Errorf("after the session: %v", err)
	}
}
