package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"
)

const (
	block = 50 // keys in a row for one subject
	// pause is between two sessions, so that none pays for what systemd still has
	// to do for the one before. Nor does one gain by it, as in a loop of starts:
	// for some 10 ms after a process was moved to another cgroup, moving the next
	// costs nothing; later the kernel waits for RCU, 6 to 18 ms. People start
	// sessions later than that.
	pause = 50 * time.Millisecond
)

// samples are one subject's, in milliseconds and MB/s.
type samples struct {
	start, back, end, echo []float64 // back is the part of start after the byte was written
	throughput             []float64
}

// bench is a run in the sandbox.
type bench struct {
	options
	subjects []subject
	samples  map[string]*samples
	cold     float64   // aaau's first start, in ms
	client   []float64 // a client that does nothing, in ms
}

// inside measures, and writes the report to stdout.
func inside(o options) (err error) {
	debug.SetGCPercent(-1) // no collection while a stopwatch runs; there is little to collect
	b := bench{options: o, samples: map[string]*samples{}}
	all, stop, err := subjects()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	b.subjects = all
	for _, s := range all {
		b.samples[s.name] = &samples{}
	}
	for _, phase := range []func() error{b.first, b.starts, b.echoes, b.throughputs} {
		if err := phase(); err != nil {
			return err
		}
	}
	r, err := b.report()
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(r)
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }

// turn is the subjects in the order of round i: everyone is first in turn.
func (b *bench) turn(i int) []subject {
	i %= len(b.subjects)
	return append(b.subjects[i:len(b.subjects):len(b.subjects)], b.subjects[:i]...)
}

func ms(from, to int64) float64 { return float64(to-from) / 1e6 }

// first is aaau's start with nothing of it running.
func (b *bench) first() error {
	progress("the first start of all")
	s, err := session(b.subjects[0])
	b.cold = s.start
	return err
}

// starts measures start and end, and how long a client takes to say who it is.
func (b *bench) starts() error {
	progress("start and end: %d rounds", b.rounds)
	version := b.subjects[0]
	version.argv = func(string) []string { return []string{"aaau", "--version"} }
	for i := range b.rounds {
		for _, s := range b.turn(i) {
			time.Sleep(pause)
			t, err := session(s)
			if err != nil {
				return err
			}
			to := b.samples[s.name]
			to.start, to.back, to.end = append(to.start, t.start), append(to.back, t.back), append(to.end, t.end)
		}
		time.Sleep(pause)
		t, err := firstWord(version, "aaau version")
		if err != nil {
			return err
		}
		b.client = append(b.client, t)
	}
	return nil
}

// times of one session, in ms.
type times struct{ start, back, end float64 }

func session(s subject) (t times, err error) {
	c, err := startClient(s, "start")
	if err != nil {
		return t, err
	}
	defer c.close()
	at, printed, err := c.expectMark(markReady)
	if err != nil {
		return t, err
	}
	t.start, t.back = ms(c.began, at), ms(printed, at)
	if err := c.settle(); err != nil {
		return t, err
	}
	said, gone, err := c.finish()
	t.end = ms(said, gone)
	return t, err
}

// firstWord is how long a client takes until it says a word.
func firstWord(s subject, word string) (float64, error) {
	c, err := startClient(s, "")
	if err != nil {
		return 0, err
	}
	defer c.close()
	_, at, err := c.expect(word)
	if err != nil {
		return 0, err
	}
	_, err = c.awaitExit()
	return ms(c.began, at), err
}

// echoKeys are in nothing that tmux sends to a terminal by itself, and no two in a
// row are the same: what comes back is the key, or old.
const echoKeys = "~|^%{}"

// echoes measures echo in sessions that are all open at once.
func (b *bench) echoes() error {
	progress("echo: %d keys each", b.keys)
	open := map[string]*client{}
	for _, s := range b.subjects {
		c, err := startClient(s, "echo")
		if err != nil {
			return err
		}
		defer c.close()
		if _, _, err := c.expectMark(markReady); err != nil {
			return err
		}
		open[s.name] = c
	}
	for i := 0; i*block < b.keys; i++ {
		for _, s := range b.turn(i) {
			for k := range min(block, b.keys-i*block) {
				t, err := open[s.name].echo(echoKeys[k%len(echoKeys)])
				if err != nil {
					return err
				}
				to := b.samples[s.name]
				to.echo = append(to.echo, t)
			}
		}
	}
	for _, c := range open {
		if _, _, err := c.finish(); err != nil {
			return err
		}
	}
	return nil
}

// echo types a key and waits for it; the answer is in ms.
func (c *client) echo(key byte) (float64, error) {
	if err := c.settle(); err != nil {
		return 0, err
	}
	typed := now()
	if err := c.press(key); err != nil {
		return 0, err
	}
	_, at, err := c.expect(string(key))
	return ms(typed, at), err
}

// throughputs measures throughput, each round in a session of its own.
func (b *bench) throughputs() error {
	progress("throughput: %d rounds of %d MiB", b.throughput, b.size)
	for i := range b.throughput {
		for _, s := range b.turn(i) {
			time.Sleep(pause)
			rate, err := throughput(s, b.size)
			if err != nil {
				return err
			}
			to := b.samples[s.name]
			to.throughput = append(to.throughput, rate)
		}
	}
	return nil
}

// throughput is in MB/s of what the program writes, from the first byte read to
// the marker after the last. Only who draws a screen may leave something out.
func throughput(s subject, size int) (float64, error) {
	c, err := startClient(s, fmt.Sprintf("flood=%d", size))
	if err != nil {
		return 0, err
	}
	defer c.close()
	if _, _, err := c.expectMark(markReady); err != nil {
		return 0, err
	}
	if err := c.settle(); err != nil {
		return 0, err
	}
	if err := c.press(floodKey); err != nil {
		return 0, err
	}
	wrote := floodLines(size) * lineSize
	arrived, seconds, err := c.drain(markOpen(markEnd))
	switch {
	case err != nil:
		return 0, err
	case !s.draws && arrived != wrote:
		return 0, fmt.Errorf("%s: %d bytes of output arrived out of %d", s.name, arrived, wrote)
	}
	if _, _, err := c.finish(); err != nil {
		return 0, err
	}
	return float64(wrote) / 1e6 / seconds, nil
}
