package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

func TestAsciicast(t *testing.T) {
	dir, c := t.TempDir(), noon()
	s := open(t, dir, Options{now: c.now})
	ch := session(t, s, "s1")
	add(t, ch, every()[0])
	put(t, ch, Stdout, "héllo\x1b[1m \"x\"\r\n")
	c.t = c.t.Add(1500 * time.Millisecond)
	put(t, ch, Stdout, "\xff!")
	c.t = c.t.Add(-time.Hour)
	add(t, ch, Record{Source: Human, User: "operator", Metadata: Resize{Person: &who, Rows: 30, Cols: 100}})
	ok(t, ch.Miss(Stdout, 7, "it was gone"))
	put(t, ch, Stdout, "end")
	ok(t, s.Close())
	var b bytes.Buffer
	ok(t, Asciicast(&b, Read(dir, "s1"), time.Unix(1795608000, 0).Add(90*time.Second)))
	var header struct {
		Version, Width, Height int
		Timestamp              int64
		Duration               float64
		Command, Title         string
	}
	d := json.NewDecoder(&b)
	ok(t, d.Decode(&header))
	if header.Version != 2 || header.Width != 80 || header.Height != 24 || header.Timestamp != 1795608000 || header.Duration < 89 || header.Duration > 90 || header.Command != "claude --x '\ufffd\n'" || header.Title != "project" {
		t.Errorf("%+v", header)
	}
	var got []string
	at := 0.0
	for d.More() {
		var e []any
		ok(t, d.Decode(&e))
		if e[0].(float64) < at {
			t.Errorf("%v goes back", e)
		}
		at = e[0].(float64)
		got = append(got, fmt.Sprintf("%.1f %s %q", e...))
	}
	want := []string{`0.0 o "héllo\x1b[1m \"x\"\r\n"`, `1.5 o "�!"`, `1.5 r "100x30"`, `1.5 m "7 bytes of output are not in the record"`, `1.5 o "end"`}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}

func TestText(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	ch := session(t, s, "s1")
	for _, p := range []string{
		"$ l\bls \x1b[1m-l\x1b[0m\x1b]0;title\a\r\n", "10 %\r100 %\r\n", "\x1b[2J\x1b[Htop\x1b[3;1Hmid\x1b[4Cdle\x1b(B\n",
		"\x1bP+q\x1b\\after\x1b", "[31m red \xff\r\n", "\x1b]52;c;abc\x1b[1mnot lost\n", "ü漢\b!\u009b\n", "\n", "rest",
	} {
		put(t, ch, Stdout, p)
	}
	ok(t, ch.Miss(Stdout, 1, "it was gone"))
	put(t, ch, Stdout, "text\x1b]0;ti")
	ok(t, ch.Miss(Stdout, 1000, "it was gone"))
	put(t, ch, Stdout, "goes on\n")
	ok(t, s.Close())
	var b bytes.Buffer
	ok(t, Text(&b, Read(dir, "s1")))
	want := "$ ls -l\n10 %\n100 %\ntop\nmid dle\nafter red \ufffd\nnot lost\nü!\n\nrest\n" +
		"[1 bytes of output are not in the record]\ntext\n[1000 bytes of output are not in the record]\ngoes on\n"
	if got := b.String(); got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
}

// A damaged record is exported as far as it goes, and its being so is told.
func TestExportDamaged(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	ch := session(t, s, "s1")
	put(t, ch, Stdout, "one\n")
	put(t, ch, Stdout, "two\n")
	ok(t, s.Close())
	name := path(t, dir, "s1")
	text := contents(t, name)
	ok(t, os.WriteFile(name, []byte("x\n"+text+"{torn"), 0o640))
	var b bytes.Buffer
	var bad *BadLine
	if err := Text(&b, Read(dir, "s1")); !errors.As(err, &bad) || bad.Line != 1 || bad.Torn || b.String() != "["+bad.Mark()+"]\none\ntwo\n" {
		t.Errorf("%q %v", b.String(), err)
	}
	b.Reset()
	if err := JSONL(&b, Read(dir, "s1")); !errors.As(err, &bad) || !strings.HasSuffix(b.String(), "}\n"+text) || strings.Count(b.String(), `"command_type":"broken"`) != 1 {
		t.Errorf("%q %v", b.String(), err)
	}
}

func TestSearch(t *testing.T) {
	dir, c := t.TempDir(), noon()
	s := open(t, dir, Options{now: c.now, SegmentSize: 2000})
	add(t, s.Bridge(), Record{Source: Human, User: "outsider", SessionID: "", Content: "no member", Metadata: Denied{Person: who}})
	add(t, s.Bridge(), Record{Source: Human, User: "observer", SessionID: "s1", Content: "no needle", Metadata: Denied{Person: who}})
	one := session(t, s, "s1")
	add(t, one, every()[0], NewInput("operator", who, []byte("find nee\r")))
	put(t, one, Stdout, "the nee\x1b[1m")
	put(t, one, Stderr, "else\n")
	put(t, one, Stdout, "dle is\r\nhere\n")
	c.t = c.t.AddDate(0, 0, 5)
	late := c.t
	put(t, one, Stdout, "needle without end")
	two := session(t, s, "s2")
	put(t, two, Stdout, "a needle\nand a needle\n")
	ok(t, s.Close())
	find := func(q Query, want ...string) {
		t.Helper()
		var got []string
		for m, err := range Search(dir, q) {
			ok(t, err)
			got = append(got, fmt.Sprintf("%s %s: %s", m.SessionID, m.Kind, m.Text))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%+v finds %q\nwant %q", q, got, want)
		}
	}
	find(Query{Text: "needle"}, "s1 denied: no needle", "s1 output: the needle is", "s1 output: needle without end", "s2 output: a needle", "s2 output: and a needle")
	find(Query{Text: "needle", Session: "s2"}, "s2 output: a needle", "s2 output: and a needle")
	find(Query{Text: "needle", To: late}, "s1 denied: no needle", "s1 output: the needle is")
	find(Query{Text: "needle", From: late, Session: "s1"}, "s1 output: needle without end")
	find(Query{Text: "needle", User: "observer"}, "s1 denied: no needle")
	find(Query{Kinds: []Kind{KindInput, KindDenied}}, " denied: no member", "s1 denied: no needle", "s1 input: find nee\r")
	find(Query{Text: "4711", Kinds: []Kind{KindInput}}, "s1 input: find nee\r")
	find(Query{Session: "s3"})
	for range Search(dir, Query{}) { // it can be left
		break
	}
}

// The text of what terminals are told is text, whatever it is.
func FuzzPlain(f *testing.F) {
	f.Add([]byte("a\x1b[1mb\x1b]0;x\x1b\\\bc\r\nd"))
	f.Fuzz(func(t *testing.T, p []byte) {
		var whole, pieces []string
		var one, many plain
		one.feed(p, func(l []byte) { whole = append(whole, string(l)) })
		one.rest(func(l []byte) { whole = append(whole, string(l)) })
		for i := range p {
			many.feed(p[i:i+1], func(l []byte) { pieces = append(pieces, string(l)) })
		}
		many.rest(func(l []byte) { pieces = append(pieces, string(l)) })
		if !slices.Equal(whole, pieces) {
			t.Fatalf("%q, in pieces %q", whole, pieces)
		}
		for _, l := range whole {
			if s := string(readable([]byte(l))); strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) {
				t.Fatalf("%q", s)
			}
		}
	})
}
