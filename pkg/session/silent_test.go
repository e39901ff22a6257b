package session

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// bare is a session whose stage is a process that says nothing by itself: word is where it
// could, and end ends it.
func bare(t *testing.T) (s *Session, word *os.File, end func()) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	mounts, err := os.Open("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	defer mounts.Close()
	stage := exec.Command("sleep", "1000")
	if err := stage.Start(); err != nil {
		t.Fatal(err)
	}
	pidfd, err := unix.PidfdOpen(stage.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	status := pipe(t)
	word = os.NewFile(uintptr(status[1]), "status")
	end = func() {
		word.Close()
		_ = stage.Process.Kill() // once more after its end
		_ = stage.Wait()
	}
	t.Cleanup(end)
	s, err = New(Info{Session: privsep.Session{ID: "abc"}}, []int{dup(t, master), pidfd, status[0], dup(t, mounts)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	note, err := json.Marshal(s.Info)
	if err == nil {
		err = s.SetNote(note)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s, word, end
}

// A stage that ends without a word is told as what it is, and as SIGKILL only where AaaU has
// sent that, whichever bridge did.
func TestSilentEnd(t *testing.T) {
	killed := Exit{Ran: true, Wait: syscall.WaitStatus(unix.SIGKILL)}
	silent := killed
	silent.Silent = true
	say := func(t *testing.T, word *os.File, st privsep.Status) {
		if err := json.NewEncoder(word).Encode(st); err != nil {
			t.Error(err)
		}
	}
	for name, c := range map[string]struct {
		before func(*testing.T, *Session, *os.File)
		again  bool // another process adopts it then
		want   Exit
	}{
		"silent":                {want: silent},
		"silent, next bridge":   {again: true, want: silent},
		"killed":                {before: func(_ *testing.T, s *Session, _ *os.File) { s.Killing() }, want: killed},
		"killed before":         {before: func(_ *testing.T, s *Session, _ *os.File) { s.Killing() }, again: true, want: killed},
		"the kill was not sent": {before: func(_ *testing.T, s *Session, _ *os.File) { s.Killing()() }, want: silent},
		"one of two was sent": {before: func(_ *testing.T, s *Session, _ *os.File) {
			s.Killing()
			s.Killing()()
		}, want: killed},
		"tripped": {before: func(t *testing.T, _ *Session, word *os.File) { say(t, word, privsep.Status{Tripped: "a trap"}) }, want: killed},
		"told": {before: func(t *testing.T, _ *Session, word *os.File) {
			say(t, word, privsep.Status{Ended: &privsep.Ended{Wait: 7 << 8}})
		}, want: Exit{Ran: true, Wait: 7 << 8}},
	} {
		t.Run(name, func(t *testing.T) {
			s, word, end := bare(t)
			say(t, word, privsep.Status{Started: true})
			if c.before != nil {
				c.before(t, s, word)
			}
			if c.again {
				s = next(t, s)
			}
			s.Start(func() {}, func(*Session) {}, func(string) {})
			end()
			select {
			case <-s.Ended():
			case <-time.After(patience):
				t.Fatal("it does not end")
			}
			if got := s.Exit(); got != c.want {
				t.Errorf("it is %+v (%v), not %+v", got, got, c.want)
			}
			if said := s.Exit().String(); c.want.Silent == strings.Contains(said, "SIGKILL") && c.want.Wait.Signaled() {
				t.Errorf("it is said to be %q", said)
			}
		})
	}
}

// A session that nobody wants any more is ended by AaaU.
func TestAbandonedIsNotSilent(t *testing.T) {
	s, word, end := bare(t)
	if err := json.NewEncoder(word).Encode(privsep.Status{Started: true}); err != nil {
		t.Fatal(err)
	}
	s.Start(func() {}, func(*Session) {}, func(string) {})
	if err := s.Started(); err != nil {
		t.Fatal(err)
	}
	s.Abandon()
	end()
	<-s.Ended()
	if s.Exit().Silent {
		t.Errorf("it is %v", s.Exit())
	}
}
