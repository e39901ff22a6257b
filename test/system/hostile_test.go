package system

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// trap is a way to have a person's own git run a program of the agent's. It must
// work where nothing prevents it, and not for an agent in a session, in
// repositories that were there when the session began.
type trap struct {
	name    string
	prepare string // what the person has there, in an empty directory NAME
	attack  string // what the agent does to it
	provoke string // what the person does then, beside what people do all the time
}

// prologue is before every script: $evil is a program that leaves a mark where
// only the person can.
const prologue = `
repository() { git init -q "$1"; (cd "$1"; echo a >a; mkdir dir; echo b >dir/b; git add a dir; git commit -qm first); }
arm() { printf '#!/bin/sh\n: >/home/operator/pwned/%s\ncat 2>/dev/null\nexit 0\n' "$name" >"$1"; chmod 755 "$1"; }
`

// everyday is what people and their prompts do, in every directory of a checkout.
const everyday = `
export GIT_EDITOR=true GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND=false
for d in . repo repo/sub wt p/q/repo; do [ -d "$d" ] || continue; (cd "$d" 2>/dev/null || exit 0
	git status --porcelain=v2 --branch; [ -e .git ] || exit 0; echo >>a; git commit -m mine a) </dev/null >/dev/null 2>&1; done
`

const config = `printf '[core]\n\tfsmonitor = "%s"\n' "$evil"`

