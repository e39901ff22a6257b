package system

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// deathsInARow is how many deaths one session sees, and shortestLife and longestLife are how
// long a bridge lives: often not long enough for a client to catch up with the output, or
// even to come back.
const (
	deathsInARow = 10
	shortestLife = 100 * time.Millisecond
	longestLife  = 1100 * time.Millisecond
)

// Bridges die one soon after the other while a program prints more than the tape holds, and
// nobody types. Who watches at a terminal gets every line once, is told of nothing that was
// left out, and does not stand still until the deaths are over.
func TestDeathsInARow(t *testing.T) {
	rounds := max(1, kills(0)/(10*deathsInARow))
	beginLong(t, time.Duration(rounds)*2*time.Minute)
	for range rounds {
		deathsUnderFlood(t)
	}
}

func deathsUnderFlood(t *testing.T) {
	t.Helper()
	operator := as(t, "operator")
	lasts := 4*time.Second + deathsInARow*(longestLife+500*time.Millisecond)
	s := sit(t, operator, "aaau", "--", helper, "count", lasts.String())
	await(t, "more output than the tape holds", func() bool { return s.size() > 6<<20 })
	moved := 0
	for range deathsInARow {
		killBridge(t, 0)
		before := s.size()
		time.Sleep(shortestLife + rand.N(longestLife-shortestLife)) // the life of a bridge is what is tried
		if s.size() > before+1<<10 {                                // and not only what was on its way
			moved++
		}
	}
	if moved < deathsInARow/4 {
		t.Errorf("the terminal got output from %d of %d bridges", moved, deathsInARow)
	}
	status, _ := s.leave()
	if status != 0 {
		t.Errorf("it ended with %d", status)
	}
	shown := s.all()
	if i := strings.Index(shown, "bytes of output"); i >= 0 {
		t.Errorf("it was told %.200q", shown[max(0, i-20):])
	}
	end := regexp.MustCompile(`that were (\d+) lines`).FindStringSubmatch(shown)
	if end == nil {
		t.Fatal("the end is missing")
	}
	want, _ := strconv.Atoi(end[1])
	next := 0
	for _, m := range countedLine.FindAllStringSubmatch(shown, -1) {
		if n, _ := strconv.Atoi(m[1]); n != next {
			t.Fatalf("after line %d comes line %d, of %d", next-1, n, want)
		}
		next++
	}
	if next != want {
		t.Fatalf("%d lines came, of %d", next, want)
	}
	t.Logf("%d lines came, all, and output from %d of %d bridges", want, moved, deathsInARow)
}

// size is how many bytes the terminal has shown.
func (c *console) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.shown)
}

// countedForm is what count's lines are like.
const countedForm = "L%08d-0123456789abcdef0123456789abcdef"

var countedLine = regexp.MustCompile(`L(\d{8})-0123456789abcdef0123456789abcdef\r\n`)

// count prints numbered lines for so long, some MiB a second as a fast compiler may, and
// then how many they were, and their sum. With "until" it does so until it gets SIGTERM, at
// half the pace, and ends with the next one.
func count(args []string) int {
	each, over := 400, make(chan os.Signal, 1)
	if args[0] == "until" {
		each = 200
		signal.Notify(over, syscall.SIGTERM)
	} else if lasts, err := time.ParseDuration(args[0]); err == nil {
		time.AfterFunc(lasts, func() { over <- nil })
	} else {
		return 1
	}
	var lines []byte
	sum, n := sha256.New(), 0
	for pace := time.NewTicker(5 * time.Millisecond); ; <-pace.C {
		select {
		case got := <-over:
			fmt.Printf("that were %d lines\nof sum %x\n", n, sum.Sum(nil))
			if got != nil {
				<-over
			}
			return 0
		default:
		}
		lines = lines[:0]
		for range each {
			lines = fmt.Appendf(lines, countedForm+"\n", n)
			n++
		}
		if _, err := os.Stdout.Write(lines); err != nil {
			return 1
		}
		sum.Write(lines)
	}
}
