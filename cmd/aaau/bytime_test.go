package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// What is found session by session is printed in the order of time; what is of one time, in the
// order in which it came.
func TestByTime(t *testing.T) {
	var got strings.Builder
	s := byTime{print: func(f wire.Found) error {
		_, err := fmt.Fprint(&got, f.Text, " ")
		return err
	}}
	for _, f := range []wire.Found{{Time: 1, Text: "a1"}, {Time: 4, Text: "a4"}, {Time: 2, Text: "b2"}, {Time: 4, Text: "b4"}, {Time: 3, Text: "c3"}} {
		if err := s.add(f); err != nil {
			t.Fatal(err)
		}
	}
	if got.Len() > 0 {
		t.Errorf("%q is printed before all is there", got.String())
	}
	if err := s.flush(); err != nil || got.String() != "a1 b2 c3 a4 b4 " {
		t.Errorf("%q, %v", got.String(), err)
	}
	// A flood is kept in bounds.
	got.Reset()
	for i := range 3 {
		if err := s.add(wire.Found{Time: float64(3 - i), Text: strings.Repeat("x", maxSorted/2)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.all) > 1 || got.Len() < maxSorted {
		t.Errorf("%d are kept, %d bytes printed", len(s.all), got.Len())
	}
}
