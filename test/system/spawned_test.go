package system

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os/exec"
	"sync"
	"testing"
)

// spawned is a program that runs while the test does other things, without a
// terminal and with nothing to read.
type spawned struct {
	t      *testing.T
	cmd    *exec.Cmd
	end    func()
	stderr bytes.Buffer

	mu   sync.Mutex // guards what follows
	said bytes.Buffer
}

func (s *spawned) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.Write(p)
}

// stdout is what it has printed so far.
func (s *spawned) stdout() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.String()
}

// spawn starts a program, which does not outlive the test.
func spawn(t *testing.T, who account, argv ...string) *spawned {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), lifetime)
	s := &spawned{t: t, cmd: who.command(ctx, argv...)}
	s.cmd.Stdout, s.cmd.Stderr = s, &s.stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.end = sync.OnceFunc(func() {
		_ = s.cmd.Wait() // its state says it all
		cancel()
	})
	t.Cleanup(func() { cancel(); s.end() })
	return s
}

// result waits for the program's end.
func (s *spawned) result() result {
	s.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.end()
	}()
	if !eventually(func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}) {
		s.t.Fatalf("%q does not end; it has printed %q", s.cmd.Args, s.stdout())
	}
	return result{plain(s.stdout()), plain(s.stderr.String()), status(s.cmd.ProcessState)}
}

// sum is what sha256sum(1) says of a text.
func sum(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }
