package system

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// background is a helper program that goes on while the test does other things:
// the test reads its lines, and it ends when its input does.
type background struct {
	t     *testing.T
	lines *bufio.Scanner
	stdin io.WriteCloser
	end   func()
}

func start(t *testing.T, who account, files []*os.File, argv ...string) *background {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), allowed)
	cmd := who.command(ctx, append([]string{helper}, argv...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr, cmd.ExtraFiles = os.Stderr, files
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	b := &background{t: t, lines: bufio.NewScanner(stdout), stdin: stdin}
	b.end = func() {
		if !ended {
			ended = true
			stdin.Close()
			_ = cmd.Wait() // how it ends is of no interest
			cancel()
		}
	}
	t.Cleanup(b.end)
	return b
}

// say gives the program something to read.
func (b *background) say(text string) {
	b.t.Helper()
	if _, err := io.WriteString(b.stdin, text); err != nil {
		b.t.Fatal(err)
	}
}

// line is the next that the program prints; empty at its end.
func (b *background) line() string {
	b.lines.Scan()
	return b.lines.Text()
}

// fakeBridge takes the bridge's place: root's test listens where people connect.
func fakeBridge(t *testing.T) *net.UnixListener {
	t.Helper()
	systemctl(t, "stop", "aaau.socket", "aaau.service")
	systemctl(t, "start", "aaau-launcher.socket")
	t.Cleanup(func() { systemctl(t, "start", "aaau.socket") })
	ln := listenAt(t, serverSocket, 0o660)
	if err := os.Chown(serverSocket, 0, int(group(t, "aaau"))); err != nil {
		t.Fatal(err)
	}
	return ln
}

// visit has somebody connect, and returns the bridge's end of the connection.
func visit(t *testing.T, ln *net.UnixListener, who account) (*os.File, *background) {
	t.Helper()
	b := start(t, who, nil, "visit", ln.Addr().String())
	if got := b.line(); got != "connected" {
		t.Fatalf("%s does not connect: %s", who.name, got)
	}
	if err := ln.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c, err := ln.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, b
}

// evilBridge is the bridge's account as the service has it, in no other group.
func evilBridge(t *testing.T) account {
	t.Helper()
	bridge := as(t, "aaau-bridge")
	bridge.groups, bridge.home = nil, "/"
	return bridge
}

// refusedByLauncher checks that the answer is no, that the journal tells, and
// that nothing was started.
func refusedByLauncher(t *testing.T, since string, who account, answer string) {
	t.Helper()
	if !strings.HasPrefix(answer, "refused: ") {
		t.Errorf("the answer is %q", answer)
	}
	await(t, "a word in the journal", func() bool {
		said := messages(t, since, "aaau-launcher.service")
		return strings.Contains(said, "refused") && strings.Contains(said, fmt.Sprintf("uid %d", who.uid))
	})
	if said := journal(t, since, "_PID=1"); strings.Contains(said, ".scope") {
		t.Errorf("something was started: %s", said)
	}
}

func TestEvilBridge(t *testing.T) {
	begin(t)
	evil := evilBridge(t)
	conn, _ := visit(t, fakeBridge(t), as(t, "operator"))
	t.Cleanup(func() { os.Remove(pairName) })
	for _, r := range evilRequests {
		t.Run(r.name, func(t *testing.T) {
			since := journalNow(t)
			refusedByLauncher(t, since, evil, start(t, evil, []*os.File{conn}, "evil", r.name).line())
		})
	}
	// It was not for the client's sake that all those were refused.
	t.Run("an honest request is granted", func(t *testing.T) {
		if got := start(t, evil, []*os.File{conn}, "evil", "honest").line(); !strings.HasPrefix(got, "granted: ") {
			t.Errorf("the answer is %q", got)
		}
	})
}

// Whose connection an evil bridge may use: a live one, of somebody who may come
// in, made to root's socket; and once.
func TestEvilBridgeWithForeignConnections(t *testing.T) {
	evil := evilBridge(t)
	for _, test := range []struct {
		name string
		conn func(t *testing.T, ln *net.UnixListener) *os.File
	}{
		{"a dead client's", func(t *testing.T, ln *net.UnixListener) *os.File {
			conn, client := visit(t, ln, as(t, "operator"))
			client.end()
			return conn
		}},
		{"an outsider's", func(t *testing.T, ln *net.UnixListener) *os.File {
			loosen(t, serverSocket)
			conn, _ := visit(t, ln, as(t, "outsider"))
			return conn
		}},
		{"an agent's, in the group", func(t *testing.T, ln *net.UnixListener) *os.File {
			agent := as(t, "agent")
			agent.gid = group(t, "aaau")
			conn, _ := visit(t, ln, agent)
			return conn
		}},
		{"its own, as the socket is loose", func(t *testing.T, ln *net.UnixListener) *os.File {
			loosen(t, serverSocket)
			conn, _ := visit(t, ln, evil)
			return conn
		}},
		// The kernel's word on the peer of a listening socket is who listens: root.
		{"none, but the listening socket", func(t *testing.T, ln *net.UnixListener) *os.File {
			f, err := ln.File()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			return f
		}},
		{"one made to another's socket of that name", func(t *testing.T, ln *net.UnixListener) *os.File {
			conn, _ := visit(t, ln, as(t, "operator"))
			if err := os.Remove(serverSocket); err != nil {
				t.Fatal(err)
			}
			listenAt(t, serverSocket, 0o660)
			return conn
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			conn := test.conn(t, fakeBridge(t))
			since := journalNow(t)
			refusedByLauncher(t, since, evil, start(t, evil, []*os.File{conn}, "evil", "honest").line())
		})
	}
	t.Run("one that was lured to its own socket", func(t *testing.T) {
		begin(t)
		since := journalNow(t)
		b := start(t, evil, nil, "evil", "lure", "/tmp/evil.sock")
		t.Cleanup(func() { os.Remove("/tmp/evil.sock") })
		if got := b.line(); got != "listening" {
			t.Fatal(got)
		}
		if got := start(t, as(t, "operator"), nil, "visit", "/tmp/evil.sock").line(); got != "connected" {
			t.Fatal(got)
		}
		refusedByLauncher(t, since, evil, b.line())
	})
}

func TestEvilBridgeReplaysAConnection(t *testing.T) {
	begin(t)
	evil := evilBridge(t)
	conn, client := visit(t, fakeBridge(t), as(t, "operator"))
	b := start(t, evil, []*os.File{conn}, "evil", "replay")
	// A live client's connection is what proves a request.
	if got := b.line(); !strings.HasPrefix(got, "granted: ") {
		t.Fatal(got)
	}
	for _, again := range []func(){
		func() {}, // the session lives
		func() { // the session has ended, the client is there
			fmt.Fprintln(b.stdin, "end it")
			b.line()
			await(t, "the session's end", func() bool { return len(scopes(t)) == 0 })
		},
		client.end,
	} {
		again()
		since := journalNow(t)
		fmt.Fprintln(b.stdin, "again")
		refusedByLauncher(t, since, evil, b.line())
	}
}

// A bridge that does not take a session over: its program must never run.
func TestSessionThatTheBridgeDropsNeverRuns(t *testing.T) {
	begin(t)
	since := journalNow(t)
	conn, _ := visit(t, fakeBridge(t), as(t, "operator"))
	if got := start(t, evilBridge(t), []*os.File{conn}, "evil", "mark").line(); !strings.HasPrefix(got, "granted: ") {
		t.Error(got)
	}
	await(t, "the session's end", func() bool {
		return len(scopes(t)) == 0 && strings.Contains(messages(t, since, "aaau-launcher.service"), "did not release")
	})
	if _, err := os.Stat(homeFor(t, "operator") + "/ran"); err == nil {
		t.Error("the program ran")
		os.Remove(homeFor(t, "operator") + "/ran")
	}
}

// The launcher obeys nobody else, even where its socket's mode would let them.
func TestLauncherObeysTheBridgeAlone(t *testing.T) {
	begin(t)
	conn, _ := visit(t, fakeBridge(t), as(t, "operator"))
	for _, name := range []string{"operator", "agent", "outsider"} {
		who := as(t, name)
		if got := start(t, who, []*os.File{conn}, "evil", "honest").line(); !strings.Contains(got, "permission denied") {
			t.Errorf("%s at the launcher's socket: %q", name, got)
		}
	}
	loosen(t, launcherSocket)
	for _, name := range []string{"operator", "agent", "outsider"} {
		who := as(t, name)
		since := journalNow(t)
		refusedByLauncher(t, since, who, start(t, who, []*os.File{conn}, "evil", "honest").line())
	}
}
