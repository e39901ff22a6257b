package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
)

func TestVerdict(t *testing.T) {
	five, zero, bytes := uint64(5), uint64(0), int64(120)
	for want, d := range map[string]verdict{
		"s1: ok, 9 records, anchored to the last":                                          {State: stateOK, Records: 9, Unanchored: &zero},
		"s1: ok, 9 records, no anchor vouches for the last 5 (120 bytes)":                  {State: stateOK, Records: 9, Unanchored: &five, UnanchoredBytes: &bytes},
		"s1: ok, 5 records, no anchor vouches for any (120 bytes)":                         {State: stateOK, Records: 5, Unanchored: &five, UnanchoredBytes: &bytes},
		"s1: ok, 5 records, 7 before them have expired, not held to anchors":               {State: stateOK, Records: 5, Expired: 7},
		"s1: ok, 5 records, 2 holes in the output, as it says itself, not held to anchors": {State: stateOK, Records: 5, Holes: 2},
		"s1: expired: nothing is left of it":                                               {State: stateExpired, Expired: 7},
		"s1: cannot be verified: no such disk":                                             {State: stateFailed, Error: "no such disk"},
		"s1: WRONG: f:3: records 3 to 4: dropped: so, 2 records before that are whole, anchored to the last": {State: stateWrong, Records: 2, Unanchored: &zero,
			Problem: &problem{audit.Dropped, "f", 3, 3, 4, "so"}},
	} {
		d.Chain = "s1"
		if got := d.String(); got != want {
			t.Errorf("%s\nnot %s", got, want)
		}
	}
}

// session makes the record of one that has ended.
func session(t *testing.T, dir, id string) {
	t.Helper()
	store, err := audit.Open(dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	c, err := store.Session(id, "agent", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Output(audit.Stdout, []byte("text"), true); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(store.Bridge().Announce(), c.Close()); err != nil {
		t.Fatal(err)
	}
}

// states are what verifying says of each chain.
func states(t *testing.T, v *verifying, how func() error) string {
	t.Helper()
	var said []string
	v.print = func(d any) error {
		said = append(said, d.(verdict).Chain+" "+d.(verdict).State)
		return nil
	}
	if err := how(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(said, ", ")
}

// A chain of which only an anchor is left has been removed, unless it may have expired
// before the bridge's own chain begins.
func TestOnlyAnchorsLeft(t *testing.T) {
	dir := t.TempDir()
	session(t, dir, "s1")
	long, late := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		begins uint64 // of the bridge's chain
		at     time.Time
		want   string
	}{
		"of late":           {1, late, "aaau ok, gone wrong, s1 ok"},
		"of long ago":       {1, long, "aaau ok, gone wrong, s1 ok"},
		"since it begins":   {2, late, "aaau wrong, gone wrong, s1 ok"},
		"before it expired": {2, long, "aaau wrong, gone expired, s1 ok"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			session(t, dir, "s1")
			if c.begins > 1 {
				session(t, dir, "s1")
				files, err := audit.Files(dir, audit.BridgeChain)
				if err != nil {
					t.Fatal(err)
				}
				file := filepath.Join(dir, files[0])
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				_, rest, _ := strings.Cut(string(text), "\n")
				if err := os.WriteFile(file, []byte(rest), 0o640); err != nil {
					t.Fatal(err)
				}
			}
			v := verifying{anchored: true}
			if got := states(t, &v, func() error { return v.all(dir, []audit.Anchor{{Chain: "gone", Seq: 4, Time: c.at, Source: "here"}}) }); got != c.want {
				t.Errorf("%s, not %s", got, c.want)
			}
		})
	}
}

func TestVerifyOne(t *testing.T) {
	dir := t.TempDir()
	session(t, dir, "s1")
	session(t, dir, "s12345")
	for ref, want := range map[string]string{"s1": "s1 ok", "s123": "s12345 ok", "aaau": "aaau ok", "nosuch": "nosuch failed"} {
		c, err := known(dir, ref)
		if err != nil {
			t.Fatal(err)
		}
		v := verifying{}
		if got := states(t, &v, func() error { return v.one(c, nil) }); got != want || (v.failed > 0) != strings.HasSuffix(want, "failed") {
			t.Errorf("%s: %s, %+v", ref, got, v)
		}
	}
	if _, err := known(dir, "s"); err == nil || !strings.Contains(err.Error(), "s could be s1, s12345") {
		t.Error(err)
	}
	// A line that has no end is looked at again, and then wrong.
	files, err := audit.Files(dir, "s1")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, files[0]), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("{"); err != nil {
		t.Fatal(err)
	}
	v := verifying{}
	if got := states(t, &v, func() error { return v.one(chain{dir, "s1"}, nil) }); got != "s1 wrong" || v.wrong != 1 {
		t.Errorf("%s, %+v", got, v)
	}
}
