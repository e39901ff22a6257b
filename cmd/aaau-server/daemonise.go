package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/scope"
)

// daemonise runs the same command, but for -d, as a transient service, and
// returns when it is ready. The service is named after its socket.
func daemonise(c *cli.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("-d asks systemd for a service, which only root may: sudo aaau-server run -d")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	socket, err := filepath.Abs(c.String("socket"))
	if err != nil {
		return err
	}
	argv := []string{self, "run", "--socket", socket}
	for _, name := range []string{"group", "user"} {
		if v := c.String(name); v != "" {
			argv = append(argv, "--"+name, v)
		}
	}
	for _, name := range []string{"log-dir", "pid-file", "lock-file"} {
		if v := c.String(name); v != "" {
			if v, err = filepath.Abs(v); err != nil {
				return err
			}
			argv = append(argv, "--"+name, v)
		}
	}
	sum := sha256.Sum256([]byte(socket))
	unit := fmt.Sprintf("aaau-run-%x.service", sum[:4])
	systemd, err := scope.Connect(c.Context)
	if err != nil {
		return err
	}
	defer systemd.Close()
	err = systemd.StartService(unit, "AaaU: a bridge at "+socket, argv)
	if errors.Is(err, scope.ErrExists) {
		return fmt.Errorf("a bridge runs at %s already: sudo systemctl stop %s", socket, unit)
	}
	if err != nil {
		return fmt.Errorf("%w (see journalctl -u %s)", err, unit)
	}
	fmt.Printf("The bridge runs as %s at %s.\nIts log: journalctl -u %s    To end it: sudo systemctl stop %s\n", unit, socket, unit, unit)
	return nil
}
