// Package privsep is the protocol between the three processes of a session that
// trust each other differently: the bridge, the launcher, and the stage.
//
//	bridge (aaau-bridge)          launcher (root)                stage (root, then unprivileged for good)
//	  │── Request, client's fd ──────▶│
//	  │                               │── clone: pid and mount namespace ─▶│
//	  │                               │   StartTransientUnit, "done"       │ waits
//	  │◀── Reply, terminal or ────────│                                    │
//	  │    pipes, pidfd, status pipe, │                                    │
//	  │    mount namespace            │                                    │
//	  │── Go ────────────────────────▶│── Orders ─────────────────────────▶│
//	  │                                                                    │ becomes the agent,
//	  │◀────────────────────── Status{started} or Status{error}, by pipe ──│ starts the program,
//	  │◀────────────────────────────────────────────── Status{ended} ──────│ reaps, ends
//
// Bridge and launcher speak over a SOCK_SEQPACKET socket: one message is one
// packet, at most MaxMessage bytes of JSON, with exactly the descriptors that
// its kind calls for. If the bridge goes away before Go, the orders' socket closes
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
	"sync"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/anchor"
	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/spec"
)

// LauncherSocket is where aaau-launcher.socket listens.
const LauncherSocket = "/run/aaau/launcher.sock"

// MaxMessage bounds a packet, either way, in bytes. Orders hold most of a Start
// and a little more; a Start comes from a wire.Open.
const MaxMessage = 96 << 10

// Request asks the launcher for one thing: exactly one field is set. With Start
// go descriptors, the client's own connection first.
type Request struct {
	Start   *Start   `json:"start,omitempty"`
	Kill    *Kill    `json:"kill,omitempty"`
	Freeze  *Scope   `json:"freeze,omitempty"` // nothing in it runs
	Thaw    *Scope   `json:"thaw,omitempty"`   // it goes on
	Measure *Measure `json:"measure,omitempty"`
	Relock  *Relock  `json:"relock,omitempty"` // with the session's mount namespace
	Sweep   *Sweep   `json:"sweep,omitempty"`  // with that
	// Reconcile ends what is nobody's.
	Reconcile *Reconcile `json:"reconcile,omitempty"`
	Put       *Put       `json:"put,omitempty"` // with that, and the file
	Anchor    *Anchor    `json:"anchor,omitempty"`
}

// OneThing says whether a request is for exactly that.
func (r Request) OneThing() bool {
	n := 0
	for _, is := range []bool{r.Start != nil, r.Kill != nil, r.Freeze != nil, r.Thaw != nil, r.Measure != nil, r.Relock != nil, r.Sweep != nil, r.Put != nil, r.Reconcile != nil, r.Anchor != nil} {
		if is {
			n++
		}
	}
	return n == 1
}

// String is for the journal.
func (r Request) String() string {
	switch {
	case !r.OneThing():
		return "several things"
	case r.Start != nil:
		return fmt.Sprintf("a session of profile %.40q", r.Start.Profile)
	case r.Kill != nil:
		return fmt.Sprintf("to send signal %d to %.80q", r.Kill.Signal, r.Kill.Name)
	case r.Freeze != nil:
		return fmt.Sprintf("to freeze %.80q", r.Freeze.Name)
	case r.Thaw != nil:
		return fmt.Sprintf("to thaw %.80q", r.Thaw.Name)
	case r.Reconcile != nil:
		return fmt.Sprintf("to end what is frozen and none of %d sessions", len(r.Reconcile.Keep))
	case r.Relock != nil:
		return fmt.Sprintf("to lock paths beneath %.200q", string(r.Relock.Path))
	case r.Sweep != nil:
		return "to look for setuid files in a session's directories"
	case r.Put != nil:
		return fmt.Sprintf("to put a file %.100q into a session", r.Put.Name)
	case r.Anchor != nil:
		return fmt.Sprintf("to anchor %d chains", len(r.Anchor.Heads))
	default:
		return fmt.Sprintf("to measure the home of %.40q for uid %d", r.Measure.User, r.Measure.UID)
	}
}

// Start asks for a session for the person at the other end of the connection
// that goes with it, and after it a descriptor for each of Dirs. Who that is the
// launcher asks the kernel, not the bridge.
type Start struct {
	spec.Session
	User string `json:"user,omitempty"` // an agent user, instead of the profile's
}

// Scope is a session's.
type Scope struct {
	Name string `json:"name"`
}

