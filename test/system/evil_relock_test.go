package system

import (
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/privsep"
)

func groupID(t *testing.T, name string) uint32 {
	t.Helper()
	g, err := user.LookupGroup(name)
	if err != nil {
		t.Fatal(err)
	}
	id, err := strconv.ParseUint(g.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(id)
}

// privateService is a process of a service that has a mount namespace of its own, as the
// bridge has, until the test's end.
func privateService(t *testing.T) (pid string) {
	t.Helper()
	const unit = "private-of-a-test.service"
	if out, err := systemdRun("--unit="+unit, "-p", "PrivateTmp=yes", "sleep", "1000"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { systemctl(t, "stop", unit) })
	return systemctl(t, "show", "-P", "MainPID", unit)
}

// A bridge gone bad has locks made where they are not: as a group of its choice, outside of
// people's directories, over what hides something.
func TestEvilRelock(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	dir := tree(t, operator, "evil")
	sh(t, operator, dir, "git init -q; mkdir -p sub/hidden")
	s := openShell(t, operator, "-C", dir)
	stage := find(t, s.id, "aaau-stage", func(process) bool { return true })
	ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", stage.pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ns)
	private, err := unix.Open(fmt.Sprintf("/proc/%s/ns/mnt", privateService(t)), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(private)
	agent := as(t, "agent")
	honest := privsep.Relock{Mount: privsep.Mount{Path: argv.String(dir), Lock: argv.Argv{".git/config"}}, UID: agent.uid, GID: agent.gid}
	at := func(path string, lock ...string) privsep.Relock {
		r := honest
		r.Path, r.Lock, r.Remake = argv.String(path), lock, true
		return r
	}
	grouped := honest
	grouped.GID = groupID(t, "shadow")
	for name, c := range map[string]struct {
		relock privsep.Relock
		ns     int
	}{
		"another group":              {grouped, ns},
		"all of the machine":         {at("/", "srv/hooks"), ns},
		"the session's own /tmp":     {at("/tmp", "hooks"), ns},
		"a directory of theirs":      {at(dir+"/sub", "hidden"), ns},
		"people's homes":             {at("/home", "x/hooks"), ns},
		"a service's own namespace":  {honest, private},
		"all of a service's machine": {at("/", "srv/hooks"), private},
	} {
		if reply := asked(t, privsep.Request{Relock: &c.relock}, c.ns); reply.Error == nil {
			t.Errorf("%s: granted", name)
		}
	}
	if reply := asked(t, privsep.Request{Relock: &honest}, ns); reply.Error != nil {
		t.Errorf("an honest one: %v", reply.Error)
	}
	s.close()
}

// A unit that is only called like a session's scope is not the launcher's to stop.
func TestEvilScope(t *testing.T) {
	begin(t)
	const unit = "aaau-shell-notours00.scope"
	if out, err := systemdRun("--scope", "--unit="+unit, "sh", "-c", "sleep 1000 >/dev/null 2>&1 & exit 0"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	defer systemctl(t, "stop", unit)
	for name, request := range map[string]privsep.Request{
		"kill": {Kill: &privsep.Kill{Name: unit}}, "freeze": {Freeze: &privsep.Scope{Name: unit}}, "thaw": {Thaw: &privsep.Scope{Name: unit}},
	} {
		if reply := asked(t, request); reply.Error == nil || !strings.Contains(reply.Error.Message, "not the scope of a session") {
			t.Errorf("%s: %+v", name, reply)
		}
	}
	if state := systemctl(t, "is-active", unit); state != "active" {
		t.Errorf("it is %s", state)
	}
}
