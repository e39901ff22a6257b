package workspace

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Lock makes the paths beneath the mount at root read-only, and everything on the
// way to them a mount point: those can be neither renamed nor removed, and so
// nothing be put in the locked ones' place. They are looked up with the agent's
// rights, which are the person's there.
func Lock(root string, paths []string, uid, gid uint32) error {
	if len(paths) == 0 {
		return nil
	}
	return As(uid, gid, func() error { return lock(root, paths, nil, false) })
}

// Relock is Lock once more: what is locked stays as it is, and what is gone with its
// directory needs no lock. If told so, it makes again what git does without but must
// not be the agent's to make. Nothing is mounted over one of mounts, which are all that
// there are in this namespace: what that hides would be seen again.
func Relock(root string, paths []string, mounts []MountPoint, uid, gid uint32, remaking bool) error {
	return As(uid, gid, func() error { return lock(root, paths, mounts, remaking) })
}

// As calls f with the file system rights of uid and gid, and root's other ones. f
// must not leave its thread.
func As(uid, gid uint32, f func() error) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := setFSIDs(int(uid), int(gid)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, setFSIDs(0, 0)) }()
	return f()
}

// lock is Lock, and with mounts Relock.
func lock(root string, paths []string, mounts []MountPoint, remaking bool) error {
	again := mounts != nil
	base, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(base)
	pinned := map[string]bool{}
	bind := func(path string, attributes uint64) error {
		return bind(base, path, attributes, above(mounts, filepath.Join(root, path)))
	}
	one := func(path string) error {
		for i := range path {
			if above := path[:i]; path[i] == '/' && !pinned[above] {
				if err := bind(above, 0); err != nil {
					return err
				}
				pinned[above] = true
			}
		}
		pinned[path] = true
		return bind(path, unix.MOUNT_ATTR_RDONLY)
	}
	var failed error
	for _, path := range slices.Sorted(slices.Values(paths)) {
		err := one(path)
		if again && errors.Is(err, unix.ENOENT) {
			if missing(base, filepath.Dir(path)) {
				continue
			}
			if remaking {
				if err = remake(base, path); err == nil {
					err = one(path)
				}
			}
		}
		if err != nil && failed == nil {
			failed = fmt.Errorf("protecting %.200q: %w", filepath.Join(root, path), err)
		}
		if err != nil && !again {
			break
		}
	}
	return failed
}

// remake makes an empty hooks or a commondir that says nothing: a repository that
// was put in another's place may have none.
func remake(base int, path string) error {
	dir, err := unix.Openat2(base, filepath.Dir(path), &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	name := filepath.Base(path)
	switch name {
	case "hooks":
		return unix.Mkdirat(dir, name, 0o755)
	case "commondir":
	default:
		return unix.ENOENT // it is the person's to make again
	}
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte(".\n"))
	return errors.Join(err, unix.Close(fd))
}

func missing(base int, path string) bool {
	return errors.Is(unix.Faccessat(base, path, unix.F_OK, unix.AT_SYMLINK_NOFOLLOW), unix.ENOENT)
}

// above says whether a mount stands beneath path.
func above(mounts []MountPoint, path string) bool {
	return slices.ContainsFunc(mounts, func(m MountPoint) bool { return strings.HasPrefix(m.Path, path+"/") })
}

// bind mounts a path beneath base on itself, with attributes, unless it is a mount already.
// With covers, which says that a mount stands beneath the path, it refuses.
func bind(base int, path string, attributes uint64, covers bool) error {
	at, err := unix.Openat2(base, path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return err
	}
	defer unix.Close(at)
	var about unix.Statx_t
	if err := unix.Statx(at, "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, &about); err != nil {
		return err
	}
	if kind := about.Mode & unix.S_IFMT; kind != unix.S_IFDIR && kind != unix.S_IFREG {
		return errors.New("neither a file nor a directory")
	}
	if attributes != 0 && about.Mode&unix.S_IFMT == unix.S_IFREG && about.Nlink > 1 {
		return errors.New("it has another name, by which it could be written")
	}
	if about.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return nil
	}
	if covers {
		return errors.New("something is mounted beneath it")
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
// tells of no error but is silently without effect). Root's rights to mount stay.
func setFSIDs(uid, gid int) error {
	for _, set := range []struct {
		call func(int) (int, error)
		id   int
	}{{unix.SetfsgidRetGid, gid}, {unix.SetfsuidRetUid, uid}} {
		if _, err := set.call(set.id); err != nil {
			return err
		}
		if got, err := set.call(-1); err != nil || got != set.id {
			return fmt.Errorf("becoming %d for the file system: %w", set.id, errors.Join(err, unix.EPERM))
		}
	}
	return nil
}
