package system

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// beViewers watches a session so many times over, of which some never read; it stays
// until it is told to go.
func beViewers(args []string) int {
	n, _ := strconv.Atoi(args[1])
	dead, _ := strconv.Atoi(args[2])
	open := wire.Frame(wire.Open, wire.OpenRequest{Attach: args[0], ReadOnly: true, Screen: true, Session: spec.Session{Size: wire.Size{Rows: 24, Cols: 80}}})
	for i := range n {
		c, err := net.Dial("unix", serverSocket)
		if err == nil {
			_, err = c.Write(append(wire.Hello(), open...))
		}
		if err == nil { // it is in
			_, err = c.Read(make([]byte, 1))
		}
		if err != nil {
			fmt.Println(err)
			return 1
		}
		if i >= dead {
			go func() {
				_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 64<<10))
			}()
		}
	}
	fmt.Println("there")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	return 0
}

// A hundred watch, and some of them never read: who drives does not notice, and the
// bridge keeps its tapes and a little for each.
func TestViewersCostNothing(t *testing.T) {
	begin(t)
	const (
		viewers, dead = 99, 20
		blocks        = 1024
		sessions      = 4
		perTape       = 5 << 20 // the ring, what stands before it, and a picture
		perClient     = 256 << 10
	)
	operator, n := as(t, "operator"), flooded("long", blocks)
	watch := func(v *viewed) *background {
		t.Helper()
		w := start(t, operator, nil, "viewers", v.s.ID, strconv.Itoa(viewers), strconv.Itoa(dead))
		if got := w.line(); got != "there" {
			t.Fatal(got)
		}
		return w
	}
	alone, crowded := newViewed(t, serverSocket, "long", blocks), newViewed(t, serverSocket, "long", blocks)
	one, all := newEcho(t), newEcho(t)
	before := memory(t, "aaau.service")
	watching := []*background{watch(crowded), watch(all.viewed)}
	compare(t, "MB/s", 0.8, func() float64 { return rate(t, alone, n) }, func() float64 { return rate(t, crowded, n) })
	compare(t, "echoes/s", 0.8, one.rate, all.rate)

	after, most := memory(t, "aaau.service"), before+sessions*perTape+2*viewers*perClient
	t.Logf("the bridge has %d KiB, before them %d; %d KiB are allowed, with %d for each tape and %d for each client", after>>10, before>>10, most>>10, perTape>>10, perClient>>10)
	if after > most {
		t.Error("the bridge keeps too much")
	}
	for _, w := range watching {
		w.say("\n")
	}
}

// memory is what a service's process has of its own, in bytes. The rings are mapped twice,
// and counted once.
func memory(t *testing.T, service string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", mainPID(t, service)))
	if err != nil {
		t.Fatal(err)
	}
	bytes := 0
	for _, kind := range []string{"Anon", "Shmem"} {
		m := regexp.MustCompile(`Pss_` + kind + `:\s+(\d+) kB`).FindSubmatch(text)
		if m == nil {
			t.Fatalf("no %s in %s", kind, text)
		}
		bytes += int(number(t, string(m[1]))) << 10
	}
	return bytes
}

// echo is a session that echoes each byte.
type echo struct {
	*viewed
	t *testing.T
}

func newEcho(t *testing.T) echo {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := client.Open(ctx, serverSocket, wire.OpenRequest{
		Session: spec.Session{Argv: []string{"sh", "-c", "stty raw -echo; printf ready; exec cat"}, Size: wire.Size{Rows: 24, Cols: 80}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return echo{newSeen(t, s), t}
}

// rate is how many echoes there would be in a second, one after the other, by the middle
// one.
func (e echo) rate() float64 {
	var took []float64
	for range 50 {
		began := time.Now()
		if err := e.press(); err != nil {
			e.t.Fatal(err)
		}
		if err := e.take(1); err != nil {
			e.t.Fatal(err)
		}
		took = append(took, time.Since(began).Seconds())
		time.Sleep(2 * time.Millisecond) // as people do not type at once
	}
	return 1 / middle(took)
}
