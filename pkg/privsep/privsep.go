// Package privsep is the protocol between the three processes of a session that
// trust each other differently: the bridge, the launcher, and the stage.
//
//	bridge (aaau-bridge)          launcher (root)                stage (root, then agent for good)
//	  │── Request, client's fd ──────▶│
//	  │                               │── clone: pid and mount namespace ─▶│
//	  │                               │   StartTransientUnit, "done"       │ waits
//	  │◀── Reply, master, pidfd, ─────│                                    │
//	  │    status pipe                │                                    │
//	  │── Go ────────────────────────▶│── Orders ─────────────────────────▶│
//	  │                                                                    │ becomes the agent,
//	  │◀────────────────────── Status{started} or Status{error}, by pipe ──│ starts the program,
//	  │◀────────────────────────────────────────────── Status{ended} ──────│ reaps, ends
//
// Bridge and launcher speak over a SOCK_SEQPACKET socket: one message is one
// packet, at most MaxMessage bytes of JSON, with exactly the descriptors that
// its kind calls for. If the bridge goes away before Go, the orders pipe closes
// and the stage ends without having run anything; if it goes away later, the
// status pipe has no reader any more, and the stage ends with all that it
// started. So nothing runs that nobody holds.
package privsep

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/argv"
)

// LauncherSocket is where aaau-launcher.socket listens.
const LauncherSocket = "/run/aaau/launcher.sock"

// MaxMessage bounds a packet, either way, in bytes. Orders hold a Request's argv
// and a little more, and must fit into a pipe (pipe(7): 64 KiB).
const MaxMessage = 56 << 10

// Request asks the launcher for one thing: exactly one field is set. With Start
// goes one descriptor, the client's own connection.
type Request struct {
	Start *Start `json:"start,omitempty"`
	Kill  *Kill  `json:"kill,omitempty"`
}

// Start asks for a session for the person at the other end of the connection
// that goes with it. Who that is the launcher asks the kernel, not the bridge.
type Start struct {
	Profile string    `json:"profile"`
	User    string    `json:"user,omitempty"` // an agent user, instead of the profile's
	Argv    argv.Argv `json:"argv,omitempty"` // instead of the profile's program
	Rows    uint16    `json:"rows"`
	Cols    uint16    `json:"cols"`
	Term    string    `json:"term,omitempty"`
	Lang    string    `json:"lang,omitempty"`
}

// Kill asks for SIGKILL to everything in a session's scope.
type Kill struct {
	Scope string `json:"scope"`
}

// Reply answers a Request: Error, or Session with three descriptors in this
// order (PTY master, pidfd of the stage, read end of the status pipe), or
// neither for a Kill that was done.
type Reply struct {
	Error   *Error   `json:"error,omitempty"`
	Session *Session `json:"session,omitempty"`
}

// Session is what the launcher made.
type Session struct {
	ID    string    `json:"id"`
	Scope string    `json:"scope"`
	User  string    `json:"user"`
	Argv  argv.Argv `json:"argv"`
	PID   int       `json:"pid"` // of the stage
}

// SessionFDs is how many descriptors go with a Session.
const SessionFDs = 3

// Go releases the stage: whoever sends it has the session's descriptors safe.
type Go struct {
	Go bool `json:"go"`
}

// Error is a refusal, worded for the person who asked.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an Error.
func Errorf(code, format string, args ...any) *Error {
	return &Error{code, fmt.Sprintf(format, args...)}
}

// Orders is what a stage is told when it is released. Its descriptors are fixed
// (OrdersFD and on).
type Orders struct {
	ID       string    `json:"id"`
	LoginUID uint32    `json:"login_uid"` // the human's
	UID      uint32    `json:"uid"`
	GID      uint32    `json:"gid"`
	Groups   []uint32  `json:"groups"`
	Home     string    `json:"home"`
	Argv     argv.Argv `json:"argv"`
	Env      []string  `json:"env"`
}

// The stage's descriptors.
const (
	OrdersFD = 3 + iota // read end: Orders, then end of file
	StatusFD            // write end: Status
	SlaveFD             // the terminal
	DevptsFD            // a detached mount of the terminal's file system
)

// Status is what a stage says, a line of JSON each; exactly one field is set.
type Status struct {
	Started bool   `json:"started,omitempty"` // the program runs
	Error   *Error `json:"error,omitempty"`   // it never will
	Ended   *Ended `json:"ended,omitempty"`
}

// Ended is the program's wait status, as wait(2) gives it.
type Ended struct {
	Wait uint32 `json:"wait"`
}

// ErrMalformed is wrapped by every complaint about a packet.
var ErrMalformed = errors.New("malformed message")

// Send writes v as one packet, with fds beside it; they stay the caller's.
func Send(c *net.UnixConn, v any, fds ...int) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding %T: %w", v, err)
	}
	if len(b) > MaxMessage {
		return fmt.Errorf("%w: %T of %d bytes, at most %d", ErrMalformed, v, len(b), MaxMessage)
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	_, _, err = c.WriteMsgUnix(b, oob, nil)
	return err
}

// Receive reads one packet into v, strictly: unknown fields, more than one
// value, or a cut message are errors. It returns the descriptors that came with
// it, close-on-exec and the caller's to close; if there are more than maxFDs, or
// on any error, all of them are closed. The end of the stream is io.EOF.
func Receive(c *net.UnixConn, v any, maxFDs int) ([]int, error) {
	// Room for more descriptors than allowed: one too many is to be seen and
	// closed, not cut off.
	buf, oob := make([]byte, MaxMessage), make([]byte, unix.CmsgSpace((maxFDs+8)*4))
	n, oobn, flags, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		return nil, err
	}
	fds, err := rights(oob[:oobn])
	switch {
	case err != nil:
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		err = fmt.Errorf("%w: longer than %d bytes, or with too many descriptors", ErrMalformed, MaxMessage)
	case len(fds) > maxFDs:
		err = fmt.Errorf("%w: %d descriptors, at most %d", ErrMalformed, len(fds), maxFDs)
	default:
		err = decode(buf[:n], v)
	}
	if err != nil {
		Close(fds...)
		return nil, err
	}
	return fds, nil
}

// Close closes descriptors.
func Close(fds ...int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

func decode(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if d.More() {
		return fmt.Errorf("%w: more than one value", ErrMalformed)
	}
	return nil
}

func rights(oob []byte) (fds []int, err error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("%w: control message: %w", ErrMalformed, err)
	}
	for _, m := range msgs {
		got, err := unix.ParseUnixRights(&m)
		if err != nil {
			return fds, fmt.Errorf("%w: not SCM_RIGHTS: %w", ErrMalformed, err)
		}
		fds = append(fds, got...)
	}
	return fds, nil
}
