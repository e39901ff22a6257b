package workspace

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Owner is whose files are mapped.
type Owner struct {
	UID, GID uint32
	Groups   []uint32 // the supplementary ones
}

// How much of a map the kernel takes (user_namespaces(7)): one page, and so many
// lines.
const maxMap, maxLines = 4096 - 1, 340

// Idmap makes a user namespace that maps the owner to the agent: their uid and
// primary gid to the agent's, each other group of the owner's to itself (without,
// even the owner may not enter a directory of that group), and nothing else. The
// caller closes it.
func Idmap(owner Owner, uid, gid uint32) (int, error) {
	groups := groupMap(owner, gid)
	// A process that is stopped at its first instruction, and killed again: a user
	// namespace is made by being in it. ptrace(2) is per thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var pidfd int
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"aaau-idmap"}, &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{Ptrace: true, Cloneflags: unix.CLONE_NEWUSER, Pdeathsig: unix.SIGKILL, PidFD: &pidfd},
	})
	switch {
	case errors.Is(err, unix.ENOSPC):
		return -1, errorf("this machine allows no user namespaces, by which owners are mapped: sysctl user.max_user_namespaces must not be 0; without a workspace: --no-workspace")
	case errors.Is(err, unix.EPERM):
		return -1, errorf("this machine allows no ptrace, by which owners are mapped: sysctl kernel.yama.ptrace_scope must not be 3; without a workspace: --no-workspace")
	case err != nil:
		return -1, fmt.Errorf("making a user namespace: %w", err)
	}
	defer func() {
		// By descriptor: whoever reaps the process may have done so.
		_ = unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0)
		_, _ = unix.Wait4(pid, nil, 0, nil)
		unix.Close(pidfd)
	}()
	dir := fmt.Sprintf("/proc/%d/", pid)
	for file, text := range map[string]string{
		"uid_map": fmt.Sprintf("%d %d 1\n", owner.UID, uid),
		"gid_map": groups,
	} {
		if err := os.WriteFile(dir+file, []byte(text), 0); err != nil {
			return -1, fmt.Errorf("mapping ids: %w", err)
		}
	}
	ns, err := unix.Open(dir+"ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("opening a user namespace: %w", err)
	}
	return ns, nil
}

// groupMap is the gid_map. Neighbours share a line; groups beyond what the kernel
// takes are left out, the highest first: their directories are closed to the agent.
func groupMap(owner Owner, gid uint32) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d %d 1\n", owner.GID, gid)
	groups := slices.Clone(owner.Groups)
	slices.Sort(groups)
	groups = slices.DeleteFunc(slices.Compact(groups), func(g uint32) bool { return g == owner.GID || g == gid })
	for lines := 1; len(groups) > 0 && lines < maxLines; lines++ {
		n := 1
		for n < len(groups) && groups[n] == groups[0]+uint32(n) {
			n++
		}
		line := fmt.Sprintf("%d %d %d\n", groups[0], groups[0], n)
		if text.Len()+len(line) > maxMap {
			break
		}
		text.WriteString(line)
		groups = groups[n:]
	}
	return text.String()
}
