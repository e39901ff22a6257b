package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/AgentaaU/AaaU/pkg/spec"
)

// Version 1 is the protocol of the first AaaU. Its client sends one line, which
// says what session it wants, and then frames: the length of the payload as a
// big-endian uint32, and the payload, which is input unless it is one of four
// messages that begin with 0x01. What it gets is one line, and then the session's
// output as it is, with answers that begin with 0x01 between.

const (
	maxLine1    = 64 << 10  // bytes of the first line
	maxPayload1 = 1_000_000 // bytes of a frame's payload
	maxMessage1 = 64        // bytes of a message; what is longer is input
	pieces1     = 32 << 10  // bytes of input that are handed on at a time
)

// Opening is what a client begins with: a version, and for the first one all that
// it asks for.
type Opening struct {
	Version  int
	Features Features
	Request  OpenRequest // of a version 1 client
}

// Opening reads the first line of a client of either version. What a version 1 client
// asks wrongly is a *ErrorNote in the words of its version, beside an Opening of it.
func (r *Reader) Opening() (Opening, error) {
	// Byte by byte: the shortest line of version 1 is shorter than the hello's start.
	for n, same := 1, true; same; n++ {
		start, err := r.r.Peek(n)
		switch {
		case string(start) == hello:
			features, err := r.Hello()
			return Opening{Version: Version, Features: features}, err
		case err != nil && (err != io.EOF || len(start) == 0):
			return Opening{Version: Version}, fmt.Errorf("reading hello: %w", err)
		}
		same = err == nil && strings.HasPrefix(hello, string(start)) // its end ends a line of version 1
	}
	o := Opening{Version: 1}
	line, err := r.line(maxLine1, true)
	if err == nil {
		o.Request, err = parseLine1(strings.TrimFunc(line, unicode.IsSpace))
		if slices.ContainsFunc(o.Request.Argv, func(s string) bool { return strings.Contains(s, "\x00") }) {
			err = note1("malformed", "a NUL byte in the program or its arguments")
		}
	}
	return o, err
}

func parseLine1(line string) (OpenRequest, error) {
	req := OpenRequest{Session: spec.Session{Size: Size{Rows: 24, Cols: 80}}}
	switch {
	case strings.HasPrefix(line, "SESSION:"):
		req.Size = Size{} // it has not said
		if req.Attach = line[len("SESSION:"):]; req.Attach == "" {
			return req, note1("no-session", "Session  not found")
		}
	case strings.HasPrefix(line, "NEW_JSON:"):
		return parseJSON1(req, line[len("NEW_JSON:"):])
	case strings.HasPrefix(line, "NEW:"):
		words := strings.Split(line[len("NEW:"):], ":")
		if n := len(words); n >= 2 {
			rows, err1 := strconv.Atoi(words[n-2])
			cols, err2 := strconv.Atoi(words[n-1])
			if err1 == nil && err2 == nil {
				req.Size, words = size1(rows, cols), words[:n-2]
			}
		}
		if len(words) > 0 && words[0] != "" {
			req.Argv = words
		}
	case strings.HasPrefix(line, "NEW"):
	default:
		return req, note1("protocol", "Invalid handshake. Use SESSION:id or NEW")
	}
	return req, nil
}

// parseJSON1 takes any order of keys, and any others beside the four.
func parseJSON1(req OpenRequest, text string) (OpenRequest, error) {
	var fields map[string]json.RawMessage
	if err := Decode([]byte(text), &fields); err != nil || fields == nil {
		return req, note1("malformed", "NEW_JSON payload must be a JSON object")
	}
	var program string
	var args []*string // null is none
	var rows, cols int
	for _, f := range []struct {
		key  string
		into any
	}{{"program", &program}, {"args", &args}, {"rows", &rows}, {"cols", &cols}} {
		if raw, ok := fields[f.key]; !ok || string(raw) == "null" || json.Unmarshal(raw, f.into) != nil || slices.Contains(args, nil) {
			return req, note1("malformed", "Missing or invalid JSON field: "+f.key)
		}
	}
	req.Argv, req.Size = []string{program}, size1(rows, cols)
	for _, a := range args {
		req.Argv = append(req.Argv, *a)
	}
	return req, nil
}

// size1 is a size of the usual kind for one that cannot be.
func size1(rows, cols int) Size {
	if rows < 1 || rows > 0xffff || cols < 1 || cols > 0xffff {
		return Size{Rows: 24, Cols: 80}
	}
	return Size{Rows: uint16(rows), Cols: uint16(cols)}
}

func note1(code, text string) error { return &ErrorNote{Code: code, Message: text} }

// Frames1 reads what a version 1 client sends after its line, as the frames that
// version 2 has for it.
type Frames1 struct {
	r    *Reader
	left int // of an input that is being handed on
	buf  []byte
	seq  uint32
}

// Version1 goes on after Opening; the Reader is not to be used any more.
func (r *Reader) Version1() *Frames1 { return &Frames1{r: r, buf: make([]byte, pieces1)} }

// Next returns the next frame, as Reader's does.
func (f *Frames1) Next() (Type, []byte, error) {
	for f.left == 0 {
		if _, err := io.ReadFull(f.r.r, f.r.head[:4]); err != nil {
			return 0, nil, err
		}
		n := binary.BigEndian.Uint32(f.r.head[:4])
		if n > maxPayload1 {
			return 0, nil, fmt.Errorf("%w: frame of %d bytes, at most %d", ErrProtocol, n, maxPayload1)
		}
		f.left = int(n)
		if n == 0 || n > maxMessage1 {
			continue
		}
		p, err := f.piece()
		if err != nil {
			return 0, nil, err
		}
		if t, payload, ok := f.message(p); ok {
			return t, payload, nil
		}
		return Input, p, nil
	}
	p, err := f.piece()
	return Input, p, err
}

// piece reads as much of the payload as goes at a time.
func (f *Frames1) piece() ([]byte, error) {
	p := f.buf[:min(f.left, len(f.buf))]
	if _, err := io.ReadFull(f.r.r, p); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	f.left -= len(p)
	return p, nil
}

// message says what a payload means that is exactly one of the known messages. Any
// other one that begins with 0x01 is a typed Ctrl-A, and what follows it.
func (f *Frames1) message(p []byte) (Type, []byte, bool) {
	text, ok := bytes.CutPrefix(p, []byte{1})
	if !ok {
		return 0, nil, false
	}
	var v any
	t := Ask
	switch string(text) {
	case "PING":
		return Ping, nil, true
	case "GET_STATUS":
		v = Request{Seq: f.next(), Do: DoStatus}
	case "FORCE_KILL":
		v = Request{Seq: f.next(), Do: DoKill}
	default:
		rest, ok := strings.CutPrefix(string(text), "RESIZE:")
		rows, cols, _ := strings.Cut(rest, ",")
		r, err1 := strconv.ParseUint(rows, 10, 16)
		c, err2 := strconv.ParseUint(cols, 10, 16)
		if !ok || err1 != nil || err2 != nil {
			return 0, nil, false
		}
		t, v = Resize, Size{Rows: uint16(r), Cols: uint16(c)}
	}
	return t, Frame(t, v)[HeaderLen:], true
}

func (f *Frames1) next() uint32 { f.seq++; return f.seq }
