package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/bridge"
	"github.com/AgentaaU/AaaU/pkg/journal"
)

// A service that cannot start, for a file is wrong, fails once: so that who has started it
// hears of it at once (systemctl restart). systemd starts it again, and sessions stay
// stored. It then stays, and tells people who connect why, until the file is right:
//
//	            wrong                    wrong, and the mark is there
//	started ─────────▶ mark, exit ─▶ started ─────────▶ refuses ──── right ────▶ serves
//	   └─────── right ─────────────────────────────────────────────────────────────▲

// mark is stored by one that has failed. No session has such an id.
const mark = "failed"

// lookAgain is how often it is looked whether the file is right.
const lookAgain = time.Second

// holdOn has a service that begin fails for go on so. An error means that it is to end;
// nil that begin did not fail again, or ctx has ended.
func holdOn(ctx context.Context, store bridge.Store, marked bool, log *journal.Log, listeners []*net.UnixListener, begin func() error) error {
	err := begin()
	if !marked {
		if err == nil {
			return nil
		}
		if err2 := store.Put(mark, []byte(mark)); err2 != nil {
			return fmt.Errorf("%w (and it cannot be told to who connects: %w)", err, err2)
		}
		return err
	}
	told := ""
	for ; err != nil && ctx.Err() == nil; err = begin() {
		if why := err.Error(); why != told {
			log.Tell(journal.NotStarted, journal.About{}, "not started, and whoever connects is told so; sessions are kept: %s", why)
			if _, err := daemon.SdNotify(false, daemon.SdNotifyReady+"\nSTATUS=Not started: "+journal.Shown(why, 200)); err != nil {
				return fmt.Errorf("telling systemd: %w", err)
			}
			told = why
		}
		once, cancel := context.WithTimeout(ctx, lookAgain)
		bridge.Refuse(once, err, listeners...)
		cancel()
	}
	if err := store.Remove(mark); err != nil { // also if it is told to end: what is started then may fail
		return err
	}
	if told != "" {
		_, _ = daemon.SdNotify(false, "STATUS=") // it is for people only
	}
	return nil
}

// unmarked is what was stored but for the mark, and whether there is one.
func unmarked(stored []bridge.Parcel) (rest []bridge.Parcel, marked bool) {
	return slices.DeleteFunc(stored, func(p bridge.Parcel) bool {
		is := p.Name == mark
		if is {
			marked = true
			unix.Close(p.FD)
		}
		return is
	}), marked
}
