package gitcopy

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// mostRef bounds a loose ref's file, in bytes.
const mostRef = 4096

// refs packs all refs into one file; symbolic ones stay files of their own. Loose refs are read
// first: git pack-refs, at the same time, writes the packed ones before it removes the loose.
func (p *packer) refs() error {
	values, symbolic := map[string]string{}, map[string]string{}
	dirs := []string{p.src.Common}
	if p.src.Dir != p.src.Common {
		dirs = append(dirs, p.src.Dir)
	}
	for _, dir := range dirs {
		if err := looseRefs(dir, values, symbolic); err != nil {
			return err
		}
	}
	packed, _, err := read(filepath.Join(p.src.Common, "packed-refs"), mostBytes)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for line := range bytes.Lines(packed) {
		id, name, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		if ok && isID(id) && values[name] == "" && symbolic[name] == "" && !strings.HasPrefix(name, ours) {
			values[name] = id
		}
	}
	var text strings.Builder
	text.WriteString("# pack-refs with: sorted \n")
	for _, name := range slices.Sorted(maps.Keys(values)) {
		text.WriteString(values[name] + " " + name + "\n")
	}
	if err := p.text("packed-refs", text.String()); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(symbolic)) {
		if err := p.text(name, symbolic[name]); err != nil {
			return err
		}
	}
	return nil
}

// ours is the prefix of refs that keep objects for sessions.
const ours = "refs/aaau/"

// looseRefs reads the refs that are files.
func looseRefs(dir string, values, symbolic map[string]string) error {
	top := filepath.Join(dir, "refs")
	return filepath.WalkDir(top, func(at string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, at)
		if err != nil {
			return err
		}
		name := path.Join("refs", filepath.ToSlash(rel))
		switch {
		case e.IsDir() && name+"/" == ours:
			return fs.SkipDir
		case e.IsDir() || strings.HasSuffix(name, ".lock"):
			return nil
		}
		if target, err := os.Readlink(at); err == nil { // git's old form of a symbolic ref
			symbolic[name] = "ref: " + target + "\n"
			return nil
		}
		text, _, err := read(at, mostRef)
		switch value := strings.TrimSpace(string(text)); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case strings.HasPrefix(value, "ref:"):
			symbolic[name] = value + "\n"
		case isID(value):
			values[name] = value
		}
		return nil
	})
}

// isID says whether a text is an object's name.
func isID(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}
