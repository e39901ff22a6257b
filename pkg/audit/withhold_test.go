package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// What is withheld is not in the record any more, in whatever form it is asked for; the
// rest is as it was, and still of the record's form.
func TestWithhold(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	c := session(t, s, "s1")
	for _, r := range every() {
		add(t, c, r)
	}
	put(t, c, Stdout, "some output\r\n")
	ok(t, s.Close())
	n := 0
	for e, err := range Read(dir, "s1") {
		ok(t, err)
		before, kind := string(e.Raw), e.Kind
		ok(t, e.Withhold(1000)) // whose doing all of it is
		if string(e.Raw) != before {
			t.Errorf("their own is withheld: %s", before)
		}
		ok(t, e.Withhold(1001))
		text, err := e.Text()
		ok(t, err)
		if kind != KindInput && kind != KindSessionStart || kind == KindInput && e.Source == System {
			if string(e.Raw) != before {
				t.Errorf("%s became %s", before, e.Raw)
			}
			continue
		}
		n++
		if !json.Valid(e.Raw) || !strings.Contains(string(e.Raw), string(e.Metadata)) || strings.Contains(string(e.Raw)+text, "--x") || strings.Contains(string(e.Raw)+text, "ls -la") {
			t.Errorf("%s became %s, %q", before, e.Raw, text)
		}
		m, err := e.Decode()
		ok(t, err)
		switch m := m.(type) {
		case *Input:
			if p, err := e.Bytes(m); err != nil || len(p) > 0 || m.Withheld == "" || m.Encoding != "" || m.Bytes == 0 {
				t.Errorf("%+v %q %v", m, p, err)
			}
		case *SessionStart:
			if len(m.Argv) > 1 || text != "" && text != `["claude"]` && text != "[]" {
				t.Errorf("%q %q", m.Argv, text)
			}
		}
		// It is a line as any other, but for the hash.
		again, err := parse(e.Raw)
		ok(t, err)
		if again.Seq != e.Seq || again.Prev != e.Prev || again.Hash != e.Hash || !again.Time.Equal(e.Time) || again.User != e.User || again.SessionID != "s1" {
			t.Errorf("%s became %s", before, e.Raw)
		}
	}
	if n < 5 {
		t.Errorf("%d records were of those that are withheld", n)
	}
}

func TestView(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	add(t, s.Bridge(), Record{Source: Human, User: "x", Content: "needle", Metadata: Denied{Person: who}})
	for _, id := range []string{"s1", "s2", "s3"} {
		c := session(t, s, id)
		if id != "s3" {
			add(t, c, every()[0])
		}
		add(t, c, NewInput("operator", who, []byte("needle in "+id)))
		put(t, c, Stdout, "printed needle\n")
	}
	ok(t, s.Close())
	var asked, got []string
	failed := errors.New("not this one")
	for m, err := range Search(dir, Query{Text: "needle", View: func(chain string, start *SessionStart) (func(*Entry) error, bool) {
		asked = append(asked, fmt.Sprintf("%s %t", chain, start != nil && start.Profile == "claude"))
		switch chain {
		case "s1":
			return func(e *Entry) error { return e.Withhold(1001) }, true
		case "s2":
			return func(e *Entry) error {
				if e.Kind == KindInput {
					return failed
				}
				return nil
			}, true
		}
		return nil, chain == "s3"
	}}) {
		if err != nil {
			got = append(got, err.Error())
			continue
		}
		got = append(got, m.SessionID+": "+m.Text)
	}
	if want := []string{"aaau false", "s1 true", "s2 true", "s3 false"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, not %q", asked, want)
	}
	if want := []string{"s1: printed needle", "not this one", "s2: printed needle", "s3: needle in s3", "s3: printed needle"}; !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}

func TestStart(t *testing.T) {
	dir, c := t.TempDir(), noon()
	s := open(t, dir, Options{now: c.now})
	ch := session(t, s, "s1")
	add(t, ch, every()[0])
	other := session(t, s, "s2")
	put(t, other, Stdout, "x")
	ok(t, s.Close())
	at := time.Unix(1795608000, 0)
	ok(t, os.Chtimes(path(t, dir, "s1"), at, at))
	if start, last, err := Start(dir, "s1"); err != nil || start == nil || start.UID != 1000 || !start.Private || !last.Equal(at) {
		t.Errorf("%+v, %v, %v", start, last, err)
	}
	if start, _, err := Start(dir, "s2"); err != nil || start != nil {
		t.Errorf("%+v, %v", start, err)
	}
	if _, _, err := Start(dir, "s3"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	// Who cannot read its beginning knows nothing of it.
	text := contents(t, path(t, dir, "s1"))
	ok(t, os.WriteFile(path(t, dir, "s1"), []byte("x"+text), 0o640))
	if start, _, err := Start(dir, "s1"); err != nil || start != nil {
		t.Errorf("%+v, %v", start, err)
	}
}

func TestChainOf(t *testing.T) {
	for file, want := range map[string]string{
		"/var/log/aaau/aaau-2026-11-25.jsonl":                    "/var/log/aaau aaau",
		"/var/log/aaau/aaau_2-2026-11-25.2.jsonl.zst":            "/var/log/aaau aaau_2",
		"/var/log/aaau/sessions/7kx0mq3v1d-2026-11-25.jsonl.zst": "/var/log/aaau 7kx0mq3v1d",
		"sessions/7kx0mq3v1d-2026-11-25.9.jsonl":                 ". 7kx0mq3v1d",
		"7kx0mq3v1d-2026-11-25.jsonl":                            ".. 7kx0mq3v1d",
		"/var/log/aaau/7kx0mq3v1d.jsonl":                         "",
		"":                                                       "",
	} {
		dir, chain, ok := ChainOf(file)
		got := strings.TrimSpace(dir + " " + chain)
		if got != want || ok != (want != "") {
			t.Errorf("%s: %q, %t, not %q", file, got, ok, want)
		}
	}
}