var traps = []trap{
	{"config appended", "repository repo", config + " >>repo/.git/config", ""},
	{"config by git", "repository repo", `git -C repo config core.fsmonitor "$evil"`, ""},
	{"config renamed over", "repository repo", config + " >c; cat repo/.git/config c >d; mv -f d repo/.git/config", ""},
	{"config removed", "repository repo", "cat repo/.git/config >c; rm -f repo/.git/config; " + config + " >>c; cp c repo/.git/config", ""},
	{"config linked", "repository repo", "cp repo/.git/config c; " + config + " >>c; ln -sf ../../c repo/.git/config; ln -f c repo/.git/config", ""},
	{"config exchanged", "repository repo", "cp repo/.git/config c; " + config + ` >>c; ` + helper + ` exchange c repo/.git/config`, ""},
	{"config alias", "repository repo", `git -C repo config alias.st "!$evil"`, "git -C repo st"},
	{"config for a worktree", "repository repo; git -C repo config extensions.worktreeConfig true", config + " >repo/.git/config.worktree", ""},
	{"config for a worktree, existing", "repository repo; git -C repo config extensions.worktreeConfig true; git -C repo config --worktree a.b c", config + " >>repo/.git/config.worktree; cp repo/.git/config.worktree x; mv x repo/.git/config.worktree", ""},
	{"config in an object", "repository repo; git -C repo config core.fsmonitor ./a; chmod 755 repo/a", "arm repo/a", ""}, // a program of the tree

	{"hook", "repository repo", "cp evil repo/.git/hooks/post-index-change; cp evil repo/.git/hooks/pre-commit", ""},
	{"hook, no hooks directory", "repository repo; rm -r repo/.git/hooks", "mkdir -p repo/.git/hooks; cp evil repo/.git/hooks/pre-commit", ""},
	{"hook, empty hooks directory", "repository repo; rm -r repo/.git/hooks; mkdir repo/.git/hooks", "cp evil repo/.git/hooks/post-index-change", ""},
	{"hook changed", "repository repo; printf '#!/bin/sh\n' >repo/.git/hooks/pre-commit; chmod 755 repo/.git/hooks/pre-commit", "cat evil >repo/.git/hooks/pre-commit", ""},
	{"hook made executable", "repository repo; cat evil >repo/.git/hooks/pre-commit; chmod 644 repo/.git/hooks/pre-commit", "arm evil; chmod 755 repo/.git/hooks/pre-commit", ""},
	{"hooks renamed", "repository repo", "mv repo/.git/hooks repo/.git/h; mkdir repo/.git/hooks; cp evil repo/.git/hooks/pre-commit", ""},
	{"hooks linked", "repository repo", "mkdir h; cp evil h/pre-commit; rm -rf repo/.git/hooks; ln -s ../../h repo/.git/hooks", ""},
	{"hooks exchanged", "repository repo", "mkdir h; cp evil h/pre-commit; " + helper + " exchange h repo/.git/hooks", ""},
	{"hook that is a link into the tree", "repository repo; printf '#!/bin/sh\n' >repo/hook; chmod 755 repo/hook; ln -s ../../hook repo/.git/hooks/pre-commit", "cat evil >repo/hook; rm -f repo/hook; cp evil repo/hook", ""},
	{"hook that is a link to nothing yet", "repository repo; ln -s ../../tools/hook repo/.git/hooks/pre-commit", "mkdir -p repo/tools; cp evil repo/tools/hook", ""},
	{"hooksPath", "repository repo; mkdir repo/.githooks; git -C repo config core.hooksPath .githooks", "cp evil repo/.githooks/pre-commit", ""},
	{"hooksPath, no directory yet", "repository repo; git -C repo config core.hooksPath .githooks", "mkdir repo/.githooks; cp evil repo/.githooks/pre-commit", ""},
	{"hooksPath, deep and renamed", "repository repo; mkdir -p repo/dev/git/hooks; git -C repo config core.hooksPath dev/git/hooks", "mv repo/dev repo/dev2; mkdir -p repo/dev/git/hooks; cp evil repo/dev/git/hooks/pre-commit", ""},
	{"hooksPath, a link", "repository repo; mkdir repo/real; ln -s real repo/.githooks; git -C repo config core.hooksPath .githooks",
		"cp evil repo/real/pre-commit; rm -f repo/.githooks; mkdir repo/.githooks; cp evil repo/.githooks/pre-commit", ""},
	{"hooksPath, absolute, beside the repository", `repository repo; mkdir hooks; git -C repo config core.hooksPath "$PWD/hooks"`, "cp evil hooks/pre-commit", ""},

	{"repository renamed away", "repository repo", "cp -r repo/.git r; " + config + " >>r/config; mv repo/.git repo/x; mv r repo/.git", ""},
	{"repository removed", "repository repo", "cp -r repo/.git r; " + config + " >>r/config; rm -rf repo/.git; cp -r r repo/.git", ""},
	{"repository exchanged", "repository repo", "cp -r repo/.git r; " + config + " >>r/config; " + helper + " exchange r repo/.git", ""},
	{"checkout renamed away", "repository repo", "mv repo r; cp -r r repo; " + config + " >>repo/.git/config", ""},
	{"parents renamed away", "mkdir -p p/q; repository p/q/repo", "mv p r; cp -r r p; " + config + " >>p/q/repo/.git/config", ""},
	{"parents exchanged", "mkdir -p p/q; repository p/q/repo", "cp -r p r; " + config + " >>r/q/repo/.git/config; " + helper + " exchange p r", ""},
	{"parent of the repository's directory linked", "mkdir -p p/q; repository p/q/repo", "cp -r p r; " + config + " >>r/q/repo/.git/config; mv p x; ln -s r p", ""},
	{"commondir made", "repository repo", "cp -r repo/.git r; " + config + " >>r/config; echo ../../r >repo/.git/commondir; echo ../../r >c; mv c repo/.git/commondir", ""},
	{"file instead of the directory", "repository repo", "cp -r repo/.git r; " + config + " >>r/config; mv repo/.git repo/x; echo 'gitdir: ../r' >repo/.git", ""},

	{"repository made invalid, and the checkout one", "repository repo", asBare("rm -f repo/.git/HEAD; mv repo/.git/HEAD repo/.git/H"), ""},
	{"repository made invalid by a wrong HEAD", "repository repo", asBare("echo nonsense >repo/.git/HEAD"), ""},
	{"repository made invalid by its objects", "repository repo", asBare("mv repo/.git/objects repo/.git/o; mv repo/.git/refs repo/.git/r"), ""},
	{"repository made unreadable", "repository repo", asBare("chmod 000 repo/.git"), ""},
	{"repository made invalid, beneath another", "mkdir -p p/q; repository p/q/repo", "git init -q p/q; git -C p/q config core.fsmonitor \"$evil\"; rm -f p/q/repo/.git/HEAD", ""},

	{"include", "repository repo; echo >repo/.gitconfig; git -C repo config include.path ../.gitconfig", config + " >>repo/.gitconfig", ""},
	{"include replaced", "repository repo; echo >repo/.gitconfig; git -C repo config include.path ../.gitconfig", config + " >c; mv c repo/.gitconfig", ""},
	{"include of nothing yet", "repository repo; git -C repo config include.path ../.gitconfig", config + " >>repo/.gitconfig", ""},
	{"include in directories that are not there yet", "repository repo; git -C repo config include.path ../conf/git/inc", "mkdir -p repo/conf/git; " + config + " >>repo/conf/git/inc", ""},
	{"include, its directory renamed", "repository repo; mkdir repo/conf; echo >repo/conf/inc; git -C repo config include.path ../conf/inc", "mv repo/conf repo/x; mkdir repo/conf; " + config + " >>repo/conf/inc", ""},
	{"include of an include", "repository repo; printf '[include]\n\tpath = deeper\n' >repo/one; git -C repo config include.path ../one", config + " >>repo/deeper", ""},
	{"include through a link", "repository repo; echo >repo/real; ln -s real repo/link; git -C repo config include.path ../link", config + " >>repo/real; rm -f repo/link; cp repo/real repo/link", ""},
	{"include if gitdir", "repository repo; echo >repo/inc; git -C repo config 'includeIf.gitdir:**/repo/.git.path' ../inc", config + " >>repo/inc", ""},
	{"include if onbranch", "repository repo; git -C repo config includeIf.onbranch:evil.path ../inc", "git -C repo checkout -q -b evil; " + config + " >repo/inc", ""},
	{"include if hasconfig", "repository repo; git -C repo config remote.origin.url https://example.org/x; git -C repo config 'includeIf.hasconfig:remote.*.url:https://example.org/**.path' ../inc", config + " >repo/inc", ""},
	{"include in git's directory", "repository repo; git -C repo config include.path extra", config + " >repo/.git/extra", ""},

	{"fsmonitor of the tree", "repository repo; mkdir repo/t; printf '#!/bin/sh\n' >repo/t/f; chmod 755 repo/t/f; git -C repo config core.fsmonitor t/f", "cat evil >repo/t/f; mv repo/t repo/u; mkdir repo/t; cp evil repo/t/f", ""},
	{"filter of the tree", "repository repo; printf '#!/bin/sh\ncat\n' >repo/clean; chmod 755 repo/clean; echo 'a filter=f' >repo/.gitattributes; git -C repo config filter.f.clean './clean %f'", "cat evil >repo/clean; cp evil c; mv c repo/clean", ""},
	{"filter of the tree, by an interpreter", "repository repo; echo cat >repo/clean.sh; echo 'a filter=f' >repo/.gitattributes; git -C repo config filter.f.clean 'sh clean.sh'", "cat evil >repo/clean.sh", ""},
	{"filter of the tree, in a pipe", "repository repo; printf '#!/bin/sh\ncat\n' >repo/clean; chmod 755 repo/clean; echo 'a filter=f' >repo/.gitattributes; git -C repo config filter.f.clean 'cat | ./clean'", "cat evil >repo/clean", ""},
	{"filter that an attribute calls", "repository repo; printf '#!/bin/sh\ncat\n' >repo/clean; chmod 755 repo/clean; git -C repo config filter.f.clean './clean'", "cat evil >repo/clean; echo '* filter=f' >repo/.git/info/attributes", ""},
	{"textconv of the tree", "repository repo; printf '#!/bin/sh\ncat $1\n' >repo/conv; chmod 755 repo/conv; echo 'a diff=f' >repo/.gitattributes; git -C repo config diff.f.textconv ./conv", "cat evil >repo/conv; echo more >>repo/a", "echo z >>repo/a; git -C repo diff"},
	{"external diff of the tree", "repository repo; printf '#!/bin/sh\n' >repo/conv; chmod 755 repo/conv; git -C repo config diff.external ./conv", "cat evil >repo/conv; echo more >>repo/a", "echo z >>repo/a; git -C repo diff"},
	{"editor of the tree", "repository repo; printf '#!/bin/sh\n' >repo/ed; chmod 755 repo/ed; git -C repo config core.editor ./ed", "cat evil >repo/ed", "unset GIT_EDITOR; git -C repo commit --allow-empty"},
	{"alias of the tree", "repository repo; printf '#!/bin/sh\n' >repo/st; chmod 755 repo/st; git -C repo config alias.st '!./st --short'", "cat evil >repo/st", "git -C repo st"},

	{"worktree's .git file", "repository repo; git -C repo worktree add -q ../wt", "cp -r repo/.git r; " + config + " >>r/config; cp r/worktrees/wt/* r/; rm -f r/commondir r/gitdir; echo 'gitdir: ../r' >wt/.git", ""},
	{"worktree's .git file replaced", "repository repo; git -C repo worktree add -q ../wt", "cp -r repo/.git r; " + config + " >>r/config; rm -f r/commondir; mv wt/.git wt/x; mkdir wt/.git; cp -r r/* wt/.git/", ""},
	{"worktree renamed away", "repository repo; git -C repo worktree add -q ../wt", "cp -r repo/.git r; " + config + " >>r/config; rm -f r/commondir; mv wt x; cp -r x wt; rm wt/.git; cp -r r wt/.git", ""},
	{"worktree's commondir", "repository repo; git -C repo worktree add -q ../wt", "cp -r repo/.git r; " + config + ` >>r/config; echo "$PWD/r" >repo/.git/worktrees/wt/commondir`, ""},
	{"worktree's directory replaced", "repository repo; git -C repo worktree add -q ../wt", "cp -r repo/.git r; rm -f r/commondir; " + config + ` >>r/config; mv repo/.git/worktrees/wt repo/.git/worktrees/x; cp -r repo/.git/worktrees/x repo/.git/worktrees/wt; echo "$PWD/r" >repo/.git/worktrees/wt/commondir`, ""},
	{"worktrees replaced", "repository repo; git -C repo worktree add -q ../wt", "cp -r repo/.git r; rm -f r/commondir; " + config + ` >>r/config; mv repo/.git/worktrees repo/.git/x; cp -r repo/.git/x repo/.git/worktrees; echo "$PWD/r" >repo/.git/worktrees/wt/commondir`, ""},
	{"worktree's own config", "repository repo; git -C repo config extensions.worktreeConfig true; git -C repo worktree add -q ../wt", config + ` >repo/.git/worktrees/wt/config.worktree`, ""},
	{"worktree inside of the checkout", "repository repo; git -C repo worktree add -q .trees/wt", "cp -r repo/.git r; rm -f r/commondir; " + config + " >>r/config; mv repo/.trees repo/x; mkdir -p repo/.trees/wt; cp -r r repo/.trees/wt/.git", "git -C repo/.trees/wt status"},

	{"submodule's .git file", submodule, "cp -r repo/.git/modules/sub r; " + config + " >>r/config; rm -f r/commondir; git config -f r/config --unset core.worktree; rm -f repo/sub/.git; cp -r r repo/sub/.git", ""},
	{"submodule's .git file changed", submodule, "cp -r repo/.git/modules/sub r; " + config + " >>r/config; rm -f r/commondir; git config -f r/config core.worktree ../repo/sub; echo 'gitdir: ../../r' >repo/sub/.git", ""},
	{"submodule renamed away", submodule, "cp -r repo/.git/modules/sub r; rm -f r/commondir; " + config + " >>r/config; git config -f r/config --unset core.worktree; mv repo/sub repo/x; mkdir repo/sub; cp repo/x/a repo/sub; cp -r r repo/sub/.git", ""},
	{"submodule's config", submodule, config + " >>repo/.git/modules/sub/config", ""},
	{"submodule's hooks", submodule, "cp evil repo/.git/modules/sub/hooks/post-index-change; cp evil repo/.git/modules/sub/hooks/pre-commit", ""},
	{"submodule's directory replaced", submodule, "cp -r repo/.git/modules/sub r; " + config + " >>r/config; mv repo/.git/modules/sub repo/.git/modules/x; cp -r r repo/.git/modules/sub", ""},
	{"modules replaced", submodule, "cp -r repo/.git/modules r; " + config + " >>r/sub/config; mv repo/.git/modules repo/.git/x; cp -r r repo/.git/modules", ""},
	{"submodule's commondir", submodule, "cp -r repo/.git/modules/sub r; rm -f r/commondir; " + config + ` >>r/config; echo "$PWD/r" >repo/.git/modules/sub/commondir`, ""},
	{"submodule with its own directory", "repository lib; repository repo; git clone -q lib repo/sub; cd repo; git add sub 2>/dev/null; git commit -qm sub", config + " >>repo/sub/.git/config", ""},
	{"submodule, its parents renamed", strings.ReplaceAll(submodule, "$PWD/../lib sub", "$PWD/../lib libs/x/sub"),
		"cp -r repo/.git/modules/libs/x/sub r; rm -f r/commondir; " + config + " >>r/config; git config -f r/config --unset core.worktree; mv repo/libs repo/y; mkdir -p repo/libs/x/sub; cp -r r repo/libs/x/sub/.git", ""},
	{"submodule of a submodule", "repository lib; repository mid; cd mid; git -c protocol.file.allow=always submodule --quiet add $PWD/../lib deep; git commit -qm deep; cd ..; repository repo; cd repo;" +
		"git -c protocol.file.allow=always submodule --quiet add $PWD/../mid sub; git -c protocol.file.allow=always submodule --quiet update --init --recursive; git commit -qm sub",
		config + " >>repo/.git/modules/sub/modules/deep/config", ""},

	{"link instead of .git", "repository r; mkdir repo; mv r/a r/dir repo; mv r/.git store; ln -s ../store repo/.git", config + " >>store/config; cp -r store s2; " + config + " >>s2/config; rm -f repo/.git; ln -s ../s2 repo/.git", ""},
	{"separate git directory", "git init -q --separate-git-dir=store repo; cd repo; echo >a; git add a; git commit -qm a", config + " >>store/config; cp -r store s2; " + config + " >>s2/config; echo 'gitdir: ../s2' >repo/.git; mv store s3; cp -r s2 store", ""},
	{"bare repository", "repository repo; git clone -q --bare repo bare.git; git -C repo remote add origin ../bare.git", "cp evil bare.git/hooks/post-update", "git -C repo push -f origin HEAD:refs/heads/x"},
	{"bare repository's config", "git init -q --bare bare", config + " >>bare/config; git -C bare config alias.st !$evil", "git -C bare st"},
	{"repository in an ignored directory", "repository repo; echo vendor >repo/.gitignore; mkdir -p repo/vendor/a/b/c; repository repo/vendor/a/b/c/d", config + " >>repo/vendor/a/b/c/d/.git/config", "cd repo/vendor/a/b/c/d; git status"},
	{"repository in node_modules", "repository repo; mkdir -p repo/node_modules/x; repository repo/node_modules/x", config + " >>repo/node_modules/x/.git/config", "cd repo/node_modules/x; git status"},
	{"repository of an odd name", `repository repo; mkdir "$(printf 'o d\nd\t\377')"; repository "$(printf 'o d\nd\t\377')/r"`, `cd "$(printf 'o d\nd\t\377')/r"; ` + config + " >>.git/config", `cd "$(printf 'o d\nd\t\377')/r"; git status`},
	{"namespace, unmounted", "repository repo", namespace(`
		cd repo; for m in .git/config .git/hooks .git/commondir .git . /home/operator /home /; do umount "$m"; umount -l "$m"; umount -i -c "$PWD/$m"; evil; done`), ""},
	{"namespace, remounted", "repository repo", namespace(`
		cd repo; for m in .git/config .git/hooks .git .; do mount -o remount,bind,rw $m; mount -o remount,rw $m; mount --make-rprivate $m; evil; done`), ""},
	{"namespace, bound elsewhere", "repository repo", namespace(`
		for m in repo/.git repo . /home/operator /home /; do for how in --bind --rbind --move; do
			mkdir -p /tmp/x/$$; mount $how $m /tmp/x/$$
			for sub in .git/config .git/hooks .git config hooks repo/.git/config; do umount -l /tmp/x/$$/$sub; mount -o remount,bind,rw /tmp/x/$$/$sub; done
			for r in /tmp/x/$$ /tmp/x/$$/repo /tmp/x/$$/.git; do [ ! -d $r ] || (cd $r; evil; config=config evil); done
			umount -l /tmp/x/$$; done; done; cd repo; evil`), ""},
	{"namespace, overlay", "repository repo", namespace(`
		mkdir -p w /tmp/m /tmp/u /tmp/w; mount -t overlay -o lowerdir=/tmp/u,upperdir=$PWD/repo,workdir=$PWD/w o /tmp/m && (cd /tmp/m; evil); umount /tmp/m
		mount -t overlay -o lowerdir=/tmp/u,upperdir=$PWD/repo/.git,workdir=$PWD/w o /tmp/m && (cd /tmp/m; config=config evil); umount /tmp/m; cd repo; evil`), ""},
	{"namespace, covered and renamed", "repository repo", namespace(`
		cp -r repo/.git r; mkdir -p /tmp/m; mount -t tmpfs x repo/.git; mv repo/.git repo/g; umount repo/.git; mount --bind r repo/.git; mv repo/.git repo/g; umount -l repo/.git; mv repo/.git/config repo/.git/c; mv repo/.git repo/g; [ -d repo/.git/objects ] || { rmdir repo/.git; mv repo/g repo/.git; }; cd repo; evil`), ""},
	{"namespace, another root", "repository repo", namespace(`
		mkdir -p /tmp/new/old; mount --rbind / /tmp/new; mount -t tmpfs n /tmp/new; mkdir /tmp/new/old; mount --rbind "$PWD" /tmp/new/old; here=$PWD
		umount -l /tmp/new/old/repo/.git/config; (cd /tmp/new/old/repo; evil)
		chroot /tmp/new /old/x; cd /tmp/new; pivot_root . old; cd "$here/repo"; evil`), ""},
	{"namespace, mounts as descriptors", "repository repo", namespace(helper + ` clone repo/.git config "$evil"; ` + helper + ` clone repo .git/config "$evil"; ` + helper + ` clone . repo/.git/config "$evil"; cd repo; evil`), ""},
	{"namespace, file handles", "repository repo", namespace(helper + ` handle . repo/.git/config "$evil"; ` + helper + ` handle repo repo/.git/config "$evil"; ` + helper + ` handle repo/.git repo/.git/config "$evil"; ` + helper + ` handle repo/dir repo/.git/config "$evil"; cd repo; evil`), ""},
	{"namespace in a namespace", "repository repo", namespace(`unshare -Urm --propagation shared sh -c 'umount -l repo/.git/config; unshare -Urm umount -l repo/.git/config'; nsenter -t 1 -m umount -l "$PWD/repo/.git/config"; nsenter -t $PPID -U -m true; cd repo; evil`), ""},
	{"ways of proc", "repository repo", namespace(`
		for p in /proc/[0-9]*/root /proc/[0-9]*/cwd /proc/self/fd /proc/1/root /proc/self/task/*/root; do for d in $p$PWD/repo $p/repo; do [ -d $d ] && (cd $d && evil); done; done; cd repo; exec 9<.git/config; echo x >/proc/self/fd/9; evil`), ""},
	{"sha256, reftable and such", "git init -q --object-format=sha256 repo; cd repo; echo >a; git add a; git commit -qm a", config + " >>repo/.git/config", ""},
}

