package launcher

import (
	"fmt"
	"net"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/workspace"
)

// relock makes a mount's locks again in the mount namespace ns, which the bridge got
// with the session. It only ever takes rights from what is in there, and the bridge
// can have no other than a session's or its own: it may always ask.
func (l *Launcher) relock(c *net.UnixConn, r privsep.Relock, ns int) error {
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
		// For good: the thread has another mount namespace, and ends with us.
		runtime.LockOSThread()
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_FS); err != nil {
				return fmt.Errorf("unshare: %w", err)
			}
			if err := unix.Setns(ns, unix.CLONE_NEWNS); err != nil {
				return fmt.Errorf("entering the session: %w", err)
			}
			return workspace.Lock(string(r.Path), r.Lock, r.UID, r.GID)
		}()
	}()
	if err := <-done; err != nil {
		return err
	}
	l.Log.Printf("locked again beneath %.200q", string(r.Path))
	return privsep.Send(c, privsep.Reply{})
}
