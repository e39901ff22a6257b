package screen

// Footing is what is known of a terminal on which a session began, and that has got all of
// the output since. A Screen begins empty, with its cursor in the first place. The terminal
// of whoever starts a session shows their shell's lines, and its cursor is below them: until
// the output clears the screen or fills it, the terminal shows the same some rows further
// down, nobody knows how many.
type Footing uint8

const (
	// footRelative: the rows that have been used follow each other on the terminal as here, and
	// what is beneath them is blank.
	footRelative Footing = 1 << iota
	// footPlaced: the cursor is in the same place of the terminal.
	footPlaced
	// footErased: so are all cells, if the cursor is.
	footErased

	footFirm = footPlaced | footErased
)

// Footing is for a screen that continues from a picture of this one.
func (s *Screen) Footing() Footing { return s.footing }

// SetFooting is for a screen that was drawn from a picture.
func (s *Screen) SetFooting(f Footing) { s.footing = f & (footRelative | footFirm) }

// IsKnown says whether a terminal that has got all of the output can be drawn on.
func (s *Screen) IsKnown() bool {
	return s.footing&footRelative != 0 || s.footing&footFirm == footFirm
}

// lost notes that this screen and the terminal may now differ in more than a number of rows.
func (s *Screen) lost() { s.footing &^= footRelative }

// goesTo notes that the cursor has gone to a place that is the same on any terminal.
func (s *Screen) goesTo() {
	if s.footing&footPlaced == 0 && s.lowest() >= 0 { // what has been printed is elsewhere there
		s.footing &^= footErased
	}
	s.footing = s.footing&^footRelative | footPlaced
}

// clears notes that all cells have been erased.
func (s *Screen) clears() { s.footing |= footErased }

// fills notes that lines have come to the bottom of the screen, one after the other: then
// the terminal has scrolled all away that was there before.
func (s *Screen) fills() {
	if s.footing&footRelative != 0 && s.margins == s.whole() {
		s.footing = footFirm
	}
}

// lowest is the last row on which something is, -1 if there is none.
func (s *Screen) lowest() int {
	y := len(s.lines) - 1
	for y >= 0 && s.lines[y].used == 0 && s.lines[y].blank == 0 {
		y--
	}
	return y
}

// movesDown notes that the cursor was moved down from a row, without scrolling: a terminal
// may not have had the room.
func (s *Screen) movesDown(from int) {
	if s.footing&footRelative != 0 && s.y > max(from, s.lowest()) {
		s.lost()
	}
}

// restored notes that the cursor has gone to where it was saved.
func (s *Screen) restored() {
	s.lost()
	if !s.savedPlaced[s.showing()] {
		s.footing &^= footPlaced
	}
}

// switched notes that the alternate screen is shown, which is blank, or the main one again.
func (s *Screen) switched(alternate bool) {
	if alternate {
		s.mainFooting, s.footing = s.footing, s.footing&footPlaced|footErased
		return
	}
	s.footing = s.footing&footPlaced | s.mainFooting&footErased
}
