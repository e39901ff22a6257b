package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/kballard/go-shellquote"

	"github.com/AgentaaU/AaaU/pkg/suggest"
)

// keys are the settings that a kind of file may have, by their names.
type keys[T any] map[string]func(into *T, value string) error

func (k keys[T]) set(into *T, key, value string) error {
	set, ok := k[key]
	if ok {
		return set(into, value)
	}
	if near := suggest.Nearest(key, k.names()); near != "" {
		return fmt.Errorf("unknown key: did you mean %s=?", near)
	}
	return errors.New("unknown key")
}

func (k keys[T]) names() []string {
	names := make([]string, 0, len(k))
	for name := range k {
		names = append(names, name)
	}
	return names
}

// settings are those of aaau.conf. packaging/aaau.conf and the manual have each of them with
// its default.
var settings = keys[Config]{
	"group":       func(c *Config, v string) (err error) { c.Group, err = word(v); return err },
	"bridge-user": func(c *Config, v string) (err error) { c.BridgeUser, err = word(v); return err },
	"agent-users": func(c *Config, v string) error {
		if c.AgentUsers = strings.Fields(v); len(c.AgentUsers) == 0 {
			return errors.New("names nobody")
		}
		return nil
	},
	"root-groups": func(c *Config, v string) error { c.RootGroups = strings.Fields(v); return nil },
	"shell": func(c *Config, v string) error {
		if c.Shell = v; !filepath.IsAbs(v) {
			return errors.New("not an absolute path")
		}
		return nil
	},
	"hidden":                func(c *Config, v string) (err error) { c.Hidden, err = absolute(strings.Fields(v)); return err },
	"home-max":              func(c *Config, v string) (err error) { c.HomeMax, err = bytes(v); return err },
	"max-sessions":          func(c *Config, v string) (err error) { c.MaxSessions, err = count(v); return err },
	"max-sessions-per-user": func(c *Config, v string) (err error) { c.MaxSessionsPerUser, err = count(v); return err },
	"max-tapes":             func(c *Config, v string) (err error) { c.MaxTapes, err = bytes(v); return err },
	"record-reserve":        func(c *Config, v string) (err error) { c.RecordReserve, err = bytes(v); return err },
	"record-session-max":    func(c *Config, v string) (err error) { c.RecordSessionMax, err = bytes(v); return err },
	"record-session-rate":   func(c *Config, v string) (err error) { c.RecordSessionRate, err = bytes(v); return err },
	"record-days":           func(c *Config, v string) (err error) { c.RecordAge, err = days(v); return err },
	"record-max":            func(c *Config, v string) (err error) { c.RecordMax, err = bytes(v); return err },
}

// profileSettings are those of a profile.
var profileSettings = keys[Profile]{
	"description": func(p *Profile, v string) error { p.Description = v; return nil },
	"program":     func(p *Profile, v string) (err error) { p.Program, err = shellquote.Split(v); return err },
	"user":        func(p *Profile, v string) (err error) { p.User, err = word(v); return err },
	"any-program": func(p *Profile, v string) (err error) { p.AnyProgram, err = yesNo(v); return err },
	"workspace":   func(p *Profile, v string) (err error) { p.Workspace, err = yesNo(v); return err },
	"tools": func(p *Profile, v string) (err error) {
		p.Tools, err = yesNo(v)
		p.NoTools = !p.Tools
		return err
	},
	"env": func(p *Profile, v string) error { p.Env = append(p.Env, strings.Fields(v)...); return nil },
	"credential": func(p *Profile, v string) error {
		c, err := credential(v)
		p.Credentials = append(p.Credentials, c)
		return err
	},
	"watch":   func(p *Profile, v string) error { p.Watch = append(p.Watch, strings.Fields(v)...); return nil },
	"install": func(p *Profile, v string) error { p.Install = v; return nil },
	"login":   func(p *Profile, v string) error { p.Login = v; return nil },
	"tape":    func(p *Profile, v string) (err error) { p.Tape, err = tape(v); return err },
	"on-record-failure": func(p *Profile, v string) (err error) {
		p.OnRecordFailure, err = oneOf(v, Freeze, Kill, Continue)
		return err
	},
	"record-input": func(p *Profile, v string) error {
		v, err := oneOf(v, "full", "none")
		p.RecordInput = v != "none"
		return err
	},
}
