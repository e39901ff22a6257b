package stage

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// landlockScoped is the first version of Landlock that confines abstract sockets (Linux 6.12).
const landlockScoped = 6

// landlockRuleset is the kernel's struct landlock_ruleset_attr (landlock(7)).
type landlockRuleset struct{ files, network, scoped uint64 }

// scopeSockets keeps the calling thread, and all that it starts, from connecting to abstract unix
// sockets of processes outside of the session: these have no file that could be hidden, and their
// owners see only that the peer has the agent's uid. It handles no files, so that mounting in a
// user namespace of the agent's own works as before. It needs no_new_privs.
//
// A kernel that cannot do so shares these sockets between sessions, as it shares the network;
// SECURITY.md says so.
func scopeSockets() error {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errors.Is(errno, unix.ENOSYS) || errors.Is(errno, unix.EOPNOTSUPP) || errno == 0 && version < landlockScoped {
		return nil
	}
	if errno != 0 {
		return fmt.Errorf("asking for Landlock's version: %w", errno)
	}
	rules := landlockRuleset{scoped: unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), unsafe.Sizeof(rules), 0)
	if errno != 0 {
		return fmt.Errorf("making a Landlock ruleset: %w", errno)
	}
	defer unix.Close(int(fd))
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("confining abstract sockets: %w", errno)
	}
	return nil
}
