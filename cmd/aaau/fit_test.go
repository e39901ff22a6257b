package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/screen"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// fitted is what a terminal of a size shows of a recording, that comes in pieces.
func fitted(t *testing.T, rows, cols int, recorded wire.Size, pieces ...string) string {
	t.Helper()
	s := screen.New(rows, cols)
	f := newFitting(int(recorded.Rows), int(recorded.Cols), func() wire.Size { return wire.Size{Rows: uint16(rows), Cols: uint16(cols)} },
		func(b []byte) error { _, err := s.Write(b); return err })
	for _, p := range pieces {
		var r, c int
		if n, _ := fmt.Sscanf(p, "%dx%d", &r, &c); n == 2 {
			f.resize(r, c)
		} else if err := f.write([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.end(); err != nil {
		t.Fatal(err)
	}
	return s.Text()
}

func TestFitting(t *testing.T) {
	// A program that fills the lines of a screen of 3 rows and 10 columns, and scrolls it.
	const full = "\x1b[?1049h\x1b[H0123456789abcdefghij\x1b[3;1Hlast\r\nnext"
	const shows = "abcdefghij\nlast\nnext"
	of := wire.Size{Rows: 3, Cols: 10}
	for _, test := range []struct {
		name       string
		rows, cols int
		pieces     []string
		want       string
	}{
		{"the same size", 3, 10, []string{full}, shows},
		{"wider", 3, 20, []string{full}, shows},
		{"higher", 10, 10, []string{full}, shows},
		{"larger", 10, 40, []string{full}, shows},
		{"narrower", 3, 6, []string{full}, "abcdef\nlast\nnext"},
		{"lower", 2, 10, []string{full}, "last\nnext"},
		{"smaller, on the main screen", 2, 6, []string{"0123456789abc\r\nx"}, "abc\nx"},
		{"larger, on the main screen", 10, 40, []string{"one\r\ntwo\r\nthree\r\nfour\r\nfive"}, "one\ntwo\nthree\nfour\nfive"},
		{"larger, back on the main screen", 10, 40, []string{"$ vi\r\n" + full + "\x1b[?1049l$ "}, "$ vi\n$"},
		{"larger, back, in pieces", 10, 40, strings.SplitAfter("$ vi\r\n"+full+"\x1b[?1049l$ ", ""), "$ vi\n$"},
		{"larger, in pieces", 10, 40, strings.SplitAfter(full, ""), shows},
		{"it grows", 3, 10, []string{"one", "4x12", "\x1b[H0123456789ab"}, "0123456789"},
	} {
		if got := fitted(t, test.rows, test.cols, of, test.pieces...); got != test.want {
			t.Errorf("%s: %q, not %q", test.name, got, test.want)
		}
	}
}
