// Package workspace makes a person's directory fit for an agent: an idmapped
// mount, in which the person's files are the agent's and what the agent writes is
// the person's.
//
// It is root's, and works on descriptors that the person opened. A path of the
// person's is never resolved here, so that nothing is reached that they could not
// reach themselves. See mount_setattr(2).
package workspace

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Error is a refusal, worded for the person who asked.
type Error struct{ text string }

func (e *Error) Error() string { return e.text }

func errorf(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// Machine is the file systems' types of our own mount namespace, by mount id.
type Machine map[string]string

// Ours reads what is mounted here.
func Ours() (Machine, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	m := Machine{}
	for _, mount := range ParseMounts(string(text)) {
		m[mount.ID] = mount.Type
	}
	return m, nil
}

// Check makes sure that fd is a directory of owner's on one of the machine's file
// systems, really opened, and says what the kernel calls it. (That owner opened it
// nothing tells: a bridge gone bad could open what everybody may read.) The file
// system is asked nothing before it is known to be the machine's: it could be one
// of the owner's making, that never answers.
func (m Machine) Check(fd int, owner uint32) (path string, err error) {
	path, err = os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return "", err
	}
	if err := m.contains(fd, path); err != nil {
		return "", err
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return "", err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", err
	}
	switch {
	case flags&unix.O_PATH != 0:
		// Anybody can have such a one of any directory that they can name.
		return "", errorf("%.200q was not opened to be read", path)
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return "", errorf("%.200q is not a directory", path)
	case st.Nlink == 0:
		return "", errorf("%.200q has been deleted", path)
	case st.Uid != owner:
		return "", errorf("%.200q belongs to uid %d, not to you: only your own directories can be shared", path, st.Uid)
	case !strings.HasPrefix(path, "/") || path == "/":
		return "", errorf("%.200q cannot be shared", path)
	}
	return path, nil
}

// contains makes sure that fd is on a mount of our own namespace (open_tree(2) would
// also clone one that is in none), and not on a person's own file system.
func (m Machine) contains(fd int, path string) error {
	text, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		id, ok := strings.CutPrefix(line, "mnt_id:")
		if !ok {
			continue
		}
		kind, ok := m[strings.TrimSpace(id)]
		switch {
		case !ok:
			return errForeign(path)
		case strings.HasPrefix(kind, "fuse"):
			return errorf("%.200q is on FUSE (%s), which cannot be shared: move it to ext4, xfs, btrfs or tmpfs; without a workspace: --no-workspace", path, kind)
		}
		return nil
	}
	return fmt.Errorf("%.200q is on no mount", path)
}

func errForeign(path string) error {
	return errorf("%.200q is a mount that only you see (a container, a toolbox, PrivateTmp=): start aaau outside of that, on the machine itself; without a workspace: --no-workspace", path)
}

// Mount clones the mount that fd is on, from fd down and without what is mounted
// below it, with the ids mapped as idmap says. It is attached nowhere; the caller
// closes it. fd must be on a mount of our own mount namespace.
func Mount(fd int, path string, idmap int, readOnly bool) (mount int, err error) {
	mount, err = unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	switch {
	case errors.Is(err, unix.EINVAL):
		return -1, errForeign(path)
	case errors.Is(err, unix.ENOSYS):
		return -1, errorf("this kernel has no open_tree(2): workspaces need Linux 5.12; without one: --no-workspace")
	case err != nil:
		return -1, fmt.Errorf("cloning the mount of %.200q: %w", path, err)
	}
	attr := unix.MountAttr{
		Attr_set:    unix.MOUNT_ATTR_IDMAP | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV,
		Propagation: unix.MS_PRIVATE, // or what the session mounts on it, the machine would have too
		Userns_fd:   uint64(idmap),
	}
	if readOnly {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	if err := unix.MountSetattr(mount, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		unix.Close(mount)
		return -1, refusedMap(fd, path, err)
	}
	return mount, nil
}

// Writable makes sure that the group of fd is one that Idmap maps: the kernel lets
// nobody write to what has no owner.
func Writable(fd int, path string, owner Owner) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Gid != owner.GID && !slices.Contains(owner.Groups, st.Gid) {
		return errorf("%.200q belongs to group %d, which is none of yours, so that the agent could not write there: sudo chgrp -R %d %[1]q", path, st.Gid, owner.GID)
	}
	return nil
}

// filesystems names those that people have their files on, by statfs(2)'s magic
// numbers; for the message only.
var filesystems = map[int64]string{
	unix.OVERLAYFS_SUPER_MAGIC: "overlayfs", unix.NFS_SUPER_MAGIC: "NFS", unix.FUSE_SUPER_MAGIC: "FUSE",
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.TMPFS_MAGIC: "tmpfs",
	unix.ECRYPTFS_SUPER_MAGIC: "eCryptfs", unix.CIFS_SUPER_MAGIC: "CIFS", unix.SMB2_SUPER_MAGIC: "SMB", unix.V9FS_MAGIC: "9p",
	unix.PROC_SUPER_MAGIC: "proc", unix.SYSFS_MAGIC: "sysfs", 0x2fc12fc1: "ZFS",
}

// refusedMap says why the kernel did not map ids, which it was asked by doing it.
func refusedMap(fd int, path string, err error) error {
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("mapping ids of %.200q: %w", path, err)
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return err
	}
	name := filesystems[int64(st.Type)]
	if name == "" {
		name = fmt.Sprintf("a file system of type %#x", st.Type)
	}
	var uts unix.Utsname
	_ = unix.Uname(&uts) // its buffer is always there
	return errorf("%.200q is on %s, whose owners Linux %s cannot map for the agent (%v): move it to ext4, xfs, btrfs or (from Linux 6.3) tmpfs; without a workspace: --no-workspace",
		path, name, unix.ByteSliceToString(uts.Release[:]), err)
}
