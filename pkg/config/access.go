package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/AgentaaU/AaaU/pkg/auth"
)

// maxRules bounds access.conf: all rules are gone through for every connection.
const maxRules = 1000

// access is access.conf.
type access struct {
	rules   []auth.Rule
	join    auth.Join
	unknown []string // who is denied, and is not there
}

// access reads the vendor's access.conf, the administrator's, and its drop-ins, in
// this order: of the rules that fit somebody the last decides.
func (d Dirs) access() (access, error) {
	var a access
	read := func(file string) error {
		return d.parse(file, func(key, value string) (err error) {
			switch key {
			case "user", "group":
				err = a.add(key, value)
			case "join":
				a.join, err = join(value)
			default:
				err = errors.New("unknown key")
			}
			return err
		})
	}
	for _, dir := range d.Vendor {
		err := read(filepath.Join(dir, "access.conf"))
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return access{}, err
		}
	}
	if err := read(filepath.Join(d.Admin, "access.conf")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return access{}, err
	}
	dropins, err := d.list(filepath.Join(d.Admin, "access.conf.d"))
	if err != nil {
		return access{}, err
	}
	for _, f := range dropins {
		if err := read(f); err != nil { // one that has gone, too: it may have denied something
			return access{}, err
		}
	}
	return a, nil
}

// add adds the rule of a line, key=NAME ROLE [PROFILE].
func (a *access) add(key, value string) error {
	f := strings.Fields(value)
	if len(f) != 2 && len(f) != 3 {
		return errors.New("must be a name, a role and perhaps a profile")
	}
	r := auth.Rule{Group: key == "group"}
	var err error
	if r.Role, err = role(f[1]); err != nil {
		return err
	}
	if len(f) == 3 {
		if r.Profile = f[2]; !isProfileName(r.Profile) {
			return fmt.Errorf("%q cannot be a profile's name", f[2])
		}
	}
	if len(a.rules) == maxRules {
		return fmt.Errorf("more than %d rules", maxRules)
	}
	r.ID, err = id(f[0], r.Group)
	var (
		noUser  user.UnknownUserError
		noGroup user.UnknownGroupError
	)
	switch {
	case errors.As(err, &noUser), errors.As(err, &noGroup):
		if r.Role == auth.None { // who was denied, and has gone since, is no mistake
			a.unknown = append(a.unknown, fmt.Sprintf("%s %q", key, f[0]))
			return nil
		}
		// Passed over, a rule that lowers somebody would leave them what they had.
		return fmt.Errorf("there is no %s %q here: only /etc/passwd and /etc/group are asked, for others give the number", key, f[0])
	case err != nil: // not wrapped: a user database that is missing is no missing access.conf
		return fmt.Errorf("looking up %s %q: %v", key, f[0], err)
	}
	a.rules = append(a.rules, r)
	return nil
}

// id is a user's or group's number, which may be given as such.
func id(name string, group bool) (uint32, error) {
	if strings.Trim(name, "0123456789") == "" {
		n, err := strconv.ParseUint(name, 10, 32)
		if err != nil {
			return 0, fmt.Errorf("%q is too large for an id", name)
		}
		return uint32(n), nil
	}
	text := ""
	if group {
		g, err := user.LookupGroup(name)
		if err != nil {
			return 0, err
		}
		text = g.Gid
	} else {
		u, err := user.Lookup(name)
		if err != nil {
			return 0, err
		}
		text = u.Uid
	}
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err
}

func role(s string) (auth.Role, error) {
	for _, r := range []auth.Role{auth.ReadOnly, auth.Auditor, auth.Interactive, auth.Admin} {
		if strings.EqualFold(s, r.String()) {
			return r, nil
		}
	}
	if strings.EqualFold(s, "deny") {
		return auth.None, nil
	}
	return auth.None, fmt.Errorf("%q is none of ReadOnly, Auditor, Interactive, Admin and deny", s)
}

func join(s string) (auth.Join, error) {
	switch s {
	case "any":
		return auth.JoinAny, nil
	case "read-only-for-others":
		return auth.JoinReadOnly, nil
	case "owner-only":
		return auth.JoinOwner, nil
	}
	return auth.JoinAny, fmt.Errorf("%q is none of any, read-only-for-others and owner-only", s)
}
