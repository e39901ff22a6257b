// Package scope asks systemd for the units that AaaU makes at run time: the
// scope of a session, and the service of a bridge started by hand with -d.
//
// It speaks to PID 1's own socket, which needs root and no message bus. Every
// call makes its own connection and closes it: there is no state to lose when
// systemd re-executes itself.
package scope

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// timeout bounds a whole call: systemd answers in milliseconds or is in trouble.
const timeout = 20 * time.Second

// ErrExists is returned when there is a unit of that name already.
var ErrExists = errors.New("unit exists already")

// Name is the scope of a session: aaau-PROFILE-ID.scope. Prefix drop-ins,
// aaau-.scope.d and aaau-PROFILE-.scope.d, apply to it.
func Name(profile, id string) string { return "aaau-" + profile + "-" + id + ".scope" }

// Slice is where the sessions of a profile are, below aaau.slice.
func Slice(profile string) string { return "aaau-" + profile + ".slice" }

var nameForm = regexp.MustCompile(`^aaau-[a-z][a-z0-9_]{0,23}-[a-z0-9]{1,24}\.scope$`)

// IsName says whether a unit's name is that of a session's scope.
func IsName(unit string) bool { return nameForm.MatchString(unit) }

// Start puts process pid into a new scope and returns when it is there. What
// limits it gets is for drop-ins to say, which override anything given here.
func Start(ctx context.Context, profile, id, description string, pid int) error {
	return start(ctx, Name(profile, id), []sd.Property{
		sd.PropSlice(Slice(profile)),
		sd.PropDescription(description),
		sd.PropPids(uint32(pid)),
	})
}

// Service runs argv as a transient service of Type=notify and returns when it
// says that it is ready.
func Service(ctx context.Context, unit, description string, argv []string) error {
	return start(ctx, unit, []sd.Property{
		sd.PropDescription(description),
		sd.PropType("notify"),
		sd.PropExecStart(argv, false),
		{Name: "CollectMode", Value: dbus.MakeVariant("inactive-or-failed")},
		{Name: "LimitNOFILE", Value: dbus.MakeVariant(uint64(65536))},
		{Name: "LimitNOFILESoft", Value: dbus.MakeVariant(uint64(65536))},
	})
}

func start(ctx context.Context, unit string, props []sd.Property) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, err := sd.NewSystemdConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("connecting to systemd: %w", err)
	}
	defer c.Close()
	done := make(chan string, 1)
	if _, err := c.StartTransientUnitContext(ctx, unit, "fail", props, done); err != nil {
		var e dbus.Error
		if errors.As(err, &e) && e.Name == "org.freedesktop.systemd1.UnitExists" {
			err = ErrExists
		}
		return fmt.Errorf("starting %s: %w", unit, err)
	}
	select {
	case result := <-done:
		if result != "done" {
			return fmt.Errorf("starting %s: systemd says %q", unit, result)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("starting %s: %w", unit, ctx.Err())
	}
}

// Kill sends SIGKILL to every process in a scope, frozen or not. (StopUnit is
// refused on a frozen one from systemd 257 on.)
func Kill(ctx context.Context, unit string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, err := sd.NewSystemdConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("connecting to systemd: %w", err)
	}
	defer c.Close()
	if err := c.KillUnitWithTarget(ctx, unit, sd.All, int32(unix.SIGKILL)); err != nil {
		return fmt.Errorf("killing %s: %w", unit, err)
	}
	return nil
}
