package launcher

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What x/sys/unix does not have of linux/fs.h, linux/quota.h and linux/dqblk_xfs.h.
const (
	getProject     = 0x801c581f // FS_IOC_FSGETXATTR
	setProject     = 0x401c5820 // FS_IOC_FSSETXATTR
	projectInherit = 0x200      // FS_XFLAG_PROJINHERIT

	projectQuota = 2 // PRJQUOTA
	getQuota     = 0x800007<<8 | projectQuota
	setQuota     = 0x800008<<8 | projectQuota
	getState     = ('X'<<8|8)<<8 | projectQuota // Q_XGETQSTATV

	stateVersion  = 1      // FS_QSTATV_VERSION1
	stateEnforced = 1 << 5 // FS_QUOTA_PDQ_ENFD
	limitsValid   = 1 | 4  // QIF_BLIMITS, QIF_ILIMITS
)

// Homes have projects of these ids: above those that containers' storage counts up
// from, below those that systemd takes for its units (from 1<<31 on).
const (
	firstProject = 1 << 30
	projects     = 1 << 30
)

// attributes are struct fsxattr.
type attributes struct {
	flags, extentSize, extents, project, cowExtentSize uint32
	_                                                  [8]byte
}

// quota is struct if_dqblk.
type quota struct {
	spaceHard, spaceSoft uint64 // KiB
	space                uint64 // bytes
	filesHard, filesSoft uint64
	files                uint64
	_                    [2]uint64
	valid                uint32
}

// assigning is held from seeing that a home has no project until it has one.
var assigning sync.Mutex

// bound has the kernel hold a home to most bytes, and to as many files as would be
// measured to be that; 0 is no limit. It says whether the kernel does: only where
// the file system has project quotas, and where the home had its project before the
// agent could put anything there, for what is there already would not count. (And
// launchers may not give projects to files that are not root's.) Whatever else it
// finds it leaves alone, as it will be measured.
func bound(dir string, most int64) (bool, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = boundOpen(f, most)
	// The kernel's ways to say that it has none of this, or not for us: the last is for
	// a user namespace, in a container.
	for _, none := range []error{errUnbounded, unix.ENOTTY, unix.EOPNOTSUPP, unix.ESRCH, unix.ENOSYS, unix.EINVAL, unix.EPERM} {
		if errors.Is(err, none) {
			return false, nil
		}
	}
	if err != nil {
		return false, fmt.Errorf("setting the quota of %s: %w", dir, err)
	}
	return true, nil
}

// errUnbounded is returned where the kernel would, but does not bound a home.
var errUnbounded = errors.New("not bounded")

func boundOpen(dir *os.File, most int64) error {
	// Counting alone (mounted without prjquota) takes limits too, and ignores them.
	state := struct {
		version, _ uint8
		flags      uint16
		_          [256]byte // more than there is
	}{version: stateVersion}
	if err := quotactl(dir, getState, 0, unsafe.Pointer(&state)); err != nil {
		return err
	}
	if state.flags&stateEnforced == 0 {
		return errUnbounded
	}
	id, err := projectOf(dir)
	if err != nil {
		return err
	}
	limit := quota{valid: limitsValid}
	if most > 0 {
		limit.spaceHard, limit.filesHard = max(uint64(most)/1024, 1), max(uint64(most)/entryCost, 1)
	}
	return quotactl(dir, setQuota, id, unsafe.Pointer(&limit))
}

// projectOf is the project of a home, which gets one if it is new.
func projectOf(dir *os.File) (uint32, error) {
	assigning.Lock()
	defer assigning.Unlock()
	var a attributes
	if err := ioctl(dir, getProject, unsafe.Pointer(&a)); err != nil {
		return 0, err
	}
	if a.project != 0 {
		// Another is somebody else's, with limits of theirs.
		if a.project < firstProject || a.project-firstProject >= projects || a.flags&projectInherit == 0 {
			return 0, errUnbounded
		}
		return a.project, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return 0, err
	}
	_, err := dir.Readdirnames(1)
	if st.Uid != 0 || err == nil {
		return 0, errUnbounded
	}
	if err != io.EOF {
		return 0, err
	}
	if a.project, err = unusedProject(dir, st.Ino); err != nil {
		return 0, err
	}
	a.flags |= projectInherit
	return a.project, ioctl(dir, setProject, unsafe.Pointer(&a))
}

// unusedProject is one that no file has: that of the inode's number, which no other
// home has at the same time, unless numbers are long (xfs) or somebody else took it.
func unusedProject(dir *os.File, inode uint64) (uint32, error) {
	for try := range uint64(64) {
		id := uint32(firstProject + (inode+try)%projects)
		var q quota
		err := quotactl(dir, getQuota, id, unsafe.Pointer(&q))
		if errors.Is(err, unix.ENOENT) || err == nil && q.space == 0 && q.files == 0 {
			return id, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, errors.New("no project id is free")
}

func ioctl(f *os.File, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

func quotactl(f *os.File, command uintptr, id uint32, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall6(unix.SYS_QUOTACTL_FD, f.Fd(), command, uintptr(id), uintptr(arg), 0, 0); errno != 0 {
		return errno
	}
	return nil
}
