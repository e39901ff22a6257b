package vm

import (
	"os"
	"regexp"
	"strings"
	"testing"
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
			if test.settings == "" {
				return
			}
			said := agent(t, "operator", `head -c 300M /dev/zero | tail -c 300M | wc -c; echo "tail: ${PIPESTATUS[1]}"`)
			if said != "0\ntail: 137\n" {
				t.Errorf("300 MiB of memory in a session of 96: %s", said)
			}
			said = agent(t, "operator", `sh -c 'i=0; while [ $i -lt 60 ]; do sleep 60 & i=$((i+1)); echo $i; done'; echo over`)
			if !strings.Contains(said, "Cannot fork") || strings.Contains(said, "\n40\n") || !strings.HasSuffix(said, "\nover\n") {
				t.Errorf("60 tasks in a session of 40: %s", said)
			}
		})
	}
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