const submodule = `repository lib; repository repo; cd repo; git -c protocol.file.allow=always submodule --quiet add $PWD/../lib sub; git commit -qm sub`

// asBare makes a directory a repository by itself, which git takes it for where its
// .git is none.
func asBare(commands string) string {
	return "cp -r repo/.git r; " + commands + "; cp -r r/HEAD r/objects r/refs r/config r/index repo/; printf '[core]\\n\\tbare = false\\n\\tworktree = .\\n\\tfsmonitor = \"%s\"\\n' \"$evil\" >>repo/config"
}

// namespace is what an agent tries that is root in namespaces of its own, in which
// all that it mounts is its own; evil is the command that does the deed where it can.
func namespace(commands string) string {
	return `export evil; cat >ns.sh <<'END'
		evil() { printf '[core]\n\tfsmonitor = "%s"\n' "$evil" >>${config-.git/config}; { cat ${config-.git/config}; printf '[core]\n\tfsmonitor = "%s"\n' "$evil"; } >c && mv c ${config-.git/config}; }
		` + commands + `
END
		unshare -Urm bash ns.sh; bash ns.sh`
}

func init() {
	programs["exchange"] = exchange
	programs["clone"] = cloneMount
	programs["handle"] = openByHandle
}

const evilConfig = "[core]\n\tfsmonitor = %q\n"

