package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/suggest"
)

// Policy gathers what decisions about people are made from: the users and groups
// that the configuration names, and access.conf.
func (d Dirs) Policy(cfg Config) (auth.Policy, error) {
	g, err := user.LookupGroup(cfg.Group)
	if err != nil {
		return auth.Policy{}, fmt.Errorf("group %q does not exist: run aaau-server init", cfg.Group)
	}
	gid, err := strconv.ParseUint(g.Gid, 10, 32)
	if err != nil {
		return auth.Policy{}, err
	}
	auditors, err := auditors()
	if err != nil {
		return auth.Policy{}, err
	}
	agents, broken, err := d.agents(cfg)
	if err != nil {
		return auth.Policy{}, err
	}
	a, err := d.access()
	if err != nil {
		return auth.Policy{}, err
	}
	return auth.Policy{
		Group: uint32(gid), GroupName: cfg.Group, Auditors: auditors, AgentUIDs: agents,
		Rules: a.rules, Join: a.join, Unknown: a.unknown, Broken: broken,
	}, nil
}

// auditors is the number of AuditGroup; 0 where there is no such group.
func auditors() (uint32, error) {
	g, err := user.LookupGroup(AuditGroup)
	if errors.As(err, new(user.UnknownGroupError)) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("looking up group %s: %w", AuditGroup, err)
	}
	gid, err := strconv.ParseUint(g.Gid, 10, 32)
	return uint32(gid), err
}

// AgentUIDs are the uids of all agent users, of aaau.conf and of profiles.
func (d Dirs) AgentUIDs(cfg Config) ([]uint32, error) {
	uids, _, err := d.agents(cfg)
	return uids, err
}

// agents returns the uids of all agent users, and for each profile that has a mistake in it
// which one.
//
// A profile with a mistake starts nothing, but sessions of it may go on, and so its agent
// has to be known still: it must not come in (pkg/auth), and its locks must be made again
// (pkg/launcher). Its user= line is therefore looked for in whatever the file says
// (userIn). Where that finds nobody, two things hold without it: an agent is no member of
// the access group (the launcher starts no session as one that is), so that it is refused
// as a stranger; and a lock that cannot be made again leaves its session frozen.
func (d Dirs) agents(cfg Config) (uids []uint32, broken []error, err error) {
	names := slices.Clone(cfg.AgentUsers)
	profiles, err := d.Profiles()
	if err != nil {
		return nil, nil, err
	}
	for _, n := range profiles {
		profile, err := d.Profile(n)
		switch {
		case errors.Is(err, ErrNoProfile): // removed just now
		case err != nil:
			broken = append(broken, fmt.Errorf("profile %s: %w", n, err))
			names = append(names, d.userIn(n)...)
		case profile.User != "":
			names = append(names, profile.User)
		}
	}
	for _, n := range names {
		u, err := user.Lookup(n)
		if err != nil {
			continue // nobody has its uid; starting as it is refused later, by name
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, nil, err
		}
		uids = append(uids, uint32(uid))
	}
	return uids, broken, nil
}

// maxGuesses bounds how many names userIn finds in a file.
const maxGuesses = 16

// userIn returns the names that a profile with mistakes may mean with user=, also where
// that key is misspelt ("usr=", "User: "). It never names root: no session runs as root
// (pkg/launcher), and who could mend the file must not be locked out by it.
func (d Dirs) userIn(profile string) (names []string) {
	for _, dir := range d.all() {
		text, err := readAtMost(filepath.Join(dir, "profiles.d", profile+".conf"), maxFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		for line := range strings.Lines(text) {
			words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune("=: \t\r\n,;\"'", r) })
			if len(words) < 2 || words[0][0] == '#' || suggest.Distance(strings.ToLower(words[0]), "user") > 1 {
				continue
			}
			for _, n := range words[1:] {
				if n != "root" && len(names) < maxGuesses {
					names = append(names, n)
				}
			}
		}
		return names // this file, broken as it is, stands for all others of its name
	}
	return nil
}

// readAtMost returns the beginning of a file, whoever may write it.
func readAtMost(name string, most int64) (string, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may be a pipe
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most))
	return string(text), err
}
