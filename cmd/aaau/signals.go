package main

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// sigIgn is SIG_IGN.
const sigIgn = 1

// ignoredFromTheStart says whether somebody has started this program so that it ignores a
// signal: nohup(1), or a script that runs it in the background.
func ignoredFromTheStart(s os.Signal) bool {
	switch s {
	case syscall.SIGTERM:
		return termHandler == sigIgn
	case syscall.SIGQUIT:
		return quitHandler == sigIgn
	}
	return signal.Ignored(s)
}

// keepIgnored has the signals stay ignored that were so from the start. Go's runtime sees to
// SIGHUP and SIGINT itself.
func keepIgnored() {
	for _, s := range []os.Signal{syscall.SIGTERM, syscall.SIGQUIT} {
		if ignoredFromTheStart(s) {
			signal.Ignore(s)
		}
	}
}

// notify is signal.Notify, but for signals that were ignored from the start: these stay so.
func notify(c chan<- os.Signal, signals ...os.Signal) {
	signals = slices.DeleteFunc(slices.Clone(signals), ignoredFromTheStart)
	if len(signals) > 0 { // none would mean all that there are
		signal.Notify(c, signals...)
	}
}

// notifyContext is signal.NotifyContext, with notify.
func notifyContext(parent context.Context, signals ...os.Signal) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	came := make(chan os.Signal, 1)
	notify(came, signals...)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-came:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(came)
		cancel()
		<-done
	}
}

// tidying is how long a program may take to end when it was sent the signal that ends us.
const tidying = 10 * time.Second

// passing passes the signals that would end this client on to the program of a session that
// is its own and has pipes, as if the program itself stood here. The client ends when the
// program has.
type passing struct {
	ours   bool             // it is such a session
	signal syscall.Signal   // the first that was passed on
	late   <-chan time.Time // ready when the program has had its time
	under  sync.WaitGroup   // requests under way
}

// pass sends the program a signal, and says whether its end is to be waited for: not if it is
// the second, or the session is not to end with us.
func (p *passing) pass(s *client.Session, signal syscall.Signal) bool {
	if !p.ours || p.signal != 0 {
		return false
	}
	p.signal, p.late = signal, time.After(tidying)
	p.under.Go(func() { // it waits while there is no bridge
		_ = s.Do(wire.Request{Do: wire.DoKill, Signal: int(signal)}) // the session's end tells what came of it
	})
	return true
}

// wait returns when no request is under way. The session has been closed.
func (p *passing) wait() { p.under.Wait() }
