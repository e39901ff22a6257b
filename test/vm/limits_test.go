package vm

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
)

// What the first line says is what the kernel holds the session to.
func TestFirstLineTellsTheKernelsLimits(t *testing.T) {
	for _, test := range []struct{ name, settings, line, memory, tasks string }{
		{"the package's", "", `at most [0-9.]+ [MG]iB memory, 4096 tasks, 4.0 MiB home`, `^[1-9][0-9]{8}$`, "^4096$"},
		{"an administrator's", "MemoryMax=96M\nMemoryHigh=infinity\nMemorySwapMax=0\nTasksMax=40\n", "at most 96 MiB memory, 40 tasks, 4.0 MiB home", "^100663296$", "^40$"},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t, "4M")
			if test.settings != "" {
				limit(t, test.settings)
			}
			s := start(t, as("operator", "script", "-qec", "aaau -- sh -c 'echo begun; exec sleep 1000'", "/dev/null")...)
			await(t, "its program", func() bool { return strings.Contains(s.saying(t), "begun") })
			memory, tasks := s.file(t, "memory.max"), s.file(t, "pids.max")
			if said := s.end(t); !regexp.MustCompile(`aaau: session [^\n]*; ` + test.line + `; `).MatchString(said) {
				t.Errorf("%s", said)
			}
			if !regexp.MustCompile(test.memory).MatchString(memory) || !regexp.MustCompile(test.tasks).MatchString(tasks) {
				t.Errorf("memory.max is %s, pids.max is %s", memory, tasks)
			}
			agent(t, "operator", "echo to be found: '"+test.line+"'")
			limits, peak := recorded(t, "to be found: '"+test.line)
			if limits["MemoryMax"] != memory || limits["TasksMax"] != tasks || limits["CPUWeight"] != "50" || limits["MemoryHigh"] != "" {
				t.Errorf("recorded are %v", limits)
			}
			if peak < 4096 || peak > 64<<20 {
				t.Errorf("at most %d bytes of memory are recorded", peak)
			}
			if test.settings == "" {
				return
			}
			said := agent(t, "operator", `head -c 300M /dev/zero | tail -c 300M | wc -c; echo "tail: ${PIPESTATUS[1]}"`)
			if !regexp.MustCompile(`(?m)^0$`).MatchString(said) || !strings.Contains(said, "tail: 137\n") || !strings.Contains(said, "out of memory (limit 96 MiB, MemoryMax= of aaau-.scope.d): a process of the session was killed") {
				t.Errorf("300 MiB of memory in a session of 96: %s", said)
			}
			said = agent(t, "operator", `sh -c 'i=0; while [ $i -lt 60 ]; do sleep 60 & i=$((i+1)); echo $i; done'; echo over`)
			if !strings.Contains(said, "Cannot fork") || strings.Contains(said, "\n40\n") || !strings.HasSuffix(said, "\nover\n") {
				t.Errorf("60 tasks in a session of 40: %s", said)
			}
		})
	}
}

