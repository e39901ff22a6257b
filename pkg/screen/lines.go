package screen

// OnLine has each line that leaves the main screen at its top told, as Text has it, and
// whether the next line continues it. Then no history is kept.
func (s *Screen) OnLine(told func(text string, goesOn bool)) { s.onLine = told }

// Lines tells the lines that are on the screen, down to the last one that is not blank, as
// OnLine tells them.
func (s *Screen) Lines(told func(text string, goesOn bool)) {
	last := len(s.lines) - 1
	for last >= 0 && s.lineText(s.lines[last]) == "" {
		last--
	}
	for _, l := range s.lines[:last+1] {
		told(s.lineText(l), l.goesOn())
	}
}

// Alternate says whether the alternate screen is shown.
func (s *Screen) Alternate() bool { return s.main != nil }
