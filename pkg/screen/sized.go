package screen

import (
	"bytes"
	"unicode/utf8"
)

// sized obeys kitty's OSC 66, text of another size: it takes the columns that it takes
// there, in the usual size. The lines below that larger text covers stay as they are.
func (s *Screen) sized(data []byte) {
	metadata, text, ok := bytes.Cut(data, []byte(";"))
	if !ok || !utf8.Valid(text) {
		return
	}
	scale, width := 1, 0
	for pair := range bytes.SplitSeq(metadata, []byte(":")) {
		if len(pair) == 3 && pair[1] == '=' && '0' < pair[2] && pair[2] <= '7' {
			switch pair[0] {
			case 's':
				scale = int(pair[2] - '0')
			case 'w':
				width = int(pair[2] - '0')
			}
		}
	}
	if width > 0 {
		s.fill(text, min(width*scale, s.cols))
		return
	}
	s.apart()
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if w := s.widths.of(r); r < ' ' || w < 0 || w == 0 && !s.joins {
			text = text[size:]
			continue
		}
		n := size // with the marks that follow
		for n < len(text) {
			mark, size := utf8.DecodeRune(text[n:])
			if s.widths.of(mark) != 0 {
				break
			}
			n += size
		}
		s.fill(text[:n], max(s.widths.of(r), 0)*scale)
		text = text[n:]
	}
}

// fill draws as much of a text as has room in so many columns of one line, and blanks
// after it.
func (s *Screen) fill(text []byte, cols int) {
	if s.wrap && !s.full && s.x+cols > s.edge()+1 {
		s.full = true // it goes to the next line as a whole
	}
	s.newLine()
	for _, r := range string(text) {
		w := s.widths.of(r)
		if r < ' ' || 0x7f <= r && r < 0xa0 || w < 0 {
			continue
		}
		if w > cols {
			break
		}
		s.character(r)
		cols -= w
	}
	for range cols {
		s.character(' ')
	}
}
