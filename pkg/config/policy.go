package config

import (
	"fmt"
	"os/user"
	"slices"
	"strconv"

	"github.com/AgentaaU/AaaU/pkg/auth"
)

// Policy gathers what decisions about people are made from: the users and groups
// that the configuration names, and access.conf.
func (d Dirs) Policy(cfg Config) (auth.Policy, error) {
	g, err := user.LookupGroup(cfg.Group)
	if err != nil {
		return auth.Policy{}, fmt.Errorf("group %q does not exist: run aaau-server init", cfg.Group)
	}
	gid, err := strconv.ParseUint(g.Gid, 10, 32)
	if err != nil {
		return auth.Policy{}, err
	}
	agents, err := d.AgentUIDs(cfg)
	if err != nil {
		return auth.Policy{}, err
	}
	a, err := d.access()
	if err != nil {
		return auth.Policy{}, err
	}
	return auth.Policy{
		Group: uint32(gid), GroupName: cfg.Group, AgentUIDs: agents,
		Rules: a.rules, Join: a.join, Unknown: a.unknown,
	}, nil
}

// AgentUIDs are the uids of all agent users, of aaau.conf and of profiles.
func (d Dirs) AgentUIDs(cfg Config) (uids []uint32, err error) {
	names := slices.Clone(cfg.AgentUsers)
	profiles, err := d.Profiles()
	if err != nil {
		return nil, err
	}
	for _, n := range profiles {
		profile, err := d.Profile(n)
		if err != nil {
			return nil, err
		}
		if profile.User != "" {
			names = append(names, profile.User)
		}
	}
	for _, n := range names {
		u, err := user.Lookup(n)
		if err != nil {
			continue // nobody has its uid; starting as it is refused later, by name
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		uids = append(uids, uint32(uid))
	}
	return uids, nil
}
