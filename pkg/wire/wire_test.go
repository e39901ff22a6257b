package wire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/AgentaaU/AaaU/pkg/spec"
)

func TestFrameRoundTrip(t *testing.T) {
	in := append(Hello(), Frame(Input, []byte("a\x01\x00\xff"))...)
	in = append(in, Frame(Open, OpenRequest{Session: spec.Session{Argv: []string{"sh", "-c", "exit 7"}, Size: Size{Rows: 24, Cols: 80}}})...)
	in = append(in, Frame(Detach, nil)...)
	for name, r := range map[string]io.Reader{"at once": bytes.NewReader(in), "byte by byte": iotest.OneByteReader(bytes.NewReader(in))} {
		t.Run(name, func(t *testing.T) {
			f := NewReader(r)
			if _, err := f.Hello(); err != nil {
				t.Fatal(err)
			}
			typ, p, err := f.Next()
			if err != nil || typ != Input || string(p) != "a\x01\x00\xff" {
				t.Fatalf("got %v %q %v", typ, p, err)
			}
			typ, p, err = f.Next()
			var req OpenRequest
			if err != nil || typ != Open || Decode(p, &req) != nil || req.Argv[2] != "exit 7" || req.Cols != 80 {
				t.Fatalf("got %v %q %v", typ, p, err)
			}
			if typ, p, err = f.Next(); err != nil || typ != Detach || len(p) != 0 {
				t.Fatalf("got %v %q %v", typ, p, err)
			}
			if _, _, err = f.Next(); err != io.EOF {
				t.Fatalf("at the end: %v", err)
			}
		})
	}
}

func TestOutput(t *testing.T) {
	head := make([]byte, OutputHeadLen)
	OutputHead(head, Output, 1<<40+7, 3)
	typ, p, err := NewReader(bytes.NewReader(append(head, "abc"...))).Next()
	if err != nil || typ != Output {
		t.Fatal(typ, err)
	}
	if off, data, err := ParseOutput(p); err != nil || off != 1<<40+7 || string(data) != "abc" {
		t.Fatal(off, data, err)
	}
	if _, _, err := ParseOutput(p[:7]); !errors.Is(err, ErrProtocol) {
		t.Fatal(err)
	}
}

func TestHelloRefusals(t *testing.T) {
	for in, want := range map[string]string{
		"AaaU 3\n":                      "speaks version 3, this one 2",
		"GET / HTTP/1.1\r\n":            "not an AaaU peer",
		strings.Repeat("x", 100) + "\n": "longer than",
		"AaaU 2":                        "EOF",
		"":                              "EOF",
	} {
		if _, err := NewReader(strings.NewReader(in)).Hello(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}

func TestFrameRefusals(t *testing.T) {
	for name, in := range map[string]struct {
		bytes string
		want  error
	}{
		"too long":        {"\x00\x01\x00\x01\x02", ErrProtocol},
		"cut in the head": {"\x00\x00", io.ErrUnexpectedEOF},
		"cut after it":    {"\x00\x00\x00\x05\x02", io.ErrUnexpectedEOF},
		"cut in payload":  {"\x00\x00\x00\x05\x02ab", io.ErrUnexpectedEOF},
	} {
		if _, _, err := NewReader(strings.NewReader(in.bytes)).Next(); !errors.Is(err, in.want) {
			t.Errorf("%s: %v, want %v", name, err, in.want)
		}
	}
}

// FuzzReader: whatever a stranger sends, the reader ends with an error, and holds
// at most one frame.
func FuzzReader(f *testing.F) {
	f.Add(append(Hello(), Frame(Input, []byte("x"))...))
	f.Add([]byte("AaaU 2\n\xff\xff\xff\xff\x01"))
	f.Add(append(Hello(), Frame(Open, OpenRequest{Attach: "id"})...))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(bytes.NewReader(in))
		if _, err := r.Hello(); err != nil {
			return
		}
		for {
			typ, p, err := r.Next()
			if err != nil {
				return
			}
			if len(p) > MaxPayload || cap(r.buf) > MaxPayload {
				t.Fatalf("a payload of %d bytes in a buffer of %d", len(p), cap(r.buf))
			}
			if typ == Open {
				var req OpenRequest
				_ = Decode(p, &req)
			}
		}
	})
}
