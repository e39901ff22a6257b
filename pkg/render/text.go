package render

import (
	"io"
	"strings"

	"github.com/AgentaaU/AaaU/pkg/screen"
)

const (
	// No more than so many bytes are written, and so many more for each byte of output: a few
	// bytes can fill a screen.
	screensFree, screensPerByte = 4 << 20, 16

	leftOut = "[something is left out here: the program fills its screen with very little output]\n"
)

// Text writes the lines that a session's terminal has shown: of the main screen those that
// left it at its top, as they were then; of both screens what they showed when they were
// erased or left, and at the end. A line that the terminal has wrapped is one line.
type Text struct {
	w    io.Writer
	err  error
	s    *screen.Screen
	held []byte // may become a mark

	amid bool   // the last line that was written is not complete
	last string // the screen that was written last
	room int    // for what is still to be written, in bytes
	full bool   // it was said that something is left out
}

// NewText begins with an empty screen of this size.
func NewText(w io.Writer, rows, cols int) *Text {
	t := &Text{w: w, s: screen.New(rows, cols), room: screensFree}
	t.s.OnLine(t.line)
	return t
}

// Write takes more of the output. An error is the underlying writer's.
func (t *Text) Write(p []byte) (int, error) {
	n := len(p)
	t.room += n * screensPerByte
	if len(t.held) > 0 {
		p = append(t.held, p...)
	}
	t.held = append([]byte(nil), Pieces(p, t.piece)...)
	return n, t.err
}

// piece draws what comes before a mark, and the mark.
func (t *Text) piece(p, mark []byte) {
	t.draw(p)
	if len(mark) == 0 {
		return
	}
	before, alternate := shows(t.s), t.s.Alternate()
	t.draw(mark)
	switch now := t.s.Alternate(); {
	case before == "", now && !alternate: // the main screen comes back
	case alternate && !now, (alternate || string(mark) == reset) && shows(t.s) == "":
		t.screen(before) // what is erased of the main screen is told as a line otherwise
	}
}

func (t *Text) draw(p []byte) { _, _ = t.s.Write(p) } // it takes everything

// Resize is a new size of the terminal.
func (t *Text) Resize(rows, cols int) error {
	t.s.Resize(rows, cols)
	return t.err
}

// Note writes a line that is not the program's.
func (t *Text) Note(line string) error {
	t.end()
	t.put(line + "\n")
	return t.err
}

// Close writes what the terminal shows at the end.
func (t *Text) Close() error {
	t.draw(t.held)
	t.held = nil
	if t.s.Alternate() {
		t.piece(nil, []byte("\x1b[?1049l"))
	}
	t.s.Lines(t.line)
	t.end()
	return t.err
}

// line writes a line that has left the main screen.
func (t *Text) line(text string, goesOn bool) {
	if !t.fits(text) {
		return
	}
	t.put(text)
	if t.amid = goesOn; !goesOn {
		t.put("\n")
	}
}

// end ends a line that was to go on.
func (t *Text) end() {
	if t.amid {
		t.put("\n")
		t.amid = false
	}
}

// screen writes what a screen showed, if it was another one than that before.
func (t *Text) screen(text string) {
	if text == t.last {
		return
	}
	if !t.fits(text) {
		return
	}
	t.last = text
	t.end()
	t.put(text)
}

// fits takes room for a text, and says whether there was some.
func (t *Text) fits(text string) bool {
	if t.room -= len(text) + 1; t.room >= 0 {
		return true
	}
	if !t.full {
		t.end()
		t.put(leftOut)
		t.full = true
	}
	return false
}

func (t *Text) put(text string) {
	if t.err == nil {
		_, t.err = io.WriteString(t.w, text)
	}
}

// shows is what a screen shows, in whole lines; empty if it is blank.
func shows(s *screen.Screen) string {
	var b strings.Builder
	s.Lines(func(text string, goesOn bool) {
		b.WriteString(text)
		if !goesOn {
			b.WriteByte('\n')
		}
	})
	text := b.String()
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}
