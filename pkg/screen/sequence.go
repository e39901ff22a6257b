package screen

import (
	"bytes"

	"github.com/AgentaaU/AaaU/pkg/vtseq"
)

// apart ends what a mark could join.
func (s *Screen) apart() { s.joins, s.zwj = false, false }

// moved is apart for what moves the cursor in its line. The rest leaves a full line
// full, as in tmux, vte and kitty, whose cursor is then beyond it.
func (s *Screen) moved() {
	s.full = false
	s.apart()
}

// control obeys a control character.
func (s *Screen) control(b byte) {
	switch b {
	case '\b':
		s.left(1)
	case '\t':
		s.tab(1)
		s.apart()
		return
	case '\n', '\v', '\f':
		s.index(s.style.bg)
		s.apart()
		return
	case '\r':
		if s.x >= s.margins.left {
			s.x = s.margins.left
		} else {
			s.x = 0
		}
	case so:
		s.set = 1
		return
	case si:
		s.set = 0
		return
	default:
		return
	}
	s.moved()
}

// index goes a line down, and scrolls at the bottom margin.
func (s *Screen) index(bg color) {
	switch {
	case s.y == s.margins.bottom:
		if s.x >= s.margins.left && s.x <= s.margins.right {
			s.up(s.margins, 1, bg)
		}
	case s.y < s.rows-1:
		if s.y++; s.y == s.rows-1 {
			s.fills()
		}
	}
}

// tab goes n tab stops on, or back.
func (s *Screen) tab(n int) {
	step, end := 1, s.cols-1
	if s.x <= s.margins.right {
		end = s.margins.right
	}
	if n < 0 {
		n, step, end = -n, -1, 0
	}
	for ; n > 0 && s.x != end; n-- {
		s.full = false
		for s.x += step; s.x != end && !s.tabs[s.x]; s.x += step {
		}
	}
}

// escape obeys ESC and a final byte.
func (s *Screen) escape(final byte) {
	s.modes.Escape(final)
	switch final {
	case 'c':
		s.reset()
	case '7':
		s.save()
	case '8':
		s.restore()
		s.restored()
	case 'D', 'E':
		s.apart()
		if s.index(s.style.bg); final == 'E' {
			s.x, s.full = s.margins.left, false
		}
	case 'H':
		s.tabs[s.x] = s.tabs[s.x] || !s.full
	case 'M':
		if s.y == s.margins.top {
			s.lost() // where a terminal has lines above, it only moves the cursor
			s.down(s.margins, 1, s.style.bg)
		} else if s.y > 0 {
			s.y--
		}
		s.apart()
	}
}

// save and restore are DECSC and DECRC. Each screen has a cursor of its own for them.
func (s *Screen) save() {
	n := s.showing()
	s.saved[n], s.savedPlaced[n] = s.cursor, s.footing&footPlaced != 0
}

func (s *Screen) restore() {
	s.cursor = s.saved[s.showing()]
	s.full = s.isFull(&s.cursor)
	s.apart()
}

// isFull says whether the cursor is at a line's end, and the line full. The margins may
// have changed since the cursor was saved.
func (s *Screen) isFull(c *cursor) bool {
	return c.full && (c.x == s.cols-1 || c.x == s.margins.right)
}

func (s *Screen) showing() int {
	if s.main != nil {
		return 1
	}
	return 0
}

// designate obeys ESC with intermediates: character sets, and the screen of E's.
func (s *Screen) designate(intermediates []byte, final byte) {
	switch string(intermediates) {
	case "(":
		s.sets[0] = final == '0'
	case ")":
		s.sets[1] = final == '0'
	case "#":
		if final == '8' {
			s.margins = s.whole()
			s.home()
			s.clears()
			for _, l := range s.lines {
				l.used, l.wrapped = s.cols, false
				for x := range l.cells {
					l.cells[x] = cell{r: 'E'}
				}
			}
		}
	}
}

