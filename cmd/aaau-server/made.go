package main

import (
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"

	"github.com/AgentaaU/AaaU/pkg/anchor"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/scope"
)

// state is which of the accounts and directories of a setup there are, as init calls them.
type state []string

// present looks what there is.
func (s setup) present() (there state) {
	for _, name := range []string{s.group, config.AuditGroup} {
		if _, err := user.LookupGroup(name); err == nil {
			there = append(there, "group "+name)
		}
	}
	for _, name := range []string{config.Defaults().BridgeUser, config.StageUser, s.user} {
		if _, err := user.Lookup(name); err == nil {
			there = append(there, "user "+name)
		}
	}
	for _, dir := range []string{s.logDir, s.home, anchor.Dir} {
		if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
			there = append(there, "directory "+dir)
		}
	}
	return there
}

// made says what there is now and was not before, a line each.
func (now state) made(before state) (text string) {
	for _, what := range now {
		if !slices.Contains(before, what) {
			text += "Made " + what + "\n"
		}
	}
	return text
}

// unlimited says that sessions are not held to limits, where the kernel lacks what does so.
func unlimited(missing []string) string {
	if len(missing) == 0 {
		return ""
	}
	return fmt.Sprintf("Warning: this kernel has no controller for %s (/sys/fs/cgroup/cgroup.controllers): sessions are not held to these limits.\n",
		strings.Join(missing, " and "))
}

// report is what init has made, of what was there before, and what it could not.
func (s setup) report(before state) string {
	return s.present().made(before) + unlimited(scope.MissingHere())
}
