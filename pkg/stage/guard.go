package stage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/workspace"
)

// A guard watches over the locks of the view, which the program cannot touch, but
// somebody outside can: a mount goes away with the file that it is on, when that is
// replaced (git does so with its configuration), and goes along when that is moved.
// It also watches git's own directories for what the program alone may put there,
// and never has a reason to: see tripped.
type guard struct {
	want    map[string]bool // the locks
	above   map[string]bool // the directories on the way to them
	repos   map[string]bool // directories of git's
	gitDirs map[string]bool // that hold a locked config, and where git keeps its logs
	events  int             // inotify(7)
	urgent  *urgent         // sees and does all but to have locks made anew

	// urgent's alone
	changes *changes          // nil where the kernel cannot tell
	heads   map[string]string // of repos: what HEAD says there, nothing if they were not in order
	links   *gitlinks

	tripping atomic.Bool // set before the program is killed: end is to be awaited

	end func(why string) // ends the session for a reason, and does not return; set before start

	mu  sync.Mutex       // guards wds
	wds map[int32]string // the watched ones of gitDirs

	again int // eventfd(2): links are to be looked at, whatever inotify says
}

// newGuard makes the guard while the stage is still root: watches count for whoever
// made the instance, and an agent could use up its own. It is nil if there are no
// locks.
func newGuard(o privsep.Orders) (*guard, error) {
	g := &guard{want: map[string]bool{}, above: map[string]bool{}, gitDirs: map[string]bool{}, repos: map[string]bool{}, heads: map[string]string{}, wds: map[int32]string{}}
	for _, m := range o.Mounts {
		for _, l := range m.Lock {
			path := filepath.Join(string(m.Path), l)
			g.want[path] = true
			for dir := filepath.Dir(path); dir != string(m.Path); dir = filepath.Dir(dir) {
				g.above[dir] = true
			}
			if filepath.Base(path) == "config" {
				g.repos[filepath.Dir(path)] = true
				for _, below := range []string{"", "logs", "logs/refs", "logs/refs/heads", "logs/refs/remotes"} {
					g.gitDirs[filepath.Join(filepath.Dir(path), below)] = true
				}
			}
		}
	}
	if len(g.want) == 0 {
		return nil, nil
	}
	var err error
	if g.events, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	if g.again, err = unix.Eventfd(1, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil { // a lease may have been broken before
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if g.urgent, err = newUrgent(); err != nil {
		fmt.Fprintf(os.Stderr, "%s of %s: the guard has to wait for its turn on a busy machine: no real-time priority (%v)\n", Name, o.ID, err)
	}
	err = workspace.As(o.UID, o.GID, func() error {
		for dir := range g.repos {
			g.heads[dir] = head(dir)
		}
		if err := g.watch(); err != nil {
			return err
		}
		if g.links, err = newGitlinks(g.want); err != nil {
			return err
		}
		g.changes, err = newChanges(o, g.want, g.above)
		return err
	})
	return g, err
}

// watch watches all that is there; again, it adds what was not there before.
func (g *guard) watch() error {
	masks := map[string]uint32{}
	for path := range g.want {
		masks[path] |= unix.IN_MOVE_SELF | unix.IN_DELETE_SELF | unix.IN_ATTRIB
	}
	for path := range g.above {
		masks[path] |= unix.IN_MOVE_SELF | unix.IN_DELETE_SELF
	}
	for path := range g.gitDirs {
		masks[path] |= unix.IN_CREATE | unix.IN_MOVED_TO
	}
	for path := range g.repos {
		masks[path] |= unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB
	}
	for path := range g.want { // what is gone as a whole may come back
		dir := filepath.Dir(path)
		for there := false; !there; dir = filepath.Dir(dir) {
			if _, err := os.Lstat(dir); err == nil {
				there = true
				if dir != filepath.Dir(path) {
					masks[dir] |= unix.IN_CREATE | unix.IN_MOVED_TO
				}
			}
		}
	}
	for path, mask := range masks {
		wd, err := unix.InotifyAddWatch(g.events, path, mask|unix.IN_DONT_FOLLOW)
		switch {
		case err == unix.ENOENT || err == unix.ENOTDIR || err == unix.EACCES:
			continue // it went, which shows elsewhere; or there are no logs
		case err != nil:
			return fmt.Errorf("watching %.200q: %w", path, err)
		}
		if g.gitDirs[path] {
			g.mu.Lock()
			g.wds[int32(wd)] = path
			g.mu.Unlock()
		}
	}
	return nil
}

// start calls exposed whenever a lock is gone, and g.end when the program has
// tripped; it has been killed then.
func (g *guard) start(exposed func() error) error {
	mounts, err := os.OpenFile("/proc/self/mountinfo", os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	raw, err := mounts.SyscallConn()
	if err != nil {
		return err
	}
	look := make(chan struct{}, 1)
	poke := func() {
		select {
		case look <- struct{}{}:
		default:
		}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGIO) // a lease is to be broken; or the agent has sent it
	go func() {
		for range signals {
			g.lookAgain()
		}
	}()
	g.urgent.loop(func() {
		why, moved := g.step()
		if moved {
			poke()
		}
		if why == "" {
			return
		}
		// What it did besides, before it was killed, is undone too.
		for end := time.Now().Add(10 * time.Millisecond); time.Now().Before(end); pause(time.Millisecond) {
			g.step()
		}
		g.clear()
		g.end(why)
	}, g.watched()...)
	// Waiting is in the runtime's poller (see awaitNoReader), which itself uses up the
	// kernel's word that there was a change: so whatever wakes it, we look.
	go func() {
		err := raw.Read(func(uintptr) bool { poke(); return false })
		g.fail("watching the mounts", err)
	}()
	go func() {
		was := false
		for range look {
			if err := g.watch(); err != nil { // the files may be others now
				g.fail("watching the locks", err)
			}
			g.lookAgain()
			is := lost(g.want)
			if is { // again and again: what was locked anew may be gone again
				if err := exposed(); err != nil {
					g.fail("telling that a lock is gone", err)
				}
			} else if was {
				poke() // one may have gone before it was watched
			}
			was = is
		}
	}()
	return nil
}

// lookAgain has links looked at.
func (g *guard) lookAgain() {
	_, _ = unix.Write(g.again, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // if it cannot, it is full
}

// step looks at all that has happened. It says what the program was killed for, and
// whether something was moved that is locked.
func (g *guard) step() (why string, moved bool) {
	why, moved, err := g.next()
	if err != nil {
		g.fail("watching git's directories", err)
	}
	if wrong := g.changedLocks(); why == "" {
		why = wrong
	}
	changed, err := g.links.changed()
	if err != nil {
		g.fail("watching what indexes name", err)
	}
	var count [8]byte
	if n, _ := unix.Read(g.again, count[:]); n > 0 || changed {
		if led := g.clear(); why == "" {
			why = led
		}
	}
	return why, moved
}

// clear looks where indexes lead git, and puts aside whatever git would fall into
// there, at once; and kills the program, and looks again for what it did meanwhile.
func (g *guard) clear() (why string) {
	tries := map[danger]int{}
	for {
		d := g.links.look()
		if d == nil || tries[*d] > 1 { // if it stays, that was told
			return why
		}
		tries[*d]++
		g.tripping.Store(true)
		told := d.putAside()
		g.kill()
		if why == "" {
			why = told
		}
	}
}

// fail ends the session: it would go on unguarded.
func (g *guard) fail(what string, err error) {
	g.end(fmt.Sprintf("what git would run as you cannot be guarded any more (%s: %v)", what, err))
}

// next takes what inotify has to say: it says what the program is to be ended for,
// or whether something was moved that is locked.
func (g *guard) next() (why string, moved bool, err error) {
	buf := make([]byte, 16<<10)
	n, err := unix.Read(g.events, buf)
	if err == unix.EAGAIN {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for buf = buf[:n]; len(buf) >= unix.SizeofInotifyEvent; {
		event := (*unix.InotifyEvent)(unsafe.Pointer(&buf[0]))
		end := unix.SizeofInotifyEvent + int(event.Len)
		name := string(bytes.TrimRight(buf[unix.SizeofInotifyEvent:end], "\x00"))
		buf = buf[end:]
		if event.Mask&unix.IN_Q_OVERFLOW != 0 { // what was not said is looked for
			moved = true
			for dir := range g.repos {
				if why := g.broken(dir); why != "" {
					return why, false, nil
				}
			}
			for _, dir := range g.wds {
				entries, _ := os.ReadDir(dir) // gone is as good as empty
				for _, e := range entries {
					if why := g.tripped(dir, e.Name()); why != "" {
						return why, false, nil
					}
				}
			}
		}
		if event.Mask&(unix.IN_MOVE_SELF|unix.IN_DELETE_SELF|unix.IN_ATTRIB|unix.IN_IGNORED|unix.IN_UNMOUNT) != 0 {
			moved = true
		}
		if name == "" || name == "HEAD" || name == "objects" || name == "refs" {
			if why := g.broken(g.wds[event.Wd]); why != "" {
				return why, false, nil
			}
		}
		if event.Mask&(unix.IN_CREATE|unix.IN_MOVED_TO) == 0 && name != "commondir" {
			continue
		}
		if g.wds[event.Wd] == "" { // on the way to what is to be locked
			moved = true
			continue
		}
		if why := g.tripped(g.wds[event.Wd], name); why != "" {
			return why, false, nil
		}
	}
	return "", moved, nil
}

// tripped looks at something new in a directory of git's. Git writes through a
// symbolic link there as the person who runs it, and makes none itself; and takes
// all its configuration from where a file commondir says, which the client has made
// wherever it could be. Either is a trap for the person: the program is killed, the
// trap removed, and the reason returned.
func (g *guard) tripped(dir, name string) (why string) {
	path := filepath.Join(dir, name)
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return ""
	}
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		why = "a symbolic link"
	case name == "commondir":
		// Empty it is just being made; with "." it is as if there were none, and made
		// by the client or the launcher.
		text, err := readSmall(path)
		if err == nil && (len(text) == 0 || string(text) == ".\n") {
			return ""
		}
		why = "what redirects git"
	default:
		return ""
	}
	g.kill()
	err := unix.Unlink(path)
	if err == unix.ENOENT { // it got another name before it was killed: that is told next
		err = nil
	}
	if err != nil {
		return fmt.Sprintf("%s was put into git's own directory, as %.200q, and cannot be removed (%v)", why, path, err)
	}
	return fmt.Sprintf("%s was put into git's own directory, as %.200q, and was removed", why, path)
}

// kill kills all processes but this one, PID 1: none can do again what it did.
func (g *guard) kill() {
	g.tripping.Store(true)
	_ = unix.Kill(-1, unix.SIGKILL) // there may be none left
}

// head is what HEAD says in a directory of git's, empty if git does not take it for
// a repository: then it would go on to look for another, in the directory around it
// and above, where the agent may have put one.
func head(dir string) string {
	var st unix.Stat_t
	for _, name := range []string{"objects", "refs"} {
		if unix.Lstat(filepath.Join(dir, name), &st) != nil || st.Mode&(unix.S_IFMT|0o700) != unix.S_IFDIR|0o700 {
			return ""
		}
	}
	text, err := readSmall(filepath.Join(dir, "HEAD"))
	if err != nil {
		return ""
	}
	if bytes.HasPrefix(text, []byte("ref: refs/")) {
		return string(text)
	}
	id := bytes.TrimRight(text, "\n")
	if len(id) < 40 || len(bytes.Trim(id, "0123456789abcdef")) > 0 {
		return ""
	}
	return string(text)
}

// removal is how long a repository may take to be gone, once it is none any more.
const removal = 500 * time.Millisecond

// readSmall reads a regular file of at most 4096 bytes.
func readSmall(path string) ([]byte, error) { return readUpTo(path, 4096) }

// readUpTo reads a regular file of at most limit bytes. The program may put anything
// in its place at any time, and must not make us wait.
func readUpTo(path string, limit int64) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return readOpen(fd, limit)
}

// readOpen reads a regular file of at most limit bytes.
func readOpen(fd int, limit int64) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > limit {
		return nil, unix.EFBIG
	}
	buf := make([]byte, st.Size)
	n, err := unix.Read(fd, buf)
	return buf[:max(n, 0)], err
}

// broken looks whether a repository is one no more, and then does as tripped does.
func (g *guard) broken(dir string) (why string) {
	before := g.heads[dir]
	if before == "" {
		return ""
	}
	if now := head(dir); now != "" {
		g.heads[dir] = now
		return ""
	}
	// Somebody outside may be removing all of it, who has every right to. The program
	// stands still for as long as it takes to see that.
	_ = unix.Kill(-1, unix.SIGSTOP) // there may be none left
	for end := time.Now().Add(removal); time.Now().Before(end); pause(removal / 50) {
		_, err := os.Lstat(dir)
		if errors.Is(err, os.ErrNotExist) || head(dir) != "" {
			_ = unix.Kill(-1, unix.SIGCONT)
			return ""
		}
	}
	g.kill()
	name := filepath.Join(dir, "HEAD")
	steps := []func() error{
		func() error { return os.Chmod(dir, 0o755) },
		func() error { return os.MkdirAll(filepath.Join(dir, "objects"), 0o755) },
		func() error { return os.Chmod(filepath.Join(dir, "objects"), 0o755) },
		func() error { return os.MkdirAll(filepath.Join(dir, "refs"), 0o755) },
		func() error { return os.Chmod(filepath.Join(dir, "refs"), 0o755) },
		func() error {
			return errors.Join(os.WriteFile(name+".aaau", []byte(before), 0o644), os.Rename(name+".aaau", name))
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Sprintf("%.200q was made to be no repository, so that git would look for another, and cannot be put right (%v)", dir, err)
		}
	}
	return fmt.Sprintf("%.200q was made to be no repository, so that git would look for another; it is one again", dir)
}

// lost says whether any of these is not a mount point.
func lost(want map[string]bool) bool {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return true
	}
	seen := map[string]bool{}
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) < 5 {
			continue
		}
		if at := unescape(fields[4]); want[at] {
			seen[at] = true
		}
	}
	for path := range want {
		if _, err := os.Lstat(filepath.Dir(path)); !seen[path] && !errors.Is(err, os.ErrNotExist) {
			return true
		}
	}
	return false // what went with its directory needs no lock (workspace.Relock)
}

// unescape undoes what the kernel does to blanks and the like in names: \040.
func unescape(b []byte) string {
	var out []byte
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+3 < len(b) {
			if n, err := strconv.ParseUint(string(b[i+1:i+4]), 8, 8); err == nil {
				out = append(out, byte(n))
				i += 3
				continue
			}
		}
		out = append(out, b[i])
	}
	return string(out)
}
