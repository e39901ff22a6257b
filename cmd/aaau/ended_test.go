package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Sessions that have ended are listed with name, directory, program and how they ended; one
// whose end is lost is among them.
func TestEndedSessions(t *testing.T) {
	s := endedSessions{}
	for _, f := range []wire.Found{
		{Session: "two", Kind: "session_start", Time: 20, User: "operator", Metadata: []byte(`{"program":"/bin/sh","argv":["sh"],"profile":"shell"}`)},
		{Session: "two", Kind: "session_end", Time: 90, Metadata: []byte(`{"signal":9,"duration_ms":70000}`)},
		{Session: "one", Name: "shop", Dir: "/home/operator/shop", Kind: "session_start", Time: 10, User: "operator", Metadata: []byte(`{"program":"/bin/sh","argv":["sh","-c","exit 3"]}`)},
		{Session: "one", Kind: "broken", Time: 11, Text: "changed"},
		{Session: "one", Name: "shop", Kind: "session_end", Time: 30, Metadata: []byte(`{"status":3,"duration_ms":20000}`)},
		{Session: "lost", Kind: "session_start", Time: 40, Metadata: []byte(`{"program":"/bin/sh","argv":["sh"]}`)},
		{Session: "old", Name: "n", Dir: "/d", Kind: "session_end", Time: 100, Metadata: []byte(`{"duration_ms":60000,"unknown":true}`)},
		{Session: "typo", Kind: "session_start", Time: 110, Metadata: []byte(`{"program":"mkae","argv":["mkae"]}`)},
		{Session: "typo", Kind: "session_end", Time: 111, Metadata: []byte(`{"duration_ms":12}`)},
	} {
		if err := s.add(f); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, e := range s.all() {
		got = append(got, fmt.Sprintf("%s %q %q %q %v-%v %s", e.ID, e.Name, e.Directory, e.command(), e.Began, e.Ended, e.how()))
	}
	want := []string{
		`one "shop" "/home/operator/shop" "/bin/sh -c 'exit 3'" 10-30 ` + how(wire.EndedNote{Code: 3}),
		`lost "" "" "/bin/sh" 40-0 unknown`,
		`two "" "" "/bin/sh" 20-90 ` + how(wire.EndedNote{Signal: 9}),
		`old "n" "/d" "" 40-100 unknown`,
		`typo "" "" "mkae" 110-111 did not start`,
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("%s\nwant\n%s", g, w)
	}
}

// However many have ended, the latest are kept.
func TestEndedSessionsBounded(t *testing.T) {
	s := endedSessions{}
	for i := range 5 * maxEnded {
		if err := s.add(wire.Found{Session: fmt.Sprintf("s%d", i), Kind: "session_end", Time: float64(i + 1), Metadata: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
		if len(s) > 2*maxEnded {
			t.Fatalf("%d are kept", len(s))
		}
	}
	if all := s.all(); len(all) != maxEnded || all[len(all)-1].Ended != 5*maxEnded {
		t.Errorf("%d, the last ended at %v", len(all), all[len(all)-1].Ended)
	}
}
