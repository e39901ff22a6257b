package config

import (
	"fmt"
	"os/user"
	"slices"
	"strconv"

	"github.com/AgentaaU/AaaU/pkg/auth"
)

// Policy gathers what decisions about people are made from, for the users and
// groups that the configuration names.
func (d Dirs) Policy(cfg Config) (auth.Policy, error) {
	g, err := user.LookupGroup(cfg.Group)
	if err != nil {
		return auth.Policy{}, fmt.Errorf("group %q does not exist: run aaau-server init", cfg.Group)
	}
	gid, err := strconv.ParseUint(g.Gid, 10, 32)
	if err != nil {
		return auth.Policy{}, err
	}
	p := auth.Policy{Group: uint32(gid), GroupName: cfg.Group}
	names := slices.Clone(cfg.AgentUsers)
	profiles, err := d.Profiles()
	if err != nil {
		return auth.Policy{}, err
	}
	for _, n := range profiles {
		profile, err := d.Profile(n)
		if err != nil {
			return auth.Policy{}, err
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
			return auth.Policy{}, err
		}
		p.AgentUIDs = append(p.AgentUIDs, uint32(uid))
	}
	return p, nil
}
