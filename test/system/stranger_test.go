package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Our own client does not even send what an observer types. Another might.
func TestBridgeTakesNothingFromObservers(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	if got := output(t, as(t, "observer"), helper, "intrude", s.id); !strings.Contains(got, "not allowed") {
		t.Errorf("an observer's keys: %q", got)
	}
	s.prints("stty size", "24 80")
	if strings.Contains(s.all(), "typed-42") {
		t.Errorf("an observer typed: %q", s.all())
	}
	s.close()
}

// intrude joins a session to watch it, and types and resizes all the same.
func intrude(args []string) int {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := client.Open(ctx, serverSocket, wire.OpenRequest{Attach: args[0], ReadOnly: true})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer s.Close()
	// In this order: the answer to the last says that the first had its turn.
	_, err = s.Write([]byte("\x15echo typed-$((6*7))\r"))
	if err = errors.Join(err, s.Resize(wire.Size{Rows: 5, Cols: 5}), s.Kill()); err != nil {
		fmt.Println(err)
		return 1
	}
	answers := 0
	_, _ = s.Copy(client.Sink{Notice: func(line string) {
		fmt.Println(line)
		if answers++; answers == 2 {
			s.Close()
		}
	}})
	return 0
}

// The bridge parses what anybody of the group sends, and lives on.
func TestNonsenseFromClients(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	bridge := mainPID(t, "aaau.service")
	hello := string(wire.Hello())
	open := func(payload string) string {
		return hello + string(wire.Frame(wire.Open, []byte(payload)))
	}
	for name, text := range map[string]string{
		"another protocol":       "GET / HTTP/1.0\r\n\r\n",
		"another version":        "AaaU 1\n",
		"no end of line":         strings.Repeat("A", 100_000),
		"a frame too large":      hello + "\xff\xff\xff\xff\x01",
		"an empty frame":         hello + "\x00\x00\x00\x00\x01",
		"half a frame":           hello + "\x00\x00\x10\x00\x01{",
		"another first frame":    hello + string(wire.Frame(wire.Input, []byte("ls\r"))),
		"an unknown first frame": hello + "\x00\x00\x00\x00\x7f",
		"no JSON":                open("\x00\xff"),
		"an unknown field":       open(`{"uid":0}`),
		"another kind of value":  open(`{"rows":"many"}`),
		"too many rows":          open(`{"rows":100000,"cols":80}`),
		"a session with a path":  open(`{"attach":"../../etc/passwd"}`),
		"everything at once":     open(`{"attach":"` + s.id + `","profile":"claude","argv":["sh"]}`),
		"unknown frames inside":  open(`{"attach":"`+s.id+`"}`) + "\x00\x00\x00\x00\x7f",
		"sizes of zero":          open(`{"attach":"`+s.id+`","read_only":true}`) + string(wire.Frame(wire.Resize, wire.Size{})),
	} {
		if r := feed(t, as(t, "operator"), text, helper, "say"); r.status != 0 || r.stderr != "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	s.prints("stty size; echo still here", "24 80\nstill here")
	if now := mainPID(t, "aaau.service"); now != bridge {
		t.Errorf("the bridge was %d and is %d", bridge, now)
	}
	s.close()
}

// say sends its input to the bridge, and waits until that has had enough of it.
func say([]string) int {
	c, err := net.Dial("unix", serverSocket)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer c.Close()
	go func() {
		_, _ = io.Copy(c, os.Stdin) // refused in the middle of it, perhaps
		_ = c.(*net.UnixConn).CloseWrite()
	}()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 1
	}
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		fmt.Println(err)
		return 1
	}
	return 0
}

// Who types into a program that reads nothing waits, and may leave all the same: what
// they typed last is lost then.
func TestTypingIntoTheVoid(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	s := speak2(t, connect(t, operator, 1)[0], nil)
	reply, note := s.open(wire.OpenRequest{Session: spec.Session{Argv: []string{"sh", "-c", "stty raw -echo; printf ready; exec sleep 1000"}}})
	if note != nil {
		t.Fatal(note)
	}
	s.shows("ready")
	people := func() int {
		asking := speak2(t, connect(t, operator, 1)[0], nil)
		defer asking.conn.Close()
		status, note := asking.ask(wire.Request{Do: wire.DoStatus, Session: reply.ID})
		if note != nil {
			t.Fatal(note)
		}
		return len(status.Sessions[0].People)
	}
	much := strings.Repeat("x", 1<<20)
	typing := speak2(t, connect(t, operator, 1)[0], nil)
	if _, note := typing.open(wire.OpenRequest{Attach: reply.ID}); note != nil {
		t.Fatal(note)
	}
	old := speak1(t, connect(t, operator, 1)[0], "SESSION:"+reply.ID+"\n")
	if _, why := old.opened(); why != "" {
		t.Fatal(why)
	}
	await(t, "three people", func() bool { return people() == 3 })
	for _, c := range []*net.UnixConn{typing.conn, old.conn} {
		_ = c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond)) // it is not taken, which is the point
	}
	for range 16 {
		_, _ = typing.conn.Write(wire.Frame(wire.Input, []byte(much[:wire.MaxPayload])))
	}
	_, _ = old.conn.Write(append([]byte{0, 0, 0xff, 0xff}, much...))
	typing.conn.Close()
	old.conn.Close()
	await(t, "them to be gone", func() bool { return people() == 1 })
	s.write(wire.Frame(wire.Input, []byte("x"))) // which waits, too
	asking := speak2(t, connect(t, operator, 1)[0], nil)
	if _, note := asking.ask(wire.Request{Do: wire.DoKill, Session: reply.ID}); note != nil {
		t.Error(note)
	}
	if note := s.next(nil, wire.Ended); note == nil || note.Code != "ended" {
		t.Errorf("%+v", note)
	}
}
