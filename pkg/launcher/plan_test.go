package launcher

import (
	"errors"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/spec"
)

func TestProgram(t *testing.T) {
	cfg := config.Defaults()
	free, fixed := config.Profile{Name: "shell", AnyProgram: true}, config.Profile{Name: "claude", Program: []string{"claude", "-x"}, Install: "npm i x"}
	for name, c := range map[string]struct {
		profile config.Profile
		asked   spec.Session
		want    []string
		code    string
	}{
		"the shell":        {free, spec.Session{}, []string{"/bin/bash"}, ""},
		"the client's":     {free, spec.Session{Argv: []string{"id", "-u"}}, []string{"id", "-u"}, ""},
		"the profile's":    {fixed, spec.Session{}, []string{"claude", "-x"}, ""},
		"with arguments":   {fixed, spec.Session{Args: []string{"--resume", "a b"}}, []string{"claude", "-x", "--resume", "a b"}, ""},
		"not the client's": {fixed, spec.Session{Argv: []string{"id"}}, nil, "refused"},
		"no name":          {free, spec.Session{Argv: []string{""}}, nil, "program-not-found"},
		"a step":           {fixed, spec.Session{Step: spec.Install}, []string{"/bin/sh", "-c", "npm i x"}, ""},
		"no such step":     {fixed, spec.Session{Step: spec.Login}, nil, "no-setup"},
	} {
		got, err := program(cfg, c.profile, c.asked)
		var e *privsep.Error
		if errors.As(err, &e) != (c.code != "") || e != nil && e.Code != c.code || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestMayStart(t *testing.T) {
	policy := auth.Policy{Group: 990, Rules: []auth.Rule{
		{ID: 1000, Role: auth.ReadOnly}, {ID: 1000, Role: auth.Interactive, Profile: "claude"}, {ID: 1001, Profile: "claude"},
	}}
	for _, c := range []struct {
		uid     uint32
		profile string
		says    string
	}{
		{1000, "claude", ""},
		{1000, "shell", "you are ReadOnly for profile shell"},
		{1000, "", "you are ReadOnly"},
		{1001, "claude", "denied profile claude"},
		{1001, "shell", ""},
	} {
		err := mayStart(policy, peer.Peer{UID: c.uid, GID: 990}, c.profile)
		var e *privsep.Error
		if (err == nil) != (c.says == "") || err != nil && (!errors.As(err, &e) || e.Code != "refused" || !strings.Contains(e.Message, c.says)) {
			t.Errorf("uid %d, %q: %v", c.uid, c.profile, err)
		}
	}
}

// An agent is nobody who has more than what is its own: nor who could read other people's
// sessions in the record.
func TestAgentAccount(t *testing.T) {
	cfg := config.Defaults()
	for _, c := range []struct {
		account account
		says    string
	}{
		{account{name: "agent", uid: 990, gid: 990, groups: []uint32{990, 1234}}, ""},
		{account{name: "agent", uid: 0, gid: 990}, "is root or in root's group"},
		{account{name: "agent", uid: 990, gid: 0}, "is root or in root's group"},
		{account{name: "agent", uid: 990, gid: 990, groups: []uint32{990, 0}}, "is root or in root's group"},
		{account{name: "aaau-stage", uid: 992, gid: 992}, "is for the first process of each session: see agent-users= in aaau.conf"},
		{account{name: "aaau-bridge", uid: 991, gid: 991}, "is the bridge's own: see agent-users= in aaau.conf"},
		{account{name: "agent", uid: 990, gid: 501}, "is in the access group aaau: sudo usermod -g agent agent"},
		{account{name: "agent", uid: 990, gid: 990, groups: []uint32{990, 501}}, "is in the access group aaau: sudo gpasswd -d agent aaau"},
		{account{name: "agent", uid: 990, gid: 502}, "is in aaau-audit, whose members read everybody's record: sudo usermod -g agent agent"},
		{account{name: "agent", uid: 990, gid: 990, groups: []uint32{990, 502}}, "is in aaau-audit, whose members read everybody's record: sudo gpasswd -d agent aaau-audit"},
	} {
		err := c.account.check(cfg, 501, 502)
		var e *privsep.Error
		if (err == nil) != (c.says == "") || err != nil && (!errors.As(err, &e) || e.Code != "refused" || !strings.HasSuffix(e.Message, c.says)) {
			t.Errorf("%+v: %v", c.account, err)
		}
	}
	if err := (account{name: "agent", uid: 990, gid: 990}).check(cfg, 501, 0); err != nil {
		t.Errorf("without such a group: %v", err)
	}
}

// Nor is it one that becomes root by what its groups let it do.
func TestAgentInRootGroups(t *testing.T) {
	g, err := user.LookupGroup("disk") // every distribution has it
	if err != nil {
		t.Fatal(err)
	}
	disk, err := number(g.Gid)
	if err != nil {
		t.Fatal(err)
	}
	const why = `the agent user "agent" is in the group disk, with which it is root in effect (root-groups= in aaau.conf): `
	others := config.Defaults()
	others.RootGroups = []string{"nosuchgroup"}
	for _, c := range []struct {
		cfg     config.Config
		account account
		says    string
	}{
		{config.Defaults(), account{name: "agent", uid: 990, gid: 990, groups: []uint32{990}}, ""},
		{config.Defaults(), account{name: "agent", uid: 990, gid: 990, groups: []uint32{990, disk}}, why + "sudo gpasswd -d agent disk"},
		{config.Defaults(), account{name: "agent", uid: 990, gid: disk}, why + "sudo usermod -g agent agent"},
		{others, account{name: "agent", uid: 990, gid: 990, groups: []uint32{990, disk}}, ""},
	} {
		err := c.account.checkRootGroups(c.cfg)
		if (err == nil) != (c.says == "") || err != nil && err.Error() != c.says {
			t.Errorf("%+v: %v, want %q", c.account, err, c.says)
		}
	}
}

func TestEnvironment(t *testing.T) {
	l, a := &Launcher{}, account{name: "agent", home: "/h"}
	profile := config.Profile{Name: "claude", Tools: true, Env: []string{"API_KEY"}}
	dirs := []dir{{spec.Dir{Tool: true}, -1, "/home/op/.nvm"}, {spec.Dir{}, -1, "/home/op/proj"}}
	const own = "PATH=/h/.local/bin:/h/bin:/h/.cargo/bin:/h/go/bin:/h/.bun/bin:/h/.deno/bin:/h/.local/share/pnpm:/h/.local/share/pnpm/bin:/h/.local/share/gem/bin:/h/.dotnet/tools"
	env, secrets, err := l.environment(config.Defaults(), profile, a, spec.Session{Env: []string{
		"TERM=xterm", "LANG=de_DE.UTF-8", "LC_TIME=C", "TZ=UTC", "API_KEY=x=y", "NVM_DIR=/home/op/.nvm",
		"PATH=/home/op/.nvm/bin:/home/op/proj:relative:/usr/sbin:/home/op/.nvm/../.ssh:/tmp:/dev/shm:/nowhere:/home/op/.nvmx:/usr/bin:/home/op/.nvm/bin",
		"NPM_CONFIG_PREFIX=~", "GEM_HOME=~",
	}}, dirs)
	if err != nil || !slices.Equal(secrets, []string{"API_KEY"}) {
		t.Fatalf("%q %v", secrets, err)
	}
	for _, want := range []string{"HOME=/h", "USER=agent", "LOGNAME=agent", "SHELL=/bin/bash", "TERM=xterm",
		"LANG=de_DE.UTF-8", "LC_TIME=C", "TZ=UTC", "API_KEY=x=y", "NVM_DIR=/home/op/.nvm",
		"NPM_CONFIG_PREFIX=/h/.local", "GEM_HOME=/h/.local/share/gem",
		own + ":/home/op/.nvm/bin:/usr/sbin:/usr/bin:/usr/local/bin:/bin:/usr/local/sbin:/sbin"} {
		if !slices.Contains(env, want) {
			t.Errorf("no %s in %q", want, env)
		}
	}
	for _, bad := range []string{"", "../../x", "x\ny", "a=b c", strings.Repeat("x", 100), "-x"} {
		env, _, err := l.environment(config.Defaults(), profile, a, spec.Session{Env: []string{"TERM=" + bad, "LANG=" + bad, "LC_ALL=" + bad}}, nil)
		if err != nil || !slices.Contains(env, "TERM=dumb") || !slices.Contains(env, "LANG=C.UTF-8") || slices.Contains(env, "LC_ALL="+bad) {
			t.Errorf("%q came through: %q %v", bad, env, err)
		}
	}
	if env, _, _ := l.environment(config.Defaults(), profile, a, spec.Session{Env: []string{"TERM=no-such-terminal"}}, nil); !slices.Contains(env, "TERM=xterm-256color") {
		t.Errorf("%q", env)
	}
	for _, no := range []string{"SSH_AUTH_SOCK", "LD_PRELOAD", "GITHUB_TOKEN"} {
		if _, _, err := l.environment(config.Defaults(), profile, a, spec.Session{Env: []string{no + "=x"}}, nil); err == nil {
			t.Errorf("%s came through", no)
		}
	}
	for _, c := range []struct {
		profile config.Profile
		dirs    []dir
		env     string
		want    string // "": it is refused
	}{
		{config.Profile{}, nil, "NVM_DIR=/x", ""},
		{config.Profile{}, nil, "NPM_CONFIG_PREFIX=~", ""},
		{config.Profile{}, dirs, "NVM_DIR=/x", "NVM_DIR=/x"},
		{config.Profile{}, dirs[:1], "NVM_DIR=/x", ""}, // tools alone are no workspace
		{config.Profile{}, dirs, "NPM_CONFIG_PREFIX=/x", ""},
		{config.Profile{NoTools: true}, dirs, "NVM_DIR=/x", ""},
		{config.Profile{NoTools: true}, dirs, "PATH=/usr/sbin", own + ":/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"},
		{config.Profile{}, nil, "PATH=/usr/sbin", own + ":/usr/sbin:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/sbin"},
		{config.Profile{Env: []string{"GEM_HOME"}}, nil, "GEM_HOME=/x", "GEM_HOME=/x"},
	} {
		env, _, err := l.environment(config.Defaults(), c.profile, a, spec.Session{Env: []string{c.env}}, c.dirs)
		if (err == nil) != (c.want != "") || c.want != "" && !slices.Contains(env, c.want) {
			t.Errorf("%+v with %d directories, %s: %q, %v", c.profile, len(c.dirs), c.env, env, err)
		}
	}
}

// accept makes a connection to a socket at path and returns the accepting end's
// descriptor.
func accept(t *testing.T, path string) (fd int, client net.Conn) {
	t.Helper()
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	client, err = net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close(); client.Close(); server.Close() })
	raw, err := server.(*net.UnixConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(n uintptr) { fd = int(n) }); err != nil {
		t.Fatal(err)
	}
	return fd, client
}

