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

	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// plan is a session that may be started: all that was decided about it.
type plan struct {
	human   peer.Peer
	profile string
	user    string // the agent's
	orders  privsep.Orders
}

// plan decides: who asks, for what, and whether they may. If they may, it uses the
// client's connection up, which is good for one session.
func (l *Launcher) plan(req privsep.Start, client int) (plan, error) {
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
	role, err := policy.Role(human)
	if err != nil {
		return plan{}, privsep.Errorf("refused", "%v", err)
	}
	if role < auth.Interactive {
		return plan{}, privsep.Errorf("refused", "%v may not start sessions", role)
	}
	profile, err := l.Dirs.Profile(req.Profile)
	if errors.Is(err, config.ErrNoProfile) {
		names, _ := l.Dirs.Profiles() // for the message only
		return plan{}, privsep.Errorf("unknown-profile", "unknown alias %.40q: there is %s; to run a program, -p 'CMD ARGS'",
			req.Profile, strings.Join(names, ", "))
	}
	if err != nil {
		return plan{}, err
	}
	agent, err := findAgent(cfg, policy, profile, req.User)
	if err != nil {
		return plan{}, err
	}
	argv, err := program(cfg, profile, req.Argv)
	if err != nil {
		return plan{}, err
	}
	id, err := l.sessionID(client)
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
	return plan{human: human, profile: profile.Name, user: agent.name, orders: privsep.Orders{
		ID: id, LoginUID: human.UID,
		UID: agent.uid, GID: agent.gid, Groups: agent.groups, Home: agent.home,
		Argv: argv, Env: environment(cfg, agent, req, id),
	}}, nil
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
			return account{}, privsep.Errorf("refused", "%.40q is not an agent user: see agent-users= in aaau.conf", asked)
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
	switch {
	case a.uid == 0 || a.gid == 0 || slices.Contains(a.groups, 0):
		return account{}, privsep.Errorf("refused", "the agent user %q is root or in root's group", name)
	case a.gid == policy.Group || slices.Contains(a.groups, policy.Group):
		return account{}, privsep.Errorf("refused", "the agent user %q is in the access group %s: sudo gpasswd -d %s %s",
			name, cfg.Group, name, cfg.Group)
	}
	return a, nil
}

// program is what the session runs: the client's choice where the profile
// leaves it, else the profile's, else the shell.
func program(cfg config.Config, profile config.Profile, asked []string) ([]string, error) {
	argv := profile.Program
	if len(asked) > 0 {
		if !profile.AnyProgram {
			return nil, privsep.Errorf("refused", "profile %s runs its own program only", profile.Name)
		}
		argv = asked
	}
	if len(argv) == 0 {
		argv = []string{cfg.Shell}
	}
	if argv[0] == "" {
		return nil, privsep.Errorf("program-not-found", "program not found: its name is empty")
	}
	return argv, nil
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

// isName says whether a string is what a terminal or a locale may be called;
// anything else is as if the client had said nothing.
func isName(s string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	return len(s) > 0 && len(s) <= 64 && strings.IndexByte(letters, s[0]) >= 0 && strings.Trim(s, letters+"._+@-") == ""
}

// environment is the program's, whole: nothing of the launcher's is inherited.
func environment(cfg config.Config, agent account, req privsep.Start, id string) []string {
	term, lang := "dumb", "C.UTF-8"
	if isName(req.Term) {
		term = req.Term
	}
	if isName(req.Lang) {
		lang = req.Lang
	}
	return []string{
		"HOME=" + agent.home,
		"USER=" + agent.name,
		"LOGNAME=" + agent.name,
		"SHELL=" + cfg.Shell,
		"PATH=" + agent.home + "/.local/bin:" + agent.home + "/bin:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
		"TERM=" + term,
		"LANG=" + lang,
		"AAAU_SESSION=" + id,
		"SESSION_ID=" + id,
	}
}

func number(id string) (uint32, error) {
	n, err := strconv.ParseUint(id, 10, 32)
	return uint32(n), err
}
