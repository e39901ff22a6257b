// Package authtest is who may do what, written down: what pkg/auth decides and what a
// running bridge does are held to the same words.
package authtest

import "strings"

// table has y where somebody of a role may, with a session of their own or of
// another's.
const table = `
role        session  see type resize kill freeze thaw share dismiss
None        own      n   n    n      n    n      n    n     n
None        other    n   n    n      n    n      n    n     n
ReadOnly    own      y   n    n      n    n      n    n     n
ReadOnly    other    y   n    n      n    n      n    n     n
Auditor     own      y   n    n      n    n      n    n     n
Auditor     other    y   n    n      n    n      n    n     n
Interactive own      y   y    y      y    y      y    y     y
Interactive other    y   y    y      n    n      n    n     n
Admin       own      y   y    y      y    y      y    y     y
Admin       other    y   y    y      y    y      y    y     y
`

// Row is what somebody of a role may do with a session.
type Row struct {
	Role string // as auth.Role's String has it
	Own  bool   // it is their session
	May  map[string]bool
}

// Actions are all that there are, as auth.Action's String has them, in order.
func Actions() []string { return strings.Fields(strings.Split(table, "\n")[1])[2:] }

// Rows are all of the table, lower roles first.
func Rows() (rows []Row) {
	for _, line := range strings.Split(strings.TrimSpace(table), "\n")[1:] {
		words := strings.Fields(line)
		row := Row{Role: words[0], Own: words[1] == "own", May: map[string]bool{}}
		for i, action := range Actions() {
			row.May[action] = words[2+i] == "y"
		}
		rows = append(rows, row)
	}
	return rows
}

// May looks one thing up.
func May(role string, own bool, action string) bool {
	for _, row := range Rows() {
		if row.Role == role && row.Own == own {
			return row.May[action]
		}
	}
	return false
}
