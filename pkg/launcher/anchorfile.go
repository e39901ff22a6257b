package launcher

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/anchor"
)

// appendFlag is FS_APPEND_FL of linux/fs.h, which x/sys/unix does not have.
const appendFlag = 0x20

// open opens the day's file, which is root's alone to write and can only grow, where the
// file system has that. The directory's group may read it: auditors (tmpfiles.d).
func (a *anchors) open(now time.Time) (f *os.File, size int64, err error) {
	if err := os.Mkdir(a.dir, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, 0, fmt.Errorf("making the anchors' directory: %w: sudo systemd-tmpfiles --create", err)
	}
	fi, err := os.Lstat(a.dir)
	if err == nil && (!fi.IsDir() || !ownAlone(fi)) {
		err = fmt.Errorf("%s must be a directory of root's, of mode 0750 or less", a.dir)
	}
	if err != nil {
		return nil, 0, err
	}
	name := filepath.Join(a.dir, now.UTC().Format(time.DateOnly)+".jsonl")
	f, err = os.OpenFile(name, os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o640)
	if err != nil {
		return nil, 0, fmt.Errorf("opening the anchors: %w", err)
	}
	fi, err = f.Stat()
	if err == nil && (!fi.Mode().IsRegular() || !ownAlone(fi)) {
		err = fmt.Errorf("%s must be a file of root's, of mode 0640 or less", name)
	}
	if err == nil && fi.Size() == 0 {
		if err := appendOnly(f, true); err != nil {
			a.say("anchors: %s can be changed, by root: %v", name, err)
		}
		a.expire(name)
		err = syncDir(a.dir)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, fi.Size(), nil
}

// ownAlone says whether a file is ours, nobody else writes it, and nobody reads it who is
// not of its group.
func ownAlone(fi fs.FileInfo) bool {
	return int(fi.Sys().(*syscall.Stat_t).Uid) == os.Geteuid() && fi.Mode().Perm()&0o027 == 0
}

// appendOnly gives or takes the attribute (chattr(1), a). It protects from mistakes of
// root's; from all others the mode does.
func appendOnly(f *os.File, on bool) error {
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	if flags &^= appendFlag; on {
		flags |= appendFlag
	}
	return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags))
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// expire removes the oldest files, but never the present one. What cannot be removed
// takes room, and is no failure.
func (a *anchors) expire(present string) {
	entries, err := os.ReadDir(a.dir) // sorted
	if err != nil {
		a.say("anchors: %v", err)
	}
	size, days := int64(0), 0
	for i := len(entries) - 1; i >= 0; i-- {
		name := filepath.Join(a.dir, entries[i].Name())
		fi, err := entries[i].Info()
		if err != nil || !fi.Mode().IsRegular() || !anchor.FileName.MatchString(entries[i].Name()) {
			continue // not ours
		}
		days++
		size += fi.Size()
		if name == present || days <= minDays || days <= maxDays && size <= maxAnchors {
			continue
		}
		if err := remove(name); err != nil {
			a.say("anchors: %s stays, although it has expired: %v", name, err)
		} else {
			a.say("anchors: removed %s, which had expired", name)
		}
	}
}

// remove removes a file that can only grow.
func remove(name string) error {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_ = appendOnly(f, false) // if it must be, removing fails
	return os.Remove(name)
}
