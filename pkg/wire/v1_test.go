package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// frame1 is a frame of a version 1 client.
func frame1(payload string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(payload)))) + payload
}

// line1 is a request as a test's table has it.
func line1(r OpenRequest) string {
	if r.Attach != "" {
		return "join " + r.Attach
	}
	return strings.TrimSpace(fmt.Sprintf("%dx%d %q", r.Rows, r.Cols, []string(r.Argv)))
}

var lines1 = []struct{ line, want string }{
	{"SESSION:abc123", "join abc123"},
	{"SESSION: a b", "join  a b"},
	{"SESSION:../../etc", "join ../../etc"},
	{"SESSION:a:b\x1b\xff", "join a:b\x1b\xff"},
	{"SESSION:NEW", "join NEW"},

	{"NEW", "24x80 []"},
	{"NEWxyz", "24x80 []"},
	{"NEW:", "24x80 []"},
	{"NEW 10 20", "24x80 []"},
	{"NEW_JSON", "24x80 []"},
	{"NEWER:sh:1:2", "24x80 []"},
	{"NEW:33:101", "33x101 []"},
	{"NEW::33:101", "33x101 []"},
	{"NEW:0:80", "24x80 []"}, // a size that cannot be is the usual one
	{"NEW:24:-1", "24x80 []"},
	{"NEW:65536:80", "24x80 []"},
	{"NEW:65535:65535", "65535x65535 []"},
	{"NEW:sh:0:0", `24x80 ["sh"]`},
	{"NEW:sh", `24x80 ["sh"]`},
	{"NEW:sh:33:101", `33x101 ["sh"]`},
	{"NEW:sh:7:33:101", `33x101 ["sh" "7"]`},
	{"NEW:sh:-c:id:33:101", `33x101 ["sh" "-c" "id"]`},
	{"NEW:sh:-c:id", `24x80 ["sh" "-c" "id"]`},
	{"NEW:sh:-c:33:x", `24x80 ["sh" "-c" "33" "x"]`},
	{"NEW:sh:x:33", `24x80 ["sh" "x" "33"]`},
	{"NEW:prog:arg", `24x80 ["prog" "arg"]`},
	{"NEW:sh:-c:echo a b; exit 3:5:6", `5x6 ["sh" "-c" "echo a b; exit 3"]`},
	{"NEW:caf\xe9:1:2", `1x2 ["caf\xe9"]`},

	{`NEW_JSON:{"program":"sh","args":["-c","id"],"rows":33,"cols":101}`, `33x101 ["sh" "-c" "id"]`},
	{`NEW_JSON:{"cols":101,"rows":33,"args":[],"program":"a:b"}`, `33x101 ["a:b"]`},
	{`NEW_JSON: { "x" : [ { } , null ] , "program" : "sh" , "args" : [ "" ] , "rows" : 1 , "cols" : 2 , "y" : 1e99 } `, `1x2 ["sh" ""]`},
	{`NEW_JSON:{"program":"sh","args":[],"rows":0,"cols":70000}`, `24x80 ["sh"]`},
	{`NEW_JSON:{"Program":7,"PROGRAM":null,"program":"sh","args":[],"rows":1,"cols":2}`, `1x2 ["sh"]`},
	{`NEW_JSON:{"program":"/bin/\u00e4","args":["<&>","\n"],"rows":1,"cols":2}`, `1x2 ["/bin/ä" "<&>" "\n"]`},
}

// TestLines1: what a version 1 client begins with, however it ends and arrives,
// with its first frames right behind it or none.
func TestLines1(t *testing.T) {
	for _, c := range lines1 {
		for _, form := range []string{"%s\n", "%s\r\n", " \t%s \n", "%s"} {
			line := fmt.Sprintf(form, c.line)
			after, want := "", []frame(nil)
			if strings.HasSuffix(line, "\n") {
				after = frame1("\x01RESIZE:5,6") + frame1("hi\n")
				want = []frame{{Resize, `{"rows":5,"cols":6}`}, {Input, "hi\n"}}
			}
			for name, arrive := range arrivals {
				r := NewReader(arrive(line + after))
				o, err := r.Opening()
				if err != nil || o.Version != 1 || o.Features != 0 || line1(o.Request) != c.want {
					t.Errorf("%q %s: %s of version %d, %v", line, name, line1(o.Request), o.Version, err)
					continue
				}
				got, err := all(r.Version1().Next)
				if err != io.EOF || !slices.Equal(got, want) {
					t.Errorf("%q %s: then %q, %v", line, name, got, err)
				}
			}
		}
	}
}

