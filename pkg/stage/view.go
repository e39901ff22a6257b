package stage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// runtimeDirs is where users have their XDG_RUNTIME_DIR.
const runtimeDirs = "/run/user"

// view makes what the session sees of people's files: the hidden directories are
// empty but for its mounts, which are at their own names. It returns the variables
// that say so.
//
// Names are walked without following any link but the hidden directories' own,
// which are the administrator's. A directory that is missing on the way is made, but
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
		if err := lock(string(m.Path), m.Lock, o.UID, o.GID); err != nil {
			return nil, err
		}
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

// ownDevices are the file systems that mounts has made.
func ownDevices() (devs []uint64, err error) {
	for _, p := range private {
		var st unix.Stat_t
		if err := unix.Stat(p.dir, &st); err != nil {
			return nil, fmt.Errorf("looking at %s: %w", p.dir, err)
		}
		devs = append(devs, st.Dev)
	}
	return devs, nil
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

// lock makes the paths beneath the mount at root read-only, and everything on the
// way to them a mount point: those can be neither renamed nor removed, and so
// nothing be put in the locked ones' place. They are looked up with the agent's
// rights, which are the person's there.
func lock(root string, paths []string, uid, gid uint32) (err error) {
	if len(paths) == 0 {
		return nil
	}
	runtime.LockOSThread() // what follows is the thread's own
	defer runtime.UnlockOSThread()
	// The gid first: with the uid go the rights to change it back (credentials(7)).
	if err := setFSIDs(int(uid), int(gid)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, setFSIDs(0, 0)) }()

	base, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(base)
	pinned := map[string]bool{}
	for _, path := range slices.Sorted(slices.Values(paths)) {
		for i := range path {
			if above := path[:i]; path[i] == '/' && !pinned[above] {
				if err := bind(base, above, 0); err != nil {
					return fmt.Errorf("protecting %s: %w", filepath.Join(root, above), err)
				}
				pinned[above] = true
			}
		}
		if err := bind(base, path, unix.MOUNT_ATTR_RDONLY); err != nil {
			return fmt.Errorf("protecting %s: %w", filepath.Join(root, path), err)
		}
		pinned[path] = true
	}
	return nil
}

// bind mounts a path beneath base on itself, with attributes.
func bind(base int, path string, attributes uint64) error {
	at, err := unix.Openat2(base, path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return err
	}
	defer unix.Close(at)
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR && st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errors.New("neither a file nor a directory")
	}
	mount, err := unix.OpenTree(at, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(mount)
	if attributes != 0 {
		if err := unix.MountSetattr(mount, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: attributes}); err != nil {
			return err
		}
	}
	return unix.MoveMount(mount, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

// setFSIDs sets whom the calling thread is for the file system (setfsuid(2), which
// tells of no error but is silently without effect).
func setFSIDs(uid, gid int) error {
	set := func(call func(int) (int, error), id int) error {
		if _, err := call(id); err != nil {
			return err
		}
		if got, err := call(-1); err != nil || got != id {
			return fmt.Errorf("becoming %d for the file system: %w", id, errors.Join(err, unix.EPERM))
		}
		return nil
	}
	if uid == 0 {
		if err := set(unix.SetfsuidRetUid, uid); err != nil {
			return err
		}
		return set(unix.SetfsgidRetGid, gid)
	}
	if err := set(unix.SetfsgidRetGid, gid); err != nil {
		return err
	}
	return set(unix.SetfsuidRetUid, uid)
}
