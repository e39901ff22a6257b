package launcher

import (
	"net"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/workspace"
)

// relock makes a mount's locks again in the mount namespace ns of a session. With an
// agent's rights, in a namespace that is not ours, it can only take rights away: the
// bridge may always ask.
func (l *Launcher) relock(c *net.UnixConn, r privsep.Relock, ns int) error {
	err := l.enter(ns, r.UID, r.GID, func() error {
		if !isMount(string(r.Path)) {
			return privsep.Errorf("malformed", "%.200q is no mount there", string(r.Path))
		}
		return workspace.Relock(string(r.Path), r.Lock, r.UID, r.GID, r.Remake)
	})
	if err != nil {
		return err
	}
	l.Log.Tell(journal.Control, journal.About{}, "locked again beneath %.200q", string(r.Path))
	return privsep.Send(c, privsep.Reply{})
}

func isMount(path string) bool {
	var about unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &about)
	return err == nil && about.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}
