package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Options are how a Store is to be. The zero value will do.
type Options struct {
	Version     string        // of the bridge, for the record
	SyncEvery   time.Duration // how long a record may be written and not yet on the disk; 0: a second
	SegmentSize int64         // of a segment, in bytes; 0: 64 MiB
	// OnError hears of what failed while nobody waited for it: bringing records to
	// the disk (Sync tries it again, and so does the chain's next Append, which fails
	// as long as that does), and compressing (Tidy tries it again). It must not call
	// the Store or its chains.
	OnError func(chain string, err error)

	now  func() time.Time
	open func(name string, flag int, mode os.FileMode) (file, error)
}

// file is what a segment is written through: an *os.File, but in tests of disks that
// fail.
type file interface {
	WriteAt(p []byte, off int64) (int, error)
	ReadAt(p []byte, off int64) (int, error)
	Truncate(size int64) error
	Sync() error
	Stat() (os.FileInfo, error)
	Fd() uintptr
	Close() error
}

// maxBridges is how many can write in one directory.
const maxBridges = 100

// Store is a directory with the record in it, and the chains of it that this process
// writes. Other bridges may be at it too; the first keeps house.
type Store struct {
	dir    string
	o      Options
	lock   *os.File // one byte of it is locked
	number int      // which one: the first bridge here has 1
	bridge *Chain

	mu      sync.Mutex // guards what follows, never held across I/O
	chains  map[string]*Chain
	known   map[string][]segment // what was there at first; nil: look again; none: there is nothing
	ended   []string             // chains that were settled, the oldest first
	queue   []segment            // to be compressed
	packing map[string]bool      // what is in the queue or being compressed, by name
	busy    bool                 // a goroutine is at it
	closed  bool
	work    sync.WaitGroup
}

// Open takes hold of the record in dir, which must exist, and opens the bridge's own
// chain. Close ends it.
func Open(dir string, o Options) (_ *Store, err error) {
	if o.SyncEvery == 0 {
		o.SyncEvery = time.Second
	}
	if o.SegmentSize == 0 {
		o.SegmentSize = 64 << 20
	}
	if o.OnError == nil {
		o.OnError = func(string, error) {}
	}
	if o.now == nil {
		o.now = time.Now
	}
	if o.open == nil {
		o.open = func(name string, flag int, mode os.FileMode) (file, error) { return os.OpenFile(name, flag, mode) }
	}
	s := &Store{dir: dir, o: o, chains: map[string]*Chain{}, packing: map[string]bool{}}
	if s.lock, err = os.OpenFile(filepath.Join(dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o640); err != nil {
		return nil, fmt.Errorf("opening the record: %w", err)
	}
	defer func() {
		if err != nil {
			s.lock.Close()
		}
	}()
	if s.number, err = takeNumber(s.lock); err != nil {
		return nil, fmt.Errorf("opening the record: %w", err)
	}
	if s.known, err = list(dir, ""); err != nil {
		return nil, err
	}
	own := BridgeChain
	if s.number > 1 {
		own += "_" + strconv.Itoa(s.number)
	}
	if err := os.Mkdir(filepath.Join(dir, sessionsDir), 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("opening the record: %w", err)
	}
	if s.bridge, err = s.openChain(own, "", false); err != nil {
		return nil, err
	}
	s.bridge.mu.Lock()
	defer s.bridge.mu.Unlock()
	if err := s.bridge.ready(); err != nil { // whether it can be written is known now
		s.bridge.letGo()
		return nil, err
	}
	return s, nil
}

// takeNumber locks the first byte of a file that nobody has locked, as long as it is
// open. There is a chain for each, since two processes cannot write one.
func takeNumber(f *os.File) (int, error) {
	for n := int64(1); ; n++ {
		err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Start: n, Len: 1})
		if err == nil {
			return int(n), nil
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) || n == maxBridges {
			return 0, fmt.Errorf("locking %s: %w", f.Name(), err)
		}
	}
}

