package screen

// pixels is a size.
type pixels struct{ width, height int }

// usualCell is the size of a cell where nobody has said it.
var usualCell = pixels{10, 20}

// maxPixels bounds a picture's sides.
const maxPixels = 1 << 16

// SetCell says how large a cell is, in pixels: with 0, as usual.
func (s *Screen) SetCell(width, height int) {
	s.cell = usualCell
	if width > 0 && height > 0 {
		s.cell = pixels{width, height}
	}
}

// sixel measures a sixel picture, of which only where the cursor is afterwards matters.
type sixel struct {
	begun   bool // in a string that may be one
	is      bool // it is one: q has come
	raster  bool // in raster attributes
	repeats bool // in a repeat count
	other   bool // in another command with parameters
	param   int  // which one
	value   int
	x, y    int    // in pixels, y that of the band
	size    pixels // so far
}

// bandHeight is how many pixels one character of a sixel picture has.
const bandHeight = 6

// scan takes bytes of the string.
func (p *sixel) scan(data []byte) {
	for _, b := range data {
		switch {
		case !p.is:
			if p.is = b == 'q'; !p.is && b != ';' && (b < '0' || b > '9') {
				p.begun = false
				return
			}
		case '0' <= b && b <= '9':
			p.value = min(p.value*10+int(b-'0'), maxPixels)
		case b == ';':
			p.next()
		default:
			p.command(b)
		}
	}
}

// next ends a parameter.
func (p *sixel) next() {
	if p.raster {
		switch p.param {
		case 2:
			p.size.width = max(p.size.width, p.value)
		case 3:
			p.size.height = max(p.size.height, p.value)
		}
	}
	p.param, p.value = p.param+1, 0
}

// command takes any other byte, which ends the command before it.
func (p *sixel) command(b byte) {
	count := 1
	if p.repeats {
		count = max(p.value, 1)
	}
	p.next()
	p.raster, p.repeats, p.other, p.param, p.value = b == '"', b == '!', b == '#', 0, 0
	switch {
	case b == '$':
		p.x = 0
	case b == '-':
		p.x, p.y = 0, min(p.y+bandHeight, maxPixels)
	case '?' <= b && b <= '~':
		p.x = min(p.x+count, maxPixels)
		p.size.width = max(p.size.width, p.x)
		p.size.height = max(p.size.height, p.y+bandHeight)
	}
}

// picture takes the end of a string: the cursor goes to the last line of a sixel
// picture, in the column where that begins, and with mode 8452 right of it. In sixel
// display mode it stays.
func (s *Screen) picture() {
	p := s.sixel
	s.sixel = sixel{}
	if p.next(); !p.is || !p.begun || p.size.height == 0 || s.modes.Is(80) {
		return
	}
	s.apart()
	lines := (p.size.height + s.cell.height - 1) / s.cell.height
	s.lines[s.y].picture = true
	for range min(lines, maxSide) - 1 {
		s.index(0)
		s.lines[s.y].picture = true
	}
	if s.modes.Is(8452) {
		s.x = min(s.x+(p.size.width+s.cell.width-1)/s.cell.width, s.edge())
	}
	s.full = false
}
