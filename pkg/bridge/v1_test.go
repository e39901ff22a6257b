package bridge

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

// client1 is a client of the first AaaU, byte for byte: it sends its line, and then
// frames; it reads at most 4096 bytes at a time, and throws a read away that begins
// with 0x01.
type client1 struct {
	t    *testing.T
	conn *net.UnixConn
	out  bytes.Buffer // what it shows
	ctl  bytes.Buffer // what it throws away
}

func (h *harness) v1(line string) *client1 {
	h.t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: h.socket, Net: "unix"})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, line); err != nil {
		h.t.Fatal(err)
	}
	return &client1{t: h.t, conn: conn}
}

// opened reads the reply, and returns the session's id.
func (c *client1) opened() string {
	c.t.Helper()
	c.until(&c.out, "\n")
	line, rest, _ := strings.Cut(c.out.String(), "\n")
	id, ok := strings.CutPrefix(line, "SESSION:")
	if !ok {
		c.t.Fatalf("the reply is %q", line)
	}
	c.out.Reset()
	c.out.WriteString(rest)
	return id
}

func (c *client1) frame(payload string) {
	c.t.Helper()
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	if _, err := c.conn.Write(append(b, payload...)); err != nil {
		c.t.Fatal(err)
	}
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

func TestVersion1(t *testing.T) {
	h := start(t, nil)
	c := h.v1(`NEW_JSON:{"cols":101,"program":"sh","extra":[1],"args":["-c","stty -echo; stty size; while read x; do echo got $x; stty size; done"],"rows":33}` + "\n")
	id := c.opened()
	c.until(&c.out, "33 101\r\n")
	c.frame("\x01RESIZE:40,120")
	c.frame("one\n")
	c.until(&c.out, "got one\r\n40 120\r\n")
	c.frame("\x01PING")
	c.until(&c.ctl, "\x01PONG")

	// Another one watches: it gets what was, and sends no frames.
	w := h.v1("SESSION:" + id + "\r\n")
	if got := w.opened(); got != id {
		t.Errorf("joined %s, not %s", got, id)
	}
	w.until(&w.out, "got one\r\n40 120\r\n")
	c.frame("\x01GET_STATUS")
	c.until(&c.ctl, "}")
	if !strings.Contains(c.ctl.String(), "\x01STATUS:{\"session_id\":\""+id+"\",\"clients\":2,\"agent_alive\":true}") {
		t.Errorf("%q", c.ctl.String())
	}
	// What is nearly a message is typed.
	c.frame("\x01PINGx\n")
	c.until(&c.out, "PINGx\r\n")

	c.frame("\x01FORCE_KILL")
	for c.read() {
	}
	for w.read() {
	}
	if strings.Contains(c.out.String()+w.out.String(), "\x01STATUS") {
		t.Error("an answer came together with output")
	}
}

func TestVersion1Lines(t *testing.T) {
	h := start(t, nil)
	for line, want := range map[string]string{
		"NEW:sh:-c:stty size:24:90\n": `^SESSION:s\d+\n24 90\r\n$`,
		"NEW:echo:a:b\n":              `^SESSION:s\d+\na b\r\n$`,
		`NEW_JSON:{"program":"/nosuch","args":[],"rows":24,"cols":80}` + "\n": `^Program not found: /nosuch\n$`,
		`NEW_JSON:{"program":"true","rows":24,"cols":80}` + "\n":              `^Missing or invalid JSON field: args\n$`,
		"NEW_JSON:[]\n":           `^NEW_JSON payload must be a JSON object\n$`,
		"SESSION:nosuch\n":        `^Session nosuch not found\n$`,
		"HELLO\n":                 `^Invalid handshake. Use SESSION:id or NEW\n$`,
		"NEW:true:24:80":          `^SESSION:s\d+\n$`, // and the end of its input
		" NEW:echo:hi:24:80 \r\n": `^SESSION:s\d+\nhi\r\n$`,
	} {
		began := time.Now() // before the bridge has anything of it
		c := h.v1(line)
		if !strings.HasSuffix(line, "\n") {
			c.conn.CloseWrite()
		}
		for c.read() {
		}
		if got := c.out.String(); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
		if strings.HasPrefix(c.out.String(), "SESSION") && time.Since(began) < 250*time.Millisecond {
			t.Errorf("%q: closed after %v: the client had not sent its size", line, time.Since(began))
		}
	}
}

func TestVersion1Denied(t *testing.T) {
	h := start(t, func(b *Bridge) { b.Policy.AgentUIDs = []uint32{0} })
	c := h.v1("NEW:24:80\n")
	for c.read() {
	}
	if got := c.out.String(); !strings.HasPrefix(got, "Auth failed: uid 0 is an agent's") || !strings.HasSuffix(got, "\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("%q", got)
	}
}

// Byte for byte, and whatever they are.
func TestVersion1Input(t *testing.T) {
	h := start(t, nil)
	c := h.v1("NEW:sh:-c:stty raw -echo; echo ready; head -c 300000 | md5sum:24:80\n")
	c.opened()
	c.until(&c.out, "ready")
	c.frame("\x01")
	c.frame("")
	c.frame("\x01RESIZE:a,b")
	c.frame(strings.Repeat("\x01\x00\xff", 100000)[:300000-12])
	c.until(&c.out, "-")
	if !strings.Contains(c.out.String(), "7f9b6e270242f402114d576cbb214fc5") {
		t.Errorf("%q", c.out.String())
	}
}
