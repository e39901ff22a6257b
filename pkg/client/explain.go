package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// explain says why a socket cannot be connected to, and what to do.
func explain(socket string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no socket %s: is aaau.socket enabled? sudo systemctl enable --now aaau.socket", socket)
	case errors.Is(err, fs.ErrPermission) && os.Getenv("AAAU_SESSION") != "":
		return errors.New("this is a session: agents may not use AaaU")
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
