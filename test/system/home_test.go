package system

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The agent's home for each person: it lasts, and nobody else's agent sees it.
func TestHomesArePersonalAndLast(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	newHome(t, "operator")
	newHome(t, "observer")
	for _, who := range []account{operator, observer} {
		output(t, who, "aaau", "--", "sh", "-ec", "umask 022; echo "+who.name+" >~/mine; mkdir ~/.config; echo token >~/.config/token; chmod 755 ~ ~/.config")
	}
	for _, who := range []account{operator, observer} {
		if got := output(t, who, "aaau", "--", "sh", "-c", `cat ~/mine; echo "$HOME"; getent passwd agent | cut -d: -f6; find ~ -name mine; ls -A ~; find /var/lib/aaau -mindepth 1 -maxdepth 2 -not -path '*/agent/*' 2>/dev/null | sort; stat -c '%U:%G' ~`); got !=
			who.name+"\n/var/lib/aaau/agent\n/var/lib/aaau/agent\n/var/lib/aaau/agent/mine\n.config\nmine\n/var/lib/aaau/agent\n/var/lib/aaau/anchors\n/var/lib/aaau/homes\nagent:agent" {
			t.Errorf("%s's agent sees %q", who.name, got)
		}
		home := homeFor(t, who.name)
		for _, other := range []string{"operator", "observer", "outsider", "agent", "aaau-bridge", "nobody"} {
			a := as(t, other)
			a.home = "/"
			if r := run(t, a, "ls", home); r.status == 0 {
				t.Errorf("%s may look into %s", other, home)
			}
		}
	}
	if got := output(t, as(t, "root"), "stat", "-c", "%a %U", "/var/lib/aaau/homes", homeFor(t, "operator")); !regexp.MustCompile(`^700 root\n7[0-9]{2} agent$`).MatchString(got) {
		t.Errorf("on disk the homes are %q", got)
	}
}

