package bridge

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// A session may be given a time, after which it is ended, kindly first. The deadline is
// noted with the session, and so the next bridge's to keep. It is one of the clock that
// goes on while the machine sleeps, and that nobody sets.

const (
	// warning is how long before a deadline people are told of it, at most: a tenth of the
	// session's time.
	warning = time.Minute
	// hint is how long each signal is given to end a session.
	hint = time.Second
)

// checkTime holds a session's time to what can be meant.
func checkTime(seconds int64) error {
	if seconds < 0 || seconds > wire.MaxTime {
		return fmt.Errorf("a session of %d seconds: from 1 to %d, or 0 for as long as it likes", seconds, wire.MaxTime)
	}
	return nil
}

// setTime gives a new session the time that was asked for.
func setTime(s *session.Info, req wire.OpenRequest) {
	if req.Time > 0 {
		s.Time = time.Duration(req.Time) * time.Second
		s.Deadline = sinceBoot() + s.Time
	}
}

func sinceBoot() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // of a clock that is there it does not fail
	return time.Duration(ts.Nano())
}

// deadline is a session's, in seconds since 1970 as clocks are set now; 0: it has none.
func deadline(s session.Info) float64 {
	if s.Time == 0 {
		return 0
	}
	return seconds(time.Now().Add(s.Deadline - sinceBoot()))
}

// keepDeadline ends the session when its time is over, unless it has ended before.
func (b *Bridge) keepDeadline(l *live) {
	if l.begun != nil {
		<-l.begun
	}
	if l.allBack != nil { // those who were here in another bridge's time are to hear it
		select {
		case <-l.allBack:
		case <-l.Gone():
		case <-time.After(comeBack):
		}
	}
	if !l.reaches(l.Deadline - min(warning, l.Time/10)) {
		return
	}
	if left := (l.Deadline - sinceBoot()).Round(time.Second); left > 0 {
		b.publish(l.event(wire.EventDeadline, fmt.Sprintf("the session's time is over in %v", left)), l)
	}
	if !l.reaches(l.Deadline) || b.stopping.Load() {
		return
	}
	b.tellDeadline(l)
	b.endGently(l)
}

// endGently ends a session so that its program can tidy up: by SIGTERM, by SIGHUP if it still
// runs (an interactive shell heeds only that), and some seconds later by force. A frozen
// session is ended by force at once. It returns when the session has ended.
func (b *Bridge) endGently(l *live) {
	ctx, cancel := context.WithTimeout(context.Background(), launchTimeout)
	defer cancel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		if len(l.Frozen()) > 0 {
			break
		}
		if err := b.kill(ctx, l.Session, sig); err != nil && !l.IsGone() {
			l.trouble("%v", err)
		}
		if !l.reaches(sinceBoot() + hint) {
			return
		}
	}
	b.insist(l.Session)
}

// reaches waits until it is so long since boot, and says whether the session is still
// there then.
func (l *live) reaches(at time.Duration) bool {
	rings, stop, err := alarm(at)
	if err != nil { // a timer of Go's stands still while the machine sleeps
		l.trouble("its deadline is late by as long as the machine sleeps: %v", err)
		late := time.NewTimer(at - sinceBoot())
		defer late.Stop()
		select {
		case <-l.Gone():
		case <-late.C:
		}
		return !l.IsGone()
	}
	defer stop()
	select {
	case <-l.Gone():
	case <-rings:
	}
	return !l.IsGone()
}

// alarm closes rings at a time since boot, or when it is stopped.
func alarm(at time.Duration) (rings <-chan struct{}, stop func(), err error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, nil, fmt.Errorf("timerfd_create: %w", err)
	}
	timer := os.NewFile(uintptr(fd), "timer")
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(1, int64(at)))} // 0 would be never
	if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME, &spec, nil); err != nil {
		timer.Close()
		return nil, nil, fmt.Errorf("timerfd_settime: %w", err)
	}
	rang := make(chan struct{})
	go func() {
		defer close(rang)
		_, _ = timer.Read(make([]byte, 8)) // it fails only when it is closed
	}()
	return rang, func() {
		timer.Close()
		<-rang
	}, nil
}

// tellDeadline tells that the session is ended as its time is over.
func (b *Bridge) tellDeadline(l *live) {
	why := fmt.Sprintf("its time of %v is over", l.Time)
	b.Log.Tell(journal.Deadline, l.about(nil), "session %s: %s: it is ended", l.ID, why)
	b.control(l, nil, audit.Control{Action: "deadline", Reason: why})
	b.publish(l.event(wire.EventDeadline, "the session is ended: "+why), l)
}
