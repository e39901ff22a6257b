package stage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// changes tells which of the locked files and directories were changed by a process of the
// session.
//
// A lock is a mount, and when somebody outside replaces the file that it is on, the kernel
// removes it in every mount namespace. It is made again in the session's own one. But the program may
// have a namespace of its own since before, as sandboxes do (unshare(2)), or a descriptor of a
// directory there. Nothing that is mounted there later binds it: it may unmount that. So fanotify(7)
// reports who changes what is locked. It gives the process's number as this stage sees it: 0 is
// somebody outside, who may do so. A process of the session has no honest way to, but while a lock is gone.
//
// All of it is of the guard's urgent thread, which keeps it until the stage ends.
type changes struct {
	events int               // fanotify(7)
	trees  map[string]int    // the person's directories without what is mounted in them, by path
	locked map[string]bool   // what is watched: the locks, and the directories on the way to them
	gone   map[string]bool   // of these, what somebody outside has removed: it may be made again by anybody
	dirs   map[string]string // of what is watched, the directories by their handles
	files  map[string]string // and the files
	kept   map[string]kept   // what the locked files said
	fresh  map[string]kept   // what they say since somebody outside wrote them, if nobody else has
	// When somebody outside replaced something last, and how often the program has changed it since.
	replaced map[string]time.Time
	often    map[string]int

	buf  [32 << 10]byte
	rest []byte // of buf: what was read, and not looked at
}

// kept is a file as somebody outside has left it last.
type kept struct {
	text []byte
	mode uint32
}

// What the kernel is asked to report: of names in a directory, of directories on the way to a lock, of files.
const (
	inDir  = unix.FAN_CREATE | unix.FAN_DELETE | unix.FAN_MOVED_FROM | unix.FAN_MOVED_TO | unix.FAN_ONDIR
	moved  = unix.FAN_MOVED_FROM | unix.FAN_MOVED_TO | unix.FAN_ONDIR
	inFile = unix.FAN_MODIFY | unix.FAN_CLOSE_WRITE | unix.FAN_ATTRIB
)

// newChanges is called while the stage is root: the kernel tells only a group of root's about
// other processes. It returns nil where the kernel or the file system cannot tell; SECURITY.md says so.
func newChanges(o privsep.Orders, want, above map[string]bool) (*changes, error) {
	c := &changes{trees: map[string]int{}, locked: map[string]bool{}, gone: map[string]bool{}, dirs: map[string]string{}, files: map[string]string{}, kept: map[string]kept{}, fresh: map[string]kept{}, replaced: map[string]time.Time{}, often: map[string]int{}}
	const flags = unix.FAN_CLASS_NOTIF | unix.FAN_CLOEXEC | unix.FAN_NONBLOCK | unix.FAN_UNLIMITED_QUEUE | unix.FAN_UNLIMITED_MARKS |
		unix.FAN_REPORT_FID | unix.FAN_REPORT_DFID_NAME
	var err error
	c.events, err = unix.FanotifyInit(flags, unix.O_RDONLY)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) { // before Linux 5.9
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("fanotify: %w", err)
	}
	for _, m := range o.Mounts {
		if len(m.Lock) == 0 {
			continue
		}
		path := string(m.Path)
		if c.trees[path], err = unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return nil, fmt.Errorf("opening %.200q: %w", path, err)
		}
	}
	for _, set := range []map[string]bool{want, above} {
		for path := range set {
			c.locked[path] = true
		}
	}
	for path := range c.locked {
		err := c.watch(path)
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EXDEV) { // the file system has no handles
			unix.Close(c.events)
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("watching %.200q: %w", path, err)
		}
	}
	c.kept, c.fresh = c.fresh, c.kept
	return c, nil
}

// beneath returns the tree without mounts that a path is in, and its name there.
func (c *changes) beneath(path string) (tree int, name string) {
	longest := -1
	for root, fd := range c.trees {
		if rest, ok := strings.CutPrefix(path, root+"/"); ok && len(root) > longest {
			tree, name, longest = fd, rest, len(root)
		}
	}
	return tree, name
}

// watch has the kernel report changes of what is at a path now, and of its name, and keeps what it says.
func (c *changes) watch(path string) error {
	tree, name := c.beneath(path)
	var st unix.Stat_t
	err := unix.Fstatat(tree, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	there, dir := err == nil, err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR
	if !there && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
		return err
	}
	var around uint64 = inDir | unix.FAN_EVENT_ON_CHILD | unix.FAN_CLOSE_WRITE
	switch {
	case dir && !c.locksAll(path):
		around = moved
	case dir:
		around = inDir
	}
	if err := c.mark(c.dirs, tree, filepath.Dir(name), filepath.Dir(path), around); err != nil {
		return err
	}
	if !there {
		c.gone[path] = true
		return nil
	}
	delete(c.gone, path)
	switch {
	case dir && c.locksAll(path):
		return c.mark(c.dirs, tree, name, path, inDir|inFile|unix.FAN_EVENT_ON_CHILD)
	case st.Mode&unix.S_IFMT == unix.S_IFREG:
		// First of all: what is written before it is read must be told.
		if err := c.mark(c.files, tree, name, path, inFile|unix.FAN_OPEN); err != nil {
			return err
		}
		if text, err := c.read(path); err == nil { // else git cannot read it either
			c.fresh[path] = kept{text, st.Mode & 0o777}
		}
	}
	return nil
}

