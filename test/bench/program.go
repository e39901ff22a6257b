package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Markers are what the program says between its output. Each carries the moment
// it was printed, so that the measuring side knows how long it was under way.
const (
	markReady = "ready"
	markEnd   = "end"
)

// A marker fits on one line of the terminal, or tmux would break it.
func markOpen(name string) string { return "@@" + name + " " }

const markClose = "@@"

// endKey ends every mode: on a terminal that is not raw it means end of file.
const endKey = 0x04

// lineSize is that of a line of flood, and floodKey asks for all lines.
const (
	lineSize = 100
	floodKey = 'g'
)

// program is the load in a subject: it says that it is ready, does as mode says
// until endKey, and says that it ends.
//
//	start     nothing
//	echo      copies each byte back, on a raw terminal
//	flood=N   at floodKey prints N MiB of lines, on a raw terminal
func program(mode string) error {
	if mode == "start" { // nothing before the first byte, which is timed
		mark(markReady)
		_, err := io.Copy(io.Discard, os.Stdin)
		mark(markEnd)
		return err
	}
	mode, size, _ := strings.Cut(mode, "=")
	lines := 0
	if mode == "flood" {
		mib, err := strconv.Atoi(size)
		if err != nil {
			return err
		}
		lines = floodLines(mib)
	}
	if _, err := term.MakeRaw(0); err != nil {
		return fmt.Errorf("making the terminal raw: %w", err)
	}
	mark(markReady)
	key := make([]byte, 1)
	for {
		if _, err := os.Stdin.Read(key); err != nil {
			return err
		}
		switch {
		case key[0] == endKey:
			mark(markEnd)
			return nil
		case mode == "flood" && key[0] == floodKey:
			if err := flood(lines); err != nil {
				return err
			}
			mark(markEnd)
		case mode == "echo":
			if _, err := os.Stdout.Write(key); err != nil {
				return err
			}
		}
	}
}

// floodLines is how many lines make up that many MiB, rounded down.
func floodLines(mib int) int { return mib << 20 / lineSize }

func flood(lines int) error {
	line := strings.Repeat("0123456789", lineSize/10)[:lineSize-2] + "\r\n"
	const together = 500
	block := bytes.Repeat([]byte(line), together)
	for lines > 0 {
		n := min(lines, together)
		if _, err := os.Stdout.Write(block[:n*lineSize]); err != nil {
			return err
		}
		lines -= n
	}
	return nil
}

func mark(name string) {
	os.Stdout.WriteString(markOpen(name) + strconv.FormatInt(now(), 10) + markClose + "\r\n")
}

// now is in nanoseconds of a clock that all processes share.
func now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // it takes no argument that could be wrong
	}
	return t.Nano()
}
