package auth

import (
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/peer"
)

func TestRole(t *testing.T) {
	p := Policy{Group: 990, GroupName: "aaau", AgentUIDs: []uint32{993, 1050}}
	for name, c := range map[string]struct {
		who  peer.Peer
		want Role
		says string
	}{
		"root":                          {peer.Peer{UID: 0}, Admin, ""},
		"member":                        {peer.Peer{UID: 1000, GID: 1000, Groups: []uint32{27, 990}}, Interactive, ""},
		"by newgrp":                     {peer.Peer{UID: 1000, GID: 990}, Interactive, ""},
		"system account in the group":   {peer.Peer{UID: 999, Groups: []uint32{990}}, Admin, ""},
		"system account not in it":      {peer.Peer{UID: 999, GID: 999}, None, "usermod -aG aaau"},
		"stranger":                      {peer.Peer{UID: 1001, GID: 1001, Groups: []uint32{27}}, None, "newgrp aaau"},
		"agent":                         {peer.Peer{UID: 993, GID: 993}, None, "agents may not"},
		"agent in the group":            {peer.Peer{UID: 993, GID: 990, Groups: []uint32{990}}, None, "agents may not"},
		"agent with a high uid, inside": {peer.Peer{UID: 1050, Groups: []uint32{990}}, None, "agents may not"},
	} {
		got, err := p.Role(c.who)
		if got != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	// An agent user that is root by mistake of configuration is an agent still.
	if r, err := (Policy{AgentUIDs: []uint32{0}}).Role(peer.Peer{}); r != None || err == nil {
		t.Errorf("root as an agent: %v", r)
	}
}
