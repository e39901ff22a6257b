// Package config reads AaaU's configuration: aaau.conf, access.conf and the profiles.
//
// What can be said in a unit file is said there (limits, for one); these files
// hold the rest. Each setting is one line, `key=value`; `#` starts a comment
// line. The vendor's directory is read first; the administrator's, file by
// file, overrides it:
//
//	/usr/lib/aaau/profiles.d/NAME.conf     /etc/aaau/profiles.d/NAME.conf    same name: the latter alone
//	(or /usr/local/lib/aaau)
//	                                       /etc/aaau/aaau.conf
//	                                       /etc/aaau/aaau.conf.d/*.conf      in order of name, the last word wins
//	/usr/lib/aaau/access.conf              /etc/aaau/access.conf             all of them, the last rule that fits wins
//	                                       /etc/aaau/access.conf.d/*.conf
//
// The launcher decides from these files as root, so every one of them, and its
// directory, must be root's and writable by nobody else; anything else is an
// error, never a fall-back.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Dirs are the places, and who must own what is in them.
type Dirs struct {
	Admin  string
	Vendor []string // the first that has a file wins
	Owner  uint32

	// mistake, where it is set, is told of every mistake in a file, and reading continues.
	// Without it the first mistake is the error that reading returns.
	mistake func(error)
}

// System is where an installed AaaU has its configuration.
var System = Dirs{Admin: "/etc/aaau", Vendor: []string{"/usr/local/lib/aaau", "/usr/lib/aaau"}, Owner: 0}

// all lists the directories, the strongest first.
func (d Dirs) all() []string { return append([]string{d.Admin}, d.Vendor...) }

// AuditGroup is whose members read the record, and are Auditors at the bridge. No agent's user may be one.
const AuditGroup = "aaau-audit"

// StageUser is the user whose uid the first process of a session has beside the agent's. It
// owns no file and runs nothing else.
const StageUser = "aaau-stage"

// Config is aaau.conf.
type Config struct {
	Group              string        // group=: who may connect
	BridgeUser         string        // bridge-user=: whom the launcher obeys
	AgentUsers         []string      // agent-users=: whom sessions may run as; the first by default
	RootGroups         []string      // root-groups=: groups in which no agent user may be
	Shell              string        // shell=: an agent's SHELL and default program
	Hidden             []string      // hidden=: directories of people's, which sessions see empty
	HomeMax            int64         // home-max=: bytes of each of an agent user's homes; 0: no limit
	MaxSessions        int           // max-sessions=: in total
	MaxSessionsPerUser int           // max-sessions-per-user=
	RecordReserve      int64         // record-reserve=: bytes of the record's disk that sessions leave free
	RecordSessionMax   int64         // record-session-max=: bytes of a session's output; 0: no limit
	RecordSessionRate  int64         // record-session-rate=: bytes a second of a session's output; 0: no limit
	MaxTapes           int64         // max-tapes=: bytes of all sessions' tapes together; 0: no limit
	RecordAge          time.Duration // record-days=: how old the record gets, in whole days; 0: no limit
	RecordMax          int64         // record-max=: bytes of all of it; 0: no limit
}

// Profile is one way to run an agent.
type Profile struct {
	Name        string
	Description string   // description=
	Program     []string // program=: split as a shell splits; empty: the shell
	User        string   // user=: an agent user; empty: the first one
	AnyProgram  bool     // any-program=: whether the client may name another

	Workspace   bool         // workspace=: the client's current directory is its workspace
	Tools       bool         // tools=yes: it sees the person's tools, also without a workspace
	NoTools     bool         // tools=no: it never does; else it does with a workspace
	Env         []string     // env=: variables that the client may pass on by name
	Credentials []Credential // credential=NAME VARIABLE, repeatable
	Watch       []string     // watch=: names of files whose change the person is told
	Install     string       // install=: a shell command that puts the program into the home
	Login       string       // login=: one that signs it in
	// OnRecordFailure is what becomes of a session while its record cannot be written:
	// on-record-failure=freeze, kill or continue.
	OnRecordFailure string
	RecordInput     bool  // record-input=full or none: whether what is typed is recorded, or its length
	Tape            int64 // tape=: bytes of output that are kept, and of errors where there are pipes; whole pages
}

// TakesTools says whether a session sees the person's tools. Shared says whether it has any
// other directory of theirs.
func (p Profile) TakesTools(shared bool) bool { return p.Tools || shared && !p.NoTools }

