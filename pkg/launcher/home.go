package launcher

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// stateDir holds the agents' homes: AGENT, a mount point that is an agent's $HOME,
// and beneath homes, which is root's and closed, AGENT/UID for each person.
const stateDir = "/var/lib/aaau"

// openHome opens the home that the agent has for a human, and makes it if it is
// missing: a detached mount, the caller's to close. It says whether the kernel holds
// the home to most bytes; see bound.
func openHome(agent string, uid, gid, human uint32, most int64) (mount int, bounded bool, err error) {
	dir := homeDir(agent, human)
	for _, d := range []string{filepath.Dir(filepath.Dir(dir)), filepath.Dir(dir), dir} {
		if err := os.Mkdir(d, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return -1, false, privsep.Errorf("home-missing", "making the agent's home: %v: sudo systemd-tmpfiles --create", err)
		}
	}
	fi, err := os.Lstat(dir)
	if err != nil {
		return -1, false, err
	}
	// Root's: it was made just now, or by a launcher that got no further.
	st := fi.Sys().(*syscall.Stat_t)
	if !fi.IsDir() || st.Uid != 0 && st.Uid != uid {
		return -1, false, privsep.Errorf("home-missing", "%s is not the agent's: sudo chown -R %d:%d %[1]s", dir, uid, gid)
	}
	if bounded, err = bound(dir, most); err != nil {
		return -1, false, err
	}
	if st.Uid == 0 {
		if err := os.Lchown(dir, int(uid), int(gid)); err != nil {
			return -1, false, fmt.Errorf("giving the agent its home: %w", err)
		}
	}
	mount, err = unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return -1, false, fmt.Errorf("cloning the mount of %s: %w", dir, err)
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV, Propagation: unix.MS_PRIVATE}
	if err := unix.MountSetattr(mount, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		unix.Close(mount)
		return -1, false, fmt.Errorf("protecting the mount of %s: %w", dir, err)
	}
	return mount, bounded, nil
}
