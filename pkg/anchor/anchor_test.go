package anchor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func hash(c string) string { return strings.Repeat(c, 64) }

func TestCheck(t *testing.T) {
	long := strings.Repeat("x", 64)
	for _, h := range []Head{{"7kx0mq3v1d", 1, hash("0"), true}, {"aaau_2", 1<<64 - 1, hash("f"), false}, {long, 1, hash("a"), false}} {
		if err := h.Check(); err != nil {
			t.Errorf("%+v: %v", h, err)
		}
	}
	for name, h := range map[string]Head{
		"no chain":        {"", 1, hash("a"), false},
		"a long chain":    {long + "x", 1, hash("a"), false},
		"a way":           {"../x", 1, hash("a"), false},
		"an option":       {"-x", 1, hash("a"), false},
		"a line":          {"x\nAAAU_EVENT=y", 1, hash("a"), false},
		"a line's end":    {"x\n", 1, hash("a"), false},
		"another script":  {"é", 1, hash("a"), false},
		"record 0":        {"x", 0, hash("a"), false},
		"no hash":         {"x", 1, "", false},
		"a short hash":    {"x", 1, hash("a")[1:], false},
		"a long hash":     {"x", 1, hash("a") + "a", false},
		"capitals":        {"x", 1, hash("A"), false},
		"no hex":          {"x", 1, hash("g"), false},
		"a hash's end":    {"x", 1, hash("a") + "\n", false},
		"a NUL in a hash": {"x", 1, hash("a")[1:] + "\x00", false},
	} {
		if h.Check() == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func line(t *testing.T, n uint64, h Head) string {
	t.Helper()
	b, err := Line{n, time.Date(2026, 11, 25, 1, 2, 3, 4000, time.UTC), h}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The longest there can be is shorter than it is said to be, and comes back.
func TestLine(t *testing.T) {
	want := Line{1<<64 - 1, time.Date(2026, 11, 25, 23, 59, 59, 999999000, time.UTC), Head{strings.Repeat("x", 64), 1<<64 - 1, hash("f"), true}}
	b, err := want.Append(nil)
	if err != nil || len(b) >= MaxLine || strings.Count(string(b), "\n") != 1 {
		t.Errorf("%d bytes: %q, %v", len(b), b, err)
	}
	if got, err := ParseLine(b); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

// all is what a file of the given text has: anchors as CHAIN.SEQ, doubts with their line.
func all(t *testing.T, text string) (got []string) {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Join(dir, "2026-11-25.jsonl")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for a, err := range Files(dir) {
		var d *Doubt
		switch {
		case errors.As(err, &d):
			got = append(got, strings.TrimPrefix(d.Error(), name+":"))
		case err != nil:
			t.Fatal(err)
		default:
			got = append(got, fmt.Sprintf("%s.%d", a.Chain, a.Seq))
			if want := fmt.Sprintf("%s:%d", name, strings.Count(text[:strings.Index(text, fmt.Sprintf(`"chain":%q,"seq":%d,`, a.Chain, a.Seq))], "\n")+1); a.Source != want {
				t.Errorf("the source is %s, not %s", a.Source, want)
			}
		}
	}
	return got
}

func TestFiles(t *testing.T) {
	a, b, c := line(t, 1, Head{"s1", 3, hash("a"), false}), line(t, 2, Head{"s2", 1, hash("b"), true}), line(t, 3, Head{"s1", 9, hash("c"), false})
	for name, test := range map[string]struct {
		text string
		want []string // their beginnings
	}{
		"nothing":            {"", nil},
		"three":              {a + b + c, []string{"s1.3", "s2.1", "s1.9"}},
		"torn at the end":    {a + b[:len(b)/2], []string{"s1.3", "2: it is torn"}},
		"only its end torn":  {a + strings.TrimSuffix(b, "\n"), []string{"s1.3", "2: it is torn"}},
		"torn, and goes on":  {a + b[:9] + Torn + b + c, []string{"s1.3", "2: it is torn", "s2.1", "s1.9"}},
		"whole but the end":  {a + strings.TrimSuffix(b, "\n") + Torn + strings.Replace(b, `"seq":1`, `"seq":2`, 1), []string{"s1.3", "2: it is torn", "s2.2"}},
		"zeros":              {a + strings.Repeat("\x00", 3*MaxLine), []string{"s1.3", "2: it is too long"}},
		"zeros, and goes on": {a + strings.Repeat("\x00", 3*MaxLine) + Torn + b, []string{"s1.3", "2: it is too long", "s2.1"}},
		"one is missing":     {a + c, []string{"s1.3", "2: anchor 3 comes after 1", "s1.9"}},
		"the first is":       {b + c, []string{"1: anchor 2 comes after 0", "s2.1", "s1.9"}},
		"no JSON":            {a + "x\n" + b, []string{"s1.3", "2: it is no anchor", "s2.1"}},
		"a hash of no form":  {a + strings.ToUpper(b), []string{"s1.3", "2: it is no anchor"}},
		"no number":          {strings.Replace(a, `"n":1`, `"n":0`, 1), []string{"1: it is no anchor"}},
	} {
		got := all(t, test.text)
		if !slices.EqualFunc(got, test.want, strings.HasPrefix) {
			t.Errorf("%s: %q, not %q", name, got, test.want)
		}
	}
}

func TestFilesOfOthersAreDoubted(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "2026-11-24.jsonl")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes"), []byte(line(t, 1, Head{"s1", 1, hash("a"), false})), 0o600); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range Files(dir) {
		var d *Doubt
		if n++; !errors.As(err, &d) {
			t.Errorf("%v", err)
		}
	}
	if n != 2 {
		t.Errorf("%d doubts", n)
	}
	for a, err := range Files(filepath.Join(dir, "missing")) {
		t.Errorf("of nothing there is %v, %v", a, err)
	}
}

// trusted is an entry as journalctl prints the launcher's, with changes.
func trusted(t *testing.T, change map[string]any) string {
	t.Helper()
	fields := map[string]any{
		"__CURSOR": "s=1", "__REALTIME_TIMESTAMP": "1795600000000001", "_UID": "0", "_SYSTEMD_UNIT": Unit, "_TRANSPORT": "journal",
		"AAAU_EVENT": "anchor", "AAAU_SESSION": "s1", "AAAU_SEQ": "5", "AAAU_HASH": hash("a"),
	}
	for name, value := range change {
		if fields[name] = value; value == nil {
			delete(fields, name)
		}
	}
	b, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + "\n"
}

func TestJournalEntries(t *testing.T) {
	text, want := trusted(t, map[string]any{"AAAU_FINAL": "yes"}), []string{""}
	for _, test := range []struct {
		field string
		value any
	}{
		{"_UID", "1000"},
		{"_UID", nil},
		{"_UID", []string{"1000", "0"}},
		{"_SYSTEMD_UNIT", "aaau.service"},
		{"_SYSTEMD_UNIT", "user@1000.service"},
		{"_SYSTEMD_UNIT", nil},
		{"_TRANSPORT", "stdout"},
		{"AAAU_EVENT", "attach"},
		{"AAAU_SESSION", []string{"s1", "s2"}},
		{"AAAU_SESSION", "../s1"},
		{"AAAU_SEQ", "-1"},
		{"AAAU_SEQ", "0"},
		{"AAAU_SEQ", "99999999999999999999"},
		{"AAAU_HASH", hash("A")},
		{"AAAU_HASH", nil},
		{"AAAU_HASH", []int{65, 10, 65}}, // as what is no text is printed
		{"__REALTIME_TIMESTAMP", nil},
	} {
		text += trusted(t, map[string]any{test.field: test.value})
		want = append(want, fmt.Sprintf("%s=%v", test.field, test.value))
	}
	text += trusted(t, map[string]any{"AAAU_SEQ": "6"}) + "no JSON"
	want = append(want, "", "no JSON")
	i := 0
	_, _ = readJournal(strings.NewReader(text), func(a Anchor, err error) bool {
		var d *Doubt
		switch {
		case i >= len(want):
			t.Errorf("after the end: %v, %v", a, err)
		case want[i] != "" && !errors.As(err, &d):
			t.Errorf("%s is taken: %+v, %v", want[i], a, err)
		case want[i] == "" && err != nil:
			t.Error(err)
		case i == 0 && a != (Anchor{Head{"s1", 5, hash("a"), true}, time.UnixMicro(1795600000000001).UTC(), "the journal"}):
			t.Errorf("%+v", a)
		}
		i++
		return true
	})
	if i != len(want) {
		t.Errorf("%d of %d", i, len(want))
	}
}

func TestNoJournalIsADoubt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, doubts, err := Read(context.Background(), t.TempDir(), func(string) bool { return true })
	if err != nil || len(doubts) != 1 || !strings.Contains(doubts[0].Error(), "journalctl") {
		t.Errorf("%v %v", doubts, err)
	}
	if err := os.WriteFile(filepath.Join(os.Getenv("PATH"), "journalctl"), []byte("#!/bin/sh\necho no room >&2\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, doubts, err = Read(context.Background(), t.TempDir(), func(string) bool { return true })
	if err != nil || len(doubts) != 1 || !strings.Contains(doubts[0].Error(), "no room") {
		t.Errorf("%v %v", doubts, err)
	}
}

func TestMerge(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	got := merge([]Anchor{
		{Head{"s2", 1, hash("a"), false}, at(9), "f:9"},
		{Head{"s1", 2, hash("a"), false}, at(2), "f:2"},
		{Head{"s1", 2, hash("a"), false}, at(5), "f:5"}, // said again
		{Head{"s1", 1, hash("a"), false}, at(6), "f:6"}, // backwards
		{Head{"s1", 2, hash("b"), false}, at(7), "f:7"}, // another hash of the same
		{Head{"s1", 2, hash("a"), true}, at(3), journalSource},
		{Head{"s1", 3, hash("c"), false}, at(8), journalSource},
	})
	want := []Anchor{
		{Head{"s1", 1, hash("a"), false}, at(6), "f:6"},
		{Head{"s1", 2, hash("a"), true}, at(2), "f:2 and the journal"},
		{Head{"s1", 2, hash("b"), false}, at(7), "f:7"},
		{Head{"s1", 3, hash("c"), false}, at(8), "the journal"},
		{Head{"s2", 1, hash("a"), false}, at(9), "f:9"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// FuzzParseLine: what is taken for a line is a head that may be one.
func FuzzParseLine(f *testing.F) {
	f.Add([]byte(`{"n":1,"time":"2026-11-25T00:00:00Z","chain":"s1","seq":1,"hash":"` + hash("a") + `"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseLine(b)
		if err != nil {
			return
		}
		again, err := l.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseLine(again); err != nil || got.N != l.N || got.Head != l.Head || !got.Time.Equal(l.Time) {
			t.Errorf("%q became %q, %v", b, again, err)
		}
	})
}
