// Package screen is the present screen of a session: what a terminal of its size
// would show after the session's output. It is fed off the hot path, by one
// goroutine, and answers nothing: pkg/vtseq does.
//
// The terminal emulator is tcell's. Between it and the output stands a parser of
// our own, since the output is a stranger's:
//
//	output ─▶ parser ─ whole sequences, known and bounded ─▶ emulator ─▶ grid
//
// The emulator alone would keep a string without end, scroll as often as a
// parameter says, and join marks to a character for ever. The parser also does
// what the emulator lacks: the alternate screen, the line drawing characters,
// inserting, repeating.
package screen

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/gdamore/tcell/v3/vt"
)

// maxSide bounds rows and columns.
const maxSide = 1000

// Screen is a terminal's screen. It belongs to one goroutine.
type Screen struct {
	parser
	grid *grid
	inb  *func(byte) // the emulator, byte by byte

	insert  bool    // new characters push the rest of the line (IRM)
	wrap    bool    // at the line's end (DECAWM)
	joining bool    // the last thing was a character, which a mark may join
	last    rune    // the last character, for REP
	sets    [2]bool // G0 and G1: whether it is line drawing
	set     int     // which of them is in use
	scratch []byte
	panics  int // of the emulator's, so far
}

// New makes an empty screen. Sizes are at least 1 and at most 1000.
func New(rows, cols int) *Screen {
	s := &Screen{}
	s.reset(newGrid(clamp(rows), clamp(cols)))
	return s
}

func clamp(n int) int { return min(max(n, 1), maxSide) }

func (s *Screen) reset(g *grid) {
	*s = Screen{grid: g, inb: emulate(g), wrap: true, scratch: s.scratch, panics: s.panics}
	s.feed("\x1b7") // the emulator panics when a cursor is restored that was not saved
}

// Write takes the next bytes of the output. It never fails.
func (s *Screen) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		rest = rest[s.write(rest):]
	}
	return len(p), nil
}

// write says how much it has taken: all, or what was followed by the emulator's
// panic. Then the screen is a new one: the program will draw it again some time,
// and the bridge has lived on.
func (s *Screen) write(p []byte) (n int) {
	defer func() {
		if recover() != nil {
			s.panics++
			s.reset(newGrid(s.Size()))
		}
	}()
	for n < len(p) {
		n++ // the byte is taken, whatever comes of it
		n += s.parse(p[n-1:]) - 1
	}
	return n
}

// Resize changes the size. What still fits stays; the lines above the cursor go
// first.
func (s *Screen) Resize(rows, cols int) {
	rows, cols = clamp(rows), clamp(cols)
	if r, c := s.Size(); r == rows && c == cols {
		return
	}
	s.grid.resizing = true
	s.feed(fmt.Sprintf("\x1b[8;%d;%dt", rows, cols))
	s.grid.resizing = false
}

// Size is what New or Resize made it.
func (s *Screen) Size() (rows, cols int) { return len(s.grid.lines), int(s.grid.size.X) }

// Cursor is where the cursor is, counted from 0.
func (s *Screen) Cursor() (row, col int) { return int(s.grid.pos.Y), int(s.grid.pos.X) }

// Text is what is on the screen, in lines without what is blank at their ends.
// There are only printable runes in it, and newlines between them.
func (s *Screen) Text() string {
	var b strings.Builder
	blank := 0 // lines not written yet
	for _, line := range s.grid.lines {
		if text := lineText(line); text != "" {
			for ; blank > 0; blank-- {
				b.WriteByte('\n')
			}
			b.WriteString(text)
		}
		blank++
	}
	return b.String()
}

func lineText(line []vt.Cell) string {
	var b strings.Builder
	for x := 0; x < len(line); x++ {
		c := line[x]
		before := b.Len()
		for _, r := range c.C {
			if unicode.IsPrint(r) {
				b.WriteRune(r)
			}
		}
		if b.Len() == before {
			b.WriteByte(' ')
		}
		if c.W == 2 {
			x++ // its other half
		}
	}
	return strings.TrimRight(b.String(), " ")
}
