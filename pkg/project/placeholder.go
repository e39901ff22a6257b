package project

import (
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// placeholder is what stands in a file of git's configuration in a person's home that they
// do not have, and that an agent could make otherwise: there must be a file to be locked.
// It goes when no session needs it any more.
const placeholder = "# AaaU keeps this file empty while an agent may write here. It goes with the session.\n"

// isPlaceholder says whether an entry of a directory is such a file.
func isPlaceholder(dir int, e entry) bool {
	if e.kind != unix.DT_REG || e.name != ".gitconfig" && e.name != "config" {
		return false
	}
	fd, err := openBeneath(dir, e.name, unix.O_RDONLY)
	if err != nil {
		return false
	}
	f := os.NewFile(uintptr(fd), e.name)
	defer f.Close()
	return hasPlaceholder(f)
}

func hasPlaceholder(f *os.File) bool {
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() || fi.Size() != int64(len(placeholder)) {
		return false
	}
	text, err := io.ReadAll(io.LimitReader(f, int64(len(placeholder))+1))
	return err == nil && string(text) == placeholder
}

// Placeholders are the files in these directories that RemovePlaceholders would remove.
func Placeholders(dirs []string) (files []string) {
	for _, file := range globalFiles() {
		at, err := resolve(file)
		if err != nil || len(at.links) > 0 {
			continue
		}
		for _, dir := range dirs {
			if _, ok := under(dir, at.path); !ok {
				continue
			}
			f, err := os.OpenFile(at.path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
			if err != nil {
				break
			}
			if hasPlaceholder(f) {
				files = append(files, at.path)
			}
			f.Close()
			break
		}
	}
	slices.Sort(files)
	return files
}

// RemovePlaceholders removes what a session needed and its person did not have, when no
// session is left that does: while one is, an agent could make the files.
func RemovePlaceholders(files []string) error {
	for _, file := range files {
		if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
			return err
		}
		if dir := filepath.Dir(file); filepath.Base(dir) == "git" && os.Remove(dir) == nil { // it was empty
			_ = os.Remove(filepath.Dir(dir)) // likewise
		}
	}
	return nil
}