// read1 is what comes of a version 1 client after its line.
func read1(t *testing.T, in io.Reader) ([]frame, error) {
	t.Helper()
	r := NewReader(in)
	if _, err := r.Opening(); err != nil {
		t.Fatal(err)
	}
	return all(r.Version1().Next)
}

// TestRequest1: a version 1 client gives nothing along, and asks for nothing else.
func TestRequest1(t *testing.T) {
	for _, c := range lines1 {
		o, err := NewReader(strings.NewReader(c.line)).Opening()
		if err != nil {
			t.Fatal(err)
		}
		r := o.Request
		r.Attach, r.Argv, r.Size = "", nil, Size{}
		if b, _ := json.Marshal(r); string(b) != `{"rows":0,"cols":0}` {
			t.Errorf("%q asks for %s", c.line, b)
		}
	}
}

func TestLineRefusals1(t *testing.T) {
	const handshake = "Invalid handshake. Use SESSION:id or NEW"
	const object = "NEW_JSON payload must be a JSON object"
	const missing = "Missing or invalid JSON field: "
	const nul = "a NUL byte in the program or its arguments"
	deep := strings.Repeat("[", 30000)
	for line, want := range map[string]string{
		"SESSION: ":          "Session  not found",
		"":                   handshake,
		"   ":                handshake,
		"hello":              handshake,
		"new:24:80":          handshake,
		"SESSION":            handshake,
		"AaaU":               handshake,
		"GET / HTTP/1.1":     handshake,
		"\x00\x00\x00\x05hi": handshake,
		"NEW:sh\x00:1:2":     nul,

		"NEW_JSON:":            object,
		"NEW_JSON:{":           object,
		"NEW_JSON:null":        object,
		"NEW_JSON:[]":          object,
		`NEW_JSON:"x"`:         object,
		"NEW_JSON:7":           object,
		"NEW_JSON:" + deep:     object,
		"NEW_JSON:{}x":         object,
		"NEW_JSON:{}}":         object,
		`NEW_JSON:{"program":`: object,

		`NEW_JSON:{}`:                                                        missing + "program",
		`NEW_JSON:{"args":[],"rows":1,"cols":2}`:                             missing + "program",
		`NEW_JSON:{"program":7,"args":[],"rows":1,"cols":2}`:                 missing + "program",
		`NEW_JSON:{"program":null,"args":[],"rows":1,"cols":2}`:              missing + "program",
		`NEW_JSON:{"program":"a\u0000b","args":[],"rows":1,"cols":2}`:        nul,
		`NEW_JSON:{"program":["sh"],"args":[],"rows":1,"cols":2}`:            missing + "program",
		`NEW_JSON:{"program":{"base64":"c2g="},"args":[],"rows":1,"cols":2}`: missing + "program",
		`NEW_JSON:{"program":"sh","rows":1,"cols":2}`:                        missing + "args",
		`NEW_JSON:{"program":"sh","args":null,"rows":1,"cols":2}`:            missing + "args",
		`NEW_JSON:{"program":"sh","args":"-c","rows":1,"cols":2}`:            missing + "args",
		`NEW_JSON:{"program":"sh","args":{},"rows":1,"cols":2}`:              missing + "args",
		`NEW_JSON:{"program":"sh","args":[1],"rows":1,"cols":2}`:             missing + "args",
		`NEW_JSON:{"program":"sh","args":[null],"rows":1,"cols":2}`:          missing + "args",
		`NEW_JSON:{"program":"sh","args":["a\u0000"],"rows":1,"cols":2}`:     nul,
		`NEW_JSON:{"program":"sh","args":[` + deep:                           object,
		`NEW_JSON:{"program":"sh","args":[],"cols":2}`:                       missing + "rows",
		`NEW_JSON:{"program":"sh","args":[],"rows":null,"cols":2}`:           missing + "rows",
		`NEW_JSON:{"program":"sh","args":[],"rows":"1","cols":2}`:            missing + "rows",
		`NEW_JSON:{"program":"sh","args":[],"rows":1.5,"cols":2}`:            missing + "rows",
		`NEW_JSON:{"program":"sh","args":[],"rows":true,"cols":2}`:           missing + "rows",
		`NEW_JSON:{"program":"sh","args":[],"rows":1}`:                       missing + "cols",
		`NEW_JSON:{"program":"sh","args":[],"rows":1,"cols":[]}`:             missing + "cols",
	} {
		for _, end := range []string{"\n", "\r\n", ""} {
			if line+end == "" {
				continue // nothing at all is nobody
			}
			o, err := NewReader(iotest.OneByteReader(strings.NewReader(line + end))).Opening()
			var note *ErrorNote
			if !errors.As(err, &note) || o.Version != 1 || note.Message != want || note.Code == "" {
				t.Errorf("%.60q: %d, %v, want %q", line+end, o.Version, err, want)
				continue
			}
			if got := string(NewEncoder1(o.Request).Error(*note)); got != want+"\n" {
				t.Errorf("%.60q is answered %q", line+end, got)
			}
		}
	}
	if o, err := NewReader(strings.NewReader("")).Opening(); err == nil {
		t.Errorf("of nothing: %+v", o)
	}
	if o, err := NewReader(io.MultiReader(strings.NewReader("NE"), iotest.ErrReader(errReadOn))).Opening(); !errors.Is(err, errReadOn) {
		t.Errorf("of a broken connection: %+v, %v", o, err)
	}
}

