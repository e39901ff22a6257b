package launcher

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/workspace"
)

// put copies a file into /tmp of the session whose mount namespace ns is, as the
// agent's, who alone may read it there. The bridge may always ask: it could as well
// type what makes the agent write such a file.
//
// The copy's memory is not the session's scope's but the launcher's, for as long as
// the agent leaves the file there.
func (l *Launcher) put(c *net.UnixConn, p privsep.Put, ns, file int) error {
	if err := spec.CheckName(p.Name); err != nil {
		return privsep.Errorf("malformed", "%v", err)
	}
	size, err := sealedSize(file)
	if err != nil {
		return err
	}
	path := ""
	err = l.enter(ns, p.UID, p.GID, func([]workspace.MountPoint) error {
		return workspace.As(p.UID, p.GID, func() error {
			path, err = putBeneath("/tmp", p.Name, file, size)
			return err
		})
	})
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return privsep.Errorf("no-room", "there is no room for it in the session's /tmp")
	}
	if err != nil {
		return err
	}
	l.Log.Tell(journal.Control, journal.About{}, "put %s, of %d bytes, into a session of uid %d", path, size, p.UID)
	return privsep.Send(c, privsep.Reply{Path: path})
}

// sealedSize is the size of a memfd that nobody can change any more, and so the
// kernel's alone: to read anything else could take for ever, or its end recede. Only
// such files have seals, so that nobody's file system is asked before that is known.
func sealedSize(file int) (int64, error) {
	const all = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if seals, err := unix.FcntlInt(uintptr(file), unix.F_GET_SEALS, 0); err != nil || seals&all != all {
		return 0, privsep.Errorf("malformed", "a file to be put into a session must be a memfd with all seals")
	}
	var st unix.Stat_t
	if err := unix.Fstat(file, &st); err != nil {
		return 0, err
	}
	if st.Size > spec.MaxFile {
		return 0, privsep.Errorf("too-large", "a file to be put into a session has at most %d MiB", spec.MaxFile>>20)
	}
	return st.Size, nil
}

// maxCopies is how many files of one name there may be.
const maxCopies = 99

// putBeneath copies size bytes of file to a new file in dir: what has its name there
// may be the agent's, and lead anywhere.
func putBeneath(dir, name string, file int, size int64) (path string, err error) {
	at, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("opening the session's %s: %w", dir, err)
	}
	defer unix.Close(at)
	free, to := name, -1
	for n := 1; ; n++ {
		if n > 1 {
			ext := filepath.Ext(name)
			free = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ext), n, ext)
		}
		to, err = unix.Openat(at, free, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if !errors.Is(err, unix.EEXIST) {
			break
		}
		if n == maxCopies {
			return "", privsep.Errorf("no-name", "there are %d files %s in the session's %s", n, name, dir)
		}
	}
	if err != nil {
		return "", fmt.Errorf("making the file: %w", err)
	}
	if err := errors.Join(copyTo(to, file, size), unix.Close(to)); err != nil {
		return "", errors.Join(err, unix.Unlinkat(at, free, 0))
	}
	return filepath.Join(dir, free), nil
}

// copyTo copies the first size bytes of a file, whatever its offset is.
func copyTo(to, from int, size int64) error {
	for offset := int64(0); offset < size; {
		n, err := unix.Sendfile(to, from, &offset, int(size-offset))
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 {
			err = errors.New("it ends too early")
		}
		if err != nil {
			return fmt.Errorf("copying the file: %w", err)
		}
	}
	return nil
}
