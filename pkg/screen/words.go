package screen

import (
	"strings"
	"unicode"
)

const (
	// maxWordRows bounds how many rows a sentence may cover. It never covers more than a
	// third of the screen, unless that has fewer than three rows.
	maxWordRows = 3
	// MaxWords bounds what Words and ViewWords return together, in bytes.
	MaxWords = 48 << 10
)

// Words returns what shows a sentence over this screen, on a terminal that shows the
// screen, and what makes the terminal exactly what it was before: its cells, and all
// that decides where and how the next output appears. Nothing may be written between
// the two. The program's own saved cursor (DECSC) is not touched.
//
// A terminal that has been given a Snapshot since it was given anything else is drawn:
// words stand on its last rows, or on the first ones while the cursor is on the last, and on
// others where there is a picture, which could not be restored, and they have room elsewhere. Of
// any other the Footing says what is known: there they may have to stand right beneath
// what has been printed.
//
// Both are nil if that is not possible now: the output ends within a sequence or a
// character, nothing IsKnown of the terminal, the cursor is where no sequence can put it
// back, or it would take too many bytes.
func (s *Screen) Words(sentence string, drawn bool) (show, restore []byte) {
	defer s.giveUpWords(&show, &restore)
	if s.state != text || s.have > 0 {
		return nil, nil
	}
	switch {
	case drawn || s.footing&footFirm == footFirm:
		return s.wordsOver(sentence)
	case s.footing&footRelative != 0:
		return s.wordsBeneath(sentence)
	}
	return nil, nil
}

// wordsOver is Words for a terminal that is as this screen.
func (s *Screen) wordsOver(sentence string) (show, restore []byte) {
	m := s.margins
	if s.origin && (s.x < m.left || s.x > m.right || s.y < m.top || s.y > m.bottom) {
		return nil, nil
	}
	p := s.panel(sentence, s.rows, s.cols, s.y)
	s.avoidPictures(&p)
	show = appendPlace(p.appendTo(s.appendCalm(nil)), s.y, s.x)

	restore = s.appendBeneath(nil, p, s.cols, func(y int) *line { return s.lines[y] })
	if s.modes.Is(69) {
		restore = append(restore, "\x1b[?69h"...)
	}
	if !s.wide(m) {
		restore = appendInt(append(restore, "\x1b["...), m.left+1)
		restore = append(appendInt(append(restore, ';'), m.right+1), 's')
	}
	return show, s.appendUncalm(restore, back)
}

// wordsBeneath is Words for a terminal whose cursor is in an unknown row. The rows that
// words need there are made by line feeds, which scroll where that has to be. Whatever is
// on the terminal moves up together, and the cursor with it.
func (s *Screen) wordsBeneath(sentence string) (show, restore []byte) {
	from := max(s.y, s.lowest())
	if from >= s.rows-1 {
		return nil, nil
	}
	p := s.panel(sentence, min(s.rows, maxWordRows*(s.rows-1-from)), s.cols, 0)
	down := from - s.y + 1
	up := func(b []byte) []byte {
		return append(appendInt(append(b, "\x1b["...), down+len(p.lines)-1), 'A')
	}
	show, restore = append(s.appendCalm(nil), "\x1b[m"...), []byte(nil)
	for i, l := range p.lines {
		lines := "\n\r"
		if i == 0 {
			lines = strings.Repeat("\n", down) + "\r"
		}
		show = append(append(append(append(show, lines...), "\x1b[7m"...), l...), "\x1b[m"...)
		restore = append(append(restore, lines...), "\x1b[K"...)
	}
	show = appendColumn(up(show), s.x)
	return show, s.appendUncalm(up(restore), inRow)
}

// appendCalm appends what has a terminal take characters as they come, wherever they
// are put, in a style that is set next. Only what is set is reset: of the rest the
// terminal may know more than this screen.
func (s *Screen) appendCalm(b []byte) []byte {
	for _, reset := range []struct {
		is       bool
		sequence string
	}{
		{s.modes.Is(2026), "\x1b[?2026l"}, {s.origin, "\x1b[?6l"}, {s.modes.Is(69), "\x1b[?69l"}, {s.insert, "\x1b[4l"}, {s.wrap, "\x1b[?7l"},
		{s.set == 1, "\x0f"}, {s.sets[0], "\x1b(B"}, {s.style.link > 0, "\x1b]8;;\x1b\\"},
	} {
		if reset.is {
			b = append(b, reset.sequence...)
		}
	}
	return b
}

// appendUncalm appends what undoes that, but for the margins, and puts the cursor back.
func (s *Screen) appendUncalm(b []byte, how putting) []byte {
	b = s.appendPut(append(b, "\x1b[?7h"...), &s.cursor, s.lines, how)
	if !s.wrap {
		b = append(b, "\x1b[?7l"...)
	}
	if s.insert {
		b = append(b, "\x1b[4h"...)
	}
	if s.modes.Is(2026) {
		b = append(b, "\x1b[?2026h"...)
	}
	return b
}

// Synchronized says whether the program is in the midst of a frame, which a terminal
// shows when it is whole (synchronized output).
func (s *Screen) Synchronized() bool { return s.modes.Is(2026) }

