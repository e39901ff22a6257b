package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/AgentaaU/AaaU/pkg/vtseq"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// firstLine tells a person where they are: what runs, as whom, what it sees, what it
// may use, what is recorded, and how to leave.
func firstLine(s wire.OpenReply, o order, leftOut []string) string {
	name := s.ID
	if s.Name != "" {
		name += fmt.Sprintf(" (%q)", s.Name)
		name = strings.ReplaceAll(name, `"`, "")
	}
	parts := []string{fmt.Sprintf("session %s, %s as %s", name, printable(s.Program), s.User), sees(s)}
	if not := notOnPath(leftOut); not != "" {
		parts = append(parts, not)
	}
	if len(s.Secrets) > 0 {
		parts = append(parts, "has "+strings.Join(s.Secrets, ", "))
	}
	parts = append(parts, limits(s.Limits))
	if s.Deadline != 0 {
		parts = append(parts, "ends at "+moment(s.Deadline))
	}
	parts = append(parts, "recorded: "+s.Record)
	if s.ErrorsApart && isTTY(os.Stderr) {
		parts = append(parts, "its errors go elsewhere and are not shown here")
	}
	if o.detachKey != 0 && !s.Pipes {
		parts = append(parts, "press "+keyName(o.detachKey)+" three times to detach")
	}
	return strings.Join(parts, "; ")
}

// moment is a time, in seconds since 1970, with the day if that is another.
func moment(at float64) string {
	t := time.UnixMicro(int64(at * 1e6))
	if t.Format(time.DateOnly) == time.Now().Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}

// sees lists the person's directories, the tools in a word.
func sees(s wire.OpenReply) string {
	var dirs []string
	tools := false
	for _, d := range s.Dirs {
		switch {
		case d.Tool:
			tools = true
		case d.ReadOnly:
			dirs = append(dirs, short(string(d.Path))+" (read-only)")
		default:
			dirs = append(dirs, short(string(d.Path)))
		}
	}
	if tools {
		dirs = append(dirs, "your tools")
	}
	if len(dirs) == 0 {
		return "sees no files of yours"
	}
	return "sees " + strings.Join(dirs, ", ")
}

func limits(l wire.Limits) string {
	var parts []string
	if l.Memory > 0 {
		parts = append(parts, size10(l.Memory)+" memory")
	}
	if l.Tasks > 0 {
		parts = append(parts, fmt.Sprintf("%d tasks", l.Tasks))
	}
	if l.Home > 0 {
		parts = append(parts, size10(l.Home)+" home")
	}
	text := "no limits"
	if len(parts) > 0 {
		text = "at most " + strings.Join(parts, ", ")
	}
	if len(l.Missing) > 0 {
		var of []string
		for _, name := range l.Missing {
			of = append(of, map[string]string{"memory": "memory", "pids": "tasks"}[name])
		}
		text += ", NO limit of " + strings.Join(of, " and ") + " (the kernel lacks the controller)"
	}
	return text
}

// size10 is a number of bytes in two or three digits.
func size10(n int64) string {
	const units = "KMGTPE"
	value, unit := float64(n), -1
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	if unit < 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	if value < 9.95 {
		return fmt.Sprintf("%.1f %ciB", value, units[unit])
	}
	return fmt.Sprintf("%.0f %ciB", value, units[unit])
}

// short is a path as a person writes it.
func short(path string) string {
	if home, err := os.UserHomeDir(); err == nil {
		if real, err := filepath.EvalSymlinks(home); err == nil {
			home = real
		}
		if below, ok := strings.CutPrefix(path, home+"/"); ok {
			path = "~/" + below
		} else if path == home {
			path = "~"
		}
	}
	return printable(path)
}

// harmless is a line in which names of files may stand, without what could move a
// cursor.
func harmless(line string) string { return only(line, unicode.IsPrint) }

// legible is harmless for text that people read in their own language: joiners and marks
// of direction stay.
func legible(line string) string {
	return only(line, func(r rune) bool { return unicode.IsPrint(r) || vtseq.IsInvisible(r) })
}

func only(line string, allowed func(rune) bool) string {
	var out strings.Builder
	for _, r := range line {
		if allowed(r) {
			out.WriteRune(r)
		} else {
			fmt.Fprintf(&out, "\\u%04x", r)
		}
	}
	return out.String()
}

// printable quotes what could move a cursor.
func printable(s string) string {
	if q := fmt.Sprintf("%q", s); q != `"`+s+`"` {
		return q
	}
	return s
}
