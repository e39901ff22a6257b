package screen

import "unicode/utf8"

// edge is the last column that the cursor's line has for characters.
func (s *Screen) edge() int {
	if s.x <= s.margins.right {
		return s.margins.right
	}
	return s.cols - 1
}

// lineDrawing is what the line drawing characters are instead of ` to ~.
var lineDrawing = []rune("◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·")

// ascii draws printable ASCII characters.
func (s *Screen) ascii(p []byte) {
	s.zwj = false
	s.flow()
	if s.sets[s.set] {
		for _, b := range p {
			s.character(rune(b))
		}
		return
	}
	for len(p) > 0 {
		s.newLine()
		end := s.edge() + 1
		n := min(len(p), end-s.x)
		if s.insert {
			s.shift(s.x, n, 0)
		}
		l := s.lines[s.y]
		l.use(s.x)
		l.part(s.x)
		l.part(s.x + n)
		l.used = max(l.used, s.x+n)
		st, cells := s.style, l.cells[s.x:s.x+n]
		for i, b := range p[:len(cells)] {
			c := &cells[i]
			c.r, c.style = rune(b), st
		}
		s.last, p = rune(p[n-1]), p[n:]
		s.advance(n, end)
	}
}

// newLine goes on with the next line if this one is full.
func (s *Screen) newLine() {
	if !s.full {
		return
	}
	if !s.wrap {
		s.full = false
		return
	}
	s.lines[s.y].wrapped = s.wide(s.margins)
	s.index(0)
	s.x = 0
	if s.margins.right < s.cols-1 || s.margins.left > 0 {
		s.x = s.margins.left
	}
	s.full = false
}

// advance moves the cursor over n columns that were drawn.
func (s *Screen) advance(n, end int) {
	s.putX, s.joins = s.x+n-1, true
	if s.x += n; s.x >= end {
		s.x = end - 1
		s.full = s.wrap
	}
}

// character draws one.
func (s *Screen) character(r rune) {
	if s.sets[s.set] && '`' <= r && r <= '~' {
		r = lineDrawing[r-'`']
	}
	w := s.widths.of(r)
	if w < 0 {
		return
	}
	s.zwj = s.zwj && r >= 0x80
	if s.zwj || w == 0 {
		s.join(r)
		s.zwj = r == joiner && s.joins // what follows belongs to it, too
		return
	}
	if w > s.cols || s.margins.right-s.margins.left < 1 && w > 1 {
		return
	}
	s.flow()
	s.newLine()
	end := s.edge() + 1
	if s.x+w > end { // only half of it has room
		if !s.wrap {
			return
		}
		s.lines[s.y].erase(s.x, end, 0)
		s.full = true
		s.newLine()
		end = s.edge() + 1
	}
	if s.insert {
		s.shift(s.x, w, 0)
	}
	l := s.lines[s.y]
	l.use(s.x)
	l.part(s.x)
	l.part(s.x + w)
	l.used = max(l.used, s.x+w)
	l.cells[s.x] = cell{r, s.style}
	if w == 2 {
		l.cells[s.x+1] = cell{half, s.style}
	}
	s.last = r
	s.advance(w, end)
}

// flow notes that what comes next is printed right after the last character. Where that
// is depends on the terminal, if the character has marks.
func (s *Screen) flow() {
	if c := s.latest(); c != nil && c.r >= cluster {
		c.r |= flows
	}
}

// latest is the character that was drawn last, if nothing has happened since.
func (s *Screen) latest() *cell {
	l := s.lines[s.y]
	if !s.joins || s.putX >= l.used {
		return nil
	}
	c := &l.cells[s.putX]
	if c.r == half {
		c = &l.cells[s.putX-1]
	}
	return c
}

// join adds a mark, or what follows a joiner, to the character that was drawn last.
func (s *Screen) join(r rune) {
	c := s.latest()
	if c == nil || c.r == 0 {
		return
	}
	text := s.appendRune(s.scratch[:0], c.r)
	text = utf8.AppendRune(text, r)
	s.scratch = text
	if len(text) > maxCluster {
		return
	}
	if n := s.clusters.number(text, s.usedClusters); n > 0 {
		c.r = cluster + rune(n)
	}
}

// appendRune appends what a cell shows; a blank for nothing.
func (s *Screen) appendRune(b []byte, r rune) []byte {
	switch {
	case r >= cluster:
		return append(b, s.clusters.text(uint16(r-cluster))...)
	case r <= 0:
		return append(b, ' ')
	}
	return utf8.AppendRune(b, r)
}
