package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestRendering(t *testing.T) {
	start := `{"timestamp":1795608000.000001,"command_type":"session_start","content":"sh","metadata":{"rows":5,"cols":20}}`
	output := func(at float64, stream, text string) string {
		return fmt.Sprintf(`{"timestamp":%f,"command_type":"output","content":"%s","metadata":{"stream":"%s","encoding":"base64"}}`,
			1795608000+at, base64.StdEncoding.EncodeToString([]byte(text)), stream)
	}
	for _, test := range []struct {
		name    string
		screens bool
		records []string
		want    string
	}{
		{"text", false, []string{start, output(1, "output", "one\x1b[3;10Htwo\xff"), `{"timestamp":1,"command_type":"input","content":"x","metadata":{}}`}, "one\n\n         two\ufffd\n"},
		{"wrapped, and of another size", false, []string{start, output(1, "output", strings.Repeat("x", 30)+"\r\n"),
			`{"timestamp":1,"command_type":"resize","content":"","metadata":{"rows":5,"cols":40}}`, output(2, "output", strings.Repeat("y", 30))},
			strings.Repeat("x", 20) + "\n" + strings.Repeat("x", 10) + "\n" + strings.Repeat("y", 30) + "\n"},
		{"a hole", false, []string{start, output(1, "output", "one\r\n\r\n\r\n\r\n\r\n"), `{"timestamp":2,"command_type":"hole","content":"","metadata":{"stream":"output","bytes":7}}`, output(3, "output", "two")},
			"one\n[7 bytes of output are not in the record]\n\n\n\n\ntwo\n"},
		{"errors apart", false, []string{start, output(1, "errors", "bad\x1b[31m\nwor"), output(2, "errors", "se"), output(3, "output", "one")}, "bad\\u001b[31m\nworse\none\n"},
		{"without its beginning", false, []string{output(1, "output", strings.Repeat("x", 30))}, strings.Repeat("x", 30) + "\n"},
		{"plain content", false, []string{start, `{"timestamp":1,"command_type":"output","content":"h\u00e9","metadata":{"stream":"output"}}`}, "hé\n"},
		{"screens", true, []string{start, output(1, "output", "one"), output(1.2, "output", "\rtwo"), output(3, "output", "\rsix"), output(3, "errors", "x")},
			"two|six|"},
	} {
		var b strings.Builder
		r := rendering{screens: test.screens, w: &b}
		for _, line := range test.records {
			for part := range strings.SplitAfterSeq(line+"\n", ",") { // it comes in pieces
				if _, err := r.Write([]byte(part)); err != nil {
					t.Fatalf("%s: %v", test.name, err)
				}
			}
		}
		if err := r.close(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		got := b.String()
		if test.screens {
			shots := ""
			for shot := range strings.SplitSeq(got, "\n\n") {
				if head, text, ok := strings.Cut(shot, "\n"); ok && strings.HasPrefix(head, "=== ") && strings.Contains(head, ": 5 rows, 20 columns") {
					shots += text + "|"
				}
			}
			got = shots
		}
		if got != test.want {
			t.Errorf("%s: %q, not %q", test.name, got, test.want)
		}
	}
	r := rendering{w: &strings.Builder{}}
	if _, err := r.Write([]byte(strings.Replace(start, `"rows"`, `"pipes":true,"rows"`, 1) + "\n")); !errors.Is(err, errNoTerminal) {
		t.Errorf("of pipes: %v", err)
	}
	for _, bad := range []string{"no JSON\n", output(1, "output", "x")[:40] + "\n", strings.Repeat("x", maxRecord+1), strings.Replace(output(1, "output", "x"), "eA==", "!", 1) + "\n"} {
		r := rendering{w: &strings.Builder{}}
		if _, err := r.Write([]byte(bad)); err == nil {
			t.Errorf("%.60q was taken", bad)
		}
	}
}

func TestFormatsAreNamed(t *testing.T) {
	if err := knownFormat("txt"); err == nil || err.Error() != `there is no format "txt": asciicast, text, screens, jsonl, raw` {
		t.Error(err)
	}
	for _, format := range exportFormats {
		if err := knownFormat(format); err != nil {
			t.Error(err)
		}
	}
}
