package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/AgentaaU/AaaU/pkg/screen"
)

// table is rows of cells, the first of them the columns' names.
type table [][]string

func (t *table) row(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = fmt.Sprint(c)
	}
	*t = append(*t, row)
}

// print writes the rows, the columns two blanks apart and as wide as a terminal shows their
// cells: a character can take two columns, or none.
func (t table) print(w io.Writer) error {
	var widths []int
	for _, row := range t {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], screen.Width(c))
		}
	}
	out := bufio.NewWriter(w)
	for _, row := range t {
		for i, c := range row {
			out.WriteString(c) // a failure is Flush's, too
			if i < len(row)-1 {
				out.WriteString(strings.Repeat(" ", widths[i]+2-screen.Width(c)))
			}
		}
		out.WriteByte('\n')
	}
	return out.Flush()
}
