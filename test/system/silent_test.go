package system

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/audit"
)

// agentsBytes is what puts bytes of the agent's into a setuid file of the person's, and waits.
const agentsBytes = `
import mmap, time
with open("mine", "r+b") as f:
    m = mmap.mmap(f.fileno(), 0)
    m[:6] = b"agent\n"
    m.flush()
print("it is done")
time.sleep(1000)
`

// killStage kills a session's first process, as the kernel does for want of memory.
func killStage(t *testing.T, id string) {
	t.Helper()
	stage := find(t, id, "aaau-stage", func(process) bool { return true })
	if err := unix.PidfdSendSignal(stage.pidfd, unix.SIGKILL, nil, 0); err != nil {
		t.Fatal(err)
	}
	if !stage.ended() {
		t.Fatal("the stage lives on")
	}
}

// recordedEnd is what the record says of a session's end.
func recordedEnd(t *testing.T, id string) (text string, end *audit.SessionEnd) {
	t.Helper()
	for e, err := range audit.Read(recordDir, id) {
		if err != nil {
			t.Fatal(err)
		}
		m, err := e.Decode()
		if err != nil {
			t.Fatal(err)
		}
		if m, is := m.(*audit.SessionEnd); is {
			end = m
			if text, err = e.Text(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if end == nil {
		t.Fatalf("the record has no end of session %s", id)
	}
	return text, end
}

// A session whose first process is killed from outside is told, on its person's terminal, later,
// in the record and in the journal, as one of which nobody knows how its program ended; one that
// a person has killed as that. Either way no setuid file with the agent's bytes is left.
func TestStageEndsWithoutAWord(t *testing.T) {
	const unknown = "its first process ended without telling the program's status, and AaaU did not kill it"
	for _, test := range []struct {
		name   string
		end    func(t *testing.T, id string)
		status int
		said   string // on the terminal
		later  string // by aaau status
	}{
		{"killed from outside", killStage, 255, "aaau: ended: " + unknown, unknown},
		{"while the bridge is away", func(t *testing.T, id string) {
			kill(t, mainPID(t, "aaau.service"), syscall.SIGSTOP)
			killStage(t, id)
			killBridge(t, 0)
		}, 255, "aaau: ended: " + unknown, unknown},
		{"killed by its person", func(t *testing.T, id string) {
			output(t, as(t, "operator"), "aaau", "kill", "--force", id)
		}, 137, "aaau: operator sends SIGKILL", "by SIGKILL"},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			operator := as(t, "operator")
			dir := tree(t, operator, "silent")
			sh(t, operator, dir, "head -c 4096 /dev/zero >mine; chmod 4755 mine")
			since := journalNow(t)
			c := sit(t, operator, at(dir, "aaau", "-C", ".", "--", "python3", "-c", agentsBytes)...)
			id := c.session()
			c.expect("it is done")
			test.end(t, id)
			status, _ := c.leave()
			said := plain(c.all())
			if status != test.status || !strings.Contains(said, test.said) {
				t.Errorf("status %d, %q", status, said)
			}
			if !strings.Contains(said, dir+"/mine: setuid, new or changed: the bit was taken away") {
				t.Errorf("of the setuid file nothing was told: %q", said)
			}
			if fi, err := os.Stat(dir + "/mine"); err != nil || fi.Mode() != 0o755 {
				t.Errorf("the file is %v, %v", fi.Mode(), err)
			}
			if r := run(t, operator, "aaau", "wait", id); r.status != test.status || strings.Contains(r.stderr, unknown) != (test.status == 255) {
				t.Errorf("aaau wait: %+v", r)
			}
			if got := output(t, operator, "aaau", "status", id); !strings.Contains(got, test.later) {
				t.Errorf("aaau status: %s", got)
			}
			text, end := recordedEnd(t, id)
			if end.Unknown != (test.status == 255) || (end.Signal != nil) == end.Unknown || end.Status != nil {
				t.Errorf("recorded is %q, %+v", text, end)
			}
			warned := journal(t, since, "AAAU_EVENT=silent_end", "AAAU_SESSION="+id)
			if strings.Contains(warned, unknown) != end.Unknown {
				t.Errorf("the journal has %q", warned)
			}
			if by := journal(t, since, "AAAU_EVENT=kill", "AAAU_SESSION="+id); strings.Contains(by, ") sends SIGKILL to all of it") == end.Unknown {
				t.Errorf("of a kill the journal has %q", by)
			}
		})
	}
}

// What the guard of a session would undo in git's directories is undone by the client at the end,
// before its person has their prompt back, where the guard could not: it was stopped before the
// trap was set, and killed after it.
func TestTrapsOfASilentEnd(t *testing.T) {
	operator := as(t, "operator")
	const attack = "/usr/local/bin/aaau-test-attack"
	guarded := slices.DeleteFunc(slices.Concat(traps, gitlinkTraps), func(p trap) bool {
		switch p.name {
		case "an index written in place": // it waits until the kernel takes the guard's lease away
			return true
		case "link instead of .git":
			return true
		}
		return !strings.HasPrefix(p.name, "repository made ") && slices.ContainsFunc(traps, func(q trap) bool { return q.name == p.name })
	})
	beginLong(t, 3*time.Minute)
	identity(t, operator)
	tree(t, operator, "pwned")
	dir := tree(t, operator, "silent")
	for n := 0; n < len(guarded); n += 10 { // as many repositories as one workspace may have
		some := guarded[n:min(n+10, len(guarded))]
		for i := range some {
			some[i].prepare = linking + some[i].prepare
		}
		setTraps(t, dir, some)
		file(t, attack, linking+attacks(dir, some))
		c := sit(t, operator, "aaau", "-C", dir, "--", "bash", "-c", "echo be''gun; read; bash "+attack+"; echo d''one; read")
		id := c.session()
		c.expect("begun")
		stage := find(t, id, "aaau-stage", func(process) bool { return true })
		if err := unix.PidfdSendSignal(stage.pidfd, unix.SIGSTOP, nil, 0); err != nil {
			t.Fatal(err)
		}
		c.typed("\r")
		c.expect("done")
		killStage(t, id)
		status, said := c.leave()
		if status != 255 {
			t.Errorf("status %d, %q", status, said)
		}
		provoke(t, dir, some)
		for _, name := range pwned(t) {
			t.Errorf("after the session: %s", name)
		}
		sh(t, operator, dir, "chmod -R u+rwX .; rm -rf *")
	}
}
