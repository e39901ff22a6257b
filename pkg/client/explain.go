package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path"
	"strconv"
	"strings"
	"syscall"
)

// explain says why a socket cannot be connected to, and what to do.
func explain(socket string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no socket %s: is aaau.socket enabled? sudo systemctl enable --now aaau.socket", socket)
	case errors.Is(err, fs.ErrPermission) && os.Getenv("AAAU_SESSION") != "":
		return errors.New("this is a session: agents may not use AaaU")
	case errors.Is(err, fs.ErrPermission) && isAgent():
		return errors.New("you are a user that agents or services run as, and these may not use AaaU: use it as yourself")
	case errors.Is(err, fs.ErrPermission):
		group, err := groupOf(socket)
		if err != nil {
			return err
		}
		name := "USER"
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
		return fmt.Errorf("you may not use %s: sudo usermod -aG %s %s, then newgrp %s (works at once)", socket, group, name, group)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody listens at %s: sudo systemctl restart aaau.socket, or start again what listened there", socket)
	case errors.Is(err, syscall.EINVAL):
		return fmt.Errorf("%.40s… is too long for a socket's name: choose a shorter one with -s", socket)
	default:
		return fmt.Errorf("connecting to %s: %w", socket, err)
	}
}

// agentHomes is where the homes of agents' users are, unless an administrator says otherwise.
const agentHomes = "/var/lib/aaau/"

// isAgent says whether we seem to be a user that agents run as, or another that nobody logs
// in as: whoever told such a one to join the access group would let agents in.
func isAgent() bool {
	u, err := user.Current()
	if err != nil {
		return false
	}
	users, err := os.ReadFile("/etc/passwd")
	return err == nil && agentIn(string(users), u.Uid)
}

// agentIn says whether the user of this uid is one of agents', as passwd(5) has it.
func agentIn(users, uid string) bool {
	for line := range strings.Lines(users) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 7 || f[2] != uid {
			continue
		}
		shell := path.Base(f[6])
		return strings.HasPrefix(f[5], agentHomes) || shell == "nologin" || shell == "false"
	}
	return false
}

// groupOf names the group that may use a socket.
func groupOf(socket string) (string, error) {
	fi, err := os.Stat(socket)
	if err != nil {
		return "", fmt.Errorf("you may not use %s: %w", socket, err)
	}
	gid := fi.Sys().(*syscall.Stat_t).Gid
	if fi.Mode()&os.ModeSocket == 0 || fi.Mode()&0o020 == 0 || gid == 0 {
		return "", fmt.Errorf("%s is no socket of AaaU's: is -s right?", socket)
	}
	g, err := user.LookupGroupId(strconv.FormatUint(uint64(gid), 10))
	if err != nil {
		return "", fmt.Errorf("you may not use %s: it belongs to group %d, which has no name", socket, gid)
	}
	return g.Name, nil
}
