package main

import (
	"bytes"
	"context"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/bridge"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/journal"
)

// A broken file changes nothing, and is said to be broken; the next good one counts.
func TestReload(t *testing.T) {
	ours, err := user.LookupGroupId(strconv.Itoa(os.Getgid()))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "profiles.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	write("access.conf", "user=1 deny")
	dirs := config.Dirs{Admin: dir, Owner: uint32(os.Getuid())}
	cfg, policy, err := configured(dirs, ours.Name)
	if err != nil {
		t.Fatal(err)
	}
	b := bridge.FromConfig(dirs, cfg, policy)
	var said bytes.Buffer
	b.Log = journal.To(&said)

	for _, c := range []struct {
		name, text, says string
		rules, max       int
	}{
		{"access.conf", "user=1 deny\nuser=2 ReadOnly", "reloaded\n", 2, 1000},
		{"aaau.conf", "max-sessions=7", "reloaded\n", 2, 7},
		{"access.conf", "\nuser=1 dney", `/access.conf:2: user: "dney" is none of`, 2, 7},
		{"aaau.conf", "max-sessions=8", "not reloaded", 2, 7},
		{"access.conf", "user=no-such-person deny", `reloaded` + "\n" + `access.conf denies user "no-such-person"`, 0, 8},
		{"profiles.d/other.conf", "tols=yes", "\nprofile other: ", 0, 8},
		{"aaau.conf", "group=no-such", "reloaded\n", 0, 1000}, // the command line's holds
	} {
		write(c.name, c.text)
		said.Reset()
		reload(b, ours.Name)
		if !strings.Contains(said.String(), c.says) || len(b.Policy.Rules) != c.rules || b.MaxSessions != c.max {
			t.Errorf("%q: %q, %d rules, %d sessions", c.text, said.String(), len(b.Policy.Rules), b.MaxSessions)
		}
	}
	said.Reset()
	if reload(b, ""); !strings.Contains(said.String(), `group "no-such"`) || strings.Count(said.String(), "\n") != 1 {
		t.Errorf("%q", said.String())
	}
}

func TestReloadAtSignalEnds(t *testing.T) {
	b := &bridge.Bridge{Config: config.Dirs{Admin: t.TempDir(), Owner: uint32(os.Getuid())}}
	said := make(chanWriter)
	b.Log = journal.To(said)
	ctx, stop := context.WithCancel(context.Background())
	signals, ended := make(chan os.Signal, 1), make(chan struct{})
	go func() { reloadAtSignal(ctx, b, signals, "no-such-group"); close(ended) }()
	signals <- syscall.SIGHUP
	if got := <-said; !strings.Contains(got, "not reloaded") {
		t.Errorf("%q", got)
	}
	stop()
	<-ended
}

type chanWriter chan string

func (c chanWriter) Write(b []byte) (int, error) { c <- string(b); return len(b), nil }
