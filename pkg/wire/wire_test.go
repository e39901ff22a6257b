package wire

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// errReadOn is what comes of reading further than one has to.
var errReadOn = errors.New("read on")

// arrivals are the ways in which bytes arrive.
var arrivals = map[string]func(string) io.Reader{
	"at once":          func(s string) io.Reader { return strings.NewReader(s) },
	"byte by byte":     func(s string) io.Reader { return iotest.OneByteReader(strings.NewReader(s)) },
	"half by half":     func(s string) io.Reader { return iotest.HalfReader(strings.NewReader(s)) },
	"all with the end": func(s string) io.Reader { return iotest.DataErrReader(strings.NewReader(s)) },
}

type frame struct {
	typ     Type
	payload string
}

// all reads frames until there is an error.
func all(next func() (Type, []byte, error)) (got []frame, err error) {
	for {
		typ, p, err := next()
		if err != nil {
			return got, err
		}
		got = append(got, frame{typ, string(p)})
	}
}

// drain is all without keeping any.
func drain(next func() (Type, []byte, error)) {
	for {
		if _, _, err := next(); err != nil {
			return
		}
	}
}

// allocated says how many bytes f has asked the heap for.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestHello(t *testing.T) {
	long := "AaaU 2 7 " + strings.Repeat("x", 54) + "\n"
	for in, want := range map[string]Features{
		"AaaU 2\n":                    0,
		"AaaU 2 0\n":                  0,
		"AaaU 2 1\n":                  Requests,
		"AaaU 2 7\n":                  Requests | Pipes | Put,
		"AaaU 2 00000006\n":           Pipes | Put,
		"AaaU 2 f0\n":                 0xf0, // unknown bits mean nothing
		"AaaU 2 ffffffffffffffff\n":   1<<64 - 1,
		"AaaU 2 3 \n":                 3, // what follows is for later
		"AaaU 2 3 words and = more\n": 3,
		long:                          7, // 64 bytes with its end
		string(Hello()):               Ours,
	} {
		for name, arrive := range arrivals {
			// The frames come in the same bytes; more than them is not waited for.
			r := NewReader(io.MultiReader(arrive(in+"\x00\x00\x00\x02\x02hi\x00\x00\x00\x00\x05"), iotest.ErrReader(errReadOn)))
			got, err := r.Hello()
			if err != nil || got != want {
				t.Errorf("%q %s: %x, %v", in, name, got, err)
				continue
			}
			if frames, err := all(r.Next); err != errReadOn || !slices.Equal(frames, []frame{{Input, "hi"}, {Detach, ""}}) {
				t.Errorf("%q %s: %q, %v", in, name, frames, err)
			}
			if o, err := NewReader(arrive(in)).Opening(); err != nil || o.Version != 2 || o.Features != want {
				t.Errorf("%q %s: %+v, %v", in, name, o, err)
			}
		}
	}
	if len(Hello()) > 64 {
		t.Errorf("%q", Hello())
	}
}

func TestHelloRefusals(t *testing.T) {
	for in, want := range map[string]string{
		"AaaU 3\n":                      "speaks version 3, this one 2",
		"AaaU 3 7 and more\n":           "speaks version 3, this one 2",
		"AaaU 1\n":                      "speaks version 1, this one 2",
		"AaaU 20\n":                     "speaks version 20, this one 2",
		"GET / HTTP/1.1\r\n":            "not an AaaU peer",
		"aaau 2 7\n":                    "not an AaaU peer",
		"AaaU2\n":                       "not an AaaU peer",
		"AaaU  2\n":                     "",
		"AaaU \n":                       "",
		"AaaU -2\n":                     "",
		"AaaU two\n":                    "",
		"AaaU 2 x\n":                    "",
		"AaaU 2 -1\n":                   "",
		"AaaU 2 0x7\n":                  "",
		"AaaU 2\x007\n":                 "",
		"AaaU 2,7\n":                    "",
		"\n":                            "",
		strings.Repeat("x", 100) + "\n": "longer than",
		"AaaU 2 7 " + strings.Repeat("x", 55) + "\n": "longer than",
		// What has no end is refused when it is too long, not waited for.
		"AaaU 2 7 " + strings.Repeat("x", 64) + "…": "longer than",
	} {
		for name, arrive := range arrivals {
			_, err := NewReader(io.MultiReader(arrive(in), iotest.ErrReader(errReadOn))).Hello()
			if !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), want) {
				t.Errorf("%q %s: %v, want %q", in, name, err, want)
			}
			if !strings.HasPrefix(in, "AaaU ") {
				continue
			}
			// Who begins so is told in a frame what is wrong, whatever comes after it.
			var note *ErrorNote
			o, err := NewReader(io.MultiReader(arrive(in), iotest.ErrReader(errReadOn))).Opening()
			if !errors.Is(err, ErrProtocol) || errors.As(err, &note) || o.Version == 1 {
				t.Errorf("%q %s: %+v, %v", in, name, o, err)
			}
		}
	}
	for _, in := range []string{"", "A", "AaaU ", "AaaU 2", "AaaU 2 7"} {
		if _, err := NewReader(strings.NewReader(in)).Hello(); !errors.Is(err, io.EOF) {
			t.Errorf("cut: %q: %v", in, err)
		}
	}
	for _, in := range []string{"", "AaaU ", "AaaU 2", "AaaU 2 7"} {
		if o, err := NewReader(strings.NewReader(in)).Opening(); !errors.Is(err, io.EOF) || o.Version != 2 {
			t.Errorf("cut: %q: %+v, %v", in, o, err)
		}
	}
}

