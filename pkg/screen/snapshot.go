package screen

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/AgentaaU/AaaU/pkg/vtseq"
)

// maxSnapshot bounds a snapshot, in bytes. The history gets what the screen leaves.
// A screen that needs more loses its looks from there on, and is then no longer than
// its cells' characters.
const maxSnapshot = 2 << 20

// cleared clears the screen. What the terminal has in its scrollback is its person's.
const cleared = "\x1b[H\x1b[2J"

// looks is how a line is appended.
type looks uint8

const (
	plain   looks = iota // characters only
	styled               // and their styles
	placed               // and where what follows a character with marks begins: terminals differ in its width
	printed              // likewise, on a blank line; but what was printed right after it follows it again
)

// Snapshot is what makes a terminal of this size, in whatever state, show what this
// screen shows, in the same modes, with up to history lines of what has left it at its
// top in the terminal's own scrollback. A terminal has nothing to answer to it.
//
// The last behind bytes of what was written are not in it: they begin a character or
// a sequence. What follows the snapshot must begin with them, to be looked at whole
// by who looks at it. They are not more than 2 KiB.
func (s *Screen) Snapshot(history int) (snapshot []byte, behind int) {
	defer func() {
		if recover() != nil { // a mistake here, which the bridge lives on after
			s.panics++
			snapshot, behind = append(vtseq.AppendReset(nil), cleared...), 0
		}
	}()
	main, saved := s.lines, &s.saved[0]
	if s.main != nil {
		main = s.main
	}
	b := s.appendLines(nil, main, false)
	if s.main != nil {
		b = s.modes.AppendKeyboard(b, false)
		b = s.appendCursor(s.appendMargins(b), saved, main)
		b = append(b, "\x1b[?1049h\x1b[<99u\x1b[=0;1u\x1b[?69l\x1b[?6l\x1b[r\x1b[m\x1b]8;;\x1b\\\x0f\x1b(B\x1b)B\x1b[2J"...)
		b = s.appendLines(b, s.lines, true)
		saved = &s.saved[1]
	}
	b = s.modes.AppendKeyboard(b, s.main != nil)
	b = s.appendTabs(b)
	b = s.appendCursor(s.appendMargins(b), saved, s.lines)
	b = append(b, "\x1b7"...)
	b = s.appendStyles(b)
	b = s.appendCursor(b, &s.cursor, s.lines)
	b = s.modes.AppendSet(b)
	for _, t := range s.titles {
		b = append(t.appendTo(b), "\x1b[22;2t"...)
	}
	b = s.title.appendTo(b)
	behind, instead := s.unfinished()
	b = append(b, instead...)

	before := vtseq.AppendReset(make([]byte, 0, len(b)+1<<10))
	if keys := s.modes.AppendKeyboard(nil, true); s.main == nil && len(keys) > 0 {
		before = append(append(append(before, "\x1b[?1049h"...), keys...), "\x1b[?1049l"...)
	}
	before = append(before, cleared...)
	before = s.appendHistory(before, history, maxSnapshot-len(b)-len(before))
	return append(before, b...), behind
}

// appendTo appends what gives the window this title. What nobody has given is the
// terminal's own.
func (t title) appendTo(b []byte) []byte {
	if !t.given {
		return b
	}
	b = append(append(b, "\x1b]2;"...), t.text...)
	return append(b, "\x1b\\"...)
}

// appendHistory appends the newest lines, each so that the next one can follow. A line
// that had to be wrapped on a screen of another width is one again, for the terminal to
// wrap; but not where it ends on the screen, whose first line must begin one.
func (s *Screen) appendHistory(b []byte, most, bytes int) []byte {
	h := &s.history
	next := s.appendLine(nil, s.first(), styled)
	fits := true // the line was wrapped where the terminal does
	for i := h.last(most, bytes); i < len(h.lines); i++ {
		text, wrapped := h.line(i)
		b = append(b, text...)
		if fits = wrapped == 0 || wrapped == s.cols && fits; i+1 < len(h.lines) {
			text, _ = h.line(i + 1)
			b = newLine(b, wrapped > 0, text)
		} else {
			b = newLine(b, wrapped > 0 && fits, next)
		}
	}
	return b
}

// first is the main screen's first line.
func (s *Screen) first() *line {
	if s.main != nil {
		return s.main[0]
	}
	return s.lines[0]
}

// newLine appends what begins a line that shows next. Where the one before goes on
// in it, and both are characters to begin with, the terminal does that by itself, and
// then knows that they are one.
func newLine(b []byte, wrapped bool, next []byte) []byte {
	if wrapped && len(next) > 0 && next[0] != esc {
		return b
	}
	return append(b, "\r\n"...)
}

