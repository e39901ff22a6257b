package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// BridgeChain is the name of the bridge's own chain; of those that run beside it, by
// hand, it is aaau_2 and so on. Others are named after their session.
const BridgeChain = "aaau"

var bridgeName = regexp.MustCompile(`^aaau(_[1-9]\d*)?$`)

// IsBridge says whether a chain is a bridge's own.
func IsBridge(chain string) bool { return bridgeName.MatchString(chain) }

// sessionsDir is where the sessions' files are, beside the bridge's own.
const sessionsDir = "sessions"

const (
	plainSuffix = ".jsonl"
	zstdSuffix  = ".zst"
	tempSuffix  = ".tmp"
)

// Segment files are named after chain, day (UTC) and number, and come in that order:
//
//	DIR/aaau-2026-11-25.jsonl                   the bridge's own
//	DIR/sessions/7kx0mq3v1d-2026-11-25.jsonl    the first of a session that day
//	DIR/sessions/7kx0mq3v1d-2026-11-25.2.jsonl.zst
var segmentName = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9_-]{0,63})-(\d{4}-\d\d-\d\d)(?:\.([1-9]\d{0,8}))?\.jsonl(\.zst)?$`)

var chainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// segment is one file of a chain.
type segment struct {
	chain  string
	day    string // 2026-11-25
	number int    // from 1
	packed bool   // there is a complete compressed file
	plain  bool   // there is a plain one
	size   int64  // of its files
	mod    time.Time
}

// name is the plain file's, relative to the record's directory.
func (s segment) name() string {
	n := s.chain + "-" + s.day
	if s.number > 1 {
		n += "." + strconv.Itoa(s.number)
	}
	n += plainSuffix
	if !IsBridge(s.chain) {
		n = filepath.Join(sessionsDir, n)
	}
	return n
}

// file is the name of the file that holds it, relative to the record's directory.
func (s segment) file() string {
	if s.packed {
		return s.name() + zstdSuffix
	}
	return s.name()
}

// ChainOf tells of which chain a file is, by its name, and in which directory the record is
// that it belongs to.
func ChainOf(file string) (dir, chain string, ok bool) {
	m := segmentName.FindStringSubmatch(filepath.Base(file))
	if m == nil {
		return "", "", false
	}
	dir = filepath.Dir(file)
	if !IsBridge(m[1]) {
		dir = filepath.Join(dir, "..")
	}
	return dir, m[1], true
}

func (s segment) compare(t segment) int {
	if c := strings.Compare(s.day, t.day); c != 0 {
		return c
	}
	return s.number - t.number
}

// list finds all chains of the record in dir, or only the one, each with its segments
// in their order.
func list(dir, only string) (map[string][]segment, error) {
	chains := map[string][]segment{}
	at := map[string]int{} // in its chain, by name
	for _, sub := range []string{"", sessionsDir} {
		entries, err := files(filepath.Join(dir, sub))
		if err != nil && (sub == "" || !errors.Is(err, fs.ErrNotExist)) {
			return nil, fmt.Errorf("looking for the record: %w", err)
		}
		for _, e := range entries {
			if only != "" && !strings.HasPrefix(e.Name(), only) {
				continue
			}
			m := segmentName.FindStringSubmatch(e.Name())
			if m == nil || IsBridge(m[1]) != (sub == "") || only != "" && m[1] != only || !e.Type().IsRegular() {
				continue
			}
			s := segment{chain: m[1], day: m[2], number: 1}
			if m[3] != "" {
				s.number, _ = strconv.Atoi(m[3])
			}
			fi, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) && m[4] == "" { // compressed meanwhile
				m[4] = zstdSuffix
				packed := e.Name() + zstdSuffix
				if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == packed }) {
					continue // that is another of them
				}
				fi, err = os.Lstat(filepath.Join(dir, sub, packed))
			}
			if errors.Is(err, fs.ErrNotExist) {
				continue // expired meanwhile
			} else if err != nil {
				return nil, fmt.Errorf("looking for the record: %w", err)
			}
			i, known := at[s.name()]
			if !known {
				i = len(chains[s.chain])
				at[s.name()] = i
				chains[s.chain] = append(chains[s.chain], s)
			}
			have := &chains[s.chain][i]
			have.packed = have.packed || m[4] != ""
			have.plain = have.plain || m[4] == ""
			have.size += fi.Size()
			have.mod = fi.ModTime()
		}
	}
	for _, segments := range chains {
		slices.SortFunc(segments, segment.compare)
	}
	return chains, nil
}

// files are those of a directory, which is read twice: of a segment that is compressed
// meanwhile one reading may miss the file before, and the file after.
func files(dir string) (all []os.DirEntry, err error) {
	seen := map[string]bool{}
	for range 2 {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !seen[e.Name()] {
				seen[e.Name()] = true
				all = append(all, e)
			}
		}
	}
	return all, nil
}

// openSegment opens one for reading, whichever file it is in by now.
func openSegment(dir string, s segment) (io.ReadCloser, string, error) {
	for range 2 { // compressed meanwhile
		f, err := os.Open(filepath.Join(dir, s.file()))
		if errors.Is(err, fs.ErrNotExist) && !s.packed {
			s.packed = true
			continue
		}
		if err != nil {
			return nil, s.file(), fmt.Errorf("opening the record: %w", err)
		}
		if !s.packed {
			return f, s.file(), nil
		}
		d, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			f.Close()
			return nil, s.file(), fmt.Errorf("opening %s: %w", s.file(), err)
		}
		return unpacked{d, f}, s.file(), nil
	}
	return nil, s.file(), fmt.Errorf("opening the record: %s: %w", s.file(), fs.ErrNotExist)
}

// unpacked reads a compressed segment. What it reads wrong is damage, and not an error
// of the system's.
type unpacked struct {
	*zstd.Decoder
	f *os.File
}

func (u unpacked) Read(p []byte) (int, error) {
	n, err := u.Decoder.Read(p)
	var sys *fs.PathError
	if err != nil && err != io.EOF && !errors.As(err, &sys) {
		err = damage{err}
	}
	return n, err
}

func (u unpacked) Close() error {
	u.Decoder.Close()
	return u.f.Close()
}

// damage is an error that lies in the file's contents.
type damage struct{ error }

func (d damage) Unwrap() error { return d.error }

// pack compresses a segment. At every moment one complete file is there: the new one
// is made aside, is on the disk before it gets its name, and only then the old one goes.
func pack(dir string, s segment) error {
	name := filepath.Join(dir, s.name())
	if err := packAside(name); errors.Is(err, fs.ErrNotExist) && isThere(name+zstdSuffix) {
		return nil // somebody was faster: a bridge beside this one, or we
	} else if err != nil {
		if rm := os.Remove(name + zstdSuffix + tempSuffix); rm != nil && !errors.Is(rm, fs.ErrNotExist) {
			err = errors.Join(err, rm)
		}
		return fmt.Errorf("compressing the record: %w", err)
	}
	if err := os.Rename(name+zstdSuffix+tempSuffix, name+zstdSuffix); err != nil {
		return fmt.Errorf("compressing the record: %w", err)
	}
	if err := syncDir(filepath.Dir(name)); err != nil {
		return fmt.Errorf("compressing the record: %w", err)
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("compressing the record: %w", err)
	}
	return nil
}

func isThere(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// packers are encoders, which take some MiB: sessions end one after the other. With a
// checksum, as by default, and one core's work.
var packers = sync.Pool{New: func() any {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		panic(err) // of the options, which are constant
	}
	return z
}}

func packAside(name string) (err error) {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := lockSegment(in); err != nil {
		return err
	}
	out, err := os.OpenFile(name+zstdSuffix+tempSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	z := packers.Get().(*zstd.Encoder)
	defer packers.Put(z)
	z.Reset(out)
	if _, err := io.Copy(z, in); err != nil {
		z.Close()
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	fi, err := in.Stat()
	if err != nil {
		return err
	}
	if err := os.Chtimes(out.Name(), fi.ModTime(), fi.ModTime()); err != nil { // it is as old as its records
		return err
	}
	return out.Sync()
}

// lockSegment is for who writes a segment, or does away with it: a bridge beside this
// one may not have the same sessions. The lock goes with f.
func lockSegment(f interface{ Fd() uintptr }) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("another bridge writes it: %w", err)
	}
	return nil
}

// inUse says whether somebody holds that lock.
func inUse(name string) (bool, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // it is compressed
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = lockSegment(f)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
