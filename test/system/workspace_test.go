package system

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// at is a command line to be run in a directory, as a shell does that is there.
func at(dir string, argv ...string) []string {
	return append([]string{"bash", "-c", `cd -- "$0" && exec "$@"`, dir}, argv...)
}

// tree is a new directory in somebody's home for the length of a test.
func tree(t *testing.T, who account, name string) string {
	t.Helper()
	dir := filepath.Join(who.home, name)
	output(t, who, "mkdir", "-p", "--", dir)
	t.Cleanup(func() { output(t, as(t, "root"), "rm", "-rf", "--", dir) })
	return dir
}

// sh is what a person does in a directory by a shell, which must succeed, and what
// it prints.
func sh(t *testing.T, who account, dir, commands string, args ...string) string {
	t.Helper()
	argv := append([]string{"bash", "-euc", commands, "sh"}, args...)
	return succeeds(t, who, at(dir, argv...)...)
}

// inside is what an agent does in somebody's directory, in a session of its own.
func inside(t *testing.T, who account, dir, commands string, args ...string) string {
	t.Helper()
	if len(args) == 0 {
		args = []string{"-C", "."}
	}
	argv := append(append([]string{"aaau"}, args...), "--", "bash", "-euc", commands, "sh")
	return succeeds(t, who, at(dir, argv...)...)
}

func succeeds(t *testing.T, who account, argv ...string) string {
	t.Helper()
	r := run(t, who, argv...)
	if r.status != 0 {
		t.Fatalf("%s: %.600q: status %d, stdout %q, stderr %q", who.name, argv, r.status, r.stdout, r.stderr)
	}
	return strings.TrimSuffix(r.stdout, "\n")
}

// refusedAt is refused, in a directory.
func refusedAt(t *testing.T, who account, dir string, words []string, argv ...string) {
	t.Helper()
	refused(t, who, words, at(dir, argv...)...)
}

// addAlias is an administrator's alias for the length of a test.
func addAlias(t *testing.T, name, text string) {
	t.Helper()
	const dir = "/etc/aaau/profiles.d"
	if os.Mkdir(dir, 0o755) == nil {
		t.Cleanup(func() { os.Remove(dir) })
	}
	file := filepath.Join(dir, name+".conf")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(file) })
}

// tmpfs is a file system of its own at a place, for the length of a test.
func tmpfs(t *testing.T, place, options string) string {
	t.Helper()
	if err := os.MkdirAll(place, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", place, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(place, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
		os.Remove(place)
	})
	return place
}

// belongs makes sure that all beneath a directory is a person's.
func belongs(t *testing.T, who account, dir string) {
	t.Helper()
	if foreign := output(t, as(t, "root"), "find", dir, "!", "-user", who.name); foreign != "" {
		t.Errorf("not %s's: %q", who.name, foreign)
	}
}

// worker is a profile of an agent that works in the current directory, and does
// what the command line says.
const worker = "program=/bin/bash\nworkspace=yes\n"

func TestWhichDirectoryIsTheWorkspace(t *testing.T) {
	begin(t)
	addAlias(t, "worker", worker)
	operator := as(t, "operator")
	here, there := tree(t, operator, "here/sub"), tree(t, operator, "there")
	const look = `pwd; find /home -mindepth 2 -maxdepth 2 | sort; find /home -path "*/sub"`
	const none = "/var/lib/aaau/agent"
	for _, test := range []struct {
		args []string
		want []string // where it is, what it sees
	}{
		{[]string{"worker", "-c", look}, []string{here, "/home/operator/here", here}},
		{[]string{"--no-workspace", "worker", "-c", look}, []string{none}},
		{[]string{"-C", there, "worker", "-c", look}, []string{there, there}},
		{[]string{"-C", "..", "worker", "-c", look}, []string{filepath.Dir(here), filepath.Dir(here), here}},
		{[]string{"--", "bash", "-c", look}, []string{none}},
		{[]string{"-p", "bash -c '" + look + "'"}, []string{none}},
		{[]string{"connect", "-p", "bash -c '" + look + "'"}, []string{none}},
		{[]string{"-C", ".", "--", "bash", "-c", look}, []string{here, filepath.Dir(here), here}},
		{[]string{"-C", there, "-p", "bash -c '" + look + "'"}, []string{there, there}},
		{[]string{"connect", "-C", there, "-p", "bash -c '" + look + "'"}, []string{there, there}},
		{[]string{"--workspace", there, "-C", ".", "--", "bash", "-c", look}, []string{here, filepath.Dir(here), there, here}},
		{[]string{"--workspace", "../../there", "--", "bash", "-c", look}, []string{there, there}},
		{[]string{"--workspace", ".", "--workspace", "../../there:ro", "--", "bash", "-c", look}, []string{here, filepath.Dir(here), there, here}},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			got := succeeds(t, operator, at(here, append([]string{"aaau"}, test.args...)...)...)
			if want := strings.Join(test.want, "\n"); got != want {
				t.Errorf("it is in and sees %q, not %q", got, want)
			}
		})
	}
}

// Who starts an agent in the wrong window gives nothing away by it.
func TestHomeAndRootNeedAnExplicitWord(t *testing.T) {
	begin(t)
	addAlias(t, "worker", worker)
	operator := as(t, "operator")
	for _, dir := range []string{"/home/operator", "/"} {
		refusedAt(t, operator, dir, []string{" " + dir, "--no-workspace"}, "aaau", "worker", "-c", "true")
		succeeds(t, operator, at(dir, "aaau", "--no-workspace", "worker", "-c", "true")...)
	}
	link := tree(t, operator, "elsewhere") + "/home"
	if err := os.Symlink("/home/operator", link); err != nil {
		t.Fatal(err)
	}
	refusedAt(t, operator, link, []string{"--workspace"}, "aaau", "worker", "-c", "true")
	refusedAt(t, operator.with("HOME=/nonexistent"), operator.home, []string{"--workspace"}, "aaau", "worker", "-c", "true")

	sh(t, operator, operator.home, "echo mine >a-file")
	t.Cleanup(func() { os.Remove(operator.home + "/a-file") })
	if got := inside(t, operator, operator.home, "cat a-file; pwd", "-C", "."); got != "mine\n/home/operator" {
		t.Errorf("the home, named, is %q", got)
	}
	refusedAt(t, operator, "/", []string{"/"}, "aaau", "--workspace", "/", "-p", "true")
}

