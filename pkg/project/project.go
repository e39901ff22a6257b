// Package project is the person's side of what a session takes along: which
// directories, what in them git would run as the person and so must be kept
// from the agent, which tools, which variables; and afterwards, what the agent
// left behind that the person's own tools would run.
//
// It runs as the person, before the session and after it. It never runs anything
// that a directory configures, follows no symbolic link of one, and prints
// nothing: what a person should read comes back as errors and notes, a line each.
package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Dir is a directory that a session takes along.
type Dir struct {
	File     *os.File // the directory; the caller closes it
	Path     string   // the kernel's name of it: absolute, symbolic links resolved
	ReadOnly bool
	Tool     bool     // one of the person's tools; always read-only
	Lock     []string // slash-separated paths beneath it, sorted, that the agent may not write or replace
}

// Open opens a directory of the person's own. The caller closes its File.
func Open(path string) (Dir, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Dir{}, fmt.Errorf("%s: there is no such directory", shown(path))
	case errors.Is(err, syscall.ENOTDIR):
		return Dir{}, fmt.Errorf("%s is not a directory: share the one it is in", shown(path))
	case errors.Is(err, fs.ErrPermission):
		return Dir{}, fmt.Errorf("%s: you may not read it", shown(path))
	case err != nil:
		return Dir{}, fmt.Errorf("opening %s: %w", shown(path), reason(err))
	}
	d, err := named(f)
	if err != nil {
		f.Close()
		return Dir{}, fmt.Errorf("%s: %w", shown(path), err)
	}
	return d, nil
}

// named finds out what the kernel calls a directory, and whose it is.
func named(f *os.File) (Dir, error) {
	fi, err := f.Stat()
	if err != nil {
		return Dir{}, err
	}
	if uid := fi.Sys().(*syscall.Stat_t).Uid; uid != uint32(os.Geteuid()) {
		return Dir{}, fmt.Errorf("belongs to %s: only your own directories can be shared", userName(uid))
	}
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(f.Fd())))
	if err != nil {
		return Dir{}, err
	}
	// The name of what was removed, or is out of reach, leads elsewhere or nowhere.
	if there, err := os.Lstat(path); err != nil || !os.SameFile(fi, there) {
		return Dir{}, errors.New("has no name any more: was it removed?")
	}
	return Dir{File: f, Path: path}, nil
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "user " + id
}

// reason is an error without the path, which the message names already.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// shown is a name from the disk, fit for a person's terminal.
func shown(name string) string {
	for _, r := range name {
		if !strconv.IsPrint(r) || r == '\uFFFD' {
			return strconv.Quote(name)
		}
	}
	return name
}
