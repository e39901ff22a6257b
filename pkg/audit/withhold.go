package audit

import (
	"encoding/hex"
	"fmt"
	"strconv"
)

// Withhold takes out of a record what is not for somebody who could watch the session,
// and no more: what others typed, and the arguments that it was started with. The hash
// stays: it is of the record, and not of what is shown.
func (e *Entry) Withhold(uid uint32) error {
	if e.Kind != KindInput && e.Kind != KindSessionStart {
		return nil
	}
	m, err := e.Decode()
	if err != nil {
		return &BadLine{File: e.File, Line: e.Line, Why: err.Error(), Chain: e.SessionID, Time: e.Time}
	}
	content := ""
	switch m := m.(type) {
	case *Input:
		if m.Person == nil || m.UID == uid || m.Withheld != "" { // of the first: it is what a terminal would have answered
			return nil
		}
		m.Encoding, m.Withheld = "", "rights"
	case *SessionStart:
		if m.UID == uid {
			return nil
		}
		m.Argv = m.Argv[:min(len(m.Argv), 1)]
		content = fmt.Sprintf("%q", []string(m.Argv))
	}
	line := begin(nil, e.Time, e.Source, e.User, e.SessionID, e.Kind)
	line = appendString(line, content)
	at := len(line) + len(fieldMeta)
	if line, err = appendMetadata(append(line, fieldMeta...), m); err != nil {
		return err
	}
	e.content = appendEscaped(nil, []byte(content))
	e.Metadata = line[at:len(line):len(line)]
	line = strconv.AppendUint(append(line, fieldSeq...), e.Seq, 10)
	line = hex.AppendEncode(append(line, fieldPrev...), e.Prev[:])
	line = hex.AppendEncode(append(line, `"`+fieldHash...), e.Hash[:])
	e.Raw = append(line, `"}`...)
	return nil
}
