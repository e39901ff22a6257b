package project

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A setuid or setgid file of the person's that has an agent's bytes hands the person's rights to
// whoever runs it. The session's filter denies the calls that make one, but not all ways are
// calls that it could look into: an access list gives a group its x after the bits were set, and
// through shared memory a file that had the bits gets other bytes and keeps them.

const setIDBits = unix.S_ISUID | unix.S_ISGID

// setID takes these bits from a regular file of the person's that has changed since the session
// began, and notes that. It is called by several goroutines at a time.
func (t *tree) setID(p place, dir int, name []byte) {
	var st unix.Stat_t
	if unix.Fstatat(dir, string(name), &st, unix.AT_SYMLINK_NOFOLLOW) != nil || !t.isAgents(st) {
		return
	}
	e := entry{name: string(name)}
	what := "setuid"
	if st.Mode&unix.S_ISUID == 0 {
		what = "setgid"
	}
	file := filepath.Join(t.name, p.rel, e.name)
	back := "; back with: chmod " + fmt.Sprintf("%04o ", st.Mode&0o7777) + quoted(file)
	if len(back) > 1000 {
		back = ""
	}
	err := t.clearSetID(dir, e.name)
	switch {
	case errors.Is(err, unix.ENOENT):
		return // gone, or something else by now
	case err != nil:
		what += fmt.Sprintf(", new or changed, and the bit cannot be taken away (%v): remove it", reason(err))
	default:
		what += ", new or changed: the bit was taken away" + back
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.setIDs++
	if len(t.cleared) < maxSetID {
		t.cleared = append(t.cleared, Change{Path: file, What: what})
	}
}

// maxSetID is how many such files are told of one by one: an agent can make very many.
const maxSetID = 20

// setIDChanges are the changes to tell of all trees.
func (c *changed) setIDChanges() (all []Change) {
	for _, t := range c.trees {
		slices.SortFunc(t.cleared, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
		all = append(all, t.cleared...)
		if more := t.setIDs - len(t.cleared); more > 0 {
			all = append(all, Change{Path: t.name, What: fmt.Sprintf("has %d more such files: the bits were taken away, where that could be", more)})
		}
	}
	return all
}

// isAgents says whether a file is one that an agent could have made or changed, and that
// others may run as the person. On tmpfs what is written through shared memory leaves no time
// stamp, and so every file there is taken for changed.
func (t *tree) isAgents(st unix.Stat_t) bool {
	return st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&setIDBits != 0 && int(st.Uid) == unix.Geteuid() && (t.timeless || t.after(st))
}

// clearSetID looks at the file again by a descriptor, so that it changes that one and no other,
// whatever has the name meanwhile.
func (t *tree) clearSetID(dir int, name string) error {
	fd, err := openBeneath(dir, path.Base(name), unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if !t.isAgents(st) {
		return unix.ENOENT
	}
	// fchmod(2) does not take O_PATH.
	return unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), st.Mode&0o7777&^setIDBits)
}

// timeless says whether a file system leaves no time stamp at a file that is written through
// shared memory.
func timeless(fd int) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(fd, &st) == nil && (st.Type == unix.TMPFS_MAGIC || st.Type == unix.RAMFS_MAGIC)
}
