package config

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
)

// maxMistakes bounds how many mistakes Check tells.
const maxMistakes = 200

// Check reads all files and returns every mistake in them, in the order of reading, and
// notes about what is allowed and may still be a slip. A mistake is what the bridge or the
// launcher would refuse to start with, or a profile that would be refused.
func (d Dirs) Check() (mistakes []error, notes []string) {
	d.mistake = func(err error) {
		if len(mistakes) < maxMistakes {
			mistakes = append(mistakes, err)
		}
	}
	cfg, err := d.Load()
	if err != nil {
		d.mistake(err)
	}
	a, err := d.access()
	if err != nil {
		d.mistake(err)
	}
	for _, who := range a.unknown {
		notes = append(notes, fmt.Sprintf("access.conf denies %s, which neither /etc/passwd nor /etc/group knows: give the number to deny anybody else", who))
	}
	if _, err := user.LookupGroup(cfg.Group); err != nil {
		d.mistake(fmt.Errorf("group=%s: there is no such group: sudo aaau-server init -g %s makes it", cfg.Group, cfg.Group))
	}
	if _, err := user.Lookup(cfg.BridgeUser); err != nil {
		d.mistake(fmt.Errorf("bridge-user=%s: there is no such user: sudo aaau-server init", cfg.BridgeUser))
	}
	notes = append(notes, cfg.unfit("agent-users=", cfg.AgentUsers)...)
	return mistakes, append(notes, d.checkProfiles(cfg)...)
}

// checkProfiles tells d.mistake of what is wrong in profiles, and returns notes.
func (d Dirs) checkProfiles(cfg Config) (notes []string) {
	names, err := d.Profiles()
	if err != nil {
		d.mistake(err)
	}
	for _, name := range names {
		p, err := d.Profile(name)
		if err != nil {
			d.mistake(err)
		}
		if p.User != "" {
			notes = append(notes, cfg.unfit("profile "+name+": user=", []string{p.User})...)
		}
	}
	for _, dir := range d.all() {
		entries, err := os.ReadDir(filepath.Join(dir, "profiles.d"))
		if err != nil {
			continue // Profiles has told it, or there is no such directory
		}
		for _, e := range entries {
			base, isConf := strings.CutSuffix(e.Name(), ".conf")
			if isConf && !strings.HasPrefix(base, ".") && !isProfileName(base) {
				d.mistake(fmt.Errorf("%s: %q cannot be a profile's name (a small letter, then up to 23 small letters, digits and _), so the file is never read",
					filepath.Join(dir, "profiles.d", e.Name()), base))
			}
		}
	}
	return notes
}

// unfit returns a note for each user as whom no session can run: it does not exist, or a group of
// root-groups= has it.
func (c Config) unfit(what string, users []string) (notes []string) {
	for _, name := range users {
		u, err := user.Lookup(name)
		if err != nil {
			notes = append(notes, fmt.Sprintf("%s%s: there is no such user, so no session can run as it: sudo aaau-server init -u %s makes it", what, name, name))
			continue
		}
		groups, err := GroupsOf(u)
		var group string
		var gid uint32
		if err == nil {
			group, gid, err = c.RootGroup(groups)
		}
		switch {
		case err != nil:
			notes = append(notes, fmt.Sprintf("%s%s: %v", what, name, err))
		case group != "":
			notes = append(notes, fmt.Sprintf("%s%s: the user is in group %s, with which it is root in effect (root-groups=), so no session can run as it: %s",
				what, name, group, LeaveGroup(name, group, gid == groups[0])))
		}
	}
	return notes
}
