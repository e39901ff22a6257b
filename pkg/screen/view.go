package screen

// View is what makes a terminal of another size show as much of this screen as it has
// room for: its left side, and of its lines those around the cursor. Nothing but the
// terminal's cells and its cursor is touched; whoever shows views puts the terminal
// back in order afterwards. A terminal has nothing to answer to it.
func (s *Screen) View(rows, cols int) (view []byte) {
	defer func() {
		if recover() != nil { // see Snapshot
			s.panics++
			view = []byte(cleared)
		}
	}()
	rows, cols = max(1, min(rows, maxSide)), max(1, min(cols, maxSide))
	top := s.viewTop(rows)
	// At once, where the terminal can: synchronized output.
	b := append(s.scratch[:0:0], "\x1b[?2026h\x1b[?25l\x1b[m\x1b[?7l"...)
	for y := range rows {
		// Erased first: after a character in the last column the cursor is still in it.
		b = append(appendInt(append(b, "\x1b["...), y+1), "H\x1b[K"...)
		if top+y < len(s.lines) {
			b = s.appendLine(b, s.lines[top+y].left(cols), placed)
		}
	}
	b = s.appendViewCursor(b, top, cols)
	return append(b, "\x1b[?7h\x1b[?2026l"...)
}

// viewTop is the first line of a view with so many rows.
func (s *Screen) viewTop(rows int) int {
	return max(0, min(s.cursor.y-rows+1, len(s.lines)-rows))
}

// appendViewCursor appends what puts the cursor of a view into its place and shows it, if
// it is to be seen there.
func (s *Screen) appendViewCursor(b []byte, top, cols int) []byte {
	if s.cursor.x < cols && s.modes.Is(25) {
		b = append(appendPlace(b, s.cursor.y-top, s.cursor.x), "\x1b[?25h"...)
	}
	return b
}

// left is the first cols cells of a line.
func (l *line) left(cols int) *line {
	if cols >= len(l.cells) {
		return l
	}
	part := &line{cells: append([]cell(nil), l.cells[:cols]...), used: min(l.used, cols), blank: l.blank}
	if part.used == cols && l.used > cols && l.cells[cols].r == half { // its other half is out of sight
		part.cells[cols-1] = cell{r: ' ', style: part.cells[cols-1].style}
	}
	return part
}
