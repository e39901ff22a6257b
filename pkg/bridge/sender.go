package bridge

import (
	"bytes"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/tape"
	"github.com/AgentaaU/AaaU/pkg/vtseq"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// chunk is the most output that goes into one frame, in bytes.
const chunk = wire.MaxPayload - 8

// farewell is how long a client may take nothing after its session's end, but for
// one that gets every byte, and how long it may stay after the last frame.
const farewell = time.Minute

// queue is how many frames wait for a client that does not read, beside its output;
// of those larger than small, in bytes, which only answers are, one does.
const (
	queue = 64
	small = 8 << 10
)

// enough is how large an empty buffer may be that is kept for the next time, in bytes.
const enough = 2 * chunk

// sender writes one client's socket: output straight from the tape, and frames
// between. It never holds the session back: while the socket is full, only what
// was cut in the middle of a frame is kept here, and the rest stays on the tape.
type sender struct {
	conn *net.UnixConn
	raw  syscall.RawConn
	enc  wire.Encoder
	seat *seat // nil until the client is in a session

	head    [wire.OutputHeadLen]byte
	iov     [2][]byte
	first   []byte        // what goes before the first item
	pending []byte        // to be sent before anything else
	turn    int           // which of the seat's streams is sent from
	items   chan item     // from the receiving side and from those who have news
	large   chan struct{} // has one while a large item is among them
	dropped atomic.Int64  // news for which there was no room
	gone    chan struct{} // closed when the client has left, after its connection
	done    chan struct{} // closed when run has returned
	err     error
	over    *time.Timer           // ends the connection of who does not go
	try     func(fd uintptr) bool // attempt, bound once
}

// item is something to be sent: a frame, the last one of the connection or not, or
// with it all of a session from now on.
type item struct {
	frame []byte
	words string // to be said on the client's terminal, if it is shown the screen
	anew  bool   // the client's terminal is to be shown the screen anew
	seat  *seat
	last  bool
	large bool // whoever queued it has put a token into the sender's large; only sendUntil does
}

// seat is a client's place in a session. The sender closes nothing of it.
type seat struct {
	session *live
	streams []*stream
	patient bool         // however long the client takes for the rest
	drives  *atomic.Bool // whether the clipboard is this client's
	shown   *display     // how it is shown the screen; nil: it is not
	atLeast time.Time    // it does not seem to end before
}

// stream is a cursor on one of a session's outputs.
type stream struct {
	kind    wire.Type
	cursor  *tape.Cursor
	replay  int64 // what is before is history, to which no terminal must answer
	aligned bool  // it begins where a line or a character does

	plain      bool         // no terminal reads it: nothing is cut
	cutter     vtseq.Cutter // of what is not for everybody's terminal
	send, skip int          // what it said of the next bytes
	looked     int64        // it waits for more output than up to here
}

func newSender(conn *net.UnixConn, enc wire.Encoder, first []byte) *sender {
	o := &sender{conn: conn, enc: enc, first: first, items: make(chan item, queue), large: make(chan struct{}, 1), gone: make(chan struct{}), done: make(chan struct{})}
	o.try = o.attempt
	return o
}

// close ends the sender of a connection that is closed, and waits for it.
func (o *sender) close() {
	close(o.gone)
	<-o.done
	if o.over != nil {
		o.over.Stop() // which held all of it
	}
}

// run sends what comes until the last item, or the session's end, was sent or the
// connection fails.
func (o *sender) run() {
	defer close(o.done)
	if o.raw, o.err = o.conn.SyscallConn(); o.err != nil {
		return
	}
	ending, said := false, false
	for {
		if o.flush(ending, said); o.err != nil {
			o.conn.Close() // which ends the receiving side too
			return
		}
		if !said && o.paint(ending) {
			continue
		}
		switch {
		case said: // and sent: the rest is the client's to close
			if o.seat != nil {
				select {
				case <-time.After(time.Until(o.seat.atLeast)):
				case <-o.gone:
				}
			}
			_ = o.conn.CloseWrite()
			o.over = time.AfterFunc(farewell, func() { o.conn.Close() }) // whatever it sends meanwhile
			return
		case len(o.items) > 0:
			said = o.take(<-o.items)
			continue
		case ending: // and all output is sent: it was complete before the end
			o.pending = append(o.pending, o.enc.Ended(o.seat.session.endedNote())...)
			said = true
			continue
		}
		select {
		case <-o.more(0):
		case <-o.more(1):
		case i := <-o.items:
			said = o.take(i)
		case <-o.due():
		case <-o.ended():
			ending = true
		case <-o.gone:
			return
		}
	}
}

func (o *sender) ended() <-chan struct{} {
	if o.seat == nil {
		return nil
	}
	return o.seat.session.Ended()
}

// take puts an item in its place, and says whether it was the last.
func (o *sender) take(i item) (last bool) {
	o.pending = append(o.pending, o.first...)
	o.first = nil
	if i.large {
		<-o.large
	}
	if o.enc.Apart() && o.seat != nil && len(i.frame) > 0 {
		o.alone(i.frame)
	} else {
		o.pending = append(o.pending, i.frame...)
	}
	if i.seat != nil {
		o.seat = i.seat
	}
	if o.seat != nil {
		if i.anew {
			o.seat.shown.showAnew()
		}
		o.seat.shown.say(i.words)
	}
	if n := o.dropped.Swap(0); n > 0 {
		o.pending = append(o.pending, o.enc.News(wire.Event{Time: now(), Kind: wire.EventDropped, Count: int(n)})...)
	}
	return i.last
}

func (o *sender) due() <-chan time.Time {
	if o.seat == nil {
		return nil
	}
	return o.seat.shown.due(o.seat.streams[0].cursor)
}

func (o *sender) more(stream int) <-chan struct{} {
	if o.seat == nil || stream >= len(o.seat.streams) {
		return nil
	}
	return o.seat.streams[stream].cursor.More()
}

// flush sends all that can be sent now; what waits to be cut only when the session
// is ending, and output not when the last frame was said. It gives way to items: a
// program may print for ever, and its people are told, or put out, all the same.
func (o *sender) flush(ending, said bool) {
	for len(o.pending) > 0 || !said && len(o.items) == 0 && o.behind(ending) {
		if ending && !o.seat.patient {
			o.conn.SetWriteDeadline(time.Now().Add(farewell))
		}
		if err := o.raw.Write(o.try); err != nil {
			o.err = err
		}
		if o.err != nil || len(o.pending) == 0 && o.givesWay(ending) {
			return
		}
	}
}

// givesWay says whether the rest of the output is to wait for its turn.
func (o *sender) givesWay(ending bool) bool {
	return !ending && o.seat != nil && o.seat.streams[o.turn].cursor.GiveWay()
}

// behind turns to a stream that has something to be sent.
func (o *sender) behind(ending bool) bool {
	if o.seat == nil || o.seat.shown.paints() {
		return false
	}
	for range o.seat.streams {
		o.turn = (o.turn + 1) % len(o.seat.streams)
		s := o.seat.streams[o.turn]
		switch {
		case !s.cursor.Behind():
		case s.cursor.Head() > s.looked:
			return true
		case ending: // no more comes that would make it something to be cut
			s.plain = true
			return true
		}
	}
	return false
}

// send queues an item, unless the sender has ended.
func (o *sender) send(i item) { o.sendUntil(nil, i) }

// sendUntil is send for who may give it up; false: so it was.
func (o *sender) sendUntil(stop <-chan struct{}, i item) bool {
	if i.large = len(i.frame) > small; i.large {
		select {
		case o.large <- struct{}{}:
		case <-o.done:
			return true
		case <-stop:
			return false
		}
	}
	select {
	case o.items <- i:
	case <-o.done:
	case <-stop:
		if i.large {
			<-o.large
		}
		return false
	}
	return true
}

// offer is send without waiting; what there is no room for is counted.
func (o *sender) offer(frame []byte) { o.offerItem(item{frame: frame}) }

func (o *sender) offerItem(i item) {
	if len(i.frame) == 0 && i.words == "" {
		return
	}
	select {
	case o.items <- i:
	default:
		o.dropped.Add(1)
	}
}

// nudge has the sender look whether something has changed for it.
func (o *sender) nudge() { o.alive(nil) }

// alive is offer for what is of no use later.
func (o *sender) alive(frame []byte) {
	select {
	case o.items <- item{frame: frame}:
	default:
	}
}

// sendOrEnd is send to a client that may not read: if there is no room for it, the connection
// ends.
func (o *sender) sendOrEnd(frame []byte) {
	select {
	case o.items <- item{frame: frame}:
	default:
		o.conn.Close()
	}
}

// finish has the client leave with a last frame; one that does not read, at once.
func (o *sender) finish(frame []byte) {
	select {
	case o.items <- item{frame: frame, last: true}:
	default:
		o.conn.Close()
	}
}

// attempt sends once, without waiting; false asks to be called again when the
// socket takes more. The view is taken anew each time, so it is never older than
// the system call that copies it.
func (o *sender) attempt(fd uintptr) bool {
	if len(o.pending) > 0 {
		n, err := unix.Write(int(fd), o.pending)
		if n > 0 {
			o.pending = o.pending[:copy(o.pending, o.pending[n:])]
		}
		if len(o.pending) == 0 && cap(o.pending) > enough {
			o.pending = nil
		}
		return o.result(err)
	}
	s := o.seat.streams[o.turn]
	data, lost := s.next(o.seat)
	if show := o.seat.shown; show != nil && (lost > 0 || show.late(s.cursor)) {
		show.skip(s.cursor.Pos() - lost)
		return true
	}
	if lost > 0 {
		to := s.cursor.Pos()
		o.pending = o.enc.Lost(wire.LostNote{From: to - lost, To: to, Errors: s.kind == wire.Errors})
	}
	if len(data) == 0 {
		return true
	}
	head := o.enc.OutputHead(o.head[:], s.kind, s.cursor.Pos(), len(data))
	o.iov = [2][]byte{head, data}
	iov := o.iov[:]
	if len(head) == 0 {
		iov = o.iov[1:]
	}
	n, err := unix.Writev(int(fd), iov)
	if n <= 0 {
		return o.result(err)
	}
	if show := o.seat.shown; show != nil {
		show.words.stands = "" // the client takes them away before it writes this
	}
	if n < len(head)+len(data) { // keep the rest of the frame
		o.pending = append(o.pending[:0], head[min(n, len(head)):]...)
		o.pending = append(o.pending, data[max(0, n-len(head)):]...)
	}
	if !s.cursor.Intact() {
		o.err = errOvertaken
	}
	s.cursor.Advance(len(data) + s.skip)
	s.send, s.skip = 0, 0
	return true
}

// next is what is to be sent now, in one frame, or nothing yet. Asked again without
// an Advance, it says the same.
func (s *stream) next(at *seat) (data []byte, lost int64) {
	data, lost = s.cursor.View(chunk)
	if lost > 0 {
		s.cutter, s.send, s.skip = vtseq.Cutter{}, 0, 0
		return nil, lost
	}
	if !s.aligned {
		s.aligned = true
		if s.cursor.Pos() > 0 {
			s.cursor.Advance(begin(data))
			return nil, 0
		}
	}
	if s.plain {
		return data, 0
	}
	if s.send == 0 {
		history := data[:max(0, min(int64(len(data)), s.replay-s.cursor.Pos()))]
		if len(history) > 0 {
			s.send, s.skip = s.cutter.Next(history, s.cuts(at)|vtseq.Queries)
		}
		if s.send == 0 && s.skip == 0 { // or it ends in the middle of something
			s.send, s.skip = s.cutter.Next(data, s.cuts(at))
		}
		if s.send == 0 {
			if s.skip == 0 {
				s.looked = s.cursor.Head()
			}
			s.cursor.Advance(s.skip)
			s.skip = 0
			return nil, 0
		}
	}
	return data[:s.send], 0
}

// goOn has the stream go on at an offset, and not where it was.
func (s *stream) goOn(at int64) {
	s.cursor.Move(at)
	s.cutter, s.send, s.skip, s.looked, s.aligned, s.replay = vtseq.Cutter{}, 0, 0, 0, true, 0
}

// cuts is what of an output is not for this client's terminal. Nobody gets what reaches
// beyond a terminal, and nobody's clipboard is read. Only the terminal of the client that
// drives is asked for answers, has its clipboard set, and its window moved.
func (s *stream) cuts(at *seat) vtseq.Cut {
	if at.drives.Load() {
		return vtseq.Harm | vtseq.ClipboardReads
	}
	return vtseq.All
}

// begin is how much of a history to leave out, so that it starts with a line, or at
// least with a character.
func begin(data []byte) int {
	if i := bytes.IndexByte(data[:min(len(data), 4096)], '\n'); i >= 0 {
		return i + 1
	}
	n := 0
	for n < min(len(data), utf8.UTFMax-1) && !utf8.RuneStart(data[n]) {
		n++
	}
	return n
}

func (o *sender) result(err error) bool {
	switch err {
	case nil:
	case unix.EAGAIN:
		if o.seat != nil {
			o.seat.shown.waits()
		}
		return false
	case unix.EINTR:
	default:
		o.err = err
	}
	return true
}

// How long it is waited for that a client has read what was sent, and how often it
// is looked: the kernel has no event for it.
const (
	aloneTries = 100
	aloneTick  = time.Millisecond
)

// alone sends a frame such that the client reads it by itself, if it reads: with
// nothing in the socket before or after.
func (o *sender) alone(frame []byte) {
	for _, part := range [][]byte{o.pending, frame} {
		o.pending = part
		if o.flushPending(); o.err != nil {
			return
		}
		for range aloneTries {
			unread := 0
			err := o.raw.Control(func(fd uintptr) { unread, _ = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) })
			if err != nil || unread == 0 {
				break
			}
			time.Sleep(aloneTick)
		}
	}
	o.pending = nil
}

func (o *sender) flushPending() {
	for len(o.pending) > 0 && o.err == nil {
		if err := o.raw.Write(o.try); err != nil {
			o.err = err
		}
	}
}

// errOvertaken ends a connection whose last frame the writer may have spoilt: it
// would have had to write a good part of the tape during one system call.
var errOvertaken = errors.New("overtaken by the session's output")