// ViewWords is Words for a terminal of another size, that shows a View of this screen.
func (s *Screen) ViewWords(sentence string, rows, cols int) (show, restore []byte) {
	defer s.giveUpWords(&show, &restore)
	rows, cols = max(1, min(rows, maxSide)), max(1, min(cols, maxSide))
	top := s.viewTop(rows)
	p := s.panel(sentence, rows, cols, s.y-top)
	const noWrap, wrap = "\x1b[?7l", "\x1b[?7h"
	show = s.appendViewCursor(p.appendTo([]byte(noWrap)), top, cols)
	restore = s.appendBeneath([]byte(noWrap), p, cols, func(y int) *line {
		if top+y < len(s.lines) {
			return s.lines[top+y].left(cols)
		}
		return &line{cells: make([]cell, cols)}
	})
	restore = s.appendViewCursor(restore, top, cols)
	return append(show, wrap...), append(restore, wrap...)
}

// giveUpWords is deferred by what makes words. A mistake here is one that the bridge
// lives on after; and what is too long is not shown.
func (s *Screen) giveUpWords(show, restore *[]byte) {
	if recover() != nil {
		s.panics++
		*show, *restore = nil, nil
	}
	if *show == nil || *restore == nil || len(*show)+len(*restore) > MaxWords {
		*show, *restore = nil, nil
	}
}

// panel is a sentence in lines of equal width, and the row of the first.
type panel struct {
	first, width int
	lines        []string
}

// panel lays a sentence out for a terminal whose cursor is in row y: on the last rows, or
// on the first ones if the cursor is on the last, where a person may be typing.
func (s *Screen) panel(sentence string, rows, cols, y int) (p panel) {
	margin := ""
	if cols >= 20 {
		margin = " "
	}
	lines, widths := s.fold(sentence, max(1, min(maxWordRows, rows/3)), cols-2*len(margin))
	for _, w := range widths {
		p.width = max(p.width, w+2*len(margin))
	}
	for i, l := range lines {
		p.lines = append(p.lines, margin+l+blanks[:p.width-widths[i]-2*len(margin)]+margin)
	}
	if y < rows-len(lines) {
		p.first = rows - len(lines)
	}
	return p
}

// avoidPictures moves a panel to rows without a picture, and without the cursor, if there are any.
func (s *Screen) avoidPictures(p *panel) {
	free := func(first int) bool {
		for y := first; y < first+len(p.lines); y++ {
			if s.lines[y].picture {
				return false
			}
		}
		return true
	}
	for first := s.rows - len(p.lines); first >= 0 && !free(p.first); first-- {
		if free(first) && (s.y < first || s.y >= first+len(p.lines)) {
			p.first = first
		}
	}
}

// fold breaks a sentence into at most so many lines, between words where it can. What has
// no room is cut, and an ellipsis says so. Nothing in the lines is a control character or
// a mark, which terminals differ about.
func (s *Screen) fold(sentence string, rows, cols int) (lines []string, widths []int) {
	var rest []rune
	for _, r := range strings.TrimSpace(sentence) {
		if w := s.widths.of(r); w < 1 || w > cols || !unicode.IsPrint(r) {
			r = '?'
		}
		rest = append(rest, r)
	}
	for len(rest) > 0 {
		n, used, blank := 0, 0, 0
		for n < len(rest) && used+s.widths.of(rest[n]) <= cols {
			used += s.widths.of(rest[n])
			if n++; n < len(rest) && rest[n] == ' ' {
				blank = n
			}
		}
		line := rest[:n]
		switch {
		case n == len(rest):
		case len(lines) == rows-1:
			for ; used > cols-1; n-- {
				used -= s.widths.of(rest[n-1])
			}
			return append(lines, string(rest[:n])+"…"), append(widths, used+1)
		case blank > 0:
			n, line, used = blank, rest[:blank], 0
			for _, r := range line {
				used += s.widths.of(r)
			}
		}
		lines, widths = append(lines, string(line)), append(widths, used)
		for rest = rest[n:]; len(rest) > 0 && rest[0] == ' '; rest = rest[1:] {
		}
	}
	return lines, widths
}

// appendTo appends the lines in reverse video. Then the style is the default one.
func (p panel) appendTo(b []byte) []byte {
	b = append(b, "\x1b[0;7m"...)
	for i, l := range p.lines {
		b = append(appendPlace(b, p.first+i, 0), l...)
	}
	return append(b, "\x1b[m"...)
}

// appendBeneath appends what draws again what the panel covers, on a terminal in the
// default style that does not wrap. A line with marks is drawn whole, since terminals
// differ about its columns. What is not covered is left alone: to erase a whole line would
// make some terminals forget that the next line continues it.
func (s *Screen) appendBeneath(b []byte, p panel, cols int, lines func(y int) *line) []byte {
	for i := range p.lines {
		l, n := lines(p.first+i), p.width
		if n < l.used && l.cells[n].r == half {
			n++
		}
		for _, c := range l.cells[:l.used] {
			if c.r >= cluster {
				n = cols
			}
		}
		b = appendInt(append(appendPlace(b, p.first+i, 0), "\x1b["...), n)
		b = s.appendLine(append(b, 'X'), l.left(n), printed)
	}
	return b
}
