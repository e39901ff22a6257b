package system

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A newcomer is told what to do, does it, and has codex in their checkout: installed
// by npm, for them alone, in the home that the agent has for them.
func TestSetupCodex(t *testing.T) {
	beginLong(t, 3*lifetime)
	withoutAgents(t)
	npm := openRegistry(t)
	operator, observer := npm.customer("operator"), npm.customer("observer")
	newHome(t, "operator")
	newHome(t, "observer")
	here, there := newCheckout(t, operator), newCheckout(t, observer)
	before := inventory(t, operator.home)

	needsSetup(t, operator, here, "codex")

	c := sit(t, operator, "aaau", "setup", "--env", "npm_config_registry", "codex", "--no-login")
	c.expect("aaau: installing codex in your agent's home")
	installs(c)
	c.expect("aaau: codex is set up; start it in a project: aaau codex")
	c.ends(0)

	c = sitAt(t, operator, 40, 120, answers, "env", "--chdir="+here, "aaau", "codex")
	id := c.session()
	c.match(`Welcome to \S*Codex`)
	c.match(`> \S*1\. \S*Sign in`)
	codex := find(t, id, "codex", func(process) bool { return true })
	installed := filepath.Join(homeFor(t, "operator"), ".local/lib/node_modules/@openai/codex")
	programs, err := filepath.Glob(installed + "/node_modules/@openai/codex-linux-*/vendor/*/bin/codex")
	if err != nil || len(programs) != 1 {
		t.Fatalf("installed are the programs %q, %v", programs, err)
	}
	leadsTo(t, codex, "exe", programs[0])
	leadsTo(t, codex, "cwd", here)
	output(t, operator, "aaau", "kill", id)
	if status, rest := c.leave(); status != 143 || strings.Contains(rest, "changed in this session") {
		t.Errorf("killed it ended with status %d, and the last it said was %q", status, rest)
	}
	isAsBefore(t, operator, before)

	needsSetup(t, observer, there, "codex")

	// Once more, now without a terminal, and there is something newer.
	old := npm.release("@openai/codex", "999.0.0")
	if got := versionOf(t, installed); got != old {
		t.Errorf("version %s is installed, not %s", got, old)
	}
	r := feedFor(t, lifetime, operator, "", "aaau", "setup", "--env", "npm_config_registry", "codex", "--no-login")
	if r.status != 0 || !strings.HasSuffix(r.stderr, "aaau: codex is set up; start it in a project: aaau codex\n") {
		t.Errorf("a second setup: status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
	}
	if got := versionOf(t, installed); got != "999.0.0" {
		t.Errorf("after a second setup version %s is installed", got)
	}
	said := output(t, operator, "aaau", "--", "sh", "-c", "command -v codex && codex --version")
	if name, version, _ := strings.Cut(said, "\n"); name != "/var/lib/aaau/agent/.local/bin/codex" || !strings.HasPrefix(version, "codex-cli ") {
		t.Errorf("after a second setup codex is %q", said)
	}
}

// There is no network beyond the registry: claude says that it cannot connect, and
// ends.
func TestSetupClaude(t *testing.T) {
	begin(t)
	withoutAgents(t)
	operator := openRegistry(t).customer("operator")
	newHome(t, "operator")
	here := newCheckout(t, operator)
	before := inventory(t, operator.home)
	needsSetup(t, operator, here, "claude")

	c := sit(t, operator, "aaau", "setup", "--env", "npm_config_registry", "claude", "--no-login")
	installs(c)
	c.expect("aaau: claude is set up; start it in a project: aaau claude")
	c.ends(0)

	c = sitAt(t, operator, 40, 120, answers, "env", "--chdir="+here, "aaau", "claude")
	c.match(`Welcome\S* ?to\S* ?Claude\S* ?Code`)
	c.match(`Unable\S* ?to\S* ?connect`)
	c.ends(1)
	isAsBefore(t, operator, before)
}

// A registry that does not answer is npm's to explain, and then there is a line that
// says what it was that failed.
func TestSetupWithoutRegistry(t *testing.T) {
	begin(t)
	withoutAgents(t)
	npm := openRegistry(t)
	npm.Close()
	operator := npm.customer("operator")
	newHome(t, "operator")
	here := newCheckout(t, operator)
	output(t, operator, "aaau", "--", "npm", "config", "set", "fetch-retries=0") // or it tries for 70 s
	argv := []string{"aaau", "setup", "--env", "npm_config_registry", "codex", "--no-login"}

	r := run(t, operator, argv...)
	const failed = "aaau: installing codex failed (exit status 1)\n"
	if r.status != 1 || !strings.HasSuffix(r.stderr, failed) || !strings.Contains(r.stdout+r.stderr, "ECONNREFUSED") {
		t.Errorf("without a terminal: status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
	}
	c := sit(t, operator, argv...)
	c.expect("ECONNREFUSED")
	if status, rest := c.leave(); status != 1 || !strings.HasSuffix(rest, failed) {
		t.Errorf("on a terminal: status %d, and the last it said was %q", status, rest)
	}
	needsSetup(t, operator, here, "codex")
}

// The login is a talk between the person and a program in the agent's home.
func TestSetupLogin(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	newHome(t, "operator")
	home := homeFor(t, "operator")
	const login = `cat installed; pwd; stty size; printf "Code: "; read -r code; echo "$code" >token; test "$code" = right`
	writeProfile(t, "newcomer", "program=cat token", "install=echo it is here >installed", "login=sh -c '"+login+"'")

	enter := func(code string) *console {
		t.Helper()
		c := sitAt(t, operator, 31, 97, nil, "aaau", "setup", "newcomer")
		c.expect("aaau: installing newcomer in your agent's home")
		c.expect("aaau: signing newcomer in")
		c.match(`it is here\r\n/var/lib/aaau/agent\r\n31 97\r\nCode: $`)
		c.typed(code + "\r")
		return c
	}
	c := enter("right")
	c.expect("aaau: newcomer is set up; start it in a project: aaau newcomer")
	c.ends(0)
	if got := output(t, operator, "aaau", "newcomer"); got != "right" {
		t.Errorf("the program finds the token %q", got)
	}
	for _, name := range []string{"installed", "token"} {
		if got, want := uidOf(t, filepath.Join(home, name)), as(t, "agent").uid; got != want {
			t.Errorf("%s is of uid %d, not of %d", name, got, want)
		}
	}
	c = enter("wrong")
	if status, rest := c.leave(); status != 1 || !strings.HasSuffix(rest, "aaau: signing in newcomer failed (exit status 1)\n") {
		t.Errorf("a failed login: status %d, and the last it said was %q", status, rest)
	}

	// There is none after --no-login, and none after an installation that failed.
	for _, name := range []string{"installed", "token"} {
		if err := os.Remove(filepath.Join(home, name)); err != nil {
			t.Fatal(err)
		}
	}
	skips := func(want int, last string, args ...string) {
		t.Helper()
		c := sit(t, operator, append([]string{"aaau", "setup", "newcomer"}, args...)...)
		if status, all := c.leave(); status != want || strings.Contains(all, "signing") || !strings.HasSuffix(all, last) {
			t.Errorf("%q: status %d, and it said %q", args, status, all)
		}
		if names := inventory(t, home); names["token"] != "" {
			t.Errorf("%q: the login has run", args)
		}
	}
	skips(0, "aaau: newcomer is set up; start it in a project: aaau newcomer\n", "--no-login")
	if inventory(t, home)["installed"] == "" {
		t.Error("with --no-login nothing was installed")
	}
	writeProfile(t, "newcomer", "install=exit 7", "login=sh -c '"+login+"'")
	skips(7, "aaau: installing newcomer failed (exit status 7)\n")
}

// needsSetup makes sure that a person is told in one line how to get an alias's
// program.
func needsSetup(t *testing.T, who account, dir, alias string) {
	t.Helper()
	r := run(t, who, "env", "--chdir="+dir, "aaau", alias)
	if r.status != 127 || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 || !strings.HasSuffix(r.stderr, ": aaau setup "+alias+"\n") {
		t.Errorf("%s: aaau %s: status %d, stdout %q, stderr %q", who.name, alias, r.status, r.stdout, r.stderr)
	}
}

// installs waits for npm's last words, patiently while it shows that it is at work.
func installs(c *console) {
	c.t.Helper()
	for c.match(`added 2 packages|\x1b\[[0-9;]*[A-Za-z]`)[1][0] == '\x1b' {
	}
}

// withoutAgents makes this a machine without codex and claude. Its root is a copy.
func withoutAgents(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"/usr/local/bin", "/usr/bin"} {
		for _, name := range []string{"codex", "claude"} {
			if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
}

// writeProfile writes an administrator's profile, for the length of a test.
func writeProfile(t *testing.T, name string, lines ...string) {
	t.Helper()
	const dir = "/etc/aaau/profiles.d"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) }) // if it is empty
	file := filepath.Join(dir, name+".conf")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(file) })
}

