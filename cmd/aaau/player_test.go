package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// played is what a player has shown at which times, in seconds since its beginning, while
// keys are typed at theirs.
func played(t *testing.T, p *player, events []castEvent, keys map[float64]string) (got []string, err error) {
	t.Helper()
	f, e := os.Create(filepath.Join(t.TempDir(), "screen"))
	if e != nil {
		t.Fatal(e)
	}
	defer f.Close()
	defer func(out *os.File) { os.Stdout = out }(os.Stdout)
	os.Stdout = f
	synctest.Test(t, func(t *testing.T) {
		k, typed := &cast{events: make(chan castEvent)}, make(chan []byte)
		p.t = &terminal{typed: typed}
		began, stop := time.Now(), make(chan struct{})
		go func() {
			defer close(k.events)
			for _, e := range events {
				select {
				case k.events <- e:
				case <-stop:
					return
				}
			}
		}()
		go func() {
			var at []float64
			for a := range keys {
				at = append(at, a)
			}
			slices.Sort(at)
			for _, a := range at {
				select {
				case <-time.After(time.Until(began.Add(time.Duration(a * 1e9)))):
				case <-stop:
					return
				}
				select {
				case typed <- []byte(keys[a]):
				case <-stop:
					return
				}
			}
		}()
		done := make(chan struct{})
		go func() {
			defer close(done)
			err = p.play(k, false)
		}()
		seen := 0
		for over := false; !over; {
			select {
			case <-done:
				over = true
			case <-time.After(10 * time.Millisecond):
				synctest.Wait() // until all of this instant is done
			}
			text, e := os.ReadFile(f.Name())
			if e != nil {
				t.Fatal(e)
			}
			if len(text) > seen {
				got = append(got, fmt.Sprintf("%.1f %s", time.Since(began).Seconds(), text[seen:]))
				seen = len(text)
			}
		}
		close(stop)
	})
	return got, err
}

func TestPlayer(t *testing.T) {
	at := func(s float64, data string) castEvent { return castEvent{time.Duration(s * 1e9), data} }
	three := []castEvent{at(1, "a"), at(2, "b"), at(12, "c")}
	for name, c := range map[string]struct {
		p      *player
		events []castEvent
		keys   map[float64]string
		want   []string
		err    error
	}{
		"as it was":         {&player{speed: 1}, three, nil, []string{"1.0 a", "2.0 b", "12.0 c"}, nil},
		"twice as fast":     {&player{speed: 2}, three, nil, []string{"0.5 a", "1.0 b", "6.0 c"}, nil},
		"with short waits":  {&player{speed: 1, idle: 3e9}, three, nil, []string{"1.0 a", "2.0 b", "5.0 c"}, nil},
		"both":              {&player{speed: 2, idle: 3e9}, three, nil, []string{"0.5 a", "1.0 b", "2.5 c"}, nil},
		"paused":            {&player{speed: 1}, three, map[float64]string{1.5: " ", 100: " "}, []string{"1.0 a", "100.5 b", "110.5 c"}, nil},
		"stepped":           {&player{speed: 1}, three, map[float64]string{1.5: " ", 3: ".", 4: "...", 50: " "}, []string{"1.0 a", "3.0 b", "4.0 c"}, nil},
		"a step too soon":   {&player{speed: 1}, three, map[float64]string{0.5: " ..", 3: " "}, []string{"0.5 ab", "13.0 c"}, nil},
		"a step for no one": {&player{speed: 1}, three, map[float64]string{1.5: "."}, []string{"1.0 a", "2.0 b", "12.0 c"}, nil},
		"made faster":       {&player{speed: 1}, three, map[float64]string{4: "+"}, []string{"1.0 a", "2.0 b", "8.0 c"}, nil},
		"made slower":       {&player{speed: 1}, three, map[float64]string{4: "-"}, []string{"1.0 a", "2.0 b", "20.0 c"}, nil},
		"faster in a pause": {&player{speed: 1}, three, map[float64]string{1.5: " +", 10: " "}, []string{"1.0 a", "10.2 b", "15.2 c"}, nil},
		"forward":           {&player{speed: 1}, three, map[float64]string{0.5: "\x1b[C"}, []string{"0.5 ab", "7.0 c"}, nil},
		"forward, further":  {&player{speed: 1}, three, map[float64]string{3: "\x1bOC\x1bOC"}, []string{"1.0 a", "2.0 b", "3.0 c"}, nil},
		"other keys":        {&player{speed: 1}, three, map[float64]string{0.5: "\x1b[A", 0.6: "xyz\r\x1b[<0;1;1M"}, []string{"1.0 a", "2.0 b", "12.0 c"}, nil},
		"quit":              {&player{speed: 1}, three, map[float64]string{1.5: "q"}, []string{"1.0 a"}, errQuit},
		"quit in a pause":   {&player{speed: 1}, three, map[float64]string{0.5: " q"}, nil, errQuit},
		"quit in CSI u":     {&player{speed: 1}, three, map[float64]string{1.5: "\x1b[113u"}, []string{"1.0 a"}, errQuit},
		"quit, events":      {&player{speed: 1}, three, map[float64]string{1.5: "\x1b[113;1:1u\x1b[113;1:3u"}, []string{"1.0 a"}, errQuit},
		"a key is released": {&player{speed: 1}, three, map[float64]string{0.5: "\x1b[113;1:3u", 0.6: "\x1b[99;5:3u"}, []string{"1.0 a", "2.0 b", "12.0 c"}, nil},
		"quit, in two":      {&player{speed: 1}, three, map[float64]string{1.5: "\x1b[11", 1.51: "3u"}, []string{"1.0 a"}, errQuit},
		"Escape, then quit": {&player{speed: 1}, three, map[float64]string{1.2: "\x1b", 1.5: "q"}, []string{"1.0 a"}, errQuit},
		"^C in CSI u":       {&player{speed: 1}, three, map[float64]string{1.5: "\x1b[99;133u"}, []string{"1.0 a"}, sentAway(2)},
		"^C in xterm's":     {&player{speed: 1}, three, map[float64]string{1.5: "\x1b[27;5;99~"}, []string{"1.0 a"}, sentAway(2)},
		"paused in CSI u":   {&player{speed: 1}, three, map[float64]string{1.5: "\x1b[32u\x1b[32;1:3u", 100: "\x1b[32;;32u"}, []string{"1.0 a", "100.5 b", "110.5 c"}, nil},
		"faster in CSI u":   {&player{speed: 1}, three, map[float64]string{4: "\x1b[61:43;2u\x1b[61;2:3u"}, []string{"1.0 a", "2.0 b", "8.0 c"}, nil},
		"forward, events":   {&player{speed: 1}, three, map[float64]string{0.5: "\x1b[1;1:1C\x1b[1;1:3C"}, []string{"0.5 ab", "7.0 c"}, nil},
		"interrupted":       {&player{speed: 1}, three, map[float64]string{1.5: "\x03"}, []string{"1.0 a"}, sentAway(2)},
		"nothing":           {&player{speed: 1}, nil, nil, nil, nil},
		"a clock set back":  {&player{speed: 1}, []castEvent{at(5, "a"), at(3, "b"), at(6, "c")}, nil, []string{"5.0 ab", "6.0 c"}, nil},
		"what asks": {&player{speed: 1}, []castEvent{at(1, "a\x1b[c\x1b]52;c;YQ==\a\x1b[6"), at(2, "nb\x1b[1"), at(3, "mc")}, nil,
			[]string{"1.0 a", "2.0 b", "3.0 \x1b[1mc"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := played(t, c.p, c.events, c.keys)
			if !slices.Equal(got, c.want) || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
				t.Errorf("%q, %v, not %q, %v", got, err, c.want, c.err)
			}
		})
	}
}

