package system

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

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
