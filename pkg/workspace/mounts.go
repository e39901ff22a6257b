package workspace

import "strings"

// MountPoint is a mount, as mountinfo tells it (proc_pid_mountinfo(5)).
type MountPoint struct {
	ID      string
	Path    string // where it is
	Options string // the mount's own, separated by commas
	Type    string
	Source  string
}

// Idmapped says whether the mount maps ids, as those of people's directories do. Only root
// can make such a one of the machine's file systems.
func (m MountPoint) Idmapped() bool { return strings.Contains(","+m.Options+",", ",idmapped,") }

// ParseMounts reads the text of a mountinfo file. It leaves out lines of another form, which
// the kernel does not write.
func ParseMounts(text string) (all []MountPoint) {
	for line := range strings.Lines(text) { // ID PARENT DEVICE ROOT PATH OPTIONS … - TYPE SOURCE …
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 6 || len(r) < 2 {
			continue
		}
		all = append(all, MountPoint{ID: l[0], Path: unescape(l[4]), Options: l[5], Type: r[0], Source: unescape(r[1])})
	}
	return all
}

// unescape undoes what mountinfo does to blanks and the like: a backslash and three octal
// digits.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\043`, "#", `\134`, `\`).Replace
