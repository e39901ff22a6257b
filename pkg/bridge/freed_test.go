package bridge

import (
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// The memory of a session that has ended is given back, whether or when Go collects any
// garbage.
func TestMemoryOfEndedSessions(t *testing.T) {
	h := start(t, nil)
	mapped := func() map[string]bool { // by inode: what other tests left goes meanwhile
		text, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		tapes := map[string]bool{}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "memfd:aaau-tape") {
				tapes[strings.Fields(line)[4]] = true
			}
		}
		return tapes
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC() // of what other tests left
	runtime.GC()
	before := mapped()
	s := h.sh("stty -echo; read x; echo some")
	its := mapped()
	maps.DeleteFunc(its, func(tape string, _ bool) bool { return before[tape] })
	if len(its) != 1 {
		t.Fatalf("it has the tapes %v", its)
	}
	if _, err := s.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	if out, _ := h.all(s); !strings.HasSuffix(out, "some\r\n") {
		t.Errorf("%q", out)
	}
	s.Close()
	soon(t, "its tape is free", func() bool {
		for tape := range mapped() {
			if its[tape] {
				return false
			}
		}
		return true
	})
}
