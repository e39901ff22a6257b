package system

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"testing"
)

// helper is this very test binary, where every user and every session finds it.
// Called by that name it is one of programs.
const helper = "/usr/local/bin/aaau-test"

// programs are what tests run as other users and inside sessions, by the first
// argument. Each gets the others, and returns its exit status.
var programs = map[string]func(args []string) int{
	"abstract": abstractSocket,
	"ptys":     openTerminals,
	"anchor":   askForAnchors,
	"argv":     printArguments,
	"connect":  connectFor,
	"dial":     dial,
	"leader":   leadTerminal,
	"emit":     emit,
	"evil":     beEvil,
	"flood":    flood,
	"follow":   follow,
	"fuzz":     fuzz,
	"spew":     spew,
	"count":    count,
	"typist":   typist,
	"viewers":  beViewers,
	"visit":    connectAndStay,
	"many":     beMany,
	"mute":     keepMute,
	"intrude":  intrude,
	"paste":    paste,
	"say":      say,
	"sum":      sumArgument,
	"stubborn": refuseToEnd,
	"trespass": trespass,
	"hit":      hit,
	"winch":    awaitResize,
	"witness":  beWitness,
}

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == filepath.Base(helper) {
		if len(os.Args) < 2 || programs[os.Args[1]] == nil {
			fmt.Fprintf(os.Stderr, "no such program: %q\n", os.Args[1:])
			os.Exit(254)
		}
		os.Exit(programs[os.Args[1]](os.Args[2:]))
	}
	if os.Getenv("AAAU_SANDBOX") == "" {
		fmt.Fprintln(os.Stderr, "entering the sandbox:", enterSandbox())
		os.Exit(1)
	}
	debug.SetTraceback("all") // for tests that hang
	if err := installHelper(); err != nil {
		fmt.Fprintln(os.Stderr, "installing the tests' own programs:", err)
		os.Exit(1)
	}
	if os.Getenv("AAAU_RACE") != "" {
		if err := beginRaces(); err != nil {
			fmt.Fprintln(os.Stderr, "installing what tells of data races:", err)
			os.Exit(1)
		}
	}
	status := m.Run()
	if os.Getenv("AAAU_RACE") != "" {
		told, err := toldRaces()
		if told != "" || err != nil {
			fmt.Fprintln(os.Stderr, told, err)
			status = 1
		}
	}
	os.Exit(status)
}

// enterSandbox becomes the sandbox's command, which runs the same tests inside: on
// a copy of this machine's root, or of AAAU_SANDBOX_ROOT. It returns only if it
// fails.
func enterSandbox() error {
	run, err := filepath.Abs("../sandbox/run")
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	argv := []string{run, "--bind", self}
	if root := os.Getenv("AAAU_SANDBOX_ROOT"); root != "" {
		if !filepath.IsAbs(root) {
			root = filepath.Join("../..", root) // go test has left the checkout's top for here
		}
		argv = append(argv, "--root", root)
	}
	argv = append(append(argv, "--", self), os.Args[1:]...)
	return fmt.Errorf("%s: %w", run, syscall.Exec(run, argv, os.Environ()))
}

func installHelper() error {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(helper, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, from); err != nil {
		return err
	}
	return to.Close()
}
