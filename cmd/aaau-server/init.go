package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// setup is what init is asked for.
type setup struct{ user, group, socket, logDir, home, shell string }

var defaults = setup{
	user: "agent", group: "aaau", socket: wire.DefaultSocket,
	logDir: "/var/log/aaau", home: "/var/lib/aaau/agent", shell: "/bin/bash",
}

func initCommand() *cli.Command {
	// -h is the home here, as it always was; so help is --help alone.
	return &cli.Command{
		Name:     "init",
		Usage:    "make the users, groups and directories, and set what differs from the defaults",
		HideHelp: true,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "user", Aliases: []string{"u"}, Value: defaults.user, Usage: "agents run as `USER`"},
			&cli.StringFlag{Name: "group", Aliases: []string{"g"}, Value: defaults.group, Usage: "members of `GROUP` may connect"},
			&cli.StringFlag{Name: "socket", Aliases: []string{"s"}, Value: defaults.socket, Usage: "the bridge listens at `PATH`"},
			&cli.StringFlag{Name: "log-dir", Aliases: []string{"l"}, Value: defaults.logDir, Usage: "the record is kept in `DIR`"},
			&cli.StringFlag{Name: "home", Aliases: []string{"h"}, Value: defaults.home, Usage: "the agent user's home is `DIR`"},
			&cli.StringFlag{Name: "shell", Value: defaults.shell, Usage: "agents get `SHELL`"},
			&cli.BoolFlag{Name: "help", Usage: "show help", DisableDefaultText: true},
		},
		Action: func(c *cli.Context) error {
			if c.Bool("help") {
				return cli.ShowSubcommandHelp(c)
			}
			if c.NArg() > 0 {
				return fmt.Errorf("init takes no arguments, but there is %q", c.Args().First())
			}
			s := setup{c.String("user"), c.String("group"), c.String("socket"), c.String("log-dir"), c.String("home"), c.String("shell")}
			if err := s.check(); err != nil {
				return err
			}
			return s.apply()
		},
	}
}

// ours are accounts and groups that have another part.
var ours = []string{"root", "aaau-bridge", config.StageUser, config.AuditGroup}

