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
		time    string
		seconds float64 // as much, in whole ones
		program []string
		want    int
		late    float64 // how many seconds later it may end, on a machine that is not busy
	}{
		{"told to end", "2s", 2, []string{"sleep", "1000"}, 128 + int(syscall.SIGTERM), 0},
		{"ends as it likes", "2s", 2, []string{"sh", "-c", "trap 'exit 7' TERM; " + idle}, 7, 0},
		{"deaf", "1.5s", 2, []string{"sh", "-c", "trap '' TERM HUP; " + idle}, 128 + int(syscall.SIGKILL), 9},
		{"a shell", "2s", 2, []string{"bash", "-i"}, 128 + int(syscall.SIGHUP), 2},
		{"frozen", "10s", 10, []string{"sleep", "1000"}, 128 + int(syscall.SIGKILL), 0},
		{"ends before", "1h", 3600, []string{"sh", "-c", "exit 3"}, 3, 0},
	}
	var ids []string
	for _, c := range cases {
		ids = append(ids, began(t, operator, "/", append([]string{"--time", c.time, "--"}, c.program...)...))
		if c.name == "frozen" {
			output(t, operator, "aaau", "freeze", ids[len(ids)-1])
		}
	}
	for i, c := range cases {
		id := ids[i]
		if r := run(t, operator, "aaau", "wait", id); r != (result{status: c.want}) {
			t.Errorf("%s: %+v, not status %d", c.name, r, c.want)
		}
		verified(t, id)
		began, deadline, took := 0.0, 0.0, 0.0
		for e, err := range audit.Read(recordDir, id) {
			if err != nil {
				t.Fatal(err)
			}
			switch m := decoded(t, e).(type) {
			case *audit.SessionStart:
				began, deadline = float64(e.Time.UnixMicro())/1e6, m.Deadline
			case *audit.SessionEnd:
				took = float64(m.DurationMS) / 1000
			}
		}
		if d := deadline - began; d < c.seconds-1 || d > c.seconds+1 {
			t.Errorf("%s: of %s, the record has a deadline %f s after its start", c.name, c.time, d)
		}
		if over := c.want != 3; over != wasOver(t, id) || over && (took < c.seconds || took > c.seconds+c.late+5) {
			t.Errorf("%s: of %s, it ended after %f s; the record says that its time was over: %t", c.name, c.time, took, wasOver(t, id))
		}
	}
}

// wasOver says whether the record says that a session was ended as its time was over.
func wasOver(t *testing.T, id string) bool {
	t.Helper()
	return slices.ContainsFunc(metadata(t, id), func(m audit.Metadata) bool {
		did, is := m.(*audit.Control)
		return is && did.Action == "deadline"
	})
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
	s.match(`the session's time is over in [01]s`)
	s.expect("the session is ended: its time of 10s is over")
	s.ends(128 + int(syscall.SIGHUP))
	for _, text := range []string{"the session's time is over in ", "time of 10s is over"} {
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
		refused(t, operator, []string{"--time", bad, "such as 90m"}, "aaau", "start", "--time="+bad, "--", "true")
	}
	id := began(t, operator, "/", "--", "sleep", "1000")
	refused(t, operator, []string{"--time"}, "aaau", "-n", id, "--time", "1h")
	if got := inStatus(t, id, "deadline"); got != "<nil>" {
		t.Errorf("one without a time has the deadline %s", got)
	}
}

// The time is the same whichever bridge has the session; what passed while there was
// none counts. One that has ended meanwhile was not ended for its time.
func TestTimeOutlivesTheBridge(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	const idle = "while :; do sleep 0.1; done"
	over := began(t, operator, "/", "--time", "4s", "--", "sh", "-c", "trap 'exit 7' TERM; "+idle)
	ended := began(t, operator, "/", "--time", "4s", "--", "sh", "-c", "sleep 3; exit 6")
	late := began(t, operator, "/", "--time", "9s", "--", "sh", "-c", "trap 'exit 8' TERM; "+idle)
	was := parsed[object](t, operator, "aaau", "status", late, "--json")["deadline"].(float64)
	kill(t, mainPID(t, "aaau.service"), syscall.SIGSTOP)
	for _, id := range []string{over, ended} {
		if len(processes(t, id)) == 0 {
			t.Fatal("it has ended before there was no bridge")
		}
	}
	time.Sleep(5 * time.Second) // the very thing: the time is over while there is no bridge
	killBridge(t, 0)
	for id, want := range map[string]int{over: 7, ended: 6, late: 8} {
		if id == late {
			if now := parsed[object](t, operator, "aaau", "status", late, "--json")["deadline"].(float64); now < was-0.1 || now > was+0.1 {
				t.Errorf("the deadline was %f, and is %f", was, now)
			}
		}
		if r := run(t, operator, "aaau", "wait", id); r != (result{status: want}) {
			t.Errorf("%+v, not status %d", r, want)
		}
		if got := wasOver(t, id); got != (id != ended) {
			t.Errorf("status %d: the record says that its time was over: %t", want, got)
		}
		verified(t, id)
	}
}