// command obeys an OSC string.
func (s *Screen) command(body []byte) {
	s.modes.OSC(body)
	number, data, ok := bytes.Cut(body, []byte(";"))
	if !ok {
		return
	}
	switch string(number) {
	case "0", "2":
		s.title = title{vtseq.Printable(data), true}
	case "66":
		s.sized(data)
	case "8":
		s.style.link = 0
		for _, b := range data {
			if b < ' ' || b > '~' {
				return
			}
		}
		if _, uri, ok := bytes.Cut(data, []byte(";")); ok && len(uri) > 0 && len(data) <= maxLink {
			s.style.link = s.links.number(data, s.usedLinks)
		}
	}
}

// numbers are the parameters of a CSI sequence, the first 16 of them.
type numbers struct {
	value [16]int
	n     int
}

// read reads numbers between semicolons; false if there is anything else.
func (ns *numbers) read(params []byte) bool {
	if len(params) == 0 {
		return true
	}
	at := 0
	for _, b := range params {
		switch {
		case b == ';':
			at++
		case b < '0' || b > '9':
			return false
		case at < len(ns.value):
			ns.value[at] = min(ns.value[at]*10+int(b-'0'), 1<<16)
		}
	}
	ns.n = min(at+1, len(ns.value))
	return true
}

// or is a parameter, or something else if it is 0 or missing.
func (ns *numbers) or(i, otherwise int) int {
	if i >= ns.n || ns.value[i] == 0 {
		return otherwise
	}
	return ns.value[i]
}

// sequence obeys a CSI sequence.
func (s *Screen) sequence(params []byte, final byte) {
	if final == 'm' && len(bytes.TrimLeft(params, "0123456789;:")) == 0 {
		s.style.sgr(params)
		return
	}
	var ns numbers
	if len(params) > 0 && params[0] == '?' {
		s.modes.CSI(params, final)
		if (final == 'h' || final == 'l') && ns.read(params[1:]) {
			for _, n := range ns.value[:ns.n] {
				s.mode(n, final == 'h')
			}
		}
		s.know()
		return
	}
	if !ns.read(params) {
		s.modes.CSI(params, final)
		s.know()
		s.rectangle(params, final)
		s.stackStyles(params, final)
		if string(params) == "!" && final == 'p' {
			s.softReset()
		}
		return
	}
	switch final {
	case 'h', 'l':
		s.modes.CSI(params, final)
		s.know()
	case 't':
		s.modes.CSI(params, final)
		s.pushTitle(vtseq.Titles(params))
	case 'b':
		s.repeat(ns.or(0, 1))
	case 'g':
		switch ns.or(0, 0) {
		case 0:
			s.tabs[s.x] = false
		case 3:
			clear(s.tabs)
		}
	case 'r':
		top, bottom := ns.or(0, 1)-1, min(ns.or(1, s.rows), s.rows)-1
		if top < bottom {
			s.margins.top, s.margins.bottom = top, bottom
			s.home()
		}
	case 's':
		if !s.modes.Is(69) {
			s.save()
			break
		}
		left, right := ns.or(0, 1)-1, min(ns.or(1, s.cols), s.cols)-1
		if left < right {
			s.margins.left, s.margins.right = left, right
			s.home()
		}
	case 'u': // SCO's
		s.restore()
		s.restored()
	case 'J', 'K', 'X':
		s.eraseSequence(ns.or(0, 0), final)
	case '@', 'P', 'L', 'M', 'S', 'T':
		s.edit(min(ns.or(0, 1), maxSide), final)
	default:
		s.move(&ns, final)
	}
}

// pushTitle pushes the title, or with -1 pops one.
func (s *Screen) pushTitle(n int) {
	switch last := len(s.titles) - 1; {
	case n > 0 && len(s.titles) == vtseq.MaxTitles:
		s.titles = append(s.titles[:0], s.titles[1:]...)
		fallthrough
	case n > 0:
		s.titles = append(s.titles, s.title)
	case n < 0 && last >= 0:
		s.title, s.titles = s.titles[last], s.titles[:last]
	}
}

