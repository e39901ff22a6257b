package gitcopy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// patience bounds how long git may take to read a file of configuration.
const patience = 10 * time.Second

// config copies the repository's configuration without its secrets, and names those.
func (p *packer) config(ctx context.Context) (notes []string, err error) {
	name := p.where("config")
	text, _, err := read(name, p.room)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	settings, err := list(ctx, name)
	if err != nil {
		return nil, err
	}
	var secret []string
	var kept strings.Builder
	for _, s := range settings {
		if hidden, is := withoutSecret(s); is {
			secret = append(secret, s.name())
			s = hidden
		}
		if s.key != "" {
			kept.WriteString(s.line())
		}
	}
	if len(secret) == 0 { // then with its comments
		return nil, p.text("config", string(text))
	}
	slices.Sort(secret)
	notes = []string{fmt.Sprintf("git's configuration has secrets that the session does not see: %s", strings.Join(slices.Compact(secret), ", "))}
	return notes, p.text("config", kept.String())
}

// A setting is one value of git's configuration.
type setting struct {
	section, subsection, key string
	value                    string
	bare                     bool // a key without "=", which is true
}

// list reads a file of configuration by git, without what it includes.
func list(ctx context.Context, file string) (settings []setting, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", "config", "--file", file, "--no-includes", "--null", "--list")
	cmd.Dir = "/"
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GIT_") })
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git cannot read %s: %w", filepath.Clean(file), err)
	}
	for item := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if item == "" {
			continue
		}
		name, value, has := strings.Cut(item, "\n")
		s := setting{value: value, bare: !has}
		first, last := strings.IndexByte(name, '.'), strings.LastIndexByte(name, '.')
		s.section, s.key = name[:first], name[last+1:]
		if last > first {
			s.subsection = name[first+1 : last]
		}
		settings = append(settings, s)
	}
	return settings, nil
}

// name is a setting's, without a secret that stands in the middle of it.
func (s setting) name() string {
	if s.subsection == "" {
		return s.section + "." + s.key
	}
	sub, _ := withoutPassword(s.subsection)
	return s.section + "." + sub + "." + s.key
}

// line is the setting as a file of configuration has it.
func (s setting) line() string {
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\b", `\b`)
	head := "[" + s.section + "]\n"
	if s.subsection != "" {
		head = "[" + s.section + ` "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s.subsection) + "\"]\n"
	}
	if s.bare {
		return head + "\t" + s.key + "\n"
	}
	return head + "\t" + s.key + " = \"" + quote.Replace(s.value) + "\"\n"
}

// withoutSecret is a setting without what would let its reader in somewhere, and whether there was
// such a thing. All of it is left out where it is nothing else.
func withoutSecret(s setting) (setting, bool) {
	secretKeys := []string{"extraheader", "cookiefile", "sslkey", "sslcert", "proxysslkey", "password", "pass", "smtppass", "token", "apikey", "secret"}
	if s.section == "credential" || slices.Contains(secretKeys, s.key) {
		return setting{}, true
	}
	if _, is := withoutPassword(s.subsection); is {
		return setting{}, true
	}
	value, is := withoutPassword(s.value)
	s.value = value
	return s, is
}

// withoutPassword takes the user and the password out of an address that has them. A user alone
// stays where it is no more than a name, as in ssh://git@host.
func withoutPassword(address string) (string, bool) {
	u, err := url.Parse(address)
	if err != nil || u.User == nil || u.Host == "" {
		return address, false
	}
	_, password := u.User.Password()
	if web := u.Scheme == "http" || u.Scheme == "https"; !password && !web {
		return address, false
	}
	u.User = nil
	return u.String(), true
}
