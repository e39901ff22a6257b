package launcher

import (
	"net"
	"slices"

	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/workspace"
)

// relock makes the locks of a person's directory again, in the mount namespace ns of a
// session. The bridge may always ask: only such directories are idmapped mounts, what is
// made there is made as the agent, and nothing that is mounted gets uncovered.
func (l *Launcher) relock(c *net.UnixConn, r privsep.Relock, ns int) error {
	err := l.enter(ns, r.UID, r.GID, func(mounts []workspace.MountPoint) error {
		is := func(m workspace.MountPoint) bool { return m.Path == string(r.Path) && m.Idmapped() }
		if !slices.ContainsFunc(mounts, is) {
			return privsep.Errorf("malformed", "%.200q is no person's directory there", string(r.Path))
		}
		return workspace.Relock(string(r.Path), r.Lock, mounts, r.UID, r.GID, r.Remake)
	})
	if err != nil {
		return err
	}
	l.Log.Tell(journal.Control, journal.About{}, "locked again beneath %.200q", string(r.Path))
	return privsep.Send(c, privsep.Reply{})
}
