package launcher

import (
	"os"
	"path/filepath"
	"strings"
)

// ownProcs is the file by which a process is moved into the launcher's own cgroup
// (cgroups(7)), or empty where that is not to be found.
func ownProcs() string {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return filepath.Join("/sys/fs/cgroup", path, "cgroup.procs")
		}
	}
	return ""
}

// startGracePeriod moves the launcher to where it is already. Moving any process
// makes the kernel wait for an RCU grace period, 10 ms and more, unless one
// was waited for just before; so when systemd moves the stage, a few milliseconds
// from now, a part of the wait is over. If it fails, the start takes longer.
func (l *Launcher) startGracePeriod() {
	if l.procs != "" {
		_ = os.WriteFile(l.procs, []byte("0"), 0)
	}
}
