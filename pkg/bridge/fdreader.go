package bridge

import (
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// maxKept is how many descriptors of one person's are kept at a time, from all of
// their connections.
const maxKept = 1024

// fdReader reads a connection and keeps the descriptors that come with the bytes,
// until close. After that the kernel closes what is sent, unseen.
type fdReader struct {
	b      *Bridge
	uid    uint32 // whose they are
	conn   *net.UnixConn
	fds    []int
	closed bool
	oob    []byte
}

// Read implements io.Reader.
func (r *fdReader) Read(p []byte) (int, error) {
	if r.closed {
		return r.conn.Read(p)
	}
	if r.oob == nil {
		// One more than allowed: it is to be seen.
		r.oob = make([]byte, unix.CmsgSpace((spec.MaxDirs+1)*4))
	}
	n, oobn, flags, _, err := r.conn.ReadMsgUnix(p, r.oob)
	if oobn > 0 {
		if err := r.keep(r.oob[:oobn]); err != nil {
			return 0, err
		}
	}
	if flags&unix.MSG_CTRUNC != 0 || len(r.fds) > spec.MaxDirs {
		return 0, fmt.Errorf("%w: more than %d descriptors", wire.ErrProtocol, spec.MaxDirs)
	}
	if errors.Is(err, io.EOF) {
		err = io.EOF // which readers compare
	}
	return max(n, 0), err // it is -1 beside an error, which no io.Reader says
}

func (r *fdReader) keep(oob []byte) error {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return err
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return err
		}
		r.fds = append(r.fds, fds...)
		if r.b.kept(r.uid, len(fds)) > maxKept {
			return refusal("busy", "the bridge holds %d descriptors of yours, as many as it may: try again", maxKept)
		}
	}
	return nil
}

// kept counts n descriptors of a person's, and says how many there are.
func (b *Bridge) kept(uid uint32, n int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fdsOf[uid] += n; b.fdsOf[uid] == 0 {
		delete(b.fdsOf, uid)
		return 0
	}
	return b.fdsOf[uid]
}

// take hands over what was kept so far, which the caller gives to drop.
func (r *fdReader) take() []int {
	fds := r.fds
	r.fds = nil
	return fds
}

// drop closes descriptors. They count until they are closed, which may never be: what
// they are of may be a file system of the person's own (FUSE).
func (r *fdReader) drop(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
	r.b.kept(r.uid, -len(fds))
}

// close closes what was kept, and keeps no more.
func (r *fdReader) close() {
	r.drop(r.take())
	r.oob, r.closed = nil, true
}
