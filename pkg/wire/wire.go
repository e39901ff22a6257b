// Package wire is the protocol between clients and the bridge: one stream
// socket, a hello line each way, then frames each way.
//
//	client                                bridge
//	  │── "AaaU 2 FEATURES\n" ─────────────▶│
//	  │── Request{seq, do} ─────────────────▶│   any number of them
//	  │◀──────────── "AaaU 2 FEATURES\n" ───│
//	  │◀────── Reply{seq} or Refused{seq} ───│   one for each
//	  │◀──────── Piece{seq} … Reply{seq} ────│   of those that look back
//	  │── Open{new | attach}, directories ──▶│   once, to be in a session
//	  │◀───────── Opened{id, role, offset} ──│   or Error{code, message}, and close
//	  │── Input, Resize, Request, Detach ───▶│
//	  │◀────────────── Output{offset, bytes} │
//	  │◀───────────────────── Event{kind} ───│
//	  │◀──────────────────── Ended{status} ──│   and close
//
// A frame is the length of its payload as a big-endian uint32, a type byte, and
// the payload. Input is bytes and nothing but bytes; Output is the session's
// offset of its first byte as a big-endian uint64, then bytes; a Piece likewise
// begins with its request's number, a uint32; every other payload is a JSON object. So nothing that a person types or an agent prints
// can be taken for control. An unknown type with the Optional bit set is
// skipped; any other is an error. Descriptors (SCM_RIGHTS, unix(7)) go with an
// Open, one for each of its directories, and with the request to Put a file.
//
// The first version, which the bridge speaks to clients that begin with its
// handshake, is in v1.go: its messages become the frames above, and answers are
// put into its words by an Encoder.
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
	"strconv"
	"strings"
)

const (
	// DefaultSocket is where aaau.socket listens.
	DefaultSocket = "/run/aaau/server.sock"
	// Version is the version of the protocol, both sides' first line.
	Version = 2
	// MaxPayload bounds a frame of a client's, and of output.
	MaxPayload = 64 << 10
	// MaxReply bounds any other frame of the bridge's.
	MaxReply = 256 << 10
	// HeaderLen is the length of a frame's head: u32 length, u8 type.
	HeaderLen = 5
	// OutputHeadLen is the length of all that stands before an Output's bytes.
	OutputHeadLen = HeaderLen + 8
	// MaxPiece is the most that goes into a Piece, in bytes: MaxPayload with its seq.
	MaxPiece = MaxPayload - 4
	// maxHello bounds the first line, without its end.
	maxHello = 63
)

// Features are what a side can do beyond the plain protocol, a bit each. A side
// that lacks one is never sent what belongs to it; bits that are not known mean
// nothing.
type Features uint64

// The features.
const (
	Requests Features = 1 << iota // Request, Reply, Event, Ping
	Pipes                         // sessions without a terminal: EndInput, Errors
	Put                           // files to sessions
	Screens                       // Redraw
	Records                       // looking back: replay, export, search, and Piece
	Words                         // Overlay
	Redraws                       // the request redraw
)

// Ours is what this side can do.
const Ours = Requests | Pipes | Put | Screens | Records | Words | Redraws

// Type says what a frame is.
type Type byte

// Frames from the client.
const (
	Open     Type = 0x01 // OpenRequest
	Input    Type = 0x02 // bytes for the program
	Resize   Type = 0x03 // Size
	EndInput Type = 0x04 // no payload: no more input, in a session with pipes
	Detach   Type = 0x05 // no payload: the client leaves, the session stays
	Ask      Type = 0x06 // Request: whatever is to be answered
	Ping     Type = 0x07 // at most MaxPing bytes
)

// Frames from the bridge.
const (
	Opened  Type = 0x41 // OpenReply
	Output  Type = 0x42 // offset, bytes from the terminal or the standard output
	Ended   Type = 0x43 // EndedNote; the bridge closes after it
	Error   Type = 0x44 // ErrorNote; the bridge closes after it
	Lost    Type = 0x45 // LostNote: output that this client was too slow for
	Refused Type = 0x46 // ErrorNote: one request was not done; all else goes on
	Answer  Type = 0x47 // Reply to a Request
	Pong    Type = 0x48 // the bytes of a Ping
	Errors  Type = 0x49 // offset, bytes from the standard error of a session with pipes
	// Redraw is an offset, and bytes that make the client's terminal show the session's
	// screen: output goes on at the offset. -1: it does not, and there is more of this.
	Redraw Type = 0x4A
	Piece  Type = 0x4B // seq, bytes: a part of what a request is answered with, before the Answer
	// Overlay is the length of what follows first, as a uint32; bytes that show words of the
	// bridge's own on the client's terminal; and bytes that make the terminal what it was
	// before. The client writes the latter before anything else that it writes.
	Overlay Type = 0x4C
	News    Type = 0xC8 // Event
)

// Optional marks a type that a peer which does not know it may skip.
const Optional Type = 0x80

// MaxPing bounds what a Ping carries, in bytes.
const MaxPing = 64

// ErrProtocol is wrapped by every complaint about what a peer sent.
var ErrProtocol = errors.New("protocol error")

// Hello is the first line, either way.
func Hello() []byte { return fmt.Appendf(nil, "%s%d %x\n", hello, Version, uint64(Ours)) }

