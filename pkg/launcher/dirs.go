package launcher

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/workspace"
)

// firstPerson is the first uid that a person has (login.defs(5), UID_MIN): the
// files of those below are the machine's.
const firstPerson = 1000

// maxPaths is how long the names of all directories may be together, in bytes:
// they go into messages that are bounded.
const maxPaths = 12 << 10

// dir is a directory that the person may share.
type dir struct {
	spec.Dir
	fd   int    // the request's
	path string // the kernel's name of it
}

// checkDirs makes sure that the descriptors are directories of the human's own,
// and that the profile takes them.
func checkDirs(asked []spec.Dir, fds []int, human peer.Peer, profile config.Profile) ([]dir, error) {
	if len(asked) != len(fds) {
		return nil, privsep.Errorf("malformed", "%d directories with %d descriptors", len(asked), len(fds))
	}
	if len(asked) > 0 && human.UID < firstPerson {
		return nil, privsep.Errorf("workspace-refused", "uid %d is not a person's: its files are not for agents; without a workspace: --no-workspace", human.UID)
	}
	if len(asked) == 0 {
		return nil, nil
	}
	machine, err := workspace.Ours()
	if err != nil {
		return nil, err
	}
	shared := slices.ContainsFunc(asked, func(a spec.Dir) bool { return !a.Tool })
	dirs, length := make([]dir, len(asked)), 0
	for i, a := range asked {
		a.ReadOnly = a.ReadOnly || a.Tool
		path, err := machine.Check(fds[i], human.UID)
		if err != nil {
			return nil, asRefusal(err)
		}
		if a.Tool && !profile.TakesTools(shared) {
			return nil, privsep.Errorf("refused", "profile %s does not take your tools here: share a directory, where its file does not say tools=no, or have tools=yes in it", profile.Name)
		}
		for _, no := range []string{"/proc", "/sys", "/dev", "/run/user", stateDir} {
			if isBelow(path, no) || isBelow(no, path) {
				return nil, privsep.Errorf("workspace-refused", "%.200q cannot be shared, as sessions have a %s of their own: move the project; without a workspace: --no-workspace", path, no)
			}
		}
		if slices.ContainsFunc(dirs[:i], func(d dir) bool { return d.path == path }) {
			return nil, privsep.Errorf("malformed", "%.200q is named twice", path)
		}
		if length += len(path); length > maxPaths {
			return nil, privsep.Errorf("workspace-refused", "the names of the directories are too long together (longer than %d bytes)", maxPaths)
		}
		dirs[i] = dir{a, fds[i], path}
	}
	return dirs, nil
}

// asRefusal words an error of pkg/workspace for the bridge.
func asRefusal(err error) error {
	var theirs *workspace.Error
	if errors.As(err, &theirs) {
		return privsep.Errorf("workspace-refused", "%v", theirs)
	}
	return err
}

// mountDirs makes the mounts, with their places. The descriptors are the caller's to
// close, also those beside an error.
func mountDirs(p plan) (mounts []privsep.Mount, fds []int, err error) {
	if len(p.dirs) == 0 {
		return nil, nil, nil
	}
	owner := workspace.Owner{UID: p.human.UID, GID: p.human.GID, Groups: p.human.Groups}
	idmap, err := workspace.Idmap(owner, p.orders.UID, p.orders.GID)
	if err != nil {
		return nil, nil, asRefusal(err)
	}
	defer unix.Close(idmap)
	// What lies above comes first, or it would cover what lies below.
	sorted := slices.SortedStableFunc(slices.Values(p.dirs), func(a, b dir) int {
		return strings.Count(a.path, "/") - strings.Count(b.path, "/")
	})
	for _, d := range sorted {
		fd, err := workspace.Mount(d.fd, d.path, idmap, d.ReadOnly)
		if err != nil {
			return nil, fds, asRefusal(err)
		}
		fds = append(fds, fd)
		if !d.ReadOnly {
			if err := workspace.Writable(d.fd, d.path, owner); err != nil {
				return nil, fds, asRefusal(err)
			}
		}
		m := privsep.Mount{Path: argv.String(d.path), Alias: d.Alias}
		if !d.ReadOnly {
			m.Lock = d.Lock
		}
		mounts = append(mounts, m)
	}
	return mounts, fds, nil
}

// keepMounted picks a descriptor for each of the machine's mounts that the directories are on. While
// the stage holds them, umount(8) says that the file system is in use: the session's own mounts
// alone would let it succeed, and the session write on. The descriptors stay the request's.
func keepMounted(dirs []dir) (fds []int, err error) {
	var seen []uint64
	for _, d := range dirs {
		var st unix.Statx_t
		if err := unix.Statx(d.fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err != nil {
			return nil, err
		}
		if !slices.Contains(seen, st.Mnt_id) && len(fds) < privsep.MaxKept {
			seen = append(seen, st.Mnt_id)
			fds = append(fds, d.fd)
		}
	}
	return fds, nil
}

// hidden lists the directories that are to be empty for the session but for its
// mounts: people's homes, and what the agent could not pass through on the way to a
// workspace.
func hidden(cfg config.Config, human peer.Peer, dirs []dir) (hide []argv.String) {
	all := slices.Clone(cfg.Hidden)
	add := func(path string) {
		if !slices.ContainsFunc(all, func(h string) bool { return isBelow(path, h) }) {
			all = append(all, path)
		}
	}
	if u, err := user.LookupId(strconv.FormatUint(uint64(human.UID), 10)); err == nil &&
		human.UID >= firstPerson && filepath.IsAbs(u.HomeDir) && filepath.Clean(u.HomeDir) != "/" {
		add(filepath.Clean(u.HomeDir))
	}
	for _, d := range dirs {
		if c := closedAbove(d.path); c != "" {
			add(c)
		}
	}
	for _, h := range all {
		hide = append(hide, argv.String(h))
	}
	return hide
}

// closedAbove is the first directory on the way to path that is not everybody's
// to pass through.
func closedAbove(path string) string {
	for i := 1; i < len(path); i++ {
		if path[i] != '/' {
			continue
		}
		fi, err := os.Lstat(path[:i])
		if err != nil {
			return "" // the stage will say it
		}
		if st := fi.Sys().(*syscall.Stat_t); st.Mode&0o001 == 0 {
			return path[:i]
		}
	}
	return ""
}

// isBelow says whether path is dir or lies beneath it.
func isBelow(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
