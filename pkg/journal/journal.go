// Package journal tells systemd's journal what happens: in a sentence for people, and
// in fields to look it up by.
//
// Nobody waits for the journal. What it does not take at once is put into a queue, from
// which one goroutine sends; what finds the queue full is counted, and the count is told
// when the journal listens again. The record (pkg/audit), not the journal, is what must
// be complete.
//
// Nobody else's text makes a line of the journal, a long one, or moves a cursor of who
// reads it.
package journal

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/coreos/go-systemd/v22/journal"
	"golang.org/x/sys/unix"
)

const (
	// socket is journald's, for its native protocol
	// (https://systemd.io/JOURNAL_NATIVE_PROTOCOL).
	socket = "/run/systemd/journal/socket"
	// How many entries wait, and how many bytes of them: about as much as systemd's
	// stream for stderr holds. The kernel holds some hundred more.
	room     = 8192
	maxBytes = 8 << 20
	// patience is how long the journal may take for an entry until that is said.
	patience = time.Second
	// again is how long to wait until a journal is called that is not there.
	again = 100 * time.Millisecond

	maxMessage = 4096 // characters
	maxValue   = 256
)

// About is what an entry can be looked up by. What does not apply is empty.
type About struct {
	Session   string // its id
	Profile   string
	AgentUser string
	User      string // the human
	UID       string // the human's
	Client    string
}

// Log is where entries go.
type Log struct {
	writing sync.Mutex // keeps lines whole
	lines   io.Writer  // where sentences go; nil: entries go to the journal

	path   string // journald's
	stderr io.Writer
	queue  chan []byte
	ending chan struct{}
	once   sync.Once // closes it
	ended  chan struct{}

	mu    sync.Mutex // guards what follows; never held where the journal can make us wait
	waits int        // bytes, in the queue or being sent
	lost  int        // entries

	conn  *net.UnixConn // the sending goroutine's while something waits, else guarded by mu
	stuck bool          // the sending goroutine's: and that was said
	until time.Time     // the sending goroutine's; zero: the log is not closed
}

// To is a log of sentences, a line each.
func To(w io.Writer) *Log { return &Log{lines: w} }

// Open is the log of a program: the journal if that is where its stderr leads, else
// stderr. Close ends it.
func Open() *Log {
	if is, err := journal.StderrIsJournalStream(); !is || err != nil {
		return To(os.Stderr)
	}
	return open(socket, os.Stderr)
}

func open(path string, stderr io.Writer) *Log {
	l := &Log{
		path: path, stderr: stderr,
		queue: make(chan []byte, room), ending: make(chan struct{}), ended: make(chan struct{}),
	}
	go l.run()
	return l
}

// Close sends what waits, if the journal takes it within a second or two. What is told
// later is lost.
func (l *Log) Close() {
	if l.lines == nil {
		l.once.Do(func() { close(l.ending) })
		<-l.ended
	}
}

// Tell makes an entry, and waits for nobody. In the sentence any %s may be anybody's.
func (l *Log) Tell(kind Kind, about About, format string, args ...any) {
	message := Shown(fmt.Sprintf(format, args...), maxMessage)
	if l.lines != nil {
		l.writing.Lock()
		defer l.writing.Unlock()
		fmt.Fprintln(l.lines, message)
		return
	}
	e := entry(kind, about, message)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waits == 0 && l.lost == 0 && l.sentAtOnce(e) {
		return
	}
	if l.waits+len(e) <= maxBytes {
		select {
		case l.queue <- e:
			l.waits += len(e)
			return
		default:
		}
	}
	l.lost++
}

