package launcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
)

const (
	// measureTime bounds one measurement.
	measureTime = 20 * time.Second
	// entryCost is what each file counts for at least, in bytes: they use up inodes.
	entryCost = 4096
	// maxWaiting bounds the memory for it.
	maxWaiting = 500_000
)

// measure answers how much is in a home.
func (l *Launcher) measure(ctx context.Context, c *net.UnixConn, m privsep.Measure) error {
	if m.User == "" || strings.ContainsAny(m.User, "/\x00") || m.User[0] == '.' {
		return privsep.Errorf("malformed", "not the home of an agent")
	}
	ctx, cancel := context.WithTimeout(ctx, measureTime)
	defer cancel()
	n, err := usage(ctx, homeDir(m.User, m.UID))
	if err != nil {
		return err
	}
	c.SetDeadline(time.Now().Add(patience))
	return privsep.Send(c, privsep.Reply{Bytes: n})
}

// directory is one that is still to be looked into. By its parents, as the names of
// all that wait would be long.
type directory struct {
	in   *directory
	name string
}

func (d *directory) path() string {
	if d.in == nil {
		return d.name
	}
	return filepath.Join(d.in.path(), d.name)
}

// usage adds up what the files beneath root take on its file system.
func usage(ctx context.Context, root string) (total int64, err error) {
	linked := map[uint64]bool{} // inodes with more than one name, counted once
	err = walk(ctx, root, func(_ *directory, _ int, _ string, st unix.Stat_t) error {
		if st.Nlink > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			if linked[st.Ino] {
				return nil
			}
			if linked[st.Ino] = true; len(linked) > maxWaiting {
				return fmt.Errorf("more than %d files of several names", maxWaiting)
			}
		}
		total += max(st.Blocks*512, entryCost)
		return nil
	}, func(string, error) bool { return false })
	if err != nil {
		return 0, fmt.Errorf("measuring %s: %w", root, err)
	}
	return total, nil
}

// walk calls visit with all that is beneath root on its mount, each by its directory, that
// one's descriptor, and its name there. What is there is the agent's, who may change it
// meanwhile: no link is followed, nothing but directories is opened, and what makes it too long
// or too large is an error. closed is asked whether a directory that cannot be opened is passed
// over.
func walk(ctx context.Context, root string, visit func(in *directory, fd int, name string, st unix.Stat_t) error, closed func(dir string, err error) bool) error {
	base, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(base)
	dirs := []*directory{{name: "."}}
	for len(dirs) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(dirs) > maxWaiting {
			return fmt.Errorf("more than %d directories", maxWaiting)
		}
		dir := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		name := dir.path()
		fd, err := unix.Openat2(base, name, &unix.OpenHow{
			Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
		})
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EXDEV) {
			continue // it went, or is another thing now
		}
		if err != nil {
			if closed(name, err) {
				continue
			}
			return fmt.Errorf("%.200q: %w", name, err)
		}
		f := os.NewFile(uintptr(fd), name)
		for err == nil {
			var names []string
			names, err = f.Readdirnames(1024) // io.EOF after the last
			for _, name := range names {
				var st unix.Stat_t
				if unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
					continue // it went
				}
				if st.Mode&unix.S_IFMT == unix.S_IFDIR {
					dirs = append(dirs, &directory{dir, name})
				}
				if failed := visit(dir, fd, name, st); failed != nil {
					f.Close()
					return failed
				}
			}
		}
		f.Close()
		if err != io.EOF {
			return fmt.Errorf("%.200q: %w", name, err)
		}
	}
	return nil
}

// homeDir is where the home is that an agent has for a person.
func homeDir(agent string, human uint32) string {
	return filepath.Join(stateDir, "homes", agent, strconv.FormatUint(uint64(human), 10))
}
