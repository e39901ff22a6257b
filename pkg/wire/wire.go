// Package wire is the protocol between clients and the bridge: one stream
// socket, a hello line each way, then frames each way.
//
//	client                                bridge
//	  │── "AaaU 2\n" ───────────────────────▶│
//	  │── Ask{profile} ─────────────────────▶│   if it wants to know
//	  │◀──────────────────────── "AaaU 2\n" ─│
//	  │◀──────────────────── Profile{what} ──│
//	  │── Open{new | attach}, directories ──▶│
//	  │◀───────── Opened{id, role, offset} ──│   or Error{code, message}, and close
//	  │── Input, Resize, Kill, Detach ──────▶│
//	  │◀────────────── Output{offset, bytes} │
//	  │◀──────────────────── Ended{status} ──│   and close
//
// A frame is the length of its payload as a big-endian uint32, a type byte, and
// the payload. Input is bytes and nothing but bytes; Output is the session's
// offset of its first byte as a big-endian uint64, then bytes; every other
// payload is a JSON object. So nothing that a person types or an agent prints
// can be taken for control. An unknown type with the Optional bit set is
// skipped; any other is an error. Descriptors (SCM_RIGHTS, unix(7)) go with an
// Open only, one for each of its directories.
//
// The package holds the codec and its limits; it opens and closes nothing.
package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/AgentaaU/AaaU/pkg/spec"
)

const (
	// DefaultSocket is where aaau.socket listens.
	DefaultSocket = "/run/aaau/server.sock"
	// Version is the version of the protocol, both sides' first line.
	Version = 2
	// MaxPayload bounds a frame in both directions.
	MaxPayload = 64 << 10
	// HeaderLen is the length of a frame's head: u32 length, u8 type.
	HeaderLen = 5
	// OutputHeadLen is the length of all that stands before an Output's bytes.
	OutputHeadLen = HeaderLen + 8
	// maxHello bounds the first line.
	maxHello = 64
)

// Type says what a frame is.
type Type byte

// Frames from the client.
const (
	Open   Type = 0x01 // OpenRequest
	Input  Type = 0x02 // bytes for the agent
	Resize Type = 0x03 // Size
	Kill   Type = 0x04 // {}: force kill, an Admin's or the owner's
	Detach Type = 0x05 // {}: the client leaves, the session stays
	Ask    Type = 0x06 // AskRequest, before Open
)

// Frames from the bridge.
const (
	Opened  Type = 0x41 // OpenReply
	Output  Type = 0x42 // offset, bytes from the agent
	Ended   Type = 0x43 // EndedNote
	Error   Type = 0x44 // ErrorNote; the bridge closes after it
	Lost    Type = 0x45 // LostNote: output that this client was too slow for
	Refused Type = 0x46 // ErrorNote: one request was not done; all else goes on
	Profile Type = 0x47 // ProfileReply
	Notice  Type = 0xC8 // ErrorNote: something happened to the session
)

// Optional marks a type that a peer which does not know it may skip.
const Optional Type = 0x80

// Size is a terminal's.
type Size = spec.Size

// AskRequest asks about a profile, empty for the default one.
type AskRequest struct {
	Profile string `json:"profile,omitempty"`
}

// ProfileReply is what a client has to know of a profile to ask for a session of
// it. That it asks for no more is not relied upon.
type ProfileReply struct {
	Name      string   `json:"name"`
	Workspace bool     `json:"workspace,omitempty"` // it works in the current directory
	Tools     bool     `json:"tools,omitempty"`     // it wants the person's tools
	Env       []string `json:"env,omitempty"`       // variables it may be given by name
	Watch     []string `json:"watch,omitempty"`     // names of files whose change the person is told
	Install   bool     `json:"install,omitempty"`   // it has that step of a setup
	Login     bool     `json:"login,omitempty"`
}

// OpenRequest asks for a new session, or with Attach for an existing one.
type OpenRequest struct {
	Attach string `json:"attach,omitempty"` // a session's id
	spec.Session
	ReadOnly bool `json:"read_only,omitempty"`
	// Piped says that a new session is a part of a pipe: its program waits for
	// this client however slow it is, and ends when the client goes away.
	Piped bool `json:"piped,omitempty"`
}

// OpenReply is a session that the client is now in.
type OpenReply struct {
	ID      string  `json:"id"`
	Name    string  `json:"name,omitempty"` // its directory's
	Profile string  `json:"profile"`
	Program string  `json:"program"` // what it is called, perhaps cut
	User    string  `json:"user"`    // the agent's
	Owner   uint32  `json:"owner"`
	Role    string  `json:"role"`
	Began   float64 `json:"began"`  // in seconds since 1970
	Offset  int64   `json:"offset"` // of the first byte that will come

	Dirs    []spec.Shown `json:"dirs,omitempty"`    // what it sees of people's files
	Secrets []string     `json:"secrets,omitempty"` // variables that it was given
	Watch   []string     `json:"watch,omitempty"`
	Private bool         `json:"private,omitempty"` // only its owner and Admins may join it
	Limits  Limits       `json:"limits"`
	Record  string       `json:"record"` // what is recorded: events
}

