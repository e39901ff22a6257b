package system

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestInputFromAPipe(t *testing.T) {
	begin(t)
	const long = 100_000 // a terminal's lines have 4096 bytes
	line := strings.Repeat("x", long) + "\r\n\x04\x03 some words\n"
	if r := feed(t, as(t, "operator"), line, "aaau", "-p", "sh -c 'cat; echo apart >&2'"); r.stdout != plain(line) || r.status != 0 || r.stderr != "apart\n" {
		t.Errorf("%+v", r)
	}
	// On a terminal, if asked for, in its way.
	r := feed(t, as(t, "operator"), "some words\n", "aaau", "-t", "-p", "sh -c 'stty -echo; echo ready; cat'")
	if !strings.HasSuffix(r.stdout, "some words\n") || r.status != 0 || r.stderr != "" {
		t.Errorf("%+v", r)
	}
	// The end of input ends what waits for more of it.
	if r := run(t, as(t, "operator"), "aaau", "-p", "cat"); r.status != 0 || r.stdout != "" {
		t.Errorf("%+v", r)
	}
}

func TestOutputIntoAPipeIsWhole(t *testing.T) {
	begin(t)
	var want strings.Builder
	for i := range 300_000 {
		fmt.Fprintln(&want, i)
	}
	got := output(t, as(t, "operator"), "aaau", "-p", "seq 0 299999")
	if got += "\n"; got != want.String() {
		t.Errorf("%d bytes came, not %d", len(got), want.Len())
	}
	// Also what was written right before a violent end.
	r := run(t, as(t, "operator"), "aaau", "-p", "sh -c 'seq 0 299999; kill -KILL $$'")
	if r.stdout != want.String() || r.status != 137 {
		t.Errorf("status %d, and %d bytes came, not %d", r.status, len(r.stdout), want.Len())
	}
}

// Not through a pipe, which would be closed before the program is ready for it.
func TestInputIsWhole(t *testing.T) {
	begin(t)
	const size = 1 << 20
	c := sit(t, as(t, "operator"), "aaau", "-p", fmt.Sprintf("sh -c 'stty raw -echo; echo ready; head -c %d | sha256sum'", size))
	c.expect("ready\n")
	// Neither the keys to detach, nor anything that a terminal would take for itself.
	text := []byte(strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz~\r", size/38+1)[:size])
	go func() { _, _ = c.master.Write(text) }() // the test hears of it if it fails
	c.expect(fmt.Sprintf("%x", sha256.Sum256(text)))
	c.ends(0)
}

// sentAway starts a client whose input and output are no terminal, has when wait
// for the moment, and sends it a signal. It returns the client's exit status.
func sentAway(t *testing.T, sig syscall.Signal, when func(stdout io.Reader)) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := as(t, "operator").command(ctx, "aaau", "-p", "sh -c 'echo ready; sleep 1000'")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	when(stdout)
	kill(t, cmd.Process.Pid, sig)
	_ = cmd.Wait() // its state says it all
	return status(cmd.ProcessState)
}

// A session that is part of a pipe has nobody who would come back for it.
func TestSessionInAPipeEndsWithItsClient(t *testing.T) {
	for sig, want := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGINT: 130, syscall.SIGHUP: 129} {
		t.Run(sig.String(), func(t *testing.T) {
			begin(t)
			got := sentAway(t, sig, func(stdout io.Reader) {
				if _, err := stdout.Read(make([]byte, 100)); err != nil {
					t.Error(err)
				}
			})
			if got != want {
				t.Errorf("the exit status is %d, not %d", got, want)
			}
		})
	}
}

// Sessions once went on whose clients had gone before they heard of them.
func TestClientSentAwayAtAnyTime(t *testing.T) {
	begin(t) // and no session is left
	for delay := range 30 {
		sentAway(t, syscall.SIGTERM, func(io.Reader) {
			time.Sleep(time.Duration(delay) * 2 * time.Millisecond) // the moment is what is tried
		})
	}
}
