package bridge

import "testing"

// What happens between a client's joining and its being told so comes right after that.
func TestEarlyEventsAreKept(t *testing.T) {
	var s seating
	o := &sender{items: make(chan item, 4), done: make(chan struct{})}
	s.offer(o, item{words: "early"})
	if len(o.items) != 0 {
		t.Error("it comes before the client was told")
	}
	s.take(o)
	s.offer(o, item{words: "late"})
	for _, want := range []string{"early", "late"} {
		if got := (<-o.items).words; got != want {
			t.Errorf("%q comes, not %q", got, want)
		}
	}
}
