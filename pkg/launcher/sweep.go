package launcher

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/workspace"
)

const (
	// sweepTime bounds one sweep of all directories of a session.
	sweepTime = 20 * time.Second
	// maxSwept is how many files are named in the answer.
	maxSwept = 20
)

// sweep takes the setuid and setgid bits from files of people's that changed in a session which
// has ended, where no client of the owner does it. It works in the session's mount namespace with the
// agent's rights: so it does nothing that the agent could not do.
func (l *Launcher) sweep(c *net.UnixConn, s privsep.Sweep, ns int) error {
	ctx, cancel := context.WithTimeout(context.Background(), sweepTime)
	defer cancel()
	c.SetDeadline(time.Now().Add(sweepTime + patience))
	var swept []string
	err := l.enter(ns, s.UID, s.GID, func(mounts []workspace.MountPoint) error {
		return workspace.As(s.UID, s.GID, func() (err error) {
			for _, m := range mounts {
				if m.Idmapped() {
					err = errors.Join(err, sweepMount(ctx, m.Path, s, &swept))
				}
			}
			return err
		})
	})
	for _, file := range swept {
		l.Log.Tell(journal.Control, journal.About{}, "took the setuid and setgid bits from %.200q", file)
	}
	if err != nil {
		return err
	}
	return privsep.Send(c, privsep.Reply{Swept: swept})
}

// sweepMount is sweep for one mount.
func sweepMount(ctx context.Context, root string, s privsep.Sweep, swept *[]string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(root, &fs); err != nil {
		return fmt.Errorf("looking for setuid files in %.200q: %w", root, err)
	}
	if fs.Flags&unix.ST_RDONLY != 0 {
		return nil
	}
	// A write through shared memory leaves no time stamp there (pkg/project, timeless).
	timeless := fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC
	var failed []error
	err := walk(ctx, root, func(in *directory, dir int, name string, st unix.Stat_t) error {
		const bits = unix.S_ISUID | unix.S_ISGID
		if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&bits == 0 || st.Uid != s.UID || !timeless && st.Ctim.Sec < s.Since {
			return nil
		}
		if err := clearBits(dir, name, st.Mode&0o7777&^bits); err != nil {
			failed = append(failed, fmt.Errorf("%.200q is setuid or setgid: %w", filepath.Join(in.path(), name), err))
		} else if len(*swept) < maxSwept {
			*swept = append(*swept, filepath.Join(root, in.path(), name))
		}
		return nil
	}, func(dir string, err error) bool {
		failed = append(failed, fmt.Errorf("%.200q: %w", dir, err))
		return len(failed) < maxSwept
	})
	if err = errors.Join(append(failed, err)...); err != nil {
		return fmt.Errorf("looking for setuid files in %.200q: %w", root, err)
	}
	return nil
}

// clearBits changes the mode of a file, but of nothing that a link leads to.
func clearBits(dir int, name string, mode uint32) error {
	err := unix.Fchmodat(dir, name, mode, unix.AT_SYMLINK_NOFOLLOW) // from Linux 6.6
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fchmod(fd, mode)
}