// cloneMount makes a copy of what is mounted at a directory that is attached
// nowhere, without what is mounted on it or with it writable, and writes a file
// through that.
func cloneMount(args []string) int {
	for _, flags := range []uint{0, unix.AT_RECURSIVE} {
		fd, err := unix.OpenTree(unix.AT_FDCWD, args[0], unix.OPEN_TREE_CLONE|flags)
		if err != nil {
			fmt.Println("open_tree:", err)
			continue
		}
		fmt.Println("mount_setattr:", unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}))
		if file, err := unix.Openat(fd, args[1], unix.O_WRONLY|unix.O_APPEND, 0); err == nil {
			_, err = unix.Write(file, fmt.Appendf(nil, evilConfig, args[2]))
			fmt.Println("written:", err)
		}
	}
	return 0
}

// openByHandle opens a file by the handle that the kernel gives of it.
func openByHandle(args []string) int {
	h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, args[1], 0)
	if err != nil {
		fmt.Println("name_to_handle_at:", err)
		return 1
	}
	dir, err := unix.Open(args[0], unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fd, err := unix.OpenByHandleAt(dir, h, unix.O_WRONLY|unix.O_APPEND)
	if err != nil {
		fmt.Println("open_by_handle_at:", err)
		return 1
	}
	_, err = unix.Write(fd, fmt.Appendf(nil, evilConfig, args[2]))
	fmt.Println("written:", err)
	return 0
}

func exchange(args []string) int {
	if err := unix.Renameat2(unix.AT_FDCWD, args[0], unix.AT_FDCWD, args[1], unix.RENAME_EXCHANGE); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// identity gives a person a name for git, for the length of a test.
func identity(t *testing.T, who account) {
	t.Helper()
	sh(t, who, who.home, `git config --global user.name "Olga Operator"; git config --global user.email olga@example.org; git config --global init.defaultBranch main; git config --global advice.detachedHead false`)
	t.Cleanup(func() { output(t, as(t, "root"), "rm", "-rf", who.home+"/.gitconfig", who.home+"/.config/git") })
}

func slug(name string) string {
	return strings.NewReplacer(" ", "-", ",", "", ".", "", "'", "").Replace(name)
}

// setTraps prepares them all, each in a directory of its own.
func setTraps(t *testing.T, dir string, all []trap) {
	t.Helper()
	var script strings.Builder
	script.WriteString(prologue)
	for _, p := range all {
		fmt.Fprintf(&script, "mkdir '%s/%s'\n(name=%[2]s; cd '%[1]s/%[2]s'; evil=$PWD/evil; arm evil\n%s\n) || { echo preparing %[2]s failed; exit 1; }\n", dir, slug(p.name), p.prepare)
	}
	sh(t, as(t, "operator"), dir, script.String())
}

// attacks is what does the evil to all of them.
func attacks(dir string, all []trap) string {
	var script strings.Builder
	script.WriteString("set +e\n" + prologue)
	for _, p := range all {
		fmt.Fprintf(&script, "(name=%[2]s; cd '%[1]s/%[2]s' && { evil=$PWD/evil; arm evil\n%s\n}) </dev/null >/dev/null 2>&1\n", dir, slug(p.name), p.attack)
	}
	return script.String() + "true\n"
}

// attacksWithin is the same for an agent who sees only a directory within: it works
// elsewhere, and by links.
func attacksWithin(dir, within string, p trap) string {
	return fmt.Sprintf("set +e\n%s\nmkdir /tmp/w; cd /tmp/w; ln -s '%[2]s/%[3]s/'* .; rm -f '%[4]s' evil; mkdir -p \"$(dirname '%[4]s')\"; ln -sfn '%[2]s/%[3]s/%[4]s' '%[4]s'\nname=%[3]s; arm evil; evil='%[2]s/%[3]s/evil'\n(%[5]s\n) </dev/null >/dev/null 2>&1\ntrue\n",
		prologue, dir, slug(p.name), within, p.attack)
}

// provocations is what the operator does then. Then what was run is known by the
// marks in pwned.
func provoke(t *testing.T, dir string, all []trap) {
	t.Helper()
	var script strings.Builder
	for _, p := range all {
		fmt.Fprintf(&script, "(set +e; cd '%s/%s' && { %s\n%s\n}) </dev/null >/dev/null 2>&1 &\n", dir, slug(p.name), everyday, p.provoke)
	}
	sh(t, as(t, "operator"), dir, "set +e\n"+script.String()+"wait\n")
}

// withoutRefused takes away the traps for which there is no session at all, but a
// line that says why.
func withoutRefused(t *testing.T, dir string, all []trap) []trap {
	t.Helper()
	for {
		r := run(t, as(t, "operator"), "aaau", "-C", dir, "--", "true")
		if r.status == 0 {
			return all
		}
		checkRefusal(t, "of a trap", nil, r.status, r.stderr)
		i := slices.IndexFunc(all, func(p trap) bool { return strings.Contains(r.stderr, "/"+slug(p.name)+"/") })
		away := func(i int) string { return dir + "-" + slug(all[i].name) }
		for n := 0; i < 0 && n < len(all); n++ { // which one is it?
			output(t, as(t, "operator"), "mv", dir+"/"+slug(all[n].name), away(n))
			if r2 := run(t, as(t, "operator"), "aaau", "-C", dir, "--", "true"); digits(r2.stderr) != digits(r.stderr) {
				t.Errorf("%s is refused, and not by its name: %s", all[n].name, r.stderr)
				i = n
			}
			output(t, as(t, "operator"), "mv", away(n), dir+"/"+slug(all[n].name))
		}
		if i < 0 {
			t.Fatalf("a refusal of no trap: %q", r.stderr)
		}
		output(t, as(t, "root"), "rm", "-rf", dir+"/"+slug(all[i].name))
		all = slices.Delete(slices.Clone(all), i, i+1)
	}
}

func digits(s string) string { return regexp.MustCompile(`\d+`).ReplaceAllString(s, "N") }

func pwned(t *testing.T) (names []string) {
	t.Helper()
	marks, err := os.ReadDir("/home/operator/pwned")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range marks {
		names = append(names, m.Name())
		os.Remove("/home/operator/pwned/" + m.Name())
	}
	return names
}

// file puts a script where the agent can run it by name.
func file(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(name) })
}

func TestGitRunsNothingOfTheAgents(t *testing.T) {
	operator := as(t, "operator")
	const attack = "/usr/local/bin/aaau-test-attack"
	identity(t, operator)
	tree(t, operator, "pwned")
	dir, kept := tree(t, operator, "traps"), tree(t, operator, "kept")
	setTraps(t, dir, traps)
	sh(t, operator, kept, "cp -a ../traps/. .; rm -rf ../traps/*")
	// set has some of them there again, and nothing else.
	set := func(t *testing.T, some []trap) {
		t.Helper()
		var names []string
		for _, p := range some {
			names = append(names, slug(p.name))
		}
		sh(t, operator, kept, `chmod -R u+rwX ../traps; rm -rf ../traps/*; cp -a "$@" ../traps/`, names...)
	}
	t.Run("the traps work", func(t *testing.T) {
		begin(t)
		set(t, traps)
		file(t, attack, attacks(dir, traps))
		output(t, operator, "bash", attack)
		provoke(t, dir, traps)
		fired := pwned(t)
		for _, p := range traps {
			if !slices.Contains(fired, slug(p.name)) {
				t.Errorf("%s is no trap at all", p.name)
			}
		}
	})
	t.Run("but not in a session", func(t *testing.T) {
		begin(t)
		for n := 0; n < len(traps); n += 16 { // as many repositories as one workspace may have
			some := traps[n:min(n+16, len(traps))]
			set(t, some)
			some = withoutRefused(t, dir, some)
			for rest := some; len(rest) > 0; { // an attack that is seen ends its session
				file(t, attack, attacks(dir, rest))
				c := sit(t, operator, "aaau", "-C", dir, "--", "bash", "-c", "bash "+attack+"; echo d''one; read")
				if m := c.match(`done|\naaau: the session was killed[^\n]*\n`); m[1] != "done" {
					i := slices.IndexFunc(rest, func(p trap) bool { return strings.Contains(m[1], "/"+slug(p.name)+"/") })
					if i < 0 {
						t.Fatalf("killed for no trap: %q", m[1])
					}
					rest = rest[i+1:]
					c.leave()
					continue
				}
				rest = nil
				provoke(t, dir, some)
				for _, name := range pwned(t) {
					t.Errorf("during the session: %s", name)
				}
				c.typed("\r")
				c.leave()
			}
			provoke(t, dir, some)
			for _, name := range pwned(t) {
				t.Errorf("after the session: %s", name)
			}
		}
	})
	t.Run("nor on ext4", func(t *testing.T) {
		begin(t)
		dir := ext4(t) + "/operator"
		some := slices.DeleteFunc(slices.Clone(traps), func(p trap) bool {
			return !strings.HasPrefix(p.name, "namespace, ") && !strings.Contains(p.name, "exchanged")
		})
		setTraps(t, dir, some)
		file(t, attack, attacks(dir, some))
		run(t, operator, "aaau", "-C", dir, "--", "bash", attack)
		provoke(t, dir, some)
		for _, name := range pwned(t) {
			t.Errorf("%s", name)
		}
	})
	t.Run("nor where it is the workspace itself", func(t *testing.T) {
		begin(t)
		some := slices.DeleteFunc(slices.Clone(traps), func(p trap) bool { // a choice: each is a session
			return !regexp.MustCompile("^(config (appended|renamed over|for a worktree)|hook|hook, no hooks directory|hooks renamed|hooksPath|repository (renamed away|exchanged|made invalid.*one)|" +
				"commondir made|include|worktree's (.git file|commondir|own config)|worktrees replaced|submodule's (.git file|config|commondir)|modules replaced)$").MatchString(p.name)
		})
		set(t, some)
		for _, p := range some {
			for _, sub := range []string{"repo", "wt", "repo/sub"} {
				if _, err := os.Stat(filepath.Join(dir, slug(p.name), sub, ".git")); err != nil ||
					sub == "repo" && regexp.MustCompile("^(worktree's|submodule's)").MatchString(p.name) {
					continue
				}
				file(t, attack, attacksWithin(dir, sub, p))
				if r := run(t, operator, "aaau", "-C", filepath.Join(dir, slug(p.name), sub), "--", "bash", attack); r.status == 255 {
					checkRefusal(t, "of a trap", []string{dir}, r.status, r.stderr[strings.LastIndex("\n"+strings.TrimSuffix(r.stderr, "\n"), "\n"):])
				}
			}
		}
		provoke(t, dir, some)
		for _, name := range pwned(t) {
			t.Errorf("%s", name)
		}
	})
}

// Our own client asks git about repositories that an agent may have made.
func TestClientRunsNothingOfARepository(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	identity(t, operator)
	tree(t, operator, "pwned")
	dir := tree(t, operator, "made")
	const evil = `evil=/home/operator/made/evil; printf '#!/bin/sh\n: >/home/operator/pwned/ran\n' >$evil; chmod 755 $evil
		bad() { git -C $1 config core.fsmonitor $evil; git -C $1 config core.hooksPath /home/operator/made/hooks; git -C $1 config core.pager $evil; git -C $1 config core.editor $evil; git -C $1 config diff.external $evil
			for c in config rev-parse status log ls-files submodule worktree var; do git -C $1 config pager.$c $evil; git -C $1 config alias.$c "!$evil"; done
			git -C $1 config credential.helper $evil; git -C $1 config core.sshCommand $evil; git -C $1 config uploadpack.packObjectsHook $evil; git -C $1 config core.attributesFile $evil; git -C $1 config filter.x.clean $evil
			git -C $1 config include.path $evil.inc; echo '* filter=x' >$1/.gitattributes; }
		git init -q .; bad .; git init -q new; bad new; git init -q --bare bare; bad bare; mkdir hooks; cp evil hooks/post-checkout; cp evil hooks/post-index-change; cp evil git; mkdir bin; cp evil bin/git; cp evil aaau; printf 'export X=1\n' >.envrc`
	open := tree(t, operator, "open") // where it is no agent's, it does work
	sh(t, operator, open, "set +e; "+evil+"; git status >/dev/null 2>&1; true")
	if got := pwned(t); len(got) == 0 {
		t.Error("the repository is no trap at all")
	}
	inside(t, operator, dir, "set +e; "+evil+"; true")
	for _, who := range []account{operator, operator.with("PATH=.:bin:/home/operator/made:/usr/local/bin:/usr/bin:/bin")} {
		for _, argv := range [][]string{{"-C", "."}, {"--workspace", "."}, {"--workspace", "new"}, {"-C", "bare"}} {
			if len(who.env) > 0 && argv[0] == "-C" { // a PATH that runs what lies around is the person's own
				continue
			}
			c := sit(t, operator, at(dir, append(append([]string{"aaau"}, argv...), "--", "true")...)...)
			c.leave()
		}
	}
	if got := pwned(t); len(got) > 0 {
		t.Errorf("aaau itself ran a program of the agent's: %q", got)
	}
}
