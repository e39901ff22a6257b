package gitland

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/AgentaaU/AaaU/pkg/gitindex"
)

// A base is what both repositories had when they last agreed, each ref and path by itself.
type base struct {
	State State
	Index []gitindex.Entry
	Told  []string // what has been told, so that it is told once
	// Recent are the changes of the last step of the person's index, and At is when that was. A
	// git commit of the person's that had read the index before and failed afterwards may have
	// written the old one back.
	Recent []PathChange
	At     time.Time
}

// recent is for how long a step is looked at again.
const recent = 2 * time.Second

func (l *Lander) load() (b base, err error) {
	text, err := os.ReadFile(filepath.Join(l.dir(), "base"))
	if err != nil {
		return b, err
	}
	err = json.Unmarshal(text, &b)
	b.State.Index = b.Index
	return b, err
}

func (l *Lander) save(b base) error {
	b.Index = b.State.Index
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return replace(filepath.Join(l.dir(), "base"), text)
}

// replace writes a file so that a crash leaves the old one or the new one.
func replace(name string, text []byte) error {
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err2 := f.Close(); err == nil {
		err = err2
	}
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	return err
}

// set notes that a ref has moved on both sides.
func (b *base) set(m RefMove) {
	if m.New == "" {
		delete(b.State.Refs, m.Name)
	} else {
		b.State.Refs[m.Name] = m.New
	}
}

// took notes that a step was taken. now is zero if it was not the person's index that changed.
func (b *base) took(step Step, now time.Time) {
	if step.Ref.Name != "" {
		b.set(step.Ref)
	}
	if step.From != step.To {
		b.State.Head = step.To
	}
	if step.Pending != nil {
		b.State.Pending = step.Pending
	}
	b.State.Index = patched(b.State.Index, step.Index)
	if !now.IsZero() {
		b.Recent, b.At = step.Index, now
	}
}

// patched is an index with some paths changed, which are in order.
func patched(index []gitindex.Entry, changes []PathChange) (result []gitindex.Entry) {
	result = make([]gitindex.Entry, 0, len(index)+len(changes))
	for _, c := range changes {
		n := find(index, c.Path)
		result = append(append(result, index[:n]...), c.New...)
		_, index = take(index[n:], c.Path)
	}
	return append(result, index...)
}

// find is where the entries of a path are in an index, or would be.
func find(index []gitindex.Entry, path string) int {
	n, _ := slices.BinarySearchFunc(index, path, func(e gitindex.Entry, path string) int { return strings.Compare(e.Name, path) })
	return n
}

// agree takes over what both sides have alike, and says whether that is news.
func (b *base) agree(session, person State) (news bool) {
	for name := range union(b.State.Refs, union(session.Refs, person.Refs)) {
		if s, p := session.Refs[name], person.Refs[name]; s == p && s != b.State.Refs[name] {
			b.set(RefMove{Name: name, New: s})
			news = true
		}
	}
	if session.Head == person.Head && session.Head != b.State.Head {
		b.State.Head = session.Head
		news = true
	}
	if maps.Equal(session.Pending, person.Pending) && !maps.Equal(session.Pending, b.State.Pending) {
		b.State.Pending, news = session.Pending, true
	}
	if session.Stash == person.Stash && session.Stash != b.State.Stash {
		b.State.Stash, news = session.Stash, true
	}
	alike := changes(b.State.Index, session.Index, person.Index, func(b, s, p []gitindex.Entry) bool {
		return slices.Equal(s, p) && !slices.Equal(s, b)
	})
	b.State.Index = patched(b.State.Index, alike)
	return news || len(alike) > 0
}

// heal puts right what a look at the person's index shows, where the paths of the last step are
// back at what they were before it, all of them: nobody staged that.
func (b *base) heal(person *State) {
	if len(b.Recent) == 0 || time.Since(b.At) > recent || person.Head != b.State.Head || person.value() != b.State.value() {
		return
	}
	back := slices.Clone(b.Recent)
	for _, c := range b.Recent {
		if has, _ := take(person.Index[find(person.Index, c.Path):], c.Path); !slices.Equal(has, c.Old) {
			return
		}
	}
	// The base forgets the step, so that the session's index lands again.
	for i := range back {
		back[i].Old, back[i].New = back[i].New, back[i].Old
	}
	b.State.Index = patched(b.State.Index, back)
	b.Recent = nil
}
