// Package vm tests what needs a kernel that the throwaway systemd of test/sandbox
// has not: project quotas, and every controller of cgroups.
//
// `go test ./test/vm` starts itself again inside the virtual machine of test/vm/run,
// as test/system does in its sandbox. It needs root, that machine (test/deps vm) and a
// package in dist/ (make deb).
package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// helper is this very test binary, where sessions find it. Called by that name it
// tries to evade.
const helper = "/usr/local/bin/aaau-test"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == filepath.Base(helper) {
		evade(os.Args[1])
		os.Exit(0)
	}
	if runtime.GOARCH != "amd64" {
		fmt.Fprintln(os.Stderr, "skipped: there is a virtual machine for x86-64 only")
		return
	}
	begin := install
	if os.Getenv("AAAU_VM") == "" {
		begin = enter
	}
	if err := begin(); err != nil {
		fmt.Fprintln(os.Stderr, "beginning the tests:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// enter becomes the machine's command, which runs the same tests inside. It returns
// only if it fails.
func enter() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	run, err := filepath.Abs("run")
	if err != nil {
		return err
	}
	argv := append([]string{run, "--copy", self, "--", self}, os.Args[1:]...)
	return fmt.Errorf("%s: %w", run, syscall.Exec(run, argv, os.Environ()))
}

func install() error {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	return os.WriteFile(helper, self, 0o755)
}
