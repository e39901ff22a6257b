// Command bench measures AaaU beside what people use today: a program directly
// on a PTY, systemd-run --pty, and tmux. `make bench` runs it.
//
// All figures of a run come from one throwaway systemd (test/sandbox/run), with
// the subjects taking turns, since a machine is never twice in the same mood:
// compare figures of one run only. The program has three parts:
//
//   - outside the sandbox it runs itself inside, formats what comes back, and
//     stores it as JSON;
//   - inside, as root, it measures, and writes a report to stdout;
//   - as `program` it is what every subject runs, on a terminal of the subject's.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

const sandbox = "test/sandbox/run"

// options say how much to measure.
type options struct {
	json       string
	rounds     int // of start and end
	keys       int // of echo, for each subject
	throughput int // rounds
	size       int // of throughput, in MiB
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == "program" {
		if err := program(os.Args[2]); err != nil {
			fmt.Fprintf(os.Stderr, "bench program: %v\n", err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.StringVar(&o.json, "json", "build/bench.json", "also write the figures to `FILE`")
	flag.IntVar(&o.rounds, "rounds", 40, "starts of each subject")
	flag.IntVar(&o.keys, "keys", 500, "keys typed into each subject")
	flag.IntVar(&o.throughput, "throughput", 5, "rounds of throughput")
	flag.IntVar(&o.size, "size", 64, "`MiB` a round of throughput")
	flag.Parse()
	if flag.NArg() > 0 || o.rounds < 1 || o.keys < 1 || o.throughput < 1 || o.size < 1 {
		flag.Usage()
		os.Exit(2)
	}
	run := outside
	if os.Getenv("AAAU_SANDBOX") != "" {
		run = inside
	}
	if err := run(o); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// outside has the measuring done in the sandbox, which keeps nothing but what it
// writes to stdout.
func outside(o options) error {
	if _, err := os.Stat(sandbox); err != nil {
		return fmt.Errorf("%w: run it in the checkout, with make bench", err)
	}
	if _, err := exec.LookPath("tmux"); err != nil {
		return errors.New("tmux is missing: test/deps check installs it")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// The sandbox is to be taken down by its own hand, whatever ends us.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, sandbox, append([]string{"--bind", self, "--", self}, os.Args[1:]...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("in the sandbox: %w", err)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return fmt.Errorf("reading the sandbox's report: %w", err)
	}
	r.print(os.Stdout)
	if err := os.MkdirAll(filepath.Dir(o.json), 0o755); err != nil {
		return err
	}
	return os.WriteFile(o.json, out.Bytes(), 0o644)
}
