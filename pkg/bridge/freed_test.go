package bridge

import (
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
	mapped := func() int {
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(maps), "memfd:aaau-tape")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC() // of what other tests left
	runtime.GC()
	before := mapped()
	s := h.sh("echo some")
	out, _ := h.all(s)
	if out != "some\r\n" || mapped() <= before {
		t.Fatalf("%q, with %d mappings of its tape", out, mapped())
	}
	s.Close()
	soon(t, "its tape is free", func() bool { return mapped() <= before })
}
