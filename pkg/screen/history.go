package screen

// Bounds of the history.
const (
	maxLines = 10_000
	maxBytes = 1 << 20
	maxLine  = 16 << 10 // bytes of a line: with more it is kept without its looks
)

// history is what has left the main screen at its top, in lines as appendLine writes
// them. It holds up to twice as much as it gives, and then throws the older half away.
type history struct {
	buf   []byte
	lines []kept
}

type kept struct {
	start int32
	cols  int16 // the screen's, if the next line goes on with this one, or 0
}

// keepLine adds a line that leaves the screen.
func (s *Screen) keepLine(l *line) {
	if s.onLine != nil {
		s.onLine(s.lineText(l), l.goesOn())
		return
	}
	h := &s.history
	if len(h.buf) > 2*maxBytes || len(h.lines) >= 2*maxLines {
		h.drop()
	}
	k := kept{start: int32(len(h.buf))}
	if l.goesOn() {
		k.cols = int16(s.cols)
	}
	h.lines = append(h.lines, k)
	if l.isBlank() { // whatever its background: it would be much for little
		return
	}
	h.buf = s.appendLine(h.buf, l, styled)
	if len(h.buf)-int(k.start) > maxLine {
		h.buf = s.appendLine(h.buf[:k.start], l, plain)
	}
}

// drop keeps the newest lines that last gives.
func (h *history) drop() {
	first := h.last(maxLines, maxBytes)
	if first == len(h.lines) {
		*h = history{}
		return
	}
	start := h.lines[first].start
	h.buf = h.buf[:copy(h.buf, h.buf[start:])]
	h.lines = h.lines[:copy(h.lines, h.lines[first:])]
	for i := range h.lines {
		h.lines[i].start -= start
	}
}

// last is the index of the first of the newest lines, at most most, that have room
// in so many bytes, each with a new line.
func (h *history) last(most, bytes int) int {
	first, end := len(h.lines), len(h.buf)
	for first > 0 && len(h.lines)-first < min(most, maxLines) {
		start := int(h.lines[first-1].start)
		if bytes -= end - start + 2; bytes < 0 {
			break
		}
		end = start
		first--
	}
	return first
}

// line is one line, and the width of the screen if the next one goes on with it, or 0.
func (h *history) line(i int) (text []byte, wrapped int) {
	end := len(h.buf)
	if i+1 < len(h.lines) {
		end = int(h.lines[i+1].start)
	}
	return h.buf[h.lines[i].start:end], int(h.lines[i].cols)
}
