package scope

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestCgroup(t *testing.T) {
	g := cgroup(t.TempDir())
	if all, u := g.properties(), g.used(); len(all) != 0 || u != (Use{}) {
		t.Errorf("without controllers: %v, %v", all, u)
	}
	if got := g.missing(); !slices.Equal(got, []string{"memory", "pids"}) {
		t.Errorf("without controllers %v are missing", got)
	}
	if got := (g + "/gone").missing(); got != nil {
		t.Errorf("of a group that is gone %v are missing", got)
	}
	for file, text := range map[string]string{
		"memory.high": "max\n", "memory.max": "1073741824\n", "memory.swap.max": "0\n", "memory.peak": "4096\n",
		"pids.max": "4096\n", "cpu.weight": "50\n", "cpu.max": "150000 100000\n", "cpu.stat": "usage_usec 1234567\nuser_usec 1\nsystem_usec 2\n",
	} {
		if err := os.WriteFile(filepath.Join(string(g), file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{"MemoryMax": "1073741824", "MemorySwapMax": "0", "TasksMax": "4096", "CPUWeight": "50", "CPUQuota": "150%"}
	if got := g.properties(); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := g.missing(); got != nil {
		t.Errorf("%v are missing", got)
	}
	for text, want := range map[string]string{"cpuset cpu io memory pids\n": "[]", "cpu memory": "[pids]", "": "[memory pids]"} {
		if got := fmt.Sprint(missingIn(text, nil)); got != want {
			t.Errorf("of %q %s are missing", text, got)
		}
	}
	if got := missingIn("memory pids", os.ErrNotExist); len(got) != 2 {
		t.Errorf("without the file %v are missing", got)
	}
	if u := g.used(); *u.MemoryPeak != 4096 || *u.CPU != 1234567 {
		t.Errorf("%d, %d", *u.MemoryPeak, *u.CPU)
	}
	for text, want := range map[string]Starved{
		"low 0\noom 0\noom_kill 0\noom_group_kill 0\n": {},
		"low 0\noom 3\noom_kill 2\noom_group_kill 0\n": {Killed: 2, Limit: 1 << 30},
		"low 0\noom 0\noom_kill 1\noom_group_kill 0\n": {Killed: 1}, // another limit than the session's own
		"oom_kill": {},
	} {
		if err := os.WriteFile(filepath.Join(string(g), memoryEvents), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := g.starved(); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
	if err := os.WriteFile(filepath.Join(string(g), "cpu.max"), []byte("max 100000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := g.properties()["CPUQuota"]; got != "" {
		t.Errorf("without a quota there is one of %s", got)
	}
}
