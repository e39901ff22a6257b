package bridge_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/bridge"
	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// A bridge in a program of one's own. To start sessions it needs the root half, which
// obeys one user (bridge-user= in aaau.conf) and starts sessions only for who came in
// by a socket file of root's: a program like this one is to be the service behind
// aaau.socket. Without that it lets people in and knows of no sessions.
func Example() {
	dir, err := os.MkdirTemp("", "bridge")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	record, err := audit.Open(dir, audit.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer record.Close()
	socket := filepath.Join(dir, "server.sock")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		log.Fatal(err)
	}

	b := &bridge.Bridge{
		Config:         config.System,
		Policy:         auth.Policy{Group: uint32(os.Getgid()), GroupName: "aaau"},
		MaxSessions:    10,
		MaxPerUser:     2,
		LauncherSocket: privsep.LauncherSocket,
		Log:            journal.To(os.Stderr),
		Record:         record,
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- b.Serve(ctx, ln) }()

	conn, err := client.Dial(ctx, socket)
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := conn.List(ctx)
	fmt.Println(len(sessions), err)
	conn.Close()

	cancel() // ends every session, and then Serve
	fmt.Println(<-served)
	// Output:
	// 0 <nil>
	// <nil>
}
