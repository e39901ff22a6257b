package bridge

import (
	"slices"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/scope"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// stranded is a session that goes on, and that this bridge cannot take back. What it is
// called by is all that is known in any version; the rest is what its record says of its
// start, by which it is also decided who sees that it is there.
type stranded struct {
	info  wire.SessionInfo
	scope string
	right auth.Session
}

func (b *Bridge) strand(id, scope string, why error) stranded {
	start, _, err := audit.Start(b.Record.Dir(), id)
	if err != nil { // then it is the Admins' alone
		b.Log.Printf("session %.20s: whose it is cannot be told: %v", id, err)
	}
	s := stranded{scope: scope, right: rights{}.of(id, start)}
	s.info = wire.SessionInfo{ID: id, State: wire.StateStranded, Why: shown(why.Error(), maxMessage)}
	if start != nil {
		s.info.Profile, s.info.Owner, s.info.OwnerName = start.Profile, start.UID, name(start.UID)
		s.info.Name, s.info.User, s.info.Private, s.info.Pipes = start.Name, start.AgentUser, start.Private, start.Pipes
		s.info.Program, s.info.Workspaces = program([]string{string(start.Program)}), bounded(start.Workspaces)
	}
	return s
}

// strandedOf are those that somebody may know of and that have not ended, as far as is seen.
func (b *Bridge) strandedOf(who peer.Peer) (all []stranded) {
	b.mu.Lock()
	rules := b.Policy
	for _, s := range b.stranded {
		if role := rules.On(who, s.right); role >= auth.ReadOnly {
			s.info.Role = role.String()
			all = append(all, s)
		}
	}
	b.mu.Unlock()
	return slices.DeleteFunc(all, func(s stranded) bool { return s.info.Profile != "" && !scope.Exists(s.info.Profile, s.scope) })
}