// TestLongLines1: a line may be long, as programs' arguments are, but has an end.
func TestLongLines1(t *testing.T) {
	for n, ok := range map[int]bool{64: true, 65: true, 4096: true, 65536: true, 65537: false, 1 << 20: false} {
		for _, form := range []string{"NEW:sh:%s", `NEW_JSON:{"program":"sh","args":["%s"],"rows":24,"cols":80}`} {
			arg := strings.Repeat("x", n-len(form)+len("%s"))
			line := fmt.Sprintf(form, arg) + "\n"
			for name, arrive := range arrivals {
				r := NewReader(arrive(line + frame1("x")))
				o, err := r.Opening()
				if (err == nil) != ok || !ok && !errors.Is(err, ErrProtocol) || o.Version != 1 || ok && (len(o.Request.Argv) != 2 || o.Request.Argv[1] != arg) {
					t.Errorf("%d bytes, %s: %v", n, name, err)
				}
				if !ok {
					continue
				}
				if got, err := all(r.Version1().Next); err != io.EOF || !slices.Equal(got, []frame{{Input, "x"}}) {
					t.Errorf("%d bytes, %s: then %q, %v", n, name, got, err)
				}
			}
		}
	}
	// It is refused when it is too long, not when it ends.
	o, err := NewReader(io.MultiReader(strings.NewReader(strings.Repeat("NEW:", 1<<15)), iotest.ErrReader(errReadOn))).Opening()
	if !errors.Is(err, ErrProtocol) || o.Version != 1 {
		t.Errorf("without an end: version %d, %v", o.Version, err)
	}
}

