package main

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/vtseq"
)

// A terminal answers what programs ask it, and tells of the mouse and the like, by what
// looks typed. What of that is still under way when a person leaves is for nobody, and
// would stand at their shell's prompt. So it is asked something itself then: it answers
// in order, and what comes before that answer is thrown away.
//
// What the person types in that moment, some milliseconds, is thrown away with it: there
// is no way to put it back (TIOCSTI was one, and is closed). What they type later
// stays in the terminal and is the shell's.
const (
	askWhetherDone = "\x1b[5n" // DSR: any terminal answers it
	// settling is how long a terminal has to answer. One that is slower, or is none, is
	// left as it is.
	settling = 200 * time.Millisecond
	// answering is how long after a question an answer may still come.
	answering = 2 * time.Second
)

// owing says what a terminal may still say by itself.
type owing struct {
	any  bool
	same bool // also an answer that is like the one which settle waits for

	fresh bool // the cursor is at the beginning of an empty line, with nothing below
}

// settle has the terminal say what it still has to say, to nobody.
func (t *terminal) settle(o owing) {
	if !o.any || !t.isRaw() || !sameTerminal(t.f, os.Stdout) {
		return
	}
	if _, err := stdout.WriteString(askWhetherDone); err != nil {
		return // it is gone
	}
	late := time.NewTimer(settling)
	defer late.Stop()
	var in vtseq.Input
	for done := false; !done || o.same; {
		select {
		case typed, open := <-t.typed:
			if !open {
				return
			}
			in.Split(typed, func(piece []byte, report bool) {
				done = done || report && (string(piece) == "\x1b[0n" || string(piece) == "\x1b[3n")
			})
		case <-late.C:
			_ = unix.IoctlSetInt(int(t.f.Fd()), unix.TCFLSH, unix.TCIFLUSH) // it is gone, or has nothing
			return
		}
	}
}

// sameTerminal says whether two files are.
func sameTerminal(a, b *os.File) bool {
	x, err := unix.IoctlGetUint32(int(a.Fd()), unix.TIOCGDEV)
	if err != nil {
		return false
	}
	y, err := unix.IoctlGetUint32(int(b.Fd()), unix.TIOCGDEV)
	return err == nil && x == y
}
