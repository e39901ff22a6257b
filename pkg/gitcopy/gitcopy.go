// Package gitcopy makes a session's own git directory out of a person's: all that git needs there
// but the objects, which the session borrows.
//
// Pack runs as the person and reads their git directory; it runs no hook and no filter of theirs.
// Unpack runs as the agent and writes the copy. Between them is a tar archive.
package gitcopy

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Source is what is copied.
type Source struct {
	Dir    string // the git directory
	Common string // the directory with refs and configuration, if it is another one; or ""
	// Objects are the directories from which the copy takes its objects, as paths that the session
	// sees, absolute or relative to the copy's objects/.
	Objects []string
	// UID and GID are the files' owner as the session sees it, for the index: git would otherwise
	// take every file for changed, and read it.
	UID, GID uint32
	// Within is the part of the working tree that the session sees, as a path relative to its top;
	// "" is all of it. The index marks the rest as absent on purpose.
	Within string
}

// files are copied as they are, where they are there: what git knows of itself, and of what it is
// in the middle of.
var files = []string{
	"HEAD", "description", "shallow", "config.worktree", "commondir", "gitdir", "ORIG_HEAD", "FETCH_HEAD",
	"MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "MERGE_RR", "AUTO_MERGE", "CHERRY_PICK_HEAD", "REVERT_HEAD", "SQUASH_MSG", "COMMIT_EDITMSG",
	"BISECT_START", "BISECT_LOG", "BISECT_NAMES", "BISECT_TERMS", "BISECT_EXPECTED_REV", "BISECT_ANCESTORS_OK",
	"logs/HEAD", "logs/refs/stash",
}

// directories are copied with all that is in them.
var directories = []string{"hooks", "info", "reftable", "rebase-merge", "rebase-apply", "sequencer", "rr-cache"}

// leftOut are files in those directories that are not the copy's.
var leftOut = []string{"info/alternates", "info/refs", "info/packs"}

// mostBytes bounds what is copied.
const mostBytes = 2 << 30

var errTooMuch = errors.New("the git directory has more than 2 GiB beside its objects")

// A packer writes an archive.
type packer struct {
	src  Source
	to   *tar.Writer
	room int64
	made map[string]bool // directories that the archive has
}

// Pack writes the copy's files as an archive. The notes are sentences for the person about what was
// left out.
func Pack(ctx context.Context, to io.Writer, src Source) (notes []string, err error) {
	if src.Common == "" {
		src.Common = src.Dir
	}
	p := &packer{src: src, to: tar.NewWriter(to), room: mostBytes, made: map[string]bool{}}
	for _, dir := range []string{"objects/info", "objects/pack", "refs/heads", "refs/tags"} {
		if err := p.directory(dir); err != nil {
			return nil, err
		}
	}
	if err := p.text("objects/info/alternates", strings.Join(src.Objects, "\n")+"\n"); err != nil {
		return nil, err
	}
	if notes, err = p.config(ctx); err != nil {
		return nil, err
	}
	for _, step := range []func() error{p.files, p.directories, p.refs} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if err := p.index(ctx); err != nil {
		return nil, err
	}
	return notes, p.to.Close()
}

// where is the directory that has a name of the git directory's: a linked working tree shares some.
func (p *packer) where(name string) string {
	first, _, _ := strings.Cut(name, "/")
	switch {
	case slices.Contains([]string{"hooks", "info", "reftable", "description", "shallow", "rr-cache", "config"}, first), name == "logs/refs/stash":
		return filepath.Join(p.src.Common, name)
	}
	return filepath.Join(p.src.Dir, name)
}

func (p *packer) files() error {
	for _, name := range files {
		if p.src.Common == p.src.Dir && (name == "commondir" || name == "gitdir") {
			continue
		}
		if err := p.copy(p.where(name), name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (p *packer) directories() error {
	for _, dir := range directories {
		top := p.where(dir)
		err := filepath.WalkDir(top, func(at string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(top, at)
			if err != nil {
				return err
			}
			name := path.Join(dir, rel)
			switch {
			case e.IsDir():
				return p.directory(name)
			case slices.Contains(leftOut, name) || strings.HasSuffix(name, ".lock"):
				return nil
			}
			return p.copy(at, name)
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// copy copies a regular file or a symbolic link; others are left out.
func (p *packer) copy(from, name string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	switch info.Mode().Type() {
	case fs.ModeSymlink:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return p.header(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777})
	case 0:
		text, stat, err := read(from, p.room)
		if err != nil {
			return err
		}
		return p.file(name, text, stat.Mode, time.Unix(stat.Mtim.Unix()))
	}
	return nil
}

// read reads a regular file, at most so many bytes. It waits for nobody, and follows no link.
func read(name string, most int64) ([]byte, unix.Stat_t, error) {
	var stat unix.Stat_t
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, stat, err
	}
	defer f.Close()
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		return nil, stat, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, stat, &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	if stat.Size > most {
		return nil, stat, errTooMuch
	}
	text := bytes.NewBuffer(make([]byte, 0, stat.Size+bytes.MinRead))
	n, err := text.ReadFrom(io.LimitReader(f, most+1))
	if n > most {
		err = errTooMuch
	}
	return text.Bytes(), stat, err
}

func (p *packer) text(name, text string) error { return p.file(name, []byte(text), 0o644, time.Now()) }

func (p *packer) file(name string, text []byte, mode uint32, mtime time.Time) error {
	if p.room -= int64(len(text)); p.room < 0 {
		return errTooMuch
	}
	if err := p.directory(path.Dir(name)); err != nil {
		return err
	}
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(text)), Mode: int64(mode & 0o777), ModTime: mtime}
	if err := p.header(h); err != nil {
		return err
	}
	_, err := p.to.Write(text)
	return err
}

// directory has the archive make a directory, with those above it.
func (p *packer) directory(name string) error {
	if name == "." || p.made[name] {
		return nil
	}
	if err := p.directory(path.Dir(name)); err != nil {
		return err
	}
	p.made[name] = true
	return p.header(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755})
}

func (p *packer) header(h *tar.Header) error {
	h.Format = tar.FormatPAX // which keeps times to the nanosecond, as the index needs
	if err := p.to.WriteHeader(h); err != nil {
		return fmt.Errorf("packing %s: %w", h.Name, err)
	}
	return nil
}

// Unpack writes a copy into an empty directory. The archive may be hostile: nothing is written
// outside.
func Unpack(from io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for archive := tar.NewReader(from); ; {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the copy of a git directory: %w", err)
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.Mkdir(h.Name, 0o755)
		case tar.TypeSymlink:
			err = root.Symlink(h.Linkname, h.Name)
		case tar.TypeReg:
			err = unpackFile(root, h, archive)
		default:
			err = fmt.Errorf("%s is of a kind that no git directory has", h.Name)
		}
		if err != nil {
			return err
		}
	}
}

func unpackFile(root *os.Root, h *tar.Header, from io.Reader) error {
	f, err := root.OpenFile(h.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fs.FileMode(h.Mode)&0o777)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	if err2 := f.Close(); err == nil {
		err = err2
	}
	if err == nil {
		err = root.Chtimes(h.Name, h.ModTime, h.ModTime)
	}
	return err
}
