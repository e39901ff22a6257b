// Package scope asks systemd for the units that AaaU makes at run time: the
// scope of a session, and the service of a bridge started by hand with -d.
//
// It speaks to PID 1's own socket, which needs root and no message bus. A
// connection serves one request: there is no state to lose when systemd
// re-executes itself.
package scope

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"
)

// Name is the scope of a session: aaau-PROFILE-ID.scope. Prefix drop-ins,
// aaau-.scope.d and aaau-PROFILE-.scope.d, apply to it.
func Name(profile, id string) string { return "aaau-" + profile + "-" + id + ".scope" }

// Slice is where the sessions of a profile are, below aaau.slice.
func Slice(profile string) string { return "aaau-" + profile + ".slice" }

// IsName says whether a unit's name is that of a session's scope.
func IsName(unit string) bool {
	_, _, ok := Parse(unit)
	return ok
}

// Parse is Name's reverse.
func Parse(unit string) (profile, id string, ok bool) {
	name, ok1 := strings.CutPrefix(unit, "aaau-")
	name, ok2 := strings.CutSuffix(name, ".scope")
	profile, id, ok3 := strings.Cut(name, "-")
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	return profile, id, ok1 && ok2 && ok3 && len(name) < 64 && profile != "" && id != "" &&
		strings.Trim(profile, letters+"_") == "" && strings.Trim(id, letters) == ""
}

// timeout bounds a connection's whole life: systemd answers in milliseconds or is
// in trouble.
const timeout = 20 * time.Second

// ErrExists is returned when there is a unit of that name already.
var ErrExists = errors.New("unit exists already")

// ErrNotOurs is returned for a unit that is no session's.
var ErrNotOurs = errors.New("not the scope of a session")

// Systemd is a connection to PID 1.
type Systemd struct {
	ctx    context.Context
	cancel func()
	bus    *dbus.Conn
	jobs   chan *dbus.Signal
}

// Connect makes a connection; the caller closes it.
func Connect(ctx context.Context) (*Systemd, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	bus, err := dbus.Dial("unix:path=/run/systemd/private", dbus.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, fmt.Errorf("connecting to systemd: %w", err)
	}
	s := &Systemd{ctx: ctx, cancel: cancel, bus: bus, jobs: make(chan *dbus.Signal, 64)}
	bus.Signal(s.jobs)
	// The number, as nobody need look up root's name.
	if err := bus.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))}); err != nil {
		s.Close()
		return nil, fmt.Errorf("connecting to systemd: %w", err)
	}
	return s, nil
}

// Close ends the connection.
func (s *Systemd) Close() {
	s.bus.Close()
	s.cancel()
}

// property is one of org.freedesktop.systemd1(5), "Properties".
type property struct {
	Name  string
	Value dbus.Variant
}

func prop(name string, value any) property { return property{name, dbus.MakeVariant(value)} }

// StartScope puts process pid into a new scope and returns when it is there. What
// limits it gets is for drop-ins to say, which override anything given here.
func (s *Systemd) StartScope(profile, id, description string, pid int) error {
	return s.start(Name(profile, id),
		prop("Slice", Slice(profile)),
		prop("Description", description),
		prop("PIDs", []uint32{uint32(pid)}),
	)
}

// StartService runs argv as a transient service of Type=notify and returns when it
// says that it is ready. SIGHUP reloads it.
func (s *Systemd) StartService(unit, description string, argv []string) error {
	type command struct {
		Path          string
		Argv          []string
		IgnoreFailure bool
	}
	return s.start(unit,
		prop("Description", description),
		prop("Type", "notify"),
		prop("ExecStart", []command{{argv[0], argv, false}}),
		prop("ExecReload", []command{{"/bin/kill", []string{"/bin/kill", "-HUP", "$MAINPID"}, false}}),
		prop("CollectMode", "inactive-or-failed"),
		prop("LimitNOFILE", uint64(65536)),
		prop("LimitNOFILESoft", uint64(65536)),
	)
}

