// Package argv carries a program's arguments through JSON exactly. An argument is
// any bytes but NUL; JSON's strings are Unicode, and encoding/json would silently
// replace what is not.
package argv

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// Argv is a program and its arguments. In JSON it is an array, of a string where
// the argument needs no escape, and of {"base64": …} where it does: so the JSON
// is never much longer than the arguments.
type Argv []string

type exact struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON implements json.Marshaler.
func (a Argv) MarshalJSON() ([]byte, error) {
	out := make([]any, len(a))
	for i, s := range a {
		if quoted, err := json.Marshal(s); err == nil && utf8.ValidString(s) && len(quoted) == len(s)+2 {
			out[i] = s
		} else {
			out[i] = exact{[]byte(s)}
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler. An argument with a NUL byte is an
// error, for no program could have it.
func (a *Argv) UnmarshalJSON(b []byte) error {
	var in []json.RawMessage
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*a = make(Argv, len(in))
	for i, raw := range in {
		if err := json.Unmarshal(raw, &(*a)[i]); err != nil {
			d := json.NewDecoder(bytes.NewReader(raw))
			d.DisallowUnknownFields()
			var e exact
			if err := d.Decode(&e); err != nil {
				return errors.New("an argument is neither a string nor {\"base64\": …}")
			}
			(*a)[i] = string(e.Base64)
		}
		if bytes.IndexByte([]byte((*a)[i]), 0) >= 0 {
			return errors.New("an argument has a NUL byte")
		}
	}
	return nil
}
