// Package session holds one session from the bridge's side: its terminal or its
// pipes, its tapes, and the word of its stage on how it began and ended.
//
// Start starts its goroutines, and the session's end ends them: one reads what the
// program writes onto a tape (with pipes there are two of these, output's and
// errors'), and one follows the stage. A session ends when its stage has: then no
// process of it is left, and no byte of output is still to come.
package session

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/scope"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/tape"
)

// defaultTape is how much output a session keeps for those who join late, in bytes, and
// how much of errors, where the launcher does not say: one older than this bridge.
const defaultTape = 4 << 20

// stall is how long a person's client may take nothing before the program waits
// for it no longer.
const stall = time.Second

// linger is how long the end of a session's output may take when no process of it is
// left. It takes no time, unless the program gave its terminal or its pipe away to
// somebody outside: they do not keep the session.
const linger = 2 * time.Second

// maxLeft bounds, in bytes, what can be left to read then: no pipe of the agent's
// holds more (pipe(7), pipe-max-size), and a terminal less.
const maxLeft = 2 << 20

// Info is what is known of a session from its start.
type Info struct {
	privsep.Session
	Profile string
	Owner   peer.Peer
	Began   time.Time
	// Time is how long it may take, 0 for as long as it likes; Deadline is when that is
	// over: clock_gettime(2), CLOCK_BOOTTIME.
	Time, Deadline time.Duration `json:",omitzero"`
	Private        bool          // it sees files or secrets of its owner's
}

// Exit is how a session ended: its program's wait status, if it ran.
type Exit struct {
	Ran  bool
	Wait syscall.WaitStatus
	// Silent: the stage ended without telling the program's status, and AaaU had not killed
	// it. Wait is then the SIGKILL by which the kernel ended whatever was left in the stage's
	// namespace; how the program itself ended is not known.
	Silent bool
}

// Unknown is what people are told of a Silent end.
const Unknown = "its first process ended without telling the program's status, and AaaU did not kill it"

func (e Exit) String() string {
	switch {
	case !e.Ran:
		return "its program never ran"
	case e.Silent:
		return Unknown
	case e.Wait.Signaled():
		return fmt.Sprintf("ended by %s", unix.SignalName(e.Wait.Signal()))
	default:
		return fmt.Sprintf("exit status %d", e.Wait.ExitStatus())
	}
}

// Session is one session.
type Session struct {
	Info
	Mounts *os.File // its mount namespace; open until atDeath has returned
	input  *os.File // the terminal's master, or the write end of a pipe
	tracks []track  // output's, and with pipes errors'
	pidfd  *os.File
	status *os.File

	started chan error     // one word: whether the program runs
	gone    chan struct{}  // closed when none of its processes is left
	reading sync.WaitGroup // until the last byte is on the tapes
	ended   chan struct{}  // closed when exit is set and all is over
	exit    Exit
	used    scope.Use
	ran     atomic.Bool

	mu     sync.Mutex        // guards what follows
	frozen map[string]string // why its processes are stopped, by reason
	size   spec.Size         // the terminal's

	typing  chan struct{} // has one while Write or CloseInput is at work: the end comes after what was typed before
	exposed chan struct{} // has room for one

	lending sync.Mutex // guards fds, and is held while they are lent
	fds     []int      // as New got them, while they are open
	places  places
	// Changing is held while the session's processes are being stopped or let go on.
	Changing sync.Mutex
}

// New takes a session over from the launcher, with its descriptors in the order
// of privsep.Reply, which are the session's to close from here on, also
// when New fails.
func New(info Info, fds []int) (*Session, error) {
	var tapes []*tape.Tape
	for range ways(info.SeparateErrors()) {
		t, err := tape.New(tapeSize(info.Tape))
		if err != nil {
			privsep.Close(fds...)
			closeTapes(tapes)
			return nil, err
		}
		tapes = append(tapes, t)
	}
	return take(info, tapes, fds)
}

// ways is on how many ways a session's program writes.
func ways(separateErrors bool) int {
	if separateErrors {
		return 2
	}
	return 1
}

func tapeSize(asked int64) int {
	if asked == 0 {
		return defaultTape
	}
	return int(asked)
}

// Memory is how many bytes the tapes of a session will take whose launcher asks for tapes
// of this size, 0 for its default.
func Memory(size int64, separateErrors bool) int64 {
	return int64(ways(separateErrors)) * tape.Memory(int64(tapeSize(size)))
}

// Memory is how many bytes the session's tapes take, when all of them has been used.
func (s *Session) Memory() (n int64) {
	for _, t := range s.tracks {
		n += t.tape.Memory()
	}
	return n
}

// AwaitFreed returns when nobody reads the tapes of a session any more that has ended.
func (s *Session) AwaitFreed() {
	for _, t := range s.tracks {
		<-t.tape.Freed()
	}
}

