package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// FuzzReader: whatever a stranger sends of version 2, the reader ends with an error,
// holds at most one frame, and has returned exactly what was there.
func FuzzReader(f *testing.F) {
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(bytes.NewReader(in))
		o, err := r.Opening()
		if err != nil || o.Version != Version {
			return
		}
		rest := in[bytes.IndexByte(in, '\n')+1:]
		for {
			typ, p, err := r.Next()
			if err != nil {
				if len(rest) >= HeaderLen && binary.BigEndian.Uint32(rest) <= uint32(min(len(rest)-HeaderLen, MaxPayload)) {
					t.Fatalf("a whole frame, but %v", err)
				}
				return
			}
			if len(p) > MaxPayload || cap(r.buf) > MaxPayload {
				t.Fatalf("a payload of %d bytes in a buffer of %d", len(p), cap(r.buf))
			}
			head := make([]byte, HeaderLen)
			Head(head, typ, len(p))
			var ok bool
			if rest, ok = bytes.CutPrefix(rest, append(head, p...)); !ok {
				t.Fatalf("%#x %q was not sent", typ, p)
			}
			switch typ {
			case Open:
				again[OpenRequest](t, p)
			case Ask:
				again[Request](t, p)
			case Resize:
				again[Size](t, p)
			}
		}
	})
}

// again decodes a message, and what it is written as: that has to be the same one.
func again[T any](t *testing.T, p []byte) {
	var one, two T
	if Decode(p, &one) != nil {
		return
	}
	b, err := json.Marshal(one)
	if err != nil {
		t.Fatal(err)
	}
	if err := Decode(b, &two); err != nil {
		t.Fatalf("%q became %s: %v", p, b, err)
	}
	if c, _ := json.Marshal(two); !bytes.Equal(b, c) {
		t.Fatalf("%q became %s and then %s", p, b, c)
	}
}

// said1 is what the payloads of a version 1 client mean, in the plainest words:
// all that it types, and its messages where they are in it.
func said1(in []byte) (said, cut string) {
	resize := regexp.MustCompile(`\A\x01RESIZE:0*([0-9]{1,5}),0*([0-9]{1,5})\z`)
	for len(in) >= 4 {
		n := binary.BigEndian.Uint32(in)
		if n > 1_000_000 {
			return said, ""
		}
		if in = in[4:]; int(n) > len(in) {
			return said, string(in)
		}
		p := string(in[:n])
		in = in[n:]
		switch p {
		case "\x01PING":
			p = "<ping>"
		case "\x01GET_STATUS":
			p = "<status>"
		case "\x01FORCE_KILL":
			p = "<kill>"
		default:
			if m := resize.FindStringSubmatch(p); m != nil && len(p) <= maxMessage1 {
				rows, err1 := strconv.ParseUint(m[1], 10, 16)
				cols, err2 := strconv.ParseUint(m[2], 10, 16)
				if err1 == nil && err2 == nil {
					p = fmt.Sprintf("<%dx%d>", rows, cols)
				}
			}
		}
		said += p
	}
	return said, ""
}

// FuzzVersion1: whatever a stranger sends of version 1, the reader ends with an
// error, holds a piece of a payload at most, and takes nothing for a message but
// the messages.
func FuzzVersion1(f *testing.F) {
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(bytes.NewReader(in))
		o, err := r.Opening()
		if o.Version != 1 {
			return
		}
		if err != nil {
			line := string(NewEncoder1(o.Request).Error(ErrorNote{Code: "no-session", Message: err.Error()}))
			if strings.IndexByte(line, '\n') != len(line)-1 {
				t.Fatalf("answered %q", line)
			}
			return
		}
		if (o.Request.Attach == "") == (o.Request.Rows == 0 || o.Request.Cols == 0) {
			t.Fatalf("a session of %dx%d", o.Request.Rows, o.Request.Cols)
		}
		_, rest, _ := bytes.Cut(in, []byte("\n"))
		frames := r.Version1()
		var said strings.Builder
		for {
			typ, p, err := frames.Next()
			if err != nil {
				break
			}
			if len(p) > MaxPayload || cap(frames.buf) > MaxPayload || cap(r.buf) > 0 {
				t.Fatalf("a payload of %d bytes in buffers of %d and %d", len(p), cap(frames.buf), cap(r.buf))
			}
			var size Size
			var req Request
			switch typ {
			case Input:
				said.Write(p)
				continue
			case Ping:
				said.WriteString("<ping>")
				continue
			case Resize:
				err = Decode(p, &size)
				fmt.Fprintf(&said, "<%dx%d>", size.Rows, size.Cols)
			case Ask:
				err = Decode(p, &req)
				fmt.Fprintf(&said, "<%s>", req.Do)
			default:
				t.Fatalf("a frame of type %#x", typ)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		// Of a payload that was cut its beginning may have been handed on.
		want, cut := said1(rest)
		if got := said.String(); !strings.HasPrefix(got, want) || !strings.HasPrefix(want+cut, got) {
			t.Fatalf("%q, want %q, perhaps with some of %q", got, want, cut)
		}
	})
}

// FuzzArrival1: how the bytes of a version 1 client arrive makes no difference.
func FuzzArrival1(f *testing.F) {
	f.Fuzz(func(t *testing.T, in, cuts []byte) {
		one, two := NewReader(bytes.NewReader(in)), NewReader(&cutReader{in, cuts, 0})
		o1, err1 := one.Opening()
		o2, err2 := two.Opening()
		if fmt.Sprint(err1) != fmt.Sprint(err2) || !reflect.DeepEqual(o1, o2) {
			t.Fatalf("%+v, %v and in pieces %+v, %v", o1, err1, o2, err2)
		}
		if err1 != nil {
			return
		}
		next1, next2 := one.Next, two.Next
		if o1.Version == 1 {
			next1, next2 = one.Version1().Next, two.Version1().Next
		}
		all1, err1 := all(next1)
		all2, err2 := all(next2)
		if fmt.Sprint(err1) != fmt.Sprint(err2) || !reflect.DeepEqual(all1, all2) {
			t.Fatalf("%q, %v and in pieces %q, %v", all1, err1, all2, err2)
		}
	})
}

// cutReader reads in pieces of lengths that are said, over and over.
type cutReader struct {
	in, cuts []byte
	n        int
}

func (r *cutReader) Read(p []byte) (int, error) {
	if len(r.in) == 0 {
		return 0, io.EOF
	}
	most := len(r.in)
	if len(r.cuts) > 0 {
		most = 1 + int(r.cuts[r.n%len(r.cuts)])
		r.n++
	}
	n := copy(p, r.in[:min(most, len(r.in))])
	r.in = r.in[n:]
	return n, nil
}
