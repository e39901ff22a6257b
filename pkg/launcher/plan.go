package launcher

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/spec"
)

// plan is a session that may be started: all that was decided about it.
type plan struct {
	human   peer.Peer
	profile config.Profile
	user    string // the agent's
	orders  privsep.Orders
	secrets []string // the variables that make the session private
	dirs    []dir
	homeMax int64 // bytes; 0: no limit
}

// plan decides: who asks, for what, and whether they may. If they may, it uses the
// client's connection up, which is good for one session. The descriptors of the
// request's directories stay the caller's.
func (l *Launcher) plan(req privsep.Start, client int, dirs []int) (plan, error) {
	if err := req.Check(); err != nil {
		return plan{}, privsep.Errorf("malformed", "%v", err)
	}
	cfg, err := l.Dirs.Load()
	if err != nil {
		return plan{}, err
	}
	human, err := checkClient(client)
	if err != nil {
		return plan{}, privsep.Errorf("refused", "the connection handed over is not a client's: %v", err)
	}
	policy, err := l.Dirs.Policy(cfg)
	if err != nil {
		return plan{}, err
	}
	if err := mayStart(policy, human, req.Profile); err != nil {
		return plan{}, err
	}
	profile, err := l.Dirs.Profile(req.Profile)
	if errors.Is(err, config.ErrNoProfile) {
		names, _ := l.Dirs.Profiles() // for the message only
		return plan{}, privsep.Errorf("unknown-profile", "unknown alias %s: there is %s; to run a program, aaau -- CMD ARGS",
			argv.Quote(req.Profile, 40), strings.Join(names, ", "))
	}
	if err != nil {
		return plan{}, privsep.Errorf("broken-profile", "profile %s has a mistake, and starts nothing until your administrator has mended it: %v", req.Profile, err)
	}
	agent, err := findAgent(cfg, policy, profile, req.User)
	if err != nil {
		return plan{}, err
	}
	arguments, err := program(cfg, profile, req.Session)
	if err != nil {
		return plan{}, err
	}
	checked, err := checkDirs(req.Dirs, dirs, human, profile)
	if err != nil {
		return plan{}, err
	}
	id, err := l.sessionID(client)
	if err != nil {
		return plan{}, err
	}
	env, secrets, err := l.environment(cfg, profile, agent, req.Session, checked)
	if err != nil {
		return plan{}, err
	}
	err = peer.Use(client)
	if errors.Is(err, peer.ErrUsed) {
		return plan{}, privsep.Errorf("replayed", "this connection has had its session")
	}
	if err != nil {
		return plan{}, err
	}
	stageUID, err := stageUID()
	if err != nil {
		return plan{}, err
	}
	p := plan{human: human, profile: profile, user: agent.name, secrets: secrets, dirs: checked, homeMax: cfg.HomeMax, orders: privsep.Orders{
		ID: id, LoginUID: human.UID,
		StageUID: stageUID, UID: agent.uid, GID: agent.gid, Groups: agent.groups, Home: agent.home,
		Hidden: hidden(cfg, human, checked), Stubs: req.Stubs, Cwd: req.Cwd, Umask: 0o022,
		Pipes: req.Pipes, ErrorsApart: req.ErrorsApart && !req.Pipes, Argv: arguments, Env: append(env, "AAAU_SESSION="+id, "SESSION_ID="+id),
	}}
	if req.Umask != nil {
		p.orders.Umask = *req.Umask
	}
	if profile.Install != "" && req.Step == "" {
		p.orders.Advice = "to install it: aaau setup " + profile.Name
	}
	return p, nil
}

// mayStart decides again what the bridge has decided, from files that root has read.
func mayStart(policy auth.Policy, human peer.Peer, profile string) error {
	role, err := policy.Role(human, profile)
	if err != nil {
		return privsep.Errorf("refused", "%v", err)
	}
	if role < auth.Interactive {
		return privsep.Errorf("refused", "you are %v for profile %.40s by access.conf or your groups: you may watch its sessions, but not start any", role, profile)
	}
	return nil
}

// checkClient makes sure that fd is a living connection which somebody made to a
// socket of root's, and says who it was. A bridge gone bad could offer others:
// its own socketpair names itself as the peer; a connection that *it* made, to
// some service of root's, would name root, but was accepted nowhere.
func checkClient(fd int) (peer.Peer, error) {
	name, opened, err := peer.ListenerFile(fd)
	if err != nil {
		return peer.Peer{}, err
	}
	var here unix.Stat_t
	if err := unix.Lstat(name, &here); err != nil {
		return peer.Peer{}, fmt.Errorf("%s: %w", name, err)
	}
	if opened.Dev != here.Dev || opened.Ino != here.Ino || here.Uid != 0 {
		return peer.Peer{}, fmt.Errorf("accepted on %.100q, which is not root's socket of that name", name)
	}
	gone, err := peer.HungUp(fd)
	if err != nil {
		return peer.Peer{}, err
	}
	if gone {
		return peer.Peer{}, errors.New("its other end is gone")
	}
	return peer.Of(fd)
}

// account is an agent user.
type account struct {
	name, home string
	uid, gid   uint32
	groups     []uint32
}

