package screen

import "github.com/gdamore/tcell/v3/vt"

// grid is what the emulator draws on: cells with their style.
type grid struct {
	size  vt.Coord
	lines [][]vt.Cell
	pos   vt.Coord // of the cursor
	put   vt.Coord // where the last character went

	primary [][]vt.Cell // its lines, while the alternate screen is shown
	saved   vt.Coord    // its cursor

	resizing bool // Resize is at work, and not a program
}

func newGrid(rows, cols int) *grid {
	g := &grid{size: vt.Coord{X: vt.Col(cols), Y: vt.Row(rows)}}
	g.lines = fit(nil, g.size, 0)
	return g
}

// fit makes lines of a size from old ones, without the first few.
func fit(old [][]vt.Cell, size vt.Coord, skip int) [][]vt.Cell {
	cells := make([]vt.Cell, int(size.X)*int(size.Y))
	lines := make([][]vt.Cell, size.Y)
	for y := range lines {
		lines[y], cells = cells[:size.X:size.X], cells[size.X:]
		if skip+y < len(old) {
			copy(lines[y], old[skip+y])
		}
	}
	return lines
}

func (g *grid) has(at vt.Coord) bool {
	return 0 <= at.X && at.X < g.size.X && 0 <= at.Y && at.Y < g.size.Y
}

// at is a cell, an empty one where there is none.
func (g *grid) at(c vt.Coord) vt.Cell {
	if !g.has(c) {
		return vt.Cell{}
	}
	return g.lines[c.Y][c.X]
}

// Put draws one cell. A wide character has the next one too, and no half of one
// outlives the other.
func (g *grid) Put(at vt.Coord, c vt.Cell) {
	if !g.has(at) {
		return
	}
	g.put = at
	line, x := g.lines[at.Y], int(at.X)
	if x > 0 && line[x-1].W == 2 {
		line[x-1].C, line[x-1].W = "", 0
	}
	line[x] = c
	if c.W == 2 && x+1 < len(line) {
		if x+2 < len(line) && line[x+1].W == 2 {
			line[x+2].C = ""
		}
		line[x+1] = vt.Cell{S: c.S}
	}
}

// Blit copies dim cells from src to dst, which may overlap.
func (g *grid) Blit(src, dst, dim vt.Coord) {
	last := vt.Coord{X: dim.X - 1, Y: dim.Y - 1}
	if dim.X < 1 || dim.Y < 1 || !g.has(src) || !g.has(dst) ||
		!g.has(vt.Coord{X: src.X + last.X, Y: src.Y + last.Y}) || !g.has(vt.Coord{X: dst.X + last.X, Y: dst.Y + last.Y}) {
		return
	}
	if dim.X == g.size.X { // scrolling: the line that is free is about to be erased
		switch dst.Y - src.Y {
		case -1:
			lines := g.lines[dst.Y : dst.Y+dim.Y+1]
			first := lines[0]
			lines[copy(lines, lines[1:])] = first
			return
		case 1:
			lines := g.lines[src.Y : src.Y+dim.Y+1]
			last := lines[dim.Y]
			copy(lines[1:], lines)
			lines[0] = last
			return
		}
	}
	for i := range dim.Y {
		if dst.Y > src.Y {
			i = last.Y - i
		}
		copy(g.lines[dst.Y+i][dst.X:dst.X+dim.X], g.lines[src.Y+i][src.X:])
	}
}

// SetSize resizes for Resize. The cursor's line stays.
func (g *grid) SetSize(size vt.Coord) {
	if !g.resizing {
		return
	}
	skip := max(0, g.pos.Y-size.Y+1)
	g.lines = fit(g.lines, size, int(skip))
	if g.primary != nil {
		above := max(0, g.saved.Y-size.Y+1)
		g.primary = fit(g.primary, size, int(above))
		g.saved.Y -= above
	}
	g.size = size
	g.SetPosition(vt.Coord{X: g.pos.X, Y: g.pos.Y - skip})
}

// SetPosition moves the cursor.
func (g *grid) SetPosition(at vt.Coord) {
	g.pos = vt.Coord{X: min(max(at.X, 0), g.size.X-1), Y: min(max(at.Y, 0), g.size.Y-1)}
}

// alternate shows an empty alternate screen.
func (g *grid) alternate() {
	if g.primary == nil {
		g.primary, g.saved = g.lines, g.pos
		g.lines = fit(nil, g.size, 0)
	}
}

// back shows the primary screen again and returns where its cursor was; false if
// it was shown all along.
func (g *grid) back() (vt.Coord, bool) {
	if g.primary == nil {
		return vt.Coord{}, false
	}
	g.lines, g.primary = g.primary, nil
	return g.saved, true
}

// Reset is the emulator's hard reset. It erases everything itself.
func (g *grid) Reset() { g.back() }

// GetPrivateMode says that marks join what they follow, always; other modes are
// the emulator's or nobody's.
func (g *grid) GetPrivateMode(m vt.PrivateMode) vt.ModeStatus {
	if m == vt.PmGraphemeClusters {
		return vt.ModeOnLocked
	}
	return vt.ModeNA
}

func (g *grid) SetPrivateMode(vt.PrivateMode, vt.ModeStatus) error { return nil }
func (g *grid) GetSize() vt.Coord                                  { return g.size }
func (g *grid) GetPosition() vt.Coord                              { return g.pos }
func (g *grid) Colors() int                                        { return 1 << 24 }
func (g *grid) RaiseResize()                                       {}
func (g *grid) Buffering(bool)                                     {}
func (g *grid) SetCursor(vt.CursorStyle)                           {}
