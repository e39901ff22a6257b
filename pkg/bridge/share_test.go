package bridge

import (
	"errors"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// A share that would let nobody in is refused, and says what would.
func TestCanUse(t *testing.T) {
	daemon, ok := account(1)
	if !ok {
		t.Fatal("this machine has no uid 1, daemon")
	}
	s := auth.Session{Owner: 1000, Profile: "claude"}
	for want, policy := range map[string]auth.Policy{
		"": {Group: daemon.GID},
		"cannot-connect: sudo usermod -aG people daemon": {Group: 4711, GroupName: "people"},
		"not-a-person: daemon is the user that agents":   {Group: daemon.GID, AgentUIDs: []uint32{1}},
		"cannot-connect: daemon may not see sessions of": {Group: daemon.GID, Rules: []auth.Rule{{ID: 1, Profile: "claude"}}},
	} {
		err := (&Bridge{Policy: policy}).canUse(1, s)
		code, words, _ := strings.Cut(want, ": ")
		var note *wire.ErrorNote
		if errors.As(err, &note) != (want != "") || note != nil && (note.Code != code || !strings.Contains(note.Message, words)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := (&Bridge{}).canUse(4711, s); err != nil {
		t.Errorf("of somebody who is not in /etc/passwd: %v", err)
	}
}

func TestOthers(t *testing.T) {
	for _, c := range []struct {
		join    auth.Join
		private bool
		want    string
	}{
		{auth.JoinAny, false, "join"}, {auth.JoinAny, true, "none"}, {auth.JoinReadOnly, false, "watch"},
		{auth.JoinReadOnly, true, "none"}, {auth.JoinOwner, false, "none"},
	} {
		if got := others(auth.Policy{Join: c.join}, c.private); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestFreezer(t *testing.T) {
	for message, want := range map[string]string{
		frozenBy + "operator; to let it continue: aaau thaw x": "operator",
		"": "", "its home is full": "",
	} {
		if got := freezer(message); got != want {
			t.Errorf("%q: %q", message, got)
		}
	}
}
