package screen

import "bytes"

// eraseSequence obeys ED, EL and ECH.
func (s *Screen) eraseSequence(n int, final byte) {
	bg := s.style.bg
	if final == 'J' && (n == 2 || n == 0 && s.x == 0 && s.y == 0) {
		s.keepAll()
		if n == 2 || s.footing&footPlaced != 0 {
			s.clears()
		}
	}
	l := s.lines[s.y]
	beyond := s.full && s.x == s.cols-1
	switch {
	case final == 'X' && beyond, n == 0 && beyond:
	case final == 'X':
		l.erase(s.x, min(s.x+max(n, 1), s.cols), bg)
	case final == 'J' && n == 3:
		s.history = history{}
		return
	case n == 0:
		l.erase(s.x, s.cols, bg)
	case n == 1:
		l.erase(0, s.x+1, bg)
	case n == 2:
		l.erase(0, s.cols, bg)
	default:
		return
	}
	if final == 'J' {
		if n == 0 {
			clearLines(s.lines[s.y+1:], bg)
		} else if clearLines(s.lines[:s.y], bg); n == 2 {
			clearLines(s.lines[s.y+1:], bg)
		}
	}
	s.apart()
}

// keepAll adds what is on the main screen to the history before all of it is erased, as
// tmux, vte and others do: nothing that was printed is lost.
func (s *Screen) keepAll() {
	if s.main != nil {
		return
	}
	end := len(s.lines)
	for end > 0 && s.lines[end-1].used == 0 {
		end--
	}
	for _, l := range s.lines[:end] {
		s.keepLine(l)
	}
}

// edit obeys a sequence that moves what is on the screen.
func (s *Screen) edit(n int, final byte) {
	bg := s.style.bg
	m := s.margins
	inside := s.y >= m.top && s.y <= m.bottom && s.x >= m.left && s.x <= m.right
	below := m
	below.top = s.y
	if final == 'S' || final == 'T' || final == 'L' {
		s.lost() // of a terminal other lines leave the screen
	}
	switch {
	case final == 'S':
		s.up(m, n, bg)
	case final == 'T':
		s.down(m, n, bg)
	case s.full && (final == '@' || final == 'P'):
	case final == '@':
		s.shift(s.x, n, bg)
	case final == 'P':
		s.shift(s.x, -n, bg)
	case inside && final == 'L':
		s.down(below, n, bg)
	case inside && final == 'M':
		s.delete(below, n, bg)
	}
	s.apart()
}

// delete scrolls without keeping what leaves at the top.
func (s *Screen) delete(b box, n int, bg color) {
	if b.top == 0 && s.wide(b) {
		clearLines(s.lines[:min(n, b.bottom+1)], bg)
		lines := s.lines[:b.bottom+1]
		rotate(lines, min(n, len(lines)))
		return
	}
	s.up(b, n, bg)
}

// rectangle obeys DECFRA and DECERA, which fill and erase one.
func (s *Screen) rectangle(params []byte, final byte) {
	params, ok := bytes.CutSuffix(params, []byte("$"))
	var ns numbers
	if !ok || !ns.read(params) {
		return
	}
	r := rune(0)
	i := 0
	switch final {
	case 'x':
		if r = rune(ns.or(0, 0)); r < ' ' || r > '~' {
			return
		}
		i = 1
	case 'z':
	default:
		return
	}
	top, left := ns.or(i, 1)-1, ns.or(i+1, 1)-1
	area := s.whole()
	if s.origin {
		area = s.margins
	}
	b := box{area.top + top, min(area.top+ns.or(i+2, s.rows)-1, area.bottom), area.left + left, min(area.left+ns.or(i+3, s.cols)-1, area.right)}
	if b.top > b.bottom || b.left > b.right {
		return
	}
	s.apart()
	if r == 0 {
		s.eraseBox(b, s.style.bg)
		return
	}
	for _, l := range s.lines[b.top : b.bottom+1] {
		l.part(b.left)
		l.part(b.right + 1)
		l.use(b.right + 1)
		for x := b.left; x <= b.right; x++ {
			l.cells[x] = cell{r, s.style}
		}
	}
}

// repeat draws again the character that was just drawn (REP), at most to fill a line.
func (s *Screen) repeat(n int) {
	if !s.joins {
		return
	}
	for range min(n, s.cols) {
		s.character(s.last)
	}
}
