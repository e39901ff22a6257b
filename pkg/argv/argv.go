// Package argv carries arguments, names of files and the like through JSON
// exactly. They are any bytes but NUL; JSON's strings are Unicode, and
// encoding/json would silently replace what is not.
package argv

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// String is any bytes but NUL. In JSON it is a string where it needs no escape, and
// {"base64": …} where it does: so the JSON is never much longer than the bytes.
type String string

type exact struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON implements json.Marshaler.
func (s String) MarshalJSON() ([]byte, error) {
	quoted, err := json.Marshal(string(s))
	if err == nil && utf8.ValidString(string(s)) && len(quoted) == len(s)+2 {
		return quoted, nil
	}
	return json.Marshal(exact{[]byte(s)})
}

// UnmarshalJSON implements json.Unmarshaler. A NUL byte is an error, for no
// program or file could have it.
func (s *String) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		var e exact
		if err := d.Decode(&e); err != nil {
			return errors.New("neither a string nor {\"base64\": …}")
		}
		text = string(e.Base64)
	}
	if bytes.IndexByte([]byte(text), 0) >= 0 {
		return errors.New("a NUL byte in an argument or a name")
	}
	*s = String(text)
	return nil
}

// Argv is a program and its arguments, or any other list of such strings.
type Argv []string

// MarshalJSON implements json.Marshaler.
func (a Argv) MarshalJSON() ([]byte, error) {
	out := make([]String, len(a))
	for i, s := range a {
		out[i] = String(s)
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *Argv) UnmarshalJSON(b []byte) error {
	var in []String
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*a = make(Argv, len(in))
	for i, s := range in {
		(*a)[i] = string(s)
	}
	return nil
}

// Command is a shell's command line with these words.
func (a Argv) Command() string {
	words := make([]string, len(a))
	for i, word := range a {
		if words[i] = word; word == "" || strings.ContainsFunc(word, needsQuotes) {
			words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// needsQuotes says whether a shell may take a character for more than itself.
func needsQuotes(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_@%+=:,./-", r)
}
