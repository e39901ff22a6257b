// Package shebang reads the first line of scripts.
package shebang

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Of returns what a script names after #!, as far as the kernel reads that; "" if the file is
// no script, no regular file, or cannot be read. It does not wait, whatever the file is.
func Of(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return ""
	}
	var start [256]byte // BINPRM_BUF_SIZE
	n, err := unix.Read(fd, start[:])
	if err != nil {
		return ""
	}
	line, script := strings.CutPrefix(string(start[:n]), "#!")
	line, _, _ = strings.Cut(line, "\n")
	words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if !script || len(words) == 0 {
		return ""
	}
	return words[0]
}