func TestAgentSeesTheWorkspaceAndNothingElseOfHomes(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	project := tree(t, operator, "work/project")
	sh(t, operator, operator.home, "mkdir .ssh; echo secret >.ssh/id; chmod -R a+rX .; echo other >work/other; echo code >work/project/code")
	t.Cleanup(func() {
		sh(t, operator, operator.home, "rm -r .ssh work/other; chmod 700 .")
	})
	sh(t, as(t, "observer"), "/home/observer", "chmod 755 .; echo observers >open")
	t.Cleanup(func() { sh(t, as(t, "observer"), "/home/observer", "chmod 700 .; rm open") })
	got := inside(t, operator, project, `stat -c '%a %U %G' .; find /home -printf '%p %U\n' | sort; ls -A /root`)
	agent := as(t, "agent")
	want := fmt.Sprintf("755 agent agent\n/home 0\n/home/operator 0\n/home/operator/work 0\n%s %d\n%s/code %d", project, agent.uid, project, agent.uid)
	if got != want {
		t.Errorf("the agent sees %q, not %q", got, want)
	}
	// And by none of the machine's other names.
	got = inside(t, operator, project, `for f in /proc/1/root/home/operator/.ssh/id ../../.ssh/id /proc/self/cwd/../../.ssh/id \
		/proc/self/root/home/operator/.ssh/id ../../../observer/open /proc/1/cwd/../../.ssh/id; do cat $f 2>/dev/null && echo $f; done; true`)
	if got != "" {
		t.Errorf("the agent reads %q", got)
	}
}

func TestFilesBelongToThePerson(t *testing.T) {
	for _, kind := range []string{"tmpfs", "ext4"} {
		t.Run(kind, func(t *testing.T) {
			begin(t)
			operator, project := as(t, "operator"), ""
			if kind == "ext4" {
				project = ext4(t) + "/operator/project"
				sh(t, operator, "/", "mkdir "+project)
			} else {
				project = tree(t, operator, "project")
			}
			sh(t, operator, project, "mkdir old; echo 1 >old/file; chmod 600 old/file; chmod 700 old")
			got := inside(t, operator, project, `
				echo 2 >>old/file; echo new >new; mkdir -p a/b; ln -s new link; ln new hard; mkfifo fifo
				cp -a old copy; mv old/file moved; : >old/file; chmod 640 new; touch -d @0 a
				python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
				find . ! -user agent -o ! -group agent`)
			if got != "" {
				t.Errorf("to the agent not its own: %q", got)
			}
			belongs(t, operator, project)
			if got := sh(t, operator, project, "cat moved copy/file; stat -c %a new; stat -c %Y a; find . ! -group operator"); got != "1\n2\n1\n2\n640\n0" {
				t.Errorf("the person finds %q", got)
			}
			sh(t, operator, project, "rm -r a old copy new") // and can be rid of it all
		})
	}
}

// A team's directory: everything in it has the team's group, the agent's files too.
func TestSetgidDirectories(t *testing.T) {
	for _, kind := range []string{"tmpfs", "ext4"} {
		t.Run(kind, func(t *testing.T) {
			begin(t)
			team(t)
			operator := as(t, "operator")
			project := ""
			if kind == "ext4" {
				project = ext4(t) + "/operator/project"
				sh(t, operator, "/", "mkdir "+project)
			} else {
				project = tree(t, operator, "project")
			}
			sh(t, operator, project, "mkdir team; chgrp team team; chmod 2770 team; echo 1 >team/old; mkdir plain")
			got := inside(t, operator, project, `umask 002; echo 2 >>team/old; echo new >team/new; mkdir -p team/dir/deep; echo 3 >team/dir/deep/file; echo >plain/file
				mv plain/file team/; stat -c '%U %G %a' team team/new; cd team; git init -q repo; cd repo; echo >a; git add a; git -c user.name=x -c user.email=y commit -qm a`)
			if got != "agent team 2770\nagent team 664" {
				t.Errorf("the agent sees %q", got)
			}
			belongs(t, operator, project)
			if got := sh(t, operator, project, `find team ! -group team; find team -type d ! -perm -2000; find plain ! -group operator`); got != "team/file" { // moved, not made there
				t.Errorf("not the team's: %q", got)
			}
		})
	}
}

// team is a group of operator's and observer's for the length of a test.
func team(t *testing.T) {
	t.Helper()
	root := as(t, "root")
	output(t, root, "groupadd", "team")
	t.Cleanup(func() { run(t, root, "groupdel", "team") })
	output(t, root, "usermod", "-aG", "team", "operator")
	output(t, root, "usermod", "-aG", "team", "observer")
}

// Whose files are in a tree that are not the person's: they are nobody's to the
// agent, and it can neither take them nor give any away.
func TestNobodyElseIsMapped(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	project := tree(t, operator, "project")
	sh(t, as(t, "root"), project, `
		for who in root observer agent bin; do echo $who >$who; chown $who $who; chmod 604 $who; done
		: >mixed; chown operator:root mixed; chmod 664 mixed; echo >own; chown operator:operator own`)
	got := inside(t, operator, project, `
		stat -c '%n %U:%G' root observer agent bin mixed own
		for f in root observer agent bin; do echo x 2>/dev/null >>$f && echo wrote $f; cat $f; done
		for id in 0 1 999 $(id -u nobody) $(id -u operator) $(id -u observer); do chown $id own 2>/dev/null && echo gave $id; done
		for id in 0 1 $(id -g operator) $(getent group aaau | cut -d: -f3); do chgrp $id own 2>/dev/null && echo group $id; done; true`)
	nobody := "nobody:nogroup"
	want := fmt.Sprintf("root %s\nobserver %s\nagent %s\nbin %s\nmixed agent:nogroup\nown agent:agent\nroot\nobserver\nagent\nbin", nobody, nobody, nobody, nobody)
	if got != want {
		t.Errorf("the agent sees and does %q, not %q", got, want)
	}
}

// `sudo chown -R operator` leaves the group as it was: what the agent cannot write,
// for the kernel will not have it written by a mapping without that group, is told.
func TestTreeOfAForeignGroupIsTold(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	project := tree(t, operator, "project")
	output(t, as(t, "root"), "chgrp", "-R", "root", project)
	c := sit(t, operator, at(project, "aaau", "-C", ".", "--", "touch", "x")...)
	status, _ := c.leave()
	if status != 0 && !strings.Contains(c.all(), "chgrp") {
		t.Errorf("the agent could not write, and nobody said why: %q", c.all())
	}
}

