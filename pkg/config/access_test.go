package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/auth"
)

func TestAccess(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  access
	}{
		"no file": {nil, access{}},
		"each form": {map[string]string{"etc/access.conf": "# ours\n user = 1000 readonly\nuser=root ADMIN claude\n" +
			"group=0 Interactive\ngroup=root deny shell\njoin=owner-only"},
			access{rules: []auth.Rule{
				{ID: 1000, Role: auth.ReadOnly}, {ID: 0, Role: auth.Admin, Profile: "claude"},
				{Group: true, ID: 0, Role: auth.Interactive}, {Group: true, ID: 0, Role: auth.None, Profile: "shell"},
			}, join: auth.JoinOwner}},
		"all files, in order": {map[string]string{
			"etc/access.conf.d/20-b.conf":   "user=6 deny\njoin=any",
			"etc/access.conf.d/10-a.conf":   "user=5 deny\njoin=owner-only",
			"etc/access.conf.d/.hidden":     "nonsense",
			"etc/access.conf.d/README":      "nonsense",
			"etc/access.conf":               "user=4 deny\njoin=read-only-for-others",
			"local/access.conf":             "user=3 deny",
			"usr/access.conf":               "user=2 deny", // there is the other vendor's
			"usr/access.conf.d/10-not.conf": "user=1 deny",
		}, access{rules: []auth.Rule{{ID: 3}, {ID: 4}, {ID: 5}, {ID: 6}}}},
		"the second vendor's": {map[string]string{"usr/access.conf": "join=read-only-for-others"}, access{join: auth.JoinReadOnly}},
		"who is unknown may be denied": {map[string]string{"etc/access.conf": "user=no-such deny\ngroup=no-such-too DENY claude\nuser=4294967294 Admin"},
			access{rules: []auth.Rule{{ID: 4294967294, Role: auth.Admin}}, unknown: []string{`user "no-such"`, `group "no-such-too"`}}},
	} {
		got, err := tree(t, c.files).access()
		if err != nil || !slices.Equal(got.rules, c.want.rules) || got.join != c.want.join || !slices.Equal(got.unknown, c.want.unknown) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestAccessRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"user=1000":                           "access.conf:1: user: must be a name, a role",
		"user=1000 Admin shell now":           "access.conf:1: user: must be a name, a role",
		"# \nuser=1000 root":                  `access.conf:2: user: "root" is none of`,
		"user=1000 none":                      `access.conf:1: user: "none" is none of`,
		"group=1000 Admin a-b":                `access.conf:1: group: "a-b" cannot be a profile's name`,
		"group=0 Admin *":                     "cannot be a profile's name",
		"user=no-such ReadOnly":               `access.conf:1: user: there is no user "no-such" here`,
		"\n\ngroup=no-such Interactive":       `access.conf:3: group: there is no group "no-such" here`,
		"user=4294967296 Admin":               "too large",
		"user=-1 deny":                        "",
		"user=-1 Admin":                       "there is no user",
		"join=all":                            `access.conf:1: join: "all" is none of`,
		"join=":                               "is none of",
		"user":                                "access.conf:1: not of the form key=value",
		"deny=1000":                           "access.conf:1: deny: unknown key",
		strings.Repeat("user=1 deny\n", 1001): "access.conf:1001: user: more than 1000 rules",
		strings.Repeat("user=1 deny\n", 1000): "",
	} {
		_, err := tree(t, map[string]string{"etc/access.conf": text}).access()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	// The bound is that of all files together.
	files := map[string]string{"usr/access.conf": "user=1 deny"}
	for i := range 10 {
		files[fmt.Sprintf("etc/access.conf.d/%d.conf", i)] = strings.Repeat("user=1 deny\n", 100)
	}
	if _, err := tree(t, files).access(); err == nil || !strings.Contains(err.Error(), "9.conf:100: user: more than") {
		t.Errorf("%v", err)
	}
}

