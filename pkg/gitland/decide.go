package gitland

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/AgentaaU/AaaU/pkg/gitindex"
)

// A RefMove gives a ref a new value. Old or New is "" where the ref is not there.
type RefMove struct {
	Name, Old, New string
}

func (m RefMove) moves() bool { return m.Name != "" && m.Old != m.New }

// A PathChange is what a path of the index becomes: no entries, one, or the sides of a merge.
type PathChange struct {
	Path     string
	Old, New []gitindex.Entry
}

// A Step is what happens to one repository under its index's lock. Refs before that move by
// themselves.
type Step struct {
	Refs     []RefMove
	Ref      RefMove // of HEAD's branch, the one that HEAD has after the step
	From, To Head
	Index    []PathChange
	// Pending are git's files about an unfinished merge, cherry-pick or revert, which replace those
	// that are there; nil leaves them.
	Pending map[string]string
}

func (s Step) empty() bool {
	return !s.Ref.moves() && s.From == s.To && len(s.Index) == 0 && s.Pending == nil
}

// gitlinks are the paths that the step makes into repositories of their own.
func (s Step) gitlinks() (paths []string) {
	const gitlink = 0o160000
	for _, c := range s.Index {
		if slices.ContainsFunc(c.New, func(e gitindex.Entry) bool { return e.Mode == gitlink }) {
			paths = append(paths, c.Path)
		}
	}
	return paths
}

// moves are what one direction of a landing does.
type moves struct {
	Refs []RefMove // of branches that are not checked out, tags and notes
	head Step
	// stash is the newest stash of the source's, or "" if it is not new.
	stash string
	later bool // HEAD and the index have to wait for the end of a rebase
	told  []string
}

func (m moves) empty() bool { return len(m.Refs) == 0 && m.head.empty() && m.stash == "" }