// appendLines appends a screen's lines, from its first place on.
func (s *Screen) appendLines(b []byte, lines []*line, home bool) []byte {
	if home {
		b = append(b, "\x1b[H"...)
	}
	for i, l := range lines {
		from := len(b)
		if b = s.appendLine(b, l, printed); len(b) > maxSnapshot/2 {
			b = s.appendLine(b[:from], l, plain)
		}
		if i > 0 {
			begin := newLine(s.scratch[:0], lines[i-1].goesOn(), b[from:])
			b = slices.Insert(b, from, begin...)
		}
	}
	return b
}

// appendLine appends a line's characters as they are written to a blank line in the
// default style. That is also what the style is afterwards. Blanks at the end are left
// out.
func (s *Screen) appendLine(b []byte, l *line, as looks) []byte {
	end := l.used
	if l.blank != 0 && as != plain {
		end = len(l.cells)
	}
	blank := func(c cell) bool { return (c.r == 0 || c.r == ' ') && (c.style == style{} || as == plain) }
	for end > 0 && blank(l.at(end-1)) {
		end--
	}
	if as == printed && s.mayOverflow(l, end) {
		as = placed
	}
	now := style{}
	place, flowing := false, false // the terminal's cursor may be elsewhere
	for x := 0; x < min(end, l.used); {
		cells := l.cells[x:min(end, l.used)]
		if cells[0].style != now && as != plain {
			b = s.appendStyle(b, cells[0].style, now)
			now = cells[0].style
		}
		n := 0
		for ; n < len(cells) && (cells[n].style == now || as == plain); n++ {
			r := cells[n].r
			if place = place || flowing && r == 0; place && r != half {
				if flowing = false; as == printed && blank(cells[n]) {
					continue
				}
				b, place = append(appendInt(append(b, "\x1b["...), x+n+1), 'G'), false
			}
			switch {
			case 0 < r && r < 0x80:
				b = append(b, byte(r))
			case r == half:
			case r >= cluster && as == plain:
				r, _ = utf8.DecodeRuneInString(s.clusters.text(uint16(r - cluster)))
				b = s.appendRune(b, r)
			default:
				b = s.appendRune(b, r)
				flowing = flowing || r >= cluster && as == printed && r&flows != 0
				place = r >= cluster && (as == placed || as == printed && r&flows == 0)
			}
		}
		x += n
	}
	if end > l.used {
		if place || flowing {
			b = append(appendInt(append(b, "\x1b["...), l.used+1), 'G')
		}
		erased := style{bg: l.blank}
		if erased != now {
			b = s.appendStyle(b, erased, now)
			now = erased
		}
		b = append(b, blanks[:end-l.used]...)
	}
	if now != (style{}) {
		b = s.appendStyle(b, style{}, now)
	}
	return b
}

// mayOverflow says whether a terminal that shows characters with marks wider than this
// one does has no room for so much of the line.
func (s *Screen) mayOverflow(l *line, end int) bool {
	for _, c := range l.cells[:min(end, l.used)] {
		if c.r >= cluster {
			end++
		}
	}
	return end > s.cols
}

var blanks = strings.Repeat(" ", maxSide)

// appendStyle appends what changes the style.
func (s *Screen) appendStyle(b []byte, to, from style) []byte {
	if to.link != from.link {
		b = append(b, "\x1b]8;"...)
		if to.link > 0 {
			b = append(b, s.links.text(to.link)...)
		} else {
			b = append(b, ';')
		}
		b = append(b, "\x1b\\"...)
	}
	if from.link = to.link; to != from {
		b = to.appendTo(b)
	}
	return b
}

// appendCursor appends what makes the terminal's cursor this one, wherever it is and
// whatever its style and character sets are.
func (s *Screen) appendCursor(b []byte, c *cursor, lines []*line) []byte {
	return s.appendPut(append(b, "\x1b[?6l\x0f\x1b(B\x1b)B\x1b[m\x1b]8;;\x1b\\"...), c, lines, anew)
}

