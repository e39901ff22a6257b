package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// tree makes directories of the tester's own, with files by name.
func tree(t *testing.T, files map[string]string) Dirs {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		f := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Dirs{Admin: filepath.Join(root, "etc"), Vendor: []string{filepath.Join(root, "local"), filepath.Join(root, "usr")}, Owner: uint32(os.Getuid())}
}

func TestLoad(t *testing.T) {
	got, err := tree(t, nil).Load()
	if err != nil || got.Group != "aaau" || got.MaxSessions != 1000 || got.MaxTapes < 64<<20 || got.RecordAge != 30*24*time.Hour || got.RecordMax != 10<<30 {
		t.Fatalf("without files: %+v, %v", got, err)
	}
	got, err = tree(t, map[string]string{
		"etc/aaau.conf":              "# ours\n group = people\nmax-sessions=5\n",
		"etc/aaau.conf.d/20-b.conf":  "max-sessions=7",
		"etc/aaau.conf.d/10-a.conf":  "max-sessions=6\nagent-users=a b\nmax-tapes=3G\nrecord-days=7\nrecord-max=infinity",
		"etc/aaau.conf.d/.hidden":    "nonsense",
		"etc/aaau.conf.d/README.txt": "nonsense",
	}).Load()
	if err != nil || got.Group != "people" || got.MaxSessions != 7 || !slices.Equal(got.AgentUsers, []string{"a", "b"}) || got.MaxTapes != 3<<30 || got.RecordAge != 7*24*time.Hour || got.RecordMax != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestLoadRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"group=a b":                    "aaau.conf:1: group: must be one word",
		"\ngroup":                      "aaau.conf:2: not of the form key=value",
		"colour=red":                   "aaau.conf:1: colour: unknown key",
		"max-sessions=0":               "not a number from 1",
		"max-sessions=1e3":             "not a number from 1",
		"agent-users=":                 "names nobody",
		"max-tapes=many":               `"many" is no size`,
		"max-tapes=0":                  `"0" is no size`,
		"record-max=0":                 `"0" is no size`,
		"record-days=0":                `"0" is no number of days`,
		"record-days=1M":               `"1M" is no number of days`,
		"record-days=40000":            `"40000" is no number of days`,
		"shell=bash":                   "not an absolute path",
		strings.Repeat("#\n", maxFile): "larger than",
	} {
		_, err := tree(t, map[string]string{"etc/aaau.conf": text}).Load()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
}

func TestProfile(t *testing.T) {
	d := tree(t, map[string]string{
		"usr/profiles.d/claude.conf":   "program=claude --skip 'two words'\n",
		"usr/profiles.d/shell.conf":    "any-program=yes",
		"etc/profiles.d/shell.conf":    "any-program=no\nuser=agent2",
		"etc/profiles.d/Bad-Name.conf": "",
	})
	p, err := d.Profile("claude")
	if err != nil || !slices.Equal(p.Program, []string{"claude", "--skip", "two words"}) {
		t.Errorf("claude: %+v, %v", p, err)
	}
	// The administrator's file replaces the vendor's whole.
	if p, err = d.Profile("shell"); err != nil || p.AnyProgram || p.User != "agent2" {
		t.Errorf("shell: %+v, %v", p, err)
	}
	for _, name := range []string{"nosuch", "", "../claude", "a-b", "Claude", strings.Repeat("x", 25)} {
		if _, err := d.Profile(name); !errors.Is(err, ErrNoProfile) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if names, err := d.Profiles(); err != nil || !slices.Equal(names, []string{"claude", "shell"}) {
		t.Errorf("%v, %v", names, err)
	}
}

func TestTape(t *testing.T) {
	page := int64(os.Getpagesize())
	for text, want := range map[string]int64{
		"":             4 << 20,
		"tape=1M":      1 << 20,
		"tape=1048576": 1 << 20,
		"tape=1048577": 1<<20 + page, // whole pages
		"tape=16M":     16 << 20,
		"tape=256M":    256 << 20,
	} {
		p, err := tree(t, map[string]string{"usr/profiles.d/x.conf": text}).Profile("x")
		if err != nil || p.Tape != want {
			t.Errorf("%q: %d, %v", text, p.Tape, err)
		}
	}
	for _, bad := range []string{"", "0", "-1", "infinity", "1023K", "257M", "1T", "16MB", "16 M", "x"} {
		_, err := tree(t, map[string]string{"usr/profiles.d/x.conf": "tape=" + bad}).Profile("x")
		if err == nil || !strings.Contains(err.Error(), "x.conf:1: tape: ") || !strings.Contains(err.Error(), "from 1M to 256M") {
			t.Errorf("tape=%s: %v", bad, err)
		}
	}
}

// The launcher acts on these files as root: one that somebody else could have
// written is an error and never passed over.
func TestOwnership(t *testing.T) {
	for name, spoil := range map[string]func(d Dirs) error{
		"file writable by others":      func(d Dirs) error { return os.Chmod(d.Admin+"/profiles.d/shell.conf", 0o646) },
		"directory writable by others": func(d Dirs) error { return os.Chmod(d.Admin+"/profiles.d", 0o777) },
		"file of another owner":        func(d Dirs) error { return os.Chown(d.Admin+"/profiles.d/shell.conf", 1234, -1) },
	} {
		d := tree(t, map[string]string{"etc/profiles.d/shell.conf": "", "usr/profiles.d/shell.conf": ""})
		if err := spoil(d); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Profile("shell"); err == nil || !strings.Contains(err.Error(), "must be owned by") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
