package auth

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/peer"
)

const group, friends, staff, auditors = 990, 27, 50, 991

func policy(rules ...Rule) Policy {
	return Policy{Group: group, GroupName: "aaau", AgentUIDs: []uint32{993, 1050}, Rules: rules}
}

func user(uid uint32, role Role, profile string) Rule { return Rule{false, uid, role, profile} }
func members(gid uint32, role Role, profile string) Rule {
	return Rule{true, gid, role, profile}
}

// person is a member of the group, and of others.
func person(uid uint32, groups ...uint32) peer.Peer {
	return peer.Peer{UID: uid, GID: uid, Groups: append(groups, group)}
}

func TestRoleWithoutRules(t *testing.T) {
	for name, c := range map[string]struct {
		who  peer.Peer
		want Role
		says string
	}{
		"root":                        {peer.Peer{UID: 0}, Admin, ""},
		"member":                      {person(1000, friends), Interactive, ""},
		"by newgrp":                   {peer.Peer{UID: 1000, GID: group}, Interactive, ""},
		"system account in the group": {person(999), Admin, ""},
		"system account not in it":    {peer.Peer{UID: 999, GID: 999}, None, "usermod -aG aaau"},
		"stranger":                    {peer.Peer{UID: 1001, GID: 1001, Groups: []uint32{friends}}, None, "newgrp aaau"},
	} {
		for _, profile := range []string{"", "shell"} {
			got, err := policy().Role(c.who, profile)
			if got != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s, %q: %v, %v", name, profile, got, err)
			}
		}
		if err := policy().Admit(c.who); (err == nil) != (c.want > None) {
			t.Errorf("%s: admitted: %v", name, err)
		}
	}
}

// An agent is refused whatever else holds: its groups, what rules say of it, and
// that it is root by mistake of configuration.
func TestAgentInEveryDisguise(t *testing.T) {
	everything := policy(user(993, Admin, ""), user(1050, Admin, "shell"), user(0, Admin, ""), members(group, Admin, ""), members(993, Admin, "shell"))
	everything.AgentUIDs = append(everything.AgentUIDs, 0)
	everything.Join = JoinAny
	for name, who := range map[string]peer.Peer{
		"plain":                    {UID: 993, GID: 993},
		"with the group as its":    {UID: 993, GID: group},
		"in the group":             person(993),
		"with a person's uid":      person(1050, staff),
		"in root's group":          {UID: 993, GID: 0, Groups: []uint32{0, group}},
		"root":                     {UID: 0},
		"root, and in the group":   person(0),
		"owner of a session, even": person(993),
	} {
		for _, profile := range []string{"", "shell", "claude"} {
			r, err := everything.Role(who, profile)
			if r != None || err == nil || !strings.Contains(err.Error(), "agents may not") {
				t.Errorf("%s, %q: %v, %v", name, profile, r, err)
			}
		}
		var denied *Denied
		if err := everything.Admit(who); !errors.As(err, &denied) || denied.Peer.UID != who.UID {
			t.Errorf("%s: admitted: %v", name, err)
		}
		s := Session{Owner: who.UID, Profile: "shell", Shared: map[uint32]Role{who.UID: Admin}}
		if r := everything.On(who, s); r != None {
			t.Errorf("%s: %v on a session", name, r)
		}
	}
}