// recorded is what the record has of the session in whose start this text is: its limits,
// and how much memory it had.
func recorded(t *testing.T, text string) (limits map[string]string, peak int64) {
	t.Helper()
	const dir = "/var/log/aaau"
	id := ""
	for found, err := range audit.Search(dir, audit.Query{Kinds: []audit.Kind{audit.KindSessionStart}, Text: text}) {
		if err != nil {
			t.Fatal(err)
		}
		id = found.SessionID
	}
	for e, err := range audit.Read(dir, id) {
		if err != nil {
			t.Fatal(err)
		}
		switch m, err := e.Decode(); m := m.(type) {
		case *audit.SessionStart:
			limits = m.Limits
		case *audit.SessionEnd:
			if m.MemoryPeak != nil {
				peak = *m.MemoryPeak
			}
		default:
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return limits, peak
}

// limit makes a drop-in of sessions' scopes, for the length of a test.
func limit(t *testing.T, settings string) {
	t.Helper()
	const dir = "/run/systemd/system/aaau-.scope.d"
	root(t, "mkdir", "-p", dir)
	if err := os.WriteFile(dir+"/90-test.conf", []byte("[Scope]\n"+settings), 0o644); err != nil {
		t.Fatal(err)
	}
	root(t, "systemctl", "daemon-reload")
	t.Cleanup(func() {
		root(t, "rm", "-r", dir)
		root(t, "systemctl", "daemon-reload")
	})
}

// On this kernel, and this file system, a workspace is what it is elsewhere.
func TestWorkspaceOnExt4(t *testing.T) {
	begin(t, "4M")
	root(t, as("operator", "sh", "-ec", "rm -rf shop; mkdir shop; echo mine >shop/mine")...)
	said := agent(t, "operator", "pwd; cat mine; echo more >>mine; mkdir d; echo made >d/made; head -c 40M /dev/zero >big; ls -l mine d/made; ls /home/operator /home", "-C", "/home/operator/shop")
	if !regexp.MustCompile(`^/home/operator/shop\nmine\n-\S+ 1 agent agent +5 .* d/made\n-\S+ 1 agent agent +10 .* mine\n/home:\noperator\n\n/home/operator:\nshop\n$`).MatchString(said) {
		t.Errorf("the agent sees %s", said)
	}
	if said := root(t, "sh", "-c", "cd /home/operator/shop; stat -c '%U:%G %n' mine d d/made; stat -c %s big; cat mine"); said != "operator:operator mine\noperator:operator d\noperator:operator d/made\n41943040\nmine\nmore\n" {
		t.Errorf("on disk there is %s", said)
	}
	if id, _ := project(t, "/home/operator/shop/big"); id != 0 {
		t.Errorf("a file of the workspace has project %d", id)
	}
}

// What takes all the memory that a session may have is killed within seconds, by the package's
// own limits, and people are told why: of a child and of the session's program.
func TestMemoryHogIsKilledAndTold(t *testing.T) {
	begin(t, "4M")
	// More than a session may have, and less than the machine's, which the kernel would not promise.
	hog := []string{"dd", "if=/dev/zero", "of=/dev/null", "bs=900M", "count=1"}
	limit := `out of memory \(limit [0-9.]+ [MG]iB, MemoryMax= of aaau-\.scope\.d\)`
	s := start(t, as("operator", "aaau", "--", "sh", "-c", strings.Join(hog, " ")+"; echo over; exec sleep 1000")...)
	// Filling takes its time, for the processor is emulated. What counts is how long it goes on
	// when all is full but a little.
	var most int64
	await(t, "systemd to set its limit", func() (set bool) {
		n, err := strconv.ParseInt(s.file(t, "memory.max"), 10, 64)
		most = n
		return err == nil
	})
	over := func() bool { return strings.Contains(s.saying(t), "over") }
	full := func() bool {
		n, err := strconv.ParseInt(s.file(t, "memory.current"), 10, 64)
		return over() || err == nil && n > most/100*95
	}
	awaitFor(t, 5*patience, "the memory to be full", full)
	began := time.Now()
	await(t, "the hog's end", over)
	took := time.Since(began)
	t.Logf("a child was killed %v after the memory was full", took)
	if took > 30*time.Second {
		t.Errorf("the hog went on for %v with its memory full", took)
	}
	id := strings.TrimSuffix(filepath.Base(s.scope)[strings.LastIndex(filepath.Base(s.scope), "-")+1:], ".scope")
	await(t, "its person to be told", func() bool {
		return regexp.MustCompile(limit + `: a process of the session was killed`).MatchString(s.saying(t))
	})
	if said := root(t, as("operator", "aaau", "status", id)...); !strings.Contains(said, "the kernel killed 1 of its processes") {
		t.Errorf("the status says %s", said)
	}
	said := root(t, "journalctl", "--quiet", "--no-pager", "-x", "AAAU_EVENT=out_of_memory", "AAAU_SESSION="+id)
	if !regexp.MustCompile(limit).MatchString(said) || !strings.Contains(said, "is out of memory") {
		t.Errorf("the journal says %s", said)
	}
	s.end(t)

	// The program itself.
	r := root(t, as("operator", "sh", "-c", `aaau -- "$@" 2>&1; echo status $?`, "sh", hog[0], hog[1], hog[2], hog[3], hog[4])...)
	if !regexp.MustCompile(`aaau: ended: `+limit).MatchString(r) || !strings.Contains(r, "status 137") {
		t.Errorf("its person was told %s", r)
	}
}

// A session whose memory is full of files, which belong to no process, loses its first process last:
// the guard of its repositories is not killed before what it guards against.
func TestStageIsKilledLast(t *testing.T) {
	begin(t, "4M")
	limit(t, "MemoryMax=96M\nMemoryHigh=infinity\nMemorySwapMax=0\n")
	root(t, "dmesg", "--clear")
	s := start(t, as("operator", "aaau", "--", "sh", "-c", `
		echo score $(cat /proc/self/oom_score_adj); echo -1 >/proc/self/oom_score_adj; echo lowered $?
		for i in 1 2 3; do sleep 1000 & done; while :; do dd if=/dev/zero bs=64k count=16 >>/tmp/full; done`)...)
	await(t, "its program", func() bool { return strings.Contains(s.saying(t), "lowered") })
	if said := s.saying(t); !strings.Contains(said, "score 0\n") || strings.Contains(said, "lowered 0\n") {
		t.Errorf("of its own score the agent says %s", said)
	}
	for _, pid := range strings.Fields(s.file(t, "cgroup.procs")) {
		name, err := os.ReadFile("/proc/" + pid + "/comm")
		if err != nil {
			continue // it has ended
		}
		score, err := os.ReadFile("/proc/" + pid + "/oom_score_adj")
		if err == nil && string(name) == "aaau-stage\n" && string(score) != "-900\n" {
			t.Errorf("the stage's score is %s", score)
		}
	}
	killed := func() (names []string) {
		for _, m := range regexp.MustCompile(`Memory cgroup out of memory: Killed process \d+ \(([^)]*)\)`).FindAllStringSubmatch(root(t, "dmesg"), -1) {
			names = append(names, m[1])
		}
		return names
	}
	awaitFor(t, 5*patience, "the kernel to kill its program", func() bool {
		return strings.Contains(strings.Join(killed(), " "), "sh")
	})
	s.end(t)
	t.Logf("killed were %v", killed())
	for i, name := range killed() {
		if name == "aaau-stage" && i < len(killed())-1 {
			t.Errorf("killed were %v", killed())
		}
	}
}