// know learns from the modes what is needed at each character.
func (s *Screen) know() { s.wrap, s.insert = s.modes.Is(7), s.modes.Insert() }

// mode does what comes with a private mode that was set or reset.
func (s *Screen) mode(n int, set bool) {
	switch n {
	case 6:
		s.origin = set
		s.home()
	case 47, 1047:
		s.alternate(set)
	case 69:
		if !set {
			s.margins.left, s.margins.right = 0, s.cols-1
			s.full = s.isFull(&s.cursor)
			s.apart()
		}
	case 1048, 1049:
		if set && (n == 1048 || s.main == nil) {
			s.save()
		}
		was := s.main != nil
		if n == 1049 {
			s.alternate(set)
		}
		if !set && (n == 1048 || was) {
			s.restore()
			if n == 1048 {
				s.restored()
			} else { // to where it was when the main screen was left
				s.footing = s.mainFooting
			}
		}
	}
}

// alternate shows an empty alternate screen, or the main one again.
func (s *Screen) alternate(on bool) {
	s.apart()
	switch {
	case on && s.main == nil:
		if s.spare == nil {
			s.spare = newLines(s.rows, s.cols)
		}
		s.main, s.lines = s.lines, s.spare
		clearLines(s.lines, 0)
		s.switched(true)
	case !on && s.main != nil:
		s.switched(false)
		s.spare, s.lines, s.main = s.lines, s.main, nil
		s.saved[1] = cursor{}
	}
}

// softReset is DECSTR.
func (s *Screen) softReset() {
	s.margins, s.origin = s.whole(), false
	s.full = s.isFull(&s.cursor)
	s.apart()
	s.style, s.sets, s.set = style{link: s.style.link}, [2]bool{}, 0
	s.saved[s.showing()] = cursor{}
}

// home goes to the first place, which depends on origin mode.
func (s *Screen) home() {
	s.goesTo()
	s.goTo(0, 0)
}

// goTo goes to a place, counted from the margins in origin mode.
func (s *Screen) goTo(row, col int) {
	b := s.whole()
	if s.origin {
		b = s.margins
	}
	s.y, s.x = min(b.top+row, b.bottom), min(b.left+col, b.right)
	s.moved()
}

// left goes n columns back.
func (s *Screen) left(n int) {
	left := s.margins.left
	if s.x < left {
		left = 0
	}
	if s.full {
		n--
	}
	s.x = max(s.x-n, left)
}

// relative is the cursor's place as goTo counts.
func (s *Screen) relative(c *cursor) (row, col int) {
	if c.origin {
		return max(c.y-s.margins.top, 0), max(c.x-s.margins.left, 0)
	}
	return c.y, c.x
}

// move obeys a sequence that moves the cursor.
func (s *Screen) move(ns *numbers, final byte) {
	n := min(ns.or(0, 1), maxSide)
	row, col := s.relative(&s.cursor)
	m := s.margins
	switch final {
	case 'A', 'F':
		top := m.top
		if s.y < top {
			top = 0
		}
		if n > s.y {
			s.lost() // a terminal may have lines above
		}
		s.y = max(s.y-n, top)
	case 'B', 'E', 'e':
		bottom := m.bottom
		if s.y > bottom {
			bottom = s.rows - 1
		}
		from := s.y
		s.y = min(s.y+n, bottom)
		s.movesDown(from)
	case 'C', 'a':
		s.x = min(s.x+n, s.edge())
	case 'D':
		s.left(n)
	case 'G', '`':
		s.goTo(row, n-1)
	case 'd':
		full := s.full
		s.goesTo()
		s.goTo(n-1, col)
		s.full = full
		return
	case 'H', 'f':
		s.goesTo()
		s.goTo(n-1, min(ns.or(1, 1), maxSide)-1)
	case 'I':
		s.tab(n)
		s.apart()
		return
	case 'Z':
		s.tab(-n)
	default:
		return
	}
	if final == 'E' || final == 'F' {
		s.x = m.left
	}
	s.moved()
}
