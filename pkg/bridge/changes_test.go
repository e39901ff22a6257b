package bridge

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// told is what the bridge has been told of a session's changes.
func (h *harness) told(id string) (parts []wire.Changes) {
	h.t.Helper()
	_, err := h.asking().Changes(h.t.Context(), id, func(f wire.Found) error {
		var part wire.Changes
		err := json.Unmarshal(f.Metadata, &part)
		if f.Session != id || f.Kind != "changes" || f.Source != "human" {
			h.t.Errorf("%+v", f)
		}
		parts = append(parts, part)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return parts
}

func TestChangesAreRecorded(t *testing.T) {
	h := start(t, nil)
	s, other := h.sh("read x"), h.sh("read x")
	var all wire.Changes
	for range 500 {
		all.Changes = append(all.Changes, wire.Change{Path: argv.String("/home/x/\xff" + strings.Repeat("d", 100)), What: "new or changed"})
	}
	all.Changes[0].Files = 812
	all.Total, all.Error = 600, "there are too many"
	if err := h.asking().TellChanges(t.Context(), s.ID, all); err != nil {
		t.Fatal(err)
	}
	var got []wire.Change
	parts := h.told(s.ID)
	for i, p := range parts {
		if p.Total != 600 || p.Error != all.Error || p.More != (i < len(parts)-1) {
			t.Errorf("part %d of %d: %d, %q, %v", i, len(parts), p.Total, p.Error, p.More)
		}
		got = append(got, p.Changes...)
	}
	if len(parts) < 2 || len(got) != 500 || got[0] != all.Changes[0] || got[499] != all.Changes[499] {
		t.Errorf("%d changes in %d parts", len(got), len(parts))
	}
	if parts := h.told(other.ID); len(parts) != 0 {
		t.Errorf("of another session it tells %v", parts)
	}

	if err := h.asking().Kill(t.Context(), s.ID, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := h.asking().Wait(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	after := wire.Changes{Changes: []wire.Change{{Path: "/home/x/.envrc", What: "new or changed"}}, Total: 1}
	if err := h.asking().TellChanges(t.Context(), s.ID, after); err != nil {
		t.Fatal(err)
	}
	if parts = h.told(s.ID); len(parts) == 0 || len(parts[len(parts)-1].Changes) != 1 || parts[len(parts)-1].Changes[0] != after.Changes[0] {
		t.Errorf("after its end: %+v", parts)
	}
}

func TestChangesAreBounded(t *testing.T) {
	h := start(t, nil)
	s := h.sh("read x")
	tell := func(c wire.Change, total int) string {
		t.Helper()
		err := h.asking().TellChanges(t.Context(), s.ID, wire.Changes{Changes: []wire.Change{c}, Total: total})
		var note *wire.ErrorNote
		if errors.As(err, &note) {
			return note.Code
		}
		if err != nil {
			t.Fatal(err)
		}
		return ""
	}
	for _, test := range []struct {
		change wire.Change
		total  int
	}{
		{wire.Change{Path: argv.String(strings.Repeat("d", maxChangePath+1))}, 1},
		{wire.Change{What: strings.Repeat("d", maxChangeWhat+1)}, 1},
		{wire.Change{Path: "x", Files: -1}, 1},
		{wire.Change{Path: "x"}, -1},
	} {
		if code := tell(test.change, test.total); code != "malformed" {
			t.Errorf("%.40v, %d: %q", test.change, test.total, code)
		}
	}
	long := wire.Change{Path: argv.String(strings.Repeat("d", maxChangePath)), What: "x"}
	for n := 0; ; n++ {
		code := tell(long, 1)
		if code == "too-many-changes" {
			break
		}
		if code != "" || n > maxChangesTold/maxChangePath {
			t.Fatalf("after %d: %q", n, code)
		}
	}
	for _, id := range []string{"nosuch", ""} {
		if err := h.asking().TellChanges(t.Context(), id, wire.Changes{}); err == nil {
			t.Errorf("of session %q it was told", id)
		}
	}
}
