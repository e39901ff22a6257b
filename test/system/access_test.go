package system

import (
	"os"
	"slices"
	"strings"
	"testing"
)

const (
	serverSocket   = "/run/aaau/server.sock"
	launcherSocket = "/run/aaau/launcher.sock"
)

// loosen gives a socket another mode for the length of a test.
func loosen(t *testing.T, socket string) {
	t.Helper()
	fi, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Chmod(socket, fi.Mode().Perm()); err != nil {
			t.Error(err)
		}
	})
}

func TestOutsiderIsRefused(t *testing.T) {
	begin(t)
	outsider := as(t, "outsider")
	t.Run("by the socket's mode", func(t *testing.T) {
		refused(t, outsider, []string{"usermod -aG aaau outsider", "newgrp aaau"}, "aaau", "-p", "id")
		refused(t, outsider, []string{"usermod -aG aaau outsider", "newgrp aaau"}, "aaau", "kill", "nosuch")
	})
	t.Run("by the bridge", func(t *testing.T) {
		loosen(t, serverSocket)
		refused(t, outsider, []string{"usermod -aG aaau", "newgrp aaau"}, "aaau", "-p", "id")
		refused(t, outsider, []string{"usermod -aG aaau", "newgrp aaau"}, "aaau", "-n", "nosuch")
	})
}

// In the original the agent's group was the one that may connect: any agent could
// type into any session.
func TestAgentIsRefusedAlways(t *testing.T) {
	begin(t)
	agent := as(t, "agent")
	primary, supplementary := agent, agent
	primary.gid = group(t, "aaau")
	supplementary.groups = append(slices.Clone(agent.groups), group(t, "aaau"))

	refused(t, agent, nil, "aaau", "-p", "id") // the socket's mode
	for _, who := range []account{primary, supplementary} {
		refused(t, who, []string{"agent"}, "aaau", "-p", "id")
		refused(t, who, []string{"agent"}, "aaau", "-n", "nosuch")
		refused(t, who, []string{"agent"}, "aaau", "kill", "nosuch")
	}
	loosen(t, serverSocket)
	for _, who := range []account{agent, primary, supplementary} {
		refused(t, who, []string{"agent"}, "aaau", "-p", "id")
	}
}

// The kernel tells of as many groups as one asks room for.
func TestPersonInManyGroups(t *testing.T) {
	begin(t)
	who := as(t, "outsider")
	for gid := range uint32(200) {
		who.groups = append(who.groups, 60000+gid)
	}
	refused(t, who, []string{"usermod"}, "aaau", "-p", "id")
	who.groups = append(who.groups, group(t, "aaau"))
	if got := output(t, who, "aaau", "-p", "id -Gn"); got != "agent" {
		t.Errorf("the agent's groups are %q", got)
	}
}

// An agent user that an administrator has put into the group by mistake would be
// let in to itself: such sessions are not started.
func TestAgentInTheGroupIsNotStarted(t *testing.T) {
	begin(t)
	output(t, as(t, "root"), "usermod", "-aG", "aaau", "agent")
	t.Cleanup(func() { run(t, as(t, "root"), "gpasswd", "-d", "agent", "aaau") })
	refused(t, as(t, "operator"), []string{"agent", "gpasswd -d agent aaau"}, "aaau", "-p", "id")
}

// Nor as one that could read the record, and so what anybody typed and was shown.
func TestAgentWhoReadsTheRecordIsNotStarted(t *testing.T) {
	begin(t)
	output(t, as(t, "root"), "usermod", "-aG", "aaau-audit", "agent")
	t.Cleanup(func() { run(t, as(t, "root"), "gpasswd", "-d", "agent", "aaau-audit") })
	refused(t, as(t, "operator"), []string{"agent", "gpasswd -d agent aaau-audit"}, "aaau", "-p", "id")
	if r := run(t, as(t, "root"), "/usr/sbin/aaau-server", "init"); r.status == 0 || !strings.Contains(r.stderr, "gpasswd -d agent aaau-audit") {
		t.Errorf("init says nothing: %+v", r)
	}
}

