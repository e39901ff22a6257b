package journal

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// journald is a receiver of entries that reads when it is told to.
type journald struct {
	t    *testing.T
	conn *net.UnixConn
}

func listen(t *testing.T, path string) *journald {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &journald{t, conn}
}

// next waits for an entry.
func (j *journald) next() (entry string) {
	j.t.Helper()
	b := make([]byte, 1<<16)
	n, err := j.conn.Read(b)
	if err != nil {
		j.t.Fatal(err)
	}
	return string(b[:n])
}

// paper is written by one goroutine and read by another.
type paper struct {
	mu    sync.Mutex
	text  bytes.Buffer
	begun chan struct{} // closed when something was written
}

func newPaper() *paper { return &paper{begun: make(chan struct{})} }

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.text.Len() == 0 {
		close(p.begun)
	}
	return p.text.Write(b)
}

func (p *paper) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func socketIn(t *testing.T) string { return filepath.Join(t.TempDir(), "socket") }

func TestEntry(t *testing.T) {
	path, stderr := socketIn(t), newPaper()
	j, l := listen(t, path), open(path, stderr)
	l.Tell(Attach, About{Session: "s1", User: "ada", UID: "1000"}, "session %s: %s attached", "s1", "ada")
	want := "MESSAGE=session s1: ada attached\nPRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=" + identifier +
		"\nMESSAGE_ID=" + kinds[Attach].id + "\nAAAU_EVENT=attach\nAAAU_SESSION=s1\nAAAU_USER=ada\nAAAU_UID=1000\n"
	if got := j.next(); got != want {
		t.Errorf("%q", got)
	}

	// Whatever people and agents are called, and say: one line each, and not a long one.
	evil := "a\nPRIORITY=0\r\x1b[2J\u202e\xff" + strings.Repeat("long", 100000)
	l.Tell(Denied, About{Session: evil, Profile: evil, AgentUser: evil, User: evil, UID: evil, Client: evil}, "refused %s", evil)
	got := j.next()
	if lines := strings.Split(got, "\n"); len(lines) != 13 || strings.ContainsAny(got, "\r\x1b\u202e") || !strings.Contains(got, "\nPRIORITY=5\n") {
		t.Errorf("%d lines: %.300q", len(lines), got)
	}
	if len(got) > 3*(maxMessage+6*maxValue)+1000 {
		t.Errorf("%d bytes", len(got))
	}
	l.Close()
	l.Close()
	if stderr.String() != "" {
		t.Errorf("%q", stderr)
	}
	l.Tell(Detach, About{}, "too late")
}

// However many are told while nobody listens, and then somebody does: telling waits for
// nobody (else this hangs), and each entry has come or is among those that are said to
// be lost.
func TestJournalStalls(t *testing.T) {
	path, stderr := socketIn(t), newPaper()
	j, l := listen(t, path), open(path, stderr)
	const told = 2 * room
	for i := range told {
		l.Tell(Attach, About{}, "%d", i)
	}
	<-stderr.begun // it is said while it stalls
	came, lost := 0, 0
	for came+lost < told {
		e := j.next()
		var n int
		if strings.Contains(e, "AAAU_EVENT=entries_lost\n") {
			if _, err := fmt.Sscanf(e[strings.Index(e, "AAAU_LOST="):], "AAAU_LOST=%d\n", &n); err != nil {
				t.Fatalf("%v: %q", err, e)
			}
			lost += n
		} else {
			came++
		}
	}
	if came+lost != told || came < room || lost == 0 {
		t.Errorf("of %d entries %d came and %d are said to be lost", told, came, lost)
	}
	l.Tell(Attach, About{}, "after")
	if e := j.next(); !strings.HasPrefix(e, "MESSAGE=after\n") {
		t.Errorf("%q", e)
	}
	l.Close()
	// It is said once, each time: on a busy machine this test may be a second time too slow.
	if said := stderr.String(); strings.Count(said, "\n") > 3 || !strings.Contains(said, "i/o timeout") {
		t.Errorf("%q", said)
	}
}

// A log that is closed does not wait for a journal that takes nothing: it says how much
// that is.
func TestCloseWhileStalled(t *testing.T) {
	path, stderr := socketIn(t), newPaper()
	listen(t, path)
	l := open(path, stderr)
	long := strings.Repeat("x", maxMessage)
	for range 2 * maxBytes / maxMessage {
		l.Tell(Attach, About{}, "%s", long)
	}
	l.mu.Lock()
	n, bytes := len(l.queue), l.waits
	l.mu.Unlock()
	if n*maxMessage > maxBytes+maxMessage || bytes > maxBytes {
		t.Errorf("%d entries of %d bytes wait", n, bytes)
	}
	l.Close()
	if said := stderr.String(); !strings.HasSuffix(said, " are lost; the record has what they told\n") {
		t.Errorf("%q", said)
	}
}

// The journal may not be there, or be another one than a moment ago.
func TestJournalComesAndGoes(t *testing.T) {
	path, stderr := socketIn(t), newPaper()
	l := open(path, stderr)
	l.Tell(Attach, About{}, "early")
	<-stderr.begun
	j := listen(t, path)
	if e := j.next(); !strings.HasPrefix(e, "MESSAGE=early\n") {
		t.Errorf("%q", e)
	}
	j.conn.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	j = listen(t, path)
	l.Tell(Attach, About{}, "late")
	if e := j.next(); !strings.HasPrefix(e, "MESSAGE=late\n") {
		t.Errorf("%q", e)
	}
	l.Close()
}

func TestLines(t *testing.T) {
	var said bytes.Buffer
	l := To(&said)
	l.Tell(Attach, About{Session: "s1"}, "one\n%s", "two")
	l.Printf("three")
	l.Close()
	if said.String() != "one\ufffdtwo\nthree\n" {
		t.Errorf("%q", said.String())
	}
}
