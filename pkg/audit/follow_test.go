package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// Where a record was forged each export that has room for it says so, and all return an error.
func TestMarks(t *testing.T) {
	dir, all := small(t)
	name := path(t, dir, "s1")
	var text []string
	for _, e := range all {
		text = append(text, string(e.Raw))
	}
	const i = 5 // output
	with := func(drop int, new ...string) []string {
		return append(append(append([]string{}, text[:i]...), new...), text[i+drop:]...)
	}
	for _, c := range []struct {
		what  string
		lines []string
		why   string // empty: the record is whole
	}{
		{"nothing", text, ""},
		{"an edit", with(1, strings.Replace(text[i], "output", "forged", 1)), "its hash is not that of what it says"},
		{"a rehashed edit", with(1, forge(all[i], all[i].Seq, all[i].Prev)), "the next one has another hash of it"},
		{"a deletion", with(1), "record 5 is followed by record 7"},
		{"a swap", with(2, text[i+1], text[i]), "record 5 is followed by record 7"},
		{"a copy", with(0, text[i-1]), "record 5 is followed by record 5"},
		{"nonsense", with(0, "{}"), "is no record, and left out"},
		{"an edit of the first", append([]string{strings.Replace(text[0], `"timestamp":1`, `"timestamp":2`, 1)}, text[1:]...), "record 1 was changed"},
	} {
		ok(t, os.WriteFile(name, []byte(strings.Join(c.lines, "\n")+"\n"), 0o640))
		for format, export := range map[string]func(*bytes.Buffer) error{
			"text":      func(b *bytes.Buffer) error { return Text(b, Read(dir, "s1")) },
			"jsonl":     func(b *bytes.Buffer) error { return JSONL(b, Read(dir, "s1")) },
			"asciicast": func(b *bytes.Buffer) error { return Asciicast(b, Read(dir, "s1"), time.Time{}) },
			"raw":       func(b *bytes.Buffer) error { return Raw(b, Read(dir, "s1"), Stdout) },
		} {
			var b bytes.Buffer
			err := export(&b)
			var bad *BadLine
			if errors.As(err, &bad) != (c.why != "") || err != nil && !strings.Contains(bad.Mark(), c.why) {
				t.Errorf("%s as %s: %v", c.what, format, err)
			}
			if got := strings.Contains(b.String(), c.why); c.why != "" && got != (format != "raw") {
				t.Errorf("%s as %s: %s", c.what, format, b.String())
			}
			if format == "jsonl" {
				for line := range strings.Lines(b.String()) {
					if !json.Valid([]byte(line)) {
						t.Errorf("%s: %s", c.what, line)
					}
				}
			}
			if format == "asciicast" && c.why != "" && (!strings.Contains(b.String(), `"m", "`) || !strings.Contains(b.String(), `"o", "\r\n[`)) {
				t.Errorf("%s: no marker and line: %s", c.what, b.String())
			}
		}
		marks := 0
		for _, err := range Search(dir, Query{Text: "no record has this"}) {
			var bad *BadLine
			if !errors.As(err, &bad) || bad.Chain != "s1" {
				t.Errorf("%s: a search says %v", c.what, err)
			}
			marks++
		}
		if marks == 0 == (c.why != "") {
			t.Errorf("%s: a search has %d marks", c.what, marks)
		}
	}
}

// Nothing is believed of a session whose start was changed: not whose it is.
func TestChangedStart(t *testing.T) {
	dir, all := small(t)
	if start, _, err := Start(dir, "s1"); err != nil || start == nil {
		t.Fatalf("%v %v", start, err)
	}
	text := contents(t, path(t, dir, "s1"))
	changed := strings.Replace(string(all[0].Raw), `"timestamp":1`, `"timestamp":2`, 1)
	ok(t, os.WriteFile(path(t, dir, "s1"), []byte(strings.Replace(text, string(all[0].Raw), changed, 1)), 0o640))
	if start, _, err := Start(dir, "s1"); err != nil || start != nil {
		t.Errorf("%v %v", start, err)
	}
}