// Neither root nor a service has workspaces.
func TestLowUIDsHaveNoWorkspaces(t *testing.T) {
	begin(t)
	root := as(t, "root")
	dir := tmpfs(t, "/srv/low", "mode=755")
	refused(t, root, []string{"not a person's"}, "aaau", "--workspace", dir, "-p", "true")
	output(t, root, "useradd", "--system", "--uid=987", "--no-create-home", "-G", "aaau", "daemonic")
	t.Cleanup(func() { output(t, root, "userdel", "daemonic") })
	who := as(t, "daemonic")
	who.home = "/"
	if err := os.Chown(dir, int(who.uid), int(who.gid)); err != nil {
		t.Fatal(err)
	}
	output(t, who, "aaau", "-p", "true")
	refused(t, who, []string{"not a person's"}, "aaau", "--workspace", dir, "-p", "true")
	// An agent's own uid, as an administrator may have chosen it, is no person's.
	output(t, root, "useradd", "--uid=3777", "--home-dir=/var/lib/aaau/agent7", "--create-home", "agent7")
	t.Cleanup(func() { run(t, root, "userdel", "--remove", "agent7") })
	configure(t, "agent-users=agent agent7\n")
	agent7 := as(t, "agent7")
	agent7.groups = append(agent7.groups, group(t, "aaau"))
	if err := os.Chown(dir, int(agent7.uid), int(agent7.gid)); err != nil {
		t.Fatal(err)
	}
	refused(t, agent7, []string{"agent"}, "aaau", "--workspace", dir, "-p", "true")
}

// Directories are bytes.
func TestDirectoriesOfAnyName(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	project := tree(t, operator, "names")
	for _, name := range []string{
		"with space", " lead", "trail ", "new\nline", "tab\tand\rreturn", "umläut-日本", "e\u0301", "\xff\xfe", "-n", "--", "a:b", "x:ro", ":ro",
		`back\slash`, `\040`, "quote'\"", "$HOME", "$(id)", "*", "?", "#hash", "%s%n", "a,b=c", "~", "\x1b[31mred\x1b[0m", "\x01\x7f", "..x", "...",
		strings.Repeat("x", 255), "&<>", "{base64}", "project (deleted)",
	} {
		dir := project + "/" + name
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, int(operator.uid), int(operator.gid)); err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprintf("%.20q", name), func(t *testing.T) {
			inside(t, operator, dir, `[ "$(pwd -P; echo x)" = "$(cd -P .; pwd; echo x)" ]; pwd -P | tr -d '\n' >there; git init -q repo`)
			got, err := os.ReadFile(dir + "/there")
			if want := strings.ReplaceAll(dir, "\n", ""); err != nil || string(got) != want {
				t.Errorf("it was in %q: %v", got, err)
			}
			belongs(t, operator, dir)
			// Also when named, and read-only, where the last :ro is what counts; and what is
			// said of it on a terminal is one line, without anybody's escapes.
			c := sit(t, operator, at(project, "aaau", "--workspace", dir+":ro", "--", "bash", "-c", `cmp -- "$0/there" <(echo -n "$0" | tr -d '\n') && ! touch -- "$0/no" 2>/dev/null`, dir)...)
			c.ends(0)
			if shown := c.all(); strings.Count(shown, "\n") != 1 || strings.ContainsAny(strings.TrimSuffix(shown, "\r\n"), "\x1b\x01\x7f\r\t") {
				t.Errorf("what is announced is %q", shown)
			}
		})
	}
}

