package stage

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// lastKilled is a stage's oom_score_adj (proc_pid_oom_score_adj(5)). For want of memory the kernel
// kills the largest process of a session, which might be the stage: an agent can fill the memory
// with files and keep its own processes small. With this the stage is killed when no other process
// of the session is left, so that none is without its guard.
const lastKilled = "-900"

// A score is the stage's own oom_score_adj: a descriptor that root has opened, since the file is
// root's when the stage is nobody to be looked into.
type score int

func openScore() (score, error) {
	fd, err := unix.Open("/proc/self/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("opening its oom_score_adj: %w", err)
	}
	return score(fd), nil
}

// lower lowers the score, and closes the descriptor. It comes after the program was started, which
// would have inherited the score. Where root itself may not do it, as in some containers, it does
// nothing.
func (s score) lower() error {
	defer unix.Close(int(s))
	kept, err := permitted()
	if err != nil || kept&lowering == 0 {
		return err
	}
	if _, err := unix.Write(int(s), []byte(lastKilled)); err != nil {
		return fmt.Errorf("lowering its oom_score_adj: %w", err)
	}
	return nil
}
