package project

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// tree makes directories of ten files each, nested as a project's are.
func makeTree(b *testing.B, ws string, directories int) {
	b.Helper()
	for i := range directories {
		dir := fmt.Sprintf("%s/%02d/%02d/%02d", ws, i%20, i/20%25, i/500)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range 10 {
			if err := os.WriteFile(fmt.Sprintf("%s/file-number-%d.go", dir, j), nil, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func benchmarkTree(b *testing.B, directories, repositories int) (dirs []Dir) {
	b.Helper()
	h := b.TempDir()
	b.Setenv("HOME", h)
	b.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	makeTree(b, h+"/ws", directories)
	for i := range repositories {
		git := filepath.Join(h, "ws", fmt.Sprintf("%02d/r%d/.git", i%20, i))
		for _, sub := range []string{"objects", "refs", "hooks"} {
			if err := os.MkdirAll(git+"/"+sub, 0o755); err != nil {
				b.Fatal(err)
			}
		}
		for name, text := range map[string]string{"HEAD": "ref: refs/heads/main\n", "config": "[core]\n\tbare = false\n[user]\n\tname = x\n"} {
			if err := os.WriteFile(git+"/"+name, []byte(text), 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	d, err := Open(h + "/ws")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.File.Close() })
	return []Dir{d}
}

func BenchmarkGit(b *testing.B) {
	for _, c := range []struct{ directories, repositories int }{{100, 1}, {1000, 100}, {10000, 1}} {
		b.Run(fmt.Sprintf("%ddirs-%drepos", c.directories, c.repositories), func(b *testing.B) {
			dirs := benchmarkTree(b, c.directories, c.repositories)
			for b.Loop() {
				dirs[0].Lock = nil
				if _, err := Git(b.Context(), dirs); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWalk(b *testing.B) {
	dirs := benchmarkTree(b, 10000, 1)
	for b.Loop() {
		r := &repos{notes: &notes{}, dirs: map[string]*gitDir{}}
		if err := r.scan(b.Context(), &dirs[0]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChanges(b *testing.B) {
	dirs := benchmarkTree(b, 10000, 1)
	for b.Loop() {
		if _, _, err := Changes(b.Context(), []string{dirs[0].Path}, before().AddDate(1, 0, 0), []string{"Makefile", "*.mk", "package.json"}, nil); err != nil {
			b.Fatal(err)
		}
	}
}
