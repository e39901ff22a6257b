package audit

import (
	"bytes"
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"
)

// Query is what is looked for: records for which all that is set is so.
type Query struct {
	Session  string
	User     string
	From, To time.Time // including these
	Kinds    []Kind
	// Text is looked for in what a person would have read: in the lines of output, and
	// in contents and metadata of all else.
	Text string
	// View, if set, is asked for each chain whether it is looked through, and for what is
	// to be done to its records before (nil: nothing); start is nil if it is missing or
	// unreadable. An error of see's takes a record's place.
	View func(chain string, start *SessionStart) (see func(*Entry) error, ok bool)
}

// Match is a record that was found.
type Match struct {
	*Entry        // good until the next one is asked for
	Text   string // the line of output, fit for a terminal; or the content, which need not be
}

// Search goes through what is recorded in dir, one chain after the other, the bridge's
// own among them. An error may be a *BadLine, which more can follow.
func Search(dir string, q Query) iter.Seq2[Match, error] {
	return func(yield func(Match, error) bool) {
		chains, err := list(dir, "")
		if err != nil {
			yield(Match{}, err)
			return
		}
		var names []string
		for name := range chains {
			if q.Session == "" || name == q.Session || IsBridge(name) {
				names = append(names, name)
			}
		}
		slices.SortFunc(names, func(a, b string) int { // roughly by time
			return cmp.Or(strings.Compare(chains[a][0].day, chains[b][0].day), strings.Compare(a, b))
		})
		for _, name := range names {
			segments := slices.DeleteFunc(slices.Clone(chains[name]), q.outside)
			if len(segments) == 0 {
				continue
			}
			see := func(*Entry) error { return nil }
			if q.View != nil {
				start, err := startOf(dir, name, chains[name])
				if err != nil && !yield(Match{}, err) {
					return
				}
				its, ok := q.View(name, start)
				if !ok {
					continue
				}
				if its != nil {
					see = its
				}
			}
			s := searcher{q: q, yield: yield}
			for e, err := range follow(name, read(dir, segments)) {
				if err == nil {
					err = see(e)
				}
				if err != nil {
					if !yield(Match{}, err) {
						return
					}
					continue
				}
				if !s.see(e) {
					return
				}
			}
			if !s.rest() {
				return
			}
		}
	}
}

// outside says whether a segment has nothing of the time in question. A day is given
// on both sides, for clocks that are set.
func (q Query) outside(s segment) bool {
	day, err := time.Parse(time.DateOnly, s.day)
	if err != nil {
		return true
	}
	return !q.From.IsZero() && day.AddDate(0, 0, 2).Before(q.From) || !q.To.IsZero() && day.AddDate(0, 0, -1).After(q.To)
}

func (q Query) fits(e *Entry) bool {
	return (q.Session == "" || e.SessionID == q.Session) &&
		(q.User == "" || e.User == q.User) &&
		(q.From.IsZero() || !e.Time.Before(q.From)) && (q.To.IsZero() || !e.Time.After(q.To)) &&
		(len(q.Kinds) == 0 || slices.Contains(q.Kinds, e.Kind))
}

type searcher struct {
	q       Query
	yield   func(Match, error) bool
	streams [2]plain
	last    [2]*Entry // that the unfinished lines are from
}

func (s *searcher) see(e *Entry) bool {
	if !s.q.fits(e) {
		return true
	}
	if e.Kind == KindOutput && s.q.Text != "" {
		return s.output(e)
	}
	text, err := e.Text()
	if err != nil {
		return s.yield(Match{}, &BadLine{File: e.File, Line: e.Line, Why: err.Error(), Chain: e.SessionID, Time: e.Time})
	}
	if s.q.Text != "" && !bytes.Contains([]byte(text), []byte(s.q.Text)) && !bytes.Contains(e.Metadata, []byte(s.q.Text)) {
		return true
	}
	return s.yield(Match{e, text}, nil)
}

// output looks through the lines that end in this record, wherever they began.
func (s *searcher) output(e *Entry) (more bool) {
	p, stream, err := e.output()
	if err != nil {
		return s.yield(Match{}, &BadLine{File: e.File, Line: e.Line, Why: err.Error(), Chain: e.SessionID, Time: e.Time})
	}
	more = true
	s.streams[stream].feed(p, func(line []byte) {
		if more && bytes.Contains(line, []byte(s.q.Text)) {
			more = s.yield(Match{e, string(readable(line))}, nil)
		}
	})
	kept := *e // for rest; what it holds of the line is the reader's
	kept.Raw, kept.content, kept.Metadata = nil, nil, nil
	s.last[stream] = &kept
	return more
}

// rest looks through the lines that never ended.
func (s *searcher) rest() (more bool) {
	more = true
	for i := range s.streams {
		s.streams[i].rest(func(line []byte) {
			if more && bytes.Contains(line, []byte(s.q.Text)) {
				more = s.yield(Match{s.last[i], string(readable(line))}, nil)
			}
		})
	}
	return more
}
