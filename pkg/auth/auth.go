// Package auth decides who may do what. It reads nothing and remembers nothing:
// the bridge asks it for every connection, and the launcher asks it again, from
// its own knowledge, before a session starts.
package auth

import (
	"fmt"

	"github.com/AgentaaU/AaaU/pkg/peer"
)

// Role is a level of permission. A higher one includes the lower.
type Role int

const (
	None        Role = iota
	ReadOnly         // see
	Interactive      // see, type, resize
	Admin            // everything, any session
)

func (r Role) String() string {
	return [...]string{"None", "ReadOnly", "Interactive", "Admin"}[r]
}

// systemUIDs is the end of the uids of services and administrators' accounts.
// Members of the group below it are Admins, and no session ever belongs to them
// by accident: people start at 1000 (login.defs(5), UID_MIN).
const systemUIDs = 1000

// Policy is what decisions are made from.
type Policy struct {
	Group     uint32   // members may connect
	GroupName string   // for messages
	AgentUIDs []uint32 // never let in, whatever else holds
}

// Denied is a refusal, worded for the person who was refused.
type Denied struct {
	Peer   peer.Peer
	Reason string
}

func (d *Denied) Error() string { return d.Reason }

// Role decides the level of a peer, or refuses it with a *Denied.
func (p Policy) Role(who peer.Peer) (Role, error) {
	for _, uid := range p.AgentUIDs {
		if who.UID == uid {
			return None, &Denied{who, fmt.Sprintf("uid %d is an agent's: agents may not use AaaU", who.UID)}
		}
	}
	switch {
	case who.UID == 0:
		return Admin, nil
	case !who.In(p.Group):
		return None, &Denied{who, fmt.Sprintf("uid %d is not in group %s: sudo usermod -aG %s USER, then newgrp %s",
			who.UID, p.GroupName, p.GroupName, p.GroupName)}
	case who.UID < systemUIDs:
		return Admin, nil
	default:
		return Interactive, nil
	}
}

// MayJoin says whether somebody of this role may see, watch or join a session. A
// private one is its owner's, and Admins'.
func MayJoin(who peer.Peer, role Role, owner uint32, private bool) bool {
	return role >= Admin || role >= ReadOnly && (!private || who.UID == owner)
}
