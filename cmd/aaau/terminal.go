package main

import (
	"bytes"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/AgentaaU/AaaU/pkg/vtseq"
)

// terminal is the person's, if they have one: raw while they are in a session,
// and always given back as it was found.
type terminal struct {
	f     *os.File
	tty   bool
	mu    sync.Mutex // guards what follows
	saved *term.State
	ahead []byte // was read, and nobody was there to take it

	typed   <-chan []byte // see startReading
	quit    func()
	quitted <-chan struct{} // closed when who read last has ended; nil: nobody did
}

func newTerminal(f *os.File) *terminal { return &terminal{f: f, tty: isTTY(f)} }

func isTTY(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// isTTY says whether it was one at the start: one that hung up still counts.
func (t *terminal) isTTY() bool { return t.tty }

// raw makes the terminal raw; nothing if there is none.
func (t *terminal) raw() (err error) {
	if !t.isTTY() {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.saved, err = term.MakeRaw(int(t.f.Fd()))
	return err
}

// isRaw says whether raw made it so.
func (t *terminal) isRaw() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.saved != nil
}

// restore undoes raw, once.
func (t *terminal) restore() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.saved != nil {
		_ = term.Restore(int(t.f.Fd()), t.saved) // it fails if the terminal is gone
		t.saved = nil
	}
}

// guard runs a goroutine's function; if it panics, the terminal is given back
// before the program dies of it.
func (t *terminal) guard(f func()) {
	defer func() {
		if r := recover(); r != nil {
			t.restore()
			panic(r)
		}
	}()
	f()
}

// shown is what a person's terminal is shown of a session. It keeps what modes that
// leaves the terminal in, to take it out of them when the person leaves: a full-screen
// program is not there to do it.
type shown struct {
	titled bool // the window's title is kept, and given back

	mu    sync.Mutex // guards what follows; held while something is shown
	modes vtseq.Modes
	scan  vtseq.Output
	asked time.Time // when the program asked the terminal something last
	same  time.Time // when it asked what settle asks
	begun bool      // something was
	kept  bool      // the window's title, which the session may have changed since
	under []byte    // takes away the bridge's words, which stand on the terminal now
	ours  bool      // the window's title is ours, while the bridge is away
	told  []told    // what explains the session's end, if that comes now
	blank bool      // the terminal shows something else, until the screen is redrawn
	lent  bool      // and until then the terminal is not ours
	over  bool
}

// redraw shows the session's screen, the first time below what the terminal showed
// before: that goes to its scrollback.
func (s *shown) redraw(p []byte) error {
	s.mu.Lock()
	anew := bytes.HasPrefix(p, []byte(vtseq.ResetBegins))
	if s.blank && (s.lent || !anew) { // it adds to what the terminal does not show
		s.mu.Unlock()
		return nil
	}
	s.blank = false
	before := bytes.Repeat([]byte("\n"), int(size().Rows)-1)
	if s.begun {
		before = nil
		if anew { // it does not know what was set before
			before = s.modes.Undo()
		}
	}
	s.mu.Unlock()
	_, err := s.Write(append(before, p...))
	return err
}

// The window's title is the person's: before the session sets one, theirs is kept on the
// terminal's own stack.
const (
	pushTitle = "\x1b[22;0t"
	popTitle  = "\x1b[23;0t"
)

// keepsTitle says whether a terminal of this kind has a title. One that has none, and
// shows what it does not know, is asked nothing.
func keepsTitle(kind string) bool {
	switch kind {
	case "", "dumb", "unknown", "linux":
		return false
	}
	return true
}

// Write shows output, until leave.
func (s *shown) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.blank {
		return len(p), nil // it is not for a terminal that is the person's again
	}
	s.begun = true
	s.modes.Scan(p)
	s.scan.Scan(p, func(f vtseq.Found) {
		if f.Kind != vtseq.Asked {
			return
		}
		if s.asked = time.Now(); f.Query == vtseq.AskStatus {
			s.same = s.asked
		}
	})
	if len(s.under) > 0 {
		if err := s.uncover(nil); err != nil {
			return 0, err
		}
	}
	if !s.titled || s.kept {
		return stdout.Write(p)
	}
	if at := titleAt(p); at >= 0 {
		s.kept = true
		if n, err := stdout.Write(append(bytes.Clone(p[:at]), pushTitle...)); err != nil {
			return min(n, at), err
		}
		n, err := stdout.Write(p[at:])
		return at + n, err
	}
	return stdout.Write(p)
}

// titleAt returns where output may set the window's title for the first time: where an OSC begins
// in it, or could begin at its end. It is -1 if there is no such place. An ESC ends what stands
// before it, so that something whole may be written there.
func titleAt(p []byte) int {
	if at := bytes.Index(p, []byte("\x1b]")); at >= 0 {
		return at
	}
	if bytes.HasSuffix(p, []byte{0x1b}) {
		return len(p) - 1
	}
	return -1
}

// aside writes what is not the session's and moves no cursor, unless that would be in
// the midst of something.
func (s *shown) aside(p string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over && !s.blank && !s.scan.Amid() {
		_, _ = stdout.WriteString(p) // what is shown next fails too
	}
}

// giveBack takes the terminal out of what the output has left it in. It says whether the cursor
// is known to be at some line's beginning then. s.mu is held.
func (s *shown) giveBack() (fresh bool) {
	if !s.over {
		_ = s.uncover(nil) // it fails if the terminal is gone
		s.setTitle("")
	}
	restore, fresh := s.modes.Restore()
	if s.kept {
		restore = append(restore, popTitle...)
	}
	if len(restore) > 0 && !s.over && isTTY(os.Stdout) {
		_, _ = stdout.Write(restore) // it fails if the terminal is gone
	}
	return fresh
}

// suspend is leave for a while: until the session's screen is redrawn nothing is shown. It says
// whether the program had asked to be told of the focus, of which the terminal says nothing now.
func (s *shown) suspend() (focus bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.blank {
		return false
	}
	focus = s.modes.Is(vtseq.ModeFocus)
	s.giveBack()
	s.modes, s.scan, s.begun, s.kept, s.blank, s.lent = vtseq.Modes{}, vtseq.Output{}, false, false, true, true
	return focus
}

// resume lets the screen be redrawn: the terminal is ours again.
func (s *shown) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lent = false
}

// leave takes the terminal out of what the output has left it in, if it has.
func (s *shown) leave() owing {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := s.giveBack()
	s.over = true
	return owing{any: s.modes.Speaks() || time.Since(s.asked) < answering, same: time.Since(s.same) < answering, fresh: fresh}
}

// stop gives the terminal back and stops this program, as its terminal would have. SIGCONT
// says that it continues.
func (t *terminal) stop() error {
	t.restore()
	return syscall.Kill(os.Getpid(), syscall.SIGSTOP)
}

// again takes the terminal again after this program was stopped, by whatever signal.
func (t *terminal) again() error {
	t.restore()
	return t.raw()
}
