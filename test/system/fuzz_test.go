package system

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// How long each decoder is fed, and where the dice begin, from the environment; `make
// soak` says longer.
const (
	fuzzTime = "AAAU_FUZZ_TIME" // a time.Duration
	fuzzSeed = "AAAU_FUZZ_SEED" // a number
)

// grown is how much larger a bridge may be after a decoder was fed than before, in
// bytes: what the heap of a Go program keeps of a crowd that has gone.
const grown = 16 << 20

// Strangers send whatever comes to their minds, for a while. The bridge stays, as it
// was: the same process, no larger, with no descriptor more; nobody is left without an
// answer; a session goes on beside it, and one begins after it.
func TestStrangersForAWhile(t *testing.T) {
	span, seed := 5*time.Second, uint64(time.Now().UnixNano())
	if s := os.Getenv(fuzzTime); s != "" {
		var err error
		if span, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	if s := os.Getenv(fuzzSeed); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range decoders {
		t.Run(d.name, func(t *testing.T) {
			beginLong(t, lifetime+span)
			feedStrangers(t, d, span, seed)
			if t.Failed() {
				t.Logf("again: %s=%s %s=%d go test ./test/system -run '%s'", fuzzTime, span, fuzzSeed, seed, t.Name())
			}
		})
	}
}

func feedStrangers(t *testing.T, d decoder, span time.Duration, seed uint64) {
	operator := as(t, "operator")
	id := output(t, operator, "aaau", "start", "-p", "sh -c 'stty raw -echo; exec cat'")
	ctx, cancel := context.WithTimeout(context.Background(), lifetime+span)
	defer cancel()

	// What a first crowd makes the bridge take for good is not counted.
	fed := func(span time.Duration, seed uint64) (s stranger) {
		t.Helper()
		text, err := as(t, "observer").command(ctx, helper, "fuzz", d.name, span.String(), strconv.FormatUint(seed, 10), id).Output()
		if len(text) > 0 && err == nil {
			err = json.Unmarshal(text, &s)
		}
		if err != nil {
			t.Fatalf("the strangers have not ended well: %v: %s", err, text)
		}
		return s
	}
	stop := make(chan struct{})
	var sweeping sync.WaitGroup
	sweeping.Go(func() { sweep(ctx, stop, id) })
	swept := sync.OnceFunc(func() { close(stop); sweeping.Wait() })
	defer swept()

	fed(time.Second, seed+1)
	bridge := mainPID(t, "aaau.service")
	var fds int
	await(t, "a first count", func() bool {
		last := fds
		fds = descriptors(t, "aaau.service")
		return fds == last
	})
	before := resident(t, bridge)

	s := fed(span, seed)
	swept()
	for _, wrong := range s.Wrong {
		t.Error(wrong)
	}
	if s.Sent == 0 {
		t.Error("nothing was sent")
	}
	if now := mainPID(t, "aaau.service"); now != bridge {
		t.Fatalf("the bridge was %d and is %d", bridge, now)
	}
	if !eventually(func() bool { return descriptors(t, "aaau.service") <= fds }) {
		t.Errorf("the bridge had %d descriptors, and now has %d", fds, descriptors(t, "aaau.service"))
	}
	after := resident(t, bridge)
	if after > before+grown {
		t.Errorf("the bridge had %d kB, and now has %d", before>>10, after>>10)
	}
	t.Logf("%d inputs, %d were answered, %d closed without a word; the bridge has %d kB, and had %d", s.Sent, s.Answered, s.Sent-s.Answered, after>>10, before>>10)

	// The session is there, and another one begins.
	root, err := client.Dial(ctx, serverSocket)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	status, err := root.Status(ctx, id)
	if err != nil || status.State != wire.StateRunning {
		t.Errorf("%+v %v", status, err)
	}
	if err := root.Send(ctx, id, []byte("\x1b\\\x1bc\r\nstill here")); err != nil {
		t.Error(err)
	}
	var shown wire.Screen
	if !eventually(func() bool {
		shown, err = root.Peek(ctx, id)
		return err == nil && strings.Contains(shown.Text, "still here")
	}) {
		t.Errorf("the session is not as it should be: it shows %q, %v", shown.Text, err)
	}
	shell := openShell(t, operator)
	shell.prints("echo $((6*7))", "42")
	shell.close()
	if err := root.Kill(ctx, id, 0); err != nil {
		t.Error(err)
	}
	// Nobody is stuck in it: else it would not end.
	began := time.Now()
	systemctl(t, "restart", "aaau.service")
	if took := time.Since(began); took > patience/2 {
		t.Errorf("the bridge took %v to end", took)
	}
}

// sweep ends the sessions that strangers start: all but one.
func sweep(ctx context.Context, stop <-chan struct{}, but string) {
	conn, err := client.Dial(ctx, serverSocket)
	if err != nil {
		return
	}
	defer conn.Close()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for last := false; !last; {
		select {
		case <-stop:
			last = true
		case <-tick.C:
		}
		sessions, err := conn.List(ctx)
		if err != nil {
			return
		}
		// Nor is it the room for the record that is tried here.
		records, _ := filepath.Glob("/var/log/aaau/*.jsonl.zst")
		for _, name := range records {
			_ = os.Remove(name)
		}
		for _, s := range sessions {
			if s.ID != but {
				_ = conn.Kill(ctx, s.ID, 0) // it may have ended
			}
		}
	}
}

// resident is how much memory a process has, without what it shares.
func resident(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`RssAnon:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatalf("no RssAnon in %s", status)
	}
	kb, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// stranger is what some have done.
type stranger struct {
	Sent     int
	Answered int
	Wrong    []string
}

// Who says nothing that could be answered is heard out for so long, and a machine may
// be busy beside.
const (
	handshakeTime = 10 * time.Second
	busy          = 20 * time.Second
)

// fuzz is a crowd of strangers: its arguments are a decoder, how long, a seed and a
// session.
func fuzz(args []string) int {
	span, err1 := time.ParseDuration(args[1])
	seed, err2 := strconv.ParseUint(args[2], 10, 64)
	for _, d := range decoders {
		if d.name != args[0] || err1 != nil || err2 != nil {
			continue
		}
		all := crowd{decoder: d, session: args[3], end: time.Now().Add(span), waiting: make(chan struct{}, 200)}
		if all.patient = all.end.Add(-handshakeTime); span < 2*handshakeTime {
			all.patient = time.Now().Add(span / 20)
		}
		for n := range uint64(12) {
			all.people.Go(func() { all.feed(rand.New(rand.NewPCG(seed, n))) })
		}
		all.people.Wait()
		text, err := json.Marshal(all.stranger)
		if err != nil {
			return 1
		}
		fmt.Println(string(text))
		return 0
	}
	return 1
}
