package project

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type trapTest struct {
	before func(t *testing.T, ws string) // nil: a repository
	after  func(t *testing.T, ws string)
	want   []string // parts of lines, in order
	dead   bool     // it runs nothing at a prompt, but is disarmed
	once   bool     // afterwards it is not as it was: git or the next session has written there
	blind  bool     // found only if it is known what there was
}

var trapTests = map[string]trapTest{
	"a repository as a submodule": {
		after: func(t *testing.T, ws string) { evil(t, ws, ws+"/evil"); gitlink(t, ws, "evil") },
		want:  []string{"evil/.git: a new repository that runs or reads other things (core.fsmonitor): put aside; back with: mv evil/.git.from-agent evil/.git && mv evil/.git/HEAD.from-agent evil/.git/HEAD"},
	},
	"at the top": {
		before: func(t *testing.T, ws string) {},
		after:  func(t *testing.T, ws string) { evil(t, ws, ws) },
		want:   []string{".git: a new repository that runs"},
	},
	"the top made bare": {
		after: func(t *testing.T, ws string) {
			write(t, ws+"/.git/HEAD", "x")
			write(t, ws+"/HEAD", "ref: refs/heads/main\n")
			mkdir(t, ws+"/objects")
			mkdir(t, ws+"/refs")
			write(t, ws+"/config", config(ws, "\tworktree = .\n"))
		},
		want: []string{"config: runs or reads other things (core.fsmonitor): put aside; back with: mv config.from-agent config"},
		once: true,
	},
	"bare, with files that can be executed": {
		before: func(t *testing.T, ws string) {},
		after: func(t *testing.T, ws string) {
			write(t, ws+"/x/HEAD", "ref: refs/heads/main\n")
			write(t, ws+"/x/objects", "")
			write(t, ws+"/x/refs", "")
			write(t, ws+"/x/config", config(ws, "\tworktree = .\n"))
		},
		want: []string{"x/config: runs"}, once: true,
	},
	"a linked worktree that an index names, with a program of its own": {
		before: func(t *testing.T, ws string) {
			repo(t, ws)
			write(t, ws+"/t/f", "#!/bin/sh\n")
			gitIn(t, ws, "config", "core.fsmonitor", "t/f")
			gitIn(t, ws, "add", "t")
			gitIn(t, ws, "commit", "-qm", "t")
		},
		after: func(t *testing.T, ws string) {
			gitIn(t, ws, "worktree", "add", "-q", "a/w")
			write(t, ws+"/a/w/t/f", "#!/bin/sh\ntouch "+filepath.Dir(ws)+"/marker\n")
			gitlink(t, ws, "a/w")
		},
		want: []string{"a/w/.git: a worktree that git enters, as an index names it, where settings of its repository run something (core.fsmonitor): put aside"},
	},
	"a .git that leads elsewhere": {
		after: func(t *testing.T, ws string) {
			evil(t, ws, filepath.Dir(ws)+"/else")
			write(t, ws+"/x/.git", "gitdir: ../../else/.git\n")
			gitlink(t, ws, "x")
		},
		want: []string{"x/.git: leads to a repository of another place, "},
	},
	"a .git that is a symbolic link": {
		after: func(t *testing.T, ws string) {
			evil(t, ws, filepath.Dir(ws)+"/else")
			symlink(t, "../../else/.git", ws+"/x/.git")
			gitlink(t, ws, "x")
		},
		want: []string{"x/.git: leads to"},
	},
	"a .git that leads to what is judged itself": {
		after: func(t *testing.T, ws string) {
			evil(t, ws, ws+"/x")
			if err := os.Rename(ws+"/x/.git", ws+"/.git/modules"); err != nil {
				t.Fatal(err)
			}
			write(t, ws+"/x/.git", "gitdir: ../.git/modules\n")
			gitlink(t, ws, "x")
		},
		want: []string{".git/modules/config: runs"},
	},
	"commondir": {
		after: func(t *testing.T, ws string) {
			evil(t, ws, ws+"/x")
			if err := os.Rename(ws+"/x/.git/config", ws+"/x/config"); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"objects", "refs"} {
				if err := os.Rename(ws+"/x/.git/"+name, ws+"/x/"+name); err != nil {
					t.Fatal(err)
				}
			}
			write(t, ws+"/x/.git/commondir", "..\n")
			gitlink(t, ws, "x")
		},
		want: []string{"x/.git: a new repository that takes its configuration from elsewhere (commondir)"},
	},
	"HEAD and commondir": {
		after: func(t *testing.T, ws string) {
			write(t, ws+"/x/HEAD", "ref: refs/heads/main\n")
			write(t, ws+"/x/commondir", "y\n")
			mkdir(t, ws+"/x/y/objects")
			mkdir(t, ws+"/x/y/refs")
			write(t, ws+"/x/y/config", config(ws, ""))
		},
		want: []string{"x/commondir: takes"}, dead: true,
	},
	"a worktree's commondir": {
		after: func(t *testing.T, ws string) {
			gitIn(t, ws, "worktree", "add", "-q", "wt")
			evil(t, ws, ws+"/.git/info/x")
			write(t, ws+"/.git/worktrees/wt/commondir", "../../info/x/.git\n")
		},
		want: []string{".git/info/x/.git: a new", ".git/worktrees/wt/commondir: takes"},
	},
	"a worktree's configuration": {
		before: func(t *testing.T, ws string) {
			repo(t, ws)
			gitIn(t, ws, "config", "extensions.worktreeConfig", "true")
		},
		after: func(t *testing.T, ws string) {
			gitIn(t, ws, "worktree", "add", "-q", "wt")
			write(t, ws+"/.git/worktrees/wt/config.worktree", config(ws, ""))
		},
		want: []string{".git/worktrees/wt/config.worktree: runs"},
	},
	"what is included": {
		after: func(t *testing.T, ws string) {
			evil(t, ws, ws+"/x")
			write(t, ws+"/x/c", config(ws, ""))
			write(t, ws+"/x/.git/config", "[core]\n\trepositoryformatversion = 0\n[include]path=../c")
		},
		want: []string{"(include.path)"},
	},
	"a hook": {
		after: func(t *testing.T, ws string) {
			repo(t, ws+"/x")
			write(t, ws+"/x/.git/hooks/post-index-change", "#!/bin/sh\ntouch "+filepath.Dir(ws)+"/marker\n")
			write(t, ws+"/x/file", "text!\n")
			write(t, ws+"/x/file", "text\n") // so that status writes the index
		},
		want: []string{"x/.git: a new repository that runs hooks (post-index-change)"}, once: true,
	},
	"hooks of elsewhere": {
		after: func(t *testing.T, ws string) {
			repo(t, ws+"/x", "--template=")
			symlink(t, "../h", ws+"/x/.git/hooks")
			write(t, ws+"/x/h/post-index-change", "#!/bin/sh\ntouch "+filepath.Dir(ws)+"/marker\n")
			write(t, ws+"/x/file", "text!\n")
			write(t, ws+"/x/file", "text\n")
		},
		want: []string{"x/.git: a new repository that has its hooks elsewhere"}, once: true,
	},
	"a configuration that is a symbolic link": {
		after: func(t *testing.T, ws string) {
			evil(t, ws, ws+"/x")
			if err := os.Rename(ws+"/x/.git/config", ws+"/x/c"); err != nil {
				t.Fatal(err)
			}
			symlink(t, "../c", ws+"/x/.git/config")
		},
		want: []string{"x/.git: a new repository that has a configuration that cannot be read"},
	},
	"too large a configuration": {
		after: func(t *testing.T, ws string) {
			evil(t, ws, ws+"/x")
			write(t, ws+"/x/.git/config", config(ws, strings.Repeat("#\n", maxConfig)))
		},
		want: []string{"x/.git: a new repository that has a configuration that cannot be read"},
	},
	"within git's own directory": {
		after: func(t *testing.T, ws string) {
			evil(t, ws, ws+"/.git/info/x")
			gitlink(t, ws, strings.Repeat("X", len(".git/info/x")))
			rawIndex(t, ws+"/.git/index", ".git/info/x")
		},
		want: []string{".git/index: has an index that names what is not of its files (.git/info/x)", ".git/info/x/.git: a new"},
	},
	"outside of the workspace": {
		after: func(t *testing.T, ws string) {
			evil(t, ws, filepath.Dir(ws)+"/else")
			gitlink(t, ws, strings.Repeat("X", len("../else")))
			rawIndex(t, ws+"/.git/index", "../else")
		},
		want: []string{".git/index: has an index"},
	},
	"outside, split": {
		after: func(t *testing.T, ws string) {
			evil(t, ws, filepath.Dir(ws)+"/else")
			gitlink(t, ws, strings.Repeat("X", len("../else")))
			gitIn(t, ws, "update-index", "--split-index")
			shared, err := filepath.Glob(ws + "/.git/sharedindex.*")
			if err != nil || len(shared) != 1 {
				t.Fatal(shared, err)
			}
			rawIndex(t, shared[0], "../else")
			text, err := os.ReadFile(shared[0])
			if err != nil {
				t.Fatal(err)
			}
			// It is named by its sum, here and in the index.
			sum := text[len(text)-sha1.Size:]
			rename2(t, shared[0], fmt.Sprintf("%s/.git/sharedindex.%x", ws, sum))
			old, err := hex.DecodeString(strings.TrimPrefix(filepath.Ext(shared[0]), "."))
			if err != nil {
				t.Fatal(err)
			}
			sign(t, ws+"/.git/index", old, sum)
		},
		want: []string{".git/index: has an index"},
	},
	"outside, of the fourth version": {
		after: func(t *testing.T, ws string) {
			evil(t, ws, filepath.Dir(ws)+"/else")
			gitlink(t, ws, strings.Repeat("X", len("../else")))
			gitIn(t, ws, "update-index", "--index-version=4")
			rawIndex(t, ws+"/.git/index", "../else")
		},
		want: []string{".git/index: has an index"},
	},
	"within what is put aside": {
		after: func(t *testing.T, ws string) {
			evil(t, ws, ws+"/evil")
			evil(t, ws, ws+"/evil/.git/sub")
			gitlink(t, ws, "evil")
			gitlink(t, ws, strings.Repeat("X", len("evil/.git.from-agent/sub")))
			rawIndex(t, ws+"/.git/index", "evil/.git.from-agent/sub")
		},
		want: []string{"evil/.git: a new repository that runs or reads other things (core.fsmonitor) (and 1 in it): put aside"},
		once: true,
	},
	"names that are taken": {
		after: func(t *testing.T, ws string) {
			evil(t, ws, ws+"/evil")
			mkdir(t, ws+"/evil/.git.from-agent")
			write(t, ws+"/evil/.git/HEAD.from-agent", "")
			for _, i := range []string{"2", "3", "4", "5", "6", "7", "8", "9", "10"} {
				write(t, ws+"/evil/.git.from-agent-"+i, "")
			}
		},
		want: []string{"mv evil/.git.from-agent-"},
	},
	"hostile names": {
		after: func(t *testing.T, ws string) { evil(t, ws, ws+"/e vil'\x1b\n$(x)") },
		want:  []string{`"e vil'\x1b\n$(x)/.git": a new`},
	},
	"a directory that was there": {
		before: func(t *testing.T, ws string) { repo(t, ws); evil(t, ws, ws+"/x"); rename2(t, ws+"/x/.git", ws+"/x/y") },
		after: func(t *testing.T, ws string) {
			rename2(t, ws+"/x/y", ws+"/x/.git")
			gitlink(t, ws, "x")
		},
		want:  []string{"x/.git: a new repository"},
		blind: true,
	},
}

func rename2(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
