package stage

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// How much of a processor the guard may have before all others: in the long run a
// tenth, and this at once, but for what it has begun. The program can make it work without end, by changing
// what it looks at. When that is used up it works like everybody else for a while.
const (
	credit = 50 * time.Millisecond
	tenth  = 10
	rest   = 250 * time.Millisecond
)

// processors is how many goroutines run at once. The urgent one must not wait until
// another is done: there are fewer others.
const processors = 8

// large is what is not read before all others: it takes git itself as long.
const large = 16 << 20

// An urgent thread is one that runs at once when it has something to do, whatever else
// the machine does.
//
// The agent has our uid, and could change that: see filter.
type urgent struct {
	work chan func()

	debt  time.Duration // what was used, and not yet earned by waiting
	at    time.Time     // when that was so,
	total time.Duration // and what the thread had used in its life
}

// newUrgent starts one, as root. It may enter no system call to stay there before
// all threads have become the agent's, see awaitNoReader. Nothing that it starts is
// urgent.
func newUrgent() (*urgent, error) {
	u := &urgent{work: make(chan func())}
	// All threads that Go will want share locks with this one. They are made now, and
	// stay: then filter knows their numbers, and the program can keep none waiting.
	runtime.GOMAXPROCS(processors)
	made, all := make(chan bool), make(chan bool)
	for range processors + 2 {
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			made <- true
			<-all
		}()
	}
	for range processors + 2 {
		<-made
	}
	close(all)
	err := make(chan error)
	go func() {
		runtime.LockOSThread() // for good
		err <- unix.SchedSetAttr(0, &unix.SchedAttr{
			Size:     unix.SizeofSchedAttr,
			Policy:   unix.SCHED_FIFO,
			Priority: 1,
			Flags:    unix.SCHED_FLAG_RESET_ON_FORK,
		}, 0)
		for f := range u.work {
			f()
		}
	}()
	return u, <-err
}

// loop calls step whenever one of these can be read, for ever: on its thread, as long
// as it does not do so too much.
func (u *urgent) loop(step func(), fds ...int) {
	wait := func(timeout int) {
		p := make([]unix.PollFd, len(fds))
		for i, fd := range fds {
			p[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		}
		if _, err := unix.Poll(p, timeout); err != nil && err != unix.EINTR {
			fmt.Fprintf(os.Stderr, "%s: waiting: %v\n", Name, err)
			os.Exit(1)
		}
	}
	u.work <- func() {
		u.spent()
		u.debt = 0 // the thread's life before
		for {
			if u.spent() {
				elsewhere(func() {
					for end := time.Now().Add(rest); time.Now().Before(end); wait(int(rest.Milliseconds())) {
						step()
					}
				})
			} else {
				step()
			}
			wait(-1)
		}
	}
}

// spent says whether the thread has used up what it may. It must be called on it.
func (u *urgent) spent() bool {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) // cannot fail
	now, total := time.Now(), time.Duration(ts.Nano())
	u.debt = max(0, u.debt+total-u.total-now.Sub(u.at)/tenth)
	u.at, u.total = now, total
	return u.debt > credit
}

// elsewhere calls f on a thread like everybody's.
func elsewhere(f func()) {
	done := make(chan struct{})
	go func() {
		f()
		close(done)
	}()
	<-done
}

// pause is a sleep that needs no other thread to end.
func pause(d time.Duration) {
	ts := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.Nanosleep(&ts, nil) // or less
}
