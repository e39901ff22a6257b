package screen

// table gives small numbers, from 1, to strings that cells share: characters with
// their marks, and links.
type table struct {
	most  int
	texts []string
	free  []uint16 // numbers whose string is no longer used
	index map[string]uint16
	asked int // how many were not there, since the last sweep
}

// number is the string's, 0 if there is no room.
func (t *table) number(text []byte, inUse func(mark func(n uint16))) uint16 {
	if n, ok := t.index[string(text)]; ok {
		return n
	}
	t.asked++
	if len(t.texts) == t.most && len(t.free) == 0 {
		if t.asked < t.most/4 { // it has just been swept, and most are in use
			return 0
		}
		t.sweep(inUse)
	}
	n := uint16(len(t.texts) + 1)
	switch {
	case len(t.free) > 0:
		n = t.free[len(t.free)-1]
		t.free = t.free[:len(t.free)-1]
		t.texts[n-1] = string(text)
	case len(t.texts) < t.most:
		t.texts = append(t.texts, string(text))
	default:
		return 0
	}
	if t.index == nil {
		t.index = map[string]uint16{}
	}
	t.index[string(text)] = n
	return n
}

func (t *table) text(n uint16) string { return t.texts[n-1] }

// sweep frees what inUse does not mark.
func (t *table) sweep(inUse func(mark func(n uint16))) {
	t.asked = 0
	used := make([]bool, len(t.texts)+1)
	inUse(func(n uint16) { used[n] = true })
	for i, text := range t.texts {
		if !used[i+1] && text != "" {
			delete(t.index, text)
			t.texts[i] = ""
			t.free = append(t.free, uint16(i+1))
		}
	}
}

const (
	maxClusters = 1 << 13
	maxCluster  = 64 // bytes of a character with its marks
	maxLinks    = 1 << 10
	maxLink     = 1 << 10 // bytes of a link
)

// usedClusters marks the clusters on the screen.
func (s *Screen) usedClusters(mark func(uint16)) {
	s.eachCell(func(c cell) {
		if c.r >= cluster {
			mark(uint16(c.r - cluster))
		}
	})
}

// usedLinks marks the links on the screen and of the cursors.
func (s *Screen) usedLinks(mark func(uint16)) {
	s.eachCell(func(c cell) { mark(c.link) })
	for _, c := range []cursor{s.cursor, s.saved[0], s.saved[1]} {
		mark(c.style.link)
	}
}

func (s *Screen) eachCell(to func(cell)) {
	for _, lines := range [][]*line{s.lines, s.main} {
		for _, l := range lines {
			for _, c := range l.cells[:l.used] {
				to(c)
			}
		}
	}
}
