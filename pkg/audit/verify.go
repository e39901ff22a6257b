package audit

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
)

// Anchor is what somebody whom the bridge cannot be says of a chain: it had this
// record then. Source says where that stands, for people.
type Anchor struct {
	Chain  string    `json:"chain"`
	Seq    uint64    `json:"seq"`
	Hash   Digest    `json:"hash"`
	Time   time.Time `json:"time"`
	Source string    `json:"source"`
}

// Trouble is what has happened to a chain.
type Trouble string

// The kinds of it.
const (
	Changed  Trouble = "changed"
	Dropped  Trouble = "dropped"
	Inserted Trouble = "inserted"
	Swapped  Trouble = "swapped"
	CutOff   Trouble = "cut off"
	// Torn is a last line without its end, with nothing missing that is anchored. It
	// need not be anybody's doing: a write is under way, or a crash was, and the next
	// bridge tells.
	Torn Trouble = "torn"
)

// Problem is the first thing that is wrong with a chain.
type Problem struct {
	Trouble Trouble
	File    string // where it shows
	Line    int
	Seq     uint64 // the first record that is not what it was, or should stand there
	Through uint64 // and the last, when several are in question
	Why     string
}

func (p *Problem) Error() string {
	which := fmt.Sprintf("record %d", p.Seq)
	if p.Through > p.Seq {
		which = fmt.Sprintf("records %d to %d", p.Seq, p.Through)
	}
	where := "the chain"
	if p.File != "" {
		where = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s: %s: %s: %s", where, which, p.Trouble, p.Why)
}

// Report is what Verify has found.
type Report struct {
	Chain   string
	Records uint64 // that follow one another, before the Problem
	Last    Head   // of these
	Ended   bool   // there is a session_end among them
	// Holes is how many of the records tell that output is missing, as the bridge itself
	// knew: that is no Problem of the chain's.
	Holes uint64
	// Expired is how many records retention has removed from the beginning, as a
	// note in the bridge's chain says.
	Expired uint64
	// Unanchored is how many of the records, and of bytes, come after the last that an
	// anchor vouches for: who can write the files could have made these.
	Unanchored      uint64
	UnanchoredBytes int64
	Problem         *Problem // nil: none

	notes []Retention // of the bridge's chain
}

// VerifyAll verifies the bridges' chains and then all others: also those of which only
// anchors are left. Beside an error the report says of which chain; more can follow.
func VerifyAll(dir string, anchors []Anchor) iter.Seq2[Report, error] {
	return func(yield func(Report, error) bool) {
		chains, err := Chains(dir)
		if err != nil {
			yield(Report{}, err)
			return
		}
		chains = append(chains, BridgeChain)
		of := map[string][]Anchor{}
		for _, a := range anchors {
			of[a.Chain] = append(of[a.Chain], a)
		}
		chains = slices.AppendSeq(chains, maps.Keys(of))
		slices.SortFunc(chains, func(a, b string) int { // who has notes first, and the first of them
			return cmp.Or(rank(a)-rank(b), strings.Compare(a, b))
		})
		var notes []Retention
		for _, chain := range slices.Compact(chains) {
			r, err := Verify(dir, chain, of[chain], notes)
			notes = append(notes, r.notes...)
			if !yield(r, err) {
				return
			}
		}
	}
}

func rank(chain string) int {
	if IsBridge(chain) {
		return 0
	}
	return 1
}

// Notes are what the bridge's chain, if this is of it, says of what has expired: for
// Verify. They are worth what the chain is.
func (r Report) Notes() []Retention { return r.notes }

// Verify walks a chain, over all its files, and holds it to the anchors that are its
// own among those given. Notes are the bridge's chain's, which need not be given for
// itself. An error is the system's; what is wrong with the chain is the report's
// Problem, and only the first thing is looked for.
func Verify(dir, chain string, anchors []Anchor, notes []Retention) (Report, error) {
	v := verifier{anchors: map[uint64][]Anchor{}}
	v.Chain = chain
	for _, a := range anchors {
		if a.Chain == chain {
			v.anchors[a.Seq] = append(v.anchors[a.Seq], a)
			if a.Seq >= v.lastAnchor.Seq {
				v.lastAnchor = a
			}
		}
	}
	chains, err := list(dir, chain)
	if err != nil {
		return v.Report, err
	}
	if IsBridge(chain) {
		if v.notes, err = readNotes(dir, chains[chain]); err != nil {
			return v.Report, err
		}
		notes = append(slices.Clone(notes), v.notes...)
	}
	for _, n := range notes {
		if n.Chain == chain {
			v.starts = append(v.starts, Head{n.Seq, n.Hash})
		}
	}
	if err := v.walk(dir, chains[chain]); err != nil {
		return v.Report, err
	}
	v.conclude()
	return v.Report, nil
}

// readNotes finds what the bridge's chain says of what has expired.
func readNotes(dir string, segments []segment) (notes []Retention, err error) {
	for e, err := range read(dir, segments) {
		if err != nil {
			if errors.As(err, new(*BadLine)) {
				continue // verified later
			}
			return nil, err
		}
		if e.Kind == KindRetention {
			if m, err := e.Decode(); err == nil {
				notes = append(notes, *m.(*Retention))
			}
		}
	}
	return notes, nil
}

type verifier struct {
	Report
	anchors    map[uint64][]Anchor
	lastAnchor Anchor
	starts     []Head // after which the chain may begin, besides at its beginning

	begun    bool // Last is set, at first to what the chain should begin after
	first    Head
	lastSpot spot // of the last good record
	before   Head // the one before that
	trusted  uint64
	torn     *BadLine
}

type spot struct {
	file string
	line int
}

// walk takes one line after the other, and looks two ahead only when one is wrong.
func (v *verifier) walk(dir string, segments []segment) error {
	var bad []link // the first that is wrong, and those after it
	for l, err := range scan(dir, segments) {
		if err != nil {
			return err
		}
		k := v.link(l)
		if !v.begun {
			v.begin(k)
		}
		switch {
		case len(bad) > 0:
			bad = append(bad, k)
		case v.torn != nil: // lines follow, in the next file: no crash did that
			bad = append(bad, link{spot: spot{v.torn.File, v.torn.Line}, why: v.torn.Why}, k)
		case l.bad != nil && l.bad.Torn:
			v.torn = l.bad
		case k.at(v.Last) && !v.disowned(&k):
			v.take(l, k)
		default:
			bad = append(bad, k)
		}
		if len(bad) == 3 {
			break
		}
	}
	if len(bad) > 0 {
		bad = append(bad, link{}, link{})
		v.Problem = v.judge(bad[0], bad[1], bad[2])
	}
	return nil
}

// begin decides after which record the chain should begin: none, or one of those that
// expired.
func (v *verifier) begin(k link) {
	v.begun = true
	for _, h := range v.starts {
		if k.at(h) {
			v.first = h
			break
		}
		if v.first.Seq < h.Seq && k.seq != 1 { // the latest, if it is unclear
			v.first = h
		}
	}
	v.Last, v.Expired = v.first, v.first.Seq
}

// link is what a line says of its place in the chain.
type link struct {
	spot
	why   string // it is none, or what is wrong with it in itself; empty: nothing
	kind  Kind
	seq   uint64
	prev  Digest
	hash  Digest
	sound bool   // its hash is its own
	from  uint64 // an anchor says it is another: one from here on was changed
}

func (v *verifier) link(l raw) link {
	k := link{spot: spot{l.file, l.n}}
	e, err := l.entry()
	if err != nil {
		k.why = "it is no record"
		if l.bad != nil {
			k.why = l.bad.Why
		}
		return k
	}
	k.kind, k.seq, k.prev, k.hash, k.sound = e.Kind, e.Seq, e.Prev, e.Hash, e.Hash == e.sum
	switch {
	case !k.sound:
		k.why = "its hash is not that of what it says"
	case !IsBridge(v.Chain) && e.SessionID != v.Chain:
		k.why, k.sound = fmt.Sprintf("it is of session %.80q", e.SessionID), false
	}
	return k
}

// at is whether a record stands where h is the last one.
func (k link) at(h Head) bool { return k.sound && k.seq == h.Seq+1 && k.prev == h.Hash }

// disowned says whether an anchor knows another record of this number.
func (v *verifier) disowned(k *link) bool {
	for _, a := range v.anchors[k.seq] {
		if a.Hash != k.hash {
			k.sound, k.from = false, max(v.trusted, v.first.Seq)+1
			k.why = fmt.Sprintf("record %d is not the one of which %s had the hash at %s: the chain was made anew from here on, or from one before that no other anchor vouches for",
				k.seq, a.Source, a.Time.UTC().Format(time.RFC3339))
			return true
		}
	}
	return false
}

// take goes on to a record that follows.
func (v *verifier) take(l raw, k link) {
	v.before, v.Last, v.lastSpot = v.Last, Head{k.seq, k.hash}, k.spot
	v.Records++
	v.Unanchored++
	v.UnanchoredBytes += int64(len(l.b)) + 1
	if len(v.anchors[k.seq]) > 0 {
		v.trusted = k.seq
		v.Unanchored, v.UnanchoredBytes = 0, 0
	}
	switch k.kind {
	case KindSessionEnd:
		v.Ended = true
	case KindHole:
		v.Holes++
	}
}

// judge says what has happened where k stands and the record after v.Last should, by
// the two that come next.
func (v *verifier) judge(k, next, third link) *Problem {
	want := v.Last.Seq + 1
	p := &Problem{Trouble: Changed, File: k.file, Line: k.line, Seq: want, Why: k.why}
	switch {
	case next.at(v.Last) && k.sound && k.seq == want+1 && third.seq != k.seq:
		p.Trouble, p.Why = Swapped, fmt.Sprintf("record %d stands before it", k.seq)
	case next.at(v.Last):
		p.Trouble, p.Why = Inserted, fmt.Sprintf("record %d comes after it", want)
	case k.from > 0:
		p.Seq, p.Through = k.from, k.seq
	case !k.sound:
	case k.seq > want && next.seq == want+1 && k.seq != want+1:
		p.Trouble, p.Why = Swapped, fmt.Sprintf("record %d stands in its place", k.seq)
	case k.seq > want:
		p.Trouble, p.Through = Dropped, k.seq-1
		p.Why = fmt.Sprintf("record %d is followed by %d", v.Last.Seq, k.seq)
		if v.Records == 0 {
			p.Why = "they are gone from the beginning, and no note says that they expired"
		}
	case v.Records > 0 && k.seq == v.Last.Seq && k.prev == v.before.Hash && k.hash != v.Last.Hash:
		// There are two of that number, and the first has no successor.
		p.Trouble, p.Seq = Inserted, v.Last.Seq
		p.File, p.Line = v.lastSpot.file, v.lastSpot.line
		p.Why = fmt.Sprintf("another record %d comes after it", v.Last.Seq)
	case k.seq < want:
		p.Trouble, p.Why = Inserted, fmt.Sprintf("record %d stands here, after %d", k.seq, v.Last.Seq)
	case v.Records > 0: // its number is right, and it names another as the one before
		p.Seq = v.Last.Seq
		p.File, p.Line = v.lastSpot.file, v.lastSpot.line
		p.Why = "its successor has another hash of it"
	default:
		p.Why = "it names another as the one before"
	}
	return p
}

// conclude looks at what is missing from the end.
func (v *verifier) conclude() {
	last := v.Last.Seq
	if !v.begun { // nothing is left
		for _, h := range v.starts {
			v.Expired = max(v.Expired, h.Seq)
		}
		last = v.Expired
	}
	switch {
	case v.Problem != nil:
	case v.lastAnchor.Seq > last:
		v.Problem = &Problem{CutOff, v.lastSpot.file, v.lastSpot.line, last + 1, v.lastAnchor.Seq,
			fmt.Sprintf("%s knew of record %d at %s", v.lastAnchor.Source, v.lastAnchor.Seq, v.lastAnchor.Time.UTC().Format(time.RFC3339))}
	case v.torn != nil:
		v.Problem = &Problem{Torn, v.torn.File, v.torn.Line, last + 1, 0, v.torn.Why}
	}
}
