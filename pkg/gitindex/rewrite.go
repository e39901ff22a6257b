package gitindex

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

const uidAt, gidAt = 28, 32

// Rewrite gives every entry of an index these owners, in place. Nothing else changes but the hash
// at its end.
func Rewrite(b []byte, uid, gid uint32) error {
	if len(b) < header || string(b[:4]) != "DIRC" {
		return ErrRefused
	}
	if version := binary.BigEndian.Uint32(b[4:]); version < 2 || version > 4 {
		return ErrRefused
	}
	for size, sum := range map[int]hash.Hash{sha1.Size: sha1.New(), sha256.Size: sha256.New()} {
		var entries [][]byte
		if _, ok := parse(b, size, func(_, fixed []byte) { entries = append(entries, fixed) }); !ok {
			continue
		}
		for _, fixed := range entries {
			binary.BigEndian.PutUint32(fixed[uidAt:], uid)
			binary.BigEndian.PutUint32(fixed[gidAt:], gid)
		}
		body, trailer := b[:len(b)-size], b[len(b)-size:]
		if !allZero(trailer) { // index.skipHash leaves it out
			sum.Write(body)
			copy(trailer, sum.Sum(nil))
		}
		return nil
	}
	return errUnclear
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