// A home that is full, and what everybody hears of it.
func TestFullHomeFreezesItsSessions(t *testing.T) {
	begin(t)
	newHome(t, "operator")
	newHome(t, "observer")
	configure(t, "home-max=16M\n")
	since := journalNow(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	s, second, others := openShell(t, operator), openShell(t, operator), openShell(t, observer)
	o := sit(t, observer, "aaau", "-r", "-n", s.id)
	o.match(promptForm)
	s.typed("mkdir -p ~/a/b/c; cd ~/a/b/c; chmod 000 ..; head -c 30M /dev/zero >big\r")
	for _, c := range []*console{s.console, o, second.console} { // in words, to all
		c.match(`(?i)aaau: [^\n]*(home|full)`)
	}
	await(t, "the freeze", func() bool { return property(t, filepath.Base(scopeDir(t, s.id)), "FreezerState") == "frozen" })
	await(t, "a word in the journal", func() bool {
		return regexp.MustCompile(s.id + `.*home`).MatchString(messages(t, since, "aaau.service"))
	})
	others.prints("echo still here", "still here") // another person's agent has nothing to do with it
	output(t, as(t, "root"), "rm", "-r", homeFor(t, "operator")+"/a")
	for _, back := range []shell{s, second} {
		back.expect("continues")
		if out, _ := back.do("echo ag''ain"); !strings.Contains(out, "again\n") && !strings.HasSuffix(out, "again") {
			t.Errorf("it prints %q", out)
		}
		back.close()
	}
	o.leave()
	others.close()
}

func TestFrozenSessionsCanBeKilled(t *testing.T) {
	begin(t)
	newHome(t, "operator")
	configure(t, "home-max=16M\n")
	operator := as(t, "operator")
	s := openShell(t, operator)
	all := processes(t, s.id)
	s.typed("head -c 30M /dev/zero >~/big\r")
	s.match(`(?i)aaau: [^\n]*home`)
	await(t, "the freeze", func() bool { return property(t, filepath.Base(scopeDir(t, s.id)), "FreezerState") == "frozen" })
	// One may still come and look, detach, and is told why nothing moves.
	o := sit(t, operator, "aaau", "-n", s.id)
	o.match(`(?i)aaau: [^\n]*(home|frozen)`)
	o.typed("\x1d\x1d\x1d")
	o.ends(0)
	output(t, operator, "aaau", "kill", s.id)
	s.ends(137)
	for _, p := range all {
		if !p.ended() {
			t.Errorf("%v lives on", p)
		}
	}
	// Who begins another can make room.
	if got := shown(t, operator, "aaau", "--", "sh", "-c", "rm -f ~/big; echo room"); got != "room" {
		t.Errorf("a session in a full home: %q", got)
	}
	output(t, operator, "aaau", "-p", "true")
}

// A bridge that dies or is restarted leaves a session frozen whose home is too full.
func TestFullHomeStaysFrozenOverRestarts(t *testing.T) {
	begin(t)
	newHome(t, "operator")
	configure(t, "home-max=16M\n")
	s := openShell(t, as(t, "operator"))
	scope := filepath.Base(scopeDir(t, s.id))
	s.typed("head -c 30M /dev/zero >~/big\r")
	await(t, "the freeze", func() bool { return property(t, scope, "FreezerState") == "frozen" })
	for range 2 {
		since := journalNow(t)
		killBridge(t, 0)
		// The next one has looked at it when it has measured the home of one that begins later.
		output(t, as(t, "operator"), "aaau", "-p", "sleep 5")
		if said := messages(t, since, "aaau.service"); strings.Contains(said, "session "+s.id+": thaw") {
			t.Fatalf("the next bridge thawed it: %s", said)
		}
		if got := property(t, scope, "FreezerState"); got != "frozen" {
			t.Fatalf("after the bridge died it is %s", got)
		}
	}
	output(t, as(t, "root"), "rm", homeFor(t, "operator")+"/big")
	await(t, "its going on", func() bool { return property(t, scope, "FreezerState") == "running" })
	s.typed("echo still $((40+2))\r") // beside what it was told
	s.expect("still 42")
	s.close()
}

// What only looks large.
func TestHomesAreMeasuredInWhatTheyTake(t *testing.T) {
	begin(t)
	newHome(t, "operator")
	configure(t, "home-max=16M\n")
	s := openShell(t, as(t, "operator"))
	s.prints("truncate -s 1T ~/sparse; head -c 6M /dev/zero >~/six; for i in 1 2 3 4 5; do ln ~/six ~/six$i; done; ln -s / ~/root; head -c 30M /dev/zero >/tmp/big; sleep 1; echo fine", "fine")
	s.close()
}

// shown is what is on a terminal after the line with which a session begins.
func shown(t *testing.T, who account, argv ...string) string {
	t.Helper()
	c := sit(t, who, argv...)
	c.ends(0)
	_, text, _ := strings.Cut(plain(c.all()), "detach\n")
	return strings.TrimSuffix(text, "\n")
}

func TestWhatTravels(t *testing.T) {
	begin(t)
	travels := []string{"TERM=screen-256color", "COLORTERM=truecolor", "TERM_PROGRAM=WezTerm", "TERM_PROGRAM_VERSION=2024.1-x", "LANG=de_DE.UTF-8", "LC_ALL=C.UTF-8", "LC_TIME=en_DK.UTF-8", "LC_CTYPE=C", "LC_PAPER=x", "TZ=Europe/Berlin", "NO_COLOR=1",
		"http_proxy=http://p:1", "https_proxy=http://p:2", "HTTP_PROXY=http://p:3", "HTTPS_PROXY=http://p:4", "no_proxy=a,b", "NO_PROXY=c", "all_proxy=socks5://x", "ALL_PROXY=y", "SSL_CERT_FILE=/etc/ca.pem", "SSL_CERT_DIR=/etc/ca",
		"NODE_EXTRA_CA_CERTS=/etc/ca2.pem", "REQUESTS_CA_BUNDLE=/etc/ca3.pem", "CURL_CA_BUNDLE=/etc/ca4.pem", "GIT_SSL_CAINFO=/etc/ca5.pem"}
	stays := []string{"SECRET=x", "HOME=/home/operator", "AAAU_SESSION=mine", "SESSION_ID=mine", "XDG_RUNTIME_DIR=/run/user/2001", "XDG_CONFIG_HOME=/home/operator/x", "HISTFILE=/x", "PROMPT_COMMAND=x", "LC_ALL2=x", "SHELLOPTS=x", "BASHOPTS=x", "BASH_FUNC_id%%=() { echo evil; }",
		"GIT_DIR=/x", "GIT_CONFIG_GLOBAL=/x", "PYTHONSTARTUP=/x", "PERL5LIB=/x", "LS_COLORS=x", "MAIL=x", "OLDPWD=/x", "SUDO_USER=x", "USER=root", "npm_config_prefix=/x", "CARGO_HOME=/x", "VIRTUAL_ENV=/x", "CLAUDECODE=1"}
	got := "\n" + shown(t, as(t, "operator").with(append(slices.Clone(travels), stays[1:]...)...), "aaau", "-p", "env") + "\n"
	for _, v := range travels {
		if !strings.Contains(got, "\n"+v+"\n") {
			t.Errorf("%s does not travel", v)
		}
	}
	for _, v := range stays {
		if name, _, _ := strings.Cut(v, "="); strings.Contains(got, "\n"+v+"\n") || strings.Contains(got, "BASH_FUNC") || (strings.HasPrefix(name, "GIT_") && strings.Contains(got, "\n"+name+"=")) {
			t.Errorf("%s travels", v)
		}
	}
}

func TestUnknownTerminalsFallBack(t *testing.T) {
	begin(t)
	for term, want := range map[string]string{"xterm-kitty": "", "xterm-ghostty": "", "alacritty": "", "no-such-terminal": "xterm-256color", "../../etc/passwd": "", "": "", "dumb": "dumb", "linux": "linux"} {
		got := shown(t, as(t, "operator").with("TERM="+term), "aaau", "--", "sh", "-c", "echo $TERM; infocmp >/dev/null && echo known")
		name, known, _ := strings.Cut(got, "\n")
		if known != "known" || want != "" && name != want {
			t.Errorf("TERM=%q is %q inside", term, got)
		}
	}
}

func TestUmaskTravels(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	dir := tree(t, operator, "umask")
	for _, umask := range []string{"002", "022", "027", "077"} {
		sh(t, operator, dir, "umask "+umask+"; aaau -C . -- sh -c 'touch f"+umask+"; mkdir d"+umask+"; umask'")
	}
	if got := sh(t, operator, dir, "stat -c '%a %n' f* d*"); got != "664 f002\n644 f022\n640 f027\n600 f077\n775 d002\n755 d022\n750 d027\n700 d077" {
		t.Errorf("it made %q", got)
	}
}

func TestRuntimeDirectoryIsPrivate(t *testing.T) {
	begin(t)
	a, b := openShell(t, as(t, "operator")), openShell(t, as(t, "observer"))
	a.prints("stat -c '%a %U' $XDG_RUNTIME_DIR; ls -A $XDG_RUNTIME_DIR; echo x >$XDG_RUNTIME_DIR/x; ls /run/user | wc -l", "700 agent\n1")
	b.prints("ls -A $XDG_RUNTIME_DIR; ls /run/user | wc -l", "1")
	a.close()
	b.close()
}

// The one line that says what one is in for.
func TestFirstLineTellsAll(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	dir, lib := tree(t, operator, "shop"), tree(t, operator, "lib")
	c := sit(t, operator, at(dir, "aaau", "--workspace", ".", "--workspace", lib+":ro", "--", "true")...)
	c.ends(0)
	lines := strings.Split(strings.TrimSuffix(plain(c.all()), "\n"), "\n")
	if len(lines) != 1 {
		t.Errorf("it is %d lines: %q", len(lines), lines)
	}
	for _, word := range []string{"shop", "agent", "~/shop", "~/lib", "read", "recorded", "detach", "home"} {
		if !strings.Contains(lines[0], word) {
			t.Errorf("it does not say %q: %q", word, lines[0])
		}
	}
	// Who joins is told as well; and nobody is told where there is no terminal.
	s := openShell(t, operator, "-C", dir)
	o := sit(t, operator, "aaau", "-n", s.id)
	o.match("session " + s.id + `[^\n]*~/shop[^\n]*\n`)
	o.typed("\x1d\x1d\x1d")
	o.leave()
	s.close()
}

// secret is found nowhere that it need not be: not in an argv, not in a log, not in
// the record, not where others look.
func searchFor(t *testing.T, since, secret string) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	self := fmt.Sprintf("/proc/%d/", os.Getpid())
	for _, name := range lines {
		if text, err := os.ReadFile(name); err == nil && bytes.Contains(text, []byte(secret)) && !strings.HasPrefix(name, self) {
			t.Errorf("%s has the secret: %q", name, text)
		}
	}
	for _, service := range []string{"aaau.service", "aaau-launcher.service"} {
		if env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", mainPID(t, service))); err != nil || bytes.Contains(env, []byte(secret)) {
			t.Errorf("%s has the secret in its environment: %v", service, err)
		}
	}
	if said := journal(t, since, "--output=json", "--all"); strings.Contains(said, secret) {
		t.Error("the journal has the secret")
	}
	out, _ := exec.Command("grep", "-rlF", secret, "/var/log/aaau", "/run/aaau", "/run/systemd", "/var/lib/aaau", "/etc/aaau").Output()
	for f := range strings.Lines(string(out)) {
		if f = strings.TrimSpace(f); !strings.HasPrefix(f, "/run/systemd/journal") {
			t.Errorf("%s has the secret", f)
		}
	}
}

