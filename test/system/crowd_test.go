package system

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

func TestManyAtOnce(t *testing.T) {
	begin(t)
	const many = 40
	people := []account{as(t, "operator"), as(t, "observer")}
	ids := make([]string, many)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			cmd := people[i%2].command(ctx, "aaau", "-p", fmt.Sprintf(`sh -c 'echo "$AAAU_SESSION"; exit %d'`, i))
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, _ := cmd.Output() // its status is looked at
			ids[i] = strings.TrimSpace(string(out))
			if got := status(cmd.ProcessState); got != i || stderr.Len() > 0 {
				t.Errorf("number %d: status %d, stdout %q, stderr %q", i, got, out, stderr.String())
			}
		})
	}
	all.Wait()
	seen := map[string]bool{"": true}
	for _, id := range ids {
		if seen[id] {
			t.Errorf("a session is called %q twice, or not at all", id)
		}
		seen[id] = true
	}
}

// Who only watches, and does not even do that, is nobody's problem.
func TestStalledObserverHoldsNobodyBack(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	o := sit(t, as(t, "observer"), "aaau", "-r", "-n", s.id)
	o.match(promptForm)
	o.signal(syscall.SIGSTOP)
	s.typed("seq 1 800000; echo all of $((6*7))\r") // more than is kept of it
	s.expect("all of 42")
	o.signal(syscall.SIGCONT)
	s.prompt()
	s.prints("echo still here", "still here")
	o.expect("still here") // and catches up
	s.close()
	o.ends(0)
}

// What a session takes, it gives back: its end's, a refusal's, a join's, a kill's.
func TestNothingLeaks(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	life := func() {
		run(t, operator, "aaau", "-p", "true")
		run(t, operator, "aaau", "-p", "no-such-program")
		run(t, operator, "aaau", "no_such_alias")
		run(t, operator, "aaau", "-n", "nosuch")
		s := openShell(t, operator)
		o := sit(t, as(t, "observer"), "aaau", "-r", "-n", s.id)
		o.match(promptForm)
		run(t, operator, "aaau", "kill", "--force", s.id)
		s.ends(137)
		o.ends(137)
	}
	life()
	services := []string{"aaau.service", "aaau-launcher.service"}
	before := map[string]int{}
	for _, service := range services {
		await(t, "a first count of "+service, func() bool {
			last := before[service]
			before[service] = descriptors(t, service)
			return before[service] == last
		})
	}
	for range 5 {
		life()
	}
	for _, service := range services {
		if !eventually(func() bool { return descriptors(t, service) <= before[service] }) {
			t.Errorf("%s had %d descriptors, and now has %d", service, before[service], descriptors(t, service))
		}
	}
}

