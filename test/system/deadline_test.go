package system

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
)

// A session that was given a time is ended when it is over, kindly first.
func TestTimeIsOver(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	const idle = "while :; do sleep 0.1; done"
	cases := []struct {
		name    string
		frozen  bool
		seconds string
		program []string
		want    int
	}{
		{"told to end", false, "2s", []string{"sleep", "1000"}, 128 + int(syscall.SIGTERM)},
		{"ends as it likes", false, "2s", []string{"sh", "-c", "trap 'exit 7' TERM; " + idle}, 7},
		{"deaf", false, "1.5s", []string{"sh", "-c", "trap '' TERM HUP; " + idle}, 128 + int(syscall.SIGKILL)},
		{"a shell", false, "2s", []string{"bash", "-i"}, 128 + int(syscall.SIGHUP)},
		{"frozen", true, "2s", []string{"sleep", "1000"}, 128 + int(syscall.SIGKILL)},
		{"ends before", false, "1h", []string{"sh", "-c", "exit 3"}, 3},
	}
	var ids []string
	for _, c := range cases {
		ids = append(ids, began(t, operator, "/", append([]string{"--time", c.seconds, "--"}, c.program...)...))
		if c.frozen {
			output(t, operator, "aaau", "freeze", ids[len(ids)-1])
		}
	}
	for i, c := range cases {
		id := ids[i]
		if r := run(t, operator, "aaau", "wait", id); r != (result{status: c.want}) {
			t.Errorf("%s: %+v, not status %d", c.name, r, c.want)
		}
		verified(t, id)
		var start, end time.Duration // the deadline, and how long it took
		var over []string
		for _, m := range metadata(t, id) {
			switch m := m.(type) {
			case *audit.SessionStart:
				start = time.Duration(m.Deadline * float64(time.Second))
			case *audit.SessionEnd:
				end = time.Duration(m.DurationMS) * time.Millisecond
			case *audit.Control:
				if m.Action == "deadline" {
					over = append(over, m.Reason)
				}
			}
		}
		limit, err := time.ParseDuration(c.seconds)
		if err != nil || start == 0 {
			t.Errorf("%s: its start tells of the deadline %v; %v", c.name, start, err)
		}
		limit = (limit + time.Second - 1).Truncate(time.Second) // whole seconds
		if ended := c.want == 3; ended != (len(over) == 0) || ended != (end < limit) {
			t.Errorf("%s: after %v the record says that its time is over: %q", c.name, end, over)
		}
	}
}

// People in it are told before; and those who look see when it will end.
func TestTimeIsTold(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	since := journalNow(t)
	events := listen(t, operator, "--only", "deadline", "--only", "attention")
	s := openShell(t, operator, "--time", "10s")
	if !strings.Contains(s.all(), "; ends at ") {
		t.Errorf("the first line is %q", s.all())
	}
	info := parsed[object](t, operator, "aaau", "status", s.id, "--json")
	took := info["deadline"].(float64) - info["began"].(float64)
	if took < 9.99 || took > 10.01 {
		t.Errorf("it may take %v", took)
	}
	if status := output(t, operator, "aaau", "status", s.id); !strings.Contains(status, "\nends: ") {
		t.Errorf("aaau status says\n%s", status)
	}
	s.expect("the session's time is over in 1s")
	s.expect("the session is ended: its time of 10s is over")
	s.ends(128 + int(syscall.SIGHUP))
	for _, text := range []string{"is over in 1s", "time of 10s is over"} {
		if e := events.next(s.id).shows(); !strings.Contains(e, text) || !strings.Contains(e, "kind=deadline") {
			t.Errorf("the event is %s, not %q", e, text)
		}
	}
	if said := journal(t, since, "AAAU_EVENT=deadline", "AAAU_SESSION="+s.id); strings.Count(said, "its time of 10s is over") != 1 {
		t.Errorf("the journal has %q", said)
	}
	if status := output(t, operator, "aaau", "status", s.id); strings.Contains(status, "\nends: ") {
		t.Errorf("it has ended, and aaau status says\n%s", status)
	}

	for _, bad := range []string{"0", "0s", "-1s", "soon", "10", "9000h"} {
		refused(t, operator, []string{"time"}, "aaau", "start", "--time="+bad, "--", "true")
	}
	id := began(t, operator, "/", "--", "sleep", "1000")
	refused(t, operator, []string{"--time"}, "aaau", "-n", id, "--time", "1h")
	if got := inStatus(t, id, "deadline"); got != "<nil>" {
		t.Errorf("one without a time has the deadline %s", got)
	}
}

// The time is the same whichever bridge has the session; what passed while there was
// none counts.
func TestTimeOutlivesTheBridge(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	early := began(t, operator, "/", "--time", "1s", "--", "sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done")
	late := began(t, operator, "/", "--time", "5s", "--", "sh", "-c", "trap 'exit 8' TERM; while :; do sleep 0.1; done")
	was := inStatus(t, late, "deadline")
	kill(t, mainPID(t, "aaau.service"), syscall.SIGSTOP)
	time.Sleep(1500 * time.Millisecond) // the very thing: its time is over while there is no bridge
	killBridge(t, 0)
	if got := inStatus(t, late, "deadline"); got != was {
		t.Errorf("the deadline was %s, and is %s", was, got)
	}
	for id, want := range map[string]int{early: 7, late: 8} {
		if r := run(t, operator, "aaau", "wait", id); r != (result{status: want}) {
			t.Errorf("%+v, not status %d", r, want)
		}
		if !slices.ContainsFunc(metadata(t, id), func(m audit.Metadata) bool {
			did, is := m.(*audit.Control)
			return is && did.Action == "deadline"
		}) {
			t.Error("the record does not say why")
		}
		verified(t, id)
	}
}