func TestRules(t *testing.T) {
	deny := func(uid uint32) Rule { return user(uid, None, "") }
	for name, c := range map[string]struct {
		who    peer.Peer
		rules  []Rule
		wants  map[string]Role // by profile; None: denied
		admits bool
	}{
		"nobody of whom they speak": {person(1000), []Rule{deny(1001), members(staff, None, "")}, map[string]Role{"": Interactive, "shell": Interactive}, true},
		"lowered":                   {person(1000), []Rule{user(1000, ReadOnly, "")}, map[string]Role{"": ReadOnly, "shell": ReadOnly}, true},
		"raised":                    {person(1000), []Rule{user(1000, Admin, "")}, map[string]Role{"": Admin, "shell": Admin}, true},
		"denied":                    {person(1000), []Rule{deny(1000)}, map[string]Role{"": None, "shell": None}, false},
		"one profile only": {person(1000), []Rule{user(1000, Admin, "claude")},
			map[string]Role{"": Interactive, "claude": Admin, "shell": Interactive}, true},
		"nothing but one profile": {person(1000), []Rule{deny(1000), user(1000, ReadOnly, "claude")},
			map[string]Role{"": None, "claude": ReadOnly, "shell": None}, true},
		"a profile given and taken": {person(1000), []Rule{deny(1000), user(1000, ReadOnly, "claude"), members(staff, None, "claude")},
			map[string]Role{"": None, "claude": ReadOnly}, true},
		"a profile given and taken from the group": {person(1000, staff), []Rule{deny(1000), user(1000, ReadOnly, "claude"), members(staff, None, "claude")},
			map[string]Role{"": None, "claude": None, "shell": None}, false},
		"the last of two decides, which lowers": {person(1000), []Rule{user(1000, Admin, ""), user(1000, ReadOnly, "")}, map[string]Role{"shell": ReadOnly}, true},
		"the last of two decides, which raises": {person(1000), []Rule{user(1000, ReadOnly, ""), user(1000, Admin, "")}, map[string]Role{"shell": Admin}, true},
		"a general one after one of a profile": {person(1000), []Rule{user(1000, Admin, "claude"), user(1000, ReadOnly, "")},
			map[string]Role{"claude": ReadOnly}, true},
		"a group's after the user's":    {person(1000, staff), []Rule{user(1000, Admin, ""), members(staff, ReadOnly, "")}, map[string]Role{"shell": ReadOnly}, true},
		"a user's after the group's":    {person(1000, staff), []Rule{members(staff, ReadOnly, ""), user(1000, Admin, "")}, map[string]Role{"shell": Admin}, true},
		"the access group itself":       {person(1000), []Rule{members(group, ReadOnly, "")}, map[string]Role{"shell": ReadOnly}, true},
		"all denied but one":            {person(1000), []Rule{members(group, None, ""), user(1000, Interactive, "")}, map[string]Role{"": Interactive, "shell": Interactive}, true},
		"a group by newgrp":             {peer.Peer{UID: 1000, GID: staff, Groups: []uint32{group}}, []Rule{members(staff, Admin, "")}, map[string]Role{"shell": Admin}, true},
		"a uid is no gid":               {person(1000), []Rule{members(1001, None, ""), user(staff, None, "")}, map[string]Role{"shell": Interactive}, true},
		"a system account lowered":      {person(999), []Rule{user(999, ReadOnly, "")}, map[string]Role{"shell": ReadOnly}, true},
		"root is not touched":           {peer.Peer{UID: 0}, []Rule{deny(0), members(0, None, ""), user(0, None, "claude")}, map[string]Role{"": Admin, "claude": Admin}, true},
		"a stranger is not let in":      {peer.Peer{UID: 1000, GID: staff}, []Rule{user(1000, Admin, ""), members(staff, Admin, "")}, map[string]Role{"": None, "shell": None}, false},
		"a system stranger is not, too": {peer.Peer{UID: 999}, []Rule{user(999, Admin, "")}, map[string]Role{"": None}, false},
	} {
		p := policy(c.rules...)
		for profile, want := range c.wants {
			got, err := p.Role(c.who, profile)
			var denied *Denied
			if got != want || (err != nil) != (want == None) || err != nil && !errors.As(err, &denied) {
				t.Errorf("%s, %q: %v, %v, want %v", name, profile, got, err, want)
			}
		}
		if err := p.Admit(c.who); (err == nil) != c.admits {
			t.Errorf("%s: admitted: %v", name, err)
		}
	}
}

// Who is in the auditors' group is an Auditor, unless a rule says otherwise or they are more
// by their uid. The group lets nobody in, and does not make an agent a person.
func TestAuditors(t *testing.T) {
	for name, c := range map[string]struct {
		who   peer.Peer
		rules []Rule
		want  Role
	}{
		"in both groups":            {person(1000, auditors), nil, Auditor},
		"by newgrp":                 {peer.Peer{UID: 1000, GID: auditors, Groups: []uint32{group}}, nil, Auditor},
		"not in the access group":   {peer.Peer{UID: 1000, GID: 1000, Groups: []uint32{auditors}}, nil, None},
		"a rule raises them":        {person(1000, auditors), []Rule{user(1000, Interactive, "")}, Interactive},
		"a rule lowers them":        {person(1000, auditors), []Rule{user(1000, ReadOnly, "")}, ReadOnly},
		"a rule denies them":        {person(1000, auditors), []Rule{members(group, None, "")}, None},
		"a rule makes somebody one": {person(1001), []Rule{user(1001, Auditor, "")}, Auditor},
		"an agent":                  {person(993, auditors), nil, None},
		"a system account":          {person(999, auditors), nil, Admin},
		"root":                      {peer.Peer{Groups: []uint32{auditors}}, nil, Admin},
	} {
		p := policy(c.rules...)
		p.Auditors = auditors
		if got, err := p.Role(c.who, "shell"); got != c.want || (err != nil) != (c.want == None) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	// A group that does not exist is 0: it has no members, and is not taken for root's group.
	if got, _ := policy().Role(person(1000, 0), "shell"); got != Interactive {
		t.Errorf("in root's group: %v", got)
	}
}

// What roles are called on tapes does not change: bridges of other versions read them.
func TestRolesAreKeptByNumber(t *testing.T) {
	text, err := json.Marshal([]Role{None, ReadOnly, Interactive, Admin, Auditor})
	if err != nil || string(text) != "[0,1,2,3,4]" {
		t.Errorf("%s, %v", text, err)
	}
	var roles map[uint32]Role
	if err := json.Unmarshal([]byte(`{"1000":2,"1001":1}`), &roles); err != nil || roles[1000] != Interactive || roles[1001] != ReadOnly {
		t.Errorf("%v, %v", roles, err)
	}
	for _, bad := range []string{"5", "-1", `"Admin"`, "1.5"} {
		if err := json.Unmarshal([]byte(bad), new(Role)); err == nil {
			t.Errorf("%s is a role", bad)
		}
	}
}

func TestDeniedSaysWhatAndWhere(t *testing.T) {
	p := policy(user(1000, None, ""))
	for profile, want := range map[string]string{"": "denied AaaU by access.conf", "claude": "denied profile claude by access.conf"} {
		if _, err := p.Role(person(1000), profile); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", profile, err)
		}
	}
	if err := p.Admit(person(1000)); err == nil || !strings.Contains(err.Error(), "denied AaaU") {
		t.Errorf("%v", err)
	}
}
