package system

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// pasted is a megabyte of what programs of old, and clients, took for something else.
func pasted() []byte {
	p := []byte("\x01\x00\x01RESIZE:5,5\x01FORCE_KILL\x01PING\x03\x04\x1a\x1c\x11\x13\x1d\x1d\x1d\x7f\r\n" +
		"\xc3\xe6\x97\xf0\x9f\xa4" + // halves of letters
		"\x1b[1;20R\x1b[I\x1b[O\x1b]11;rgb:0/0/0\x1b\\\x1b[?62c" + // what a terminal says by itself
		"\x1b[200~pasted\x1b[201~\x1b")
	for b := range 256 {
		p = append(p, byte(b), byte(b))
	}
	for b := range 256 {
		p = append(p, byte(255-b))
	}
	r := rand.New(rand.NewPCG(1, 8))
	for len(p) < 1<<20 {
		p = append(p, byte(r.Uint32()))
	}
	return p
}

// digester is a program that tells what it reads of a terminal in raw mode.
func digester(text []byte) []string {
	return []string{"sh", "-c", fmt.Sprintf("stty raw -echo; printf 'ready '; head -c %d | sha256sum", len(text))}
}

func digestOf(p []byte) string { return fmt.Sprintf("%x", sha256.Sum256(p)) }

// Whatever is typed, the program reads the same.
func TestEveryByteReachesTheProgram(t *testing.T) {
	begin(t)
	operator, all := as(t, "operator"), pasted()
	t.Run("aaau on a terminal", func(t *testing.T) {
		c := sit(t, operator, append([]string{"aaau", "--detach-key", "none", "--"}, digester(all)...)...)
		c.expect("ready ")
		go func() { _, _ = c.master.Write(all) }() // the test hears of it if it fails
		c.expect(digestOf(all))
		c.ends(0)
	})
	t.Run("pkg/client", func(t *testing.T) {
		if got := output(t, operator, helper, "paste"); !strings.Contains(got, digestOf(all)) {
			t.Errorf("the program has read %q", got)
		}
	})
	t.Run("aaau send", func(t *testing.T) {
		id := output(t, operator, append([]string{"aaau", "start", "--"}, digester(all)...)...)
		w := speak2(t, connect(t, operator, 1)[0], nil)
		if _, note := w.open(wire.OpenRequest{Attach: id, ReadOnly: true}); note != nil {
			t.Fatal(note)
		}
		w.shows("ready ")
		if r := feed(t, operator, string(all), "aaau", "send", id, "-"); r.status != 0 || r.stderr != "" {
			t.Errorf("%+v", r)
		}
		w.shows(digestOf(all))
	})
	t.Run("frames of any length", func(t *testing.T) {
		for _, size := range []int{1, 7, 4096, wire.MaxPayload} {
			some := all[:min(len(all), size*1000)]
			c := speak2(t, connect(t, operator, 1)[0], nil)
			if _, note := c.open(wire.OpenRequest{Session: spec.Session{Argv: digester(some)}}); note != nil {
				t.Fatal(note)
			}
			c.shows("ready ")
			go func() {
				for p := some; len(p) > 0; p = p[min(len(p), size):] {
					c.write(wire.Frame(wire.Input, p[:min(len(p), size)]))
				}
			}()
			c.shows(digestOf(some))
		}
	})
	t.Run("version 1", func(t *testing.T) {
		for _, size := range []int{256, 1_000_000} { // its client's, and the longest
			c := speak1(t, connect(t, operator, 1)[0], "NEW:"+strings.Join(digester(all), ":")+":24:80\n")
			if id, why := c.opened(); id == "" {
				t.Fatal(why)
			}
			c.until(&c.out, "ready ")
			go func() {
				for p := all; len(p) > 0; p = p[min(len(p), size):] {
					c.frame(string(p[:min(len(p), size)]))
				}
			}()
			c.until(&c.out, digestOf(all))
		}
	})
	t.Run("a second person's", func(t *testing.T) {
		c := speak2(t, connect(t, operator, 1)[0], nil)
		reply, note := c.open(wire.OpenRequest{Session: spec.Session{Argv: digester(all)}})
		if note != nil {
			t.Fatal(note)
		}
		c.shows("ready ")
		other := speak2(t, connect(t, as(t, "observer"), 1)[0], nil)
		if _, note := other.open(wire.OpenRequest{Attach: reply.ID}); note != nil {
			t.Fatal(note)
		}
		// A key first: then they drive, and what their terminal says counts too.
		other.write(wire.Frame(wire.Input, all[:1]))
		go func() {
			for p := all[1:]; len(p) > 0; p = p[min(len(p), 1000):] {
				other.write(wire.Frame(wire.Input, p[:min(len(p), 1000)]))
			}
		}()
		c.shows(digestOf(all))
	})
}

// shows waits for output.
func (c *client2) shows(text string) {
	c.t.Helper()
	for !strings.Contains(c.out.String(), text) {
		if note := c.next(nil, wire.Output); note != nil {
			c.t.Fatalf("no %q in %q: %+v", text, c.out.String(), note)
		}
	}
}

// paste starts a session by pkg/client, pastes, and prints what the session says.
func paste([]string) int {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := client.Open(ctx, serverSocket, wire.OpenRequest{Session: spec.Session{Argv: digester(pasted())}})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer s.Close()
	pasting := false
	_, err = s.Copy(client.Sink{Out: writer(func(p []byte) {
		_, _ = os.Stdout.Write(p)
		if !pasting && strings.Contains(string(p), "ready ") {
			pasting = true
			go func() { _, _ = s.Write(pasted()) }() // what it fails by shows
		}
	})})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// writer is an io.Writer.
type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }
