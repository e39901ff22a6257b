package stage

import (
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestMain lets the test binary be the process that drops, since there is no way
// back from it.
func TestMain(m *testing.M) {
	if os.Getenv("AAAU_TEST_DROP") != "" {
		runtime.LockOSThread()
		report := struct{ Err, Status string }{}
		if err := drop(4321, 4322, []uint32{4322, 4323}); err != nil {
			report.Err = err.Error()
		}
		// What a program that is started now would have.
		out, err := exec.Command("cat", "/proc/self/status").Output()
		if err != nil {
			report.Err += err.Error()
		}
		report.Status = string(out)
		json.NewEncoder(os.Stdout).Encode(report)
		return
	}
	os.Exit(m.Run())
}

func TestDrop(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test drops root's privileges: run it as root (sudo make check)")
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "AAAU_TEST_DROP=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var report struct{ Err, Status string }
	if err := json.Unmarshal(out, &report); err != nil || report.Err != "" {
		t.Fatalf("%v %s", err, report.Err)
	}
	lines := strings.Split(report.Status, "\n")
	for _, want := range []string{
		"Uid:\t4321\t4321\t4321\t4321", "Gid:\t4322\t4322\t4322\t4322", "NoNewPrivs:\t1",
		"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000",
		"CapBnd:\t0000000000000000", "CapAmb:\t0000000000000000",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no %q in\n%s", want, report.Status)
		}
	}
	for _, l := range lines {
		if groups, ok := strings.CutPrefix(l, "Groups:"); ok && strings.TrimSpace(groups) != "4322 4323" {
			t.Errorf("groups %s", groups)
		}
	}
}

func TestDropRefusesRoot(t *testing.T) {
	for _, ids := range [][2]uint32{{0, 5}, {5, 0}} {
		if err := drop(ids[0], ids[1], nil); err == nil {
			t.Errorf("%v", ids)
		}
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"good": 0o755, "plain": 0o644} {
		if err := os.WriteFile(dir+"/"+name, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir+"/folder", 0o755); err != nil {
		t.Fatal(err)
	}
	path := "/nosuch:relative:" + dir
	for name, code := range map[string]string{
		"good": "", dir + "/good": "", "plain": "program-not-executable", dir + "/plain": "program-not-executable",
		"folder": "program-not-executable", "nosuch": "program-not-found", dir + "/nosuch": "program-not-found",
	} {
		got, err := find(name, path)
		if code == "" && (err != nil || got != dir+"/good") || code != "" && (err == nil || err.Code != code) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
