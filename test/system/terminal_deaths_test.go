package system

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/screen"
)

// still is how long a terminal may show nothing new while bridges die, on a slow machine.
const still = 10 * time.Second

// While a program prints without end and nobody types, bridges die one soon after the other.
// The terminal of the person who started the session gets every line once, in order. A
// terminal that only watches gets lines in order; where some are left out, it says so.
func TestTerminalAfterManyDeaths(t *testing.T) {
	for name, longest := range map[string]time.Duration{"long lives": 1500 * time.Millisecond, "short lives": 300 * time.Millisecond} {
		t.Run(name, func(t *testing.T) { manyDeaths(t, 100*time.Millisecond, longest) })
	}
}

// manyDeaths has bridges die that each live at least, and at most, so long.
func manyDeaths(t *testing.T, shortest, longest time.Duration) {
	deaths := kills(15)
	beginLong(t, time.Duration(deaths)*3*time.Second+3*time.Minute)
	person := sit(t, as(t, "operator"), "aaau", "--", helper, "count", "until")
	id := person.session()
	watching := sit(t, as(t, "observer"), "aaau", "-r", "-n", id)
	counts := map[*console]*tally{person: newTally(), watching: newTally()}
	for c, tally := range counts {
		c.showsAlso(tally)
		await(t, "the first lines", func() bool { return tally.lines() > 0 })
	}
	for i := range deaths {
		if i%3 == 0 { // on a slow machine no bridge would live long enough to show anything
			bridgeAnswers(t)
		}
		time.Sleep(shortest + rand.N(longest-shortest)) // the life of a bridge is what is tried
		killBridge(t, 0)
	}
	for _, tally := range counts {
		seen := tally.lines()
		await(t, "lines after the last death", func() bool { return tally.lines() > seen })
	}
	program := find(t, id, filepath.Base(helper), func(process) bool { return true })
	kill(t, program.pid, syscall.SIGTERM)
	for _, tally := range counts {
		await(t, "the end", func() bool { return tally.end() != "" })
		await(t, "words about what is left out", func() bool { return tally.toldOfAll() })
	}
	kill(t, program.pid, syscall.SIGTERM)
	for c := range counts {
		c.ends(0)
	}
	counts[person].check(t, "the person", false)
	counts[watching].check(t, "who watches", true)
}

// tally counts what a terminal shows of count's lines, as they scroll off its screen. What
// AaaU itself writes there counts only if it stays: its words stand over the lines for a
// while, and are gone before these scroll.
type tally struct {
	mu      sync.Mutex // guards what follows
	screen  *screen.Screen
	first   int // the first line that came
	next    int // the line that is expected
	sum     hash.Hash
	gaps    int       // how often lines were left out
	missing int       // how many
	strange []string  // other lines among them, and those that came again
	cut     string    // the beginning of a line, where more should have come
	moved   time.Time // when a line came last
	longest time.Duration
	ended   string // the program's last words
	told    bool   // that output was left out
	tail    []byte // of what was written, where it may be told across two writes
}

func newTally() *tally {
	y := &tally{screen: screen.New(24, 80), sum: sha256.New()}
	y.screen.OnLine(y.line)
	return y
}

var (
	toldOfGap   = regexp.MustCompile(`aaau: \d+ bytes of output`)
	endOfCount  = regexp.MustCompile(`that were \d+ lines\nof sum [0-9a-f]{64}`)
	countedText = regexp.MustCompile("^" + strings.Replace(countedForm, "%08d", `(\d{8})`, 1) + "$")
)

func (y *tally) Write(p []byte) (int, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.tail = append(y.tail, p...)
	y.told = y.told || toldOfGap.Match(y.tail)
	y.tail = y.tail[max(0, len(y.tail)-100):]
	return y.screen.Write(p)
}

// line is told each line that scrolls off the screen. y.mu is held.
func (y *tally) line(text string, _ bool) {
	m := countedText.FindStringSubmatch(text)
	switch {
	case m != nil:
	case y.next == 0 || y.ended != "": // what AaaU says before and after
		return
	case y.cut == "" && text != "" && strings.HasPrefix(fmt.Sprintf(countedForm, y.next), text):
		y.cut = text // right if lines are left out after it
		return
	default:
		y.odd("%q before line %d", text, y.next)
		return
	}
	n, _ := strconv.Atoi(m[1]) // eight digits
	now := time.Now()
	switch {
	case y.next == 0:
		y.first, y.moved = n, now // who joins gets the last lines
	case n < y.next:
		y.odd("line %d again, instead of %d", n, y.next)
		return
	case n > y.next:
		y.gaps, y.missing = y.gaps+1, y.missing+n-y.next
	case y.cut != "":
		y.odd("%q before line %d", y.cut, y.next)
	}
	y.cut = ""
	fmt.Fprintln(y.sum, text)
	y.longest = max(y.longest, now.Sub(y.moved))
	y.next, y.moved = n+1, now
}

// odd notes what should not be among the lines. y.mu is held.
func (y *tally) odd(format string, args ...any) {
	if len(y.strange) < 20 {
		y.strange = append(y.strange, fmt.Sprintf(format, args...))
	}
}

func (y *tally) lines() int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.next
}

// toldOfAll says whether nothing was left out, or that was told.
func (y *tally) toldOfAll() bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.gaps == 0 || y.told
}

// end is the program's last words, once the screen shows them and no words of AaaU's stand
// over its lines.
func (y *tally) end() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.ended == "" {
		if text := y.screen.Text(); endOfCount.MatchString(text) && !strings.Contains(text, "aaau: ") {
			y.ended = endOfCount.FindString(text)
			y.screen.Lines(y.line)
		}
	}
	return y.ended
}

// check holds the tally to what the program said of its lines. To who watches, the first
// ones were never shown, and others may be missing if that was told.
func (y *tally) check(t *testing.T, whose string, watches bool) {
	t.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	t.Logf("%s: lines %d to %d, but for %d in %d gaps; the terminal stood still for %v at most", whose, y.first, y.next-1, y.missing, y.gaps, y.longest)
	var printed int
	var sum string
	if _, err := fmt.Sscanf(y.ended, "that were %d lines\nof sum %s", &printed, &sum); err != nil {
		t.Fatalf("%s: the end is %q: %v", whose, y.ended, err)
	}
	if y.next != printed {
		t.Errorf("%s: the last line is %d, of %d", whose, y.next, printed)
	}
	got := fmt.Sprintf("%x", y.sum.Sum(nil))
	if !watches && (y.gaps > 0 || got != sum) {
		t.Errorf("%s: lines are missing: the sum is %s, not %s", whose, got, sum)
	}
	if y.told != (y.gaps > 0) {
		t.Errorf("%s: it was told that output is left out: %v", whose, y.told)
	}
	if y.longest > still {
		t.Errorf("%s: the terminal stood still for %v", whose, y.longest)
	}
	if len(y.strange) > 0 {
		t.Errorf("%s: there is among the lines: %q", whose, y.strange)
	}
}