// TestMessages1: a payload is a message only if it is exactly one. Everything
// else is typed, so that no key is lost.
func TestMessages1(t *testing.T) {
	for in, want := range map[string]frame{
		"\x01RESIZE:33,101":      {Resize, `{"rows":33,"cols":101}`},
		"\x01RESIZE:1,1":         {Resize, `{"rows":1,"cols":1}`},
		"\x01RESIZE:65535,65535": {Resize, `{"rows":65535,"cols":65535}`},
		"\x01PING":               {Ping, ""},
		"\x01GET_STATUS":         {Ask, `status`},
		"\x01FORCE_KILL":         {Ask, `kill`},
	} {
		for name, arrive := range arrivals {
			got, err := read1(t, arrive("NEW\n"+frame1(in)+frame1(in)))
			if err != io.EOF || len(got) != 2 || got[0].typ != want.typ || got[1].typ != want.typ {
				t.Errorf("%q %s: %q, %v", in, name, got, err)
				continue
			}
			var size Size
			var req Request
			switch want.typ {
			case Resize:
				err = Decode([]byte(got[0].payload), &size)
				b, _ := json.Marshal(size)
				if err != nil || string(b) != want.payload {
					t.Errorf("%q: %q, %v", in, got[0].payload, err)
				}
			case Ask:
				err = Decode([]byte(got[0].payload), &req)
				if err != nil || req.Seq != 1 || string(req.Do) != want.payload || req.Session != "" || req.Signal != 0 {
					t.Errorf("%q: %+v, %v", in, req, err)
				}
				if err := Decode([]byte(got[1].payload), &req); err != nil || req.Seq != 2 {
					t.Errorf("%q again: %+v, %v", in, req, err)
				}
			case Ping:
				if len(got[0].payload) > MaxPing {
					t.Errorf("%q: %q", in, got[0].payload)
				}
			}
		}
	}
	for _, in := range []string{
		"\x01", "\x01\x01", "a", "\x00", "\x04", "\r\n", "PING", "\x01ping", "\x01PIN", "\x01PINGx", "\x01PING\n", "\x01PING\x00", "x\x01PING",
		"\x01PING\x01PING", "\x01GET_STATUS ", "\x01GET_STATUSES", "\x01FORCE_KILL:9", "\x01FORCE_KILL\r", "\x01STATUS", "\x01PONG", "\x01ERROR:x",
		"\x01RESIZE", "\x01RESIZE:", "\x01RESIZE:x", "\x01RESIZE:,", "\x01RESIZE:1", "\x01RESIZE:1,", "\x01RESIZE:,1", "\x01RESIZE:1,2,3",
		"\x01RESIZE:1,2\n", "\x01RESIZE:a,b", "\x01RESIZE:1.5,2", "\x01RESIZE:0x10,2", "\x01RESIZE:1;2", "\x01RESIZE 1,2", "\x01RESIZE:1e1,2",
		"\x01RESIZE:" + strings.Repeat("9", 400), "\x01" + strings.Repeat("PING", 500), "\xff\xfe", "SESSION:x\n", "AaaU 2\n",
	} {
		for name, arrive := range arrivals {
			got, err := read1(t, arrive("NEW\n"+frame1(in)+frame1("\x01PING")))
			if err != io.EOF || len(got) < 2 || got[len(got)-1].typ != Ping {
				t.Errorf("%.40q %s: %.80q, %v", in, name, got, err)
				continue
			}
			if typed(t, got[:len(got)-1]) != in {
				t.Errorf("%.40q %s became %.80q", in, name, got)
			}
		}
	}
}

// typed is what arrives of frames that are all input, and not empty.
func typed(t *testing.T, frames []frame) string {
	t.Helper()
	var in strings.Builder
	for _, f := range frames {
		if f.typ != Input || len(f.payload) == 0 || len(f.payload) > MaxPayload {
			t.Errorf("%#x of %d bytes among the input", f.typ, len(f.payload))
		}
		in.WriteString(f.payload)
	}
	return in.String()
}