// newCheckout makes a git repository with a commit in a person's home, which is closed
// to all others, for the length of a test.
func newCheckout(t *testing.T, who account) string {
	t.Helper()
	dir := filepath.Join(who.home, "checkout")
	t.Cleanup(func() { os.RemoveAll(dir) })
	output(t, who, "git", "init", "--quiet", "--initial-branch=main", dir)
	output(t, who, "sh", "-ec", `cd "$0"; echo hello >README; git add README
		git -c user.name=x -c user.email=x@example.com commit --quiet --message=first`, dir)
	if fi, err := os.Stat(who.home); err != nil || fi.Mode().Perm() != 0o700 {
		t.Fatalf("%s is not closed: %v, %v", who.home, fi, err)
	}
	return dir
}

// inventory is what there is below a directory, and whose it is.
func inventory(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		st := fi.Sys().(*syscall.Stat_t)
		name, err = filepath.Rel(dir, name)
		all[name] = fmt.Sprintf("%v %d:%d", fi.Mode(), st.Uid, st.Gid)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// isAsBefore makes sure that a person's home is as it was, as far as git can tell; a
// session makes sure that there is a commondir.
func isAsBefore(t *testing.T, who account, before map[string]string) {
	t.Helper()
	mine := fmt.Sprintf(" %d:%d", who.uid, who.gid)
	after := inventory(t, who.home)
	for name, is := range after {
		if was := before[name]; is != was && !(name == "checkout/.git/commondir" && is == "-rw-r--r--"+mine) {
			t.Errorf("%s is %q, and was %q", name, is, was)
		}
	}
	for name := range before {
		if after[name] == "" {
			t.Errorf("%s is gone", name)
		}
	}
	if said := output(t, who, "git", "-C", "checkout", "status", "--porcelain", "--ignored"); said != "" {
		t.Errorf("git finds %q", said)
	}
}

func uidOf(t *testing.T, name string) uint32 {
	t.Helper()
	fi, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Sys().(*syscall.Stat_t).Uid
}

// leadsTo makes sure that what a link in a process's directory of /proc leads to is
// the file of this name.
func leadsTo(t *testing.T, p process, link, name string) {
	t.Helper()
	link = fmt.Sprintf("/proc/%d/%s", p.pid, link)
	got, err := os.Stat(link)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(got, want) {
		shown, err := os.Readlink(link)
		t.Errorf("%s leads to %q (%v), not to %s", link, shown, err, name)
	}
}

// registry is what npm installs from: it has the agents that build/agents has, which
// is those for this machine.
type registry struct {
	*httptest.Server
	t *testing.T

	mu     sync.Mutex // guards what follows
	all    []*npmPackage
	latest map[string]string // by a package's name, its version
}

// npmPackage is one version of a package.
type npmPackage struct {
	dir     string         // of its files
	about   map[string]any // its package.json
	instead map[string][]byte
	// integrity is of the archive, which is made anew, and always the same, whenever
	// somebody asks for it: it is large.
	integrity func() (string, error)
}

func (p *npmPackage) name() string    { return p.about["name"].(string) }
func (p *npmPackage) version() string { return p.about["version"].(string) }

// archive is its path on the registry.
func (p *npmPackage) archive() string {
	return fmt.Sprintf("/%s/-/%s-%s.tgz", p.name(), path.Base(p.name()), p.version())
}

// openRegistry starts one on a port of its own, for the length of a test.
func openRegistry(t *testing.T) *registry {
	t.Helper()
	r := &registry{t: t, latest: map[string]string{}}
	const modules = "../../build/agents/node_modules/"
	dirs, err := filepath.Glob(modules + "@*/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("there are no agents: %v: install them with test/deps agents", err)
	}
	for _, dir := range dirs {
		p := newPackage(t, dir)
		r.all = append(r.all, p)
		if strings.HasSuffix(dir, "/"+p.name()) { // the others are of that name by an alias only
			r.latest[p.name()] = p.version()
		}
	}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func newPackage(t *testing.T, dir string) *npmPackage {
	t.Helper()
	p := &npmPackage{dir: dir, instead: map[string][]byte{}}
	text, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err == nil {
		err = json.Unmarshal(text, &p.about)
	}
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	if scripts, _ := p.about["scripts"].(map[string]any); scripts["postinstall"] != nil {
		// It comes with a placeholder, which its script has replaced here.
		for _, name := range p.about["bin"].(map[string]any) {
			p.instead[name.(string)] = []byte("#!/bin/sh\necho the script was not run >&2\nexit 1\n")
		}
	}
	p.integrity = sync.OnceValues(func() (string, error) {
		sum := sha512.New()
		err := p.write(sum)
		return "sha512-" + base64.StdEncoding.EncodeToString(sum.Sum(nil)), err
	})
	return p
}

// customer is a person with the registry's address in their environment.
func (r *registry) customer(name string) account {
	r.t.Helper()
	return as(r.t, name).with("npm_config_registry=" + r.URL)
}

// release adds a new version of a package, with the same files, and returns what was
// the latest one.
func (r *registry) release(name, version string) (old string) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	old = r.latest[name]
	i := slices.IndexFunc(r.all, func(p *npmPackage) bool { return p.name() == name && p.version() == old })
	p := newPackage(r.t, r.all[i].dir)
	p.about["version"] = version
	text, err := json.Marshal(p.about)
	if err != nil {
		r.t.Fatal(err)
	}
	p.instead["package.json"] = text
	r.all = append(r.all, p)
	r.latest[name] = version
	return old
}

func (r *registry) serve(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	all, latest := slices.Clone(r.all), maps.Clone(r.latest)
	r.mu.Unlock()
	versions := map[string]any{}
	for _, p := range all {
		switch req.URL.Path { // with the name's %2f decoded
		case p.archive():
			if err := p.write(w); err != nil {
				panic(http.ErrAbortHandler) // the client misses the end
			}
			return
		case "/" + p.name():
			integrity, err := p.integrity()
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			about := maps.Clone(p.about)
			about["dist"] = map[string]string{"tarball": r.URL + p.archive(), "integrity": integrity}
			versions[p.version()] = about
		}
	}
	if len(versions) == 0 { // other machines' programs, and npm itself
		http.NotFound(w, req)
		return
	}
	name := strings.TrimPrefix(req.URL.Path, "/")
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // the client may be gone
		"name": name, "dist-tags": map[string]string{"latest": latest[name]}, "versions": versions,
	})
}

// write makes its archive, as npm pack does, but for the compression.
func (p *npmPackage) write(to io.Writer) error {
	zipped, err := gzip.NewWriterLevel(to, gzip.NoCompression)
	if err != nil {
		return err
	}
	files := tar.NewWriter(zipped)
	err = filepath.WalkDir(p.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		fi, err := f.Stat()
		if err != nil {
			return err
		}
		if name, err = filepath.Rel(p.dir, name); err != nil {
			return err
		}
		header := tar.Header{Name: "package/" + name, Mode: int64(fi.Mode().Perm()), Size: fi.Size(), ModTime: time.Unix(0, 0)}
		content := io.Reader(f)
		if text, ok := p.instead[name]; ok {
			header.Size, content = int64(len(text)), strings.NewReader(string(text))
		}
		if err := files.WriteHeader(&header); err != nil {
			return err
		}
		_, err = io.Copy(files, content)
		return err
	})
	return errors.Join(err, files.Close(), zipped.Close())
}

// versionOf is an installed package's.
func versionOf(t *testing.T, dir string) string {
	t.Helper()
	return newPackage(t, dir).version()
}
