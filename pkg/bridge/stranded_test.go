package bridge

import (
	"errors"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Whose a session is that cannot be taken back its record says, and without it nobody but
// an Admin sees it.
func TestWhoSeesStranded(t *testing.T) {
	b := backs(t)
	b.stranded = map[string]stranded{}
	for _, id := range []string{"oldopen", "oldshut", "nobodys", "unheard"} {
		s := b.strand(id, "aaau-claude-"+id+".scope", errors.New("it is new"))
		if known := id[:3] == "old"; known != (s.info.Profile == "claude" && s.info.Owner == 1000 && s.info.Program == "claude") || s.info.Why != "it is new" {
			t.Errorf("%+v", s.info)
		}
		s.info.Profile = "" // there is no such scope here
		b.stranded[id] = s
	}
	for uid, want := range map[uint32][]string{
		1000: {"oldopen", "oldshut"}, 1004: {"oldopen"}, 1002: nil, 1008: nil, 1009: {"nobodys", "oldopen", "oldshut", "unheard"},
	} {
		got := map[string]bool{}
		for _, s := range b.strandedOf(peer.Peer{UID: uid, GID: 990}) {
			got[s.info.ID] = true
		}
		if !slices.Equal(slices.Sorted(maps.Keys(got)), want) {
			t.Errorf("uid %d sees %v, not %v", uid, got, want)
		}
		for id := range b.stranded {
			_, _, err := b.resolve(peer.Peer{UID: uid, GID: 990}, id)
			var note *wire.ErrorNote
			if !errors.As(err, &note) || (note.Code == wire.StateStranded) != got[id] {
				t.Errorf("uid %d, %s: %v", uid, id, err)
			}
			// What it had printed until then is recorded, and can be looked back at.
			c := &client{b: b, who: peer.Peer{UID: uid, GID: 990}, most: auth.Admin}
			recorded := got[id] && id != "unheard"
			if seen, _, err := c.inRecord(id); (seen == id) != recorded || (err == nil) != recorded {
				t.Errorf("uid %d looks back at %s: %q, %v", uid, id, seen, err)
			}
		}
	}
	gone := b.strand("oldopen", "aaau-claude-oldopen.scope", errors.New("it is new"))
	if b.stranded = map[string]stranded{"oldopen": gone}; len(b.strandedOf(peer.Peer{UID: 1000, GID: 990})) > 0 {
		t.Error("one is shown whose scope is gone")
	}
}

// They are in the list, in order of their ids, beside what goes on here.
func TestStrandedAreListed(t *testing.T) {
	stored := map[string]stranded{}
	for _, id := range []string{"0", "zz"} {
		stored[id] = stranded{info: wire.SessionInfo{ID: id, State: wire.StateStranded, Why: "new"}, right: auth.Session{Owner: uint32(os.Getuid())}}
	}
	h := start(t, func(b *Bridge) { b.stranded = stored })
	id := h.sh("read x").ID
	all, err := h.asking().List(t.Context())
	if err != nil || len(all) != 3 || all[0].ID != "0" || all[1].ID != id || all[2].ID != "zz" || all[2].Why != "new" || all[2].Role == "" {
		t.Errorf("%+v, %v", all, err)
	}
}
