package system

import (
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// What takes real time, all at once: who connects and says nothing is dropped
// after a while, who only watches is not, in either version, and who waits for a
// session that waits for a person costs nothing.
func TestTimePasses(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	began := time.Now()
	watching := speak1(t, connect(t, as(t, "observer"), 1)[0], "SESSION:"+s.id+"\n")
	if _, why := watching.opened(); why != "" {
		t.Fatal(why)
	}
	watching2 := speak2(t, connect(t, as(t, "observer"), 1)[0], nil)
	if _, note := watching2.open(wire.OpenRequest{Attach: s.id, ReadOnly: true}); note != nil {
		t.Fatal(note)
	}
	mute := map[string]*background{
		"bridge": start(t, evilBridge(t), nil, "mute", "unixpacket", launcherSocket),
		"client": start(t, as(t, "operator"), nil, "mute", "unix", serverSocket),
	}
	for name, m := range mute {
		if got := m.line(); got != "connected" {
			t.Fatalf("the mute %s is %q", name, got)
		}
	}

	const span, most = 2 * time.Second, 20 * time.Millisecond // two ticks
	services := []string{"aaau.service", "aaau-launcher.service"}
	used := map[string]time.Duration{}
	for range 3 { // what came before may still be going on
		before := map[string]time.Duration{}
		for _, service := range services {
			before[service] = cpuTime(t, service)
		}
		time.Sleep(span) // the very thing that is measured
		idle := true
		for _, service := range services {
			used[service] = cpuTime(t, service) - before[service]
			idle = idle && used[service] <= most
		}
		if idle {
			break
		}
	}
	for service, used := range used {
		if used > most {
			t.Errorf("%s is idle, and has used %v within %v", service, used, span)
		}
	}

	for name, m := range mute {
		if got := m.line(); !strings.HasPrefix(got, "dropped") {
			t.Errorf("the mute %s is %q after %v", name, got, time.Since(began))
		}
	}
	if took := time.Since(began); took < 5*time.Second {
		t.Errorf("a mute client has no more time than %v", took)
	}
	s.prints("echo still-$((6*7))", "still-42")
	_ = watching.conn.SetDeadline(time.Now().Add(patience))
	watching.until(&watching.out, "still-42")
	_ = watching2.conn.SetDeadline(time.Now().Add(patience))
	for !strings.Contains(watching2.out.String(), "still-42") {
		if note := watching2.next(nil, wire.Output); note != nil {
			t.Fatalf("who watches was dropped: %+v", note)
		}
	}
	s.close()
}

// keepMute connects, says nothing, and tells when it is dropped.
func keepMute(args []string) int {
	c, err := net.Dial(args[0], args[1])
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("connected")
	said, err := io.ReadAll(c)
	fmt.Printf("dropped: %q, %v\n", said, err)
	return 0
}

// cpuTime is what a service has used so far.
func cpuTime(t *testing.T, service string) time.Duration {
	t.Helper()
	stat, err := os.ReadFile("/sys/fs/cgroup/system.slice/" + service + "/cpu.stat")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`usage_usec (\d+)`).FindSubmatch(stat)
	if m == nil {
		t.Fatalf("no usage in %q", stat)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n) * time.Microsecond
}
