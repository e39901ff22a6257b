package system

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// What clients of the first AaaU do, with people who are who they are.
func TestVersion1(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	c := speak1(t, connect(t, operator, 1)[0],
		`NEW_JSON:{"cols":101,"program":"sh","extra":[1],"args":["-c","stty -echo; id -un; stty size; while read x; do echo got $x; stty size; done"],"rows":33}`+"\n")
	id, why := c.opened()
	if id == "" {
		t.Fatal(why)
	}
	c.until(&c.out, "agent\r\n33 101\r\n")
	c.frame("\x01RESIZE:40,120")
	c.frame("one\n")
	c.until(&c.out, "got one\r\n40 120\r\n")

	// One who watches gets what was, and need not send a frame.
	w := speak1(t, connect(t, observer, 1)[0], "SESSION:"+id+"\r\n")
	if got, why := w.opened(); got != id {
		t.Fatalf("joined %q: %q", got, why)
	}
	w.until(&w.out, "got one\r\n40 120\r\n")
	if said, there := c.settled(); said != "" || !there {
		t.Errorf("beside a PONG: %q", said)
	}
	c.frame("\x01GET_STATUS")
	if said, _ := c.settled(); said != fmt.Sprintf("\x01STATUS:{\"session_id\":\"%s\",\"clients\":2,\"agent_alive\":true}", id) {
		t.Errorf("status: %q", said)
	}
	if got := output(t, operator, "aaau", "list", "--json"); !strings.Contains(got, id) {
		t.Errorf("for version 2 there is %s", got)
	}

	// To kill it is the owner's.
	w.frame("\x01FORCE_KILL")
	if said, there := w.settled(); !there || !strings.HasPrefix(said, "\x01ERROR:") || !strings.Contains(said, "not allowed") {
		t.Errorf("the observer's FORCE_KILL: %q", said)
	}
	c.frame("two\n")
	c.until(&c.out, "got two\r\n40 120\r\n")
	var watching sync.WaitGroup
	watching.Go(func() { // at once: else what it is told comes together
		for w.read() {
		}
	})
	c.frame("\x01FORCE_KILL")
	for c.read() {
	}
	watching.Wait()
	for who, got := range map[string]string{"its owner": c.out.String(), "a watcher": w.out.String()} {
		if !strings.HasSuffix(got, "got two\r\n40 120\r\n") {
			t.Errorf("%s was shown %q at the end", who, got)
		}
	}
	again := speak1(t, connect(t, operator, 1)[0], "SESSION:"+id+"\n")
	if _, why := again.opened(); why != "Session "+id+" not found" {
		t.Errorf("after its end: %q", why)
	}
}

// The lines of its clients, and what the original answers.
func TestVersion1Lines(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	private := privateSession(t, operator)
	for line, want := range map[string]string{
		"NEW:sh:-c:stty size:24:90\n": "24 90\r\n",
		"NEW:echo:a:b\n":              "a b\r\n",
		`NEW_JSON:{"program":"/nosuch","args":[],"rows":24,"cols":80}` + "\n":     "Program not found: /nosuch\n",
		`NEW_JSON:{"program":"/etc/hostname","args":[],"rows":1,"cols":1}` + "\n": "Program not executable: /etc/hostname\n",
		`NEW_JSON:{"program":"true","rows":24,"cols":80}` + "\n":                  "Missing or invalid JSON field: args\n",
		"NEW_JSON:[]\n":             "NEW_JSON payload must be a JSON object\n",
		"SESSION:nosuch\n":          "Session nosuch not found\n",
		"SESSION:" + private + "\n": "Session " + private + " not found\n",
		"HELLO\n":                   "Invalid handshake. Use SESSION:id or NEW\n",
	} {
		began := time.Now()
		c := speak1(t, connect(t, as(t, "observer"), 1)[0], line)
		for c.read() {
		}
		got := plain(c.out.String())
		if opened := strings.HasPrefix(got, "SESSION:"); opened {
			_, got, _ = strings.Cut(got, "\n")
			if time.Since(began) < 300*time.Millisecond {
				t.Errorf("%q: closed after %v: the client had not sent its size", line, time.Since(began))
			}
		}
		if got != plain(want) {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	output(t, operator, "aaau", "kill", private)
}

// privateSession is one that sees a directory of its owner's.
func privateSession(t *testing.T, who account) (id string) {
	t.Helper()
	return output(t, who, at(tree(t, who, "project"), "aaau", "start", "--workspace", ".", "-p", "cat")...)
}

// Another's private session is not there, whatever one is in it for.
func TestVersion1PrivateSession(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	id := privateSession(t, operator)
	join := func(who account) (string, string) {
		return speak1(t, connect(t, who, 1)[0], "SESSION:"+id+"\n").opened()
	}
	if got, why := join(as(t, "observer")); got != "" || why != "Session "+id+" not found" {
		t.Errorf("another: %q %q", got, why)
	}
	for _, name := range []string{"operator", "root"} {
		if got, why := join(as(t, name)); got != id {
			t.Errorf("%s: %q", name, why)
		}
	}
	output(t, operator, "aaau", "share", id, "observer")
	if got, why := join(as(t, "observer")); got != id {
		t.Errorf("with whom it is shared: %q", why)
	}
	output(t, operator, "aaau", "kill", id)
}

// Who is not let in hears it in the words of the version, or not even that.
func TestVersion1Denied(t *testing.T) {
	begin(t)
	if got := output(t, as(t, "outsider"), helper, "dial", serverSocket); got != "permission denied" {
		t.Errorf("an outsider: %q", got)
	}
	s := openShell(t, as(t, "operator"))
	agent := as(t, "agent")
	agent.groups = append(agent.groups, group(t, "aaau"))
	for _, line := range []string{"NEW:24:80\n", "NEW:sh:24:80\n", "SESSION:" + s.id + "\n", "SESSION:nosuch\n", "anything\n"} {
		c := speak1(t, connect(t, agent, 1)[0], line)
		for c.read() {
		}
		want := fmt.Sprintf("Auth failed: uid %d is an agent's: agents may not use AaaU\n", agent.uid)
		if got := c.out.String(); got != want {
			t.Errorf("an agent, %q: %q", line, got)
		}
	}
	loosen(t, serverSocket)
	c := speak1(t, connect(t, as(t, "outsider"), 1)[0], "SESSION:"+s.id+"\n")
	if _, why := c.opened(); !strings.HasPrefix(why, "Auth failed: uid ") || !strings.Contains(why, "usermod -aG aaau") {
		t.Errorf("an outsider for whom the socket is open: %q", why)
	}
	s.prints("echo still here", "still here")
	s.close()
}
