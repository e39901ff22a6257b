package bridge

import (
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/session"
)

// Reload has decisions from now on made by another policy. Who is in a session stays
// there, in the role that they came with.
func (b *Bridge) Reload(p auth.Policy) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Policy = p
}

// SetMax changes how many sessions there may be. Those that are too many go on.
func (b *Bridge) SetMax(sessions, perUser int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.MaxSessions, b.MaxPerUser = sessions, perUser
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
		return auth.None, refusal("denied", "you are %v for profile %.40s by access.conf: you may watch its sessions, but not start any", role, profile)
	}
	return role, nil
}

// findFor returns a session by its id, and the role that somebody has on it; nil where
// for them there is none.
func (b *Bridge) findFor(who peer.Peer, id string) (*session.Session, auth.Role) {
	b.mu.Lock()
	s, p := b.sessions[id], b.Policy
	b.mu.Unlock()
	if s == nil {
		return nil, auth.None
	}
	role := p.On(who, auth.Session{Owner: s.Owner.UID, Profile: s.Profile, Private: s.Private})
	if role == auth.None { // who may not see it may not know
		return nil, auth.None
	}
	return s, role
}
