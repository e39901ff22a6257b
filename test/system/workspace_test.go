package system

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
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
