package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/bridge"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/fdstore"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/version"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

func runCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "be the bridge: on the sockets that systemd passed, or by hand on one of its own",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "socket", Aliases: []string{"s"}, Value: wire.DefaultSocket, Usage: "listen at `PATH`, where systemd passed no socket"},
			&cli.StringFlag{Name: "group", Aliases: []string{"g"}, Usage: "members of `GROUP` may connect (default: group= of aaau.conf)"},
			&cli.StringFlag{Name: "user", Aliases: []string{"u"}, Usage: "run agents as `USER`, one of agent-users= of aaau.conf"},
			&cli.StringFlag{Name: "log-dir", Aliases: []string{"l"}, Value: "/var/log/aaau", Usage: "keep the record in `DIR`"},
			&cli.StringFlag{Name: "pid-file", Aliases: []string{"p"}, Usage: "write the process id to `FILE`"},
			&cli.BoolFlag{Name: "daemon", Aliases: []string{"d"}, Usage: "hand over to systemd, as a transient service"},
			&cli.StringFlag{Name: "lock-file", Usage: "hold a lock on `FILE`, so that one bridge runs at a time"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return fmt.Errorf("run takes no arguments, but there is %q", c.Args().First())
			}
			if c.Bool("daemon") {
				return daemonise(c)
			}
			return run(c)
		},
	}
}

func run(c *cli.Context) error {
	collectWhenGrown()
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // one that comes early waits
	defer signal.Stop(hangups)
	log := journal.Open()
	defer log.Close()
	listeners, stored, err := passed()
	if err != nil {
		return err
	}
	var b *bridge.Bridge
	var cfg config.Config
	var policy auth.Policy
	configure := func() (err error) {
		if cfg, policy, err = configured(config.System, c.String("group")); err == nil {
			b = bridge.FromConfig(config.System, cfg, policy)
		}
		return err
	}
	if store := fdstore.New(); store != nil && len(listeners) > 0 { // a service with a socket
		var record *audit.Store
		stored, marked := unmarked(stored)
		err = holdOn(ctx, store, marked, log, listeners, func() error {
			err := configure()
			if err == nil {
				record, err = openRecord(c, log)
			}
			return err
		})
		if err == nil && ctx.Err() == nil {
			b.Store, b.Stored, b.Record = store, stored, record
		}
	} else {
		err = configure()
	}
	if err != nil || ctx.Err() != nil {
		return err
	}
	b.AgentUser, b.LauncherSocket, b.Log = c.String("user"), privsep.LauncherSocket, log
	tellDoubts(b, policy)

	unlock, err := lock(c.String("lock-file"))
	if err != nil {
		return err
	}
	defer unlock()
	if f := c.String("pid-file"); f != "" {
		if err := os.WriteFile(f, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
			return fmt.Errorf("writing the pid file: %w", err)
		}
		// In a directory of root's it stays, for we are root no more; the next
		// bridge writes over it.
		defer os.Remove(f)
	}
	if len(listeners) == 0 {
		ln, err := listen(c.String("socket"), int(policy.Group))
		if err != nil {
			return err
		}
		listeners = append(listeners, ln)
		b.Log.Tell(journal.BridgeStart, journal.About{}, "listening at %s for group %s", c.String("socket"), cfg.Group)
	}
	if os.Geteuid() == 0 {
		if err := dropRoot(cfg.BridgeUser); err != nil {
			return err
		}
	}
	if b.Record == nil { // by hand: it is to be the bridge's user's
		if b.Record, err = openRecord(c, log); err != nil {
			return err
		}
	}
	defer b.Record.Close()
	if err := b.Record.Bridge().Announce(); err != nil {
		b.Log.Printf("the record has a hole: %v", err)
	}
	if _, err := daemon.SdNotify(true, daemon.SdNotifyReady); err != nil {
		return fmt.Errorf("telling systemd: %w", err)
	}
	var reloading sync.WaitGroup
	reloading.Go(func() { reloadAtSignal(ctx, b, hangups, c.String("group")) })
	defer func() { stop(); reloading.Wait() }()
	return b.Serve(ctx, listeners...)
}

func openRecord(c *cli.Context, log *journal.Log) (*audit.Store, error) {
	record, err := audit.Open(c.String("log-dir"), audit.Options{
		Version: version.Version,
		OnError: func(chain string, err error) { log.Printf("the record of %s: %v", chain, err) },
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: sudo aaau-server init -l DIR makes such a directory", err)
	}
	return record, err
}

// passed are the sockets that systemd passed, if it did, and what an earlier bridge
// has stored with it. A session is stored under its id, a socket goes by its unit's.
func passed() (listeners []*net.UnixListener, stored []bridge.Parcel, err error) {
	for _, f := range activation.Files(true) {
		if !strings.Contains(f.Name(), ".") {
			fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				return nil, nil, fmt.Errorf("taking what was stored: %w", err)
			}
			stored = append(stored, bridge.Parcel{Name: f.Name(), FD: fd})
			f.Close()
			continue
		}
		l, err := net.FileListener(f)
		f.Close()
		if err != nil {
			return nil, nil, fmt.Errorf("taking sockets from systemd: %w", err)
		}
		u, ok := l.(*net.UnixListener)
		if !ok {
			return nil, nil, errors.New("systemd passed a socket that is not a local one")
		}
		u.SetUnlinkOnClose(false) // it is systemd's
		listeners = append(listeners, u)
	}
	return listeners, stored, nil
}

// listen opens a socket at path for the group. One that a dead bridge left
// behind is replaced; one that is in use, or no socket, is not.
func listen(path string, gid int) (*net.UnixListener, error) {
	if fi, err := os.Lstat(path); err == nil {
		if fi.Mode()&os.ModeSocket == 0 {
			return nil, fmt.Errorf("%s is there and is no socket: choose another with -s", path)
		}
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return nil, fmt.Errorf("another bridge listens at %s: sudo systemctl stop aaau.socket aaau.service, or choose another with -s", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("removing a dead bridge's socket: %w", err)
		}
	}
	// Nobody's until it is the group's.
	old := unix.Umask(0o177)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("listening: %w (does %s exist? sudo systemd-tmpfiles --create)", err, filepath.Dir(path))
	}
	if err := errors.Join(os.Chown(path, -1, gid), os.Chmod(path, 0o660)); err != nil {
		ln.Close()
		return nil, fmt.Errorf("giving the socket to the group: %w", err)
	}
	return ln, nil
}

// lock takes the lock file, if one is named. A file that a dead bridge left
// behind is not locked: the kernel gave its lock back.
func lock(path string) (unlock func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the lock file: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another bridge holds the lock %s", path)
	}
	return func() { f.Close() }, nil
}

// dropRoot makes a bridge that root started by hand what the service is: the
// bridge's user, with no privilege.
func dropRoot(name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("the bridge's user %q does not exist: run aaau-server init", name)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	// The syscall package's act on every thread; leaving uid 0 clears the
	// capabilities (capabilities(7)).
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setresgid(gid, gid, gid), syscall.Setresuid(uid, uid, uid)); err != nil {
		return fmt.Errorf("becoming %s: %w", name, err)
	}
	return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}