// accountName is what useradd(8) takes.
var accountName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,30}$`)

func (s setup) check() error {
	switch {
	case os.Geteuid() != 0:
		return errors.New("init makes users and writes to /etc: sudo aaau-server init")
	case !accountName.MatchString(s.user) || !accountName.MatchString(s.group):
		return fmt.Errorf("user %q and group %q must be names of the usual form", s.user, s.group)
	case s.user == s.group:
		return fmt.Errorf("user and group are both %q: the agents' own group must not be the one that may connect", s.user)
	case slices.Contains(ours, s.user), slices.Contains(ours, s.group):
		return fmt.Errorf("none of %s can be the agents' user or the access group", strings.Join(ours, ", "))
	}
	for _, p := range []string{s.socket, s.logDir, s.home, s.shell} {
		if !filepath.IsAbs(p) || strings.ContainsAny(p, " \t\n\"%$\\") {
			return fmt.Errorf("%q must be an absolute path without blanks or any of %%$\"\\", p)
		}
	}
	if fi, err := os.Stat(s.shell); err != nil || fi.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is no program: choose another with --shell", s.shell)
	}
	return nil
}

// file is one that init writes; with an empty text it must not be there, for the
// defaults are right.
type file struct{ name, text string }

func (s setup) files() []file {
	vendor := s.user == defaults.user && s.group == defaults.group && s.home == defaults.home && installed()
	var sysusers, tmpfiles, conf, socket, service string
	if !vendor {
		sysusers = fmt.Sprintf("g %s -\ng aaau-audit -\nu aaau-bridge - \"AaaU bridge\" - /usr/sbin/nologin\nu aaau-stage - \"AaaU stage\" - /usr/sbin/nologin\nu %s - \"AaaU agent\" %s /usr/sbin/nologin\n",
			s.group, s.user, s.home)
	}
	if !vendor || s.logDir != defaults.logDir || s.socket != defaults.socket {
		tmpfiles = fmt.Sprintf("d /run/aaau 0755 root root -\nd %s 0755 root root -\nd %s 2750 aaau-bridge aaau-audit -\n"+
			"d /var/lib/aaau 0755 root root -\nd %s 0700 %s %s -\nd /var/lib/aaau/anchors 2750 root aaau-audit -\n",
			filepath.Dir(s.socket), s.logDir, s.home, s.user, s.user)
	}
	if s.user != defaults.user {
		conf += "agent-users=" + s.user + "\n"
	}
	if s.group != defaults.group {
		conf += "group=" + s.group + "\n"
		socket += "SocketGroup=" + s.group + "\n"
	}
	if s.shell != defaults.shell {
		conf += "shell=" + s.shell + "\n"
	}
	if s.socket != defaults.socket {
		// With a link where clients look.
		socket += "ListenStream=\nListenStream=" + s.socket + "\nSymlinks=" + defaults.socket + "\n"
	}
	if socket != "" {
		socket = "[Socket]\n" + socket
	}
	if s.logDir != defaults.logDir {
		self, err := os.Executable()
		if err != nil {
			self = "/usr/sbin/aaau-server"
		}
		service = fmt.Sprintf("[Service]\nExecStart=\nExecStart=%s run --log-dir %s\nReadWritePaths=%s\n", self, s.logDir, s.logDir)
	}
	return []file{
		{"/etc/sysusers.d/aaau.conf", sysusers},
		{"/etc/tmpfiles.d/aaau.conf", tmpfiles},
		{"/etc/aaau/aaau.conf.d/50-init.conf", conf},
		{"/etc/systemd/system/aaau.socket.d/50-init.conf", socket},
		{"/etc/systemd/system/aaau.service.d/50-init.conf", service},
	}
}

// installed says whether a package brought the descriptions of the defaults.
func installed() bool {
	_, err := os.Stat("/usr/lib/sysusers.d/aaau.conf")
	return err == nil
}

// apply writes the files, has systemd act on them, checks, and says what is next.
func (s setup) apply() error {
	before := s.present()
	changed := false
	for _, f := range s.files() {
		did, err := f.place()
		if err != nil {
			return err
		}
		changed = changed || did
	}
	for _, argv := range [][]string{
		{"systemd-sysusers", "aaau.conf"},
		{"systemd-tmpfiles", "--create", "aaau.conf"},
	} {
		if err := command(argv...); err != nil {
			return err
		}
	}
	if err := s.verify(); err != nil {
		return err
	}
	fmt.Print(s.report(before), s.next(changed))
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		fmt.Println("(systemd is not running here.)")
		return nil
	}
	return command("systemctl", "daemon-reload")
}

// next says what is left to do.
func (s setup) next(changed bool) string {
	who := os.Getenv("SUDO_USER")
	if who == "" || who == "root" {
		who = "USER"
	}
	text := ""
	if !changed {
		text += "Everything is as it should be.\n"
	}
	text += fmt.Sprintf("Next:\n  sudo usermod -aG %s %s    # and in a shell that is open: newgrp %s\n", s.group, who, s.group)
	if changed && command("systemctl", "is-active", "--quiet", "aaau.socket") == nil {
		text += "  sudo systemctl restart aaau.socket    # ends the sessions that there are\n"
	} else {
		text += "  sudo systemctl enable --now aaau.socket\n"
	}
	return text + "  aaau connect\n"
}

// place makes the file be there, or not, and says whether that was a change.
func (f file) place() (changed bool, err error) {
	want := []byte(nil)
	if f.text != "" {
		want = []byte("# Written by aaau-server init, which replaces it when it is run again.\n" + f.text)
	}
	old, err := os.ReadFile(f.name)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && !missing:
		return false, err
	case want == nil && missing, want != nil && !missing && bytes.Equal(old, want):
		return false, nil
	case want == nil:
		fmt.Println("Removed", f.name)
		return true, os.Remove(f.name)
	}
	if err := os.MkdirAll(filepath.Dir(f.name), 0o755); err != nil {
		return false, err
	}
	if err := os.WriteFile(f.name+".new", want, 0o644); err != nil {
		return false, err
	}
	fmt.Println("Wrote", f.name)
	return true, os.Rename(f.name+".new", f.name)
}

// verify looks at what is there now: accounts that existed before may differ.
func (s setup) verify() error {
	u, err := user.Lookup(s.user)
	if err != nil {
		return err
	}
	groups, err := config.GroupsOf(u)
	if err != nil {
		return err
	}
	for _, group := range []string{s.group, config.AuditGroup} {
		g, err := user.LookupGroup(group)
		if err != nil {
			return err
		}
		gid, err := strconv.ParseUint(g.Gid, 10, 32)
		if err != nil {
			return err
		}
		if slices.Contains(groups, uint32(gid)) {
			return fmt.Errorf("user %s is in group %s, and agents must not be: %s", s.user, group,
				config.LeaveGroup(s.user, group, uint32(gid) == groups[0]))
		}
	}
	// As the launcher would at each start.
	cfg, err := config.System.Load()
	if err != nil {
		return err
	}
	group, gid, err := cfg.RootGroup(groups)
	if err != nil {
		return err
	}
	if group != "" {
		return fmt.Errorf("user %s is in group %s, with which it is root in effect (root-groups= in aaau.conf): %s", s.user, group,
			config.LeaveGroup(s.user, group, gid == groups[0]))
	}
	if u.HomeDir != s.home {
		return fmt.Errorf("user %s was there before, with home %s instead of %s: sudo usermod -d %s %s", s.user, u.HomeDir, s.home, s.home, s.user)
	}
	return nil
}

func command(argv ...string) error {
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
