package auth

import (
	"testing"

	"github.com/AgentaaU/AaaU/pkg/auth/authtest"
	"github.com/AgentaaU/AaaU/pkg/peer"
)

func TestOn(t *testing.T) {
	const owner, other, guest, watcher, denied, boss, auditor = 1000, 1001, 1002, 1003, 1004, 1005, 1006
	p := policy(user(watcher, ReadOnly, ""), user(denied, None, ""), user(boss, Admin, "claude"))
	p.Auditors = auditors
	shared := map[uint32]Role{guest: Interactive, watcher: Interactive, denied: Admin}
	type who struct {
		name string
		peer.Peer
	}
	people := []who{
		{"owner", person(owner)}, {"other", person(other)}, {"guest", person(guest)}, {"watcher", person(watcher)},
		{"denied", person(denied)}, {"boss", person(boss)}, {"root", peer.Peer{}}, {"stranger", peer.Peer{UID: other, GID: other}},
		{"auditor", person(auditor, auditors)},
	}
	const no, ro, au, in, ad = None, ReadOnly, Auditor, Interactive, Admin
	for name, c := range map[string]struct {
		join  Join
		s     Session
		roles []Role // of people, in that order
	}{
		//                                                                                      owner other guest watcher denied boss root stranger auditor
		"any":                            {JoinAny, Session{Profile: "claude"}, []Role{in, in, in, ro, no, ad, ad, no, au}},
		"any, another profile":           {JoinAny, Session{Profile: "shell"}, []Role{in, in, in, ro, no, in, ad, no, au}},
		"any, private":                   {JoinAny, Session{Profile: "shell", Private: true}, []Role{in, no, no, no, no, no, ad, no, au}},
		"any, private and shared":        {JoinAny, Session{Profile: "shell", Private: true, Shared: shared}, []Role{in, no, in, ro, no, no, ad, no, au}},
		"any, private, boss":             {JoinAny, Session{Profile: "claude", Private: true}, []Role{in, no, no, no, no, ad, ad, no, au}},
		"any, shared lowers nobody":      {JoinAny, Session{Profile: "shell", Shared: map[uint32]Role{guest: ReadOnly}}, []Role{in, in, in, ro, no, in, ad, no, au}},
		"read-only":                      {JoinReadOnly, Session{Profile: "claude"}, []Role{in, ro, ro, ro, no, ad, ad, no, au}},
		"read-only, shared":              {JoinReadOnly, Session{Profile: "shell", Shared: shared}, []Role{in, ro, in, ro, no, ro, ad, no, au}},
		"read-only, private":             {JoinReadOnly, Session{Profile: "shell", Private: true}, []Role{in, no, no, no, no, no, ad, no, au}},
		"read-only, private and shared":  {JoinReadOnly, Session{Profile: "shell", Private: true, Shared: shared}, []Role{in, no, in, ro, no, no, ad, no, au}},
		"owner":                          {JoinOwner, Session{Profile: "claude"}, []Role{in, no, no, no, no, ad, ad, no, au}},
		"owner, shared":                  {JoinOwner, Session{Profile: "shell", Shared: shared}, []Role{in, no, in, ro, no, no, ad, no, au}},
		"owner, shared with Admin's all": {JoinOwner, Session{Profile: "shell", Shared: map[uint32]Role{guest: Admin}}, []Role{in, no, in, no, no, no, ad, no, au}},
	} {
		p, s := p, c.s
		p.Join, s.Owner = c.join, owner
		for i, w := range people {
			if got := p.On(w.Peer, s); got != c.roles[i] {
				t.Errorf("%s: %s has %v, want %v", name, w.name, got, c.roles[i])
			}
		}
	}
	// An Auditor has no session of their own to steer, nor is one shared with them to type into.
	if got := p.On(person(auditor, auditors), Session{Owner: auditor, Shared: map[uint32]Role{auditor: Interactive}}); got != Auditor {
		t.Errorf("an auditor has %v on their own", got)
	}
	// Who was lowered or denied since is so on a session of their own, too.
	for uid, want := range map[uint32]Role{watcher: ReadOnly, denied: None} {
		if got := p.On(person(uid), Session{Owner: uid, Profile: "shell"}); got != want {
			t.Errorf("uid %d: %v on their own", uid, got)
		}
	}
}

// The whole table: who may do what with a session of their own, and of another's.
func TestMay(t *testing.T) {
	roles := map[string]Role{}
	for r := None; r <= Admin; r++ {
		roles[r.String()] = r
	}
	if got := authtest.Rows(); len(got) != 2*len(roles) {
		t.Errorf("%d rows for %d roles", len(got), len(roles))
	}
	for _, row := range authtest.Rows() {
		role, ok := roles[row.Role]
		if !ok {
			t.Errorf("there is no role %s", row.Role)
		}
		for i, name := range authtest.Actions() {
			a := Action(i)
			if a.String() != name {
				t.Errorf("action %d is %v, not %s", i, a, name)
			}
			if got := role.May(a, row.Own); got != row.May[name] {
				t.Errorf("%v, own %t, %v: %t", role, row.Own, a, got)
			}
		}
		if role.May(Action(len(authtest.Actions())), row.Own) {
			t.Errorf("%v may do what is not in the table", role)
		}
	}
}
