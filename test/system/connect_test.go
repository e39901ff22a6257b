package system

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// connect has somebody connect to the bridge, n times, and hands the connections over
// to the test, which speaks on them: whose they are the kernel has noted (unix(7),
// SO_PEERCRED).
func connect(t *testing.T, who account, n int) (conns []*net.UnixConn) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	b := start(t, who, []*os.File{theirs}, "connect", strconv.Itoa(n))
	theirs.Close()
	defer b.end()
	oob := make([]byte, unix.CmsgSpace(4))
	for range n {
		_, oobn, _, _, err := unix.Recvmsg(pair[0], make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
		if err != nil || oobn == 0 {
			t.Fatalf("%s does not connect: %s %v", who.name, b.line(), err)
		}
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			t.Fatal(err)
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fds[0]), "connection")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		conns = append(conns, c.(*net.UnixConn))
	}
	return conns
}

// connectFor connects, and gives the connections away through the socket that it has
// as descriptor 3.
func connectFor(args []string) int {
	n, err := strconv.Atoi(args[0])
	for ; n > 0 && err == nil; n-- {
		var fd int
		fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: serverSocket})
		}
		if err == nil {
			err = unix.Sendmsg(3, []byte{0}, unix.UnixRights(fd), nil, 0)
		}
		unix.Close(fd)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// client2 is a client of version 2, of which nothing is left out that a client could
// say.
type client2 struct {
	t       *testing.T
	conn    *net.UnixConn
	in      *wire.Reader
	seq     uint32
	greeted bool
	lies    map[string]any // members that every object has beside what it means
	out     bytes.Buffer   // what its session printed
}

func speak2(t *testing.T, conn *net.UnixConn, lies map[string]any) *client2 {
	t.Helper()
	c := &client2{t: t, conn: conn, in: wire.NewClientReader(conn), lies: lies}
	c.write(wire.Hello())
	return c
}

// write fails only with the connection, and then reading tells why.
func (c *client2) write(b []byte) {
	_ = c.conn.SetDeadline(time.Now().Add(patience))
	_, _ = c.conn.Write(b)
}

// object sends a frame of JSON.
func (c *client2) object(typ wire.Type, v any) {
	c.t.Helper()
	text, err := json.Marshal(v)
	members := map[string]any{}
	if err == nil {
		err = json.Unmarshal(text, &members)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	for name, lie := range c.lies {
		if _, meant := members[name]; !meant {
			members[name] = lie
		}
	}
	c.write(wire.Frame(typ, members))
}

// ended is the refusal that a connection which ended without one stands for.
func ended(err error) *wire.ErrorNote {
	return &wire.ErrorNote{Code: "gone", Message: err.Error()}
}

// next reads up to a frame of one of these types, or to a refusal.
func (c *client2) next(v any, wanted ...wire.Type) *wire.ErrorNote {
	if !c.greeted {
		c.greeted = true
		if _, err := c.in.Hello(); err != nil {
			return ended(err)
		}
	}
	for {
		typ, payload, err := c.in.Next()
		if err != nil {
			return ended(err)
		}
		switch {
		case typ == wire.Error || typ == wire.Refused:
			var note wire.ErrorNote
			if err := wire.Decode(payload, &note); err != nil {
				return ended(err)
			}
			return &note
		case typ == wire.Output:
			_, data, err := wire.ParseOutput(payload)
			if err != nil {
				return ended(err)
			}
			c.out.Write(data)
		case typ == wire.Ended:
			return &wire.ErrorNote{Code: "ended"}
		}
		for _, w := range wanted {
			if typ != w {
				continue
			}
			if v != nil {
				if err := wire.Decode(payload, v); err != nil {
					return ended(err)
				}
			}
			return nil
		}
	}
}

func (c *client2) open(req wire.OpenRequest) (reply wire.OpenReply, note *wire.ErrorNote) {
	c.object(wire.Open, req)
	return reply, c.next(&reply, wire.Opened)
}

func (c *client2) ask(req wire.Request) (reply wire.Reply, note *wire.ErrorNote) {
	c.seq++
	req.Seq = c.seq
	c.object(wire.Ask, req)
	return reply, c.next(&reply, wire.Answer)
}

// settled waits until the bridge has dealt with all that was sent, and returns what it
// refused of that.
func (c *client2) settled() *wire.ErrorNote {
	c.write(wire.Frame(wire.Ping, nil))
	note := c.next(nil, wire.Pong)
	if note != nil && note.Code == "denied" {
		c.next(nil, wire.Pong)
	}
	return note
}

// client1 is a client of the first AaaU, byte for byte: it sends its line, and then
// frames; it reads at most 4096 bytes at a time, and throws a read away that begins
// with 0x01.
type client1 struct {
	t    *testing.T
	conn *net.UnixConn
	out  bytes.Buffer // what it shows
	ctl  bytes.Buffer // what it throws away
}

func speak1(t *testing.T, conn *net.UnixConn, line string) *client1 {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(patience))
	c := &client1{t: t, conn: conn}
	_, _ = io.WriteString(conn, line) // a refusal may have overtaken it
	return c
}

// opened reads the reply, and returns the session's id, or the line that says why not.
func (c *client1) opened() (id, why string) {
	for !strings.Contains(c.out.String(), "\n") {
		if !c.read() {
			return "", c.out.String()
		}
	}
	line, rest, _ := strings.Cut(c.out.String(), "\n")
	id, ok := strings.CutPrefix(line, "SESSION:")
	c.out.Reset()
	c.out.WriteString(rest)
	if !ok {
		return "", line
	}
	return id, ""
}

func (c *client1) frame(payload string) {
	_ = c.conn.SetDeadline(time.Now().Add(patience))
	_, _ = c.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...))
}

// read reads once; false at the end.
func (c *client1) read() bool {
	buf := make([]byte, 4096)
	n, err := c.conn.Read(buf)
	if n > 0 && buf[0] == 1 {
		c.ctl.Write(buf[:n])
	} else {
		c.out.Write(buf[:n])
	}
	return err == nil
}

func (c *client1) until(where *bytes.Buffer, want string) {
	c.t.Helper()
	for !strings.Contains(where.String(), want) {
		if !c.read() {
			c.t.Fatalf("no %q in %q (and %q)", want, c.out.String(), c.ctl.String())
		}
	}
}

// settled waits until the bridge has dealt with all that was sent, and returns the
// control replies since the last time; false if the connection has ended.
func (c *client1) settled() (said string, there bool) {
	c.frame("\x01PING")
	for !strings.Contains(c.ctl.String(), "\x01PONG") {
		if !c.read() {
			return c.ctl.String(), false
		}
	}
	said = strings.Replace(c.ctl.String(), "\x01PONG", "", 1)
	c.ctl.Reset()
	return said, true
}