// ids are the objects that refs and HEAD get.
func (m moves) ids() (ids []string) {
	for _, r := range m.Refs {
		ids = append(ids, r.New)
	}
	if ids = append(ids, m.head.ids()...); m.stash != "" {
		ids = append(ids, m.stash)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// ids are the commits that a step gives HEAD and its branch.
func (s Step) ids() (ids []string) {
	if s.Ref.moves() {
		ids = append(ids, s.Ref.New)
	}
	if s.To.ID != "" {
		ids = append(ids, s.To.ID)
	}
	for _, text := range s.Pending {
		ids = append(ids, strings.Fields(text)...)
	}
	return ids
}

// decide compares what both sides have with the base, and says what moves from one side to the
// other. tell is whether the clashes are told: they are the same in both directions.
func decide(base, from, to State, tell bool) (m moves) {
	say := func(format string, args ...any) {
		if tell {
			m.told = append(m.told, fmt.Sprintf(format, args...))
		}
	}
	movable := func(name string) bool { // the target's value is the base's, or already the new one
		return to.Refs[name] == base.Refs[name] || to.Refs[name] == from.Refs[name]
	}
	for _, name := range slices.Sorted(maps.Keys(union(base.Refs, from.Refs))) {
		b, f, t := base.Refs[name], from.Refs[name], to.Refs[name]
		switch {
		case f == b || f == t:
		case f == "" && b == t:
			say("the session deleted %s; to delete it here too: git %s", name, deletion(name))
		case t != b:
			say("both sides moved %s; to merge: aaau land --merge %s", name, strings.TrimPrefix(name, "refs/heads/"))
		case f == "":
		case name == from.Head.Ref || name == to.Head.Ref: // with HEAD and the index, or not at all
		case slices.Contains(to.Elsewhere, name):
			say("%s was not moved: another working tree has it checked out", name)
		default:
			m.Refs = append(m.Refs, RefMove{name, t, f})
		}
	}
	if from.Rebasing || to.Rebasing {
		m.later = true
	} else if step, why := decideHead(base, from, to, movable); why != "" {
		say("%s", why)
	} else {
		m.head = step
	}
	if from.Stash != base.Stash && from.Stash != to.Stash && from.Stash != "" && to.Stash == base.Stash && tell {
		m.stash = from.Stash
	}
	if from.Head.Ref != to.Head.Ref && !m.head.Ref.moves() && m.head.To == m.head.From {
		// A branch that only the source has checked out moves by itself where HEAD does not follow.
		if name := from.Head.Ref; name != "" && from.Refs[name] != to.Refs[name] && to.Refs[name] == base.Refs[name] && from.Refs[name] != "" && !slices.Contains(to.Elsewhere, name) {
			m.Refs = append(m.Refs, RefMove{name, to.Refs[name], from.Refs[name]})
		}
	}
	return m
}

// decideHead is the part of decide for HEAD, its branch and the index, which move together or not
// at all. HEAD follows only onto a branch that has the source's value afterwards.
func decideHead(base, from, to State, movable func(string) bool) (step Step, why string) {
	head := from.Head
	if from.Head == base.Head { // then the target's HEAD stays
		head = to.Head
	} else if to.Head != base.Head && to.Head != from.Head || to.value() != base.value() && to.value() != from.value() {
		return step, fmt.Sprintf("HEAD stays on %s: both sides moved it, the session to %s", to.Head.short(), from.Head.short())
	}
	if head != from.Head { // each has its own HEAD: nothing of the source's fits the target's index
		return step, ""
	}
	if head.Ref != "" {
		if !movable(head.Ref) {
			return step, "" // told with the ref
		}
		if head.Ref != to.Head.Ref && slices.Contains(to.Elsewhere, head.Ref) {
			return step, fmt.Sprintf("HEAD stays: another working tree has %s checked out", head.short())
		}
		if to.Refs[head.Ref] != from.Refs[head.Ref] && from.Refs[head.Ref] == "" {
			return step, ""
		}
	}
	move, clash := decideIndex(base.Index, from.Index, to.Index)
	if len(clash) > 0 {
		return step, fmt.Sprintf("both sides staged %s: commit or unstage it on one side", list(clash))
	}
	step = Step{From: to.Head, To: head, Index: move}
	switch {
	case maps.Equal(from.Pending, base.Pending) || maps.Equal(from.Pending, to.Pending):
	case maps.Equal(to.Pending, base.Pending):
		step.Pending = maps.Clone(from.Pending)
		if step.Pending == nil {
			step.Pending = map[string]string{}
		}
	default:
		return Step{}, "both sides are in the middle of a merge: finish it on one side"
	}
	if head.Ref != "" {
		step.Ref = RefMove{head.Ref, to.Refs[head.Ref], from.Refs[head.Ref]}
	}
	return step, ""
}

// decideIndex compares three indexes path by path.
func decideIndex(base, from, to []gitindex.Entry) (move []PathChange, clash []string) {
	move = changes(base, from, to, func(b, f, t []gitindex.Entry) bool {
		return !slices.Equal(f, b) && !slices.Equal(f, t) && slices.Equal(t, b)
	})
	for _, c := range changes(base, from, to, func(b, f, t []gitindex.Entry) bool {
		return !slices.Equal(f, b) && !slices.Equal(f, t) && !slices.Equal(t, b)
	}) {
		clash = append(clash, c.Path)
	}
	return move, clash
}

// changes are the paths of three indexes of which is says so, from what to has to what from has.
func changes(base, from, to []gitindex.Entry, is func(base, from, to []gitindex.Entry) bool) (list []PathChange) {
	for len(base)+len(from)+len(to) > 0 {
		path := first(base, from, to)
		var b, f, t []gitindex.Entry
		b, base = take(base, path)
		f, from = take(from, path)
		if t, to = take(to, path); is(b, f, t) {
			list = append(list, PathChange{path, t, f})
		}
	}
	return list
}

// first is the least path of three sorted indexes.
func first(indexes ...[]gitindex.Entry) (path string) {
	found := false
	for _, x := range indexes {
		if len(x) > 0 && (!found || x[0].Name < path) {
			path, found = x[0].Name, true
		}
	}
	return path
}

// take splits off the entries of a path.
func take(index []gitindex.Entry, path string) (entries, rest []gitindex.Entry) {
	n := 0
	for n < len(index) && index[n].Name == path {
		n++
	}
	return index[:n], index[n:]
}

func (h Head) short() string {
	if h.Ref != "" {
		return strings.TrimPrefix(h.Ref, "refs/heads/")
	}
	return h.ID[:min(len(h.ID), 12)]
}

// deletion is the command that deletes a ref.
func deletion(ref string) string {
	if short, ok := strings.CutPrefix(ref, "refs/heads/"); ok {
		return "branch -D " + short
	}
	if short, ok := strings.CutPrefix(ref, "refs/tags/"); ok {
		return "tag -d " + short
	}
	return "update-ref -d " + ref
}

// list names the first few of many paths.
func list(paths []string) string {
	const few = 3
	if len(paths) > few {
		return fmt.Sprintf("%q and %d more", paths[:few], len(paths)-few)
	}
	return fmt.Sprintf("%q", paths)
}

func union(a, b map[string]string) map[string]string {
	u := maps.Clone(a)
	if u == nil {
		u = map[string]string{}
	}
	maps.Copy(u, b)
	return u
}

// without leaves out what would get an object that git refuses, and tells it.
func (m *moves) without(refused map[string]string) {
	m.Refs = slices.DeleteFunc(m.Refs, func(r RefMove) bool {
		why, bad := refused[r.New]
		if bad {
			m.told = append(m.told, fmt.Sprintf("%s is not landed: %s", r.Name, why))
		}
		return bad
	})
	if why, bad := refused[m.stash]; bad {
		m.told = append(m.told, "the stash is not landed: "+why)
		m.stash = ""
	}
	for _, id := range m.head.ids() {
		if why, bad := refused[id]; bad {
			m.told = append(m.told, fmt.Sprintf("%s and what is staged are not landed: %s", m.head.To.short(), why))
			m.head = Step{}
			return
		}
	}
}
