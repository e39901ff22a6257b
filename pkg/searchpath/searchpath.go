// Package searchpath decides which directories of the machine may be on the PATH of a session.
//
// The client and the launcher both ask it: the client to tell its person what is left out, the
// launcher because it does not rely on the client.
package searchpath

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// never lists directories beneath which no entry is taken: sessions have their own there, or
// everybody may write there.
var never = []string{"/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp"}

// Machine returns the real name of a directory that every user may read, that only root can
// write to or replace, and that lies in none of the hidden directories. Nobody can put a
// program there as a trap. Any other entry is not ok.
func Machine(entry string, hidden []string) (real string, ok bool) {
	return machine(entry, slices.Concat(never, hidden))
}

func machine(entry string, no []string) (string, bool) {
	// Before anything is looked at: a home may be on a file system that answers late or never.
	if !filepath.IsAbs(entry) || isBelowAny(filepath.Clean(entry), no) {
		return "", false
	}
	real, err := filepath.EvalSymlinks(entry)
	if err != nil || real == "/" || isBelowAny(real, no) || strings.Contains(real, ":") {
		return "", false
	}
	for i := 1; i <= len(real); i++ {
		if i < len(real) && real[i] != '/' {
			continue
		}
		fi, err := os.Lstat(real[:i])
		if err != nil || !isRoots(fi, i == len(real)) {
			return "", false
		}
	}
	return real, true
}

// isRoots says whether only root can replace what is in a directory, and everybody can pass
// through it. In the last directory of a path nobody else may add a file, and everybody may
// list it. Above that a directory with the sticky bit will do, since what follows is root's:
// the Nix store is one.
func isRoots(fi os.FileInfo, last bool) bool {
	const sticky = syscall.S_ISVTX
	st := fi.Sys().(*syscall.Stat_t)
	if !fi.IsDir() || st.Uid != 0 || st.Mode&0o001 == 0 {
		return false
	}
	if last && st.Mode&0o004 == 0 {
		return false
	}
	return st.Mode&0o022 == 0 || !last && st.Mode&sticky != 0
}

func isBelowAny(path string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool {
		return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
	})
}