func TestPlacesPeopleWorkAt(t *testing.T) {
	begin(t)
	team(t)
	operator := as(t, "operator")
	const made = `echo made >made; cat there; pwd -P`
	check := func(t *testing.T, dir, physical string, args ...string) {
		t.Helper()
		if err := os.WriteFile(physical+"/there", []byte("there\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		output(t, as(t, "root"), "chown", "-R", "operator:operator", physical)
		if got := inside(t, operator, dir, made, args...); got != "there\n"+physical {
			t.Errorf("it finds %q", got)
		}
		belongs(t, operator, physical)
	}
	t.Run("in /tmp", func(t *testing.T) {
		dir := "/tmp/op checkout"
		output(t, operator, "mkdir", dir)
		t.Cleanup(func() { os.RemoveAll(dir) })
		check(t, dir, dir)
		if got := inside(t, operator, dir, "find /tmp -mindepth 1 -maxdepth 1 -printf '%f\\n'; touch /tmp/x; stat -c %a /tmp"); got != "op checkout\n1777" {
			t.Errorf("the session's /tmp: %q", got)
		}
	})
	t.Run("where sessions have their own", func(t *testing.T) {
		runtime := fmt.Sprintf("/run/user/%d", operator.uid)
		output(t, as(t, "root"), "install", "-d", "-o", "operator", "-g", "operator", "-m", "700", runtime, runtime+"/op", "/dev/shm/op")
		t.Cleanup(func() { os.RemoveAll(runtime); os.RemoveAll("/dev/shm/op") })
		for _, dir := range []string{runtime + "/op", "/dev/shm/op"} {
			refusedAt(t, operator, dir, []string{dir, "--no-workspace"}, "aaau", "-C", ".", "-p", "true")
		}
	})
	t.Run("beneath a parent that the agent may not pass", func(t *testing.T) {
		srv := tmpfs(t, "/srv/team", "mode=0750")
		output(t, as(t, "root"), "chgrp", "team", srv)
		output(t, as(t, "root"), "install", "-d", "-o", "operator", srv+"/closed", srv+"/closed/project", srv+"/secret")
		output(t, as(t, "root"), "chmod", "700", srv+"/closed")
		check(t, srv+"/closed/project", srv+"/closed/project")
		if got := inside(t, operator, srv+"/closed/project", "ls -A .. ../..; ls /srv/team/secret 2>/dev/null || echo nothing"); strings.Contains(got, "secret") {
			t.Errorf("beside it the agent sees %q", got)
		}
	})
	t.Run("through a symbolic link", func(t *testing.T) {
		real := tree(t, operator, "real/project")
		link := tree(t, operator, "links") + "/project"
		output(t, operator, "ln", "-s", real, link)
		check(t, link, real)
		check(t, "/", real, "-C", link)
		check(t, "/", real, "-C", link+"/../project/.")
		// An absolute name that a script was told works for the agent as well.
		if got := inside(t, operator, link, "cd "+link+" && pwd -P", "-C", "."); got != real {
			t.Errorf("by the link's name it is %q", got)
		}
	})
	t.Run("through a linked home", func(t *testing.T) {
		real := tree(t, operator, "project")
		output(t, as(t, "root"), "ln", "-s", "/home/operator", "/srv/oph")
		t.Cleanup(func() { os.Remove("/srv/oph") })
		check(t, "/srv/oph/project", real)
	})
	t.Run("deep", func(t *testing.T) {
		dir := tree(t, operator, "deep") + strings.Repeat("/d", 200)
		output(t, operator, "mkdir", "-p", dir)
		check(t, dir, dir)
	})
}

func TestForeignTreesAreRefused(t *testing.T) {
	begin(t)
	team(t)
	operator := as(t, "operator")
	srv := tmpfs(t, "/srv/team", "mode=755")
	sh(t, as(t, "root"), srv, `
		install -d -o observer -m 777 observers; install -d -o root -g team -m 2775 roots
		install -d -o observer -g team -m 2775 shared; install -d -o operator -g operator observers/mine
		install -d -o agent -m 777 agents; : >file; chown operator file
		ln -s observers link; chown -h operator link`)
	for _, test := range []struct {
		dir   string
		words []string
	}{
		{srv + "/observers", []string{srv + "/observers", "observer"}},
		{srv + "/roots", []string{srv + "/roots", "root"}},
		{srv + "/shared", []string{srv + "/shared", "observer"}},
		{srv + "/agents", []string{srv + "/agents", "agent"}},
		{srv + "/link", []string{srv + "/link", "observer"}},
		{"/etc", []string{"/etc", "root"}},
		{"/proc/self", []string{"/proc/"}},
		{"/sys/fs/cgroup", []string{"/sys/fs/cgroup"}},
		{"/nonexistent", []string{"/nonexistent"}},
		{srv + "/file", []string{srv + "/file", "director"}},
		{"/root", []string{"/root"}},
		{"/dev/null", []string{"/dev/null", "director"}},
		{"", []string{"--workspace"}},
		{":ro", []string{}},
	} {
		t.Run(test.dir, func(t *testing.T) {
			refused(t, operator, test.words, "aaau", "--workspace", test.dir, "-p", "true")
		})
	}
	inside(t, operator, srv+"/observers/mine", "echo >made")
	belongs(t, operator, srv+"/observers/mine")
}

func TestWorkspacesInEachOther(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	outer := tree(t, operator, "outer")
	inner := tree(t, operator, "outer/a/inner")
	const try = `for f in outer/x outer/a/x outer/a/inner/x; do touch /home/operator/$f 2>/dev/null && echo $f; done; true`
	for _, test := range []struct {
		dirs []string
		want string
	}{
		{[]string{outer, inner}, "outer/x\nouter/a/x\nouter/a/inner/x"},
		{[]string{inner, outer}, "outer/x\nouter/a/x\nouter/a/inner/x"},
		{[]string{outer, inner + ":ro"}, "outer/x\nouter/a/x"},
		{[]string{inner + ":ro", outer}, "outer/x\nouter/a/x"},
		{[]string{outer + ":ro", inner}, "outer/a/inner/x"},
		{[]string{inner, outer + ":ro"}, "outer/a/inner/x"},
		{[]string{outer + ":ro", inner + ":ro"}, ""},
		{[]string{outer, outer}, "outer/x\nouter/a/x\nouter/a/inner/x"},
		{[]string{outer + "/", outer + "/a/..", outer + "/a/inner/../../"}, "outer/x\nouter/a/x\nouter/a/inner/x"},
	} {
		t.Run(strings.Join(test.dirs, " "), func(t *testing.T) {
			var args []string
			for _, d := range test.dirs {
				args = append(args, "--workspace", d)
			}
			if got := inside(t, operator, "/", try, args...); got != test.want {
				t.Errorf("it could write %q, not %q", got, test.want)
			}
			belongs(t, operator, outer)
			output(t, operator, "rm", "-f", outer+"/x", outer+"/a/x", inner+"/x")
		})
	}
}

func TestReadOnlyIsReadOnly(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	project := tree(t, operator, "project")
	sh(t, operator, project, "echo old >file; mkdir dir; chmod 777 . dir; chmod 666 file; echo echo ran >tool; chmod 755 tool")
	before := sh(t, operator, project, "ls -laR --time-style=full-iso; sha256sum file tool")
	got := inside(t, operator, "/", `cd /home/operator/project; cat file; ./tool
		for try in 'echo new >file' 'echo >>file' 'rm file' 'mv file f' 'ln file hard' 'ln file dir/hard' 'mkdir d' 'touch file' 'chmod 700 file' \
			'truncate -s0 file' 'rmdir dir' 'ln -s x y' 'mkfifo p' 'touch dir/x' 'mount -o remount,rw .' 'unshare -Urm mount -o remount,bind,rw .' \
			'unshare -Urm sh -c "mount --bind . /tmp; touch /tmp/x"' 'unshare -Urm umount .' 'python3 -c "import os; os.setxattr(\"file\", \"user.x\", b\"1\")"'
		do (eval "$try") 2>/dev/null && echo "did $try"; done; true`, "--workspace", project+":ro")
	if got != "old\nran" {
		t.Errorf("read-only: %q", got)
	}
	if after := sh(t, operator, project, "ls -laR --time-style=full-iso; sha256sum file tool"); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
}

// Two windows on one checkout are an everyday thing.
func TestOneDirectoryInTwoSessions(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	project := tree(t, operator, "project")
	sh(t, operator, project, "git init -q .; git config user.name Op; git config user.email op@example.org; git commit -q --allow-empty -m first")
	a, b := openShell(t, operator, "-C", project), openShell(t, operator, "--workspace", project+":ro")
	b.do("cd " + project)
	a.prints("echo from-a >a; git add a; git commit -qm a; echo done", "done")
	b.prints("cat a; git log --format=%s%an | cat; touch b 2>/dev/null || echo read-only", "from-a\naOp\nfirstOp\nread-only")
	sh(t, operator, project, "echo from-me >me; git add me; git commit -qm me")
	a.prints("cat me; git status --short", "from-me")
	b.close()
	a.prints("echo still >still; cat still", "still")
	a.close()
	belongs(t, operator, project)
}

func TestTwoPersonsSessionsSeeNothingOfEachOther(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	mine, theirs := tree(t, operator, "project"), tree(t, observer, "project")
	a, b := openShell(t, operator.with("TZ=Mine/Zone"), "-C", mine), openShell(t, observer, "-C", theirs)
	for s, name := range map[shell]string{a: "operator", b: "observer"} {
		s.do("echo " + name + " >file; echo " + name + " >~/in-home; echo " + name + " >/tmp/file; echo " + name + " >$XDG_RUNTIME_DIR/file; sleep 7654 &")
		s.prints("id -un; cat ~/in-home $XDG_RUNTIME_DIR/file /tmp/file; ls -d /home/*", strings.Join([]string{"agent", name, name, name, "/home/" + name}, "\n"))
		s.prints("pgrep -cx sleep; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c '^AAAU_SESSION=' >/tmp/n; "+
			"cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep ^AAAU_SESSION= | sort -u | wc -l", "1\n1")
		s.prints("ls /var/lib/aaau/homes 2>/dev/null || echo no; ls /dev/pts", "no\n0  ptmx")
	}
	b.prints("find / -xdev -name in-home 2>/dev/null; grep -l Mine /proc/[0-9]*/environ 2>/dev/null; true", "/var/lib/aaau/agent/in-home")
	a.close()
	b.close()
	for who, dir := range map[string]string{"operator": mine, "observer": theirs} {
		belongs(t, as(t, who), dir)
		os.Remove(homeFor(t, who) + "/in-home")
	}
}

// Of what others have mounted in a tree, nothing is to be had through it.
func TestMountsInTheWorkspace(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	project := tree(t, operator, "project")
	output(t, operator, "mkdir", project+"/mnt", project+"/late", project+"/home")
	tmpfs(t, project+"/mnt", "mode=777")
	sh(t, as(t, "root"), project, "echo secret >mnt/roots; chmod 644 mnt/roots; install -m 600 -o observer /dev/null mnt/observers; install -m 666 -o agent /dev/null mnt/agents")
	if err := unix.Mount("/home/observer", project+"/home", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { output(t, as(t, "root"), "umount", project+"/home"); os.Remove(project + "/home") })
	s := openShell(t, operator, "-C", project)
	// If they can be seen at all, then as what they are: others'.
	out, _ := s.do("ls -lnA mnt home; echo x >mnt/agents; echo x >mnt/new; ls -A mnt home")
	tmpfs(t, project+"/late", "mode=777")
	sh(t, as(t, "root"), project, "echo secret >late/roots")
	late, _ := s.do("ls -A late; cat late/roots")
	if strings.Contains(late, "secret") {
		t.Errorf("what was mounted after the start appears inside: %q", late)
	}
	s.close()
	if got := sh(t, as(t, "root"), project, "find mnt -newer mnt/roots -type f -size +0; find /home/observer -user agent"); got != "" {
		t.Errorf("the agent (which saw %q) has changed %q", out, got)
	}
}

func TestWhatIsMountedForASessionIsNowhereElse(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	project := tree(t, operator, "project")
	sh(t, operator, project, "git init -q .; mkdir -p ../project2; git init -q ../project2/sub")
	t.Cleanup(func() { os.RemoveAll(operator.home + "/project2") })
	output(t, operator, "aaau", "-p", "true") // both services run
	mounts := func() (text string) {
		for _, pid := range []int{os.Getpid(), 1, mainPID(t, "aaau-launcher.service"), mainPID(t, "aaau.service")} {
			m, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
			if err != nil {
				t.Fatal(err)
			}
			text += string(m) + "\n"
		}
		return text
	}
	before := mounts()
	a := openShell(t, operator, "-C", project, "--workspace", operator.home+"/project2:ro")
	b := openShell(t, as(t, "observer"))
	if during := mounts(); during != before {
		t.Errorf("during a session the machine's mounts are\n%s\nand before were\n%s", during, before)
	}
	a.prints("unshare -Urm sh -c 'mount -t tmpfs x /mnt && touch /mnt/x && echo mounted'", "mounted")
	if during := mounts(); during != before {
		t.Errorf("what an agent mounts is on the machine:\n%s", during)
	}
	a.close()
	b.close()
	for _, dir := range []string{"/opt/aaau-no-idmap", "/nonexistent"} { // and refusals
		run(t, operator, "aaau", "--workspace", dir, "-p", "true")
	}
	if after := mounts(); after != before {
		t.Errorf("after the session the machine's mounts are\n%s\nand before were\n%s", after, before)
	}
}

// What a person mounted over or unmounts is theirs to do, session or not.
func TestSessionsEndGivesTheFileSystemBack(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	place := ext4(t)
	sh(t, operator, place+"/operator", "mkdir project; git init -q project")
	s := openShell(t, operator, "-C", place+"/operator/project")
	s.prints("echo >x; pwd", place+"/operator/project")
	output(t, as(t, "root"), "mount", "-o", "remount,ro", place)
	if _, status := s.do("touch y"); status == 0 {
		t.Error("the agent writes on a file system that is read-only")
	}
	output(t, as(t, "root"), "mount", "-o", "remount,rw", place)
	s.close()
	output(t, operator, "rm", "-rf", place+"/operator/project")
}

// A directory that is exchanged while a session is being made: what the agent gets
// is a tree of the person's, or nothing.
func TestDirectoriesRenamedDuringSetUp(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	base := tree(t, operator, "race")
	srv := tmpfs(t, "/srv/race", "mode=777")
	sh(t, as(t, "root"), srv, "install -d -o observer -m 755 theirs theirs/.git theirs/.git/hooks; echo stolen >theirs/file; chown observer theirs/file")
	sh(t, operator, base, "mkdir p; git init -q p; echo mine >p/file; ln -s /srv/race/theirs link")
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			_ = unix.Renameat2(unix.AT_FDCWD, base+"/p", unix.AT_FDCWD, base+"/link", unix.RENAME_EXCHANGE)
		}
	}()
	for range 12 {
		r := run(t, operator, "aaau", "--workspace", base+"/p", "-C", base+"/p", "--", "cat", "file")
		if strings.Contains(r.stdout, "stolen") {
			t.Errorf("the agent got another's tree")
		}
		if r.status == 255 {
			checkRefusal(t, "of the race", nil, r.status, r.stderr)
		}
	}
	close(stop)
	<-done
}

