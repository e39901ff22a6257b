package stage

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Whatever it has to do, an urgent thread leaves the processors to others.
func TestUrgentIsBounded(t *testing.T) {
	u, err := newUrgent()
	if err != nil {
		t.Log(err) // it is bounded all the same
	}
	again, err := unix.Eventfd(1, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	life := func() time.Duration {
		var ts unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
		return time.Duration(ts.Nano())
	}
	tid, before := 0, time.Duration(0)
	started := make(chan bool)
	u.work <- func() {
		tid, before = unix.Gettid(), life()
		close(started)
	}
	<-started
	const length = time.Second
	steps := map[bool]int{}
	used := make(chan time.Duration)
	end := time.Now().Add(length)
	go u.loop(func() {
		if time.Now().After(end) {
			if unix.Gettid() == tid {
				used <- life() - before
				select {}
			}
			return
		}
		steps[unix.Gettid() == tid]++
		for began := time.Now(); time.Since(began) < time.Millisecond; {
		}
	}, again)
	if u := <-used; u > credit+length/tenth+length/4 {
		t.Errorf("it had the processor for %v", u)
	}
	if steps[true] == 0 || steps[false] == 0 {
		t.Errorf("on its own thread and on others it took %v steps", steps)
	}
}
