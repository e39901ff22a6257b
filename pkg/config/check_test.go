package config

import (
	"errors"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// says lists errors, a line each, without the directory that the test made.
func says(d Dirs, errs []error) string {
	text := ""
	for _, err := range errs {
		text += strings.ReplaceAll(err.Error(), strings.TrimSuffix(d.Admin, "etc"), "") + "\n"
	}
	return text
}

// Check tells all mistakes of all files at once, each with its file, line and reason.
func TestCheckTellsAll(t *testing.T) {
	root, err := user.LookupId("0")
	if err != nil {
		t.Fatal(err)
	}
	right := "group=root\nbridge-user=" + root.Username + "\nroot-groups=\nagent-users=" + root.Username + "\n"
	d := tree(t, map[string]string{
		"etc/aaau.conf":               right + "max-sesions=5\nshell=bash\nnonsense",
		"etc/aaau.conf.d/1.conf":      "record-days=x",
		"etc/access.conf":             "user=0 Admin\nuser=no-such Admin\njoin=all\nuser=no-such deny",
		"etc/access.conf.d/1.conf":    "colour=red",
		"etc/profiles.d/other.conf":   "tols=yes\nuser=no-such-user\ntape=1K",
		"etc/profiles.d/Bad-One.conf": "",
		"usr/profiles.d/other.conf":   "never read, as the other stands for it",
		"usr/profiles.d/shell.conf":   "any-program=yes",
	})
	mistakes, notes := d.Check()
	want := `etc/aaau.conf:5: max-sesions: unknown key: did you mean max-sessions=?
etc/aaau.conf:6: shell: not an absolute path
etc/aaau.conf:7: not of the form key=value
etc/aaau.conf.d/1.conf:1: record-days: "x" is no number of days from 1 to 36500, nor infinity
etc/access.conf:2: user: there is no user "no-such" here: only /etc/passwd and /etc/group are asked, for others give the number
etc/access.conf:3: join: "all" is none of any, read-only-for-others and owner-only
etc/access.conf.d/1.conf:1: colour: unknown key
etc/profiles.d/other.conf:1: tols: unknown key: did you mean tools=?
etc/profiles.d/other.conf:3: tape: "1K" is no size from 1M to 256M
etc/profiles.d/Bad-One.conf: "Bad-One" cannot be a profile's name (a small letter, then up to 23 small letters, digits and _), so the file is never read
`
	if got := says(d, mistakes); got != want {
		t.Errorf("%s\nwanted\n%s", got, want)
	}
	if text := strings.Join(notes, "\n"); len(notes) != 2 || !strings.Contains(text, `denies user "no-such"`) || !strings.Contains(text, "profile other: user=no-such-user: there is no such user") {
		t.Errorf("notes: %q", notes)
	}
	// What is said is what reading without a check says first.
	if _, err := d.Load(); err == nil || !strings.Contains(err.Error(), "aaau.conf:5: max-sesions") {
		t.Errorf("%v", err)
	}

	d = tree(t, map[string]string{"etc/aaau.conf": right, "usr/profiles.d/shell.conf": "any-program=yes"})
	if mistakes, notes := d.Check(); len(mistakes)+len(notes) != 0 {
		t.Errorf("of right files: %v, %q", mistakes, notes)
	}
	d = tree(t, map[string]string{"etc/aaau.conf": "group=no-such-group\nbridge-user=no-such-user"})
	if text := says(d, first(d.Check())); !strings.Contains(text, "group=no-such-group: there is no such group") || !strings.Contains(text, "bridge-user=no-such-user: there is no such user") {
		t.Errorf("%s", text)
	}
	d = tree(t, map[string]string{"etc/aaau.conf": right + strings.Repeat("x\n", 2*maxMistakes)})
	if mistakes, _ := d.Check(); len(mistakes) != maxMistakes {
		t.Errorf("%d mistakes", len(mistakes))
	}
	d = tree(t, map[string]string{"etc/aaau.conf": right, "etc/profiles.d/shell.conf": ""})
	if err := os.Chmod(d.Admin+"/profiles.d", 0o777); err != nil {
		t.Fatal(err)
	}
	if text := says(d, first(d.Check())); !strings.Contains(text, "etc/profiles.d: owned by uid") {
		t.Errorf("%s", text)
	}
}

func first(mistakes []error, _ []string) []error { return mistakes }

// A mistake in one profile is that profile's alone; its agent is still known as one, also
// where the mistake is in the line that names it.
func TestBrokenProfile(t *testing.T) {
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	for text, known := range map[string]bool{
		"user=nobody\ntols=yes":              true,
		"tols=yes\n  user = nobody  ":        true,
		"usr=nobody":                         true,
		"users=nobody":                       true,
		"User: nobody":                       true,
		"uesr=nobody":                        true,
		"user nobody":                        true,
		"user=\"nobody\"\nnot a line":        true,
		"user=nobody root":                   true,
		"colour=nobody":                      false,
		"tols=yes\n#user=nobody":             false,
		"description=for nobody\ncolour=red": false,
		strings.Repeat("#\n", maxFile):       false,
		"user=root\ncolour=red":              false,
	} {
		d := tree(t, map[string]string{"etc/profiles.d/other.conf": text, "usr/profiles.d/shell.conf": "any-program=yes", "usr/profiles.d/other.conf": "user=nobody"})
		cfg := Defaults()
		cfg.Group, cfg.AgentUsers = "root", []string{"no-such"}
		p, err := d.Policy(cfg)
		if err != nil || len(p.Broken) != 1 || !strings.Contains(p.Broken[0].Error(), "profile other: "+d.Admin+"/profiles.d/other.conf:") {
			t.Errorf("%q: %v, %v", text, p.Broken, err)
		}
		if is := slices.ContainsFunc(p.AgentUIDs, func(uid uint32) bool { return nobody.Uid == itoa(uid) }); is != known || slices.Contains(p.AgentUIDs, 0) {
			t.Errorf("%.40q: agents are %v", text, p.AgentUIDs)
		}
		if _, err := d.Profile("other"); err == nil || errors.Is(err, ErrNoProfile) {
			t.Errorf("%.40q: the profile is taken: %v", text, err)
		}
		if _, err := d.Profile("shell"); err != nil {
			t.Errorf("%.40q: another profile is refused: %v", text, err)
		}
	}
}

// One that cannot be read, or could be anybody's, is refused by itself too.
func TestUnreadableProfile(t *testing.T) {
	for name, spoil := range map[string]func(file string) error{
		"writable by others": func(file string) error { return os.Chmod(file, 0o646) },
		"a link to nothing":  func(file string) error { return errors.Join(os.Remove(file), os.Symlink("nothing", file)) },
		"a directory":        func(file string) error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o755)) },
	} {
		d := tree(t, map[string]string{"etc/profiles.d/other.conf": "user=nobody", "etc/profiles.d/shell.conf": ""})
		if err := spoil(d.Admin + "/profiles.d/other.conf"); err != nil {
			t.Fatal(err)
		}
		cfg := Defaults()
		cfg.Group = "root"
		p, err := d.Policy(cfg)
		if err != nil || len(p.Broken) != 1 || !strings.Contains(p.Broken[0].Error(), "other.conf") {
			t.Errorf("%s: %v, %v", name, p.Broken, err)
		}
	}
}

func itoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// An agent's user who is root in effect is noted with the command that mends it.
func TestCheckKnowsRootGroups(t *testing.T) {
	d := tree(t, map[string]string{"etc/aaau.conf": "group=root\nbridge-user=root\nroot-groups=root\nagent-users=root\n"})
	_, notes := d.Check()
	if text := strings.Join(notes, "\n"); !strings.Contains(text, "agent-users=root: the user is in group root, with which it is root in effect (root-groups=), so no session can run as it: sudo usermod -g root root") {
		t.Errorf("notes: %q", notes)
	}
}