// Forget gives back the rest of the memory of tapes that are freed, and that nobody is to
// adopt any more.
func (s *Session) Forget() error {
	var errs []error
	for _, t := range s.tracks {
		errs = append(errs, t.tape.Forget())
	}
	return errors.Join(errs...)
}

func closeTapes(tapes []*tape.Tape) {
	for _, t := range tapes {
		t.Close()
	}
}

// take makes a session of what it needs, which is its own from here on, also beside
// an error.
func take(info Info, tapes []*tape.Tape, fds []int) (_ *Session, err error) {
	s := &Session{
		Info:    info,
		started: make(chan error, 1),
		gone:    make(chan struct{}),
		ended:   make(chan struct{}),
		exposed: make(chan struct{}, 1),
		typing:  make(chan struct{}, 1),
		fds:     fds,
	}
	defer func() {
		if err != nil {
			privsep.Close(fds...)
			closeTapes(tapes)
		}
	}()
	if len(fds) != info.FDs() || len(tapes) != ways(info.SeparateErrors()) {
		return nil, fmt.Errorf("a session with %d descriptors, not %d", len(fds), info.FDs())
	}
	for _, fd := range fds {
		// Before NewFile, which otherwise makes a file whose reads no Close ends.
		if err := unix.SetNonblock(fd, true); err != nil {
			return nil, fmt.Errorf("preparing the session's descriptors: %w", err)
		}
	}
	if !info.Pipes {
		size, err := unix.IoctlGetWinsize(fds[0], unix.TIOCGWINSZ)
		if err != nil {
			return nil, fmt.Errorf("asking the terminal for its size: %w", err)
		}
		s.size = spec.Size{Rows: size.Row, Cols: size.Col, XPixel: size.Xpixel, YPixel: size.Ypixel}
	}
	for _, t := range tapes {
		s.tracks = append(s.tracks, track{tape: t})
	}
	s.input = os.NewFile(uintptr(fds[0]), "input")
	s.pidfd = os.NewFile(uintptr(fds[1]), "pidfd")
	s.status = os.NewFile(uintptr(fds[2]), "status")
	s.Mounts = os.NewFile(uintptr(fds[3]), "mounts")
	s.tracks[0].from = s.input
	if info.Pipes {
		s.tracks[0].from = os.NewFile(uintptr(fds[4]), "output")
	}
	if info.SeparateErrors() {
		s.tracks[1].from = os.NewFile(uintptr(fds[len(fds)-1]), "errors")
	}
	return s, nil
}

// Start lets the session live. atDeath is called when none of its processes is left, while its
// mount namespace is still there. When it has ended, and before anybody is told,
// atEnd is called, for whatever must be true by then. If its stage had to kill it,
// tripped is called before.
func (s *Session) Start(atDeath func(), atEnd func(*Session), tripped func(why string)) {
	for _, t := range s.tracks {
		s.reading.Go(func() { t.read(s.gone) })
	}
	go s.follow(atDeath, atEnd, tripped)
}

// Started waits until the program runs; else it says why not, as the stage's own
// *privsep.Error if there is one. To be called once.
func (s *Session) Started() error { return <-s.started }

// Exposed tells that a lock of the session's view is gone.
func (s *Session) Exposed() <-chan struct{} { return s.exposed }

// Ran says whether the program runs, or has run.
func (s *Session) Ran() bool { return s.ran.Load() }

// Ended is closed when the session has ended.
func (s *Session) Ended() <-chan struct{} { return s.ended }

// Gone is closed when none of its processes is left, which is before it has ended: there
// may be much to be done about its output.
func (s *Session) Gone() <-chan struct{} { return s.gone }

// Exit is how it ended, from Start's atEnd on.
func (s *Session) Exit() Exit { return s.exit }

// Read makes a cursor on the session's output; the caller closes it. The program
// waits for it as hold says.
func (s *Session) Read(from int64, hold tape.Hold) (*tape.Cursor, error) {
	return s.tracks[0].tape.Read(from, hold)
}

// ReadErrors is Read for what the program writes to its standard error. The cursor is
// nil where a terminal has both.
func (s *Session) ReadErrors(from int64, hold tape.Hold) (*tape.Cursor, error) {
	if !s.SeparateErrors() {
		return nil, nil
	}
	return s.tracks[1].tape.Read(from, hold)
}

// Bytes is how much output there was so far, errors included.
func (s *Session) Bytes() (n int64) {
	for _, t := range s.tracks {
		n += t.tape.Head()
	}
	return n
}

// ErrorBytes is how much of that were errors, where they go another way.
func (s *Session) ErrorBytes() int64 {
	if !s.SeparateErrors() {
		return 0
	}
	return s.tracks[1].tape.Head()
}

// Used is what the session has used, as far as that is known, from Start's atEnd on.
func (s *Session) Used() scope.Use { return s.used }

// Abandon lets go of the session, upon which its stage ends it. The end is still
// to be waited for.
func (s *Session) Abandon() {
	s.Killing()
	s.status.Close()
}