// Whoever was put into the group need not log in anew.
func TestNewgrpWorksAtOnce(t *testing.T) {
	begin(t)
	outsider := as(t, "outsider") // with the groups of before
	t.Run("any process of the group", func(t *testing.T) {
		member := outsider
		member.gid = group(t, "aaau")
		if got := output(t, member, "aaau", "-p", "id -un"); got != "agent" {
			t.Errorf("the agent is %q", got)
		}
	})
	t.Run("newgrp itself", func(t *testing.T) {
		output(t, as(t, "root"), "usermod", "-aG", "aaau", "outsider")
		t.Cleanup(func() { run(t, as(t, "root"), "gpasswd", "-d", "outsider", "aaau") })
		refused(t, outsider, []string{"newgrp aaau"}, "aaau", "-p", "id")
		c := sit(t, outsider, "newgrp", "aaau")
		c.typed("aaau -p 'id -un'; exit $((40+2))\r")
		c.expect("agent\r\n")
		c.ends(42)
	})
}

// grant writes rules into a file of their own for the length of a test, and has the
// bridge take them over.
func grant(t *testing.T, rules ...string) {
	t.Helper()
	const dir = "/etc/aaau/access.conf.d"
	if os.Mkdir(dir, 0o755) == nil {
		t.Cleanup(func() { os.Remove(dir) })
	}
	t.Cleanup(func() {
		os.Remove(accessFile)
		reload(t, "reloaded")
	})
	writeAccess(t, rules...)
	reload(t, "reloaded")
}

const accessFile = "/etc/aaau/access.conf.d/90-test.conf"