func TestCheckClient(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test makes sockets of root's: run it as root (sudo make check)")
	}
	path := filepath.Join(t.TempDir(), "s")
	fd, client := accept(t, path)
	if who, err := checkClient(fd); err != nil || int(who.PID) != os.Getpid() {
		t.Fatalf("%+v %v", who, err)
	}
	// Somebody else's socket: the one thing that a bridge gone bad can make.
	if err := os.Chown(path, 4321, -1); err != nil {
		t.Fatal(err)
	}
	if _, err := checkClient(fd); err == nil {
		t.Error("a socket that is not root's is taken")
	}
	if err := os.Chown(path, 0, -1); err != nil {
		t.Fatal(err)
	}
	// Another file of that name.
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mknod(path, unix.S_IFSOCK|0o600, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := checkClient(fd); err == nil {
		t.Error("another socket of the same name is taken")
	}
	if err := os.Rename(path+".old", path); err != nil {
		t.Fatal(err)
	}
	if _, err := checkClient(fd); err != nil {
		t.Errorf("all is as it was: %v", err)
	}
	client.Close()
	if _, err := checkClient(fd); err == nil {
		t.Error("a dead connection is taken")
	}
}

func TestSessionID(t *testing.T) {
	a, _ := accept(t, filepath.Join(t.TempDir(), "s"))
	b, _ := accept(t, filepath.Join(t.TempDir(), "s"))
	l := &Launcher{BootID: "one"}
	first, err1 := l.sessionID(a)
	again, err2 := l.sessionID(a)
	other, err3 := l.sessionID(b)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if first != again || first == other || len(first) != 10 {
		t.Errorf("%s %s %s", first, again, other)
	}
	if later, _ := (&Launcher{BootID: "two"}).sessionID(a); later == first {
		t.Error("the same after a restart of the machine")
	}
}

