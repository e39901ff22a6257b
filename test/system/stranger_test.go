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
	if err = errors.Join(err, s.Resize(5, 5), s.Kill()); err != nil {
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