// appendPut is appendCursor for a terminal without origin mode, in the default style and
// with ASCII characters.
func (s *Screen) appendPut(b []byte, c *cursor, lines []*line, how putting) []byte {
	if c.origin {
		b = append(b, "\x1b[?6h"...)
	}
	row, col := s.relative(c)
	x, now := c.x, style{}
	full := s.isFull(c)
	again := full || c == &s.cursor && s.joins
	if latest := s.latest(); again && !full && s.putX == c.x && latest != nil && latest.r >= cluster {
		again = false // with marks, terminals differ about what stands at a line's end and stays there
	}
	if again { // so it is, and may be joined, once its last character is drawn again
		if !full {
			x = s.putX
		}
		if lines[c.y].at(x).r == half {
			x--
		}
	}
	col = max(col-(c.x-x), 0)
	ends := how == anew && endsAt(lines, c.y, x, again)
	below := 0
	if how == anew && !ends {
		below = s.below(lines, c)
	}
	switch {
	case how == inRow:
		b = appendColumn(b, col)
	case below > 0: // see endsAt
		b = append(appendPlace(b, row+below, 0), "\x1b[J\x1b["...)
		b = appendColumn(append(appendInt(b, below), 'A'), col)
	default:
		b = appendPlace(b, row, col)
	}
	if ends {
		b = append(b, "\x1b[J"...)
	}
	if again {
		stays := !full && s.putX == c.x // at the line's end, which it does not go beyond
		if stays {
			b = append(b, "\x1b[?7l"...)
		}
		cell := lines[c.y].at(x)
		now = cell.style
		b = s.appendRune(s.appendStyle(b, now, style{}), cell.r)
		if stays {
			b = append(b, "\x1b[?7h"...)
		}
	}
	if c.style != now {
		b = s.appendStyle(b, c.style, now)
	}
	if c.sets[0] {
		b = append(b, "\x1b(0"...)
	}
	if c.sets[1] {
		b = append(b, "\x1b)0"...)
	}
	if c.set == 1 {
		b = append(b, so)
	}
	return b
}

// endsAt says whether nothing is on the screen from a place on, but for the character
// there. Then that place is erased up to the screen's end, though there is nothing:
// so who follows the output (vtseq.Modes) knows that nothing is below the cursor, and has
// a prompt right there when its person leaves. Nothing else comes of it: the first place
// is left out, where terminals keep in their scrollback what they erase from it on. Where
// something is on the screen below the cursor, the same is done below that.
func endsAt(lines []*line, y, x int, character bool) bool {
	if x == 0 && y == 0 || lines[y].wrapped {
		return false
	}
	from := x
	if character {
		if from++; from < len(lines[y].cells) && lines[y].at(from).r == half {
			from++
		}
	}
	for i, l := range lines[y:] {
		if i > 0 {
			from = 0
		}
		if l.blank != 0 || l.used > from && !isEmpty(l.cells[from:l.used]) {
			return false
		}
	}
	return true
}

// below is how far below a cursor the first line is with nothing on it and below it; 0 if
// there is none, or if it cannot be reached because there are margins.
func (s *Screen) below(lines []*line, c *cursor) int {
	m := s.margins
	if c.origin || m.top > 0 || m.bottom < s.rows-1 || s.modes.Is(69) {
		return 0
	}
	first := len(lines)
	for first > 0 && lines[first-1].blank == 0 && isEmpty(lines[first-1].cells[:lines[first-1].used]) {
		first--
	}
	if first == len(lines) || first == 0 || lines[first-1].wrapped {
		return 0
	}
	return max(first-c.y, 0)
}

// isEmpty says whether there are only cells that were never drawn to.
func isEmpty(cells []cell) bool {
	for _, c := range cells {
		if c != (cell{}) {
			return false
		}
	}
	return true
}

func appendPlace(b []byte, row, col int) []byte {
	b = appendInt(append(b, "\x1b["...), row+1)
	return append(appendInt(append(b, ';'), col+1), 'H')
}

// putting is how a cursor is put into its place.
type putting uint8

const (
	anew  putting = iota // on a screen that has just been drawn
	back                 // on one that was there before
	inRow                // as above, where the cursor is in the right row
)

func appendColumn(b []byte, col int) []byte {
	return append(appendInt(append(b, "\x1b["...), col+1), 'G')
}

// appendMargins appends what sets the margins, if there are any.
func (s *Screen) appendMargins(b []byte) []byte {
	m := s.margins
	if m.top > 0 || m.bottom < s.rows-1 {
		b = appendInt(append(b, "\x1b["...), m.top+1)
		b = append(appendInt(append(b, ';'), m.bottom+1), 'r')
	}
	if s.modes.Is(69) {
		b = append(b, "\x1b[?69h"...)
	}
	if !s.wide(m) {
		b = appendInt(append(b, "\x1b["...), m.left+1)
		b = append(appendInt(append(b, ';'), m.right+1), 's')
	}
	return b
}

// appendTabs appends what sets the tab stops.
func (s *Screen) appendTabs(b []byte) []byte {
	b = append(b, "\x1b[3g"...)
	for x, stop := range s.tabs {
		if stop {
			b = append(appendInt(append(b, "\x1b["...), x+1), "G\x1bH"...)
		}
	}
	return b
}

func appendInt(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }
