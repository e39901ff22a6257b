package stage

import (
	"fmt"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// drop makes the calling thread, and all others of the process, the agent's for
// good: ids, supplementary groups, no capability in any set, no_new_privs. Then
// it proves each of them, and that root does not come back.
func drop(uid, gid uint32, groups []uint32) error {
	if uid == 0 || gid == 0 {
		return fmt.Errorf("uid %d and gid %d: an agent is never root", uid, gid)
	}
	for c := 0; ; c++ {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0)
		if err != nil {
			break // EINVAL: past the last one that this kernel knows
		}
		if has == 1 {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil {
				return fmt.Errorf("dropping capability %d from the bounding set: %w", c, err)
			}
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clearing ambient capabilities: %w", err)
	}
	// Not the launcher's keyring, which all sessions would share (session-keyring(7)).
	// Without a name it is a new one, which x/sys/unix cannot say. As root: an agent's
	// uid may have 200 keys (keyrings(7), maxkeys), and so no more sessions.
	_, _, errno := unix.Syscall(unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0)
	if errno != 0 && errno != unix.ENOSYS {
		return fmt.Errorf("joining a keyring of its own: %w", errno)
	}
	ids := make([]int, len(groups))
	for i, g := range groups {
		ids[i] = int(g)
	}
	// The syscall package's, not x/sys/unix's: these act on every thread.
	if err := syscall.Setgroups(ids); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	if err := syscall.Setresgid(int(gid), int(gid), int(gid)); err != nil {
		return fmt.Errorf("setresgid: %w", err)
	}
	if err := syscall.Setresuid(int(uid), int(uid), int(uid)); err != nil {
		return fmt.Errorf("setresuid: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	// The agent has our uid: it must not trace us or look into our descriptors.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("becoming non-dumpable: %w", err)
	}
	return prove(int(uid), int(gid), ids)
}

func prove(uid, gid int, groups []int) error {
	if r, e, s := unix.Getresuid(); r != uid || e != uid || s != uid {
		return fmt.Errorf("uids are %d %d %d, not %d", r, e, s, uid)
	}
	if r, e, s := unix.Getresgid(); r != gid || e != gid || s != gid {
		return fmt.Errorf("gids are %d %d %d, not %d", r, e, s, gid)
	}
	got, err := unix.Getgroups()
	if err != nil {
		return fmt.Errorf("getgroups: %w", err)
	}
	slices.Sort(got)
	want := slices.Sorted(slices.Values(groups))
	if !slices.Equal(got, want) {
		return fmt.Errorf("groups are %v, not %v", got, want)
	}
	var data [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	if data != [2]unix.CapUserData{} {
		return fmt.Errorf("capabilities remain: %+v", data)
	}
	for c := 0; ; c++ {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0)
		if err != nil {
			break
		}
		if has != 0 {
			return fmt.Errorf("capability %d remains in the bounding set", c)
		}
	}
	// x/sys/unix's, which act on this thread only: they must fail.
	if unix.Setresuid(0, 0, 0) == nil || unix.Setresuid(-1, 0, -1) == nil {
		return fmt.Errorf("root came back")
	}
	if unix.Setresgid(0, 0, 0) == nil {
		return fmt.Errorf("root's group came back")
	}
	return nil
}
