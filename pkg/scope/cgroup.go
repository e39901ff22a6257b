package scope

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// cgroup is the directory of a session's control group. Its files say what the kernel
// holds the session to, and what it has used, and anybody may read them
// (Documentation/admin-guide/cgroup-v2.rst of the kernel). A controller that is missing
// has none.
type cgroup string

func cgroupOf(profile, unit string) cgroup {
	return cgroup(filepath.Join("/sys/fs/cgroup/aaau.slice", Slice(profile), unit))
}

// Exists says whether there is a session's scope.
func Exists(profile, unit string) bool {
	_, err := os.Stat(string(cgroupOf(profile, unit)))
	return err == nil
}

// read is what a file says; nothing if there is none.
func (g cgroup) read(file string) string {
	text, err := os.ReadFile(filepath.Join(string(g), file))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// amount is a number that stands in a file, nil if none does.
func amount(text string) *int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil { // "max"
		return nil
	}
	return &n
}

// Limits are what the kernel holds a session to: bytes of memory and tasks, 0 where there
// is no limit, or no such controller.
func Limits(profile, unit string) (memory, tasks int64) {
	g := cgroupOf(profile, unit)
	if n := amount(g.read("memory.max")); n != nil {
		memory = *n
	}
	if n := amount(g.read("pids.max")); n != nil {
		tasks = *n
	}
	return memory, tasks
}

// Missing are the controllers that a session's control group has not, of memory and pids: no
// limit of these is in force there. Nothing is missing where there is no such group any more.
func Missing(profile, unit string) []string { return cgroupOf(profile, unit).missing() }

func (g cgroup) missing() (names []string) {
	if _, err := os.Stat(string(g)); err != nil {
		return nil
	}
	for _, c := range []struct{ name, file string }{{"memory", "memory.max"}, {"pids", "pids.max"}} {
		if _, err := os.Stat(filepath.Join(string(g), c.file)); err != nil {
			names = append(names, c.name)
		}
	}
	return names
}

// MissingHere are the controllers of memory and pids that this machine has not, whatever
// the session.
func MissingHere() []string {
	text, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
	return missingIn(string(text), err)
}

func missingIn(controllers string, err error) (names []string) {
	has := strings.Fields(controllers)
	for _, name := range []string{"memory", "pids"} {
		if err != nil || !slices.Contains(has, name) {
			names = append(names, name)
		}
	}
	return names
}

// Properties are all limits of a session, called as systemd.resource-control(5) does;
// sizes are in bytes. What has no limit is not among them.
func Properties(profile, unit string) map[string]string {
	return cgroupOf(profile, unit).properties()
}

func (g cgroup) properties() map[string]string {
	all := map[string]string{}
	for name, file := range map[string]string{
		"MemoryHigh": "memory.high", "MemoryMax": "memory.max", "MemorySwapMax": "memory.swap.max",
		"TasksMax": "pids.max", "CPUWeight": "cpu.weight",
	} {
		if n := amount(g.read(file)); n != nil {
			all[name] = strconv.FormatInt(*n, 10)
		}
	}
	quota, period, _ := strings.Cut(g.read("cpu.max"), " ")
	if q, p := amount(quota), amount(period); q != nil && p != nil && *p > 0 {
		all["CPUQuota"] = strconv.FormatFloat(100*float64(*q)/float64(*p), 'f', -1, 64) + "%"
	}
	return all
}

// Use is what a session has used; nil is what is not known.
type Use struct {
	MemoryPeak *int64 // the most that it had at a time, in bytes
	CPU        *int64 // microseconds, of all processors together
	Starved    Starved
}

// Starved is what the kernel did to a session for want of memory.
type Starved struct {
	Killed int64 // processes, in all
	Limit  int64 // bytes; 0: it was not the session's own limit that was reached
}

// memoryEvents is the file that counts that. The kernel tells of each change (inotify(7)).
const memoryEvents = "memory.events"

// MemoryEvents is the path of that file.
func MemoryEvents(profile, unit string) string {
	return filepath.Join(string(cgroupOf(profile, unit)), memoryEvents)
}

// StarvedOf reads what the kernel did to a session, nothing where it has no such controller.
func StarvedOf(profile, unit string) Starved { return cgroupOf(profile, unit).starved() }

func (g cgroup) starved() (s Starved) {
	atLimit := false
	for line := range strings.Lines(g.read(memoryEvents)) {
		key, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		n := amount(text)
		switch {
		case n == nil:
		case key == "oom_kill":
			s.Killed = *n
		case key == "oom":
			atLimit = *n > 0
		}
	}
	if limit := amount(g.read("memory.max")); atLimit && limit != nil {
		s.Limit = *limit
	}
	return s
}

// Used reads that, as long as there is the scope.
func Used(profile, unit string) Use { return cgroupOf(profile, unit).used() }

func (g cgroup) used() (u Use) {
	u.MemoryPeak = amount(g.read("memory.peak"))
	u.Starved = g.starved()
	for line := range strings.Lines(g.read("cpu.stat")) {
		if text, is := strings.CutPrefix(line, "usage_usec "); is {
			u.CPU = amount(strings.TrimSpace(text))
		}
	}
	return u
}