// Whatever may have denied somebody, and cannot be read, is an error: also what is no
// file, or somebody else's to take away.
func TestAccessFailsClosed(t *testing.T) {
	for name, spoil := range map[string]func(d Dirs) error{
		"the file writable by others":     func(d Dirs) error { return os.Chmod(d.Admin+"/access.conf", 0o646) },
		"a drop-in writable by the group": func(d Dirs) error { return os.Chmod(d.Admin+"/access.conf.d/1.conf", 0o664) },
		"the vendor's writable by others": func(d Dirs) error { return os.Chmod(d.Vendor[1]+"/access.conf", 0o646) },
		"the drop-ins' directory writable by others, and empty": func(d Dirs) error {
			return errors.Join(os.Remove(d.Admin+"/access.conf.d/1.conf"), os.Chmod(d.Admin+"/access.conf.d", 0o777))
		},
		"our directory writable by others, and empty": func(d Dirs) error {
			return errors.Join(os.Remove(d.Admin+"/access.conf"), os.Chmod(d.Admin, 0o777))
		},
		"a directory for a file": func(d Dirs) error {
			return errors.Join(os.Remove(d.Admin+"/access.conf"), os.Mkdir(d.Admin+"/access.conf", 0o755))
		},
		"a file for the directory": func(d Dirs) error {
			return errors.Join(os.RemoveAll(d.Admin+"/access.conf.d"), os.WriteFile(d.Admin+"/access.conf.d", nil, 0o644))
		},
		"the file a link to nothing": func(d Dirs) error {
			return errors.Join(os.Remove(d.Admin+"/access.conf"), os.Symlink("nothing", d.Admin+"/access.conf"))
		},
		"a drop-in a link to nothing": func(d Dirs) error { return os.Symlink("nothing", d.Admin+"/access.conf.d/2.conf") },
		"the directory a link to nothing": func(d Dirs) error {
			return errors.Join(os.RemoveAll(d.Admin+"/access.conf.d"), os.Symlink("nothing", d.Admin+"/access.conf.d"))
		},
	} {
		d := tree(t, map[string]string{"etc/access.conf": "", "etc/access.conf.d/1.conf": "", "usr/access.conf": ""})
		if _, err := d.access(); err != nil {
			t.Fatal(err)
		}
		if err := spoil(d); err != nil {
			t.Fatal(err)
		}
		if a, err := d.access(); err == nil || !strings.Contains(err.Error(), filepath.Dir(d.Admin)) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

func TestPolicy(t *testing.T) {
	d := tree(t, map[string]string{
		"etc/access.conf":       "user=1000 deny\nuser=nobody-here deny\njoin=owner-only",
		"usr/profiles.d/x.conf": "user=root",
	})
	cfg := Defaults()
	cfg.Group, cfg.AgentUsers = "root", []string{"nobody", "no-such"}
	p, err := d.Policy(cfg)
	if err != nil || p.Group != 0 || p.GroupName != "root" || p.Join != auth.JoinOwner ||
		!slices.Equal(p.Rules, []auth.Rule{{ID: 1000}}) || len(p.Unknown) != 1 || !slices.Equal(p.AgentUIDs, []uint32{65534, 0}) {
		t.Errorf("%+v, %v", p, err)
	}
	if err := os.WriteFile(d.Admin+"/access.conf", []byte("user=1000 deny\nuser=1000"), 0o644); err != nil {
		t.Fatal(err)
	}
	if p, err := d.Policy(cfg); err == nil || !strings.Contains(err.Error(), "access.conf:2: user: ") || p.Rules != nil {
		t.Errorf("of a broken file: %+v, %v", p, err)
	}
	// What locks stand for does not hang on who may come in.
	if uids, err := d.AgentUIDs(cfg); err != nil || len(uids) != 2 {
		t.Errorf("%v, %v", uids, err)
	}
}
