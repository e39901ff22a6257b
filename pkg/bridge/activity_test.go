package bridge

import (
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/vtseq"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

func TestActivity(t *testing.T) {
	// at is so many seconds after the session's beginning; never is no time at all.
	began := time.Unix(1e9, 0)
	const never = -1
	at := func(seconds float64) time.Time {
		if seconds == never {
			return time.Time{}
		}
		return began.Add(time.Duration(seconds * float64(time.Second)))
	}
	for _, test := range []struct {
		name                       string
		burst, output, typed, call float64
		now                        float64
		what                       string
		since                      float64
	}{
		{"nothing printed yet", never, never, never, never, 60, wire.ActivityIdle, 0},
		{"its first screen", 0.1, 0.5, never, never, 1, wire.ActivityWorks, 0.1},
		{"a shell at its prompt", 0.1, 0.5, never, never, 60, wire.ActivityIdle, 0.5},
		{"a shell after a command", 100, 130, 99, never, 200, wire.ActivityIdle, 130},
		{"typed what is not echoed", 0.1, 0.5, 50, never, 60, wire.ActivityIdle, 50},
		{"a spinner", 100, 400, 99, never, 400.2, wire.ActivityWorks, 100},
		{"a spinner that turns slowly", 100, 400, 99, never, 402.9, wire.ActivityWorks, 100},
		{"the answer is there, and a bell", 100, 130, 99, 130, 130.1, wire.ActivityWaits, 130},
		{"nobody has come", 100, 130, 99, 130, 7330, wire.ActivityWaits, 130},
		{"the bell some time after the answer", 190, 190, 99, 190, 191, wire.ActivityWaits, 190},
		{"its question is drawn after the bell", 100, 134, 99, 130, 134.5, wire.ActivityWaits, 130},
		{"somebody joins without typing, it draws again", 500, 501, 99, 130, 501.5, wire.ActivityWaits, 130},
		{"a clock on its screen", 540, 540, 99, 130, 541, wire.ActivityWaits, 130},
		{"answered", 100, 130, 140, 130, 145, wire.ActivityIdle, 140},
		{"answered, and at work", 140, 150, 140, 130, 151, wire.ActivityWorks, 140},
		{"rang, and went on unanswered", 100, 140, 99, 130, 140.5, wire.ActivityWorks, 100},
		{"went on after a silence", 300, 310, 99, 130, 310.5, wire.ActivityWorks, 300},
		{"went on, and is silent now", 300, 310, 99, 130, 320, wire.ActivityWaits, 310},
		{"rings again", 300, 310, 99, 310, 320, wire.ActivityWaits, 310},
	} {
		what, since := activity(times{began, at(test.output), at(test.burst), at(test.typed), at(test.call)}, at(test.now))
		if what != test.what || !since.Equal(at(test.since)) {
			t.Errorf("%s: %s since %v, not %s since %v", test.name, what, since.Sub(began).Seconds(), test.what, test.since)
		}
	}
}

// What a terminal says by itself answers no call; what a person types does.
func TestActivityOfASession(t *testing.T) {
	h := start(t, nil)
	c, s := h.in(wire.OpenRequest{Session: spec.Session{Argv: []string{"sh", "-c", `stty raw -echo; printf '\033]9;come\a'; sleep 1000`}}})
	h.mu.Lock()
	l := h.sessions[s.ID]
	h.mu.Unlock()
	does := func() string {
		i, err := h.asking().Status(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		return i.Activity
	}
	for end := time.Now().Add(patience); does() != wire.ActivityWaits; {
		if time.Now().After(end) {
			t.Fatal("it never waited for a person")
		}
	}
	c.send(wire.Input, []byte("\x1b[I\x1b[1;1R"), wire.Ping, nil) // the focus, and where the cursor is
	c.next(wire.Pong, nil)
	if !l.When(session.LastTyped).IsZero() || does() != wire.ActivityWaits {
		t.Error("what the terminal said by itself was taken for an answer")
	}
	c.send(wire.Input, []byte("y"), wire.Ping, nil)
	c.next(wire.Pong, nil)
	if got := does(); got == wire.ActivityWaits || l.When(session.LastTyped).IsZero() {
		t.Errorf("answered, it %s", got)
	}
	if err := h.asking().Kill(t.Context(), s.ID, 0); err != nil {
		t.Error(err)
	}
}

func TestMostTellingCallIsTold(t *testing.T) {
	bell := vtseq.Found{Kind: vtseq.Bell}
	empty := vtseq.Found{Kind: vtseq.Notice}
	text, later := vtseq.Found{Kind: vtseq.Notice, Text: "text"}, vtseq.Found{Kind: vtseq.Notice, Text: "later"}
	title := vtseq.Found{Kind: vtseq.Notice, Title: "title"}
	both := vtseq.Found{Kind: vtseq.Notice, Title: "title", Text: "text"}
	for _, test := range []struct {
		calls []vtseq.Found
		want  vtseq.Found
	}{
		{[]vtseq.Found{bell}, bell},
		{[]vtseq.Found{bell, bell}, bell},
		{[]vtseq.Found{bell, text}, text},
		{[]vtseq.Found{text, bell}, text},
		{[]vtseq.Found{bell, empty}, empty},
		{[]vtseq.Found{empty, bell}, empty},
		{[]vtseq.Found{empty, title, bell}, title},
		{[]vtseq.Found{text, later}, later},
		{[]vtseq.Found{both, later, bell}, both},
		{[]vtseq.Found{bell, later, both}, both},
	} {
		var c calling
		for _, f := range test.calls {
			c.add(f)
		}
		if c.over == nil {
			t.Errorf("%v: nothing ends the pause", test.calls)
		}
		if got, ok := c.take(); !ok || got != test.want {
			t.Errorf("of %v %v is told, not %v", test.calls, got, test.want)
		}
		if _, ok := c.take(); ok || c.over != nil || c.timer != nil {
			t.Errorf("%v: it is told twice", test.calls)
		}
	}
}

func TestBellThatAnswersAKey(t *testing.T) {
	for _, test := range []struct {
		kind  vtseq.Kind
		since time.Duration
		want  bool
	}{
		{vtseq.Bell, 10 * time.Millisecond, true},
		{vtseq.Bell, time.Second, false},
		{vtseq.Notice, 10 * time.Millisecond, false},
	} {
		if got := answersKey(vtseq.Found{Kind: test.kind}, test.since); got != test.want {
			t.Errorf("%v after a key: %v", test, got)
		}
	}
}