// Kill asks for a signal to everything in a scope.
type Kill struct {
	Name   string `json:"name"`             // of the scope
	Signal int    `json:"signal,omitempty"` // 0: SIGKILL
}

// Measure asks how much is in the home that an agent user has for a person.
type Measure struct {
	User string `json:"user"`
	UID  uint32 `json:"uid"`
}

// Reconcile asks for the end of all frozen sessions but these: a bridge that has just
// started names the scopes of those that it has taken back. One that is not frozen
// sees itself that nobody holds it.
type Reconcile struct {
	Keep []string `json:"keep,omitempty"`
}

// Sweep asks for the setuid and setgid bits to be taken from files of people's that an agent has
// changed, when its session has ended.
type Sweep struct {
	UID   uint32 `json:"uid"` // the agent's
	GID   uint32 `json:"gid"`
	Since int64  `json:"since"` // when the session began, in seconds since 1970
}

// Relock asks for a mount's locks to be made again, for they go with the files that
// they are on (see spec.Dir).
type Relock struct {
	Mount
	UID uint32 `json:"uid"` // the agent's
	GID uint32 `json:"gid"`
	// Remake: make again what is missing, if it may be empty. Not at once: somebody
	// may be about to remove or replace all of it.
	Remake bool `json:"remake,omitempty"`
}

// Put asks for a copy of a file in a session's own /tmp, as the agent's. The file is
// a memfd sealed against every change (memfd_create(2)), of at most spec.MaxFile
// bytes: reading any other could take for ever.
type Put struct {
	Name string `json:"name"` // see spec.CheckName
	UID  uint32 `json:"uid"`  // the agent's
	GID  uint32 `json:"gid"`
}

// Anchor asks for the heads of chains to be kept where the bridge cannot write (see
// pkg/anchor). The answer comes when they are on the disk.
type Anchor struct {
	Heads []anchor.Head `json:"heads"`
}

// Check says what is wrong with it.
func (a Anchor) Check() error {
	if n := len(a.Heads); n == 0 || n > anchor.MaxHeads {
		return fmt.Errorf("%d anchors, from 1 to %d at a time", n, anchor.MaxHeads)
	}
	for _, h := range a.Heads {
		if err := h.Check(); err != nil {
			return err
		}
	}
	return nil
}

// Reply answers a Request: Error, or Session with its descriptors, or neither for
// what was done. The descriptors are in this order:
//
//   - the terminal's master, or the write end of the program's input
//   - the pidfd of the stage
//   - the read end of the status pipe
//   - the session's mount namespace
//   - with Pipes, the read end of the program's output
//   - with Pipes or ErrorsApart, the read end of its errors
type Reply struct {
	Error   *Error   `json:"error,omitempty"`
	Session *Session `json:"session,omitempty"`
	Bytes   int64    `json:"bytes,omitempty"` // for a Measure
	Path    string   `json:"path,omitempty"`  // for a Put: what the session calls the file
	Swept   []string `json:"swept,omitempty"` // for a Sweep: some of the files that had such a bit
}

// Session is what the launcher made.
type Session struct {
	ID    string    `json:"id"`
	Scope string    `json:"scope"`
	User  string    `json:"user"`
	Argv  argv.Argv `json:"argv"`
	PID   int       `json:"pid"` // of the stage
	UID   uint32    `json:"uid"` // the agent's
	GID   uint32    `json:"gid"`
	Pipes bool      `json:"pipes,omitempty"` // instead of a terminal
	// ErrorsApart: the program has a terminal, and a pipe as its standard error.
	ErrorsApart bool `json:"errors_apart,omitempty"`

	Dirs    []spec.Shown `json:"dirs,omitempty"`    // what it sees of people's files
	Secrets []string     `json:"secrets,omitempty"` // variables that were named, and credentials
	Watch   []string     `json:"watch,omitempty"`

	HomeBounded bool `json:"home_bounded,omitempty"` // the kernel holds its home to home-max=

	Tape int64 `json:"tape,omitempty"` // bytes of each of its tapes, as the profile says

	Locks []Relock `json:"locks,omitempty"` // to be asked for when the stage says Exposed
}

// SeparateErrors says whether the program's standard error is a stream of its own.
func (s Session) SeparateErrors() bool { return s.Pipes || s.ErrorsApart }

// MaxKept is how many descriptors may follow those of the mounts in Orders: the stage keeps them
// open, so that the file systems are not unmounted under the session.
const MaxKept = 64

