package audit

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// The fields have the order that the record always had, and lines stay whole
// whoever writes at the same time.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 50 {
				if err := l.Write(Record{Source: "human", User: "operator", SessionID: "s1", CommandType: "attach", Content: "a\"b\nc"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(dir + "/aaau-*.jsonl")
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if fi, err := os.Stat(files[0]); err != nil || fi.Mode().Perm()&0o007 != 0 {
		t.Errorf("others may read it: %v %v", fi.Mode(), err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^\{"timestamp":\d+\.\d{6},"source":"human","user":"operator","session_id":"s1","command_type":"attach","content":"a\\"b\\nc","metadata":\{\}\}$`)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != 1000 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		if !form.MatchString(line) || !json.Valid([]byte(line)) {
			t.Fatalf("%q", line)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := Open("/nosuch"); err == nil {
		t.Error("a record in no directory")
	}
}
