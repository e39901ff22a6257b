package bridge

import (
	"maps"
	"slices"

	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Reload has decisions from now on made by another policy, also about those who are
// in sessions.
func (b *Bridge) Reload(p auth.Policy) {
	b.mu.Lock()
	b.Policy = p
	all := slices.Collect(maps.Values(b.sessions))
	b.mu.Unlock()
	for _, l := range all {
		b.reviewAll(l)
	}
}

// SetMax changes how many sessions there may be, and how many bytes their tapes may
// have. Those that are too many go on.
func (b *Bridge) SetMax(sessions, perUser int, tapes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.MaxSessions, b.MaxPerUser, b.MaxTapes = sessions, perUser, tapes
}

// policy is the one that holds now. One decision is made from one of them.
func (b *Bridge) policy() auth.Policy {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Policy
}

// mayStart is the role that somebody has on a session of a profile that they start,
// if they may. The launcher decides it again.
func (b *Bridge) mayStart(who peer.Peer, profile string) (auth.Role, error) {
	role, err := b.policy().Role(who, profile)
	if err != nil {
		return auth.None, err
	}
	if role < auth.Interactive {
		return auth.None, refusal("denied", "you are %v for profile %.40s by access.conf or your groups: you may watch its sessions, but not start any", role, profile)
	}
	return role, nil
}

// role is what a client may in the session, at most what it came in as.
func (l *live) role(c *client) auth.Role {
	return min(c.b.policy().On(c.who, l.rights()), c.most)
}

// reviewAll has everybody in a session be what they may be now.
func (b *Bridge) reviewAll(l *live) {
	l.mu.Lock()
	people := slices.Clone(l.people)
	l.mu.Unlock()
	for _, c := range people {
		b.review(c)
	}
}

// review has one be what they may be now. One at a time: what was looked up last is
// what stays.
func (b *Bridge) review(c *client) {
	c.in.reviewing.Lock()
	defer c.in.reviewing.Unlock()
	role := c.in.role(c)
	switch {
	case c.allowed() == auth.None: // it has been dismissed
	case role < auth.ReadOnly:
		c.dismissed(wire.ErrorNote{Code: "denied", Message: "session " + c.in.ID + " is not yours to be in any more"})
	default:
		c.role.Store(int32(role))
		c.in.mu.Lock()
		c.in.arrange()
		c.in.mu.Unlock()
	}
}
