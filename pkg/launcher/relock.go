package launcher

import (
	"fmt"
	"net"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/workspace"
)

// relock makes a mount's locks again in the mount namespace ns, which the bridge got
// with the session. With an agent's rights, in a namespace that is not ours, it can
// only take rights away: the bridge may always ask.
func (l *Launcher) relock(c *net.UnixConn, r privsep.Relock, ns int) error {
	cfg, err := l.Dirs.Load()
	if err != nil {
		return err
	}
	agents, err := l.Dirs.AgentUIDs(cfg)
	if err != nil {
		return err
	}
	if !slices.Contains(agents, r.UID) || r.GID == 0 {
		return privsep.Errorf("malformed", "uid %d is not an agent's", r.UID)
	}
	var theirs, ours unix.Stat_t
	if err := unix.Fstat(ns, &theirs); err != nil {
		return err
	}
	if err := unix.Stat("/proc/self/ns/mnt", &ours); err != nil {
		return err
	}
	if theirs.Dev != ours.Dev || theirs.Ino == ours.Ino { // of nsfs, but not ours
		return privsep.Errorf("malformed", "not the mount namespace of a session")
	}
	done := make(chan error)
	go func() {
		// For good: the thread has another mount namespace, and ends with us. It is
		// never the process's first, which main keeps for itself (see cmd).
		runtime.LockOSThread()
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_FS); err != nil {
				return fmt.Errorf("unshare: %w", err)
			}
			if err := unix.Setns(ns, unix.CLONE_NEWNS); err != nil {
				return fmt.Errorf("entering the session: %w", err)
			}
			if !isMount(string(r.Path)) {
				return privsep.Errorf("malformed", "%.200q is no mount there", string(r.Path))
			}
			return workspace.Relock(string(r.Path), r.Lock, r.UID, r.GID, r.Remake)
		}()
	}()
	if err := <-done; err != nil {
		return err
	}
	l.Log.Printf("locked again beneath %.200q", string(r.Path))
	return privsep.Send(c, privsep.Reply{})
}

func isMount(path string) bool {
	var about unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &about)
	return err == nil && about.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}