func TestVariablesByName(t *testing.T) {
	begin(t)
	since := journalNow(t)
	const secret = "hunter2-hunter2-hunter2"
	addAlias(t, "keyed", "program=/bin/bash\nenv=MY_KEY OTHER_KEY\nany-program=yes\n")
	operator := as(t, "operator").with("MY_KEY="+secret, "OTHER_KEY=other", "THIRD_KEY=third", "LD_PRELOAD_X=x")
	c := sit(t, operator, "aaau", "--env", "MY_KEY", "keyed", "-c", `echo had ${#MY_KEY}; echo "${OTHER_KEY-none}"; echo ready; read x`)
	first := c.match(`session ([0-9a-z]+)[^\n]*\n`)
	if !strings.Contains(first[1], "MY_KEY") || strings.Contains(first[1], secret) {
		t.Errorf("announced is %q", first[1])
	}
	c.expect("had 23\r\nnone\r\nready\r\n")
	searchFor(t, since, secret)
	// A session with a secret is its owner's.
	for _, argv := range [][]string{{"-n", first[2]}, {"-r", "-n", first[2]}} {
		refused(t, as(t, "observer"), []string{"no session", first[2]}, append([]string{"aaau"}, argv...)...)
	}
	refused(t, as(t, "observer"), []string{"no session", first[2]}, "aaau", "kill", first[2])
	o := sit(t, operator, "aaau", "-r", "-n", first[2])
	o.expect("ready")
	o.typed("\x1d\x1d\x1d")
	o.leave()
	c.typed("\r")
	c.ends(0)
	searchFor(t, since, secret)

	refused(t, operator, []string{"THIRD_KEY", "keyed", "env="}, "aaau", "--env", "THIRD_KEY", "keyed", "-c", "true")
	refused(t, operator, []string{"UNSET_KEY"}, "aaau", "--env", "UNSET_KEY", "keyed", "-c", "true")
	refused(t, operator, []string{"MY_KEY"}, "aaau", "--env", "MY_KEY", "-p", "true") // the shell's profile has none
	refused(t, operator, []string{"--env"}, "aaau", "--env", "MY_KEY=value", "keyed", "-c", "true")
	refused(t, operator, []string{"--env"}, "aaau", "--env", "", "keyed", "-c", "true")
	searchFor(t, since, secret)
	if got := output(t, operator, "aaau", "--env", "MY_KEY", "--env", "OTHER_KEY", "keyed", "-c", `echo "$MY_KEY $OTHER_KEY"`); got != secret+" other" {
		t.Errorf("both are %q", got)
	}
}

