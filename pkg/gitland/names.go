package gitland

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// mostName bounds a ref's name, in bytes.
const mostName = 200

// kinds are the refs that land.
var kinds = []string{"refs/heads/", "refs/tags/", "refs/notes/"}

// checkName says why a ref of the session's must not land under its name. git allows names that a
// shell, a terminal or another git command would take for something else.
func checkName(ref string) error {
	short := ref
	for _, kind := range kinds {
		if s, ok := strings.CutPrefix(ref, kind); ok {
			short = s
		}
	}
	switch {
	case short == ref:
		return fmt.Errorf("only branches, tags and notes are landed")
	case len(ref) > mostName:
		return fmt.Errorf("the name is longer than %d bytes", mostName)
	case !utf8.ValidString(ref):
		return fmt.Errorf("the name is not UTF-8")
	case short == "HEAD" || short == "@" || strings.HasPrefix(short, "refs/"):
		return fmt.Errorf("git has another meaning for this name")
	case strings.Contains(short, "..") || strings.Contains(short, "@{") || strings.HasSuffix(short, "."):
		return fmt.Errorf("git does not allow this name")
	case isHex(short):
		return fmt.Errorf("the name could be a commit's")
	}
	for _, r := range short {
		if !harmless(r) {
			return fmt.Errorf("the name contains %q", r)
		}
	}
	for part := range strings.SplitSeq(short, "/") {
		if part == "" || part[0] == '.' || part[0] == '-' || strings.HasSuffix(part, ".lock") {
			return fmt.Errorf("git does not allow this name")
		}
	}
	return nil
}

// harmless says whether a character in a name is only itself, to git, to a shell and to a terminal.
func harmless(r rune) bool {
	if r < utf8.RuneSelf {
		return r > ' ' && r < 0x7f && !strings.ContainsRune("~^:?*[\\$`;|&<>()\"'%", r)
	}
	return unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S)
}

// isHex says whether a name has the form of an object's.
func isHex(name string) bool {
	return (len(name) == 40 || len(name) == 64) && strings.Trim(name, "0123456789abcdefABCDEF") == ""
}

// twin is the name of another ref that a file system which ignores case takes for the same.
func twin(names map[string]string, ref string) string {
	if names[strings.ToLower(ref)] != ref {
		return names[strings.ToLower(ref)]
	}
	return ""
}
