package config

import (
	"os/user"
	"strconv"
	"testing"
)

func TestRootGroup(t *testing.T) {
	g, err := user.LookupGroup("disk") // every distribution has it
	if err != nil {
		t.Fatal(err)
	}
	disk, err := strconv.Atoi(g.Gid)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		groups []string
		gids   []uint32
		want   string
	}{
		{Defaults().RootGroups, []uint32{60001, uint32(disk)}, "disk"},
		{Defaults().RootGroups, []uint32{0}, "root"},
		{Defaults().RootGroups, []uint32{60001}, ""},
		{[]string{"nosuchgroup", "disk"}, []uint32{uint32(disk)}, "disk"},
		{nil, []uint32{uint32(disk)}, ""},
	} {
		name, _, err := Config{RootGroups: c.groups}.RootGroup(c.gids)
		if name != c.want || err != nil {
			t.Errorf("%v among %v: %q, %v; want %q", c.gids, c.groups, name, err, c.want)
		}
	}
}

func TestRootGroupsAreConfigured(t *testing.T) {
	for text, want := range map[string]int{"": len(rootGroups), "root-groups=docker disk": 2, "root-groups=": 0} {
		c, err := tree(t, map[string]string{"etc/aaau.conf": text}).Load()
		if err != nil || len(c.RootGroups) != want {
			t.Errorf("%q: %v, %v", text, c.RootGroups, err)
		}
	}
}