// A secret of the machine's, by way of systemd.
func TestCredentials(t *testing.T) {
	begin(t)
	const secret, dropIn = "opensesame-opensesame", "/etc/systemd/system/aaau-launcher.service.d/90-test.conf"
	since := journalNow(t)
	if err := os.MkdirAll(filepath.Dir(dropIn), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		os.RemoveAll(filepath.Dir(dropIn))
		os.Remove("/etc/aaau-test-key")
		systemctl(t, "daemon-reload")
		systemctl(t, "restart", "aaau-launcher.service")
	})
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("/etc/aaau-test-key", secret+"\n", 0o600)
	write(dropIn, "[Service]\nLoadCredential=test-key:/etc/aaau-test-key\n", 0o644)
	addAlias(t, "credentialed", "program=/bin/bash\nworkspace=yes\ncredential=test-key TEST_KEY\n")
	addAlias(t, "missing", "program=/bin/bash\ncredential=no-such-key TEST_KEY\n")
	operator, observer := as(t, "operator"), as(t, "observer")
	dir := tree(t, operator, "project")

	refusedAt(t, operator, dir, []string{"test-key", "LoadCredential"}, "aaau", "credentialed", "-c", "true") // before the launcher has it
	systemctl(t, "daemon-reload")
	systemctl(t, "restart", "aaau-launcher.service")
	c := sit(t, operator, at(dir, "aaau", "--no-workspace", "credentialed", "-c", `echo had ${#TEST_KEY}; echo ready; read x`)...)
	first := c.match(`session ([0-9a-z]+)[^\n]*\n`)
	if !strings.Contains(first[1], "TEST_KEY") && !strings.Contains(first[1], "test-key") {
		t.Errorf("announced is %q", first[1])
	}
	c.expect("had 21\r\nready\r\n")
	refused(t, observer, []string{"no session", first[2]}, "aaau", "-r", "-n", first[2])
	out, _ := exec.Command("grep", "-rlF", secret, "/var/log/aaau", "/run/aaau", "/var/lib/aaau").Output()
	if len(out) > 0 {
		t.Errorf("found in %s", out)
	}
	if said := journal(t, since, "--output=json", "--all"); strings.Contains(said, secret) {
		t.Error("the journal has the secret")
	}
	c.typed("\r")
	c.ends(0)
	refused(t, operator, []string{"no-such-key"}, "aaau", "missing", "-c", "true")
	// Nobody reads it from outside of a session, or in another profile's.
	if got := output(t, operator, "aaau", "--", "sh", "-c", `env | grep KEY; cat /run/credentials/*/* 2>/dev/null; true`); strings.Contains(got, secret) {
		t.Errorf("another session has %q", got)
	}
	if r := run(t, operator, "sh", "-c", "cat /run/credentials/*/*"); strings.Contains(r.stdout, secret) {
		t.Error("anybody can read the launcher's credential")
	}
}

