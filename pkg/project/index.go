package project

import "github.com/AgentaaU/AaaU/pkg/gitindex"

// maxIndex is how large an index is looked at.
const maxIndex = 512 << 20

// index reads the index of a directory of git's, and the one that it shares entries
// with. unclear says that git may read there what we do not.
func (t *tree) index(p place) (x gitindex.Index, unclear bool) {
	read := func(name string) (x gitindex.Index) {
		if text := t.content(p, entry{name: name}, maxIndex); text != "" {
			var err error
			x, err = gitindex.Parse([]byte(text))
			unclear = unclear || err != nil && err != gitindex.ErrRefused
		}
		return x
	}
	if x = read("index"); x.Shared != "" {
		x = x.All(read(x.Shared))
	}
	return x, unclear
}

// gitlinks are the repositories that an index names.
func (t *tree) gitlinks(p place) []string {
	x, _ := t.index(p)
	return x.Gitlinks
}

// badIndex says whether an index is none of git's making, or names what git itself
// never puts there: by such names it runs what other repositories configure, writes
// outside of the work tree, or writes hooks.
func (t *tree) badIndex(p place, fd int, fresh bool) string {
	if !fresh && !t.newer(fd, "index") {
		return ""
	}
	switch x, unclear := t.index(p); {
	case len(x.Strange) > 0:
		return "has an index that names what is not of its files (" + shown(x.Strange[0]) + ")"
	case unclear:
		return "has an index that cannot be understood"
	}
	return ""
}