// hello is what every version of this protocol but the first begins with.
const hello = "AaaU "

// Head writes a frame's head into b[:HeaderLen].
func Head(b []byte, t Type, payload int) {
	binary.BigEndian.PutUint32(b, uint32(payload))
	b[4] = byte(t)
}

// OutputHead writes all that stands before n bytes at offset into
// b[:OutputHeadLen]; t is Output or Errors.
func OutputHead(b []byte, t Type, offset int64, n int) {
	Head(b, t, 8+n)
	binary.BigEndian.PutUint64(b[HeaderLen:], uint64(offset))
}

// ParseOutput takes an Output's payload apart.
func ParseOutput(payload []byte) (offset int64, data []byte, err error) {
	if len(payload) < 8 {
		return 0, nil, fmt.Errorf("%w: output of %d bytes", ErrProtocol, len(payload))
	}
	return int64(binary.BigEndian.Uint64(payload)), payload[8:], nil
}

// ParsePiece takes a Piece's payload apart.
func ParsePiece(payload []byte) (seq uint32, data []byte, err error) {
	if len(payload) < 4 {
		return 0, nil, fmt.Errorf("%w: a piece of %d bytes", ErrProtocol, len(payload))
	}
	return binary.BigEndian.Uint32(payload), payload[4:], nil
}

// ParseOverlay takes an Overlay's payload apart.
func ParseOverlay(payload []byte) (show, restore []byte, err error) {
	if len(payload) < 4 {
		return nil, nil, fmt.Errorf("%w: an overlay of %d bytes", ErrProtocol, len(payload))
	}
	n, rest := binary.BigEndian.Uint32(payload), payload[4:]
	if int64(n) > int64(len(rest)) {
		return nil, nil, fmt.Errorf("%w: an overlay of %d bytes, of which %d are to be shown", ErrProtocol, len(payload), n)
	}
	return rest[:n], rest[n:], nil
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
		payload = encode(v)
	}
	if len(payload) > MaxReply {
		panic(fmt.Sprintf("wire: frame of %d bytes", len(payload)))
	}
	b := make([]byte, HeaderLen, HeaderLen+len(payload))
	Head(b, t, len(payload))
	return append(b, payload...)
}

// encode is json.Marshal without what it does for browsers: text is never much
// longer than it was.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("wire: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Reader reads the hello and then frames, into buffers of its own.
type Reader struct {
	r     *bufio.Reader
	limit int
	head  [HeaderLen]byte
	buf   []byte
}

// NewReader makes a Reader of what a client sends, which may read ahead of what it
// has returned.
func NewReader(r io.Reader) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 4096), limit: MaxPayload}
}

// NewClientReader makes one of what the bridge sends.
func NewClientReader(r io.Reader) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 4096), limit: MaxReply}
}

// Hello reads the other side's first line and says what it can do. It fails on a
// version that is not ours, naming both.
func (r *Reader) Hello() (Features, error) {
	line, err := r.line(maxHello, false)
	if err != nil {
		return 0, err
	}
	return parseHello(line)
}

// line reads up to the end of a line, or where that will do, of the input.
func (r *Reader) line(most int, orEnd bool) (string, error) {
	var line []byte
	for {
		b, err := r.r.ReadByte()
		switch {
		case err == io.EOF && orEnd && len(line) > 0:
			return string(line), nil
		case err != nil:
			return "", fmt.Errorf("reading hello: %w", err)
		case b == '\n':
			return string(line), nil
		case len(line) == most:
			return "", fmt.Errorf("%w: first line longer than %d bytes", ErrProtocol, most)
		}
		line = append(line, b)
	}
}

func parseHello(line string) (Features, error) {
	rest, ok := strings.CutPrefix(line, hello)
	number, bits, _ := strings.Cut(rest, " ")
	v, err := strconv.ParseUint(number, 10, 31)
	switch {
	case !ok || err != nil:
		return 0, fmt.Errorf("%w: not an AaaU peer", ErrProtocol)
	case v != Version:
		return 0, fmt.Errorf("%w: the other side speaks version %d, this one %d", ErrProtocol, v, Version)
	}
	bits, _, _ = strings.Cut(bits, " ") // what a newer side may say beyond
	features, err := strconv.ParseUint(bits, 16, 64)
	if bits != "" && err != nil {
		return 0, fmt.Errorf("%w: features %.40q", ErrProtocol, bits)
	}
	return Features(features), nil
}

// Next returns the next frame. The payload is valid until the next call. At the
// end of the stream the error is io.EOF, or io.ErrUnexpectedEOF within a frame.
func (r *Reader) Next() (Type, []byte, error) {
	if _, err := io.ReadFull(r.r, r.head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(r.head[:])
	t, limit := Type(r.head[4]), r.limit
	if t == Output || t == Errors || t == Piece {
		limit = MaxPayload
	}
	if int64(n) > int64(limit) {
		return 0, nil, fmt.Errorf("%w: frame of %d bytes, at most %d", ErrProtocol, n, limit)
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
	return t, payload, nil
}

// Decode reads a JSON payload, and nothing beside it, into v.
func Decode(payload []byte, v any) error {
	if err := json.Unmarshal(payload, v); err != nil {
		return fmt.Errorf("%w: %.200v", ErrProtocol, err)
	}
	return nil
}