// TestFrames: payloads of every length go through, one after another, up to the
// limit, which is larger for what the bridge sends.
func TestFrames(t *testing.T) {
	payload := strings.Repeat("0123456789abcdef\x00\x01\n\xff", MaxReply/20+1)
	for _, side := range []struct {
		of   string
		make func(io.Reader) *Reader
		typ  Type
		max  int
	}{
		{"a client's", NewReader, Input, MaxPayload},
		{"the bridge's", NewClientReader, Answer, MaxReply},
		{"the bridge's output", NewClientReader, Output, MaxPayload},
		{"the bridge's errors", NewClientReader, Errors, MaxPayload},
	} {
		var in strings.Builder
		var want []frame
		for _, n := range []int{0, 1, 4, 5, 6, 4090, 4091, 4092, 4096, MaxPayload - 6, MaxPayload - 5, MaxPayload - 1, MaxPayload, side.max - 1, side.max, 3, side.max, 0} {
			head := make([]byte, HeaderLen)
			Head(head, side.typ, n)
			in.WriteString(string(head) + payload[:n])
			want = append(want, frame{side.typ, payload[:n]})
		}
		for name, arrive := range arrivals {
			got, err := all(side.make(arrive(in.String())).Next)
			if err != io.EOF || !slices.Equal(got, want) {
				t.Errorf("%s %s: %d of %d frames, %v", side.of, name, len(got), len(want), err)
			}
		}
		head := make([]byte, HeaderLen)
		Head(head, side.typ, side.max+1)
		if _, _, err := side.make(strings.NewReader(string(head) + payload)).Next(); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: one more: %v", side.of, err)
		}
	}
}

// TestUnknownTypes: they come through, for the caller to skip or to refuse.
func TestUnknownTypes(t *testing.T) {
	for n := range 256 {
		typ := Type(n)
		got, err := all(NewReader(strings.NewReader(string(Frame(typ, []byte("x"))) + string(Frame(Input, []byte("y"))))).Next)
		if err != io.EOF || !slices.Equal(got, []frame{{typ, "x"}, {Input, "y"}}) {
			t.Fatalf("%#x: %q, %v", n, got, err)
		}
		if (got[0].typ&Optional != 0) != (n >= 0x80) {
			t.Errorf("%#x: optional?", n)
		}
	}
}

func TestFrameRefusals(t *testing.T) {
	for name, in := range map[string]struct {
		bytes string
		want  error
	}{
		"nothing":         {"", io.EOF},
		"too long":        {"\x00\x01\x00\x01\x02", ErrProtocol},
		"far too long":    {"\xff\xff\xff\xff\x02", ErrProtocol},
		"cut in the head": {"\x00\x00", io.ErrUnexpectedEOF},
		"cut in length 0": {"\x00\x00\x00\x00", io.ErrUnexpectedEOF},
		"cut after it":    {"\x00\x00\x00\x05\x02", io.ErrUnexpectedEOF},
		"cut in payload":  {"\x00\x00\x00\x05\x02ab", io.ErrUnexpectedEOF},
	} {
		for how, arrive := range arrivals {
			if _, _, err := NewReader(arrive(in.bytes)).Next(); !errors.Is(err, in.want) {
				t.Errorf("%s, %s: %v, want %v", name, how, err, in.want)
			}
		}
	}
	// A failure of the connection is told from its end.
	for _, in := range []string{"", "\x00", "\x00\x00\x00\x05\x02ab"} {
		if _, _, err := NewReader(io.MultiReader(strings.NewReader(in), iotest.ErrReader(errReadOn))).Next(); !errors.Is(err, errReadOn) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestOutput(t *testing.T) {
	for _, offset := range []int64{0, 255, 1<<40 + 7, 1<<63 - 1} {
		for _, typ := range []Type{Output, Errors} {
			head := make([]byte, OutputHeadLen)
			OutputHead(head, typ, offset, 3)
			got, p, err := NewClientReader(bytes.NewReader(append(head, "abc"...))).Next()
			if err != nil || got != typ {
				t.Fatal(got, err)
			}
			if off, data, err := ParseOutput(p); err != nil || off != offset || string(data) != "abc" {
				t.Fatal(off, data, err)
			}
		}
	}
	if _, data, err := ParseOutput(make([]byte, 8)); err != nil || len(data) != 0 {
		t.Errorf("no bytes: %q, %v", data, err)
	}
	for _, p := range []string{"", "\x00\x00\x00\x00\x00\x00\x00"} {
		if off, _, err := ParseOutput([]byte(p)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q: %d, %v", p, off, err)
		}
	}
}

// TestClaims: a client has to send what it wants to be held for it.
func TestClaims(t *testing.T) {
	if n := allocated(func() { _, _, _ = NewReader(strings.NewReader("\xff\xff\xff\xff\x02")).Next() }); n > 2*MaxPayload {
		t.Errorf("%d bytes for a length", n)
	}
	in := strings.Repeat(string(Frame(Input, make([]byte, MaxPayload))), 100)
	if n := allocated(func() { drain(NewReader(strings.NewReader(in)).Next) }); n > 4*MaxPayload {
		t.Errorf("%d bytes for 100 frames", n)
	}
}
