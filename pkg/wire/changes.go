package wire

import (
	"encoding/json"

	"github.com/AgentaaU/AaaU/pkg/argv"
)

// Changes are files of a person's that have changed in a session, and that tools of theirs
// run. A list that is too long for a frame is told in several.
type Changes struct {
	Changes []Change `json:"changes"`
	Total   int      `json:"total"`           // of changes that were found
	More    bool     `json:"more,omitempty"`  // the list continues in the next
	Error   string   `json:"error,omitempty"` // for people: why there may be others
}

// Change is one of them. Files is how many it stands for, where it is a whole directory.
type Change struct {
	Path  argv.String `json:"path"`
	What  string      `json:"what"` // for people
	Files int         `json:"files,omitempty"`
}

// maxPart bounds the changes of one part, in bytes of JSON: less than MaxPayload, and than a
// record may have when everything in it is escaped.
const maxPart = 32 << 10

// Parts are the list cut into some of which each fits into a frame.
func (c Changes) Parts() (parts []Changes, err error) {
	part, size := Changes{Total: c.Total, Error: c.Error, Changes: []Change{}}, 0
	for _, change := range c.Changes {
		b, err := json.Marshal(change)
		if err != nil {
			return nil, err
		}
		if size += len(b); size > maxPart && len(part.Changes) > 0 {
			part.More = true
			parts = append(parts, part)
			part, size = Changes{Total: c.Total, Error: c.Error, Changes: []Change{}}, len(b)
		}
		part.Changes = append(part.Changes, change)
	}
	return append(parts, part), nil
}
