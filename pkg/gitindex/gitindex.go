// Package gitindex reads git's index (gitformat-index(5)): its entries, and what is
// dangerous in one: the repositories that git enters because the index names them.
//
// Whoever asks does not trust who wrote it. So what git might read differently from us
// is an error: there are two ways to the entries (one after the other, or in blocks by
// several threads), two to the extensions, and two lengths of each name.
package gitindex

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
)

// An Index is what is noteworthy in one.
type Index struct {
	Gitlinks []string // names of other repositories
	Sparse   []string // directories that stand for all that is in them, ending in a slash
	Strange  []string // names that git itself never puts there: of no file in the work tree
	Shared   string   // the name of the index that this one shares entries with: sharedindex.…
}

// ErrRefused is that git does not take it for an index either.
var ErrRefused = errors.New("not an index")

var errUnclear = errors.New("not an index as git writes it")

const (
	header = 12
	// Kinds of entries, as in st_mode.
	kind, directory, gitlink = 0o170000, 0o040000, 0o160000
	// An entry's flags.
	extended, nameSize = 0x4000, 0x0fff
	// Where an entry's mode and its object's name are.
	modeAt, idAt = 24, 40
)

// Parse reads an index with the hash that it fits, to the last byte: there is no
// telling from its beginning, and with the wrong one names would be nonsense.
func Parse(b []byte) (x Index, err error) {
	const sha1, sha256 = 20, 32
	if len(b) < header+sha1 || string(b[:4]) != "DIRC" {
		return x, ErrRefused
	}
	if version := binary.BigEndian.Uint32(b[4:]); version < 2 || version > 4 {
		return x, ErrRefused
	}
	var one, two Index
	var first, second bool
	one.Shared, first = parse(b, sha1, one.add)
	two.Shared, second = parse(b, sha256, two.add)
	switch {
	case first && !second:
		return one, nil
	case second && !first:
		return two, nil
	}
	return x, errUnclear
}

// parse calls visit with each entry: its name, which the next call overwrites, and the numbers
// before it. It is ok if nothing is left over. shared is as in Index.
func parse(b []byte, hash int, visit func(name, fixed []byte)) (shared string, ok bool) {
	version, n := binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	at := header
	var name []byte
	var starts []int // where entries begin, or -1 if one needs the name before it
	for range n {
		starts = append(starts, at)
		rest := b[at:]
		// Ten numbers, the object's name, flags.
		fixed := 40 + hash + 2
		if len(rest) < fixed+2 {
			return "", false
		}
		flags := binary.BigEndian.Uint16(rest[fixed-2:])
		if flags&extended != 0 {
			if fixed += 2; version == 2 {
				return "", false
			}
		}
		numbers := rest[:fixed]
		end := bytes.IndexByte(rest[fixed:], 0)
		if version == 4 {
			strip, size := varint(rest[fixed:])
			if size == 0 || strip > len(name) {
				return "", false
			}
			if strip < len(name) {
				starts[len(starts)-1] = -1
			}
			fixed += size
			if end = bytes.IndexByte(rest[fixed:], 0); end < 0 {
				return "", false
			}
			name = append(name[:len(name)-strip], rest[fixed:fixed+end]...)
			fixed += end + 1
		} else {
			if end < 0 {
				return "", false
			}
			name = rest[fixed : fixed+end]
			fixed = (fixed + end + 8) &^ 7
		}
		if size := int(flags & nameSize); fixed > len(rest) || size != min(len(name), nameSize) {
			return "", false
		}
		visit(name, numbers)
		at += fixed
	}
	ended := at
	for len(b)-at >= 8+hash {
		size, data := uint64(binary.BigEndian.Uint32(b[at+4:])), b[at+8:]
		if size > uint64(len(data)-hash) {
			return "", false
		}
		data = data[:size]
		switch string(b[at : at+4]) {
		case "link":
			if len(data) < hash {
				return "", false
			}
			shared = "sharedindex." + hex.EncodeToString(data[:hash])
		case "EOIE": // where the extensions begin
			if len(data) < 4 || int(binary.BigEndian.Uint32(data)) != ended {
				return "", false
			}
		case "IEOT":
			if !blocks(data, starts) {
				return "", false
			}
		}
		at += 8 + int(size)
	}
	return shared, len(b)-at == hash
}

// blocks says whether a table of blocks of entries has all of them, in order.
func blocks(table []byte, starts []int) bool {
	if len(table) < 4 || len(table)%8 != 4 {
		return false
	}
	next := uint64(0)
	for table = table[4:]; len(table) > 0; table = table[8:] {
		if next >= uint64(len(starts)) || int(binary.BigEndian.Uint32(table)) != starts[next] {
			return false
		}
		next += uint64(binary.BigEndian.Uint32(table[4:]))
	}
	return next == uint64(len(starts))
}

func (x *Index) add(name, fixed []byte) {
	is := binary.BigEndian.Uint32(fixed[modeAt:]) & kind
	if is == directory {
		name = bytes.TrimSuffix(name, []byte("/"))
	}
	switch {
	// In an index that shares entries, one without a name has that of one there.
	case len(name) == 0 && is != gitlink && is != directory:
	case strange(name):
		x.Strange = append(x.Strange, string(name))
	case is == gitlink:
		x.Gitlinks = append(x.Gitlinks, string(name))
	case is == directory:
		x.Sparse = append(x.Sparse, string(name)+"/")
	}
}

func strange(name []byte) bool {
	for rest, more := name, true; more; {
		var part []byte
		part, rest, more = bytes.Cut(rest, []byte("/"))
		if len(part) == 0 || part[0] == '.' && (len(part) == 1 || string(part) == ".." || bytes.EqualFold(part, []byte(".git"))) {
			return true
		}
	}
	return false
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

// All is what this index and the one it shares entries with have together.
func (x Index) All(shared Index) Index {
	return Index{
		Gitlinks: slices.Concat(x.Gitlinks, shared.Gitlinks),
		Sparse:   slices.Concat(x.Sparse, shared.Sparse),
		Strange:  slices.Concat(x.Strange, shared.Strange),
	}
}