// Credential is one of the launcher's (systemd.exec(5), LoadCredential=), which
// sessions get as a variable.
type Credential struct{ Name, Variable string }

// What OnRecordFailure can be.
const (
	Freeze   = "freeze"
	Kill     = "kill"
	Continue = "continue"
)

// DefaultProfile is the profile of a session that names none.
const DefaultProfile = "shell"

// isProfileName says whether a profile may be called so: a letter and up to 23
// letters, digits and underscores. It becomes part of the names of units, where
// a dash would nest slices. (No regexp: every session's stage is this program too,
// and would compile it.)
func isProfileName(name string) bool {
	return len(name) > 0 && len(name) <= 24 && name[0] >= 'a' && name[0] <= 'z' &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// ErrNoProfile is returned for a profile that is in neither directory.
var ErrNoProfile = errors.New("no such profile")

// Defaults is the configuration where no file says otherwise.
func Defaults() Config {
	return Config{
		Group:              "aaau",
		BridgeUser:         "aaau-bridge",
		AgentUsers:         []string{"agent"},
		RootGroups:         slices.Clone(rootGroups),
		Shell:              "/bin/bash",
		Hidden:             []string{"/home", "/root"},
		HomeMax:            20 << 30,
		MaxSessions:        1000,
		MaxSessionsPerUser: 100,
		RecordReserve:      256 << 20,
		RecordSessionMax:   2 << 30,
		MaxTapes:           memory() / 4,
		RecordAge:          30 * day,
		RecordMax:          10 << 30,
	}
}

// Load reads aaau.conf and its drop-ins.
func (d Dirs) Load() (Config, error) {
	c := Defaults()
	files := []string{filepath.Join(d.Admin, "aaau.conf")}
	dropins, err := d.list(filepath.Join(d.Admin, "aaau.conf.d"))
	if err != nil {
		return Config{}, err
	}
	for _, f := range append(files, dropins...) {
		err := d.parse(f, func(key, value string) error { return settings.set(&c, key, value) })
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Config{}, err
		}
	}
	return c, nil
}

// Profile reads one profile; ErrNoProfile if there is none of that name.
func (d Dirs) Profile(name string) (Profile, error) {
	if !isProfileName(name) {
		return Profile{}, fmt.Errorf("%q: %w", name, ErrNoProfile)
	}
	for _, dir := range d.all() {
		p := Profile{Name: name, Tape: defaultTape, OnRecordFailure: Freeze, RecordInput: true}
		err := d.parse(filepath.Join(dir, "profiles.d", name+".conf"), func(key, value string) error {
			return profileSettings.set(&p, key, value)
		})
		if !errors.Is(err, fs.ErrNotExist) {
			return p, err
		}
	}
	return Profile{}, fmt.Errorf("%q: %w", name, ErrNoProfile)
}

// Profiles lists the names of all profiles, sorted.
func (d Dirs) Profiles() ([]string, error) {
	seen := map[string]bool{}
	for _, dir := range d.all() {
		files, err := d.list(filepath.Join(dir, "profiles.d"))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if name := strings.TrimSuffix(filepath.Base(f), ".conf"); isProfileName(name) {
				seen[name] = true
			}
		}
	}
	names := make([]string, 0, len(seen))
	for n := range seen {
		names = append(names, n)
	}
	sort.Strings(names)
	return names, nil
}

// list returns the *.conf files of a directory, sorted; none if it is missing.
func (d Dirs) list(dir string) ([]string, error) {
	err := d.owned(dir) // who may write there may take files away
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, d.told(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, d.told(err)
	}
	var files []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".conf") && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, nil
}

// told returns an error that ends reading, or tells mistake of it and returns nil. A file
// that is missing is no mistake.
func (d Dirs) told(err error) error {
	if d.mistake == nil || err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d.mistake(err)
	return nil
}

// maxFile bounds a configuration file, in bytes.
const maxFile = 64 << 10

// parse hands each setting of a file to set, and puts file and line on what set
// complains about.
func (d Dirs) parse(name string, set func(key, value string) error) error {
	text, err := d.read(name)
	if err != nil {
		return d.told(err)
	}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		err := error(nil)
		if !ok {
			err = fmt.Errorf("%s:%d: not of the form key=value", name, i+1)
		} else if wrong := set(key, value); wrong != nil {
			err = fmt.Errorf("%s:%d: %s: %w", name, i+1, key, wrong)
		}
		if err := d.told(err); err != nil {
			return err
		}
	}
	return nil
}

// read returns the text of a file that is the owner's alone to write.
func (d Dirs) read(name string) (string, error) {
	if err := d.owned(filepath.Dir(name)); err != nil {
		return "", err
	}
	if err := d.owned(name); err != nil {
		return "", err
	}
	text, err := os.ReadFile(name)
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s: larger than %d bytes", name, maxFile)
	}
	return string(text), err
}

// owned refuses what somebody other than the owner could have written, and a link to
// nothing, which is not a file that nobody wrote.
func (d Dirs) owned(name string) error {
	fi, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		if _, missing := os.Lstat(name); missing == nil {
			return fmt.Errorf("%s: a link to nothing", name)
		}
	}
	if err != nil {
		return err
	}
	if st := fi.Sys().(*syscall.Stat_t); st.Uid != d.Owner || st.Mode&0o022 != 0 {
		return fmt.Errorf("%s: owned by uid %d with mode %04o: must be owned by uid %d and writable by no one else",
			name, st.Uid, st.Mode&0o7777, d.Owner)
	}
	return nil
}

func word(s string) (string, error) {
	if f := strings.Fields(s); len(f) != 1 {
		return "", errors.New("must be one word")
	}
	return s, nil
}

func count(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 100000 {
		return 0, fmt.Errorf("%q is not a number from 1 to 100000", s)
	}
	return n, nil
}

func yesNo(s string) (bool, error) {
	switch s {
	case "yes", "true", "on", "1":
		return true, nil
	case "no", "false", "off", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither yes nor no", s)
}

func absolute(dirs []string) ([]string, error) {
	for _, d := range dirs {
		if !filepath.IsAbs(d) || filepath.Clean(d) == "/" {
			return nil, fmt.Errorf("%q is not an absolute path below /", d)
		}
	}
	return dirs, nil
}

// bytes reads a size as systemd writes it: 20G, or infinity.
func bytes(s string) (int64, error) {
	if s == "infinity" {
		return 0, nil
	}
	digits := strings.TrimRight(s, "KMGT")
	n, err := strconv.ParseInt(digits, 10, 64)
	shift := map[string]uint{"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
	by, ok := shift[s[len(digits):]]
	if err != nil || !ok || n < 1 || n > 1<<62>>by {
		return 0, fmt.Errorf("%q is no size: 500M, 20G or infinity", s)
	}
	return n << by, nil
}

const day = 24 * time.Hour

// days reads a number of days, or infinity.
func days(s string) (time.Duration, error) {
	if s == "infinity" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 36500 {
		return 0, fmt.Errorf("%q is no number of days from 1 to 36500, nor infinity", s)
	}
	return time.Duration(n) * day, nil
}

// The size of a profile's tape, in bytes: where it says none, and the bounds. Less than
// the least could not hold a large screen's redrawings; the most is what one session may
// take of the machine's memory.
const (
	defaultTape = 4 << 20
	minTape     = 1 << 20
	maxTape     = 256 << 20
)

// tape reads the size of a tape, which is made one of whole pages.
func tape(s string) (int64, error) {
	n, err := bytes(s)
	if err != nil || n < minTape || n > maxTape {
		return 0, fmt.Errorf("%q is no size from 1M to 256M", s)
	}
	page := int64(os.Getpagesize())
	return (n + page - 1) / page * page, nil
}

// memory is how much the machine has, in bytes.
func memory() int64 {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil { // it cannot fail (sysinfo(2))
		return 4 << 30
	}
	return int64(uint64(info.Totalram) * uint64(info.Unit))
}

func credential(s string) (Credential, error) {
	f := strings.Fields(s)
	if len(f) != 2 || strings.ContainsAny(f[0], "/=") || strings.HasPrefix(f[0], ".") || strings.ContainsAny(f[1], "/=") {
		return Credential{}, errors.New("must be a credential's name and a variable's")
	}
	return Credential{Name: f[0], Variable: f[1]}, nil
}

// oneOf reads a word of a few.
func oneOf(s string, words ...string) (string, error) {
	if !slices.Contains(words, s) {
		return "", fmt.Errorf("must be %s", strings.Join(words, ", "))
	}
	return s, nil
}
