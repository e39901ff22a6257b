package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// MaxLine is how long a record can be, in bytes with its newline. Readers refuse what
// is longer.
const MaxLine = 1 << 20

// A record is one line of this form, without any other space:
//
//	{"timestamp":S.UUUUUU,"source":"…","user":"…","session_id":"…","command_type":"…",
//	 "content":"…","metadata":{…},"seq":N,"prev":"64 hex digits","hash":"64 hex digits"}
//
// prev is the hash of the record before, 64 zeros for the first. hash is the SHA-256
// of the line's own bytes without its newline and without `,"hash":"…"`: of
//
//	{"timestamp": … ,"prev":"64 hex digits"}
const (
	fieldTime    = `{"timestamp":`
	fieldSource  = `,"source":"`
	fieldUser    = `,"user":"`
	fieldSession = `,"session_id":"`
	fieldKind    = `,"command_type":"`
	fieldContent = `,"content":"`
	fieldMeta    = `,"metadata":`
	fieldSeq     = `,"seq":`
	fieldPrev    = `,"prev":"`
	fieldHash    = `,"hash":"`
)

// Digest is a SHA-256. In JSON it is its lower-case hex digits.
type Digest [sha256.Size]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(b []byte) error {
	if len(b) != 2*len(d) || bytes.ContainsAny(b, "ABCDEF") {
		return errors.New("not a SHA-256 in lower-case hex digits")
	}
	_, err := hex.Decode(d[:], b)
	return err
}

// Head is a chain's last record. All that a chain needs to go on is this, and Offsets.
type Head struct {
	Seq  uint64
	Hash Digest
}

// begin appends a line up to its content.
func begin(b []byte, at time.Time, source Source, user, session string, kind Kind) []byte {
	us := stamp(at)
	b = append(b, fieldTime...)
	b = strconv.AppendInt(b, us/1e6, 10)
	frac := us%1e6 + 1e6 // six digits after a 1
	at6 := len(b)
	b = strconv.AppendInt(b, frac, 10)
	b[at6] = '.'
	b = append(b, fieldSource[:len(fieldSource)-1]...)
	b = appendString(b, string(source))
	b = append(b, fieldUser[:len(fieldUser)-1]...)
	b = appendString(b, user)
	b = append(b, fieldSession[:len(fieldSession)-1]...)
	b = appendString(b, session)
	b = append(b, fieldKind[:len(fieldKind)-1]...)
	b = appendString(b, string(kind))
	return append(b, fieldContent[:len(fieldContent)-1]...)
}

// seal appends the rest of the line that begins at start, after its metadata, and
// moves h on to it.
func (h *Head) seal(b []byte, start int) []byte {
	prev := h.Hash
	h.Seq++
	b = append(b, fieldSeq...)
	b = strconv.AppendUint(b, h.Seq, 10)
	b = append(b, fieldPrev...)
	b = hex.AppendEncode(b, prev[:])
	b = append(b, `"}`...)
	h.Hash = sha256.Sum256(b[start:])
	b = append(b[:len(b)-1], fieldHash...)
	b = hex.AppendEncode(b, h.Hash[:])
	return append(b, "\"}\n"...)
}

// appendMetadata appends m as JSON.
func appendMetadata(b []byte, m Metadata) ([]byte, error) {
	var w bytes.Buffer
	e := json.NewEncoder(&w)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		return nil, fmt.Errorf("encoding a record's metadata: %w", err)
	}
	return appendSafe(b, bytes.TrimSuffix(w.Bytes(), []byte("\n"))), nil
}

// appendRecord appends the record after h, and moves h on to it.
func (h *Head) appendRecord(b []byte, at time.Time, r Record) ([]byte, error) {
	start := len(b)
	line := begin(b, at, r.Source, r.User, r.SessionID, r.Metadata.Kind())
	line = appendString(line, r.Content)
	line, err := appendMetadata(append(line, fieldMeta...), r.Metadata)
	if err != nil {
		return b, err
	}
	if len(line)-start > MaxLine-256 {
		return b, fmt.Errorf("a record of %d bytes: at most %d can be recorded", len(line)-start, MaxLine-256)
	}
	return h.seal(line, start), nil
}

// appendOutput appends a record of output after h. It allocates nothing.
func (h *Head) appendOutput(b []byte, at time.Time, user, session string, p []byte, text bool, stream Stream, offset int64) []byte {
	start := len(b)
	b = begin(b, at, Agent, user, session, KindOutput)
	b = append(b, '"')
	if text {
		b = appendEscaped(b, p)
	} else {
		b = base64.StdEncoding.AppendEncode(b, p)
	}
	b = append(b, `","metadata":{"stream":"`...)
	b = append(b, stream.String()...)
	b = append(b, `","offset":`...)
	b = strconv.AppendInt(b, offset, 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, int64(len(p)), 10)
	if !text {
		b = append(b, `,"encoding":"base64"`...)
	}
	return h.seal(append(b, '}'), start)
}

