package anchor

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Anchor is what is known of a chain, since when, and from where.
type Anchor struct {
	Head
	Time   time.Time
	Source string // for people: a file and line, or the journal, or both
}

// Doubt is something that is no anchor where one should be, or is missing. It takes
// nothing from what the others say.
type Doubt struct {
	Where, Why string
}

func (d *Doubt) Error() string { return d.Where + ": " + d.Why }

// Read collects the anchors that are wanted, from the files in dir and from the
// journal, by chain and number, each once: as early as anybody has it. That there is
// no journal is one of the doubts, which come beside it; an error is the system's.
func Read(ctx context.Context, dir string, wanted func(chain string) bool) (anchors []Anchor, doubts []*Doubt, err error) {
	for _, source := range []iter.Seq2[Anchor, error]{Files(dir), Journal(ctx)} {
		for a, err := range source {
			var doubt *Doubt
			switch {
			case errors.As(err, &doubt):
				doubts = append(doubts, doubt)
			case err != nil:
				return nil, doubts, err
			case wanted(a.Chain):
				anchors = append(anchors, a)
			}
		}
	}
	return merge(anchors), doubts, nil
}

// merge makes one of those that say the same.
func merge(anchors []Anchor) []Anchor {
	slices.SortStableFunc(anchors, func(a, b Anchor) int {
		return cmp.Or(cmp.Compare(a.Chain, b.Chain), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Hash, b.Hash), a.Time.Compare(b.Time))
	})
	merged := anchors[:0]
	for _, a := range anchors {
		if n := len(merged); n > 0 && merged[n-1].Chain == a.Chain && merged[n-1].Seq == a.Seq && merged[n-1].Hash == a.Hash {
			same := &merged[n-1]
			same.Final = same.Final || a.Final
			if !strings.Contains(same.Source, journalSource) && a.Source == journalSource {
				same.Source += " and " + journalSource
			}
			continue
		}
		merged = append(merged, a)
	}
	return merged
}

// Files are the anchors in the files of a directory, in their order; no directory has
// none. A *Doubt is not the end.
func Files(dir string) iter.Seq2[Anchor, error] {
	return func(yield func(Anchor, error) bool) {
		entries, err := os.ReadDir(dir) // sorted
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield(Anchor{}, fmt.Errorf("looking for anchors: %w", err))
			return
		}
		for _, e := range entries {
			name := filepath.Join(dir, e.Name())
			if !FileName.MatchString(e.Name()) || !e.Type().IsRegular() {
				if !yield(Anchor{}, &Doubt{name, "it is no file of anchors"}) {
					return
				}
				continue
			}
			if !readFile(name, yield) {
				return
			}
		}
	}
}

func readFile(name string, yield func(Anchor, error) bool) (more bool) {
	f, err := os.Open(name)
	if err != nil {
		return yield(Anchor{}, fmt.Errorf("reading anchors: %w", err))
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, MaxLine)
	last := uint64(0)
	for n := 1; ; n++ {
		where := fmt.Sprintf("%s:%d", name, n)
		text, why, err := readLine(r)
		if errors.Is(err, io.EOF) && len(text) == 0 && why == "" {
			return true
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return yield(Anchor{}, fmt.Errorf("reading anchors: %w", err))
		}
		var l Line
		if why == "" {
			if l, err = ParseLine(text); err != nil {
				why = fmt.Sprintf("it is no anchor (%v)", err)
			}
		}
		if why != "" {
			if !yield(Anchor{}, &Doubt{where, why + ": skipped"}) {
				return false
			}
			continue
		}
		if l.N != last+1 {
			if !yield(Anchor{}, &Doubt{where, fmt.Sprintf("anchor %d comes after %d: some are missing", l.N, last)}) {
				return false
			}
		}
		last = l.N
		if !yield(Anchor{l.Head, l.Time, where}, nil) {
			return false
		}
	}
}

// readLine returns the next line, good until the next call, or why it cannot be one.
func readLine(r *bufio.Reader) (text []byte, why string, err error) {
	text, err = r.ReadSlice('\n')
	for ; errors.Is(err, bufio.ErrBufferFull); _, err = r.ReadSlice('\n') {
		why = "it is too long"
	}
	switch {
	case why != "":
	case errors.Is(err, io.EOF) && len(text) > 0, bytes.HasSuffix(text, []byte(Torn)):
		why = "it is torn, as by a crash"
	}
	return text, why, err
}