// mark has the kernel report some of what happens to what is at a path, and knows it by its handle then.
func (c *changes) mark(known map[string]string, tree int, name, path string, mask uint64) error {
	h, _, err := unix.NameToHandleAt(tree, name, 0)
	if err == nil {
		known[handleKey(h.Type(), h.Bytes())] = path
		err = unix.FanotifyMark(c.events, unix.FAN_MARK_ADD|unix.FAN_MARK_DONT_FOLLOW, mask, tree, name)
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil // it has gone, which is reported by the directory above
	}
	return err
}

func handleKey(kind int32, handle []byte) string { return fmt.Sprintf("%d %s", kind, handle) }

// A change of what is locked is undone and forgiven, for a while after somebody outside has replaced it and
// so often: the lock is made again some milliseconds later, and until then any program may have changed it.
const (
	forgiving = time.Second
	mostOften = 16
)

// changedLocks puts right what the program changed of what is locked, kills it for that, and says why.
func (g *guard) changedLocks() (why string) {
	const most = 64 // other events wait meanwhile
	for n := 0; g.changes != nil; n++ {
		path, err := g.changes.look()
		if err != nil {
			g.fail("watching what is locked", err)
		}
		if path == "" {
			break
		}
		forgiven := g.changes.forgives(path) && !g.changes.written(path)
		if !forgiven {
			g.kill()
		}
		undone := g.changes.undo(path)
		if forgiven {
			fmt.Fprintf(os.Stderr, "%s: %.200q was changed before it was locked again; %s\n", Name, path, undone)
		} else if why == "" {
			why = fmt.Sprintf("%.200q, which is locked, was changed through a mount namespace of the program's own; %s", path, undone)
		}
		if n == most {
			g.lookAgain()
			break
		}
	}
	return why
}

// forgives says whether a program may have changed a path for want of its lock.
func (c *changes) forgives(path string) bool {
	lock := path
	if !c.locked[path] { // it is in a directory that is locked
		lock = filepath.Dir(path)
	}
	if lost(map[string]bool{lock: true}) {
		return true
	}
	c.often[lock]++
	return time.Since(c.replaced[lock]) < forgiving && c.often[lock] <= mostOften
}

// watched are the descriptors that can be read when there is something to be looked at.
func (g *guard) watched() []int {
	fds := []int{g.events, g.links.watches, g.again}
	if g.changes != nil {
		fds = append(fds, g.changes.events)
	}
	return fds
}

// look takes what there is to be told, up to a change by the program, and says of what that was. Then
// it has to be called again.
func (c *changes) look() (path string, err error) {
	for {
		if len(c.rest) == 0 {
			n, err := unix.Read(c.events, c.buf[:])
			if err == unix.EAGAIN {
				maps.Copy(c.kept, c.fresh)
				clear(c.fresh)
				return "", nil
			}
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return "", err
			}
			c.rest = c.buf[:n]
		}
		b := c.rest
		if len(b) < int(unix.FAN_EVENT_METADATA_LEN) {
			return "", errNoEvent
		}
		length, mask, pid := binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint64(b[8:]), int32(binary.NativeEndian.Uint32(b[20:]))
		if length < uint32(unix.FAN_EVENT_METADATA_LEN) || int(length) > len(b) {
			return "", errNoEvent
		}
		c.rest = b[length:]
		if mask&unix.FAN_Q_OVERFLOW != 0 {
			return "", errors.New("fanotify could not keep all that happened")
		}
		path, is := c.about(b[unix.FAN_EVENT_METADATA_LEN:length])
		switch {
		case !is || pid == 1: // ourselves
		case pid == 0:
			if err := c.outside(path, mask); err != nil {
				return "", err
			}
		case c.isGone(path) || mask&^unix.FAN_OPEN == 0 && !c.written(path):
		default:
			clear(c.fresh)
			return path, nil
		}
	}
}

var errNoEvent = errors.New("fanotify tells no whole event")