// FDs is how many descriptors go with a Session, at most MaxFDs.
func (s Session) FDs() int {
	switch {
	case s.Pipes:
		return MaxFDs
	case s.ErrorsApart:
		return MaxFDs - 1
	}
	return MaxFDs - 2
}

// MaxFDs is the most that FDs can be.
const MaxFDs = 6

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

// Orders is what a stage is told when it is released, with the descriptor of a
// detached mount for each of Mounts, and those that it keeps open (MaxKept).
type Orders struct {
	ID       string `json:"id"`
	LoginUID uint32 `json:"login_uid"` // the human's
	// StageUID is the stage's own uid, real and saved: no signal and no limit of the agent's
	// reaches it.
	StageUID uint32        `json:"stage_uid"`
	UID      uint32        `json:"uid"`
	GID      uint32        `json:"gid"`
	Groups   []uint32      `json:"groups"`
	Home     string        `json:"home"`
	Hidden   []argv.String `json:"hidden"` // directories that are empty but for Mounts
	Mounts   []Mount       `json:"mounts"` // those above before those below
	Stubs    argv.Argv     `json:"stubs"`  // see spec.Session
	Cwd      argv.String   `json:"cwd"`
	Umask    uint32        `json:"umask"`
	Argv     argv.Argv     `json:"argv"`
	Env      argv.Argv     `json:"env"`
	Pipes    bool          `json:"pipes,omitempty"` // the program's streams are no terminal
	// ErrorsApart: they are, but for its standard error.
	ErrorsApart bool   `json:"errors_apart,omitempty"`
	Advice      string `json:"advice,omitempty"` // for when there is no such program
}

// SessionMount is what a session's own /tmp is called in its list of mounts, as only root can
// call it: a mount namespace that has it there is a session's.
const SessionMount = "aaau-session"

// Mount is where a mount belongs.
type Mount struct {
	Path  argv.String `json:"path"`
	Alias argv.String `json:"alias,omitempty"` // see spec.Dir
	Lock  argv.Argv   `json:"lock,omitempty"`
}

// The stage's descriptors.
const (
	OrdersFD = 3 + iota // a SOCK_SEQPACKET socket: Orders, or its end
	StatusFD            // write end: Status
	DevptsFD            // a detached mount of a file system for terminals
	StdinFD             // the program's, as the next two: the terminal three times, or pipes
	StdoutFD
	StderrFD
)

// Status is what a stage says, a line of JSON each; exactly one field is set.
type Status struct {
	Started bool   `json:"started,omitempty"` // the program runs
	Error   *Error `json:"error,omitempty"`   // it never will
	Exposed bool   `json:"exposed,omitempty"` // a lock is gone: its file was replaced from outside
	Tripped string `json:"tripped,omitempty"` // it was killed, for this
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
	b, oob, err := encode(v, fds)
	if err != nil {
		return err
	}
	_, _, err = c.WriteMsgUnix(b, oob, nil)
	return err
}

// SendFD is Send on a socket's descriptor.
func SendFD(socket int, v any, fds ...int) error {
	b, oob, err := encode(v, fds)
	if err != nil {
		return err
	}
	return unix.Sendmsg(socket, b, oob, nil, unix.MSG_NOSIGNAL)
}

func encode(v any, fds []int) (b, oob []byte, err error) {
	if b, err = json.Marshal(v); err != nil {
		return nil, nil, fmt.Errorf("encoding %T: %w", v, err)
	}
	if len(b) > MaxMessage {
		return nil, nil, fmt.Errorf("%w: %T of %d bytes, at most %d", ErrMalformed, v, len(b), MaxMessage)
	}
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	return b, oob, nil
}

// Receive reads one packet into v, strictly: unknown fields, more than one
// value, or a cut message are errors. It returns the descriptors that came with
// it, close-on-exec and the caller's to close; if there are more than maxFDs, or
// on any error, all of them are closed. The end of the stream is io.EOF.
func Receive(c *net.UnixConn, v any, maxFDs int) ([]int, error) {
	// Room for more descriptors than allowed: one too many is to be seen and
	// closed, not cut off.
	b := packets.Get().(*[MaxMessage]byte)
	defer packets.Put(b)
	buf, oob := b[:], make([]byte, unix.CmsgSpace((maxFDs+8)*4))
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

// packets are buffers for those that are received. Nothing that is decoded refers to one.
var packets = sync.Pool{New: func() any { return new([MaxMessage]byte) }}

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
