package bridge

import (
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/tape"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// chunk is the most output that goes into one frame, in bytes.
const chunk = wire.MaxPayload - 8

// farewell is how long a client may take nothing after its session's end, but for
// one that gets every byte.
const farewell = time.Minute

// sender writes one client's socket: output straight from the tape, and frames
// between. It never holds the session back: while the socket is full, only what
// was cut in the middle of a frame is kept here, and the rest stays on the tape.
type sender struct {
	conn    *net.UnixConn
	raw     syscall.RawConn
	cursor  *tape.Cursor
	session *session.Session
	patient bool // however long the client takes for the rest

	head    [wire.OutputHeadLen]byte
	iov     [2][]byte
	pending []byte        // to be sent before anything else
	frames  chan []byte   // from the receiving side
	gone    chan struct{} // closed when the client has left, after its connection
	done    chan struct{} // closed when run has returned
	err     error
	try     func(fd uintptr) bool // attempt, bound once
}

func newSender(conn *net.UnixConn, cursor *tape.Cursor, s *session.Session) *sender {
	o := &sender{conn: conn, cursor: cursor, session: s, frames: make(chan []byte, 8), gone: make(chan struct{}), done: make(chan struct{})}
	o.try = o.attempt
	return o
}

// close ends the sender of a connection that is closed, and waits for it.
func (o *sender) close() {
	close(o.gone)
	<-o.done
}

// run sends first, and then the session's output until the session's end was
// sent too or the connection fails.
func (o *sender) run(first []byte) {
	defer close(o.done)
	o.pending = first
	if o.raw, o.err = o.conn.SyscallConn(); o.err != nil {
		return
	}
	ending, said := false, false
	for {
		for o.more() {
			if ending && !o.patient {
				o.conn.SetWriteDeadline(time.Now().Add(farewell))
			}
			if err := o.raw.Write(o.try); err != nil {
				o.err = err
			}
			if o.err != nil {
				o.conn.Close() // which ends the receiving side too
				return
			}
		}
		if said {
			o.conn.SetReadDeadline(time.Now().Add(farewell))
			return
		}
		if ending { // and all output is sent: it was complete before the end
			o.pending = wire.Frame(wire.Ended, endedNote(o.session.Exit()))
			said = true
			continue
		}
		select {
		case <-o.cursor.More():
		case f := <-o.frames:
			o.pending = append(o.pending, f...)
		case <-o.session.Ended():
			ending = true
		case <-o.gone:
			return
		}
	}
}

// send queues a frame of the receiving side's, unless the sender has ended.
func (o *sender) send(frame []byte) {
	select {
	case o.frames <- frame:
	case <-o.done:
	}
}

// offer is send without waiting; it says whether there was room.
func (o *sender) offer(frame []byte) bool {
	select {
	case o.frames <- frame:
		return true
	default:
		return false
	}
}

func (o *sender) more() bool { return len(o.pending) > 0 || o.cursor.Behind() }

// attempt sends once, without waiting; false asks to be called again when the
// socket takes more. The view is taken anew each time, so it is never older than
// the system call that copies it.
func (o *sender) attempt(fd uintptr) bool {
	if len(o.pending) > 0 {
		n, err := unix.Write(int(fd), o.pending)
		if n > 0 {
			o.pending = o.pending[:copy(o.pending, o.pending[n:])]
		}
		return o.result(err)
	}
	data, lost := o.cursor.View(chunk)
	if lost > 0 {
		to := o.cursor.Pos()
		o.pending = wire.Frame(wire.Lost, wire.LostNote{From: to - lost, To: to})
		return true
	}
	wire.OutputHead(o.head[:], o.cursor.Pos(), len(data))
	o.iov = [2][]byte{o.head[:], data}
	n, err := unix.Writev(int(fd), o.iov[:])
	if n <= 0 {
		return o.result(err)
	}
	if n < len(o.head)+len(data) { // keep the rest of the frame
		o.pending = append(o.pending[:0], o.head[min(n, len(o.head)):]...)
		o.pending = append(o.pending, data[max(0, n-len(o.head)):]...)
	}
	if !o.cursor.Intact() {
		o.err = errOvertaken
	}
	o.cursor.Advance(len(data))
	return true
}

func (o *sender) result(err error) bool {
	switch err {
	case nil:
	case unix.EAGAIN:
		return false
	case unix.EINTR:
	default:
		o.err = err
	}
	return true
}

// errOvertaken ends a connection whose last frame the writer may have spoilt: it
// would have had to write a good part of the tape during one system call.
var errOvertaken = errors.New("overtaken by the session's output")

func endedNote(e session.Exit) wire.EndedNote {
	switch {
	case e.Wait.Signaled():
		return wire.EndedNote{Signal: int(e.Wait.Signal())}
	default:
		return wire.EndedNote{Code: e.Wait.ExitStatus()}
	}
}
