package launcher

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/anchor"
	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// What a bridge gone bad can have written down at most: so many anchors a second, after
// so many at once; in a day; and in all files together, of which the youngest are kept
// in any case. Days are counted as files, so that a clock that is wrong removes nothing.
const (
	anchorRate  = 64
	anchorBurst = 4096
	maxDay      = 256 << 20 // bytes
	maxAnchors  = 1 << 30   // bytes
	minDays     = 35        // days that had any: 35 × maxDay is the most in all
	maxDays     = 400
)

// journalTime is how long the journal may take for a batch.
const journalTime = 500 * time.Millisecond

// anchors are the files of a directory of root's. All that is kept from one batch to
// the next is in them, but for the rate.
type anchors struct {
	dir      string
	journald string                        // its socket
	say      func(format string, v ...any) // what is no failure

	mu     sync.Mutex // held for a batch: they follow one another. It guards the rest.
	spent  float64    // of anchorBurst, at since
	since  time.Time
	missed int   // anchors that the journal did not take, lately
	why    error // it did not take the last of them
}

// anchor writes anchors down, and answers when they are on the disk. What it is told
// of a chain it does not compare with what it was told before: who verifies does.
func (l *Launcher) anchor(c *net.UnixConn, a privsep.Anchor) error {
	if err := a.Check(); err != nil {
		return privsep.Errorf("malformed", "%v", err)
	}
	if err := l.anchors.write(a.Heads, time.Now()); err != nil {
		return err
	}
	c.SetDeadline(time.Now().Add(patience)) // a disk may have taken its time
	if err := privsep.Send(c, privsep.Reply{}); err != nil {
		return err
	}
	l.anchors.journal(a.Heads)
	return nil
}

// write appends a batch to the day's file, all of it in one write(2). Beside an error
// some of it may be there.
func (a *anchors) write(heads []anchor.Head, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	elapsed := max(0, now.Sub(a.since))
	a.spent, a.since = max(0, a.spent-elapsed.Seconds()*anchorRate), now
	if a.spent+float64(len(heads)) > anchorBurst {
		return privsep.Errorf("too-many-anchors", "more than %d anchors a second: ask again later, for fewer", anchorRate)
	}
	f, size, err := a.open(now)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := follow(f, size, heads, now)
	if err != nil {
		return err
	}
	if size+int64(len(b)) > maxDay {
		return privsep.Errorf("too-many-anchors", "%s has %d MiB, more than there may be in a day (UTC): see journalctl -u aaau for who makes so many", f.Name(), size>>20)
	}
	a.spent += float64(len(heads))
	if _, err := f.Write(b); err != nil {
		return fmt.Errorf("writing anchors: %w", err)
	}
	if err := unix.Fdatasync(int(f.Fd())); err != nil {
		return fmt.Errorf("writing anchors: %s: %w", f.Name(), err)
	}
	return nil
}

// follow is what comes after the first size bytes of a file: first the end of a line
// that a crash has torn.
func follow(f *os.File, size int64, heads []anchor.Head, now time.Time) (b []byte, err error) {
	tail := make([]byte, min(size, 2*anchor.MaxHeads*anchor.MaxLine))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return nil, fmt.Errorf("reading anchors: %w", err)
	}
	whole := bytes.LastIndexByte(tail, '\n') + 1
	if whole < len(tail) {
		b = append(b, anchor.Torn...)
	}
	line := anchor.Line{Time: now.UTC().Truncate(time.Microsecond)}
	for rest := tail[:whole]; len(rest) > 0 && line.N == 0; {
		rest = rest[:len(rest)-1]
		start := bytes.LastIndexByte(rest, '\n') + 1
		if last, err := anchor.ParseLine(rest[start:]); err == nil {
			line.N = last.N
		}
		rest = rest[:start]
	}
	for _, line.Head = range heads {
		line.N++
		if b, err = line.Append(b); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// journal has the journal keep anchors too. What it does not take, or not soon, is told
// with the next that it takes: while it does not read, nothing can be told.
func (a *anchors) journal(heads []anchor.Head) {
	sent, err := toJournal(a.journald, heads)
	a.mu.Lock()
	if err != nil {
		a.missed, a.why = a.missed+len(heads)-sent, err
	}
	missed, why := a.missed, a.why
	if sent > 0 {
		a.missed = 0
	}
	a.mu.Unlock()
	if sent > 0 && missed > 0 {
		a.say("anchors: %d are in the files alone, as the journal did not take them: %v", missed, why)
	}
}

// toJournal sends entries by journald's own protocol
// (systemd.io/JOURNAL_NATIVE_PROTOCOL), and says how many it took.
func toJournal(socket string, heads []anchor.Head) (sent int, err error) {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	c.SetWriteDeadline(time.Now().Add(journalTime))
	for _, h := range heads {
		entry := fmt.Sprintf("MESSAGE=anchored record %d of %s\nPRIORITY=7\nSYSLOG_IDENTIFIER=aaau-launcher\nMESSAGE_ID=%s\n"+
			"AAAU_EVENT=%s\nAAAU_SESSION=%s\nAAAU_SEQ=%d\nAAAU_HASH=%s\n", h.Seq, h.Chain, anchor.MessageID, anchor.Event, h.Chain, h.Seq, h.Hash)
		if h.Final {
			entry += "AAAU_FINAL=yes\n"
		}
		if _, err := c.Write([]byte(entry)); err != nil {
			return sent, err
		}
		sent++
	}
	return sent, nil
}