// TestFrames1: a frame may be larger than any buffer here, and says so in advance.
func TestFrames1(t *testing.T) {
	big := strings.Repeat("0123456789\x01PING\xff\x00\n", 1_000_000/18+1)
	lengths := []int{0, 1, 5, 255, 4095, 4096, 4097, MaxPayload - 1, MaxPayload, MaxPayload + 1, 2 * MaxPayload, 999_999, 1_000_000, 0, 2}
	for _, begin := range []string{"", "\x01", "\x01PING", "\x01RESIZE:1,2", "\x01RESIZE:1,"} {
		var in, want strings.Builder
		for _, n := range lengths {
			payload := (begin + big)[:n]
			if slices.Contains([]string{"\x01PING", "\x01RESIZE:1,2"}, payload) {
				continue
			}
			in.WriteString(frame1(payload))
			want.WriteString(payload)
		}
		for name, arrive := range arrivals {
			if name == "byte by byte" && begin != "\x01PING" {
				continue // five million reads are enough once
			}
			got, err := read1(t, arrive("NEW\n"+in.String()))
			if err != io.EOF || typed(t, got) != want.String() {
				t.Errorf("beginning %q %s: %d of %d bytes, %v", begin, name, len(typed(t, got)), want.Len(), err)
			}
		}
	}
}

// TestPieces1: the end of a large input is no message, wherever it was cut.
func TestPieces1(t *testing.T) {
	for n := range 40 {
		for _, size := range []int{64, 512, 4096, 32 << 10, MaxPayload} {
			in := strings.Repeat("x", size-20+n) + "\x01FORCE_KILL"
			frames, err := read1(t, strings.NewReader("NEW\n"+frame1(in)))
			if got := typed(t, frames); err != io.EOF || got != in {
				t.Errorf("%d bytes of %d arrived, %v", len(got), len(in), err)
			}
		}
	}
}

func TestFrameRefusals1(t *testing.T) {
	for name, in := range map[string]struct {
		bytes string
		want  error
	}{
		"nothing":          {"", io.EOF},
		"one too long":     {"\x00\x0f\x42\x41", ErrProtocol},
		"far too long":     {"\xff\xff\xff\xff", ErrProtocol},
		"negative":         {"\x80\x00\x00\x00", ErrProtocol},
		"cut in the head":  {"\x00\x00", io.ErrUnexpectedEOF},
		"cut after it":     {"\x00\x00\x00\x05", io.ErrUnexpectedEOF},
		"cut in payload":   {"\x00\x00\x00\x05\x01PI", io.ErrUnexpectedEOF},
		"cut in a message": {"\x00\x00\x00\x06\x01PING", io.ErrUnexpectedEOF},
		"cut in a large":   {"\x00\x0f\x42\x40" + strings.Repeat("x", 500_000), io.ErrUnexpectedEOF},
	} {
		for how, arrive := range arrivals {
			got, err := read1(t, arrive("NEW\n"+in.bytes))
			if typed(t, got); !errors.Is(err, in.want) {
				t.Errorf("%s, %s: %v, want %v", name, how, err, in.want)
			}
		}
	}
}

// TestPrompt1: what has arrived is not held back for what has not.
func TestPrompt1(t *testing.T) {
	in := io.MultiReader(strings.NewReader("NEW\n"+frame1("ls\n")+frame1("\x01PING")), iotest.ErrReader(errReadOn))
	if got, err := read1(t, in); !errors.Is(err, errReadOn) || !slices.Equal(got, []frame{{Input, "ls\n"}, {Ping, ""}}) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestClaims1: a client has to send what it wants to be held for it, and not even
// then more than a piece at a time.
func TestClaims1(t *testing.T) {
	for name, in := range map[string]string{
		"a long line":  strings.Repeat("NEW:", 1<<18),
		"a length":     "NEW\n\x00\x0f\x42\x40x",
		"a long input": "NEW\n" + frame1(strings.Repeat("x", 1_000_000)),
		"many inputs":  "NEW\n" + strings.Repeat(frame1("x"), 200_000),
	} {
		n := allocated(func() {
			r := NewReader(strings.NewReader(in))
			if _, err := r.Opening(); err == nil {
				drain(r.Version1().Next)
			}
		})
		if n > 8*MaxPayload {
			t.Errorf("%d bytes for %s", n, name)
		}
	}
}
