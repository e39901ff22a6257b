package audit

import (
	"fmt"
	"testing"
)

// A store that has served very many sessions knows of a bounded number of them, the latest.
func TestSettledAreForgotten(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for n := range maxSettled + 100 {
		name := fmt.Sprintf("s%d", n)
		s.mu.Lock()
		s.known[name] = nil // as when its chain was opened
		s.mu.Unlock()
		s.settled(name)
	}
	_, first := s.known["s0"]
	_, last := s.known[fmt.Sprintf("s%d", maxSettled+99)]
	if len(s.known) > maxSettled+1 || len(s.ended) != maxSettled || first || !last {
		t.Errorf("%d chains are known, the first %v, the last %v", len(s.known), first, last)
	}
	c := session(t, s, "real")
	if _, err := c.Append(Record{Source: System, Metadata: SessionEnd{}}); err != nil {
		t.Fatal(err)
	}
	if err := c.Finish(); err != nil {
		t.Fatal(err)
	}
	if s.ended[len(s.ended)-1] != "real" {
		t.Error("a chain that has its end is not settled")
	}
}
