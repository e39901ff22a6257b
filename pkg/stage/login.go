package stage

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A login shell takes PATH from /etc/profile, and so forgets the person's tools and the agent's
// own; coding agents start one for every command (bash -lc). In a session /etc/profile.d, which
// /etc/profile reads last, has one script more that puts the session's PATH back.

const (
	profileDir = "/etc/profile.d"
	// profileScript is read after those that the machine has.
	profileScript = "zz-aaau.sh"
	// A directory with more files, or a larger one, is left as it is.
	maxProfiles, maxProfile = 256, 256 << 10
)

// keepPath adds the script for a session's PATH. The directory is a copy that nobody can write.
func keepPath(path string) error {
	files, err := readProfiles(profileDir)
	if err != nil || files == nil {
		return err
	}
	files[profileScript] = restorePath(path)
	if err := unix.Mount("tmpfs", profileDir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mounting %s: %w", profileDir, err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(profileDir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := unix.Mount("", profileDir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
		return fmt.Errorf("making %s read-only: %w", profileDir, err)
	}
	return nil
}

// readProfiles reads what everybody may read of a directory of scripts, by their names. It is nil
// where there is no such directory, and where it has more than is copied.
func readProfiles(dir string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > maxProfiles {
		if os.IsNotExist(err) {
			err = nil
		}
		return nil, err
	}
	files := map[string]string{}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		fi, err := os.Stat(name) // a link counts as what it leads to
		if err != nil || !fi.Mode().IsRegular() || fi.Mode()&0o004 == 0 {
			continue
		}
		if fi.Size() > maxProfile {
			return nil, nil
		}
		text, err := readBounded(name)
		if err != nil {
			return nil, err
		}
		files[e.Name()] = text
	}
	return files, nil
}

func readBounded(name string) (string, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxProfile+1))
	if err == nil && len(text) > maxProfile {
		err = &fs.PathError{Op: "read", Path: name, Err: unix.EFBIG}
	}
	return string(text), err
}

// restorePath is a script for any Bourne shell: PATH is path again, and after it comes what else
// is in it by then.
func restorePath(path string) string {
	return `# A session's PATH, which /etc/profile has set anew.
aaau_rest=$PATH
PATH='` + strings.ReplaceAll(path, "'", `'\''`) + `'
while [ -n "$aaau_rest" ]; do
	aaau_dir=${aaau_rest%%:*}
	case $aaau_rest in
	*:*) aaau_rest=${aaau_rest#*:} ;;
	*) aaau_rest= ;;
	esac
	case :$PATH: in
	*:"$aaau_dir":*) ;;
	*) PATH=$PATH:$aaau_dir ;;
	esac
done
unset aaau_rest aaau_dir
export PATH
`
}
