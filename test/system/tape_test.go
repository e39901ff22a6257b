package system

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/tape"
)

// tapes is how many tapes of so many MiB the bridge has.
func tapes(t *testing.T, mib int64) (n int) {
	t.Helper()
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", mainPID(t, "aaau.service")))
	if err != nil || len(fds) == 0 {
		t.Fatalf("the bridge has no descriptors: %v", err)
	}
	for _, fd := range fds {
		name, _ := os.Readlink(fd) // it may be closed by now
		if !strings.Contains(name, "aaau-tape") {
			continue
		}
		if fi, err := os.Stat(fd); err == nil && fi.Size() == tape.Memory(mib<<20) {
			n++
		}
	}
	return n
}

// A profile says how large its sessions' tapes are, and the machine how large all of them
// may be. Those that are there count, whoever started them, and go on whatever is said.
func TestTapesAreSizedAndBudgeted(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	addAlias(t, "long", "tape=16M\nprogram=cat\n")
	used := session.Memory(16<<20, false) + session.Memory(4<<20, false)
	configure(t, fmt.Sprintf("max-tapes=%d\n", used+2<<20))
	long := began(t, operator, "/", "long")
	if n := tapes(t, 16); n != 1 {
		t.Errorf("%d tapes of 16 MiB", n)
	}
	addAlias(t, "endless", "tape=2G\nprogram=cat\n")
	refused(t, operator, []string{"tape:", "1M to 256M"}, "aaau", "endless")
	if err := os.Remove("/etc/aaau/profiles.d/endless.conf"); err != nil { // with it the bridge would not start
		t.Fatal(err)
	}
	short := began(t, observer, "/", "--", "cat")
	full := func(when string) {
		t.Helper()
		before := scopes(t)
		refused(t, operator, []string{fmt.Sprintf("have %d of", (used+1<<20-1)>>20), "max-tapes="}, "aaau", "-p", "id")
		refused(t, observer, []string{fmt.Sprintf("have %d of", (used+1<<20-1)>>20), "max-tapes="}, "aaau", "long")
		if now := scopes(t); len(now) != len(before) {
			t.Errorf("%s: something was started: %v", when, now)
		}
	}
	full("at first")
	killBridge(t, 0)
	full("after the bridge's death")
	if n := tapes(t, 16); n != 1 {
		t.Errorf("%d tapes of 16 MiB were taken back", n)
	}

	// Less than there is.
	configure(t, "max-tapes=1M\n")
	for _, id := range []string{long, short} {
		output(t, as(t, "root"), "aaau", "send", id, "--enter", "still here")
		peek(t, id, "still here\nstill here")
	}
	refused(t, operator, []string{"max-tapes="}, "aaau", "-p", "id")
	output(t, observer, "aaau", "kill", short)
	refused(t, operator, []string{"max-tapes="}, "aaau", "-p", "id")
	configure(t, "max-tapes=infinity\n")
	output(t, operator, "aaau", "-p", "id")
	output(t, operator, "aaau", "kill", long)

	// What has ended has given its place back.
	configure(t, fmt.Sprintf("max-tapes=%d\n", session.Memory(4<<20, true)))
	for range 3 {
		await(t, "room", func() bool { return run(t, operator, "aaau", "-p", "id").status == 0 })
	}
}
