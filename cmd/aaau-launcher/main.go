// Command aaau-launcher is the root half of AaaU. systemd starts it through
// aaau-launcher.socket; it takes no options, and decides from root's files only.
// Started by itself as aaau-stage, it is the first process of a session.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/launcher"
	"github.com/AgentaaU/AaaU/pkg/stage"
	"github.com/AgentaaU/AaaU/pkg/version"
)

// The first thread stays main's: other goroutines change what is the thread's own.
func init() { runtime.LockOSThread() }

func main() {
	if os.Args[0] == stage.Name {
		os.Exit(stage.Main())
	}
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println("aaau-launcher version", version.Version)
		return
	}
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "aaau-launcher: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	listeners, err := activation.Listeners()
	if err != nil {
		return fmt.Errorf("taking the socket from systemd: %w", err)
	}
	if len(listeners) != 1 {
		return errors.New("systemd passed no socket: start aaau-launcher.socket instead")
	}
	ln, ok := listeners[0].(*net.UnixListener)
	if !ok {
		return errors.New("systemd passed a socket that is not a local one")
	}
	ln.SetUnlinkOnClose(false) // it is systemd's
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	logger := journal.Open()
	defer logger.Close()
	l := &launcher.Launcher{Dirs: config.System, Log: logger, BootID: strings.TrimSpace(string(boot))}
	if _, err := daemon.SdNotify(true, daemon.SdNotifyReady); err != nil {
		return err
	}
	return l.Serve(ctx, ln)
}