// Room is how much may still be written to the disk, in bytes.
func (s *Store) Room() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(s.lock.Fd()), &st); err != nil {
		return 0, fmt.Errorf("asking how much room the record has: %w", err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// Dir is the directory, for readers.
func (s *Store) Dir() string { return s.dir }

// Bridge is the bridge's own chain.
func (s *Store) Bridge() *Chain { return s.bridge }

// Session opens a session's chain, to go on with what is there. Output is recorded as
// user's, the agent's. With pipes there are two streams of it. The chain is the
// caller's, to Close or Finish.
func (s *Store) Session(id, user string, pipes bool) (*Chain, error) {
	if IsBridge(id) || !chainName.MatchString(id) {
		return nil, fmt.Errorf("opening the record: %.80q is no session's id", id)
	}
	return s.openChain(id, user, pipes)
}

func (s *Store) openChain(name, user string, pipes bool) (*Chain, error) {
	c := &Chain{store: s, name: name, user: user}
	c.idle.L = &c.mu
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	if s.chains[name] != nil {
		s.mu.Unlock()
		return nil, fmt.Errorf("opening the record of %s: it is open", name)
	}
	s.chains[name] = c
	s.mu.Unlock()
	if err := c.resume(pipes); err != nil {
		c.letGo()
		s.forget(name)
		return nil, fmt.Errorf("opening the record of %s: %w", name, err)
	}
	return c, nil
}

// letGo closes the file of a chain that cannot be opened, and so unlocks it for who tries
// again.
func (c *Chain) letGo() {
	if c.f != nil {
		c.f.Close()
		c.f = nil
	}
}

// segments are a chain's files. The directory is read once: it may have many thousands,
// and nobody else makes files of our sessions.
func (s *Store) segments(chain string) ([]segment, error) {
	s.mu.Lock()
	segments, exists := s.known[chain]
	s.known[chain] = nil // it will have other files
	s.mu.Unlock()
	if segments != nil || !exists {
		return segments, nil
	}
	chains, err := list(s.dir, chain)
	return chains[chain], err
}

// changed says that files were compressed or removed.
func (s *Store) changed() {
	s.mu.Lock()
	for chain := range s.known {
		s.known[chain] = nil
	}
	s.mu.Unlock()
}

// maxSettled is of how many chains that have their end it is remembered that there are
// files. Nobody opens one again after that many others have ended.
const maxSettled = 4096

// settled notes that a chain has its end, and forgets that of the oldest of too many: a
// bridge that serves for years has very many.
func (s *Store) settled(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, name)
	if over := len(s.ended) - maxSettled; over > 0 {
		for _, old := range s.ended[:over] {
			delete(s.known, old)
		}
		s.ended = slices.Delete(s.ended, 0, over)
	}
}

func (s *Store) forget(name string) {
	s.mu.Lock()
	delete(s.chains, name)
	s.mu.Unlock()
}

// Close closes all chains, leaves to the next bridge what is still to be compressed,
// and lets go of the directory.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	for _, seg := range s.queue {
		delete(s.packing, seg.name())
	}
	s.queue = nil
	var open []*Chain
	for _, c := range s.chains {
		open = append(open, c)
	}
	s.mu.Unlock()
	var errs []error
	for _, c := range open {
		errs = append(errs, c.Close())
	}
	s.work.Wait()
	return errors.Join(append(errs, s.lock.Close())...)
}

// Tidy finishes what was left undone, by earlier bridges or for want of room: segments
// that nobody writes any more are compressed. running says whether a session goes on,
// whose chain the caller has opened or will; its last segment stays. Tidy may be called
// at any time.
func (s *Store) Tidy(running func(id string) bool) error {
	if s.number > 1 {
		return nil
	}
	s.changed()
	for _, sub := range []string{"", sessionsDir} {
		if err := s.sweep(filepath.Join(s.dir, sub)); err != nil {
			return err
		}
	}
	chains, err := list(s.dir, "")
	if err != nil {
		return err
	}
	used := map[string]bool{} // by a bridge beside this one, or by us
	for _, segments := range chains {
		for _, seg := range segments {
			if seg.plain {
				if used[seg.name()], err = inUse(filepath.Join(s.dir, seg.name())); err != nil {
					return fmt.Errorf("looking for what to compress: %w", err)
				}
			}
		}
	}
	var done []segment
	s.mu.Lock()
	for name, segments := range chains {
		if s.chains[name] != nil || running(name) {
			segments = segments[:len(segments)-1]
		}
		for _, seg := range segments {
			switch {
			case s.packing[seg.name()] || used[seg.name()]:
			case seg.packed && seg.plain: // the crash was between the two last steps
				done = append(done, seg)
			case seg.plain:
				s.enqueue(seg)
			}
		}
	}
	s.mu.Unlock()
	for _, seg := range done {
		if err := os.Remove(filepath.Join(s.dir, seg.name())); err != nil {
			return fmt.Errorf("removing what was compressed: %w", err)
		}
	}
	return nil
}

// sweep removes what compressing has left when it was killed.
func (s *Store) sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), zstdSuffix+tempSuffix)
		if !ok || !segmentName.MatchString(name) {
			continue
		}
		rel, err := filepath.Rel(s.dir, filepath.Join(dir, name))
		if err != nil {
			return err
		}
		s.mu.Lock()
		busy := s.packing[rel]
		s.mu.Unlock()
		if busy {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing what was half compressed: %w", err)
		}
	}
	return nil
}

// enqueue has a segment compressed, one after the other. s.mu is held.
func (s *Store) enqueue(seg segment) {
	if s.closed || s.packing[seg.name()] {
		return
	}
	s.queue = append(s.queue, seg)
	s.packing[seg.name()] = true
	if !s.busy {
		s.busy = true
		s.work.Go(s.pack)
	}
}

// done has a segment compressed that nobody will write to any more.
func (s *Store) done(seg segment) {
	s.mu.Lock()
	s.enqueue(seg)
	s.mu.Unlock()
}

// pack compresses what is in the queue, and ends with it.
func (s *Store) pack() {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.busy = false
			s.mu.Unlock()
			return
		}
		seg := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()
		if err := pack(s.dir, seg); err != nil {
			s.o.OnError(seg.chain, err)
		}
		s.mu.Lock()
		delete(s.packing, seg.name())
		s.mu.Unlock()
	}
}

// isPacking says whether a segment is one that must not be written any more.
func (s *Store) isPacking(seg segment) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.packing[seg.name()]
}
