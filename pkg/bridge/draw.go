package bridge

import (
	"bytes"
	"fmt"
	"math"
	"sync"

	"github.com/AgentaaU/AaaU/pkg/screen"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/tape"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// drawing is a session's screen, drawn from its tape: when somebody wants to know it,
// and when so much has come that it might be gone from the tape before. It belongs to
// one goroutine, but for resized.
//
// So that the next bridge can go on, a picture of the screen is kept beside the tape,
// not older than what is on that.
type drawing struct {
	l      *live
	screen *screen.Screen // nil before the first draw
	cursor *tape.Cursor   // at what is to be drawn next
	saved  int64          // where the picture was made that is kept

	mu    sync.Mutex // guards sizes
	sizes []resize   // of the terminal, that the screen has not come to yet
}

// resize is what size a terminal had from an offset of its output on.
type resize struct {
	at         int64
	rows, cols uint16
}

const (
	// keptLines is how many lines of history are kept for the next bridge, and are there
	// for certain.
	keptLines = 1000
	// stroke is how much is drawn, and glance how much is scanned, before it is noted how far
	// that went, in bytes. Both are little: bridges that are killed one soon after the other,
	// on a machine that has much else to do, must not be killed at the same output.
	stroke = 1 << 10
	glance = 4 << 10
	// maxSizes is how many sizes are remembered that the screen has not come to.
	maxSizes = 64
	// Pipes have no terminal: of what comes out of them the end is shown, on a page.
	pageRows, pageCols = 24, 80
	pageBytes          = 64 << 10
)

// newDrawing is nil if the session has ended. The cursor begins where the kept picture was
// made: at the oldest output the program would wait for it, and it would not move before
// there was new output.
func newDrawing(l *live, hold tape.Hold) *drawing {
	cursor, err := l.Read(l.PictureAt(), hold)
	if err != nil {
		return nil
	}
	d := &drawing{l: l, cursor: cursor, saved: cursor.Pos()}
	d.resized(d.size())
	return d
}

func (d *drawing) size() (rows, cols uint16) {
	if d.l.Pipes {
		return pageRows, pageCols
	}
	return d.l.Size()
}

// begin goes on where an earlier bridge had come to, or begins.
func (d *drawing) begin() {
	kept, ok := d.l.Picture()
	if !ok {
		rows, cols := d.size()
		d.screen = screen.New(int(rows), int(cols))
		return
	}
	d.screen = screen.New(int(kept.Rows), int(kept.Cols))
	_, _ = d.screen.Write(kept.Snapshot) // it takes everything
	d.screen.SetFooting(footing(kept.Snapshot))
	d.saved = kept.At
	d.cursor.Move(kept.At)
}

// resized notes that the terminal has another size from now on.
func (d *drawing) resized(rows, cols uint16) {
	if d == nil {
		return // the session has ended
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := resize{d.cursor.Head(), rows, cols}
	if n := len(d.sizes); n > 0 && (n == maxSizes || d.sizes[n-1].at == now.at) {
		d.sizes = d.sizes[:n-1]
	}
	d.sizes = append(d.sizes, now)
}

// lot is how much may be left undrawn, in bytes.
func (d *drawing) lot() int64 {
	if d.l.Pipes {
		return math.MaxInt64 // nothing of it is needed later
	}
	return min(1<<20, d.cursor.Size()/4)
}

// due says whether what has come up to an offset is to be drawn now.
func (d *drawing) due(upTo int64) bool { return upTo-d.cursor.Pos() >= d.lot() }

// keepUp sees to it that not too much is left undrawn. What need not be drawn is left
// out; what then is little enough can wait until somebody asks, or more has come after it.
func (d *drawing) keepUp(upTo int64) {
	if d.screen != nil && !d.l.Pipes && d.until() > upTo {
		if data, lost := d.cursor.View(int(upTo - d.cursor.Pos())); lost == 0 {
			d.cursor.Advance(d.screen.Skip(data, keptLines))
		}
	}
	if d.due(upTo) {
		d.draw(upTo)
	} else if d.screen != nil && d.cursor.Pos()-d.saved >= d.lot() {
		d.save()
	}
}

// draw brings the screen up to an offset. What bridges die of is noted as for the scan. A
// picture is kept of every lot: bridges that die soon after one another would draw the same
// output again and again, and the program would wait.
func (d *drawing) draw(upTo int64) {
	if d.screen == nil {
		d.begin()
	}
	if d.l.Pipes {
		d.page(upTo)
	} else if size := d.l.FullSize(); size.Rows > 0 && size.Cols > 0 {
		d.screen.SetCell(int(size.XPixel/size.Cols), int(size.YPixel/size.Rows)) // 0: not known
	}
	resized := false
	for d.cursor.Pos() < upTo {
		resized = d.fit(d.cursor.Pos()) || resized
		data, lost := d.cursor.View(int(min(d.cursor.Size(), d.lot(), upTo-d.cursor.Pos())))
		if lost > 0 {
			_, _ = d.screen.Write([]byte{0x18}) // CAN: whatever was unfinished never ends
			continue
		}
		data = data[:min(int64(len(data)), d.until()-d.cursor.Pos())]
		skip := d.screen.Skip(data, keptLines)
		d.cursor.Advance(skip)
		for data = data[skip:]; len(data) > 0 && d.cursor.Intact(); {
			d.l.Looking(session.Draw, d.cursor.Pos())
			// The next bridge begins at an older picture, and comes to the same strokes.
			n := d.write(data[:min(len(data), stroke-int(d.cursor.Pos()%stroke))])
			d.cursor.Advance(n)
			d.l.Looked(session.Draw, d.cursor.Pos())
			data = data[n:]
		}
		if d.cursor.Pos() < upTo {
			d.keep(false)
		}
	}
	d.keep(d.fit(d.cursor.Pos()) || resized)
}

// keep saves a picture if the screen was resized, or a lot was drawn since the last one.
func (d *drawing) keep(resized bool) {
	if !d.l.Pipes && (resized || d.cursor.Pos()-d.saved >= d.lot()) {
		d.save()
	}
}

// write draws, and says how much of the output that was.
func (d *drawing) write(data []byte) int {
	n := len(data)
	if d.l.Pipes { // nobody has made a new line of it yet
		data = bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n"))
	}
	_, _ = d.screen.Write(data) // it takes everything
	return n
}

// page leaves out what has scrolled away.
func (d *drawing) page(upTo int64) {
	if upTo-d.cursor.Pos() <= pageBytes {
		return
	}
	d.cursor.Move(upTo - pageBytes)
	if data, lost := d.cursor.View(chunk); lost == 0 {
		d.cursor.Advance(begin(data))
	}
}

// fit gives the screen the size that the terminal had at an offset.
func (d *drawing) fit(at int64) (resized bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.sizes) > 0 && d.sizes[0].at <= at {
		rows, cols := d.screen.Size()
		resized = resized || rows != int(d.sizes[0].rows) || cols != int(d.sizes[0].cols)
		d.screen.Resize(int(d.sizes[0].rows), int(d.sizes[0].cols))
		d.sizes = d.sizes[1:]
	}
	return resized
}

// until is up to where the terminal has the size that the screen has.
func (d *drawing) until() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.sizes) > 0 {
		return d.sizes[0].at
	}
	return math.MaxInt64
}

