package main

import (
	"slices"
	"testing"
)

func TestSummary(t *testing.T) {
	var upTo200 []float64
	for i := 200; i > 0; i-- {
		upTo200 = append(upTo200, float64(i))
	}
	for _, c := range []struct {
		samples []float64
		want    figures
	}{
		{[]float64{7}, figures{1, 7, 7, 7, 7}},
		{[]float64{3, 1, 2}, figures{3, 1, 2, 3, 3}},
		{[]float64{4, 3, 1, 2}, figures{4, 1, 2.5, 4, 4}},
		{upTo200, figures{200, 1, 100.5, 198.5, 200}},
	} {
		if got := summary(c.samples); got != c.want {
			t.Errorf("%d samples: %+v, want %+v", len(c.samples), got, c.want)
		}
	}
}

func TestParseSteps(t *testing.T) {
	const journal = `Started aaau-launcher.service - AaaU: the launcher of sessions.
session a took (plan 9.00 ms, scope 9.00 ms)
session b took (plan 0.10 ms, scope 2.00 ms)
refused a session of profile "x" (plan 8.00 ms)
session c: for uid 2001 (pid 3) as agent, program "x"
session d took (plan 0.30 ms, scope 4.00 ms)
session e took (plan 7.00 ms, scope 7.00 ms)
`
	got := parseSteps(journal, 2)
	want := []step{{"launcher: plan", 0.2}, {"launcher: scope", 3}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := parseSteps("session a: no timing\n", 2); got != nil {
		t.Errorf("without timing: %v", got)
	}
}