func TestProgress(t *testing.T) {
	for want, p := range map[string]*player{
		"0:00 work":                      {speed: 1, name: "work"},
		"1:02/1:00:05 ×2 work":           {speed: 2, name: "work", at: 62 * time.Second, total: 3605 * time.Second},
		"0:09/0:09 ×0.5 paused x\\u0007": {speed: 0.5, paused: true, name: "x\a", at: 9 * time.Second, total: 5 * time.Second},
	} {
		if got := p.progress(); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func TestInstant(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.Local)
	at := func(format, text string) float64 {
		when, err := time.ParseInLocation(format, text, time.Local)
		if err != nil {
			t.Fatal(err)
		}
		return float64(when.UnixMicro()) / 1e6
	}
	for text, want := range map[string][2]float64{
		"":                     {0, 0},
		"2026-11-24":           {at(time.DateTime, "2026-11-24 00:00:00"), at(time.DateTime, "2026-11-25 00:00:00") - 1e-6},
		"2026-11-24 14:30":     {at(time.DateTime, "2026-11-24 14:30:00"), at(time.DateTime, "2026-11-24 14:30:00")},
		"2026-11-24T14:30:05":  {at(time.DateTime, "2026-11-24 14:30:05"), at(time.DateTime, "2026-11-24 14:30:05")},
		"2026-11-24T14:30:05Z": {1795530605, 1795530605},
		"2h":                   {at(time.DateTime, "2026-11-25 10:00:00"), at(time.DateTime, "2026-11-25 10:00:00")},
		"-90m":                 {at(time.DateTime, "2026-11-25 10:30:00"), at(time.DateTime, "2026-11-25 10:30:00")},
	} {
		for i, end := range []bool{false, true} {
			if got, err := instant(text, now, end); err != nil || got != want[i] {
				t.Errorf("%q, %t: %f, %v, not %f", text, end, got, err, want[i])
			}
		}
	}
	for _, text := range []string{"yesterday", "25.11.2026", "2026-13-01", "5"} {
		if got, err := instant(text, now, false); err == nil {
			t.Errorf("%q is %f", text, got)
		}
	}
}

// What comes again after a bridge's death is not written again, and of a cast the first
// line that was whole is the one.
func TestRest(t *testing.T) {
	text := "some lines\nthat were recorded\nand more"
	for cut := range len(text) {
		for _, apart := range []bool{false, true} {
			var out strings.Builder
			r := &rest{w: writer(func(p []byte) (int, error) {
				if len(p) == 0 {
					t.Error("nothing is written")
				}
				return out.Write(p)
			}), apart: apart}
			for _, told := range []string{text[:cut], text} {
				if apart && told == text {
					told = "another" + told
				}
				r.again()
				for i := 0; i < len(told); i += 3 {
					part := told[i:min(i+3, len(told))]
					if n, err := r.Write([]byte(part)); n != len(part) || err != nil {
						t.Fatal(n, err)
					}
				}
			}
			want := text
			if apart && cut <= strings.IndexByte(text, '\n') {
				want = "another" + text
			}
			if out.String() != want {
				t.Fatalf("cut at %d, %t, it is %q", cut, apart, out.String())
			}
		}
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }
