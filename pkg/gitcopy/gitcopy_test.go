package gitcopy

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func shell(t testing.TB, dir string, env []string, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org",
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

const few = `git init -q -b main; mkdir -p dir/sub; for i in 1 2 3; do echo $i >f$i; echo $i >dir/f$i; done; ln -s f1 link; git add .; git commit -qm first
	git branch side; git tag light; git tag -a -m annotated heavy; echo 4 >f4; git add f4; git commit -qm second; sleep 0.1; git status >/dev/null
`

// copied makes a repository and its copy, and returns the tree and the copy's directory.
func copied(t testing.TB, script string, src Source) (tree, dir string, notes []string) {
	t.Helper()
	tree, dir = t.TempDir(), t.TempDir()
	shell(t, tree, nil, few+script)
	if src.Dir = filepath.Join(tree, src.Dir, ".git"); src.Common != "" {
		src.Common = filepath.Join(tree, src.Common)
		src.Dir = shell(t, filepath.Dir(src.Dir), nil, "git rev-parse --absolute-git-dir")
	}
	src.Objects = []string{filepath.Join(tree, ".git/objects")}
	var archive bytes.Buffer
	notes, err := Pack(t.Context(), &archive, src)
	if err != nil {
		t.Fatal(err)
	}
	if err := Unpack(&archive, dir); err != nil {
		t.Fatal(err)
	}
	return tree, dir, notes
}

// git says of the copy what it says of the original.
func TestCopyIsAlike(t *testing.T) {
	me := Source{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	for name, script := range map[string]string{
		"clean":          ``,
		"packed refs":    `git pack-refs --all`,
		"some packed":    `git pack-refs --all; git branch later; git commit -q --allow-empty -m third`,
		"staged":         `echo x >f1; git add f1; echo y >f2`,
		"stashed":        `echo x >f1; git stash -q; echo y >f1; git stash -q`,
		"merging":        `git switch -q side; echo x >f4; git add f4; git commit -qm x; git merge main || true`,
		"rebasing":       `git switch -q side; echo x >f4; git add f4; git commit -qm x; git rebase main || true`,
		"detached":       `git switch -q --detach HEAD~1`,
		"a remote":       `git clone -q . ../other-$$; git remote add origin ../other-$$; git fetch -q origin; git remote set-head origin main; rm -rf ../other-$$`,
		"index 4":        `git update-index --index-version 4`,
		"split index":    `git update-index --split-index; echo x >new; git add new`,
		"no index":       `rm .git/index`,
		"an alias of it": `git symbolic-ref refs/heads/alias refs/heads/main`,
		"hooks":          `printf '#!/bin/sh\n' >.git/hooks/pre-commit; chmod +x .git/hooks/pre-commit; echo "*.o" >.git/info/exclude`,
	} {
		t.Run(name, func(t *testing.T) {
			tree, dir, notes := copied(t, script, me)
			if len(notes) > 0 {
				t.Errorf("%q is told", notes)
			}
			const look = `git for-each-ref; git symbolic-ref -q HEAD || git rev-parse HEAD; git stash list; git ls-files -s; git status; git config --list --local; git reflog
				ls $(git rev-parse --git-dir)/hooks; cat $(git rev-parse --git-dir)/info/exclude; git fsck 2>&1`
			want, got := shell(t, tree, nil, look), shell(t, tree, []string{"GIT_DIR=" + dir, "GIT_WORK_TREE=" + tree}, look)
			if got != want {
				t.Errorf("the copy says\n%s\nthe original\n%s", got, want)
			}
		})
	}
}

// The index has the owner that the session sees, and is otherwise the same.
func TestIndexHasTheSessionsOwner(t *testing.T) {
	tree, dir, _ := copied(t, "", Source{UID: 12345, GID: 54321})
	const look = "git ls-files --debug"
	want, got := shell(t, tree, nil, look), shell(t, tree, []string{"GIT_DIR=" + dir}, look)
	mine := strings.NewReplacer("uid: 12345\tgid: 54321", "owner")
	theirs := strings.NewReplacer("uid: "+shell(t, tree, nil, "id -u")+"\tgid: "+shell(t, tree, nil, "id -g"), "owner")
	if mine.Replace(got) != theirs.Replace(want) || strings.Count(got, "uid: 12345\tgid: 54321") != 8 {
		t.Errorf("the copy's index has\n%s\nthe original's\n%s", got, want)
	}
	for _, name := range []string{"index"} {
		a, err := os.Stat(filepath.Join(tree, ".git", name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.Stat(filepath.Join(dir, name))
		if err != nil || !a.ModTime().Equal(b.ModTime()) {
			t.Errorf("%s was changed at %v, not %v (%v)", name, b.ModTime(), a.ModTime(), err)
		}
	}
}

// What the session does not see of the working tree is not deleted by commit -a.
func TestPartOfATree(t *testing.T) {
	tree, dir, _ := copied(t, "", Source{UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Within: "dir"})
	part := t.TempDir()
	shell(t, tree, nil, "cp -a dir "+part)
	if got := shell(t, part, []string{"GIT_DIR=" + dir, "GIT_WORK_TREE=" + part}, "git status --porcelain; echo x >dir/f1; git commit -qam x; git show --name-status --format="); got != "M\tdir/f1" {
		t.Errorf("git says %q", got)
	}
}

// A linked working tree's directory has its own HEAD and index, and the refs of all.
func TestLinkedTree(t *testing.T) {
	me := Source{Dir: "linked", Common: ".git", UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	tree, dir, _ := copied(t, "git worktree add -q linked side; echo linked >.git/info/exclude", me)
	if got := shell(t, tree, nil, "rm "+dir+"/commondir "+dir+"/gitdir; cd linked; GIT_DIR="+dir+" GIT_WORK_TREE=. git status --branch --porcelain; GIT_DIR="+dir+" git log --format=%s main"); got != "## side\nsecond\nfirst" {
		t.Errorf("git says %q", got)
	}
}

// Secrets in the configuration stay out, and are named; all else is as it was.
func TestSecretsStayOut(t *testing.T) {
	tree, dir, notes := copied(t, `
		git remote add origin https://me:hunter2@example.org/x.git; git remote add ssh ssh://git@example.org/x.git; git remote add scp git@example.org:x.git
		git remote add token https://ghp_0123456789@example.org/x.git
		git config http.https://example.org/.extraHeader "Authorization: Basic hunter2"; git config credential.helper "!echo password=hunter2"
		git config url.https://me:hunter2@example.org/.insteadOf https://example.org/; git config alias.odd 'log "--format=%h	x" \\ # no comment'; printf '[core]\n\tbare2\n' >>.git/config
	`, Source{})
	text, err := os.ReadFile(filepath.Join(dir, "config"))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(text) + strings.Join(notes, ""); strings.Contains(got, "hunter2") || strings.Contains(got, "ghp_") {
		t.Errorf("the copy or what is told has a secret:\n%s\n%s", text, notes)
	}
	want := "git's configuration has secrets that the session does not see: credential.helper, http.https://example.org/.extraheader, remote.origin.url, remote.token.url, url.https://example.org/.insteadof"
	if len(notes) != 1 || notes[0] != want {
		t.Errorf("%q is told, not %q", notes, want)
	}
	const look = "git config --local --null --list | tr '\\0' '\\n' | grep -v -e example.org/ -e ^credential -e hunter2"
	if want, got := shell(t, tree, nil, look), shell(t, tree, []string{"GIT_DIR=" + dir}, look); got != want {
		t.Errorf("the copy's configuration is\n%s\nnot\n%s", got, want)
	}
	if got := shell(t, tree, []string{"GIT_DIR=" + dir}, "git remote -v | grep fetch"); got != "origin\thttps://example.org/x.git (fetch)\nscp\tgit@example.org:x.git (fetch)\nssh\tssh://git@example.org/x.git (fetch)\ntoken\thttps://example.org/x.git (fetch)" {
		t.Errorf("the remotes are\n%s", got)
	}
}

// Files that are no files of git's, or that nobody finishes to read, stop nothing.
func TestOddFiles(t *testing.T) {
	_, dir, _ := copied(t, `mkfifo .git/hooks/pipe .git/MERGE_MSG; ln -s /etc/hostname .git/hooks/link; echo x >.git/index.lock`, Source{})
	if got := shell(t, dir, nil, "ls hooks/pipe MERGE_MSG index.lock 2>/dev/null || readlink hooks/link"); got != "/etc/hostname" {
		t.Errorf("the copy has %q", got)
	}
}

// An archive cannot write outside of its directory, or twice.
func TestHostileArchive(t *testing.T) {
	for name, headers := range map[string][]tar.Header{
		"above":        {{Typeflag: tar.TypeReg, Name: "../evil"}},
		"absolute":     {{Typeflag: tar.TypeReg, Name: "/tmp/evil"}},
		"through link": {{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/tmp"}, {Typeflag: tar.TypeReg, Name: "l/evil"}},
		"twice":        {{Typeflag: tar.TypeReg, Name: "a"}, {Typeflag: tar.TypeReg, Name: "a"}},
		"a device":     {{Typeflag: tar.TypeChar, Name: "a"}},
		"a hard link":  {{Typeflag: tar.TypeLink, Name: "a", Linkname: "/etc/passwd"}},
	} {
		t.Run(name, func(t *testing.T) {
			var archive bytes.Buffer
			w := tar.NewWriter(&archive)
			for _, h := range headers {
				h.Mode = 0o644
				if err := w.WriteHeader(&h); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if err := Unpack(&archive, t.TempDir()); err == nil {
				t.Error("it was unpacked")
			}
		})
	}
}

// BenchmarkPack is a repository of 10,000 files and 1,000 refs.
func BenchmarkPack(b *testing.B) {
	tree := b.TempDir()
	shell(b, tree, nil, `git init -q -b main; id=$(echo | git hash-object -w --stdin); seq -f "100644 $id 0	dir/%.0f" 10000 | git update-index --index-info; git commit -qm first
		id=$(git rev-parse HEAD); seq -f "create refs/heads/a%.0f $id" 500 | git update-ref --stdin; git pack-refs --all; seq -f "create refs/heads/b%.0f $id" 500 | git update-ref --stdin`)
	for b.Loop() {
		var archive bytes.Buffer
		if _, err := Pack(b.Context(), &archive, Source{Dir: filepath.Join(tree, ".git"), UID: 1, GID: 1}); err != nil {
			b.Fatal(err)
		}
	}
}
