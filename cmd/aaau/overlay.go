package main

import (
	"fmt"
	"slices"
	"time"
)

// What AaaU itself has to say stands over the program's screen for some seconds. The bridge
// makes what shows it and what takes it away, as it knows what is beneath; here it is seen to
// that nothing else is ever written between the two.

// words shows words of the bridge's, until restore is written: before anything else is.
func (s *shown) words(show, restore []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.blank {
		return nil
	}
	if err := s.uncover(show); err != nil {
		return err
	}
	s.under = append(s.under, restore...)
	return nil
}

// uncover takes away what stands, and writes what comes instead. s.mu is held.
func (s *shown) uncover(instead []byte) error {
	p := append(s.under, instead...)
	s.under = s.under[:0]
	if len(p) == 0 {
		return nil
	}
	_, err := stdout.Write(p)
	return err
}

// away says in the window's title what cannot be said on a screen that nobody knows, while
// there is no bridge; "" takes it back.
func (s *shown) away(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over && !s.blank {
		s.setTitle(line)
	}
}

// setTitle pushes the window's title, if there is one, and sets another, or with "" pops it
// again; not in the midst of a sequence. s.mu is held. What fails here fails at what is written next.
func (s *shown) setTitle(line string) {
	switch {
	case line == "" && s.ours:
		_, _ = stdout.WriteString("\x1b[23;2t")
		s.ours = false
	case line == "" || !s.titled || s.scan.Amid():
	default:
		if !s.ours {
			_, _ = stdout.WriteString("\x1b[22;2t")
		}
		_, _ = fmt.Fprintf(stdout, "\x1b]2;aaau: %s\x1b\\", harmless(line))
		s.ours = true
	}
}

// told is something that was said in words.
type told struct {
	line string
	at   time.Time
}

const (
	// explains is for how long something that was said explains a session's end: words are
	// gone from the terminal with the session's screen.
	explains = 10 * time.Second
	// maxTold bounds how much of that is kept.
	maxTold = 4
)

// note keeps what explains the session's end, if that comes now.
func (s *shown) note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.told) == maxTold {
		s.told = slices.Delete(s.told, 0, 1)
	}
	s.told = append(s.told, told{line, time.Now()})
}

// tellAgain says what explains the session's end, on a terminal that is the person's again.
func (s *shown) tellAgain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = slices.DeleteFunc(s.told, func(t told) bool { return time.Since(t.at) > explains })
	if len(s.told) > 0 {
		fmt.Fprintln(stderr) // not on the program's last line
	}
	for _, t := range s.told {
		say(t.line)
	}
}
