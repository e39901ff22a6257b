package main

import (
	"context"
	"os"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/bridge"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/journal"
)

// configured is what the files say, but for the group that the command line gives, if
// it does.
func configured(dirs config.Dirs, group string) (config.Config, auth.Policy, error) {
	cfg, err := dirs.Load()
	if err != nil {
		return config.Config{}, auth.Policy{}, err
	}
	if group != "" {
		cfg.Group = group
	}
	policy, err := dirs.Policy(cfg)
	return cfg, policy, err
}

// reloadAtSignal reads the configuration anew at each signal until ctx ends.
func reloadAtSignal(ctx context.Context, b *bridge.Bridge, signals <-chan os.Signal, group string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			reload(b, group)
		}
	}
}

// reload has the bridge go by the files as they are now. What it cannot take over
// whole it does not take over at all.
func reload(b *bridge.Bridge, group string) {
	cfg, policy, err := configured(b.Config, group)
	if err != nil {
		b.Log.Tell(journal.NotReloaded, journal.About{}, "not reloaded, all is as it was: %v", err)
		return
	}
	b.Reload(policy)
	b.SetMax(cfg.MaxSessions, cfg.MaxSessionsPerUser, cfg.MaxTapes)
	b.SetRetain(audit.Retain{Age: cfg.RecordAge, Bytes: cfg.RecordMax})
	b.Log.Tell(journal.Reload, journal.About{}, "reloaded")
	tellDoubts(b, policy)
}

// tellDoubts journals what the bridge goes by that may not be what was meant: rules that
// look as if they kept somebody out, and profiles that are refused.
func tellDoubts(b *bridge.Bridge, policy auth.Policy) {
	for _, who := range policy.Unknown {
		b.Log.Tell(journal.UnknownDenied, journal.About{}, "access.conf denies %s, whom neither /etc/passwd nor /etc/group knows: it takes a number to deny anybody else", who)
	}
	for _, err := range policy.Broken {
		b.Log.Tell(journal.BrokenProfile, journal.About{}, "%v: nobody can start a session of this profile until that is mended", err)
	}
}