func descriptors(t *testing.T, service string) int {
	t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", mainPID(t, service)))
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// spewed is output of all kinds that a terminal takes, but for what is left out
// (pkg/vtseq): the clipboard, questions, and a byte 0xc2 alone, which could become a control; and
// for what makes the bridge speak: bells and notices. Nor is there a byte 0x01, which
// version 1 cannot tell from control.
func spewed(size int) []byte {
	r := rand.New(rand.NewPCG(2026, 8))
	out := make([]byte, 0, size+1000)
	for len(out) < size {
		switch r.IntN(12) {
		case 0:
			out = fmt.Appendf(out, "\x1b[%d;%dH", r.IntN(30), r.IntN(100))
		case 1:
			out = fmt.Appendf(out, "\x1b[38;5;%dm\x1b[4:3m", r.IntN(256))
		case 2:
			out = fmt.Appendf(out, "\x1b]0;title %d\a", r.IntN(1000))
		case 3:
			out = fmt.Appendf(out, "\x1b]8;;https://example.org/%d\x1b\\link\x1b]8;;\x1b\\", r.IntN(1000))
		case 4:
			out = append(out, "\x1bPq#0;2;0;0;0#0~~@@vv\x1b\\"...)
		case 5:
			out = append(out, []string{"\x1b[6G", "\x1b[?25l", "\x1b[>4;1m", "\x1b]11;red\x1b\\", "\x0e", "\x1b[22t"}[r.IntN(6)]...)
		case 6:
			out = append(out, []string{"\x1b[?1049h", "\x1b[?1049l", "\x1b[?2004h", "\x1b[?1000;1006h", "\x1bc", "\x1b7", "\x1b8"}[r.IntN(7)]...)
		case 7:
			for range r.IntN(20) {
				out = append(out, byte(0xc3+r.IntN(0x3d))) // no text in any encoding
			}
		case 8:
			out = append(out, "日本語 äöü 🤖"[:r.IntN(20)]...) // cut anywhere
		case 9:
			out = append(out, 0, '\b', '\t', '\v', '\f', 0x7f, '\r')
		default:
			out = fmt.Appendf(out, "line %d of the output\r\n", len(out))
		}
	}
	return append(out, "\x1b\\the end\n"...)
}

func emit(args []string) int {
	size, err := strconv.Atoi(args[0])
	if err != nil {
		return 1
	}
	if _, err := os.Stdout.Write(spewed(size)); err != nil {
		return 1
	}
	return 0
}

// one is a client in a crowd.
type one struct {
	v2  *client2
	v1  *client1
	sum hash.Hash
	n   int
}

// see reads output until there were so many bytes of it.
func (o *one) see(until int) error {
	for o.n < until {
		if o.v1 != nil {
			_ = o.v1.conn.SetDeadline(time.Now().Add(patience))
			buf := make([]byte, min(64<<10, until-o.n))
			n, err := o.v1.conn.Read(buf)
			o.sum.Write(buf[:n])
			if o.n += n; err != nil && o.n < until {
				return err
			}
			continue
		}
		_ = o.v2.conn.SetDeadline(time.Now().Add(patience))
		if note := o.v2.next(nil, wire.Output, wire.Lost); note != nil {
			return note
		}
		n, err := o.v2.out.WriteTo(o.sum)
		if err != nil {
			return err
		}
		if n == 0 {
			return errors.New("output was lost")
		}
		o.n += int(n)
	}
	return nil
}

// Two hundred are in one session, in both versions and in several roles: all see the
// same, and those who may not do not, whatever they send.
func TestCrowd(t *testing.T) {
	begin(t)
	const (
		watchers = 67
		typists  = 133
		size     = 3 << 20 // all of which the bridge keeps: nobody is too slow
	)
	operator, observer := as(t, "operator"), as(t, "observer")
	id := output(t, operator, "aaau", "start", "-p", fmt.Sprintf(
		`sh -c 'stty raw -echo; printf "ready\n"; read x; %s emit %d; while read x; do printf "got %%s\n" "$x"; done'`, helper, size))
	grant(t, "user=observer ReadOnly")

	var people []*one
	join := func(who account, n int, role string) {
		for i, c := range connect(t, who, n) {
			o := &one{sum: sha256.New()}
			if i%2 == 0 {
				o.v2 = speak2(t, c, nil)
				reply, note := o.v2.open(wire.OpenRequest{Attach: id, ReadOnly: i%4 == 0, Session: spec.Session{Size: wire.Size{Rows: 24, Cols: 80}}})
				if note != nil || i%4 != 0 && reply.Role != role {
					t.Fatalf("%+v %+v", reply, note)
				}
			} else {
				o.v1 = speak1(t, c, "SESSION:"+id+"\n")
				if got, why := o.v1.opened(); got != id {
					t.Fatalf("%q", why)
				}
				o.n = o.v1.out.Len()
				o.sum.Write(o.v1.out.Bytes())
				o.v1.out.Reset()
			}
			people = append(people, o)
		}
	}
	join(operator, typists, "Interactive")
	join(observer, watchers, "ReadOnly")
	ctx, cancel := context.WithTimeout(context.Background(), lifetime)
	defer cancel()
	root, err := client.Dial(ctx, serverSocket)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	status := func() wire.SessionInfo {
		t.Helper()
		s, err := root.Status(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if got := status().Clients; got != watchers+typists {
		t.Errorf("%d clients in the session, not %d", got, watchers+typists)
	}

	all := append([]byte("ready\n"), spewed(size)...)
	var seeing sync.WaitGroup
	errs := make([]error, len(people))
	for i, o := range people {
		seeing.Go(func() { errs[i] = o.see(len(all)) })
	}
	people[1].v1.frame("\n")
	seeing.Wait()
	want, wrong := sha256.Sum256(all), 0
	for i, o := range people {
		if errs[i] != nil || !bytes.Equal(o.sum.Sum(nil), want[:]) {
			if wrong++; wrong < 5 {
				t.Errorf("client %d: %d bytes that are not the same: %v", i, o.n, errs[i])
			}
		}
	}
	if wrong > 0 {
		t.Fatalf("%d of %d saw something else", wrong, len(people))
	}

	for i, o := range people[typists:] {
		if o.v1 != nil {
			o.v1.annoy()
		} else {
			o.v2.annoy(t, i)
		}
	}
	if s := status(); s.State != wire.StateRunning || s.Rows != 24 || s.Cols != 80 || len(s.Shared) > 0 || s.Clients < typists {
		t.Errorf("after what watchers tried: %+v", s)
	}
	people[1].v1.frame("something\n")
	people[1].v1.until(&people[1].v1.out, "got something\n")
	if got := people[1].v1.out.String(); got != "got something\n" {
		t.Errorf("the program was typed to: %q", got)
	}
	if err := root.Kill(ctx, id, 0); err != nil {
		t.Error(err)
	}
}

// annoy sends all that there is in version 1.
func (c *client1) annoy() {
	for _, text := range []string{
		"evil\n", "\x01RESIZE:5,5", "\x01RESIZE:5,5\n", "\x01FORCE_KILL", "\x01FORCE_KILL\n", "\x01force_kill", "\x01\x03", "\x03\x1c\x1a",
		"\x01FREEZE", "\x01GET_STATUS", strings.Repeat("evil\n", 20_000), "",
	} {
		c.frame(text)
	}
	_, _ = c.settled()
}

// annoy sends every request, and every other kind of frame, of which a crowd of these
// between them tries all.
func (c *client2) annoy(t *testing.T, number int) {
	t.Helper()
	uid := uint32(os.Getuid())
	for _, text := range []string{"evil\n", "\x03", "\x01FORCE_KILL"} {
		c.write(wire.Frame(wire.Input, []byte(text)))
		if note := c.settled(); note == nil || note.Code != "denied" {
			t.Errorf("%q: %+v", text, note)
		}
	}
	c.object(wire.Resize, wire.Size{Rows: 5, Cols: 5})
	for _, do := range []wire.Verb{wire.DoSend, wire.DoPut, wire.DoKill, wire.DoFreeze, wire.DoThaw, wire.DoShare, wire.DoUnshare} {
		if _, note := c.ask(wire.Request{Do: do, Bytes: []byte("evil\n"), UID: &uid, File: "evil"}); note == nil || note.Code != "denied" {
			t.Errorf("%s: %+v", do, note)
		}
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGSTOP, syscall.SIGHUP, -9, 99} {
		if _, note := c.ask(wire.Request{Do: wire.DoKill, Signal: int(signal)}); note == nil || note.Code != "denied" {
			t.Errorf("%v: %+v", signal, note)
		}
	}
	known := []wire.Type{wire.Detach, wire.Ping}
	for typ := wire.Type(number); ; typ += watchersOf2 {
		if !slices.Contains(known, typ) {
			c.write(wire.Frame(typ, []byte("evil\n")))
		}
		if int(typ)+watchersOf2 > 255 {
			break
		}
	}
	// It may be too much for the bridge.
	_ = c.conn.CloseWrite()
	_, _ = io.Copy(io.Discard, c.conn)
}

// watchersOf2 is how many watchers of version 2 a crowd has, at least.
const watchersOf2 = 33