// snapshot is what makes a terminal show the screen, and the offset at which output goes
// on after it.
func (d *drawing) snapshot(history int) (snapshot []byte, next int64) {
	snapshot, behind := d.screen.Snapshot(history)
	return snapshot, d.cursor.Pos() - int64(behind)
}

// save keeps a picture for the next bridge.
func (d *drawing) save() {
	rows, cols := d.screen.Size()
	p := session.Picture{Rows: uint16(rows), Cols: uint16(cols)}
	p.Snapshot, p.At = d.snapshot(keptLines)
	p.Snapshot = mark(p.Snapshot, d.screen)
	if err := d.l.SetPicture(p); err != nil {
		d.l.trouble("%v", err)
	}
	d.saved = d.cursor.Pos()
}

// footingMark stands before a kept picture, and says what was known of the terminal on which
// the session began. It is a sequence that does nothing: older bridges take it as they take
// the rest.
const footingMark = "\x1b]60001;%d\x1b\\"

// mark puts the mark before a picture.
func mark(picture []byte, of *screen.Screen) []byte {
	return append(fmt.Appendf(nil, footingMark, of.Footing()), picture...)
}

// footing is what the mark of a kept picture says; without one, nothing is known.
func footing(picture []byte) (f screen.Footing) {
	if _, err := fmt.Fscanf(bytes.NewReader(picture[:min(len(picture), 20)]), footingMark, &f); err != nil {
		return 0
	}
	return f
}

// maxText bounds the text of a screen, in bytes: a frame must hold it.
const maxText = 100 << 10

// text is the screen for people who want to read it, or programs.
func (d *drawing) text() wire.Screen {
	text := d.screen.Text()
	if len(text) > maxText {
		text = text[:maxText]
		text = text[:bytes.LastIndexByte([]byte(text), '\n')+1]
	}
	row, col := d.screen.Cursor()
	rows, cols := d.screen.Size()
	return wire.Screen{Text: text, Row: row, Col: col, Rows: rows, Cols: cols}
}
