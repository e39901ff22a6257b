package stage

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// TestMain lets the test binary be the process that drops, since there is no way
// back from it.
func TestMain(m *testing.M) {
	if os.Getenv("AAAU_TEST_DROP") != "" {
		runtime.LockOSThread()
		var report dropped
		score, err := openScore()
		if err != nil {
			report.Err = err.Error()
		}
		who := account{own: 4320, uid: 4321, gid: 4322, groups: []uint32{4322, 4323}}
		if err := who.drop(); err != nil {
			report.Err = err.Error()
		}
		// A program that is started now.
		_, refused := command{argv: []string{"/bin/cat", "/proc/self/status"}, who: who}.start()
		if refused != nil {
			report.Err += refused.Error()
		}
		if err := score.lower(); err != nil {
			report.Err += err.Error()
		}
		if err := who.renounce(); err != nil {
			report.Err += err.Error()
		}
		adjusted, err := os.ReadFile("/proc/self/oom_score_adj")
		if err != nil {
			report.Err += err.Error()
		}
		report.Score = strings.TrimSpace(string(adjusted))
		own, err := os.ReadFile("/proc/thread-self/status")
		if err != nil {
			report.Err += err.Error()
		}
		report.Stage = string(own)
		json.NewEncoder(os.Stdout).Encode(report)
		return
	}
	os.Exit(m.Run())
}

// dropped is what the process that has dropped tells of itself.
type dropped struct{ Err, Stage, Score string }

// The program is the agent and nothing else; the stage is the agent to file systems, and to
// processes somebody else.
func TestDrop(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test drops root's privileges: run it as root (sudo make check)")
	}
	program, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "AAAU_TEST_DROP=1")
	for fd := privsep.OrdersFD; fd <= privsep.StderrFD; fd++ {
		f := null
		if fd == privsep.StdoutFD {
			f = w
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	out, err := cmd.Output()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	status, err := io.ReadAll(program)
	if err != nil {
		t.Fatal(err)
	}
	var report dropped
	if err := json.Unmarshal(out, &report); err != nil || report.Err != "" {
		t.Fatalf("%v %s", err, report.Err)
	}
	want := lastKilled
	if may, err := permitted(); err != nil {
		t.Fatal(err)
	} else if may&lowering == 0 { // a container
		want = "0"
	}
	if report.Score != want {
		t.Errorf("its score is %q, not %q", report.Score, want)
	}
	checkDropped(t, string(status), "Uid:\t4321\t4321\t4321\t4321")
	checkDropped(t, report.Stage, "Uid:\t4320\t4321\t4320\t4321")
}

func checkDropped(t *testing.T, status, uids string) {
	t.Helper()
	lines := strings.Split(status, "\n")
	for _, want := range []string{
		uids, "Gid:\t4322\t4322\t4322\t4322", "NoNewPrivs:\t1",
		"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000",
		"CapBnd:\t0000000000000000", "CapAmb:\t0000000000000000",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no %q in\n%s", want, status)
		}
	}
	for _, l := range lines {
		if groups, ok := strings.CutPrefix(l, "Groups:"); ok && strings.TrimSpace(groups) != "4322 4323" {
			t.Errorf("groups %s", groups)
		}
	}
}

func TestDropRefusesRoot(t *testing.T) {
	for _, who := range []account{{own: 4, uid: 0, gid: 5}, {own: 4, uid: 5, gid: 0}, {own: 0, uid: 5, gid: 5}, {own: 5, uid: 5, gid: 5}} {
		if err := who.drop(); err == nil {
			t.Errorf("%+v", who)
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
