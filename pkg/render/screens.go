package render

import (
	"fmt"
	"io"
	"time"

	"github.com/AgentaaU/AaaU/pkg/screen"
)

const (
	// Pause is how long a program writes nothing until its screen is one to be looked at.
	Pause = 500 * time.Millisecond
	// most is how long it may write without a pause until its screen is shown anyway: agents
	// that are at work move something all the time.
	most = 10 * time.Second
)

// Screens writes what a session's terminal showed whenever its program made a pause, with
// the time. A screen that is as it was in the pause before is not written again.
type Screens struct {
	w       io.Writer
	s       *screen.Screen
	at      time.Time // of the last output; zero: there was none that is not shown
	shownAt time.Time // when the last screen was shown, or the first output came
	last    string
	room    int  // for further screens, in bytes; see Text
	full    bool // it was said that some are left out
}

// NewScreens begins with an empty screen of this size.
func NewScreens(w io.Writer, rows, cols int) *Screens {
	return &Screens{w: w, s: screen.New(rows, cols), room: screensFree}
}

// Output is what was written at a time.
func (s *Screens) Output(at time.Time, p []byte) error {
	err := s.until(at)
	s.room += len(p) * screensPerByte
	if s.shownAt.IsZero() {
		s.shownAt = at
	}
	s.at = at
	_, _ = s.s.Write(p) // it takes everything
	return err
}

// Resize is a new size of the terminal at a time.
func (s *Screens) Resize(at time.Time, rows, cols int) error {
	err := s.until(at)
	s.s.Resize(rows, cols)
	return err
}

// Note shows the screen as it is, and writes a line that is not the program's.
func (s *Screens) Note(line string) error {
	if err := s.show(); err != nil {
		return err
	}
	_, err := io.WriteString(s.w, line+"\n\n")
	return err
}

// Close writes the last screen.
func (s *Screens) Close() error { return s.show() }

// until shows the screen, if there was a pause before now.
func (s *Screens) until(now time.Time) error {
	if s.at.IsZero() || now.Sub(s.at) < Pause && s.at.Sub(s.shownAt) < most {
		return nil
	}
	return s.show()
}

func (s *Screens) show() error {
	if s.at.IsZero() {
		return nil
	}
	at := s.at
	s.at, s.shownAt = time.Time{}, at
	text := s.s.Text()
	if text == s.last {
		return nil
	}
	if s.room -= len(text); s.room < 0 {
		if s.full {
			return nil
		}
		s.full = true
		_, err := io.WriteString(s.w, leftOut)
		return err
	}
	s.last = text
	rows, cols := s.s.Size()
	row, col := s.s.Cursor()
	_, err := fmt.Fprintf(s.w, "=== %s: %d rows, %d columns, cursor in row %d, column %d ===\n%s\n\n",
		at.Format("2006-01-02 15:04:05.000"), rows, cols, row+1, col+1, text)
	return err
}
