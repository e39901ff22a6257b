package launcher

import (
	"fmt"
	"os"
	"os/user"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/workspace"
)

// enter calls f in the mount namespace ns, which the bridge got with a session, with all that
// is mounted there. There f may do what the agent of uid and gid may, and must take its
// rights first (workspace.As). It must not leave its thread, and there is no /proc of ours
// there.
//
// It refuses namespaces that belong to a user namespace other than ours: anybody can
// make one, and in it a file system of their own that never answers. And it refuses those
// that no stage has made, as systemd makes them for services: the bridge is in one.
func (l *Launcher) enter(ns int, uid, gid uint32, f func(mounts []workspace.MountPoint) error) error {
	if err := l.checkAgent(uid, gid); err != nil {
		return err
	}
	if err := checkNamespace(ns); err != nil {
		return err
	}
	done := make(chan error)
	go func() {
		// For good: the thread has another mount namespace, and ends with us. It is
		// never the process's first, which main keeps for itself (see cmd).
		runtime.LockOSThread()
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_FS); err != nil {
				return fmt.Errorf("unshare: %w", err)
			}
			self, err := os.OpenRoot("/proc/thread-self") // of our own /proc, while we see it
			if err != nil {
				return err
			}
			defer self.Close()
			if err := unix.Setns(ns, unix.CLONE_NEWNS); err != nil {
				return fmt.Errorf("entering the session: %w", err)
			}
			text, err := self.ReadFile("mountinfo")
			if err != nil {
				return fmt.Errorf("reading what is mounted in the session: %w", err)
			}
			mounts := workspace.ParseMounts(string(text))
			if !isSessions(mounts) {
				return privsep.Errorf("malformed", "not the mount namespace of a session")
			}
			return f(mounts)
		}()
	}()
	return <-done
}

// checkAgent makes sure that uid is an agent user's, and gid the primary group of it.
func (l *Launcher) checkAgent(uid, gid uint32) error {
	cfg, err := l.Dirs.Load()
	if err != nil {
		return err
	}
	agents, err := l.Dirs.AgentUIDs(cfg)
	if err != nil {
		return err
	}
	refusal := privsep.Errorf("malformed", "uid %d with gid %d is not an agent", uid, gid)
	if uid == 0 || gid == 0 || !slices.Contains(agents, uid) {
		return refusal
	}
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return err
	}
	if u.Gid != strconv.FormatUint(uint64(gid), 10) {
		return refusal
	}
	return nil
}

// isSessions says whether these are the mounts of a session's namespace.
func isSessions(mounts []workspace.MountPoint) bool {
	return slices.ContainsFunc(mounts, func(m workspace.MountPoint) bool {
		return m.Path == "/tmp" && m.Type == "tmpfs" && m.Source == privsep.SessionMount
	})
}

// checkNamespace makes sure that fd is a mount namespace made by root, and not the
// one that we are in. Only the kernel is asked, in its own words for what fd is:
// any file system could be of somebody's making.
func checkNamespace(fd int) error {
	refusal := privsep.Errorf("malformed", "not the mount namespace of a session")
	theirs, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)) // "mnt:[INODE]": namespaces(7)
	if err != nil {
		return err
	}
	ours, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return err
	}
	if !strings.HasPrefix(theirs, "mnt:[") || theirs == ours {
		return refusal
	}
	owner, err := unix.IoctlRetInt(fd, unix.NS_GET_USERNS) // a descriptor, close-on-exec
	if err != nil {
		return refusal
	}
	defer unix.Close(owner)
	theirs, err = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", owner))
	if err != nil {
		return err
	}
	ours, err = os.Readlink("/proc/self/ns/user")
	if err != nil {
		return err
	}
	if theirs != ours {
		return refusal
	}
	return nil
}
