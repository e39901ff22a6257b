package project

import (
	"regexp"
	"strings"
)

var (
	simpleSection = regexp.MustCompile(`^[ \t]*\[([A-Za-z0-9-]+)(?: "([^"\\\]]*)")?\][ \t]*$`)
	simpleLine    = regexp.MustCompile(`^[ \t]*([A-Za-z][A-Za-z0-9-]*)(?:[ \t]*=[ \t]*([^"\\#;\t]*?))?[ \t]*$`)
)

// simple reads configuration as git writes it for most repositories, without
// quotes, escapes or comments behind a value: it saves asking git. If there is
// anything else, it is not ok.
func simple(text string) (settings []setting, ok bool) {
	prefix := ""
	for line := range strings.SplitSeq(text, "\n") {
		for i := range len(line) {
			if line[i] < ' ' && line[i] != '\t' || line[i] == 0x7f {
				return nil, false
			}
		}
		blank := strings.Trim(line, " \t")
		if blank == "" || blank[0] == '#' || blank[0] == ';' {
			continue
		}
		if m := simpleSection.FindStringSubmatch(line); m != nil {
			prefix = strings.ToLower(m[1]) + "."
			if strings.Contains(line, `"`) {
				prefix += m[2] + "."
			}
			continue
		}
		m := simpleLine.FindStringSubmatch(line)
		if m == nil || prefix == "" {
			return nil, false
		}
		settings = append(settings, setting{key: prefix + strings.ToLower(m[1]), value: m[2]})
	}
	return settings, true
}