// All that people type after an alias is the program's.
func TestArgumentsGoUnchanged(t *testing.T) {
	begin(t)
	addAlias(t, "argued", "program="+helper+" argv 'its own'\n")
	operator := as(t, "operator")
	for _, args := range [][]string{
		{"--resume"}, {"-p", "hello"}, {"-n", "x", "-r"}, {"--help"}, {"--version"}, {"-C", "/tmp"}, {"--workspace", "x"}, {"--"}, {"a", "--", "b"}, {"-"}, {""}, {"'", `"`, "$HOME", "`id`", "a b"}, {"kill", "x"}, {"setup"}, {"--no-workspace"}, {"-h"}, {"\xff\n"}, {"--env", "X"},
	} {
		want := fmt.Sprintf("%q\n", "its own")
		for _, a := range args {
			want += fmt.Sprintf("%q\n", a)
		}
		if r := run(t, operator, append([]string{"aaau", "argued"}, args...)...); r.stdout != want || r.status != 0 {
			t.Errorf("%q came as %+v", args, r)
		}
		want = strings.TrimPrefix(want, fmt.Sprintf("%q\n", "its own"))
		for _, before := range [][]string{{"aaau"}, {"aaau", "connect"}} {
			if r := run(t, operator, append(append(before, "--", helper, "argv"), args...)...); r.stdout != want || r.status != 0 {
				t.Errorf("%q came by -- as %+v", args, r)
			}
		}
	}
	// An alias whose program nobody may change.
	refused(t, operator, []string{"argued"}, "aaau", "-p", "id", "argued")
}

func TestPathBeginsWithTheHomes(t *testing.T) {
	begin(t)
	newHome(t, "operator")
	home := homeFor(t, "operator")
	for _, dir := range []string{".local/bin", "bin"} {
		if err := os.MkdirAll(home+"/"+dir, 0o755); err != nil {
			t.Fatal(err)
		}
		script(t, home+"/"+dir+"/tool-"+filepath.Base(filepath.Dir(dir)), "#!/bin/sh\necho own\n", 0o755)
		output(t, as(t, "root"), "chown", "-R", "agent:agent", home)
	}
	operator := as(t, "operator").with("PATH=/home/operator/bin:/opt/x:/usr/local/bin:/usr/bin:/bin")
	path := filepath.SplitList(output(t, operator, "aaau", "--", "sh", "-c", `echo "$PATH"`))
	if !strings.HasPrefix(path[0], "/var/lib/aaau/agent/") || slices.Contains(path, "/home/operator/bin") || !slices.Contains(path, "/usr/bin") {
		t.Errorf("PATH is %q", path)
	}
	if got := output(t, operator, "aaau", "-p", "tool-."); got != "own" {
		t.Errorf("the home's own program says %q", got)
	}
}

