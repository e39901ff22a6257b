package audit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"
)

// BadLine is a line of the record's that is none of ours.
type BadLine struct {
	File string
	Line int
	Torn bool // the last one, without its end: a write is under way, or was when a crash came
	Why  string
	// Broken: the line is a record, which comes next, but not the one that was made there.
	Broken bool
	Chain  string
	Time   time.Time // of the record, or of the one before it
}

func (b *BadLine) Error() string { return fmt.Sprintf("%s:%d: %s", b.File, b.Line, b.Why) }

// raw is a line as it stands in a file.
type raw struct {
	file string
	n    int
	b    []byte   // without its newline; the scanner's
	bad  *BadLine // it is too long, torn, or cannot be unpacked
}

// readers hold a line each, at most.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, MaxLine) }}

// scan goes through the lines of segments, holding one at a time. An error is the
// system's; what is wrong with the files is in the lines.
func scan(dir string, segments []segment) iter.Seq2[raw, error] {
	return func(yield func(raw, error) bool) {
		in := readers.Get().(*bufio.Reader)
		defer func() {
			in.Reset(nil)
			readers.Put(in)
		}()
		for _, seg := range segments {
			r, name, err := openSegment(dir, seg)
			if err != nil {
				if !yield(raw{file: name}, err) {
					return
				}
				continue
			}
			in.Reset(r)
			more := scanFile(in, name, yield)
			r.Close()
			if !more {
				return
			}
		}
	}
}

func scanFile(in *bufio.Reader, name string, yield func(raw, error) bool) bool {
	for n := 1; ; n++ {
		b, err := in.ReadSlice('\n')
		line := raw{file: name, n: n}
		var hurt damage
		switch {
		case err == nil:
			line.b = b[:len(b)-1]
		case err == io.EOF && len(b) == 0:
			return true
		case err == io.EOF:
			line.bad = &BadLine{File: name, Line: n, Torn: true, Why: "the line has no end"}
		case err == bufio.ErrBufferFull:
			line.bad = &BadLine{File: name, Line: n, Why: fmt.Sprintf("a line of more than %d bytes", MaxLine)}
			for err == bufio.ErrBufferFull {
				_, err = in.ReadSlice('\n')
			}
		case errors.As(err, &hurt):
			line.bad = &BadLine{File: name, Line: n, Why: "it cannot be unpacked: " + hurt.Error()}
		default:
			return yield(line, fmt.Errorf("reading %s: %w", name, err))
		}
		if !yield(line, nil) {
			return false
		}
		if err != nil {
			return true
		}
	}
}

// entry takes a line apart.
func (l raw) entry() (*Entry, error) {
	if l.bad != nil {
		return nil, l.bad
	}
	e, err := parse(l.b)
	if err != nil {
		return nil, &BadLine{File: l.file, Line: l.n, Why: err.Error()}
	}
	e.File, e.Line = l.file, l.n
	return e, nil
}

// Read goes through the records of a chain in dir. An error may be a *BadLine, which
// more can follow. Where a record does not follow the one before, one comes that is Broken:
// the anchors, which would show a chain that was made anew, are for Verify.
func Read(dir, chain string) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		chains, err := list(dir, chain)
		if err != nil {
			yield(nil, err)
			return
		}
		follow(chain, read(dir, chains[chain]))(yield)
	}
}

// Start reads how a session's chain begins, which has ended, or is being written, at last.
// There is no start if that has expired, or cannot be read; without a chain the error
// is fs.ErrNotExist.
func Start(dir, chain string) (start *SessionStart, last time.Time, err error) {
	chains, err := list(dir, chain)
	if err != nil {
		return nil, last, err
	}
	segments := chains[chain]
	if len(segments) == 0 {
		return nil, last, fs.ErrNotExist
	}
	start, err = startOf(dir, chain, segments)
	return start, segments[len(segments)-1].mod, err
}

// startOf is the first record of a chain, if it tells of a session's start.
func startOf(dir, chain string, segments []segment) (*SessionStart, error) {
	for e, err := range follow(chain, read(dir, segments[:1])) {
		switch {
		case errors.As(err, new(*BadLine)), errors.Is(err, fs.ErrNotExist): // expired just now
			return nil, nil
		case err != nil:
			return nil, err
		}
		m, err := e.Decode()
		start, is := m.(*SessionStart)
		if err != nil || !is || e.Seq != 1 {
			return nil, nil
		}
		return start, nil
	}
	return nil, nil
}

func read(dir string, segments []segment) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		for l, err := range scan(dir, segments) {
			var e *Entry
			if err == nil {
				e, err = l.entry()
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// Chains are the names of the chains in dir.
func Chains(dir string) ([]string, error) {
	chains, err := list(dir, "")
	return slices.Sorted(maps.Keys(chains)), err
}

// Files are the names of a chain's files, from the oldest on, relative to dir.
func Files(dir, chain string) ([]string, error) {
	chains, err := list(dir, chain)
	var files []string
	for _, s := range chains[chain] {
		files = append(files, s.file())
	}
	return files, err
}
