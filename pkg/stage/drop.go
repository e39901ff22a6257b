package stage

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// account is who a stage becomes. To file systems it is the agent: uid and gid are its
// effective ids. Its real and saved uid are its own, so that the agent has no right to signal
// it or to limit it (kill(2), prlimit(2)).
type account struct {
	own      uint32 // a uid that nothing else runs as
	uid, gid uint32 // the agent's
	groups   []uint32
}

func accountOf(o privsep.Orders) account { return account{o.StageUID, o.UID, o.GID, o.Groups} }

// starting are the capabilities with which the calling thread starts the program as the agent
// alone, and then lowers its own score. They go with renounce. The last one is not to be had
// everywhere.
const (
	starting = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
	lowering = 1 << unix.CAP_SYS_RESOURCE
)

// drop makes the process who it is to be: ids, supplementary groups, no_new_privs, no
// capability in any set of any thread, but for starting on the calling one. Then it proves
// that. The program is started next, and then renounce takes the rest away.
func (a account) drop() error {
	switch {
	case a.uid == 0 || a.gid == 0:
		return fmt.Errorf("uid %d and gid %d: an agent is never root", a.uid, a.gid)
	case a.own == 0 || a.own == a.uid:
		return fmt.Errorf("uid %d: a stage is neither root nor the agent", a.own)
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
	ids := make([]int, len(a.groups))
	for n, g := range a.groups {
		ids[n] = int(g)
	}
	// The syscall package's, not x/sys/unix's: these act on every thread.
	if err := syscall.Setgroups(ids); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	if err := syscall.Setresgid(int(a.gid), int(a.gid), int(a.gid)); err != nil {
		return fmt.Errorf("setresgid: %w", err)
	}
	// This thread's alone: with Setresuid the others lose all capabilities.
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("keeping capabilities: %w", err)
	}
	if err := syscall.Setresuid(int(a.own), int(a.uid), int(a.own)); err != nil {
		return fmt.Errorf("setresuid: %w", err)
	}
	has, err := permitted()
	if err != nil {
		return err
	}
	kept := starting | has&lowering
	if err := setCapabilities(kept); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	// The agent must not trace us or look into our descriptors.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("becoming non-dumpable: %w", err)
	}
	return a.prove(kept)
}

// renounce takes away what drop has left, and proves that root does not come back.
func (a account) renounce() error {
	if err := setCapabilities(0); err != nil {
		return err
	}
	if err := a.prove(0); err != nil {
		return err
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

// permitted are the capabilities, of the first 32, that the calling thread may use.
func permitted() (set uint32, err error) {
	var has [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &has[0]); err != nil {
		return 0, fmt.Errorf("capget: %w", err)
	}
	return has[0].Permitted, nil
}

// setCapabilities has the calling thread have these, permitted and effective.
func setCapabilities(set uint32) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Permitted: set, Effective: set}}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	return nil
}

// prove makes sure that all threads are who they are to be, and that none has a capability,
// but the calling one those of set.
func (a account) prove(set uint32) error {
	got, err := unix.Getgroups()
	if err != nil {
		return fmt.Errorf("getgroups: %w", err)
	}
	slices.Sort(got)
	var want []int
	for _, g := range a.groups {
		want = append(want, int(g))
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("groups are %v, not %v", got, want)
	}
	all, err := threads()
	if err != nil {
		return err
	}
	// Real, effective, saved, and for file systems (proc_pid_status(5)).
	ids := fmt.Sprintf("\nUid:\t%d\t%d\t%d\t%d\nGid:\t%d\t%d\t%d\t%d\n", a.own, a.uid, a.own, a.uid, a.gid, a.gid, a.gid, a.gid)
	for _, id := range all {
		status, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/status", id))
		if err != nil {
			return err
		}
		if !strings.Contains(string(status), ids) {
			return fmt.Errorf("thread %d has other ids than %q: %s", id, ids, status)
		}
		var may, data [2]unix.CapUserData
		if int(id) == unix.Gettid() {
			may[0] = unix.CapUserData{Permitted: set, Effective: set}
		}
		if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3, Pid: int32(id)}, &data[0]); err != nil {
			return fmt.Errorf("capget: %w", err)
		}
		if data != may {
			return fmt.Errorf("thread %d has capabilities %+v, not %+v", id, data, may)
		}
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
	return nil
}
