package stage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/workspace"
)

// runtimeDirs is where users have their XDG_RUNTIME_DIR.
const runtimeDirs = "/run/user"

// view makes what the session sees of people's files: the hidden directories are
// empty but for its mounts, which are at their own names. It returns the variables
// that say so.
//
// Names are walked without following any link but the hidden directories' own. Some of these
// directories are the administrator's to name; the person's home, and a closed directory above
// a workspace, may be links of the person's. Wherever those lead, only an empty file system is
// mounted there, in the session's own mount namespace. A directory that is missing on the way is made, but
// only on a file system that the session has for itself.
func view(o privsep.Orders, fds []int) (env []string, err error) {
	defer privsep.Close(fds...)
	if len(fds) != len(o.Mounts) {
		return nil, fmt.Errorf("%d mounts with %d descriptors", len(o.Mounts), len(fds))
	}
	own, err := ownDevices()
	if err != nil {
		return nil, err
	}
	hide := func(dir string) error {
		dir, err := filepath.EvalSymlinks(dir)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err == nil {
			err = unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755")
		}
		var st unix.Stat_t
		if err == nil {
			err = unix.Stat(dir, &st)
		}
		if err != nil {
			return fmt.Errorf("hiding %s: %w", dir, err)
		}
		own = append(own, st.Dev)
		return nil
	}
	for _, dir := range o.Hidden {
		if err := hide(string(dir)); err != nil {
			return nil, err
		}
	}
	for i, m := range o.Mounts {
		at, err := place(string(m.Path), own)
		if errors.Is(err, unix.ENOENT) && string(m.Path) == o.Home {
			return nil, privsep.Errorf("home-missing", "the agent's home %s is missing: sudo systemd-tmpfiles --create", o.Home)
		}
		if err != nil {
			return nil, err
		}
		err = unix.MoveMount(fds[i], "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
		unix.Close(at)
		if err != nil {
			return nil, fmt.Errorf("mounting %s: %w", m.Path, err)
		}
	}
	for _, m := range o.Mounts {
		if err := alias(string(m.Alias), string(m.Path), own); err != nil {
			return nil, err
		}
		if err := workspace.Lock(string(m.Path), m.Lock, o.UID, o.GID); err != nil {
			return nil, err
		}
	}
	for _, stub := range o.Stubs {
		if err := alias(stub, "(not shared with this session)", own); err != nil {
			return nil, err
		}
	}
	if err := keepPath(pathOf(o.Env)); err != nil {
		return nil, fmt.Errorf("having login shells keep PATH: %w", err)
	}
	if _, err := os.Stat(runtimeDirs); err != nil {
		return nil, nil // a machine without logins has none
	}
	if err := hide(runtimeDirs); err != nil {
		return nil, err
	}
	dir := filepath.Join(runtimeDirs, strconv.FormatUint(uint64(o.UID), 10))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	options := fmt.Sprintf("mode=0700,uid=%d,gid=%d", o.UID, o.GID)
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return nil, fmt.Errorf("mounting %s: %w", dir, err)
	}
	return []string{"XDG_RUNTIME_DIR=" + dir}, nil
}

// ownDevices are the file systems that mounts has made for every session.
func ownDevices() (devs []uint64, err error) {
	for _, p := range private {
		if p.optional {
			continue // it may be the machine's, where it was not mounted
		}
		var st unix.Stat_t
		if err := unix.Stat(p.dir, &st); err != nil {
			return nil, fmt.Errorf("looking at %s: %w", p.dir, err)
		}
		devs = append(devs, st.Dev)
	}
	return devs, nil
}

// alias makes a symbolic link to a mount, if there is nothing of its name and it would
// be on a file system that the session has for itself.
func alias(name, path string, own []uint64) error {
	if name == "" {
		return nil
	}
	at, err := place(filepath.Dir(name), own)
	if err != nil {
		return nil // it lies where the session sees what the machine has there
	}
	defer unix.Close(at)
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return err
	}
	if !slices.Contains(own, st.Dev) {
		return nil
	}
	if err := unix.Symlinkat(path, at, filepath.Base(name)); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("naming %s: %w", name, err)
	}
	return nil
}

// place opens the directory path (O_PATH), for a mount to be put there. The caller
// closes it.
func place(path string, own []uint64) (int, error) {
	at, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	for name := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
		next, err := unix.Openat(at, name, flags, 0)
		if errors.Is(err, unix.ENOENT) {
			var st unix.Stat_t
			if err = unix.Fstat(at, &st); err == nil && !slices.Contains(own, st.Dev) {
				err = unix.ENOENT
			} else if err == nil {
				if err = unix.Mkdirat(at, name, 0o755); err == nil {
					next, err = unix.Openat(at, name, flags, 0)
				}
			}
		}
		unix.Close(at)
		if err != nil {
			return -1, fmt.Errorf("the way to %s: %q: %w", path, name, err)
		}
		at = next
	}
	return at, nil
}
