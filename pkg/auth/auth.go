// Package auth decides who may do what, and is the one place that does. It reads
// nothing and remembers nothing: the bridge asks it for every connection, and the
// launcher asks it again, from its own knowledge, before a session starts.
package auth

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/AgentaaU/AaaU/pkg/peer"
)

// Role is a level of permission. A higher one includes the lower.
type Role int

const (
	None        Role = iota
	ReadOnly         // see
	Auditor          // see everything, private sessions and what others typed included
	Interactive      // start sessions, see, type, resize; end and share one's own
	Admin            // everything, any session
)

func (r Role) String() string {
	return [...]string{"None", "ReadOnly", "Auditor", "Interactive", "Admin"}[r]
}

// SeesAll says whether somebody of the role sees private sessions of others, and what others
// typed.
func (r Role) SeesAll() bool { return r == Auditor || r == Admin }

// numbers are what roles are called where they are kept: on the tapes of sessions, for
// bridges of other versions. They never change.
var numbers = [...]int{None: 0, ReadOnly: 1, Interactive: 2, Admin: 3, Auditor: 4}

// MarshalJSON writes the role's number that never changes.
func (r Role) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, int64(numbers[r]), 10), nil
}

// UnmarshalJSON reads what MarshalJSON writes. A number that it does not know is an error.
func (r *Role) UnmarshalJSON(text []byte) error {
	n, err := strconv.Atoi(string(text))
	if err != nil {
		return err
	}
	role := slices.Index(numbers[:], n)
	if role < 0 {
		return fmt.Errorf("there is no role with the number %d", n)
	}
	*r = Role(role)
	return nil
}

// systemUIDs is the end of the uids of services and administrators' accounts.
// Members of the group below it are Admins, and no session ever belongs to them
// by accident: people start at 1000 (login.defs(5), UID_MIN).
const systemUIDs = 1000

// Policy is what decisions are made from.
type Policy struct {
	Group     uint32   // members may connect
	GroupName string   // for messages
	Auditors  uint32   // a group whose members are Auditors, unless a rule says otherwise; 0: none
	AgentUIDs []uint32 // never let in, whatever else holds
	Rules     []Rule   // of those that fit, the last decides
	Join      Join
	Unknown   []string // who is denied by a name that nobody here has: for the journal
	Broken    []error  // profiles that have a mistake in them, and start nothing: for the journal
}

// Rule gives a role to a user, or to those who have a group.
type Rule struct {
	Group   bool // ID is a group's
	ID      uint32
	Role    Role   // None: denied
	Profile string // whose sessions it is about; empty: every one's
}

func (r Rule) fits(who peer.Peer, profile string) bool {
	if r.Profile != "" && r.Profile != profile {
		return false
	}
	if r.Group {
		return who.In(r.ID)
	}
	return who.UID == r.ID
}

// Denied is a refusal, worded for the person who was refused.
type Denied struct {
	Peer   peer.Peer
	Reason string
}

func (d *Denied) Error() string { return d.Reason }

// Role decides the level of a peer with a profile's sessions, or refuses it with a
// *Denied. An empty profile is the general case: only rules about every one fit.
//
// An agent is refused before anything else is asked, and a stranger to the group
// before the rules are: they give nobody what the socket's mode does not. They do
// not touch root, who could change them anyway: so no administrator is locked out
// by a line of theirs.
func (p Policy) Role(who peer.Peer, profile string) (Role, error) {
	role := Interactive
	switch {
	case slices.Contains(p.AgentUIDs, who.UID):
		return None, &Denied{who, fmt.Sprintf("uid %d is an agent's: agents may not use AaaU", who.UID)}
	case who.UID == 0:
		return Admin, nil
	case !who.In(p.Group):
		return None, &Denied{who, fmt.Sprintf("uid %d is not in group %s: sudo usermod -aG %s USER, then newgrp %s",
			who.UID, p.GroupName, p.GroupName, p.GroupName)}
	case who.UID < systemUIDs:
		role = Admin
	case p.Auditors != 0 && who.In(p.Auditors):
		role = Auditor
	}
	for _, r := range p.Rules {
		if r.fits(who, profile) {
			role = r.Role
		}
	}
	if role == None {
		what := "AaaU"
		if profile != "" {
			what = fmt.Sprintf("profile %.40s", profile)
		}
		return None, &Denied{who, fmt.Sprintf("uid %d is denied %s by access.conf: ask your administrator", who.UID, what)}
	}
	return role, nil
}

// Admit says whether a peer may come in at all: whether there is a profile with
// which it has a role. If not, it is refused as in the general case.
func (p Policy) Admit(who peer.Peer) error {
	_, refused := p.Role(who, "")
	if refused == nil {
		return nil
	}
	for _, r := range p.Rules {
		if r.Role == None || !r.fits(who, r.Profile) {
			continue
		}
		if _, err := p.Role(who, r.Profile); err == nil {
			return nil
		}
	}
	return refused
}