// Which file systems, and why not: one line that says what to do.
func TestWhereNoWorkspaceCanBe(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	t.Run("overlayfs", func(t *testing.T) {
		output(t, as(t, "root"), "install", "-d", "-o", "operator", "/opt/aaau-test-overlay")
		t.Cleanup(func() { os.RemoveAll("/opt/aaau-test-overlay") })
		refusedAt(t, operator, "/opt/aaau-test-overlay", []string{"/opt/aaau-test-overlay", "overlay", "--no-workspace"}, "aaau", "-C", ".", "-p", "true")
		addAlias(t, "worker", worker)
		refusedAt(t, operator, "/opt/aaau-test-overlay", []string{"/opt/aaau-test-overlay", "overlay", "--no-workspace"}, "aaau", "worker", "-c", "true")
	})
	t.Run("the client's own mount namespace", func(t *testing.T) {
		const place = "/srv/private"
		if err := os.MkdirAll(place, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(place) })
		for _, argv := range [][]string{{"-C", place, "-p", "true"}, {"--workspace", place + ":ro", "-p", "true"}} {
			r := run(t, as(t, "root"), append([]string{"unshare", "-m", "bash", "-c", `cd /; mount -t tmpfs -o uid=$0,mode=700 tmpfs /srv/private
				exec setpriv --reuid operator --regid operator --init-groups -- aaau "$@"`, "operator"}, argv...)...)
			if r.status == 255 && strings.Contains(r.stderr, "uid") {
				t.Fatal(r.stderr)
			}
			checkRefusal(t, "in a mount namespace", []string{place, "only you see"}, r.status, r.stderr)
		}
	})
	t.Run("an unprivileged mount namespace", func(t *testing.T) {
		dir := tree(t, operator, "private")
		r := run(t, operator, "unshare", "-Urm", "bash", "-c", `mount -t tmpfs tmpfs "$0" && exec aaau -C "$0" -p true`, dir)
		checkRefusal(t, "in a user namespace", []string{dir, "only you see"}, r.status, r.stderr)
	})
	t.Run("a place that only the client has", func(t *testing.T) {
		// The same tree by another name, as in a container: the machine's name is what counts, or none.
		dir := tree(t, operator, "real")
		output(t, operator, "mkdir", dir+"/elsewhere")
		r := run(t, operator, "unshare", "-Urm", "bash", "-c", `mount --bind "$0" "$0/elsewhere" && exec aaau -C "$0/elsewhere" -- pwd`, dir)
		if r.status != 0 || strings.TrimSpace(r.stdout) != dir {
			checkRefusal(t, "of a bind mount", []string{dir}, r.status, r.stderr)
		}
	})
}

