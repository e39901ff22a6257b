package bridge

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/scope"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// When a session has used up its memory the kernel kills a process of it, and tells nobody but
// its own log. The bridge therefore watches the file in which the kernel counts that, of all
// sessions by one inotify descriptor, and tells people.

const (
	// starvedSoon is how long the bridge waits before it tells of a killed process: if it was
	// the program, the session's end tells it.
	starvedSoon = 200 * time.Millisecond
	// starvedEvery is how often it tells of one session. Kills in between are told together.
	starvedEvery = 10 * time.Second
	// starvedEnd is how long after a kill for want of memory the program's end by SIGKILL is
	// taken to be that kill.
	starvedEnd = 5 * time.Second
)

// memory is what is known of a session's want of memory.
type memory struct {
	why string // why it ended, if for want of memory; set before its end is told

	mu    sync.Mutex // guards what follows
	seen  scope.Starved
	rose  time.Time // when seen.Killed was seen to rise last
	last  time.Time // when people were told last; of how many kills, the session keeps
	timer *time.Timer
	over  bool // the session has ended
}

// killed is how many processes the kernel has killed.
func (m *memory) killed() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen.Killed
}

// memoryWatch has the descriptor for all sessions.
type memoryWatch struct {
	file *os.File // nil: there is none, and ends alone are looked at

	mu sync.Mutex // guards of
	of map[int32]*live
}

// openMemoryWatch makes the descriptor; run closes it.
func (b *Bridge) openMemoryWatch() {
	b.memories.of = map[int32]*live{}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		b.Log.Tell(journal.Trouble, journal.About{}, "sessions' memory cannot be watched, and is looked at when they end: %v", err)
		return
	}
	b.memories.file = os.NewFile(uintptr(fd), "inotify")
}

// runMemoryWatch tells of sessions' want of memory until the descriptor is closed.
func (b *Bridge) runMemoryWatch() {
	w := &b.memories
	if w.file == nil {
		return
	}
	buf := make([]byte, 64*unix.SizeofInotifyEvent)
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			return
		}
		// Files that are watched themselves have no names in their events.
		for at := 0; at+unix.SizeofInotifyEvent <= n; at += unix.SizeofInotifyEvent {
			wd := int32(binary.NativeEndian.Uint32(buf[at:]))
			w.mu.Lock()
			l := w.of[wd]
			if binary.NativeEndian.Uint32(buf[at+4:])&unix.IN_IGNORED != 0 {
				delete(w.of, wd)
			}
			w.mu.Unlock()
			if l != nil {
				b.starved(l, scope.StarvedOf(l.Profile, l.Scope))
			}
		}
	}
}

// watchMemory begins to watch a session. What the kernel killed while no bridge was there is told.
func (b *Bridge) watchMemory(l *live) {
	l.memory.seen.Killed = l.Starved()
	defer func() { b.starved(l, scope.StarvedOf(l.Profile, l.Scope)) }()
	w := &b.memories
	if w.file == nil {
		return
	}
	raw, err := w.file.SyscallConn()
	if err != nil {
		return // it is closed: this bridge ends
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	err = raw.Control(func(fd uintptr) {
		wd, failed := unix.InotifyAddWatch(int(fd), scope.MemoryEvents(l.Profile, l.Scope), unix.IN_MODIFY)
		// Where the kernel has no such controller there is no such file.
		if failed == nil {
			w.of[int32(wd)] = l
		} else if failed != unix.ENOENT {
			l.trouble("its memory cannot be watched, and is looked at when it ends: %v", failed)
		}
	})
	if err != nil {
		l.trouble("watching its memory: %v", err)
	}
}

// unwatchMemory decides of a session that has ended whether that was for want of memory, and
// tells what was not told yet. The watch goes with the scope.
func (b *Bridge) unwatchMemory(l *live) {
	w := &b.memories
	w.mu.Lock()
	for wd, of := range w.of {
		if of == l {
			delete(w.of, wd)
		}
	}
	w.mu.Unlock()
	b.starved(l, l.Used().Starved)
	m := &l.memory
	m.mu.Lock()
	if m.timer != nil {
		m.timer.Stop()
	}
	m.over = true
	exit := l.Exit()
	if exit.Ran && exit.Wait.Signaled() && exit.Wait.Signal() == syscall.SIGKILL && m.seen.Killed > 0 && time.Since(m.rose) < starvedEnd {
		m.why = outOfMemory(m.seen)
		l.SetStarved(l.Starved() + 1) // by the session's end
	}
	news, starved := m.seen.Killed-l.Starved(), m.seen
	m.mu.Unlock()
	if news > 0 {
		b.tellStarved(l, news, starved)
	}
}

// starved notes what the kernel has counted of a session, and has it told soon.
func (b *Bridge) starved(l *live, now scope.Starved) {
	m := &l.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Killed <= m.seen.Killed || m.over {
		return
	}
	m.seen, m.rose = now, time.Now()
	if m.timer == nil {
		m.timer = time.AfterFunc(max(starvedSoon, starvedEvery-time.Since(m.last)), func() { b.starvedLater(l) })
	}
}

func (b *Bridge) starvedLater(l *live) {
	m := &l.memory
	m.mu.Lock()
	if m.over {
		m.mu.Unlock()
		return
	}
	news, starved := m.seen.Killed-l.Starved(), m.seen
	m.last, m.timer = time.Now(), nil
	l.SetStarved(m.seen.Killed)
	m.mu.Unlock()
	if news > 0 {
		b.tellStarved(l, news, starved)
	}
}

// tellStarved tells that the kernel has killed processes of a session that continues, or whose
// program ended otherwise.
func (b *Bridge) tellStarved(l *live, killed int64, s scope.Starved) {
	what := "a process of the session was killed"
	if killed > 1 {
		what = fmt.Sprintf("%d processes of the session were killed", killed)
	}
	why := outOfMemory(s) + ": " + what
	b.Log.Tell(journal.OutOfMemory, l.about(nil), "session %s: %s", l.ID, why)
	b.control(l, nil, audit.Control{Action: "out_of_memory", Reason: why})
	b.publish(l.event(wire.EventTrouble, why), l)
}

// outOfMemory says which limit was reached, and where it is set.
func outOfMemory(s scope.Starved) string {
	switch {
	case s.Limit == 0:
		return "out of memory (the machine's, or what all agents may have together: MemoryMax= of aaau.slice)"
	case s.Limit < 1<<30:
		return fmt.Sprintf("out of memory (limit %d MiB, MemoryMax= of aaau-.scope.d)", s.Limit>>20)
	}
	return fmt.Sprintf("out of memory (limit %.1f GiB, MemoryMax= of aaau-.scope.d)", float64(s.Limit)/(1<<30))
}
