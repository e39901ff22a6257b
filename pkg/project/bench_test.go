package project

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
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
	for _, c := range []struct{ directories, repositories int }{{100, 1}, {1000, 100}} {
		b.Run(fmt.Sprintf("%ddirs-%drepos", c.directories, c.repositories), func(b *testing.B) {
			benchmarkGit(b, benchmarkTree(b, c.directories, c.repositories))
		})
	}
}

func benchmarkGit(b *testing.B, dirs []Dir) {
	for b.Loop() {
		dirs[0].Lock = nil
		if _, err := Git(b.Context(), dirs); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLarge(b *testing.B) {
	dirs := benchmarkTree(b, 10000, 1)
	b.Run("walk", func(b *testing.B) {
		for b.Loop() {
			r := &repos{notes: &notes{}, dirs: map[string]*gitDir{}}
			if err := r.scan(b.Context(), &dirs[0]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("git", func(b *testing.B) { benchmarkGit(b, dirs) })
	b.Run("changes", func(b *testing.B) {
		since := time.Now().Add(time.Hour)
		for b.Loop() {
			if _, _, err := Changes(b.Context(), []string{dirs[0].Path}, since, []string{"Makefile", "*.mk", "package.json"}, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("disarm", func(b *testing.B) {
		since := time.Now().Add(time.Hour)
		known := []string{dirs[0].Path + "/00/r0/.git"}
		for b.Loop() {
			if _, _, _, err := Disarm(b.Context(), []string{dirs[0].Path}, since, []string{"Makefile", "*.mk", "package.json"}, known); err != nil {
				b.Fatal(err)
			}
		}
	})
}
