package audit

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Retain says what may stay. Zero is no limit.
type Retain struct {
	Age   time.Duration // since the end of a segment's day
	Bytes int64         // of all the record's files
}

// Expire removes what is older than r allows, and the oldest of what is more. It takes
// nothing of a session that goes on, and never the file that the bridge's own chain
// ends in.
//
// What it removes it first tells in the bridge's own chain, since Verify takes for
// tampering what is gone without a note; so a crash in between leaves a note too
// many, which means nothing. It returns the notes of what is removed.
func (s *Store) Expire(r Retain, running func(id string) bool) ([]Retention, error) {
	if s.number > 1 {
		return nil, nil
	}
	chosen, err := s.expired(r, running)
	if err != nil || len(chosen) == 0 {
		return nil, err
	}
	var notes []Retention
	var records []Record
	for _, x := range chosen {
		notes = append(notes, x.Retention)
		records = append(records, Record{
			Source: System, User: "system", SessionID: sessionOf(x.Chain), Metadata: x.Retention,
			Content: fmt.Sprintf("removed %s: %s", x.File, x.Reason),
		})
	}
	if _, err := s.bridge.Append(records...); err != nil {
		return nil, err
	}
	if err := s.bridge.Sync(); err != nil {
		return nil, err
	}
	s.changed()
	for i, x := range chosen { // a chain's oldest first
		for _, name := range []string{x.seg.name(), x.seg.name() + zstdSuffix} {
			if err := os.Remove(filepath.Join(s.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return notes[:i], fmt.Errorf("removing what has expired: %w", err)
			}
		}
	}
	return notes, nil
}

func sessionOf(chain string) string {
	if IsBridge(chain) {
		return ""
	}
	return chain
}

type expiring struct {
	Retention
	seg  segment
	next *segment
	age  time.Time
}

// expired chooses what is to go.
func (s *Store) expired(r Retain, running func(id string) bool) ([]expiring, error) {
	chains, err := list(s.dir, "")
	if err != nil {
		return nil, err
	}
	var total int64
	var all []expiring
	for name, segments := range chains {
		for _, seg := range segments {
			total += seg.size
		}
		if s.goesOn(name, running) {
			continue
		}
		if IsBridge(name) {
			segments = segments[:len(segments)-1]
		}
		var age time.Time
		for i, seg := range segments {
			if used, err := inUse(filepath.Join(s.dir, seg.name())); err != nil {
				return nil, fmt.Errorf("looking for what has expired: %w", err)
			} else if used || s.isPacking(seg) {
				break // nor what comes after it
			}
			if seg.mod.After(age) { // so that a chain goes from its beginning on
				age = seg.mod
			}
			x := expiring{Retention: Retention{Chain: name, File: seg.file(), Bytes: seg.size}, seg: seg, age: age}
			if i+1 < len(chains[name]) {
				x.next = &chains[name][i+1]
			}
			all = append(all, x)
		}
	}
	slices.SortFunc(all, func(a, b expiring) int {
		return cmp.Or(cmp.Compare(a.seg.day, b.seg.day), a.age.Compare(b.age), cmp.Compare(a.Chain, b.Chain), a.seg.compare(b.seg))
	})
	oldest := today(s.o.now().Add(-r.Age))
	n := 0
	for ; n < len(all); n++ {
		x := &all[n]
		switch {
		case r.Age > 0 && x.seg.day < oldest:
			x.Reason = "age"
		case r.Bytes > 0 && total > r.Bytes:
			x.Reason = "size"
		default:
			return all[:n], nil
		}
		total -= x.Bytes
		h, err := s.lastOf(x.seg, x.next)
		if err != nil {
			return nil, err
		}
		x.Seq, x.Hash = h.Seq, h.Hash
	}
	return all, nil
}

// goesOn says whether nothing of a chain may go.
func (s *Store) goesOn(name string, running func(id string) bool) bool {
	if IsBridge(name) {
		return false
	}
	s.mu.Lock()
	open := s.chains[name] != nil
	s.mu.Unlock()
	return open || running(name)
}

// lastOf is a segment's last record: the next one's first knows it.
func (s *Store) lastOf(seg segment, next *segment) (Head, error) {
	if next != nil {
		for e, err := range read(s.dir, []segment{*next}) {
			if err == nil && e.Hash == e.sum && e.Seq > 1 {
				return Head{e.Seq - 1, e.Prev}, nil
			}
			if err != nil && !errors.As(err, new(*BadLine)) {
				return Head{}, err
			}
			break
		}
	}
	c := Chain{store: s, name: BridgeChain} // no offsets wanted
	at, err := c.stateAfter(seg, false)
	return at.Head, err
}