func writeAccess(t *testing.T, rules ...string) {
	t.Helper()
	if err := os.WriteFile(accessFile, []byte(strings.Join(rules, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// reload waits for what the bridge says to it.
func reload(t *testing.T, word string) {
	t.Helper()
	pid, since := mainPID(t, "aaau.service"), journalNow(t)
	systemctl(t, "reload", "aaau.service")
	await(t, "the journal to say "+word, func() bool {
		return strings.Contains(messages(t, since, "aaau.service"), word)
	})
	if now := mainPID(t, "aaau.service"); now != pid {
		t.Errorf("the bridge is another process: %d, not %d", now, pid)
	}
}

// reloadFails has a reload refused, before the bridge hears of it, with a reason in the
// journal, which aaau-server check says too.
func reloadFails(t *testing.T, reason string) {
	t.Helper()
	pid, since := mainPID(t, "aaau.service"), journalNow(t)
	if out, err := systemctlMay("reload", "aaau.service"); err == nil {
		t.Errorf("the reload succeeded: %s", out)
	}
	await(t, "the journal to say "+reason, func() bool {
		return strings.Contains(messages(t, since, "aaau.service"), reason)
	})
	if said := messages(t, since, "aaau.service"); strings.Contains(said, "reloaded") {
		t.Errorf("the bridge has heard of it: %s", said)
	}
	if now := mainPID(t, "aaau.service"); now != pid {
		t.Errorf("the bridge is another process: %d, not %d", now, pid)
	}
	r := run(t, as(t, "root"), "aaau-server", "check")
	if r.status != 1 || !strings.Contains(r.stderr, reason) || !strings.Contains(r.stderr, "in the configuration") {
		t.Errorf("aaau-server check: status %d, %q", r.status, r.stderr)
	}
}

// A mistake in one profile is that profile's alone, whether it is there when the bridge
// starts or comes later, and reload says it.
func TestOneBrokenProfileStopsNothingElse(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	output(t, as(t, "root"), "aaau-server", "check")
	const dir, file = "/etc/aaau/profiles.d", "/etc/aaau/profiles.d/other.conf"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("any-program=yes\ntols=yes\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		os.Remove(file)
		systemctl(t, "restart", "aaau.service")
		os.Remove(dir) // unless there is something else in it
	})
	reason := file + ":2: tols: unknown key: did you mean tools=?"
	for _, when := range []string{"as it came", "after a restart"} {
		output(t, operator, "aaau", "-p", "true")
		refused(t, operator, []string{"profile other has a mistake", reason}, "aaau", "other")
		if t.Failed() {
			t.Fatal(when)
		}
		since := journalNow(t)
		reloadFails(t, reason)
		systemctl(t, "restart", "aaau.service")
		await(t, "the journal to say what is refused", func() bool {
			return strings.Contains(messages(t, since, "aaau.service"), "profile other: "+reason+": nobody can start")
		})
	}
}

// Who is in aaau-audit sees every session, and does nothing to any; a share with somebody
// who could not connect is refused; what an agent's user is told lets no agent in.
func TestAuditorsAndStrangers(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	dir := tree(t, operator, "shop")
	id := strings.TrimSpace(output(t, operator, "aaau", "start", "-C", dir, "--", "sh", "-c", "echo seen by auditors; exec sleep 1000"))
	peek(t, id, "seen by auditors")
	refused(t, observer, []string{"no session"}, "aaau", "peek", id)

	auditor := observer
	auditor.groups = append(append([]uint32(nil), observer.groups...), group(t, "aaau-audit"))
	if got := output(t, auditor, "aaau", "peek", id); !strings.Contains(got, "seen by auditors") {
		t.Errorf("an auditor sees %q", got)
	}
	if got := output(t, auditor, "aaau", "export", "-f", "text", id); !strings.Contains(got, "seen by auditors") {
		t.Errorf("an auditor exports %q", got)
	}
	for _, argv := range [][]string{{"kill", id}, {"freeze", id}, {"send", id, "x"}, {"share", id, "observer"}} {
		refused(t, auditor, []string{"not allowed to you as Auditor", "operator"}, append([]string{"aaau"}, argv...)...)
	}
	refused(t, auditor, []string{"you are Auditor", "not start"}, "aaau", "-p", "id")

	refused(t, operator, []string{"outsider may not use AaaU", "sudo usermod -aG aaau outsider"}, "aaau", "share", "shop", "outsider")
	refused(t, operator, []string{"not shared with agents"}, "aaau", "share", "shop", "agent")
	r := run(t, as(t, "agent"), "aaau", "list")
	if r.status != 255 || strings.Contains(r.stderr, "usermod") || !strings.Contains(r.stderr, "as yourself") {
		t.Errorf("the agent's user is told %q", r.stderr)
	}
	output(t, operator, "aaau", "freeze", "shop")
	if got := output(t, operator, "aaau", "list"); !strings.Contains(got, "frozen (by operator)") {
		t.Errorf("the list is %s", got)
	}
	if got := output(t, operator, "aaau", "status", "shop"); !strings.Contains(got, "yes: for its owner, Admins and Auditors\n") {
		t.Errorf("the status is %s", got)
	}
	output(t, as(t, "root"), "aaau", "kill", "--force", id)
	refused(t, operator, []string{"your session shop (" + id + ") has ended"}, "aaau", "attach", "shop")
}

// watches joins a session and finds that nothing but watching is allowed.
func watches(t *testing.T, who account, s shell) {
	t.Helper()
	o := sit(t, who, "aaau", "-n", s.id)
	o.match(promptForm)
	o.typed("echo $((7000+77))\r")
	o.expect("typing is not allowed")
	s.prints("echo $((40+2))", "42")
	o.expect("42")
	o.typed(strings.Repeat("\x1d", 3))
	o.ends(0)
	if strings.Contains(o.all(), "7077") {
		t.Errorf("what was typed came through: %q", o.all())
	}
}

func TestAccessLowersToReadOnly(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	observer := as(t, "observer")
	grant(t, "user=observer readonly")
	watches(t, observer, s)
	refused(t, observer, []string{"you are ReadOnly for profile shell", "not start"}, "aaau", "-p", "id")
	refused(t, observer, []string{"not allowed"}, "aaau", "kill", s.id)
	s.close()
}

func TestAccessDenies(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	observer := as(t, "observer")
	grant(t, "group=aaau deny", "user=operator Interactive")
	for _, argv := range [][]string{{"-p", "id"}, {"-n", s.id}, {"-r", "-n", s.id}, {"kill", s.id}} {
		refused(t, observer, []string{"denied AaaU by access.conf"}, append([]string{"aaau"}, argv...)...)
	}
	output(t, as(t, "operator"), "aaau", "-p", "true")
	output(t, as(t, "root"), "aaau", "-p", "true")

	// But for one profile: then the others' sessions are not there.
	writeProfile(t, "other", "any-program=yes")
	writeAccess(t, "user=observer deny", "user=observer Interactive other")
	reload(t, "reloaded")
	refused(t, observer, []string{"denied profile shell by access.conf"}, "aaau", "-p", "id")
	refused(t, observer, []string{"no session"}, "aaau", "-n", s.id)
	if got := output(t, observer, "aaau", "other", "-c", "id -un"); got != "agent" {
		t.Errorf("the agent is %q", got)
	}
	s.close()
}

func TestAccessRaisesToAdminForOneProfile(t *testing.T) {
	begin(t)
	writeProfile(t, "other", "any-program=yes")
	operator, observer := as(t, "operator"), as(t, "observer")
	shell, other := openShell(t, operator), openShell(t, operator, "other")
	refused(t, observer, []string{"not allowed"}, "aaau", "kill", other.id)
	grant(t, "user=observer Admin other")
	refused(t, observer, []string{"not allowed"}, "aaau", "kill", shell.id)
	output(t, observer, "aaau", "kill", other.id)
	other.ends(129)
	shell.close()
}

func TestAccessToOthersSessions(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	s := openShell(t, operator)
	grant(t, "join=read-only-for-others")
	watches(t, observer, s)
	writeAccess(t, "join=owner-only")
	reload(t, "reloaded")
	for _, argv := range [][]string{{"-n", s.id}, {"-r", "-n", s.id}} {
		refused(t, observer, []string{"no session"}, append([]string{"aaau"}, argv...)...)
	}
	output(t, as(t, "root"), "aaau", "kill", s.id)
	s.ends(129)
}

// A mistake is told with its place; those who are there go on, those who come are
// treated as before, and the root half, which keeps nothing, starts nothing.
func TestAccessBrokenAtReload(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	s := openShell(t, operator)
	grant(t, "user=observer ReadOnly")
	o := sit(t, observer, "aaau", "-n", s.id)
	o.match(promptForm)

	writeAccess(t, "# all may do all", "group=aaau Admin", "user=observer none")
	reloadFails(t, accessFile+`:3: user: "none" is none of`)
	watches(t, observer, s)
	refused(t, observer, []string{"not start"}, "aaau", "-p", "id")
	refused(t, operator, []string{accessFile + ":3: user"}, "aaau", "-p", "id")
	s.prints("echo $((50+5))", "55")
	o.expect("55")

	// Somebody else's file, however right, is no better.
	writeAccess(t, "group=aaau Admin")
	output(t, as(t, "root"), "chown", "observer", accessFile)
	reloadFails(t, accessFile+": owned by uid")
	watches(t, observer, s)
	refused(t, operator, []string{accessFile + ": owned by"}, "aaau", "-p", "id")

	os.Remove(accessFile)
	reload(t, "reloaded")
	output(t, observer, "aaau", "-p", "true")
	o.typed("echo $((7000+77))\r") // who came as a watcher may type now
	o.expect("7077")
	s.close()
	o.ends(0)
}

// The root half asks its own files, not the bridge: what they say counts before the
// bridge has heard of it.
func TestAccessIsDecidedAgainByTheLauncher(t *testing.T) {
	begin(t)
	observer := as(t, "observer")
	grant(t)
	writeAccess(t, "user=observer ReadOnly")
	since := journalNow(t)
	refused(t, observer, []string{"you are ReadOnly for profile shell"}, "aaau", "-p", "id")
	if said := messages(t, since, "aaau-launcher.service"); !strings.Contains(said, "you are ReadOnly") {
		t.Errorf("the launcher said %q", said)
	}
	writeAccess(t, "user=observer deny shell")
	refused(t, observer, []string{"denied profile shell"}, "aaau", "-p", "id")
}

// An agent stays out, and root in, whatever the file says.
func TestAccessHasItsLimits(t *testing.T) {
	begin(t)
	loosen(t, serverSocket)
	grant(t, "user=agent Admin", "group=agent Admin", "user=outsider Admin", "user=root deny", "user=no-such-person deny")
	agent := as(t, "agent")
	agent.groups = append(agent.groups, group(t, "aaau"))
	refused(t, agent, []string{"agents may not"}, "aaau", "-p", "id")
	refused(t, as(t, "outsider"), []string{"usermod -aG aaau"}, "aaau", "-p", "id")
	output(t, as(t, "root"), "aaau", "-p", "true")
	reload(t, `access.conf denies user "no-such-person"`)
}

// Who has other uids is not known by name: a line that denies the access group holds
// for them too, as no line about a user does.
func TestAccessDeniedToAllHoldsForOtherUIDs(t *testing.T) {
	begin(t)
	observer := as(t, "observer")
	other := observer // as newuidmap(1) makes it: another number, the same groups
	other.uid, other.home = 100000, "/"
	grant(t, "user=observer deny")
	output(t, other, "aaau", "-p", "true") // which is why the manual says so
	writeAccess(t, "group=aaau deny", "user=operator Interactive")
	reload(t, "reloaded")
	refused(t, other, []string{"denied AaaU by access.conf"}, "aaau", "-p", "id")
	output(t, as(t, "operator"), "aaau", "-p", "true")
}
