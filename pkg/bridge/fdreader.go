package bridge

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// fdReader reads a connection and keeps the descriptors that come with the bytes,
// until close. After that the kernel closes what is sent, unseen.
type fdReader struct {
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

// close closes what was kept.
func (r *fdReader) close() {
	for _, fd := range r.fds {
		unix.Close(fd)
	}
	r.fds, r.oob, r.closed = nil, nil, true
}
