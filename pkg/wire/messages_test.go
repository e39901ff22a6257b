package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/spec"
)

// messages is each message with the frames that carry it.
var messages = []struct {
	typ Type
	v   any
}{
	{Open, OpenRequest{}}, {Resize, Size{}}, {Ask, Request{}}, {Opened, OpenReply{}}, {Ended, EndedNote{}}, {Error, ErrorNote{}},
	{Lost, LostNote{}}, {Refused, ErrorNote{}}, {Answer, Reply{}}, {News, Event{}},
}

// fill puts something into every member there is, also one that will be added:
// any bytes where argv carries them, awkward text elsewhere.
func fill(v reflect.Value) {
	switch any(v.Interface()).(type) {
	case argv.String:
		v.SetString("/caf\xe9/\xff\n\"<")
		return
	case argv.Argv:
		v.Set(reflect.ValueOf(argv.Argv{"", "a b", "ä", "<&>", "\xff\xfe\x01", "\u2028"}))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0))
		fill(v.Index(1))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("a <b> & \"c\" \\ \n \x1b \u2028 ä 😀")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(1767225600.125)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1<<v.Type().Bits() - 1)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1<<(v.Type().Bits()-1) - 1)
	default:
		panic("a message with a " + v.Kind().String())
	}
}

func TestMessages(t *testing.T) {
	for _, m := range messages {
		full := reflect.New(reflect.TypeOf(m.v)).Elem()
		fill(full)
		for _, v := range []any{m.v, full.Interface()} {
			typ, p, err := NewClientReader(bytes.NewReader(Frame(m.typ, v))).Next()
			if err != nil || typ != m.typ {
				t.Fatal(typ, err)
			}
			got := reflect.New(reflect.TypeOf(m.v))
			err = Decode(p, got.Interface())
			if _, ok := m.v.(Reply); err != nil || !ok && !reflect.DeepEqual(got.Elem().Interface(), v) {
				t.Errorf("%#x: %s became %+v, %v", typ, p, got.Elem(), err)
			}
			// JSON of JSON is equal, also where there is a list or none.
			if again := Frame(m.typ, got.Elem().Interface()); !bytes.Equal(again[HeaderLen:], p) {
				t.Errorf("%#x: %s\n became %s", typ, p, again[HeaderLen:])
			}
		}
	}
}

func TestDecode(t *testing.T) {
	var req OpenRequest
	if err := Decode([]byte(` {"attach":"x","later":{"a":[1,{"b":null}]},"rows":3} `), &req); err != nil || req.Attach != "x" || req.Rows != 3 {
		t.Errorf("what is not known: %+v, %v", req, err)
	}
	for _, in := range []string{
		"", " ", "{", `{}{}`, `{} x`, "{}}", "{} ]", "{},", "nul", `[]`, `"x"`, `7`, "\x00", "{}\x00", `{"rows":-1}`, `{"rows":65536}`, `{"rows":1.5}`, `{"rows":"1"}`,
		`{"argv":"sh"}`, `{"argv":["a\u0000"]}`, `{"cwd":{"base64":"AA=="}}`, `{"dirs":[7]}`, strings.Repeat("[", MaxPayload),
		`{"dirs":` + strings.Repeat(`[`, MaxPayload-10), strings.Repeat(`{"a":`, MaxPayload/5),
	} {
		var req OpenRequest
		// Nor is it the end of the stream, of which nobody would be told.
		if err := Decode([]byte(in), &req); !errors.Is(err, ErrProtocol) || errors.Is(err, io.EOF) {
			t.Errorf("%.40q: %v", in, err)
		}
	}
}

// TestExactArgv: the bytes of arguments and names are not text.
func TestExactArgv(t *testing.T) {
	var every []byte
	for b := 1; b < 256; b++ {
		every = append(every, byte(b))
	}
	want := argv.Argv{"caf\xe9", string(every), "", "\xed\xa0\x80", "<>&"}
	_, p, err := NewReader(bytes.NewReader(Frame(Open, OpenRequest{Session: spec.Session{Argv: want, Cwd: "/\xff"}}))).Next()
	var got OpenRequest
	if err != nil || Decode(p, &got) != nil || !slices.Equal(got.Argv, want) || got.Cwd != "/\xff" {
		t.Errorf("%q, %v", got.Argv, err)
	}
}

// TestFrameDoesNotGrow: text for people is as long in a frame as it is, so that
// a bound on it bounds the frame.
func TestFrameDoesNotGrow(t *testing.T) {
	text := strings.Repeat("<>&", 1000)
	if n := len(Frame(Refused, ErrorNote{Message: text})); n > len(text)+100 {
		t.Errorf("%d bytes of %d", n, len(text))
	}
	f := Frame(News, Event{Title: "ls <a> & b"})
	if !strings.Contains(string(f), "ls <a> & b") || !json.Valid(f[HeaderLen:]) {
		t.Errorf("%q", f)
	}
}

// TestFrameLimit: what is too large for any frame is a fault of the caller's.
func TestFrameLimit(t *testing.T) {
	for n, panics := range map[int]bool{MaxPayload: false, MaxReply: false, MaxReply + 1: true} {
		func() {
			defer func() {
				if (recover() != nil) != panics {
					t.Errorf("%d bytes: panics: %v", n, !panics)
				}
			}()
			Frame(Answer, make([]byte, n))
		}()
	}
}
