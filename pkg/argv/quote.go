package argv

import (
	"strconv"
	"unicode/utf8"
)

// Quote quotes what somebody gave, for a message. Of more than most characters it says the
// first ones, and "…" for what was left out.
func Quote(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return strconv.Quote(s)
	}
	end := 0
	for range most {
		_, n := utf8.DecodeRuneInString(s[end:])
		end += n
	}
	quoted := strconv.Quote(s[:end])
	return quoted[:len(quoted)-1] + "…\""
}
