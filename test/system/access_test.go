package system

import (
	"os"
	"slices"
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
