package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// A program that cannot be started has the exit status that a shell would have.
func TestFailureHasAShellsStatus(t *testing.T) {
	for code, want := range map[string]int{"program-not-found": 127, "program-not-executable": 126, "denied": 255} {
		if got := failure(fmt.Errorf("starting: %w", &wire.ErrorNote{Code: code})); got != want {
			t.Errorf("%s is %d, not %d", code, got, want)
		}
	}
	if got := failure(errors.New("any")); got != 255 {
		t.Errorf("any other is %d", got)
	}
}
