// Package session holds one session from the bridge's side: its terminal, its
// tape, and the word of its stage on how it began and ended.
//
// Two goroutines, started by Start and ended by the session's end: one reads the
// terminal into the tape, one follows the stage. A session ends when its stage has: then no process of it is left, and
// no byte of output is still to come.
package session

import (
	"bufio"
	"encoding/json"
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
	"github.com/AgentaaU/AaaU/pkg/tape"
)

// tapeSize is how much output a session keeps for those who join late, in bytes.
const tapeSize = 4 << 20

// stall is how long a person's client may take nothing before the program waits
// for it no longer.
const stall = time.Second

// Info is what is known of a session from its start.
type Info struct {
	privsep.Session
	Profile string
	Owner   peer.Peer
	Began   time.Time
	Private bool // it sees files or secrets of its owner's
}

// Exit is how a session ended: its program's wait status, if it ran.
type Exit struct {
	Ran  bool
	Wait syscall.WaitStatus
}

func (e Exit) String() string {
	switch {
	case !e.Ran:
		return "its program never ran"
	case e.Wait.Signaled():
		return fmt.Sprintf("ended by %s", unix.SignalName(e.Wait.Signal()))
	default:
		return fmt.Sprintf("exit status %d", e.Wait.ExitStatus())
	}
}

// Session is one session.
type Session struct {
	Info
	Mounts *os.File // its mount namespace, nil if it has no locks; open until the stage's last word
	tape   *tape.Tape
	master *os.File
	pidfd  *os.File
	status *os.File

	started chan error    // one word: whether the program runs
	drained chan struct{} // closed when the last byte of output is on the tape
	ended   chan struct{} // closed when exit is set and all is over
	exit    Exit
	ran     atomic.Bool

	mu     sync.Mutex        // guards what follows
	frozen map[string]string // why its processes are stopped, by reason

	exposed chan struct{} // has room for one
	// Changing is held while the session's processes are being stopped or let go on.
	Changing sync.Mutex
}

// New takes a session over from the launcher, with its descriptors in the order
// of privsep.Reply, which are the session's to close from here on, also
// when New fails.
func New(info Info, fds []int) (*Session, error) {
	for _, fd := range fds[:3] {
		// Before NewFile, which otherwise makes a file whose reads no Close ends.
		if err := unix.SetNonblock(fd, true); err != nil {
			privsep.Close(fds...)
			return nil, fmt.Errorf("preparing the session's descriptors: %w", err)
		}
	}
	t, err := tape.New(tapeSize)
	if err != nil {
		privsep.Close(fds...)
		return nil, err
	}
	s := &Session{
		Info:    info,
		tape:    t,
		master:  os.NewFile(uintptr(fds[0]), "terminal"),
		pidfd:   os.NewFile(uintptr(fds[1]), "pidfd"),
		status:  os.NewFile(uintptr(fds[2]), "status"),
		started: make(chan error, 1),
		drained: make(chan struct{}),
		ended:   make(chan struct{}),
		exposed: make(chan struct{}, 1),
	}
	if len(fds) > 3 {
		s.Mounts = os.NewFile(uintptr(fds[3]), "mounts")
	}
	return s, nil
}

// Start lets the session live. When it has ended, and before anybody is told,
// atEnd is called, for whatever must be true by then. If its stage had to kill it,
// tripped is called before.
func (s *Session) Start(atEnd func(*Session), tripped func(why string)) {
	go s.readTerminal()
	go s.follow(atEnd, tripped)
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

// Exit is how it ended, from Start's atEnd on.
func (s *Session) Exit() Exit { return s.exit }

// Read makes a cursor on the session's output; the caller closes it. The program
// waits for it as hold says.
func (s *Session) Read(from int64, hold tape.Hold) (*tape.Cursor, error) {
	return s.tape.Read(from, hold)
}

// Bytes is how much output there was so far.
func (s *Session) Bytes() int64 { return s.tape.Head() }

// Abandon lets go of the session, upon which its stage ends it. The end is still
// to be waited for.
func (s *Session) Abandon() { s.status.Close() }

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

// Resize sets the terminal's size. The kernel tells the program (SIGWINCH) if it
// is another one.
func (s *Session) Resize(rows, cols uint16) error {
	raw, err := s.master.SyscallConn()
	if err != nil {
		return err
	}
	err2 := raw.Control(func(fd uintptr) {
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	})
	return errors.Join(err, err2)
}

// ErrEnded is for input that comes too late.
var ErrEnded = errors.New("the session has ended")

// Write types data into the terminal and returns when the terminal has taken it
// all, which may be never while the program does not read, but for the session's
// end. What several writers write is never mixed within one Write: os.File sees to
// that.
func (s *Session) Write(data []byte) error {
	if _, err := s.master.Write(data); err != nil {
		return ErrEnded // a terminal fails only by ending
	}
	return nil
}

// readTerminal moves output onto the tape until the stage's end, which is the
// terminal's: EIO (tty_ioctl(4) has no word on it; see pty(7)).
func (s *Session) readTerminal() {
	defer close(s.drained)
	for {
		s.tape.Wait(stall)
		n, err := s.master.Read(s.tape.Space())
		if n > 0 {
			s.tape.Advance(n)
		}
		if err != nil {
			break
		}
	}
	s.master.SetWriteDeadline(time.Unix(1, 0)) // input under way has nowhere to go
}

// maxStatus bounds a line of the stage's, in bytes.
const maxStatus = 4096

// follow hears the stage out, waits for its end and the output's, and ends the
// session.
func (s *Session) follow(atEnd func(*Session), tripped func(why string)) {
	// A stage ends without a word only by SIGKILL, as all of a scope is killed by
	// force, or by a fault of its own; either way the kernel then kills its
	// namespace's processes, so that this is true of the program too.
	s.exit.Wait = syscall.WaitStatus(unix.SIGKILL)
	told := false
	tell := func(err error) {
		if !told {
			s.started <- err
			told = true
		}
	}
	lines := bufio.NewReaderSize(s.status, maxStatus)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			break
		}
		var st privsep.Status
		if err := json.Unmarshal(line, &st); err != nil {
			break
		}
		switch {
		case st.Started:
			s.exit.Ran = true
			s.ran.Store(true)
			tell(nil)
		case st.Error != nil:
			tell(st.Error)
		case st.Exposed:
			select {
			case s.exposed <- struct{}{}:
			default: // that is said already
			}
		case st.Tripped != "":
			tripped(st.Tripped)
		case st.Ended != nil:
			s.exit.Wait = syscall.WaitStatus(st.Ended.Wait)
		}
	}
	if s.Mounts != nil {
		s.Mounts.Close()
	}
	tell(errors.New("the session's first process ended before it started the program"))
	s.awaitStage()
	<-s.drained
	s.status.Close()
	s.pidfd.Close()
	s.master.Close()
	s.tape.Close()
	atEnd(s)
	close(s.ended)
}

// awaitStage waits until the stage is gone; as it is PID 1 of the session's
// processes, none of them is left then (pid_namespaces(7)).
func (s *Session) awaitStage() {
	raw, err := s.pidfd.SyscallConn()
	if err != nil {
		return
	}
	// A pidfd has nothing to read, but is readable at the end (pidfd_open(2)).
	raw.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		return err == nil && n == 1
	})
}
