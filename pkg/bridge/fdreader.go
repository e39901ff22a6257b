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

// fdReader reads a connection and keeps the descriptors that come with the bytes,
// until close. After that the kernel closes what is sent, unseen.
type fdReader struct {
	conn   *net.UnixConn
	fds    descriptors
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
	}
	return nil
}

// take hands over what was kept so far; the caller closes it.
func (r *fdReader) take() descriptors {
	fds := r.fds
	r.fds = nil
	return fds
}

// close closes what was kept, and keeps no more.
func (r *fdReader) close() {
	r.take().close()
	r.oob, r.closed = nil, true
}

// descriptors came from a client.
type descriptors []int

func (d descriptors) close() {
	for _, fd := range d {
		unix.Close(fd)
	}
}
