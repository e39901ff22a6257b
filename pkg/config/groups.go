package config

import (
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strconv"
)

// rootGroups is root-groups= where aaau.conf does not say otherwise: no agent's user may be in
// one of these. Each member either becomes root, or reads what other people's programs keep
// secret. Names that a machine does not have do no harm.
//
// kvm and render are not among them: a virtual machine or a computation of the agent's is a
// process of its session. Neither are video, audio and plugdev, which give devices and no rights.
var rootGroups = []string{
	"root", "sudo", "wheel", "admin", // sudo(8) and polkit(8) let members become root
	"disk", "kmem", // read and write every file, or the memory, below all permissions
	"shadow",           // reads everybody's password hashes
	"staff",            // on Debian writes to /usr/local/sbin and /usr/local/bin, which root runs from
	"docker", "podman", // start containers of root's, with any directory in them
	"lxd", "lxc", "incus", "incus-admin", // as docker; incus alone is confined, but runs outside of the session
	"libvirt", "libvirt-qemu", // start virtual machines with any disk; read and write those there are
	"adm", "systemd-journal", // read the logs, with what sessions of others told there
	"input", // reads the keys that people press
}

// RootGroup finds a group of root-groups= among those with these numbers. It returns its name
// and number, or an empty name if none is there.
func (c Config) RootGroup(gids []uint32) (name string, gid uint32, err error) {
	for _, name := range c.RootGroups {
		g, err := user.LookupGroup(name)
		if errors.As(err, new(user.UnknownGroupError)) {
			continue
		}
		if err != nil {
			return "", 0, fmt.Errorf("looking up the group %s: %w", name, err)
		}
		n, err := strconv.ParseUint(g.Gid, 10, 32)
		if err != nil {
			return "", 0, fmt.Errorf("the number of the group %s: %w", name, err)
		}
		if slices.Contains(gids, uint32(n)) {
			return name, uint32(n), nil
		}
	}
	return "", 0, nil
}

// LeaveGroup is the command that takes a user out of a group. A user's own group, which
// passwd(5) names, is replaced by the one that is called like the user.
func LeaveGroup(user, group string, primary bool) string {
	if primary {
		return fmt.Sprintf("sudo usermod -g %s %s", user, user)
	}
	return fmt.Sprintf("sudo gpasswd -d %s %s", user, group)
}

// GroupsOf lists the groups that a user is in. The first is the user's own (passwd(5)).
func GroupsOf(u *user.User) (gids []uint32, err error) {
	ids, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	for _, id := range append([]string{u.Gid}, ids...) {
		gid, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, err
		}
		gids = append(gids, uint32(gid))
	}
	return gids, nil
}