// hostileOpen is what a client of one's own making may send: descriptors beside an
// Open.
func init() { programs["open"] = hostileOpen }

var hostileDescriptors = map[string]func() ([]int, error){
	"a file":                 opened("/etc/passwd", unix.O_RDONLY),
	"a device":               opened("/dev/null", unix.O_RDWR),
	"/proc":                  opened("/proc", unix.O_RDONLY|unix.O_DIRECTORY),
	"a process":              opened("/proc/self", unix.O_RDONLY|unix.O_DIRECTORY),
	"own descriptors":        opened("/proc/self/fd", unix.O_RDONLY|unix.O_DIRECTORY),
	"/sys":                   opened("/sys", unix.O_RDONLY|unix.O_DIRECTORY),
	"the root":               opened("/", unix.O_RDONLY|unix.O_DIRECTORY),
	"/etc":                   opened("/etc", unix.O_RDONLY|unix.O_DIRECTORY),
	"another's tree":         opened("/srv/hostile/observers", unix.O_RDONLY|unix.O_DIRECTORY),
	"another's tree, O_PATH": opened("/srv/hostile/observers", unix.O_PATH|unix.O_DIRECTORY),
	"O_PATH":                 opened("/home/operator/hostile", unix.O_PATH|unix.O_DIRECTORY),
	"O_PATH of a link":       opened("/home/operator/hostile/link", unix.O_PATH|unix.O_NOFOLLOW),
	"a closed home, O_PATH":  opened("/home/observer", unix.O_PATH|unix.O_DIRECTORY),
	"root's, O_PATH":         opened("/root", unix.O_PATH|unix.O_DIRECTORY),
	"on overlayfs":           opened("/opt/hostile", unix.O_RDONLY|unix.O_DIRECTORY),
	"a pipe":                 pipeEnd,
	"a socket":               socketpair,
	"itself":                 connected(serverSocket),
	"none":                   nothing,
	"two": func() ([]int, error) {
		fd, err := unix.Open("/home/operator/hostile", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		return []int{fd, fd}, err
	},
	"many": func() (fds []int, err error) {
		fd, err := unix.Open("/home/operator/hostile", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		for range 200 {
			fds = append(fds, fd)
		}
		return fds, err
	},
	"a deleted directory": func() ([]int, error) {
		const dir = "/home/operator/hostile/deleted"
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
		fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err == nil {
			err = os.Remove(dir)
		}
		return []int{fd}, err
	},
	"a deleted directory in whose place another's is": func() ([]int, error) {
		const dir = "/home/operator/hostile/replaced"
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
		fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err == nil {
			err = os.Remove(dir)
		}
		if err == nil {
			err = os.Symlink("/srv/hostile/observers", dir)
		}
		return []int{fd}, err
	},
	"a deleted directory with a namesake": func() ([]int, error) { // the kernel calls them the same
		const dir = "/home/operator/hostile/gone"
		if err := errors.Join(os.Mkdir(dir, 0o755), os.Mkdir(dir+" (deleted)", 0o755)); err != nil {
			return nil, err
		}
		fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err == nil {
			err = os.Remove(dir)
		}
		return []int{fd}, err
	},
	"a detached mount": func() ([]int, error) {
		fd, err := unix.OpenTree(unix.AT_FDCWD, "/home/operator/hostile", unix.OPEN_TREE_CLONE)
		if err != nil { // it takes privileges, or a user namespace
			fd, err = unix.MemfdCreate("x", 0)
		}
		return []int{fd}, err
	},
	"a good one": opened("/home/operator/hostile", unix.O_RDONLY|unix.O_DIRECTORY),
}

// hostileOpen sends an Open for one directory with the descriptors of that name,
// and prints what comes.
func hostileOpen(args []string) int {
	fds, err := hostileDescriptors[args[0]]()
	if err != nil {
		fmt.Println("not even possible:", err)
		return 1
	}
	c, err := net.Dial("unix", serverSocket)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer c.Close()
	open := `{"argv":["cat","/home/operator/hostile/file"],"rows":24,"cols":80,"piped":true,"dirs":[{}]}`
	if len(args) > 1 {
		open = args[1]
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	if _, _, err := c.(*net.UnixConn).WriteMsgUnix(append(wire.Hello(), wire.Frame(wire.Open, []byte(open))...), oob, nil); err != nil {
		fmt.Println(err)
		return 1
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 1
	}
	r := wire.NewReader(c)
	_, err = r.Hello()
	for err == nil {
		kind, payload, next := wire.Type(0), []byte(nil), error(nil)
		if kind, payload, next = r.Next(); next == nil {
			fmt.Printf("%#x %q\n", byte(kind), payload)
			if kind == wire.Ended || kind == wire.Error {
				return 0
			}
		}
		err = next
	}
	fmt.Println("dropped:", err)
	return 0
}

func TestHostileDescriptors(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	dir := tree(t, operator, "hostile")
	sh(t, operator, dir, "echo good >file; ln -s /srv/hostile/observers link")
	srv := tmpfs(t, "/srv/hostile", "mode=755")
	sh(t, as(t, "root"), srv, "install -d -o observer observers /opt/hostile; chown operator /opt/hostile; echo theirs >observers/file")
	t.Cleanup(func() { os.RemoveAll("/opt/hostile") })
	if got := output(t, operator, helper, "open", "a good one"); !strings.Contains(got, "good\\r\\n") {
		t.Errorf("a good directory: %s", got)
	}
	bridge, launcher := mainPID(t, "aaau.service"), mainPID(t, "aaau-launcher.service")
	before := descriptors(t, "aaau.service") + descriptors(t, "aaau-launcher.service")
	for name := range hostileDescriptors {
		if name == "a good one" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			got := output(t, operator, helper, "open", name)
			// An Error frame, and never the program's output.
			if !strings.Contains(got, "0x44 ") && !strings.Contains(got, "dropped: ") || strings.Contains(got, "0x41 ") {
				t.Errorf("the answer is %s", got)
			}
		})
	}
	for name, open := range map[string]string{
		"no dirs for it":       `{"argv":["true"],"rows":24,"cols":80}`,
		"two dirs for one":     `{"argv":["true"],"rows":24,"cols":80,"dirs":[{},{}]}`,
		"joining with one":     `{"attach":"aaaaaaaaaa","rows":24,"cols":80,"dirs":[{}]}`,
		"a lock that leads up": `{"argv":["true"],"rows":24,"cols":80,"dirs":[{"lock":["../../observer"]}]}`,
		"a lock of the root's": `{"argv":["true"],"rows":24,"cols":80,"dirs":[{"lock":["/etc/shadow"]}]}`,
		"a cwd with a NUL":     `{"argv":["true"],"rows":24,"cols":80,"dirs":[{}],"cwd":"/home\u0000x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if got := output(t, operator, helper, "open", "a good one", open); !strings.Contains(got, "0x44 ") {
				t.Errorf("the answer is %s", got)
			}
		})
	}
	t.Run("a path of its own", func(t *testing.T) { // is not heard
		got := output(t, operator, helper, "open", "a good one", `{"argv":["sh","-c","ls /etc/passwd; cat /home/operator/hostile/file"],"rows":24,"cols":80,"dirs":[{"path":"/etc"}]}`)
		if !strings.Contains(got, "good\\r") || strings.Contains(got, `[{\"path\":\"/etc`) {
			t.Errorf("the answer is %s", got)
		}
	})
	output(t, operator, helper, "open", "a good one")
	if a, b := mainPID(t, "aaau.service"), mainPID(t, "aaau-launcher.service"); a != bridge || b != launcher {
		t.Errorf("the services were %d and %d, and are %d and %d", bridge, launcher, a, b)
	}
	if !eventually(func() bool {
		return descriptors(t, "aaau.service")+descriptors(t, "aaau-launcher.service") <= before
	}) {
		t.Errorf("descriptors leak: %d, and now %d", before, descriptors(t, "aaau.service")+descriptors(t, "aaau-launcher.service"))
	}
}

// The bridge can open what everybody can, and name what it cannot: a client's
// connection must not make it good.
func TestEvilBridgeWithForeignDirectories(t *testing.T) {
	begin(t)
	evil := evilBridge(t)
	operator := as(t, "operator")
	srv := tmpfs(t, "/srv/hostile", "mode=755")
	sh(t, as(t, "root"), srv, "install -d -o observer observers; install -d -o operator -m 700 closed; install -d -o aaau-bridge bridges; install -d -o agent agents")
	conn, _ := visit(t, fakeBridge(t), operator)
	for name, test := range map[string]struct {
		dir   string
		flags int
	}{
		"root's":                  {"/etc", unix.O_RDONLY},
		"the root":                {"/", unix.O_RDONLY},
		"observer's":              {srv + "/observers", unix.O_RDONLY},
		"its own":                 {srv + "/bridges", unix.O_RDONLY},
		"an agent's":              {srv + "/agents", unix.O_RDONLY},
		"the client's, unopened":  {srv + "/closed", unix.O_PATH},
		"the client's whole home": {"/home/operator", unix.O_PATH},
		"/proc":                   {"/proc", unix.O_RDONLY},
		"another client's home":   {"/home/observer", unix.O_PATH},
	} {
		t.Run(name, func(t *testing.T) {
			since := journalNow(t)
			refusedByLauncher(t, since, evil, start(t, evil, []*os.File{conn}, "evil-dir", test.dir, fmt.Sprint(test.flags)).line())
		})
	}
}

func init() { programs["evil-dir"] = evilDirectory }

// evilDirectory is an evil bridge that adds a directory to an honest request.
func evilDirectory(args []string) int {
	var flags int
	if _, err := fmt.Sscan(args[1], &flags); err != nil {
		return 1
	}
	fd, err := unix.Open(args[0], flags|unix.O_DIRECTORY, 0)
	if err != nil {
		fmt.Println("not even possible:", err)
		return 1
	}
	ask(`{"start":{"profile":"shell","argv":["/bin/sh"],"rows":24,"cols":80,"dirs":[{}]}}`, []int{clientFD, fd})
	return 0
}

// Whoever sees a person's files on a session's terminal might as well have them.
func TestSessionsWithAWorkspaceArePrivate(t *testing.T) {
	begin(t)
	operator, observer, root := as(t, "operator"), as(t, "observer"), as(t, "root")
	project := tree(t, operator, "project")
	s := openShell(t, operator, "-C", project)
	for _, argv := range [][]string{
		{"aaau", "-n", s.id}, {"aaau", "-r", "-n", s.id}, {"aaau", "connect", "-r", "-n", s.id}, {"aaau", "kill", s.id},
	} {
		refused(t, observer, []string{s.id}, argv...)
	}
	// It is not even told from one that is not there.
	real, none := run(t, observer, "aaau", "-n", s.id), run(t, observer, "aaau", "-n", "zzzzzzzzzz")
	if strings.ReplaceAll(real.stderr, s.id, "ID") != strings.ReplaceAll(none.stderr, "zzzzzzzzzz", "ID") {
		t.Errorf("one that is there: %q; one that is not: %q", real.stderr, none.stderr)
	}
	s.prints("echo for-$((6*7))", "for-42")
	for _, who := range []account{operator, root} {
		o := sit(t, who, "aaau", "-r", "-n", s.id)
		o.expect("for-42")
		o.typed("\x1d\x1d\x1d")
		o.ends(0)
	}
	s.close()

	open := openShell(t, operator)
	open.prints("echo for-$((6*7))", "for-42")
	o := sit(t, observer, "aaau", "-r", "-n", open.id)
	o.expect("for-42")
	o.typed("\x1d\x1d\x1d")
	o.ends(0)
	open.close()
}

// The agent's place in the tree stays its place, whatever the person renames.
func TestPersonMovesDirectoriesDuringASession(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	base := tree(t, operator, "base")
	sh(t, operator, base, "mkdir -p project/sub/deep outside; echo secret >outside/secret; git init -q project")
	s := openShell(t, operator, "-C", base+"/project")
	s.do("cd sub/deep")
	sh(t, operator, base, "mv project/sub outside/sub") // the agent is in it
	if out, _ := s.do("cat ../../secret; cat ../secret; ls .. ../.. ../../..; cd ../..; ls; cat secret"); strings.Contains(out, "secret\n") && !strings.Contains(out, "No such file") {
		t.Errorf("out of the workspace through a directory that left it: %q", out)
	}
	s.do("cd " + base + "/project")
	sh(t, operator, base, "mv project renamed")
	s.prints("echo >after; ls", "after")
	s.close()
	if got := sh(t, operator, base, "ls renamed"); got != "after" {
		t.Errorf("the agent's file is not where the directory is: %q", got)
	}
	belongs(t, operator, base)
}

func TestNoDirectoryIsLeftOpenBehindAKilledClient(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	project := tree(t, operator, "project")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for delay := range 15 {
		cmd := operator.command(ctx, "aaau", "-C", project, "-p", "sleep 1000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(delay) * 4 * time.Millisecond)
		_ = syscall.Kill(cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}
	await(t, "the sessions' end", func() bool { return len(scopes(t)) == 0 })
	for _, service := range []string{"aaau.service", "aaau-launcher.service"} {
		pid := mainPID(t, service)
		if !eventually(func() bool {
			out, _ := exec.Command("find", fmt.Sprintf("/proc/%d/fd", pid), "-lname", project+"*").Output()
			return len(out) == 0
		}) {
			t.Errorf("%s still has %s", service, project)
		}
	}
}

// Where one is may be gone, or closed, or too far down.
func TestCurrentDirectoriesThatAreNone(t *testing.T) {
	begin(t)
	addAlias(t, "worker", worker)
	operator := as(t, "operator")
	dir := tree(t, operator, "odd")
	for name, commands := range map[string]string{
		"deleted":                  "mkdir d && cd d && rmdir ../d",
		"replaced":                 "mkdir d && cd d && rmdir ../d && mkdir ../d",
		"closed":                   "mkdir -p c/d && cd c/d && chmod 000 ../../c",
		"no longer read":           "mkdir e && cd e && chmod 000 .",
		"longer than names may be": "for i in $(seq 20); do n=$(printf %0250d $i); mkdir $n && cd -P $n; done",
		"a lie":                    "mkdir f && cd f && export PWD=/etc",
	} {
		t.Run(name, func(t *testing.T) {
			again := func() { sh(t, as(t, "root"), dir, "find . -mindepth 1 -delete") }
			defer again()
			r := run(t, operator, at(dir, "bash", "-c", commands+" && exec aaau worker -c 'pwd -P; touch x'")...)
			switch name {
			case "a lie":
				if strings.TrimSpace(r.stdout) != dir+"/f" {
					t.Errorf("it is %+v", r)
				}
			default:
				checkRefusal(t, "of a directory that is none", nil, r.status, r.stderr)
			}
			again()
			// It is in nobody's way who wants none.
			if r := run(t, operator, at(dir, "bash", "-c", commands+" && exec aaau -p 'id -un'")...); r.stdout != "agent\n" {
				t.Errorf("without a workspace it is %+v", r)
			}
		})
	}
}

func TestInTmux(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	dir := tree(t, operator, "project")
	tmux := func(args ...string) string {
		t.Helper()
		return succeeds(t, operator, append([]string{"tmux", "-L", "aaau-test", "-f", "/dev/null"}, args...)...)
	}
	t.Cleanup(func() { run(t, operator, "tmux", "-L", "aaau-test", "kill-server") })
	tmux("new-session", "-d", "-x", "100", "-y", "30", "-c", dir, "aaau -C . ; echo left; sleep 100")
	pane := func(text string) string {
		t.Helper()
		await(t, text+" in tmux", func() bool { return strings.Contains(tmux("capture-pane", "-p", "-J"), text) })
		return tmux("capture-pane", "-p", "-J")
	}
	pane("$ ")
	tmux("send-keys", "echo $TERM $((6*7)); stty size; pwd >where; printf '\\033[1;31mred\\033[0m\\n'; true", "Enter")
	pane("red")
	if got := pane("42"); !regexp.MustCompile(`(tmux|screen)(-256color)? 42`).MatchString(got) || !strings.Contains(got, "30 100") {
		t.Errorf("tmux shows %s", got)
	}
	tmux("send-keys", "C-]", "C-]", "C-]")
	id := regexp.MustCompile(`aaau attach ([0-9a-z]+)`).FindStringSubmatch(pane("aaau attach "))
	pane("left")
	if id == nil {
		t.Fatal("no session's id")
	}
	c := sit(t, operator, "aaau", "-n", id[1])
	c.expect("red")
	c.typed("exit 0\r")
	c.leave()
	if got := sh(t, operator, dir, "cat where"); got != dir {
		t.Errorf("it was in %q", got)
	}
}

// The kernel's maps are of at most 340 lines.
func TestWorkspaceOfAPersonInManyGroups(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	dir := tree(t, operator, "project")
	for _, many := range []int{100, 330, 1000} {
		who := operator
		for gid := range uint32(many) {
			who.groups = append(slices.Clone(who.groups), 60000+gid*2)
		}
		sh(t, as(t, "root"), dir, "rm -rf g; mkdir g; chown operator:60002 g; chmod 2770 g")
		r := run(t, who, at(dir, "aaau", "-C", ".", "--", "sh", "-c", "touch x g/x; stat -c '%U:%G' x; stat -c %g g/x")...)
		if r.status == 255 {
			checkRefusal(t, fmt.Sprint("of ", many, " groups"), []string{"group"}, r.status, r.stderr)
		} else if r.stdout != "agent:agent\n60002\n" {
			t.Errorf("with %d groups: %+v", many, r)
		}
	}
}

// Where an administrator has people's homes elsewhere.
func TestHiddenDirectories(t *testing.T) {
	begin(t)
	root := as(t, "root")
	people := tmpfs(t, "/srv/people", "mode=755")
	sh(t, root, people, "install -d -o operator -g operator operator operator/project; install -d -o observer observer; echo theirs >observer/file; echo mine >operator/file")
	operator, project := as(t, "operator"), people+"/operator/project"
	const look = "find /srv/people /home -mindepth 1 2>/dev/null | sort; cat /srv/people/*/file 2>/dev/null || true"
	// One's own home is hidden wherever it is.
	edit(t, "/etc/passwd", func(text string) string {
		return strings.Replace(text, ":/home/operator:", ":/srv/people/operator:", 1)
	})
	if got := inside(t, operator, project, look); strings.Contains(got, "mine") || !strings.Contains(got, project) {
		t.Errorf("of the person's own home is seen %q", got)
	}
	configure(t, "hidden=/home /root /srv/people\n")
	if got := inside(t, operator, project, look); got != "/srv/people/operator\n"+project {
		t.Errorf("with hidden= is seen %q", got)
	}
	if got := output(t, operator, "aaau", "--", "sh", "-c", look); got != "" {
		t.Errorf("without a workspace is seen %q", got)
	}
}