// Freeze notes that the session's processes are stopped for a reason, and what to
// tell people of it; Thaw takes a reason away, and says whether it was the last. It
// is the caller who stops them.
func (s *Session) Freeze(reason, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen == nil {
		s.frozen = map[string]string{}
	}
	s.frozen[reason] = why
}

// Thaw undoes Freeze for one reason; see there.
func (s *Session) Thaw(reason string) (last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.frozen, reason)
	return len(s.frozen) == 0
}

// Frozen tells why the session's processes are stopped, by reason; none while they
// are not.
func (s *Session) Frozen() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.frozen)
}

// Resize sets the terminal's size, and the kernel tells the program (SIGWINCH): once,
// however often the same size is set. Pipes have none.
func (s *Session) Resize(size spec.Size) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Pipes || size == s.size {
		return nil
	}
	raw, err := s.input.SyscallConn()
	if err != nil {
		return err
	}
	err2 := raw.Control(func(fd uintptr) {
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Cols, Xpixel: size.XPixel, Ypixel: size.YPixel})
	})
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	s.size = size
	return nil
}

// Terminal is what the terminal is called in the session; empty with pipes.
func (s *Session) Terminal() string {
	raw, err := s.input.SyscallConn()
	if s.Pipes || err != nil {
		return ""
	}
	var n int
	err2 := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN) })
	if err != nil || err2 != nil {
		return ""
	}
	return fmt.Sprintf("/dev/pts/%d", n)
}

// Size is what the terminal was last sized to; zero with pipes.
func (s *Session) Size() (rows, cols uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size.Rows, s.size.Cols
}

// FullSize is Size with the pixels.
func (s *Session) FullSize() spec.Size {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// follow hears the stage out, waits for its end and the output's, and ends the
// session.
func (s *Session) follow(atDeath func(), atEnd func(*Session), tripped func(why string)) {
	// When a stage ends without a word, the kernel kills its namespace's processes.
	s.exit.Wait = syscall.WaitStatus(unix.SIGKILL)
	told := false
	tell := func(err error) {
		if !told {
			s.started <- err
			told = true
		}
	}
	if s.Ran() { // in another bridge's time
		s.exit.Ran = true
		tell(nil)
	}
	if end := s.word(wordEnd).Load(); end != 0 {
		s.exit.Wait = syscall.WaitStatus(uint32(end))
	}
	hear(s.status, func(st privsep.Status) {
		switch {
		case st.Started:
			s.word(wordRan).Store(1)
			s.exit.Ran = true
			s.ran.Store(true)
			tell(nil)
		case st.Error != nil:
			tell(st.Error)
		case st.Exposed:
			s.expose()
		case st.Tripped != "":
			s.Killing() // by the stage, which says no more
			tripped(st.Tripped)
		case st.Ended != nil:
			s.used = scope.Used(s.Profile, s.Scope) // while there is one: the stage is in it
			s.word(wordEnd).Store(1<<32 | uint64(st.Ended.Wait))
			s.exit.Wait = syscall.WaitStatus(st.Ended.Wait)
		}
	})
	if s.used == (scope.Use{}) { // it was killed, and systemd may not have removed the scope yet
		s.used = scope.Used(s.Profile, s.Scope)
	}
	s.recall()
	tell(errors.New("the session's first process ended before it started the program"))
	s.awaitStage()
	atDeath()
	s.Mounts.Close()
	s.exit.Silent = s.word(wordEnd).Load() == 0 && !s.isKilled()
	for _, t := range s.tracks {
		t.from.SetReadDeadline(time.Unix(1, 0)) // before gone, after which read sets its own
	}
	close(s.gone)
	s.input.SetWriteDeadline(time.Unix(1, 0)) // input under way has nowhere to go
	s.reading.Wait()
	s.status.Close()
	s.pidfd.Close()
	s.input.Close()
	for _, t := range s.tracks {
		t.from.Close()
		t.tape.Close()
	}
	atEnd(s)
	close(s.ended)
}

// expose notes that a lock is gone.
func (s *Session) expose() {
	select {
	case s.exposed <- struct{}{}:
	default: // that is said already
	}
}

// IsGone asks the kernel whether any process of the session is left: Gone may be closed
// a little later.
func (s *Session) IsGone() (is bool) {
	raw, err := s.pidfd.SyscallConn()
	if err != nil {
		return true
	}
	err = raw.Control(func(fd uintptr) { is = hasEnded(fd) })
	return is || err != nil // it is closed
}

// hasEnded says whether a pidfd's process has: there is nothing to read, but it is
// readable then (pidfd_open(2)).
func hasEnded(fd uintptr) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(p, 0)
	return err == nil && n == 1
}

// awaitStage waits until the stage is gone; as it is PID 1 of the session's
// processes, none of them is left then (pid_namespaces(7)).
func (s *Session) awaitStage() {
	raw, err := s.pidfd.SyscallConn()
	if err != nil {
		return
	}
	raw.Read(hasEnded)
}