func (s *Systemd) start(unit string, props ...property) error {
	type auxiliary struct { // units; there are none
		Name  string
		Props []property
	}
	var job dbus.ObjectPath
	err := s.call("StartTransientUnit", unit, "fail", props, []auxiliary{}).Store(&job)
	if err != nil {
		var e dbus.Error
		if errors.As(err, &e) && e.Name == "org.freedesktop.systemd1.UnitExists" {
			err = ErrExists
		}
		return fmt.Errorf("starting %s: %w", unit, err)
	}
	// JobRemoved(u id, o job, s unit, s result) comes unasked on this socket.
	for {
		select {
		case sig, ok := <-s.jobs:
			if !ok {
				return fmt.Errorf("starting %s: lost systemd", unit)
			}
			if sig.Name != "org.freedesktop.systemd1.Manager.JobRemoved" || len(sig.Body) != 4 || sig.Body[1] != job {
				continue
			}
			if sig.Body[3] != "done" {
				return fmt.Errorf("starting %s: systemd says %q", unit, sig.Body[3])
			}
			return nil
		case <-s.ctx.Done():
			return fmt.Errorf("starting %s: %w", unit, s.ctx.Err())
		}
	}
}

// Check makes sure that a unit is the scope of a session that the launcher has made, and
// not only called like one: it is in the profile's slice, and is described so.
func (s *Systemd) Check(unit string) error {
	profile, id, ok := Parse(unit)
	if !ok {
		return fmt.Errorf("%w: %.80q", ErrNotOurs, unit)
	}
	object := s.bus.Object("org.freedesktop.systemd1", unitPath(unit))
	for property, want := range map[string]string{
		"org.freedesktop.systemd1.Scope.Slice":      Slice(profile),
		"org.freedesktop.systemd1.Unit.Description": Description(id, ""),
	} {
		value, err := object.GetProperty(property)
		if err != nil {
			return fmt.Errorf("asking about %s: %w", unit, err)
		}
		if text, _ := value.Value().(string); !strings.HasPrefix(text, want) {
			return fmt.Errorf("%w: %s", ErrNotOurs, unit)
		}
	}
	return nil
}

// Description is that of a session's scope, for a person whom owner names.
func Description(id, owner string) string { return fmt.Sprintf("AaaU session %s of %s", id, owner) }

// unitPath is systemd's object for a unit that Parse takes: all but letters and digits is
// escaped (sd_bus_path_encode(3)).
func unitPath(unit string) dbus.ObjectPath {
	path := []byte("/org/freedesktop/systemd1/unit/")
	for _, b := range []byte(unit) {
		if 'a' <= b && b <= 'z' || '0' <= b && b <= '9' {
			path = append(path, b)
		} else {
			path = fmt.Appendf(path, "_%02x", b)
		}
	}
	return dbus.ObjectPath(path)
}

// Kill sends a signal to every process in a unit. One that is frozen ends by SIGKILL
// all the same (StopUnit is refused on a frozen scope from systemd 257 on), and gets
// any other when it thaws.
func (s *Systemd) Kill(unit string, signal syscall.Signal) error {
	if err := s.call("KillUnit", unit, "all", int32(signal)).Err; err != nil {
		return fmt.Errorf("sending signal %d to %s: %w", signal, unit, err)
	}
	return nil
}

// Frozen lists the scopes of sessions that are frozen.
func (s *Systemd) Frozen() (units []string, err error) {
	var all []struct {
		Name, Description, Load, Active, Sub, Follow string
		Path                                         dbus.ObjectPath
		Job                                          uint32
		JobType                                      string
		JobPath                                      dbus.ObjectPath
	}
	if err := s.call("ListUnitsByPatterns", []string{}, []string{"aaau-*.scope"}).Store(&all); err != nil {
		return nil, fmt.Errorf("listing sessions: %w", err)
	}
	for _, u := range all {
		if !IsName(u.Name) {
			continue
		}
		state, err := s.bus.Object("org.freedesktop.systemd1", u.Path).GetProperty("org.freedesktop.systemd1.Unit.FreezerState")
		if err != nil {
			continue // it has gone meanwhile
		}
		if text, _ := state.Value().(string); text == "frozen" || text == "freezing" {
			units = append(units, u.Name)
		}
	}
	return units, nil
}

// Freeze stops every process in a unit where it is (systemctl(1), freeze).
func (s *Systemd) Freeze(unit string) error {
	if err := s.call("FreezeUnit", unit).Err; err != nil {
		return fmt.Errorf("freezing %s: %w", unit, err)
	}
	return nil
}

// Thaw undoes Freeze.
func (s *Systemd) Thaw(unit string) error {
	if err := s.call("ThawUnit", unit).Err; err != nil {
		return fmt.Errorf("thawing %s: %w", unit, err)
	}
	return nil
}

func (s *Systemd) call(method string, args ...any) *dbus.Call {
	manager := s.bus.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	return manager.CallWithContext(s.ctx, "org.freedesktop.systemd1.Manager."+method, 0, args...)
}