// Nothing that makes a file somebody else's to run, whatever the way to it.
func TestNoSetuidFiles(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	dir := tree(t, operator, "setuid")
	sh(t, operator, dir, "cp /bin/true mine; cp /bin/true /tmp/setuid.c 2>/dev/null; rm -f /tmp/setuid.c")
	inside(t, operator, dir, `set +e; exec 2>/dev/null
		for m in 4755 2755 6755 u+s g+s +s 06777; do cp /bin/true c$m; chmod $m c$m; install -m $m /bin/true i$m; done; chmod u+s mine; chmod g+s mine
		unshare -Ur chmod 6755 mine; unshare -Urm sh -c 'chmod 6755 mine; mount -t tmpfs x /mnt; cp mine /mnt; chmod 6755 /mnt/mine; cp -a /mnt/mine tmpfs; mv /mnt/mine moved'
		python3 - <<'END'
import os, ctypes
def attempt(f):
    try: f()
    except Exception as e: pass
attempt(lambda: os.close(os.open("o1", os.O_CREAT|os.O_WRONLY, 0o6755)))
attempt(lambda: os.mknod("m1", 0o106755))
attempt(lambda: os.fchmod(os.open("mine", os.O_RDONLY), 0o6755))
attempt(lambda: os.chmod("mine", 0o6755, follow_symlinks=False))
libc = ctypes.CDLL(None)
for n, args in ((90, (b"mine", 0o6755)), (91, (os.open("mine", os.O_RDONLY), 0o6755)), (268, (-100, b"mine", 0o6755, 0)), (452, (-100, b"mine", 0o6755, 0)), (85, (b"cr", 0o6755)), (2, (b"op", 0o102, 0o6755)),
                (257, (-100, b"oa", 0o102, 0o6755)), (133, (b"mn", 0o106755, 0)), (259, (-100, b"mna", 0o106755, 0)), (0x40000000 + 90, (b"mine", 0o6755)), (90, (b"mine", (7 << 32) + 0o6755))):
    attempt(lambda: libc.syscall(ctypes.c_long(n), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args]))
class How(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]
attempt(lambda: libc.syscall(437, -100, b"o2", ctypes.byref(How(0o102, 0o6755, 0)), 24))
for name, value in ((b"security.capability", b"\x01\x00\x00\x02" + b"\xff" * 16), (b"security.capability", b"\x01\x00\x00\x03" + b"\xff" * 16 + b"\x00" * 4), (b"system.posix_acl_access", b"\x02\x00\x00\x00")):
    attempt(lambda: os.setxattr("mine", name, value))
END
		tar --version >/dev/null && { mkdir t; cp /bin/true t/x; tar c --mode=6755 t | tar xp --overwrite; }; rsync -a --chmod=6755 mine rs; sh -c 'umask 0; touch u'; mkdir d; chmod 2777 d; touch d/x; true`)
	if got := output(t, as(t, "root"), "find", dir, "-type", "f", "-perm", "/6000"); got != "" {
		t.Errorf("there are setuid files of the operator's: %q", got)
	}
	if got := output(t, as(t, "root"), "find", dir, "!", "-type", "f", "!", "-type", "d"); got != "" {
		t.Errorf("there are also %q", got)
	}
	caps := make([]byte, 100)
	if n, err := unix.Getxattr(dir+"/mine", "security.capability", caps); err == nil {
		t.Errorf("it has capabilities: %x", caps[:n])
	}
	// By the other gate into the kernel.
	if out, err := exec.Command("sh", "-c", `printf '
		.globl _start
		_start: mov $15,%%eax
		mov $name,%%ebx
		mov $0xded,%%ecx
		int $0x80
		mov $1,%%eax
		xor %%ebx,%%ebx
		int $0x80
		.data
		name: .asciz "mine"
	' >/tmp/g.s && gcc -nostdlib -static -no-pie -o /usr/local/bin/aaau-test-gate /tmp/g.s`).CombinedOutput(); err != nil {
		t.Skipf("no program for the 32-bit gate: %s", out)
	}
	t.Cleanup(func() { os.Remove("/usr/local/bin/aaau-test-gate"); os.Remove("/tmp/g.s") })
	run(t, operator, at(dir, "aaau", "-C", ".", "--", "/usr/local/bin/aaau-test-gate")...)
	if got := output(t, as(t, "root"), "find", dir, "-type", "f", "-perm", "/6000"); got != "" {
		t.Errorf("by int 0x80 there are setuid files of the operator's: %q", got)
	}
	run(t, operator, at(dir, "/usr/local/bin/aaau-test-gate")...)
	if got := output(t, as(t, "root"), "find", dir, "-type", "f", "-perm", "/6000"); got == "" {
		t.Log("this machine's kernel has no 32-bit gate")
	}
}
