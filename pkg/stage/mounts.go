package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// private is what every session has for itself, empty at its start. Memory that
// it takes counts for the session's scope.
//
// Each is called privsep.SessionMount, by which the launcher knows a session's mount
// namespace.
var private = []struct {
	dir, kind, options string
	optional           bool // not every machine has it
}{
	{"/tmp", "tmpfs", "mode=1777", false},
	{"/var/tmp", "tmpfs", "mode=1777", false},
	{"/dev/shm", "tmpfs", "mode=1777", false},
	{"/run/lock", "tmpfs", "mode=1777", true},
	{"/dev/mqueue", "mqueue", "", true}, // shows the queues of the session's own ipc namespace
}

// mounts makes the session's view: the machine's file systems, with its own
// /proc, terminals and temporary directories. Nothing that is mounted here is
// seen outside; what the machine mounts or unmounts later is seen here.
func mounts() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("separating the mount namespace: %w", err)
	}
	if err := uncover("/proc"); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if err := uncover("/dev/pts"); err != nil {
		return err
	}
	if err := unix.MoveMount(privsep.DevptsFD, "", unix.AT_FDCWD, "/dev/pts", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mounting /dev/pts: %w", err)
	}
	unix.Close(privsep.DevptsFD)
	for _, p := range private {
		if err := uncover(p.dir); err != nil {
			return err
		}
		err := unix.Mount(privsep.SessionMount, p.dir, p.kind, unix.MS_NOSUID|unix.MS_NODEV, p.options)
		// A kernel without message queues has no such file system (ENODEV).
		if p.optional && (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV)) {
			continue
		}
		if err != nil {
			return fmt.Errorf("mounting %s: %w", p.dir, err)
		}
	}
	if err := hideCommon(); err != nil {
		return err
	}
	// A file system of the agent's own, in a user namespace of its own, could tell
	// overlayfs of setuid files, which that would then copy into people's directories,
	// past the filter (filter.go).
	err := unix.Mount("/dev/null", "/dev/fuse", "", unix.MS_BIND, "")
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("hiding /dev/fuse: %w", err)
	}
	return nil
}

// uncover takes away what is mounted at a directory, so that the session's own mount there is
// the only one: programs that look for one find the first (findmnt(8)).
func uncover(dir string) error {
	const most = 16
	for range most {
		var about unix.Statx_t
		err := unix.Statx(unix.AT_FDCWD, dir, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &about)
		if errors.Is(err, unix.ENOENT) || err == nil && about.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0 {
			return nil
		}
		if err == nil {
			err = unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		}
		if err != nil {
			return fmt.Errorf("unmounting what is at %s: %w", dir, err)
		}
	}
	return fmt.Errorf("more than %d mounts are at %s", most, dir)
}

// setLoginUID names the human in the kernel's audit trail (pam_loginuid(8)).
// Anybody may write it while it is unset, so the stage does before the agent
// can; it stays as it is where the launcher was started from a login, and where
// the kernel has no audit.
func setLoginUID(uid uint32) error {
	const file = "/proc/self/loginuid"
	const unset = "4294967295"
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(b)) != unset {
		return nil
	}
	return os.WriteFile(file, []byte(strconv.FormatUint(uint64(uid), 10)), 0)
}
