// Package audit writes the record, reads it and tests it.
//
// The record is files of lines (line.go), and each line names the hash of the one
// before: that makes a chain. Each session has a chain, and the bridge has one of its
// own; a chain's files are its segments (segment.go). A Store is a bridge's hold on
// all of them:
//
//	Store.Bridge, Store.Session ─▶ Chain ─Append, Output─▶ segment ─full, day over, Finish─▶ compressed ─Expire─▶ gone
//	                                  │
//	                                  └─ Head: what the launcher's side is to anchor
//
// What is on the disk is all that there is: a chain is opened again from the end of
// its last file, and tells in its next record that somebody else writes now, and what
// a crash had left there. After any error the chain is as it was before, so what could
// not be recorded can be offered again.
//
// Readers (Read, Verify, Search, the exports) want nothing but the directory, and
// believe nothing that is in it.
package audit

import "errors"

var (
	errNoStream = errors.New("neither output nor errors")
	// ErrClosed is what a chain says that was closed.
	ErrClosed = errors.New("the record was closed")
)
