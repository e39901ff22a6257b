// Package anchor is what is kept of the record's chains where the bridge cannot write:
// now and then the hash of a chain's last record. Who can write the record could make
// a chain anew from any record on; an anchor is what that would have to agree with.
//
//	bridge ── heads of chains ──▶ launcher ──▶ Dir/2026-11-25.jsonl   root's, append-only
//	                                      └──▶ the journal            as the launcher's entries
//	                                                  │
//	                      aaau-server audit verify ◀── Read
//
// What an anchor says of a chain is the bridge's word; that it said so, and when, is
// the launcher's. So who reads anchors must be ready for ones that go backwards, that
// contradict each other, or that are of no chain: a bridge gone bad can have any made.
// It can have none unmade, but for what expires, which it can hasten.
package anchor

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Dir is where the launcher keeps anchors: a file for each day (UTC) that had any. It
// is beneath a directory of root's, as in one of the bridge's own it could be moved
// away.
const Dir = "/var/lib/aaau/anchors"

// FileName is the form of the files' names; they sort by time.
var FileName = regexp.MustCompile(`^\d{4}-\d\d-\d\d\.jsonl$`)

const (
	// MaxHeads is how many there may be in one request: they fit into a message of
	// pkg/privsep.
	MaxHeads = 256
	// MaxLine is longer than any line, in bytes.
	MaxLine = 512
)

// Head is a chain's last record.
type Head struct {
	Chain string `json:"chain"` // a session's id, or the name of a bridge's own
	Seq   uint64 `json:"seq"`   // from 1
	Hash  string `json:"hash"`  // SHA-256, in lower-case hex digits
	// Final says that the chain is to have no record after it.
	Final bool `json:"final,omitempty"`
}

var (
	chainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	hashForm  = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Check says what is wrong with a head that a stranger gave.
func (h Head) Check() error {
	switch {
	case !chainName.MatchString(h.Chain):
		return fmt.Errorf("%.80q is no name of a chain", h.Chain)
	case h.Seq == 0:
		return errors.New("records are numbered from 1")
	case !hashForm.MatchString(h.Hash):
		return fmt.Errorf("%.80q is no SHA-256 in lower-case hex digits", h.Hash)
	}
	return nil
}

// Line is one of a file. N counts those of the file, from 1, so that a missing one is
// seen.
type Line struct {
	N    uint64    `json:"n"`
	Time time.Time `json:"time"`
	Head
}

// Append adds the line to b, with its end.
func (l Line) Append(b []byte) ([]byte, error) {
	text, err := json.Marshal(l)
	return append(append(b, text...), '\n'), err
}

// Torn is what the launcher writes after a line that a crash has left without its end:
// nothing can be taken for a good line then that is none.
const Torn = "#torn\n"

// ParseLine is the inverse of Append. A line's end may be there or not.
func ParseLine(b []byte) (Line, error) {
	var l Line
	if err := json.Unmarshal(b, &l); err != nil {
		return l, err
	}
	if l.N == 0 || l.Time.IsZero() {
		return l, errors.New("it has no number or no time")
	}
	return l, l.Check()
}

// What the journal's entries are known by.
const (
	Unit      = "aaau-launcher.service"
	Event     = "anchor"                           // AAAU_EVENT=
	MessageID = "3684a511ac584e59a9cbacc3acae4cd9" // MESSAGE_ID=
)