// findAgent looks up the agent user that was asked for, or that the profile or
// the configuration names. Only a user that they name will do.
func findAgent(cfg config.Config, policy auth.Policy, profile config.Profile, asked string) (account, error) {
	name := cfg.AgentUsers[0]
	if profile.User != "" {
		name = profile.User
	}
	if asked != "" && asked != name {
		if !slices.Contains(cfg.AgentUsers, asked) {
			return account{}, privsep.Errorf("refused", "%s is not an agent user: see agent-users= in aaau.conf", argv.Quote(asked, 40))
		}
		name = asked
	}
	u, err := user.Lookup(name)
	if err != nil {
		return account{}, privsep.Errorf("agent-missing", "the agent user %q does not exist: sudo aaau-server init", name)
	}
	a := account{name: name, home: u.HomeDir}
	if a.uid, err = number(u.Uid); err != nil {
		return account{}, err
	}
	if a.gid, err = number(u.Gid); err != nil {
		return account{}, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return account{}, err
	}
	for _, id := range ids {
		g, err := number(id)
		if err != nil {
			return account{}, err
		}
		a.groups = append(a.groups, g)
	}
	var auditors uint32
	g, err := user.LookupGroup(config.AuditGroup)
	if err == nil {
		auditors, err = number(g.Gid)
	}
	if errors.As(err, new(user.UnknownGroupError)) {
		err = nil // nobody is in it
	}
	if err != nil {
		return account{}, err
	}
	if err := a.check(cfg, policy.Group, auditors); err != nil {
		return account{}, err
	}
	return a, a.checkRootGroups(cfg)
}

// checkRootGroups refuses an account with which agents would be root in effect, or read other
// people's secrets.
func (a account) checkRootGroups(cfg config.Config) error {
	group, gid, err := cfg.RootGroup(append([]uint32{a.gid}, a.groups...))
	if err != nil {
		return err
	}
	if group != "" {
		return privsep.Errorf("refused", "the agent user %q is in the group %s, with which it is root in effect (root-groups= in aaau.conf): %s",
			a.name, group, config.LeaveGroup(a.name, group, gid == a.gid))
	}
	return nil
}

// stageUID looks up the uid of config.StageUser.
func stageUID() (uint32, error) {
	u, err := user.Lookup(config.StageUser)
	if err != nil {
		return 0, privsep.Errorf("stage-missing", "the user %q does not exist: sudo aaau-server init", config.StageUser)
	}
	return number(u.Uid)
}

// check refuses an account with which agents would have more than what is theirs. A group
// auditors of 0 is none.
func (a account) check(cfg config.Config, access, auditors uint32) error {
	in := func(gid uint32) bool { return a.gid == gid || slices.Contains(a.groups, gid) }
	leave := func(group string, gid uint32) string { return config.LeaveGroup(a.name, group, gid == a.gid) }
	switch {
	case a.uid == 0 || in(0):
		return privsep.Errorf("refused", "the agent user %q is root or in root's group", a.name)
	case a.name == config.StageUser:
		return privsep.Errorf("refused", "the agent user %q is for the first process of each session: see agent-users= in aaau.conf", a.name)
	case a.name == cfg.BridgeUser:
		return privsep.Errorf("refused", "the agent user %q is the bridge's own: see agent-users= in aaau.conf", a.name)
	case in(access):
		return privsep.Errorf("refused", "the agent user %q is in the access group %s: %s", a.name, cfg.Group, leave(cfg.Group, access))
	case in(auditors):
		return privsep.Errorf("refused", "the agent user %q is in %s, whose members read everybody's record: %s", a.name, config.AuditGroup, leave(config.AuditGroup, auditors))
	}
	return nil
}

// program is what the session runs: a step of the profile's setup, or the client's
// choice where the profile leaves it, else the profile's own with the client's
// arguments, else the shell.
func program(cfg config.Config, profile config.Profile, asked spec.Session) ([]string, error) {
	steps := map[spec.Step]string{spec.Install: profile.Install, spec.Login: profile.Login}
	switch {
	case asked.Step != "" && steps[asked.Step] == "":
		return nil, privsep.Errorf("no-setup", "profile %s has no %s=: its program is the administrator's to install", profile.Name, asked.Step)
	case asked.Step != "":
		return []string{"/bin/sh", "-c", steps[asked.Step]}, nil
	case len(asked.Argv) > 0 && !profile.AnyProgram:
		return nil, privsep.Errorf("refused", "profile %s runs its own program only", profile.Name)
	case len(asked.Argv) > 0 && asked.Argv[0] == "":
		return nil, privsep.Errorf("program-not-found", "program not found: its name is empty")
	case len(asked.Argv) > 0:
		return asked.Argv, nil
	case len(profile.Program) > 0:
		return slices.Concat(profile.Program, asked.Args), nil
	default:
		return append([]string{cfg.Shell}, asked.Args...), nil
	}
}

// sessionID names the session after the client's connection, which can have one:
// even two requests at the same moment would meet in the name of their scope.
func (l *Launcher) sessionID(client int) (string, error) {
	cookie, err := peer.Cookie(client)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(l.BootID), cookie))
	return base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").EncodeToString(sum[:10])[:10], nil
}

func number(id string) (uint32, error) {
	n, err := strconv.ParseUint(id, 10, 32)
	return uint32(n), err
}
