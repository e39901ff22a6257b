package system

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

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
