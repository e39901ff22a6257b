package system

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
)

func TestInputFromAPipe(t *testing.T) {
	begin(t)
	r := feed(t, as(t, "operator"), "some words\n", "aaau", "-p", "sh -c 'stty -echo; echo ready; cat'")
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

// A session that is part of a pipe has nobody who would come back for it.
func TestSessionInAPipeEndsWithItsClient(t *testing.T) {
	for _, test := range []struct {
		sig  syscall.Signal
		want int
	}{
		{syscall.SIGTERM, 143}, {syscall.SIGINT, 130}, {syscall.SIGHUP, 129},
	} {
		t.Run(test.sig.String(), func(t *testing.T) {
			begin(t)
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
			if _, err := stdout.Read(make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
			kill(t, cmd.Process.Pid, test.sig)
			_ = cmd.Wait() // its state says it all
			if got := status(cmd.ProcessState); got != test.want {
				t.Errorf("the exit status is %d, not %d", got, test.want)
			}
			if left := scopes(t); len(left) != 0 {
				await(t, "the session's end", func() bool { return len(scopes(t)) == 0 })
			}
		})
	}
}