// Limits are a session's, 0 where there is none.
type Limits struct {
	Memory int64 `json:"memory,omitempty"` // bytes
	Tasks  int64 `json:"tasks,omitempty"`
	Home   int64 `json:"home,omitempty"` // bytes
}

// EndedNote is how the agent ended: a wait status taken apart.
type EndedNote struct {
	Code   int `json:"code"`
	Signal int `json:"signal,omitempty"`
}

// ErrorNote is a refusal or a failure.
type ErrorNote struct {
	Code    string `json:"code"` // stable, for programs
	Message string `json:"message"`
}

func (e *ErrorNote) Error() string { return e.Message }

// LostNote tells a client that these bytes are not coming.
type LostNote struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// ErrProtocol is wrapped by every complaint about what a peer sent.
var ErrProtocol = errors.New("protocol error")

// Hello is the first line, either way.
func Hello() []byte { return fmt.Appendf(nil, "AaaU %d\n", Version) }

// Head writes a frame's head into b[:HeaderLen].
func Head(b []byte, t Type, payload int) {
	binary.BigEndian.PutUint32(b, uint32(payload))
	b[4] = byte(t)
}

// OutputHead writes all that stands before n bytes of output at offset into
// b[:OutputHeadLen].
func OutputHead(b []byte, offset int64, n int) {
	Head(b, Output, 8+n)
	binary.BigEndian.PutUint64(b[HeaderLen:], uint64(offset))
}

// ParseOutput takes an Output's payload apart.
func ParseOutput(payload []byte) (offset int64, data []byte, err error) {
	if len(payload) < 8 {
		return 0, nil, fmt.Errorf("%w: output of %d bytes", ErrProtocol, len(payload))
	}
	return int64(binary.BigEndian.Uint64(payload)), payload[8:], nil
}

// Frame makes a whole frame. v is nil for none, []byte for bytes, or anything
// that JSON can hold. It panics on a v that is too large: callers bound theirs.
func Frame(t Type, v any) []byte {
	var payload []byte
	switch v := v.(type) {
	case nil:
	case []byte:
		payload = v
	default:
		var err error
		if payload, err = json.Marshal(v); err != nil {
			panic("wire: " + err.Error())
		}
	}
	if len(payload) > MaxPayload {
		panic(fmt.Sprintf("wire: frame of %d bytes", len(payload)))
	}
	b := make([]byte, HeaderLen, HeaderLen+len(payload))
	Head(b, t, len(payload))
	return append(b, payload...)
}

// Reader reads the hello and then frames, into buffers of its own.
type Reader struct {
	r    *bufio.Reader
	head [HeaderLen]byte
	buf  []byte
}

// NewReader makes a Reader, which may read ahead of what it has returned.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, 4096)} }

// Hello reads the other side's first line. It fails on a version that is not
// ours, naming both.
func (r *Reader) Hello() error {
	var line []byte
	for len(line) == 0 || line[len(line)-1] != '\n' {
		if len(line) == maxHello {
			return fmt.Errorf("%w: hello longer than %d bytes", ErrProtocol, maxHello)
		}
		b, err := r.r.ReadByte()
		if err != nil {
			return fmt.Errorf("reading hello: %w", err)
		}
		line = append(line, b)
	}
	if bytes.Equal(line, Hello()) {
		return nil
	}
	var v int
	if n, _ := fmt.Sscanf(string(line), "AaaU %d\n", &v); n == 1 {
		return fmt.Errorf("%w: the other side speaks version %d, this one %d", ErrProtocol, v, Version)
	}
	return fmt.Errorf("%w: not an AaaU peer", ErrProtocol)
}

// Next returns the next frame. The payload is valid until the next call. At the
// end of the stream the error is io.EOF, or io.ErrUnexpectedEOF within a frame.
func (r *Reader) Next() (Type, []byte, error) {
	if _, err := io.ReadFull(r.r, r.head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(r.head[:])
	if n > MaxPayload {
		return 0, nil, fmt.Errorf("%w: frame of %d bytes, at most %d", ErrProtocol, n, MaxPayload)
	}
	if int(n) > cap(r.buf) {
		r.buf = make([]byte, max(int(n), 4096))
	}
	payload := r.buf[:n]
	if _, err := io.ReadFull(r.r, payload); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return Type(r.head[4]), payload, nil
}

// Decode reads a JSON payload into v, strictly.
func Decode(payload []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(payload))
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if d.More() {
		return fmt.Errorf("%w: more than one JSON value", ErrProtocol)
	}
	return nil
}
