package stage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// common are directories in which distributions let everybody write, and which all sessions
// would therefore share. Where the machine has one, and lets everybody write there, a session has
// its own, as it has its own /tmp.
//
// A test looks for others (test/system). What an administrator opens to everybody is for
// hidden= to name.
var common = []string{
	"/run/screen", "/run/screens", "/run/tmux", // sockets of terminals
	"/var/crash", "/var/metrics", // Ubuntu's reports of crashes and of what is in use
	"/var/lib/php/sessions", "/var/lib/php/session",
	"/var/spool/samba", "/var/spool/cups/tmp", "/var/mail", "/var/cache/samba",
}

// systemBus is where the system bus has its socket. By it an agent would see other sessions'
// processes, and have systemd run something after its own session's end.
const systemBus = "/run/dbus"

// systemdDir is where systemd has its sockets. Of it a session sees what is in systemdKept: the
// journal's sockets, names of hosts, names of users. The directory system says that systemd runs
// (sd_booted(3)). Everything else there asks systemd and its daemons to act, or tells of other
// sessions.
const systemdDir = "/run/systemd"

var systemdKept = []string{"journal", "resolve", "userdb"}

const emptyDir = "mode=0755,size=1M"

// hideCommon hides what sessions would share. It is called as root, in the session's mount
// namespace.
func hideCommon() error {
	for _, dir := range common {
		var st unix.Stat_t
		if unix.Stat(dir, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Mode&0o002 == 0 {
			continue
		}
		if err := unix.Mount(privsep.SessionMount, dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
			return fmt.Errorf("mounting %s: %w", dir, err)
		}
	}
	err := unix.Mount("tmpfs", systemBus, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_RDONLY, emptyDir)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("hiding %s: %w", systemBus, err)
	}
	return hideSystemd()
}

func hideSystemd() error {
	if _, err := os.Stat(systemdDir); err != nil {
		return nil // a session is made by systemd; but a test of the stage may do without
	}
	kept := map[string]int{}
	for _, name := range systemdKept {
		fd, err := unix.OpenTree(unix.AT_FDCWD, filepath.Join(systemdDir, name),
			unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE|unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return fmt.Errorf("opening %s/%s: %w", systemdDir, name, err)
		}
		defer unix.Close(fd)
		kept[name] = fd
	}
	if err := unix.Mount("tmpfs", systemdDir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, emptyDir); err != nil {
		return fmt.Errorf("hiding %s: %w", systemdDir, err)
	}
	if err := os.Mkdir(filepath.Join(systemdDir, "system"), 0o755); err != nil {
		return err
	}
	for name, fd := range kept {
		dir := filepath.Join(systemdDir, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := unix.MoveMount(fd, "", unix.AT_FDCWD, dir, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return fmt.Errorf("mounting %s: %w", dir, err)
		}
	}
	return nil
}
