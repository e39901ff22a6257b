// Package screen is the present screen of a session: what a terminal of its size
// would show after the session's output, the modes it would be in, and what has left
// it at its top. It is fed off the hot path, by one goroutine, and answers nothing:
// pkg/vtseq does.
//
//	output ─▶ parser ─ characters, whole sequences ─▶ grid ─ lines that leave it ─▶ history
//	                            └─▶ vtseq.Modes                    └─▶ Snapshot ◀───┘
//
// The output is a stranger's: whatever it says, time is bounded by its length and the
// screen's size, and memory by the screen's size.
package screen

import (
	"strings"
	"unicode"

	"github.com/AgentaaU/AaaU/pkg/vtseq"
)

// maxSide bounds rows and columns.
const maxSide = 1000

// Screen is a terminal's screen. It belongs to one goroutine.
type Screen struct {
	parser
	cursor
	modes      vtseq.Modes
	rows, cols int
	lines      []*line
	main       []*line   // the main screen's, while the alternate one is shown
	spare      []*line   // the alternate screen's, while the main one is shown
	saved      [2]cursor // of each screen
	margins    box
	tabs       []bool
	title      title
	titles     []title // pushed
	styles     []pushedStyle
	sixel      sixel
	cell       pixels // the size of one

	wrap, insert bool // as modes has it
	joins        bool // the last thing was a character, which a mark may join
	putX         int  // its last column
	zwj          bool // and it ended with a joiner
	last         rune // the last character, for REP

	footing     Footing
	mainFooting Footing // the main screen's, while the alternate one is shown
	savedPlaced [2]bool // each saved cursor is in the same place of any terminal

	history  history
	clusters table
	links    table
	widths   widths
	scratch  []byte
	panics   int // so far

	onLine func(text string, goesOn bool) // nil: the history has the lines
}

// cursor is what DECSC saves.
type cursor struct {
	x, y   int
	full   bool // the line is: the next character goes to the next line
	style  style
	sets   [2]bool // G0 and G1: whether it is line drawing
	set    int     // which of them is in use
	origin bool    // places are counted from the margins (DECOM)
}

// title is the window's, if somebody has given it one.
type title struct {
	text  string
	given bool
}

// New makes an empty screen. Sizes are at least 1 and at most 1000.
func New(rows, cols int) *Screen {
	s := &Screen{rows: clamp(rows), cols: clamp(cols), cell: usualCell}
	s.clusters.most, s.links.most = maxClusters, maxLinks
	s.reset()
	s.footing, s.savedPlaced = footRelative, [2]bool{}
	return s
}

func clamp(n int) int { return min(max(n, 1), maxSide) }

// reset is RIS. The history stays.
func (s *Screen) reset() {
	s.cursor, s.saved, s.margins = cursor{}, [2]cursor{}, s.whole()
	s.alternate(false)
	if s.lines == nil {
		s.lines = newLines(s.rows, s.cols)
	}
	clearLines(s.lines, 0)
	s.modes, s.titles, s.styles = vtseq.Modes{}, nil, nil
	s.tabs = stops(nil, s.cols)
	s.footing, s.savedPlaced = footFirm, [2]bool{true, true}
	s.apart()
	s.know()
}

// stops are tab stops for so many columns: the old ones, and beyond them each eighth.
func stops(old []bool, cols int) []bool {
	tabs := make([]bool, cols)
	for x := copy(tabs, old); x < cols; x++ {
		tabs[x] = x > 0 && x%8 == 0
	}
	return tabs
}

// Write takes the next bytes of the output. It never fails.
func (s *Screen) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		rest = rest[s.write(rest):]
	}
	return len(p), nil
}

// write says how much it has taken: all, or what was followed by a panic, which is a
// mistake here. Then the screen is a new one: the program will draw it again some
// time, and the bridge has lived on.
func (s *Screen) write(p []byte) (n int) {
	defer func() {
		if recover() != nil {
			n = max(n, 1) // the byte is taken, whatever came of it
			rows, cols, panics, onLine := s.rows, s.cols, s.panics, s.onLine
			*s = *New(rows, cols)
			s.panics, s.onLine, s.footing = panics+1, onLine, 0
		}
	}()
	for n < len(p) {
		n += s.parse(p[n:])
	}
	return n
}

// Resize changes the size. What still fits stays; the lines above the cursor go
// first.
func (s *Screen) Resize(rows, cols int) {
	rows, cols = clamp(rows), clamp(cols)
	if rows == s.rows && cols == s.cols {
		return
	}
	fit := func(old []*line, y int) (lines []*line, skip int) {
		lines, skip = newLines(rows, cols), max(0, y-rows+1)
		for i, l := range old[skip:min(len(old), skip+rows)] {
			l.part(cols)
			lines[i].used, lines[i].blank = copy(lines[i].cells, l.cells[:l.used]), l.blank
			lines[i].picture = l.picture
			lines[i].wrapped = l.wrapped && cols == s.cols
		}
		return lines, skip
	}
	main, c := s.lines, &s.cursor
	if s.main != nil {
		main, c = s.main, &s.saved[0]
	}
	fitted, skip := fit(main, c.y)
	for _, l := range main[:skip] {
		s.keepLine(l)
	}
	c.y -= skip
	if s.main != nil {
		s.main = fitted
		s.lines, skip = fit(s.lines, s.y)
		s.y -= skip
	} else {
		s.lines = fitted
	}
	s.rows, s.cols, s.spare = rows, cols, nil
	s.lost() // terminals move lines in their own ways
	s.margins, s.tabs = s.whole(), stops(s.tabs, cols)
	for _, c := range []*cursor{&s.cursor, &s.saved[0], &s.saved[1]} {
		c.x, c.y, c.full = min(c.x, cols-1), min(c.y, rows-1), false
	}
	s.apart()
}

// Size is what New or Resize made it.
func (s *Screen) Size() (rows, cols int) { return s.rows, s.cols }

// Cursor is where the cursor is, counted from 0.
func (s *Screen) Cursor() (row, col int) { return s.y, s.x }

// KeyModes are the modes that decide what a terminal sends for keys and pastes.
func (s *Screen) KeyModes() vtseq.KeyModes { return s.modes.KeyModes() }

// Text is what is on the screen, in lines without what is blank at their ends.
// There are only printable runes in it, those that say how these are written (see
// vtseq.IsInvisible), and newlines between the lines.
func (s *Screen) Text() string {
	var b strings.Builder
	blank := 0 // lines not written yet
	for _, line := range s.lines {
		if text := s.lineText(line); text != "" {
			for ; blank > 0; blank-- {
				b.WriteByte('\n')
			}
			b.WriteString(text)
		}
		blank++
	}
	return b.String()
}

func (s *Screen) lineText(l *line) string {
	var b strings.Builder
	for _, c := range l.cells[:l.used] {
		if c.r == half {
			continue
		}
		before := b.Len()
		s.scratch = s.appendRune(s.scratch[:0], c.r)
		for _, r := range string(s.scratch) {
			if unicode.IsPrint(r) || vtseq.IsInvisible(r) {
				b.WriteRune(r)
			}
		}
		if b.Len() == before {
			b.WriteByte(' ')
		}
	}
	return strings.TrimRight(b.String(), " ")
}
