package bridge

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A session's name is in any script, as directories are: letters, digits, and the marks that
// belong to letters; between them . _ and -. It is in the form in which equal text has equal
// bytes (NFC), and nothing in it is invisible or moves a cursor.

// maxName bounds a name, in characters; maxNameBytes in bytes.
const maxName, maxNameBytes = 40, 120

// isName says whether a session may be called so.
func isName(s string) bool {
	first, _ := utf8.DecodeRuneInString(s)
	return s != "" && len(s) <= maxNameBytes && utf8.RuneCountInString(s) <= maxName && norm.NFC.IsNormalString(s) &&
		begins(first) && strings.IndexFunc(s, func(r rune) bool { return !inName(r) }) < 0
}

// asName makes a name for a session of any other, empty if nothing of it will do.
func asName(s string) string {
	name := strings.Map(func(r rune) rune {
		if inName(r) {
			return r
		}
		return '-'
	}, norm.NFC.String(s[:min(len(s), 4*maxNameBytes)]))
	name = strings.TrimLeftFunc(name, func(r rune) bool { return !begins(r) })
	if runes := []rune(name); len(runes) > maxName {
		name = string(runes[:maxName])
	}
	for len(name) > maxNameBytes {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}

// ref is how a person names a session, in the form of names.
func ref(s string) string { return norm.NFC.String(s) }

func begins(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsNumber(r)) && !invisible(r)
}

func inName(r rune) bool {
	return begins(r) || r != utf8.RuneError && (unicode.IsMark(r) && !invisible(r) || strings.ContainsRune("._-", r))
}

// invisible says whether a letter or mark shows nothing, as a filler or a variation selector.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
