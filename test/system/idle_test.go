package system

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// idle is for how long the idle bridge is looked at: a third of a minute here, and more
// for a soak.
func idle() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("AAAU_IDLE")); err == nil {
		return d
	}
	return 20 * time.Second
}

// A bridge with sessions in which nothing happens, and with people in some of them, does
// nothing: three context switches a minute, of which Go's own runtime makes two.
//
// The kernel does not bound the homes here, so the bridge looks how full they are: a minute
// after the last that happened, and then once in a quarter of an hour.
func TestIdleBridge(t *testing.T) {
	beginLong(t, 2*time.Minute+4*idle())
	operator := as(t, "operator")
	for range 15 {
		began(t, operator, "/", "--", "cat")
	}
	var shells []shell
	for range 5 {
		shells = append(shells, openShell(t, operator))
	}
	tries := 4 // a busy machine makes switches that are not ours, and once, a minute after the start, the bridge looks at room and anchors
	if idle() > 20*time.Second {
		time.Sleep(70 * time.Second) // that minute
		tries = 1
	}
	last, still := -1, 0
	for range 15 { // what was begun is done
		now := switches(t, "aaau.service")
		if still++; now != last {
			last, still = now, 0
		}
		if still == 3 {
			break
		}
		time.Sleep(time.Second)
	}
	most, made := int(idle()*3/time.Minute), 0
	for range tries {
		last = switches(t, "aaau.service")
		time.Sleep(idle()) // the very thing that is measured
		made = switches(t, "aaau.service") - last
		t.Logf("%d context switches in %v", made, idle())
		if made <= most {
			break
		}
	}
	if made > most {
		t.Errorf("more than %d", most)
	}
	for _, s := range shells {
		s.close()
	}
}

// switches is how many context switches all threads of a service's process have made.
func switches(t *testing.T, service string) (n int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", mainPID(t, service)))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("%v %v", tasks, err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`voluntary_ctxt_switches:\s+(\d+)`).FindAllSubmatch(text, -1) {
			made, _ := strconv.Atoi(string(m[1]))
			n += made
		}
	}
	return n
}
