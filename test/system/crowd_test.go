package system

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
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
	o.expect("\x1e")
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
		o.expect("\x1e")
		run(t, operator, "aaau", "kill", s.id)
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
