package system

import (
	"fmt"
	"os"
	"os/user"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the launcher's unit, systemd's manager or the machine's administrator set
// for themselves must not reach agents unnoticed: an agent's status and limits
// are compared with a file that people read in reviews.
func TestStatusAndLimitsAreTheGoldenOnes(t *testing.T) {
	begin(t)
	status := agentStatus(t, output(t, as(t, "operator"), "aaau", "-p", "cat /proc/self/status"))
	limits := agentLimits(t, output(t, as(t, "operator"), "aaau", "-p", "cat /proc/self/limits"))
	got := status + agentTurn(output(t, as(t, "operator"), "aaau", "-p", "cat /proc/self/stat")) + "\n" + limits
	golden, err := os.ReadFile("testdata/agent.golden")
	if err != nil {
		t.Error(err)
	}
	if got == string(golden) {
		return
	}
	want := strings.Split(string(golden), "\n")
	for line := range strings.Lines(got) {
		if line = strings.TrimSuffix(line, "\n"); !slices.Contains(want, line) {
			t.Errorf("not golden: %s", line)
		}
	}
	// Nothing that a test writes leaves the sandbox.
	t.Errorf("the golden file is:\n%s\nan agent's status and limits are:\n%s", golden, got)
}

// agentStatus keeps what tells a process's rights, with names for numbers.
func agentStatus(t *testing.T, text string) string {
	t.Helper()
	keys := strings.Fields("Umask Uid Gid Groups SigBlk SigIgn SigCgt CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp")
	var kept strings.Builder
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if !slices.Contains(keys, key) {
			continue
		}
		fields := strings.Fields(value)
		for i, f := range fields {
			switch key {
			case "Uid":
				u, err := user.LookupId(f)
				if err != nil {
					t.Fatal(err)
				}
				fields[i] = u.Username
			case "Gid", "Groups":
				g, err := user.LookupGroupId(f)
				if err != nil {
					t.Fatal(err)
				}
				fields[i] = g.Name
			}
		}
		fmt.Fprintf(&kept, "%-11s %s\n", key, strings.Join(fields, " "))
	}
	return kept.String()
}

// agentTurn is how the kernel schedules it, of proc_pid_stat(5).
func agentTurn(text string) string {
	fields := strings.Fields(text[strings.LastIndex(text, ")")+1:]) // from the third on
	return fmt.Sprintf("%-11s %s\n%-11s %s\n%-11s %s\n", "Nice", fields[19-3], "Realtime", fields[40-3], "Policy", fields[41-3])
}

// limitForm is a line of /proc/PID/limits: name, soft and hard limit.
var limitForm = regexp.MustCompile(`(?m)^(Max .*?)  +(\S+) +(\S+)`)

// agentLimits are all limits. Some depend on the machine, on its memory or on who
// booted it: there an agent must have what any plain service of the machine has.
func agentLimits(t *testing.T, text string) string {
	t.Helper()
	machines := []string{"Max core file size", "Max processes", "Max open files", "Max locked memory", "Max pending signals"}
	service := map[string][]string{}
	reference := output(t, as(t, "root"), "systemd-run", "--quiet", "--pipe", "--wait", "cat", "/proc/self/limits")
	for _, m := range limitForm.FindAllStringSubmatch(reference, -1) {
		service[m[1]] = m[2:]
	}
	var kept strings.Builder
	for _, m := range limitForm.FindAllStringSubmatch(text, -1) {
		name, soft, hard := m[1], m[2], m[3]
		if slices.Contains(machines, name) {
			if soft == service[name][0] && name != "Max open files" { // 1024 is a promise
				soft = "machine"
			}
			if hard == service[name][1] {
				hard = "machine"
			}
		}
		fmt.Fprintf(&kept, "%-21s %-10s %s\n", name, soft, hard)
	}
	return kept.String()
}
