package project

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxIndex is how large an index is looked at.
const maxIndex = 512 << 20

// An indexed path is what an index names (gitformat-index(5)).
type indexed struct {
	path    string
	gitlink bool // another repository
}

// index reads the index of a directory of git's.
func (t *tree) index(p place) (paths []indexed) {
	found, shared := readIndex([]byte(t.content(p, entry{name: "index"}, maxIndex)))
	if shared != "" {
		more, _ := readIndex([]byte(t.content(p, entry{name: "sharedindex." + shared}, maxIndex)))
		found = append(found, more...)
	}
	return found
}

// readIndex reads an index with the hash that it fits, to the last byte: there is no
// telling from its beginning, and with the wrong one names would be nonsense. What
// fits neither git does not take either.
func readIndex(b []byte) (paths []indexed, shared string) {
	for _, hash := range []int{20, 32} { // SHA-1, SHA-256
		if paths, shared, ok := parseIndex(b, hash); ok {
			return paths, shared
		}
	}
	return nil, ""
}

// parseIndex returns the paths in an index, and the name of the one that it shares
// others with. It is ok if nothing is left over.
func parseIndex(b []byte, hash int) (paths []indexed, shared string, ok bool) {
	if len(b) < 12 || string(b[:4]) != "DIRC" {
		return nil, "", false
	}
	version, n := binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	rest, last := b[12:], []byte(nil)
	for range n {
		// Ten numbers, the object's name, flags.
		fixed := 40 + hash + 2
		if len(rest) < fixed {
			return nil, "", false
		}
		flags := binary.BigEndian.Uint16(rest[fixed-2:])
		if flags&0x4000 != 0 && version > 2 {
			fixed += 2
		}
		if len(rest) < fixed {
			return nil, "", false
		}
		mode, name := binary.BigEndian.Uint32(rest[24:]), rest[fixed:]
		strip, end := 0, 0
		if version == 4 {
			var size int
			if strip, size = varint(name); size == 0 || strip > len(last) {
				return nil, "", false
			}
			name = name[size:]
			fixed += size
		}
		if end = bytes.IndexByte(name, 0); end < 0 {
			return nil, "", false
		}
		if version == 4 {
			last = append(slices.Clone(last[:len(last)-strip]), name[:end]...)
			fixed += end + 1
		} else {
			last = name[:end]
			fixed = (fixed + end + 8) &^ 7
		}
		if fixed > len(rest) {
			return nil, "", false
		}
		paths = append(paths, indexed{string(last), mode&unix.S_IFMT == 0o160000})
		rest = rest[fixed:]
	}
	for len(rest) >= 8+hash {
		size := uint64(binary.BigEndian.Uint32(rest[4:]))
		data := rest[8:]
		if size > uint64(len(data)) {
			return nil, "", false
		}
		if string(rest[:4]) == "link" && size >= uint64(hash) {
			shared = hex.EncodeToString(data[:hash])
		}
		rest = data[size:]
	}
	return paths, shared, len(rest) == hash
}

// varint is git's, of a path's part that is left out.
func varint(b []byte) (value, size int) {
	for i, c := range b[:min(len(b), 4)] {
		if i > 0 {
			value++
		}
		value = value<<7 + int(c&0x7f)
		if c&0x80 == 0 {
			return value, i + 1
		}
	}
	return 0, 0
}

// gitlinks are the repositories that an index names.
func (t *tree) gitlinks(p place) (names []string) {
	for _, i := range t.index(p) {
		if i.gitlink {
			names = append(names, i.path)
		}
	}
	return names
}

// badIndex says whether an index names what git itself never puts there: by such
// names it runs what other repositories configure, writes outside of the work tree,
// or writes hooks.
func (t *tree) badIndex(p place, fd int, fresh bool) string {
	if !fresh && !t.newer(fd, "index") {
		return ""
	}
	for _, i := range t.index(p) {
		if path.IsAbs(i.path) || slices.ContainsFunc(strings.Split(i.path, "/"), func(part string) bool {
			return part == ".." || strings.EqualFold(part, ".git")
		}) {
			return "has an index that names what is not of its files (" + shown(i.path) + ")"
		}
	}
	return ""
}
