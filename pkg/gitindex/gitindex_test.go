package gitindex

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// made is an index that git makes of a few files and two repositories.
func made(t testing.TB, more ...string) string {
	t.Helper()
	dir := t.TempDir()
	script := `set -e; export GIT_CONFIG_GLOBAL=/dev/null; git init -q $FORMAT .; echo >file; mkdir -p dir; echo >dir/file; git add .
		id=$(git hash-object -w file); for at in libs/one libs/two; do git update-index --add --cacheinfo 160000,$id,$at; done
		` + strings.Join(more, "\n")
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = dir
	cmd.Env = os.Environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir + "/.git/"
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// many are enough entries for git to write the table of blocks, and read it with threads.
const many = `seq -f "100644 $id 0	more/%.0f" 30000 | git update-index --index-info; git -c index.threads=4 update-index --force-write-index`

func TestParse(t *testing.T) {
	for _, test := range []struct{ name, format, more string }{
		{"version 2", "", ""},
		{"version 3", "", "echo >new; git add -N new"},
		{"version 4", "", "git update-index --index-version=4"},
		{"SHA-256", "--object-format=sha256", ""},
		{"SHA-256, version 4", "--object-format=sha256", "git update-index --index-version=4"},
		{"with extensions", "", "git update-index --untracked-cache; git status >/dev/null"},
		{"large", "", many},
		{"large, version 4", "", "git update-index --index-version=4\n" + many},
		{"long names", "", "d=$(printf '%0200d' 0); for i in $(seq 25); do git update-index --add --cacheinfo 100644,$id,$d/$d/$d/$d/$d/$d/$d/$d/$d/$d/$d/$d/$d/$d/$d/$d/$d/$d/$d/$d/$d/$i; done"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("FORMAT", test.format)
			x, err := Parse(read(t, made(t, test.more)+"index"))
			if err != nil || !slices.Equal(x.Gitlinks, []string{"libs/one", "libs/two"}) || x.Strange != nil || x.Sparse != nil || x.Shared != "" {
				t.Errorf("%+v, %v", x, err)
			}
		})
	}
}

func TestParseShared(t *testing.T) {
	git := made(t, "git update-index --split-index", "git update-index --add --cacheinfo 160000,$id,third")
	x, err := Parse(read(t, git+"index"))
	if err != nil || !slices.Equal(x.Gitlinks, []string{"third"}) {
		t.Fatalf("%+v, %v", x, err)
	}
	shared, err := Parse(read(t, git+x.Shared))
	if all := x.All(shared); err != nil || !slices.Equal(all.Gitlinks, []string{"third", "libs/one", "libs/two"}) {
		t.Errorf("%+v, %v", all, err)
	}
	// An entry that is in the place of another has no name.
	replaced := made(t, "git update-index --split-index", "git update-index --cacheinfo 160000,$id,file")
	if x, err := Parse(read(t, replaced+"index")); err != nil || !slices.Equal(x.Strange, []string{""}) {
		t.Errorf("replaced: %+v, %v", x, err)
	}
}

func TestParseSparse(t *testing.T) {
	git := made(t, "git -c user.name=x -c user.email=x commit -qm x", "git sparse-checkout set --cone --sparse-index libs 2>/dev/null")
	if x, err := Parse(read(t, git+"index")); err != nil || !slices.Equal(x.Sparse, []string{"dir/"}) {
		t.Errorf("%+v, %v", x, err)
	}
}

// An index of either hash is read as what it is, whatever its names are: read with
// the wrong one, some would look like names that git never writes.
func TestParseWithItsOwnHash(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		for _, version := range []string{"2", "3", "4"} {
			t.Setenv("FORMAT", "--object-format="+format)
			more := "git rm -rq --cached .\n[ " + version + " != 3 ] || git add -N file\ngit update-index --index-version=" + version + "\n"
			var want []string
			for i := range 20 { // a slash at every place
				want = append(want, strings.Repeat("x", i+1)+"/"+strings.Repeat("y", 40-i))
				more += "git update-index --add --cacheinfo 160000,$id," + want[i] + "\n"
			}
			x, err := Parse(read(t, made(t, more)+"index"))
			slices.Sort(want)
			if slices.Sort(x.Gitlinks); err != nil || !slices.Equal(x.Gitlinks, want) || x.Strange != nil {
				t.Errorf("%s, version %s: %+v, %v", format, version, x, err)
			}
		}
	}
}

// What git and we would read differently, and what git never writes.
func TestParseRefuses(t *testing.T) {
	plain, large := read(t, made(t)+"index"), read(t, made(t, "git update-index --index-version=4\n"+many)+"index")
	change := func(b []byte, f func(b []byte)) []byte { b = bytes.Clone(b); f(b); return b }
	at := func(b []byte, what string) int {
		i := bytes.LastIndex(b, []byte(what))
		if i < 0 {
			t.Fatalf("no %q", what)
		}
		return i
	}
	flags := at(plain, "dir/file") - 2
	for name, test := range map[string]struct {
		b    []byte
		want error
	}{
		"nothing":             {nil, ErrRefused},
		"no index":            {bytes.Repeat([]byte("x"), 100), ErrRefused},
		"another version":     {change(plain, func(b []byte) { b[7] = 5 }), ErrRefused},
		"cut":                 {plain[:len(plain)-1], errUnclear},
		"too long":            {append(bytes.Clone(plain), 0), errUnclear},
		"fewer than it says":  {change(plain, func(b []byte) { b[11]++ }), errUnclear},
		"another length":      {change(plain, func(b []byte) { b[flags+1]++ }), errUnclear},
		"long beyond its end": {change(plain, func(b []byte) { b[flags], b[flags+1] = 0x0f, 0xff }), errUnclear},
		"flags of another":    {change(plain, func(b []byte) { b[flags] |= extended >> 8 }), errUnclear},
		"a block elsewhere":   {change(large, func(b []byte) { b[at(b, "IEOT")+8+4+8+3]++ }), errUnclear},
		"a block too short":   {change(large, func(b []byte) { b[at(b, "IEOT")+8+4+4+3]-- }), errUnclear},
		"extensions elsewhere": {change(large, func(b []byte) {
			i := at(b, "EOIE") + 8
			binary.BigEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:])+8)
		}), errUnclear},
	} {
		if x, err := Parse(test.b); !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, x, err)
		}
	}
	for _, name := range []string{"../../xxx", "/ibs/one2", ".git/one2", "li/../one", "li/.GIt/x", "./bs/one2", "libs//ne2"} {
		x, err := Parse(bytes.Replace(read(t, made(t, "git update-index --add --cacheinfo 160000,$id,libs/one2")+"index"), []byte("libs/one2"), []byte(name), 1))
		if err != nil || !slices.Equal(x.Strange, []string{name}) {
			t.Errorf("%q: %+v, %v", name, x, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, more := range []string{"", "git update-index --index-version=4", "git update-index --split-index"} {
		names, err := filepath.Glob(made(f, more) + "*index*")
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			f.Add(read(f, name))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) { _, _ = Parse(b) })
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{1000, 100000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			text := read(b, made(b, strings.Replace(many, "30000", fmt.Sprint(n), 1))+"index")
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				_, _ = Parse(text)
			}
		})
	}
}
