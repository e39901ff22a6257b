package vtseq

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxRunes is the length of a text for people.
const maxRunes = 200

// osc tells what an OSC string means.
func osc(body []byte, byBEL bool, found func(Found)) {
	n, digits := number(body)
	if (n == 60 || n == 61) && digits == len(body) { // it asks without an argument
		found(Found{Kind: Asked, Query: AskAllowed, Param: n, BEL: byBEL})
	}
	if digits == 0 || digits == len(body) || body[digits] != ';' {
		return
	}
	data := body[digits+1:]
	switch {
	case n == 0 || n == 2:
		found(Found{Kind: Title, Text: Printable(data)})
	case n == 9 && !bytes.HasPrefix(data, []byte("4;")): // ConEmu's progress bar
		notice(nil, data, found)
	case n == 777:
		if rest, ok := bytes.CutPrefix(data, []byte("notify;")); ok {
			title, text, _ := bytes.Cut(rest, []byte(";"))
			notice(title, text, found)
		}
	case 10 <= n && n <= 19: // the next value is the next number's
		for value := range bytes.SplitSeq(data, []byte(";")) {
			if q := oscQuery(n, value); q != NoQuery {
				found(Found{Kind: Asked, Query: q, Param: n, BEL: byBEL})
			}
			n++
		}
	default:
		if q := oscQuery(n, data); q != NoQuery {
			found(Found{Kind: Asked, Query: q, Param: n, BEL: byBEL})
		} else if n == 99 {
			kittyNotice(data, found)
		}
	}
}

// notice tells of a notice that says something.
func notice(title, text []byte, found func(Found)) {
	f := Found{Kind: Notice, Title: Printable(title), Text: Printable(text)}
	if f.Title != "" || f.Text != "" {
		found(f)
	}
}

// kittyNotice reads metadata;payload. A notice that comes in parts is taken for
// several.
func kittyNotice(data []byte, found func(Found)) {
	metadata, payload, _ := bytes.Cut(data, []byte(";"))
	if e, _ := option(metadata, "e", ":"); string(e) == "1" {
		text := make([]byte, base64.RawStdEncoding.DecodedLen(len(payload)))
		// What precedes an error, or the cut of a long body, still says something.
		n, _ := base64.RawStdEncoding.Decode(text, bytes.TrimRight(payload, "="))
		payload = text[:n]
	}
	switch p, ok := option(metadata, "p", ":"); {
	case !ok || string(p) == "title":
		notice(payload, nil, found)
	case string(p) == "body":
		notice(nil, payload, found)
	}
}

// Printable is s without what is not a printable rune, and not too long. Controls
// of direction are not printable.
func Printable(s []byte) string {
	var b strings.Builder
	for runes := 0; len(s) > 0 && runes < maxRunes; {
		r, size := utf8.DecodeRune(s)
		if unicode.IsPrint(r) && (r != utf8.RuneError || size > 1) {
			b.WriteRune(r)
			runes++
		}
		s = s[size:]
	}
	return b.String()
}
