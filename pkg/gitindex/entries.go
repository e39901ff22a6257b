package gitindex

import (
	"encoding/binary"
	"encoding/hex"
)

// An Entry is one line of an index: a file, a link or a repository, or one side of a merge that
// is not finished.
type Entry struct {
	Name  string
	ID    string // the object's name, in hexadecimal
	Mode  uint32
	Stage uint8 // 0, or 1 to 3 in an unfinished merge
	// Intended is that the file is only announced (git add -N): its content is not staged.
	Intended bool
}

const (
	stageShift, stageMask = 12, 3
	// The second flags, which an extended entry has.
	intended = 0x2000
)

// Entries reads an index whose object names are so many bytes long, 20 or 32, in git's order: by
// name, then by stage. An index that shares its entries with another one is an error.
func Entries(b []byte, hash int) ([]Entry, error) {
	if len(b) < header+hash || string(b[:4]) != "DIRC" {
		return nil, ErrRefused
	}
	if version := binary.BigEndian.Uint32(b[4:]); version < 2 || version > 4 {
		return nil, ErrRefused
	}
	var entries []Entry
	shared, ok := parse(b, hash, func(name, fixed []byte) {
		at := idAt + hash
		flags := binary.BigEndian.Uint16(fixed[at:])
		e := Entry{
			Name:  string(name),
			ID:    hex.EncodeToString(fixed[idAt:at]),
			Mode:  binary.BigEndian.Uint32(fixed[modeAt:]),
			Stage: uint8(flags >> stageShift & stageMask),
		}
		if flags&extended != 0 {
			e.Intended = binary.BigEndian.Uint16(fixed[at+2:])&intended != 0
		}
		entries = append(entries, e)
	})
	if !ok || shared != "" {
		return nil, errUnclear
	}
	for i := 1; i < len(entries); i++ {
		if a, b := entries[i-1], entries[i]; a.Name > b.Name || a.Name == b.Name && a.Stage >= b.Stage {
			return nil, errUnclear
		}
	}
	return entries, nil
}