// Entry is a record that was read. Its slices are the reader's, and good until the
// next one is asked for.
type Entry struct {
	File string // where it stands
	Line int    // from 1

	Time      time.Time
	Source    Source
	User      string
	SessionID string
	Kind      Kind
	Seq       uint64
	Prev      Digest
	Hash      Digest
	Metadata  json.RawMessage
	Raw       []byte // the line, without its newline

	content []byte // as it stands in the line
	sum     Digest // what Hash should be
}

var errLine = errors.New("not a record")

// parse reads a line, which has lost its newline. It takes what is written here and
// nothing else, so that no two programs see two things in it.
func parse(line []byte) (*Entry, error) {
	e := &Entry{Raw: line}
	const tail = len(fieldPrev) + 64 + 1 + len(fieldHash) + 64 + len(`"}`)
	if len(line) < tail {
		return nil, errLine
	}
	// From the end what has a fixed length …
	rest := cursor{line[len(line)-tail:]}
	rest.skip(fieldPrev)
	rest.digest(&e.Prev)
	rest.skip(`"` + fieldHash)
	rest.digest(&e.Hash)
	rest.skip(`"}`)
	h := sha256.New()
	h.Write(line[:len(line)-len(`"}`)-64-len(fieldHash)])
	h.Write([]byte{'}'})
	h.Sum(e.sum[:0])
	// … and the rest from the beginning.
	c := cursor{line[:len(line)-tail]}
	c.skip(fieldTime)
	e.Time = c.time()
	c.skip(fieldSource)
	e.Source = Source(c.text())
	c.skip(fieldUser)
	e.User = c.text()
	c.skip(fieldSession)
	e.SessionID = c.text()
	c.skip(fieldKind)
	e.Kind = Kind(c.text())
	c.skip(fieldContent)
	e.content = c.inside()
	c.skip(fieldMeta)
	i := bytes.LastIndex(c.b, []byte(fieldSeq))
	if i < 0 || c.b == nil || rest.b == nil {
		return nil, errLine
	}
	e.Metadata, c.b = json.RawMessage(c.b[:i]), c.b[i+len(fieldSeq):]
	var err error
	e.Seq, err = strconv.ParseUint(string(c.b), 10, 64)
	if err != nil || string(c.b) != strconv.FormatUint(e.Seq, 10) || !bytes.HasPrefix(e.Metadata, []byte("{")) || !json.Valid(e.Metadata) {
		return nil, errLine
	}
	return e, nil
}

// cursor takes a line apart. b is nil once something was not as it should be.
type cursor struct{ b []byte }

func (c *cursor) skip(what string) {
	if c.b == nil || !bytes.HasPrefix(c.b, []byte(what)) {
		c.b = nil
		return
	}
	c.b = c.b[len(what):]
}

func (c *cursor) digest(d *Digest) {
	if len(c.b) < 64 || d.UnmarshalText(c.b[:64]) != nil {
		c.b = nil
		return
	}
	c.b = c.b[64:]
}

func (c *cursor) time() time.Time {
	whole, frac, ok := bytes.Cut(c.b[:min(len(c.b), 28)], []byte("."))
	if !ok || len(frac) < 6 {
		c.b = nil
		return time.Time{}
	}
	s, err := strconv.ParseInt(string(whole), 10, 64)
	us, err2 := strconv.ParseUint(string(frac[:6]), 10, 32)
	if err != nil || err2 != nil {
		c.b = nil
		return time.Time{}
	}
	c.b = c.b[len(whole)+7:]
	return time.Unix(s, int64(us)*1000)
}

// inside is the inside of the string whose quotation mark has just been skipped.
func (c *cursor) inside() []byte {
	for n := 0; ; {
		i := bytes.IndexByte(c.b[min(n, len(c.b)):], '"')
		if i < 0 {
			c.b = nil
			return nil
		}
		n += i
		slashes := 0
		for slashes < n && c.b[n-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			s := c.b[:n]
			c.b = c.b[n+1:]
			return s
		}
		n++
	}
}

func (c *cursor) text() string {
	in := c.inside()
	s, err := unescape(nil, in)
	if err != nil {
		c.b = nil
	}
	return string(s)
}

// Text is the content, as JSON has it.
func (e *Entry) Text() (string, error) {
	s, err := unescape(nil, e.content)
	return string(s), err
}

// Decode is the metadata, as a pointer to one of this package's types.
func (e *Entry) Decode() (Metadata, error) {
	m := newMetadata(e.Kind)
	if m == nil {
		return nil, fmt.Errorf("unknown kind %.40q", string(e.Kind))
	}
	d := json.NewDecoder(bytes.NewReader(e.Metadata))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return nil, fmt.Errorf("reading the metadata of %s: %w", e.Kind, err)
	}
	return m, nil
}

// Bytes are what was typed or written, exactly, of an Input or an Output, whose
// metadata m is.
func (e *Entry) Bytes(m Metadata) ([]byte, error) {
	encoding := ""
	switch m := m.(type) {
	case *Input:
		encoding = m.Encoding
	case *Output:
		encoding = m.Encoding
	}
	s, err := unescape(nil, e.content)
	if err != nil {
		return nil, err
	}
	return inexact(s, encoding)
}
