package project

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// A resolved path is where a name leads.
type resolved struct {
	path  string      // without symbolic links; as far as it exists, and the rest as it stands
	info  fs.FileInfo // nil if it does not exist
	links []string    // the symbolic links on the way
}

// resolve follows a name as the kernel does, and remembers how.
func resolve(name string) (resolved, error) {
	r := resolved{path: "/"}
	rest := strings.Split(name, "/")
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			r.path, r.info = filepath.Dir(r.path), nil
			continue
		}
		next := filepath.Join(r.path, part)
		fi, err := os.Lstat(next)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return resolved{path: filepath.Join(next, filepath.Join(rest...)), links: r.links}, nil
		}
		if err != nil {
			return r, err
		}
		if fi.Mode()&fs.ModeSymlink == 0 {
			r.path, r.info = next, fi
			continue
		}
		r.links = append(r.links, next)
		if len(r.links) > 40 {
			return r, fmt.Errorf("%s: %w", shown(name), syscall.ELOOP)
		}
		target, err := os.Readlink(next)
		if err != nil {
			return r, err
		}
		if filepath.IsAbs(target) {
			r.path = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	if r.info == nil {
		fi, err := os.Lstat(r.path)
		if err != nil {
			return r, err
		}
		r.info = fi
	}
	return r, nil
}

// maxSmall is how long the files are at most that name git's directories.
const maxSmall = 8 << 10

// readSmall reads a file that is short, and no link, pipe or device.
func readSmall(name string) (string, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxSmall {
		return "", fmt.Errorf("%s: not a short file", shown(name))
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSmall))
	return string(b), err
}

// under says whether name is dir or beneath it; both are clean.
func under(dir, name string) (rel string, ok bool) {
	if name == dir {
		return ".", true
	}
	if dir == "/" {
		dir = ""
	}
	return strings.CutPrefix(name, dir+"/")
}
