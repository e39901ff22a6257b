package bridge

import (
	"os/user"
	"slices"
	"strconv"

	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// account returns a user as they would connect after they have logged in, from
// /etc/passwd and /etc/group. Nothing is known of others.
func account(uid uint32) (who peer.Peer, known bool) {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return peer.Peer{}, false
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return peer.Peer{}, false
	}
	ids, err := u.GroupIds()
	if err != nil {
		return peer.Peer{}, false
	}
	who = peer.Peer{UID: uid, GID: uint32(gid)}
	for _, id := range ids {
		if g, err := strconv.ParseUint(id, 10, 32); err == nil {
			who.Groups = append(who.Groups, uint32(g))
		}
	}
	return who, true
}

// canUse refuses to share a session with somebody who could not connect, or not see
// sessions of its profile, whoever shares them: nothing would tell its owner. It says what
// lets them. Users who are not in /etc/passwd are not refused.
func (b *Bridge) canUse(uid uint32, s auth.Session) error {
	rules := b.policy()
	who, known := account(uid)
	if !known {
		return nil
	}
	_, err := rules.Role(who, s.Profile)
	switch {
	case err == nil:
		return nil
	case slices.Contains(rules.AgentUIDs, uid):
		return refusal("not-a-person", "%s is the user that agents run as: a session is not shared with agents", name(uid))
	case !who.In(rules.Group):
		return refusal("cannot-connect", "%s may not use AaaU, so a share would not let them in: sudo usermod -aG %s %s; then they log in again, or: newgrp %s",
			name(uid), rules.GroupName, name(uid), rules.GroupName)
	}
	return refusal("cannot-connect", "%s may not see sessions of profile %.40s, so a share would not let them in: access.conf denies it, and your administrator can change that",
		name(uid), s.Profile)
}

// others is what members of the access group may do with a session that is not theirs.
func others(rules auth.Policy, private bool) string {
	switch {
	case private, rules.Join == auth.JoinOwner:
		return wire.OthersNone
	case rules.Join == auth.JoinReadOnly:
		return wire.OthersWatch
	}
	return wire.OthersJoin
}
