package system

import (
	"regexp"
	"strings"
	"testing"
)

// What full-screen programs have shown is exported as it stood on the screen.
func TestExportKeepsColumns(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	id := began(t, operator, "/", "--", "sh", "-c", `printf 'before\n\033[?1049h\033[Hname\033[1;20Hsize\033[2;1Hvim\033[2;21H4 K'; sleep 1; printf '\033[24;1H:q'; sleep 1; printf '\033[?1049lafter\n'`)
	run(t, operator, "aaau", "wait", id)
	table := "name               size\nvim                 4 K"
	want := table + strings.Repeat("\n", 22) + ":q\nbefore\nafter"
	if got := output(t, operator, "aaau", "export", "-f", "text", id); got != want {
		t.Errorf("the text is %q, not %q", got, want)
	}
	shots := regexp.MustCompile(`(?m)^=== \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}: 24 rows, 80 columns, cursor in row \d+, column \d+ ===$`)
	all := output(t, operator, "aaau", "export", "-f", "screens", id)
	parts := shots.Split(all, -1)
	if len(parts) != 4 {
		t.Fatalf("the screens are %q", all)
	}
	for i, want := range []string{"", table, table + strings.Repeat("\n", 22) + ":q", "before\nafter"} {
		if got := strings.Trim(parts[i], "\n"); got != want {
			t.Errorf("screen %d is %q, not %q", i, got, want)
		}
	}

	piped := began(t, operator, "/", "-T", "--", "printf", `a\tb\n`)
	run(t, operator, "aaau", "wait", piped)
	if got := output(t, operator, "aaau", "export", "-f", "text", piped); got != "a\tb" {
		t.Errorf("of pipes the text is %q", got)
	}
	refused(t, operator, []string{"no terminal", "-f text"}, "aaau", "export", "-f", "screens", piped)
	refused(t, operator, []string{`no format "txt"`, "asciicast, text, screens, jsonl, raw"}, "aaau", "export", "-f", "txt", id)
}

// A full-screen program is replayed as it was on a terminal of any size; what does not fit
// is not shown.
func TestReplayKeepsColumns(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	// A line that is as long as the screen is wide, and one more than there are lines.
	id := began(t, operator, "/", "--", "sh", "-c", `printf 'before\n\033[?1049h\033[H%080d%s\033[24;1Hone\r\ntwo' 0 next; sleep 2; printf '\033[?1049lafter'`)
	run(t, operator, "aaau", "wait", id)
	w := newWall(t, operator)
	for _, test := range []struct {
		rows, cols int
		shows      string
	}{
		{24, 80, `\Anext\n\n{21}one\ntwo\n*\z`},
		{30, 100, `\Anext\n\n{21}one\ntwo\n*\z`},
		{24, 50, `\Anext\n\n{21}one\ntwo\n*\z`},
		{10, 40, `\A\n{8}one\ntwo\n*\z`},
	} {
		p := w.open(t, test.rows, test.cols, "aaau", "replay", "--speed", "0.1", id)
		p.shows(t, test.shows)
		p.close(t)
	}
	// The pane lives on after the replay: tmux scrolls a pane whose program has ended.
	p := w.open(t, 30, 100, "sh", "-c", `aaau replay --speed 100 "$0"; exec cat`, id)
	p.shows(t, `\Abefore\nafter`)
}
