package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"
)

// KindBroken is the kind of the line that stands in an export where the chain breaks. No such
// record is in any chain.
const KindBroken Kind = "broken"

// follow holds each record of a chain to the one before it. Before one that does not follow it
// gives a *BadLine that is Broken. Where the first one should stand it cannot know.
func follow(chain string, records iter.Seq2[*Entry, error]) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		var last Head
		at := time.Unix(0, 0) // nothing has a time yet
		for e, err := range records {
			var bad *BadLine
			if errors.As(err, &bad) {
				bad.Chain, bad.Time = chain, at
			}
			if err == nil {
				why := breach(chain, e, last)
				last, at = Head{e.Seq, e.Hash}, e.Time
				broken := &BadLine{File: e.File, Line: e.Line, Why: why, Broken: true, Chain: chain, Time: at}
				if why != "" && !yield(nil, broken) {
					return
				}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// breach says in which way a record does not follow last; empty: it does.
func breach(chain string, e *Entry, last Head) string {
	switch {
	case e.Hash != e.sum:
		return fmt.Sprintf("record %d was changed: its hash is not that of what it says", e.Seq)
	case !IsBridge(chain) && e.SessionID != chain:
		return fmt.Sprintf("record %d is of another session", e.Seq)
	case e.Seq == 1 && e.Prev != (Digest{}):
		return "record 1 names another as the one before"
	case last.Seq == 0 || e.Seq == last.Seq+1 && e.Prev == last.Hash:
		return ""
	case e.Seq == last.Seq+1:
		return fmt.Sprintf("record %d was changed: the next one has another hash of it", last.Seq)
	default:
		return fmt.Sprintf("record %d is followed by record %d", last.Seq, e.Seq)
	}
}

// Mark is what stands where the chain breaks, for people.
func (b *BadLine) Mark() string {
	if b.Broken {
		return "the record is not what was recorded here: " + b.Error()
	}
	return "something here is no record, and left out: " + b.Error()
}

// marked is the line of a Mark among lines of JSON. It is like a record but for what only those
// of the chain have: seq, prev and hash.
func (b *BadLine) marked() ([]byte, error) {
	meta, err := b.Place()
	if err != nil {
		return nil, err
	}
	line := strconv.AppendFloat([]byte(fieldTime), float64(b.Time.UnixMicro())/1e6, 'f', 6, 64)
	line = append(line, `,"source":"system","user":"system","session_id":`...)
	line = appendString(line, b.Chain)
	line = append(line, `,"command_type":"`+KindBroken+`","content":`...)
	line = append(appendString(line, b.Mark()), `,"metadata":`...)
	return append(append(line, meta...), "}\n"...), nil
}

// Place is the metadata of a Mark.
func (b *BadLine) Place() (json.RawMessage, error) {
	return json.Marshal(struct {
		File string `json:"file"`
		Line int    `json:"line"`
	}{b.File, b.Line})
}
