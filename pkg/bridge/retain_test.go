package bridge

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/journal"
)

var dateOf = regexp.MustCompile(`\d{4}-\d\d-\d\d`)

// aged moves all files of a session's record in dir to the bridge's, as of another day.
func (h *harness) aged(dir, id, day string) (files []string) {
	h.t.Helper()
	names, err := audit.Files(dir, id)
	if err != nil || len(names) == 0 {
		h.t.Fatal(names, err)
	}
	for _, name := range names {
		from, to := filepath.Join(dir, name), filepath.Join(h.record, dateOf.ReplaceAllString(name, day))
		if err := os.Rename(from, to); err != nil || from == to {
			h.t.Fatal(to, err)
		}
		files = append(files, to)
	}
	return files
}

// isThere says whether a file of the record is, compressed or not.
func isThere(t *testing.T, name string) bool {
	t.Helper()
	found, err := filepath.Glob(name + "*")
	if err != nil || len(found) > 2 {
		t.Fatal(found, err)
	}
	return len(found) > 0
}

// What is too old goes, at the start and as soon as the configuration says so, but
// nothing of a session that goes on, nor of one that another bridge may take back; and
// what has gone is told.
func TestRetention(t *testing.T) {
	var said bytes.Buffer
	h := start(t, func(b *Bridge) { b.Log, b.stranded = journal.To(&said), map[string]stranded{"stranded": {}} })
	s := h.sh("read x")
	now := time.Now().UTC()
	day := func(days int) string { return now.AddDate(0, 0, -days).Format(time.DateOnly) }
	before := t.TempDir()
	second, err := audit.Open(before, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"old", "older", "young", "stranded"} {
		c, err := second.Session(id, "agent", false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Output(audit.Stdout, []byte("output"), true); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	keep := append(append(h.aged(h.record, s.ID, day(50)), h.aged(before, "stranded", day(50))...), h.aged(before, "young", day(3))...)
	gone := append(h.aged(before, "old", day(40)), h.aged(before, "older", day(45))...)
	h.SetRetain(audit.Retain{Age: 7 * 24 * time.Hour})
	for len(gone) > 0 {
		if !isThere(t, gone[0]) {
			gone = gone[1:]
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := s.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	h.all(s)
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	for _, name := range keep {
		if !isThere(t, name) {
			t.Errorf("%s is gone", name)
		}
	}
	if got, want := said.String(), "the record: removed 2 files of 1 MiB: 2 older than 7 days\n"; !strings.Contains(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for r, err := range audit.VerifyAll(h.record, nil) {
		if err != nil || r.Problem != nil {
			t.Error(r.Problem, err)
		}
	}
}
