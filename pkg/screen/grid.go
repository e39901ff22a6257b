package screen

// cell is a character with its style. What is erased has no character, and at most a
// background.
type cell struct {
	r rune // the character, half, or the number of a cluster
	style
}

const (
	half    rune = -1      // the right half of the wide character before it
	cluster rune = 1 << 21 // from here on: a character with marks, in the Screen's clusters
	flows   rune = 1 << 22 // of a cluster: what comes next was printed right after it
)

// line is a line of cells. All from used on are erased, with one background: so it
// is cheap to erase much, and to leave out what is blank.
type line struct {
	cells   []cell
	used    int
	blank   color
	wrapped bool // the next line goes on with this one
	picture bool // a part of a picture may be there, which is not in the cells
}

func newLines(rows, cols int) []*line {
	cells, all := make([]cell, rows*cols), make([]line, rows)
	lines := make([]*line, rows)
	for y := range lines {
		all[y].cells, cells = cells[:cols:cols], cells[cols:]
		lines[y] = &all[y]
	}
	return lines
}

// at is the cell at x.
func (l *line) at(x int) cell {
	if x < l.used {
		return l.cells[x]
	}
	return cell{style: style{bg: l.blank}}
}

// goesOn says whether the next line goes on with this one, which has no blank at its
// end then.
func (l *line) goesOn() bool {
	if !l.wrapped || l.used < len(l.cells) {
		return false
	}
	last := l.cells[l.used-1].r
	return last != 0 && last != ' '
}

// isBlank says whether nothing is on the line but a background.
func (l *line) isBlank() bool {
	for i := range l.cells[:l.used] {
		if c := &l.cells[i]; c.r != 0 && c.r != ' ' || c.style != (style{bg: c.bg}) {
			return false
		}
	}
	return true
}

// use makes all cells before x ones that can be written to.
func (l *line) use(x int) {
	for ; l.used < x; l.used++ {
		l.cells[l.used] = cell{style: style{bg: l.blank}}
	}
}

// part parts what is before x from what is there: no half of a wide character
// outlives the other.
func (l *line) part(x int) {
	if x > 0 && x < l.used && l.cells[x].r == half {
		l.cells[x-1], l.cells[x] = cell{}, cell{}
	}
}

// erase erases the cells from x up to end.
func (l *line) erase(x, end int, bg color) {
	l.part(x)
	if end >= len(l.cells) {
		l.wrapped, l.picture = false, l.picture && x > 0
		l.use(x)
		l.used, l.blank = x, bg
		return
	}
	l.part(end)
	if x >= l.used && l.blank == bg {
		return
	}
	l.use(end)
	for i := range l.cells[x:end] {
		l.cells[x+i] = cell{style: style{bg: bg}}
	}
}

// move copies the n cells at from to another place of the line, as they are.
func (l *line) move(to, from, n int) {
	if max(to, from) >= l.used && l.used <= min(to, from) {
		return
	}
	l.use(max(to, from) + n)
	copy(l.cells[to:to+n], l.cells[from:from+n])
}

// box is a rectangle of cells, its ends included.
type box struct{ top, bottom, left, right int }

// whole is the screen.
func (s *Screen) whole() box { return box{0, s.rows - 1, 0, s.cols - 1} }

// wide says whether the box has all columns.
func (s *Screen) wide(b box) bool { return b.left == 0 && b.right == s.cols-1 }

// up scrolls the inside of the box. What leaves the main screen at its top goes into
// the history.
func (s *Screen) up(b box, n int, bg color) {
	n = min(n, b.bottom-b.top+1)
	if !s.wide(b) {
		s.partAll(b)
		for y := b.top; y+n <= b.bottom; y++ {
			s.copyCells(s.lines[y], s.lines[y+n], b)
		}
		s.eraseBox(box{b.bottom - n + 1, b.bottom, b.left, b.right}, bg)
		return
	}
	if b.top == 0 && s.main == nil {
		for _, l := range s.lines[:n] {
			s.keepLine(l)
		}
	}
	if b.top > 0 {
		s.lines[b.top-1].wrapped = false
	}
	lines := s.lines[b.top : b.bottom+1]
	rotate(lines, n)
	clearLines(lines[len(lines)-n:], bg)
}

// down scrolls the other way.
func (s *Screen) down(b box, n int, bg color) {
	n = min(n, b.bottom-b.top+1)
	if !s.wide(b) {
		s.partAll(b)
		for y := b.bottom; y-n >= b.top; y-- {
			s.copyCells(s.lines[y], s.lines[y-n], b)
		}
		s.eraseBox(box{b.top, b.top + n - 1, b.left, b.right}, bg)
		return
	}
	if b.top > 0 {
		s.lines[b.top-1].wrapped = false
	}
	lines := s.lines[b.top : b.bottom+1]
	rotate(lines, len(lines)-n)
	lines[len(lines)-1].wrapped = false
	clearLines(lines[:n], bg)
}

// rotate moves the first n lines behind the others.
func rotate(lines []*line, n int) {
	if n == 1 {
		first := lines[0]
		lines[copy(lines, lines[1:])] = first
		return
	}
	reverse := func(l []*line) {
		for i, j := 0, len(l)-1; i < j; i, j = i+1, j-1 {
			l[i], l[j] = l[j], l[i]
		}
	}
	reverse(lines[:n])
	reverse(lines[n:])
	reverse(lines)
}

func clearLines(lines []*line, bg color) {
	for _, l := range lines {
		l.used, l.blank, l.wrapped, l.picture = 0, bg, false, false
	}
}

// partAll parts the box from what is beside it.
func (s *Screen) partAll(b box) {
	for _, l := range s.lines[b.top : b.bottom+1] {
		l.part(b.left)
		l.part(b.right + 1)
		l.wrapped = false
	}
}

func (s *Screen) copyCells(to, from *line, b box) {
	if from.used <= b.left && to.used <= b.left && from.blank == to.blank {
		return
	}
	from.use(b.right + 1)
	to.use(b.right + 1)
	copy(to.cells[b.left:b.right+1], from.cells[b.left:])
}

// eraseBox erases the cells of a box.
func (s *Screen) eraseBox(b box, bg color) {
	for _, l := range s.lines[b.top : b.bottom+1] {
		l.erase(b.left, b.right+1, bg)
	}
}

// shift moves what is in the cursor's line from x to the right margin by n columns:
// to the right, or with a negative n to the left.
func (s *Screen) shift(x, n int, bg color) {
	l, end := s.lines[s.y], s.edge()+1
	l.part(x)
	l.part(end)
	l.wrapped = false
	width := end - x
	if n < 0 {
		n = min(-n, width)
		l.part(x + n)
		l.move(x, x+n, width-n)
		if end-n < l.used {
			l.cells[end-n] = cell{} // it has gone, and is no half of what came before it
		}
		l.erase(end-n, end, bg)
		return
	}
	n = min(n, width)
	l.part(end - n)
	l.move(x+n, x, width-n)
	l.erase(x, x+n, bg)
}
