package project

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A bundle is a directory with very many files of which each would be told: what a package
// manager has installed. It is told as one change, unless it has few.
type bundle struct {
	what  string   // it is, for people
	files int      // that count and have changed
	some  []Change // the first of them
}

// few is how many changes of a bundle are told one by one, where there are no more.
const few = 3

const (
	nodeModules = "node_modules"
	environment = "a Python environment"
)

// cached are directories in node_modules into which tools write whenever they run.
var cached = map[string]bool{".cache": true, ".vite": true, ".vite-temp": true}

// bundled counts a change in a bundle, which is a path in the tree. Of directories only
// what is in them counts.
func (t *tree) bundled(rel string, p place, e entry, what string) {
	if e.kind == unix.DT_DIR {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	name := filepath.Join(t.name, rel) + "/"
	b := t.bundles[name]
	if b == nil {
		if t.total++; len(t.bundles) >= MaxChanges {
			return // an agent may make as many as it likes
		}
		b = &bundle{what: environment}
		if filepath.Base(rel) == nodeModules {
			b.what = nodeModules
		}
		t.bundles[name] = b
	}
	if b.files++; b.files <= few {
		b.some = append(b.some, Change{Path: filepath.Join(t.name, p.rel, e.name), What: what})
	}
}

// unbundle adds the bundles to what was found.
func (c *changed) unbundle() {
	for name, b := range c.bundles {
		if b.files <= few {
			c.found = append(c.found, b.some...)
			c.total += b.files - 1
			continue
		}
		c.found = append(c.found, Change{Path: name, What: b.String(), Files: b.files})
	}
	clear(c.bundles)
}

func (b *bundle) String() string {
	files := fmt.Sprintf("%d new or changed files", b.files)
	if b.what == nodeModules {
		return files
	}
	return b.what + ", with " + files + " that your tools run"
}
