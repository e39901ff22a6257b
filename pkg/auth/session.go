package auth

import "github.com/AgentaaU/AaaU/pkg/peer"

// Join says what sessions of others are to those who are no Admins.
type Join int

const (
	JoinAny      Join = iota // theirs to join, in their own role
	JoinReadOnly             // theirs to watch
	JoinOwner                // not there
)

// Session is what decisions about one are made from.
type Session struct {
	Owner   uint32
	Profile string
	Private bool            // its owner's, whatever Join says
	Shared  map[uint32]Role // by its owner, with other users
}

// On decides the role that a peer has on a session. None: for it there is no such
// session. A share gives nobody more than the rules do.
func (p Policy) On(who peer.Peer, s Session) Role {
	base, err := p.Role(who, s.Profile)
	if err != nil {
		return None
	}
	shared := min(base, s.Shared[who.UID])
	switch {
	case base.SeesAll(), who.UID == s.Owner:
		return base
	case s.Private, p.Join == JoinOwner:
		return shared
	case p.Join == JoinReadOnly:
		return max(min(base, ReadOnly), shared)
	default:
		return base
	}
}

// Action is what can be done with a session.
type Action int

const (
	See Action = iota
	Type
	Resize
	Kill
	Freeze
	Thaw
	Share   // with another user
	Dismiss // detach the clients of others
)

func (a Action) String() string {
	return [...]string{"see", "type", "resize", "kill", "freeze", "thaw", "share", "dismiss"}[a]
}

// May says whether somebody who has the role on a session may do something with it;
// own: it is their session. A ReadOnly or an Auditor never may more than see, so who asks to watch
// their own session gives the rest up.
func (r Role) May(a Action, own bool) bool {
	switch a {
	case See:
		return r >= ReadOnly
	case Type, Resize:
		return r >= Interactive
	case Kill, Freeze, Thaw, Share, Dismiss:
		return r >= Admin || own && r >= Interactive
	default:
		return false
	}
}