// sentAtOnce says whether the journal has taken an entry without making us wait. l.mu is
// held, and nothing waits.
func (l *Log) sentAtOnce(e []byte) bool {
	select {
	case <-l.ending:
		return false
	default:
	}
	if l.dial() != nil {
		return false
	}
	raw, err := l.conn.SyscallConn()
	if err != nil {
		return false
	}
	err2 := raw.Control(func(fd uintptr) {
		_, err = unix.SendmsgN(int(fd), e, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	})
	return err == nil && err2 == nil
}

// Printf tells of something that went wrong and is about no session.
func (l *Log) Printf(format string, args ...any) { l.Tell(Trouble, About{}, format, args...) }

// identifier is what lines of this program begin with, in journalctl.
var identifier = filepath.Base(os.Args[0])

// entry is one in journald's protocol: a line for each field, as no value has two.
func entry(kind Kind, about About, message string, more ...string) []byte {
	k := kinds[kind]
	var b strings.Builder
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s=%s\n", name, value)
		}
	}
	field("MESSAGE", message)
	field("PRIORITY", fmt.Sprint(int(k.priority)))
	field("SYSLOG_FACILITY", "3") // daemon, as for what comes by stderr
	field("SYSLOG_IDENTIFIER", identifier)
	field("MESSAGE_ID", k.id)
	field("AAAU_EVENT", k.event)
	field("AAAU_SESSION", Shown(about.Session, maxValue))
	field("AAAU_PROFILE", Shown(about.Profile, maxValue))
	field("AAAU_AGENT_USER", Shown(about.AgentUser, maxValue))
	field("AAAU_USER", Shown(about.User, maxValue))
	field("AAAU_UID", Shown(about.UID, maxValue))
	field("AAAU_CLIENT", Shown(about.Client, maxValue))
	for i := 0; i+1 < len(more); i += 2 {
		field(more[i], more[i+1])
	}
	return []byte(b.String())
}

// Shown is text of an agent's or a stranger's as it may be shown: nothing in it moves
// a cursor, and it is not longer than so many characters.
func Shown(s string, most int) string {
	n := 0
	return strings.Map(func(r rune) rune {
		if n++; n > most {
			return -1
		}
		if !unicode.IsPrint(r) {
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

// run sends entries until the log is closed, and then those that are left.
func (l *Log) run() {
	defer close(l.ended)
	for {
		select {
		case e := <-l.queue:
			l.deliver(e)
		case <-l.ending:
			for len(l.queue) > 0 {
				l.deliver(<-l.queue)
			}
			l.mu.Lock() // whoever was at it has seen to it, or sees that we end
			defer l.mu.Unlock()
			l.hangUp()
			return
		}
	}
}

// deliver sends an entry, however long that takes, and how many were lost; a log that is
// closed tries once.
func (l *Log) deliver(e []byte) {
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.waits -= len(e)
	}()
	for {
		err := l.send(e)
		if err == nil {
			l.confess()
			return
		}
		select {
		case <-l.ending:
			l.giveUp(err)
			return
		default:
		}
		if !l.stuck {
			l.stuck = true
			fmt.Fprintf(l.stderr, "the journal takes no entries (%v): they wait, up to %d, and then are lost; the record continues: see systemctl status systemd-journald\n", err, room)
		}
		select {
		case <-l.ending:
		case <-time.After(again):
		}
	}
}

// confess tells how many entries were lost, now that the journal listens.
func (l *Log) confess() {
	l.mu.Lock()
	n := l.lost
	l.mu.Unlock()
	if n > 0 {
		text := fmt.Sprintf("%d entries of about now are not in the journal, which did not listen; the record has what they told", n)
		if l.send(entry(Lost, About{}, text, "AAAU_LOST", fmt.Sprint(n))) != nil {
			return
		}
		l.mu.Lock()
		l.lost -= n
		l.mu.Unlock()
	}
	l.stuck = false
}

// giveUp counts what was not sent until the end.
func (l *Log) giveUp(err error) {
	l.mu.Lock()
	for l.lost++; len(l.queue) > 0; l.lost++ {
		l.waits -= len(<-l.queue)
	}
	n := l.lost
	l.mu.Unlock()
	fmt.Fprintf(l.stderr, "the journal takes no entries (%v): %d are lost; the record has what they told\n", err, n)
}

// send sends an entry.
//
// On a connected socket of our own: the one of go-systemd's Send is not connected, has no
// deadline, and while the journal's queue is full its Write does not sleep but tries
// without end. (For a socket without a peer the kernel says "writable" whenever its own
// buffer has room, and again each time that a send fails; see unix_dgram_poll.)
func (l *Log) send(e []byte) error {
	if err := l.dial(); err != nil {
		return err
	}
	l.conn.SetWriteDeadline(l.deadline())
	_, err := l.conn.Write(e)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		l.hangUp() // another one may listen there now
	}
	return err
}

func (l *Log) dial() (err error) {
	if l.conn == nil {
		l.conn, err = net.DialUnix("unixgram", nil, &net.UnixAddr{Name: l.path, Net: "unixgram"})
	}
	return err
}

// deadline is until when the journal may take an entry: once the log is closed, one time
// for all that are left.
func (l *Log) deadline() time.Time {
	until := time.Now().Add(patience)
	select {
	case <-l.ending:
		if l.until.IsZero() {
			l.until = until
		}
		return l.until
	default:
		return until
	}
}

func (l *Log) hangUp() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}