// The terminal has the right size and owner before anybody sees it, and its own
// file system.
func TestOpenTerminal(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test makes a devpts: run it as root (sudo make check)")
	}
	term, err := openStreams(4321, 4322, spec.Session{Size: spec.Size{Rows: 33, Cols: 101}, Modes: spec.Modes{"erase": 8, "ixon": 0}})
	if err != nil {
		t.Fatal(err)
	}
	defer term.close()
	slave, master := term.program[0], term.bridge[0]
	if in, out, errs := term.stdio(); in != uintptr(slave) || out != in || errs != in {
		t.Errorf("the program would have %d, %d, %d, not thrice %d", in, out, errs, slave)
	}
	ws, err := unix.IoctlGetWinsize(slave, unix.TIOCGWINSZ)
	if err != nil || ws.Row != 33 || ws.Col != 101 {
		t.Errorf("%+v %v", ws, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(slave, &st); err != nil || st.Uid != 4321 || st.Gid != 4322 || st.Mode&0o777 != 0o620 {
		t.Errorf("%d:%d %o %v", st.Uid, st.Gid, st.Mode, err)
	}
	modes, err := unix.IoctlGetTermios(slave, unix.TCGETS)
	if err != nil || modes.Cc[unix.VERASE] != 8 || modes.Iflag&(unix.IXON|unix.IUTF8|unix.ICRNL) != unix.IUTF8|unix.ICRNL || modes.Lflag&unix.ICANON == 0 {
		t.Errorf("it is not set as was asked: %+v %v", modes, err)
	}
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil || n != 0 {
		t.Errorf("not the first of its own file system: %d %v", n, err)
	}
	if flags, err := unix.FcntlInt(uintptr(master), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("the master blocks: %v", err)
	}
}
