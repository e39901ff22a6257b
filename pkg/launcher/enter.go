package launcher

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// enter calls f in the mount namespace ns, which the bridge got with a session. There
// f may do what the agent of uid and gid may, and must take its rights first
// (workspace.As). It must not leave its thread, and there is no /proc of ours there.
//
// It refuses namespaces that belong to a user namespace other than ours: anybody can
// make one, and in it a file system of their own that never answers.
func (l *Launcher) enter(ns int, uid, gid uint32, f func() error) error {
	cfg, err := l.Dirs.Load()
	if err != nil {
		return err
	}
	agents, err := l.Dirs.AgentUIDs(cfg)
	if err != nil {
		return err
	}
	if !slices.Contains(agents, uid) || gid == 0 {
		return privsep.Errorf("malformed", "uid %d is not an agent's", uid)
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
			if err := unix.Setns(ns, unix.CLONE_NEWNS); err != nil {
				return fmt.Errorf("entering the session: %w", err)
			}
			return f()
		}()
	}()
	return <-done
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