// about says which watched path an event is about, if it is about any.
func (c *changes) about(event []byte) (path string, is bool) {
	const header, fsid = 4, 8
	for len(event) >= header {
		kind, length := event[0], int(binary.NativeEndian.Uint16(event[2:]))
		if length < header || length > len(event) {
			return "", false
		}
		info := event[header:length]
		event = event[length:]
		if len(info) < fsid+8 {
			continue
		}
		size, handleType := int(binary.NativeEndian.Uint32(info[fsid:])), int32(binary.NativeEndian.Uint32(info[fsid+4:]))
		info = info[fsid+8:]
		if size < 0 || size > len(info) {
			continue
		}
		handle := handleKey(handleType, info[:size])
		switch kind {
		case unix.FAN_EVENT_INFO_TYPE_DFID_NAME:
			at, known := c.dirs[handle]
			name, _, _ := bytes.Cut(info[size:], []byte{0})
			named := filepath.Join(at, string(name))
			if known && (c.locked[named] && string(name) != "." || c.locksAll(at)) {
				return named, true
			}
		case unix.FAN_EVENT_INFO_TYPE_FID:
			if at, known := c.files[handle]; known {
				return at, true
			}
		}
	}
	return "", false
}

// locksAll says whether a directory is locked with all that is in it. Those on the way to a lock are not.
func (c *changes) locksAll(dir string) bool {
	for path := range c.locked {
		if strings.HasPrefix(path, dir+"/") {
			return false
		}
	}
	return c.locked[dir]
}

// isGone says whether somebody outside has removed what was at a path, or all that was locked beneath.
func (c *changes) isGone(path string) bool {
	beneath, there := 0, 0
	for p := range c.locked {
		if strings.HasPrefix(p, path+"/") {
			beneath++
			if !c.gone[p] {
				there++
			}
		}
	}
	return c.gone[path] || beneath > 0 && there == 0
}

// outside takes note of what somebody outside of the session did.
func (c *changes) outside(path string, mask uint64) error {
	if !c.locked[path] || mask&^unix.FAN_OPEN == 0 {
		return nil
	}
	for p := range c.locked {
		if p != path && !strings.HasPrefix(p, path+"/") {
			continue
		}
		if err := c.watch(p); err != nil {
			return fmt.Errorf("watching %.200q: %w", p, err)
		}
		c.replaced[p], c.often[p] = time.Now(), 0
	}
	// If it is missing though nobody outside has removed it, the next event tells who has.
	if mask&(unix.FAN_DELETE|unix.FAN_MOVED_FROM) == 0 {
		delete(c.gone, path)
	}
	return nil
}

// written says whether somebody has a locked file open for writing, or mapped, for longer than it takes to
// write it: there is no lease to be had then (fcntl(2)). Who closes it sooner is told of by another event.
func (c *changes) written(path string) bool {
	tree, name := c.beneath(path)
	fd, err := unix.Openat(tree, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd) // and with it the lease
	for end := time.Now().Add(writing / 2); ; pause(writing / 500) {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK); err != unix.EAGAIN {
			return false
		}
		if time.Now().After(end) {
			return true
		}
	}
}

func (c *changes) read(path string) ([]byte, error) {
	tree, name := c.beneath(path)
	fd, err := unix.Openat(tree, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return readOpen(fd, maxGitFile)
}

// undo puts a path right that the program has changed, and says how. What it made of it is put
// aside. A file that is locked again cannot be renamed, but written without the lock, beneath which the trees are.
func (c *changes) undo(path string) string {
	before, is := c.kept[path]
	now, err := c.read(path)
	tree, name := c.beneath(path)
	var st unix.Stat_t
	_ = unix.Fstatat(tree, name, &st, unix.AT_SYMLINK_NOFOLLOW) // of nothing there are no names
	if is && err == nil && bytes.Equal(now, before.text) && st.Nlink <= 1 {
		return "it is as it was"
	}
	to := name + aside
	for i := 2; ; i++ {
		if unix.Faccessat(tree, to, unix.F_OK, unix.AT_SYMLINK_NOFOLLOW) != nil {
			break
		}
		to = fmt.Sprintf("%s%s-%d", name, aside, i)
	}
	moved := unix.Renameat2(tree, name, tree, to, unix.RENAME_NOREPLACE)
	if !is {
		if moved != nil && !errors.Is(moved, unix.ENOENT) {
			return fmt.Sprintf("it cannot be put aside (%v): do not use git there", moved)
		}
		return "it was put aside as " + filepath.Base(to)
	}
	if moved != nil && len(now) > 0 {
		moved = c.write(tree, to, now, before.mode)
	}
	if err := c.write(tree, name, before.text, before.mode); err != nil {
		return fmt.Sprintf("it cannot be put right (%v): do not use git there", err)
	}
	if err := c.mark(c.files, tree, name, path, inFile|unix.FAN_OPEN); err != nil { // it may be another file now
		return fmt.Sprintf("it is as it was, but cannot be watched (%v): do not use git there", err)
	}
	if moved != nil {
		return "it is as it was"
	}
	return "it is as it was; what the program made of it is " + filepath.Base(to)
}

func (c *changes) write(tree int, name string, text []byte, mode uint32) error {
	fd, err := unix.Openat(tree, name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, mode)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
