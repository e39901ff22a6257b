package system

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tools gives the operator node, as nvm installs it.
func tools(t *testing.T) {
	t.Helper()
	operator := as(t, "operator")
	sh(t, operator, operator.home, `
		v=.nvm/versions/node/v20.20.2; mkdir -p $v/bin $v/lib/node_modules; cp /usr/bin/node $v/bin/; npm=$(dirname "$(dirname "$(readlink -f /usr/bin/npm)")")
		# Debian's has some of its modules beside itself.
		case $npm in /usr/share/nodejs/*) ln -s $npm $v/lib/node_modules/npm;; *) cp -r $npm $v/lib/node_modules/npm; esac
		ln -s ../lib/node_modules/npm/bin/npm-cli.js $v/bin/npm; ln -s ../lib/node_modules/npm/bin/npx-cli.js $v/bin/npx`)
	t.Cleanup(func() { output(t, as(t, "root"), "rm", "-rf", operator.home+"/.nvm") })
}

// toolBins are where people's tools are, as each of them installs itself.
var toolBins = []string{
	".nvm/versions/node/v20.20.2/bin", ".pyenv/shims", ".pyenv/bin", ".pyenv/versions/3.12.1/bin", ".local/share/uv/tools/ruff/bin", ".local/share/uv/python/cpython-3.12/bin", ".cargo/bin", ".rustup/toolchains/stable/bin",
	"go/bin", "sdk/go1.25.0/bin", ".local/share/mise/shims", ".local/share/mise/installs/node/22/bin", ".asdf/shims", ".asdf/bin", ".linuxbrew/bin",
	".bun/bin", ".deno/bin", ".local/share/pnpm", "miniconda3/bin", ".rbenv/shims", ".sdkman/candidates/java/21/bin", ".local/share/fnm/node-versions/v22/installation/bin", ".config/composer/vendor/bin",
	".dotnet/tools", ".krew/bin", ".ghcup/bin", ".local/bin",
}

// toolSecrets lie among or beside them.
var toolSecrets = []string{
	".npmrc", ".pypirc", ".netrc", ".cargo/credentials.toml", ".cargo/credentials", ".cargo/config.toml", ".cargo/registry/cache/x", ".cargo/git/x", ".config/uv/uv.toml", ".config/mise/config.toml", ".cache/uv/x", ".cache/pip/x", ".npm/_cacache/x",
	"go/pkg/mod/x", "go/src/private/x", ".config/gh/hosts.yml", ".ssh/id_ed25519", ".local/share/keyrings/login.keyring", ".local/share/mise/state/x", ".local/state/mise/x", ".local/share/other/x", ".asdfrc", ".config/go/env", "bin/personal",
	".local/share/uv/credentials/x", ".config/composer/auth.json", ".dotnet/corefx/cryptography/x509stores/my/x", "miniconda3/.condarc", ".gem/credentials", ".config/pnpm/rc", ".local/share/fnm/node-versions/v20/installation/etc/npmrc",
}

func fakeTools(t *testing.T) account {
	t.Helper()
	operator := as(t, "operator")
	var path []string
	var script strings.Builder
	for _, dir := range toolBins {
		name := "tool-" + strings.NewReplacer("/", "-", ".", "").Replace(dir)
		script.WriteString("mkdir -p " + dir + "; printf '#!/bin/sh\\necho " + name + "\\n' >" + dir + "/" + name + "; chmod 755 " + dir + "/" + name + "\n")
		path = append(path, operator.home+"/"+dir)
	}
	for _, f := range toolSecrets {
		script.WriteString("mkdir -p " + filepath.Dir(f) + "; echo a-secret-of-mine >" + f + "; chmod 644 " + f + "\n")
	}
	script.WriteString("chmod -R a+rX .")
	sh(t, operator, operator.home, script.String())
	t.Cleanup(func() {
		sh(t, as(t, "root"), operator.home, "rm -rf .nvm .pyenv .local .cargo .rustup go sdk .asdf .linuxbrew .bun .deno miniconda3 .rbenv .sdkman .dotnet .krew .ghcup .gem .npmrc .pypirc .netrc .config .cache .npm .ssh .asdfrc bin; chmod 700 .")
	})
	return operator.with("PATH=" + strings.Join(path, ":") + ":/home/operator/bin:/usr/local/bin:/usr/bin:/bin:/usr/games")
}

func TestToolsAreThereAndReadOnly(t *testing.T) {
	begin(t)
	addAlias(t, "tooled", "program=/bin/bash\ntools=yes\n")
	addAlias(t, "working", "program=/bin/bash\ntools=yes\nworkspace=yes\n")
	addAlias(t, "without", "program=/bin/bash\ntools=no\nworkspace=yes\n")
	operator := fakeTools(t)
	project := tree(t, operator, "project")
	got := succeeds(t, operator, at(project, "aaau", "working", "-c", `
		for d in `+strings.Join(toolBins, " ")+`; do n=tool-$(echo $d | tr / - | tr -d .); [ "$($n)" = $n ] || echo "no $d"; [ "$(command -v $n)" = /home/operator/$d/$n ] || echo "$n is $(command -v $n)"
			for try in "touch $d/x" "rm $d/$n" "chmod 777 $d/$n" "mv $d $d.x" "unshare -Urm mount -o remount,bind,rw $d" "unshare -Urm umount $d"; do (cd /home/operator; eval "$try") 2>/dev/null && echo "did $try"; done; done
		grep -rl a-secret-of-mine /home/operator 2>/dev/null; true`)...)
	if got != "" {
		t.Errorf("the agent finds %s", got)
	}
	path := filepath.SplitList(succeeds(t, operator, "aaau", "tooled", "-c", `echo "$PATH"`))
	last := -1
	for _, dir := range toolBins { // in the person's order, and before the machine's
		i := slices.Index(path, operator.home+"/"+dir)
		if i < last || i > slices.Index(path, "/usr/bin") {
			t.Errorf("%s is at %d of PATH %q", dir, i, path)
		}
		last = i
	}
	if !strings.HasPrefix(path[0], "/var/lib/aaau/agent/") || slices.ContainsFunc(path, func(p string) bool { return p == "/home/operator/bin" }) {
		t.Errorf("PATH is %q", path)
	}
	// Where the profile does not say, they go with a directory; where it says no, never.
	for _, c := range []struct {
		argv []string
		want string
	}{
		{[]string{"aaau", "-p", "ls /home"}, ""},
		{[]string{"aaau", "-C", project, "--", "tool-cargo-bin"}, "tool-cargo-bin"},
		{[]string{"aaau", "-C", project, "-p", "tool-local-bin"}, "tool-local-bin"},
		{[]string{"aaau", "-C", project, "without", "-c", "ls -A /home/operator; command -v tool-cargo-bin"}, "project"},
	} {
		if r := run(t, operator, c.argv...); strings.TrimSpace(r.stdout) != c.want {
			t.Errorf("%q shows %+v, want %q", c.argv, r, c.want)
		}
	}
	// It is said, and nothing is changed in them.
	c := sit(t, operator, at(project, "aaau", "working", "-c", "true")...)
	c.match(`session [^\n]*tools; not on PATH there: ~/bin;[^\n]*\n`)
	c.ends(0)
	belongs(t, operator, operator.home)
	if got := sh(t, as(t, "root"), operator.home, "find . -newer project -not -path './project*' -type f"); got != "" {
		t.Errorf("changed: %s", got)
	}
}

// What root put on the person's PATH stays there, in the person's order; what others could write to
// does not.
func TestPathOfTheMachine(t *testing.T) {
	begin(t)
	addAlias(t, "without", "program=/bin/bash\ntools=no\n")
	sh(t, as(t, "root"), "/opt", `mkdir -p aaau-test/go/bin aaau-test/open/bin aaau-test/theirs/bin; chmod 1777 aaau-test/open/bin; chown operator aaau-test/theirs/bin
		for d in go open theirs; do printf '#!/bin/sh\necho '$d'\n' >aaau-test/$d/bin/aaau-test-$d; chmod 755 aaau-test/$d/bin/*; done; ln -s go/bin aaau-test/link`)
	t.Cleanup(func() { sh(t, as(t, "root"), "/opt", "rm -rf aaau-test") })
	operator := as(t, "operator").with("PATH=/opt/aaau-test/open/bin:/usr/bin:/opt/aaau-test/theirs/bin:/opt/aaau-test/link:/tmp:/home/operator:/opt/aaau-test/none:/usr/local/bin")
	path := succeeds(t, operator, "aaau", "--", "sh", "-c", `aaau-test-go >&2; echo "$PATH"`)
	if want := ":/usr/bin:/opt/aaau-test/go/bin:/usr/local/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"; !strings.HasSuffix(path, want) || strings.Contains(path, "aaau-test/open") || strings.Contains(path, "aaau-test/theirs") {
		t.Errorf("PATH is %q, want it to end in %q", path, want)
	}
	if path := succeeds(t, operator, "aaau", "without", "-c", `echo "$PATH"`); strings.Contains(path, "aaau-test") {
		t.Errorf("without tools PATH is %q", path)
	}
}

// What npm installs for all projects goes to the agent's home, since the person's node is
// read-only, and the program is then on PATH.
func TestGlobalNpmPackagesGoHome(t *testing.T) {
	begin(t)
	newHome(t, "operator")
	addAlias(t, "working", "program=/bin/bash\ntools=yes\nworkspace=yes\n")
	tools(t)
	operator := as(t, "operator").with("PATH=/home/operator/.nvm/versions/node/v20.20.2/bin:/usr/local/bin:/usr/bin:/bin")
	dir := tree(t, operator, "global")
	sh(t, operator, dir, `mkdir gp; cd gp; echo '{"name":"aaau-test-gp","version":"1.0.0","bin":"b.js"}' >package.json; printf '#!/usr/bin/env node\nconsole.log("gp runs")\n' >b.js; chmod 755 b.js; cd ..; tar cf gp.tar --transform 's/^gp/package/' gp; gzip gp.tar; mv gp.tar.gz gp.tgz`)
	const install = `npm install --global --offline --no-audit --no-fund --loglevel=error ./gp.tgz >&2; hash -r; aaau-test-gp; command -v aaau-test-gp; [ -z "$GEM_HOME$PNPM_HOME" ] || echo "$GEM_HOME $PNPM_HOME"`
	got := succeeds(t, operator, at(dir, "aaau", "working", "-c", install)...)
	if want := "gp runs\n" + homeOfAgent(t, operator) + "/.local/bin/aaau-test-gp"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// Root's npm has its own settings.
	if got := succeeds(t, operator.with("PATH=/usr/local/bin:/usr/bin:/bin"), at(dir, "aaau", "working", "-c", `echo "$NPM_CONFIG_PREFIX"`)...); got != "" {
		t.Errorf("with the machine's npm the prefix is %q", got)
	}
}

func homeOfAgent(t *testing.T, who account) string {
	t.Helper()
	return succeeds(t, who, "aaau", "--", "sh", "-c", `echo "$HOME"`)
}

// Whoever has none of them, or some in other places, or of others, works all the same.
func TestToolsInOddPlaces(t *testing.T) {
	begin(t)
	addAlias(t, "tooled", "program=/bin/bash\ntools=yes\n")
	operator := as(t, "operator")
	if got := output(t, operator, "aaau", "tooled", "-c", "ls /home"); got != "" {
		t.Errorf("of no tools is seen %q", got)
	}
	srv := tmpfs(t, "/srv/tools", "mode=755")
	sh(t, as(t, "root"), srv, "install -d -o operator -g operator nvm; install -d -o observer cargo")
	t.Cleanup(func() { sh(t, as(t, "root"), operator.home, "rm -rf .nvm .cargo .pyenv .rustup .asdf") })
	sh(t, operator, operator.home, `mkdir -p /srv/tools/nvm/versions/node/v1/bin; printf '#!/bin/sh\necho linked\n' >/srv/tools/nvm/versions/node/v1/bin/linked; chmod 755 /srv/tools/nvm/versions/node/v1/bin/linked
		ln -s /srv/tools/nvm .nvm; mkdir .cargo .asdf; ln -s /srv/tools/cargo .cargo/bin; echo file >.pyenv; ln -s nowhere .rustup; ln -s . .asdf/shims`)
	r := run(t, operator.with("PATH=/home/operator/.nvm/versions/node/v1/bin:/home/operator/.cargo/bin:/usr/bin:/bin"), "aaau", "tooled", "-c", "linked; echo end")
	if r.status != 0 || r.stdout != "linked\nend\n" {
		t.Errorf("in odd places they are %+v", r)
	}
}

// Where the home itself is the workspace, what is in people's PATH is still not the
// agent's to write.
func TestToolsInAWorkspaceStayReadOnly(t *testing.T) {
	begin(t)
	addAlias(t, "working", "program=/bin/bash\ntools=yes\nworkspace=yes\n")
	operator := fakeTools(t)
	// The home itself as the workspace, by an explicit word.
	r := run(t, operator, at(operator.home, "aaau", "--workspace", ".", "working", "-c", "for d in .cargo/bin go/bin .nvm/versions/node/v20.20.2/bin; do touch $d/x 2>/dev/null && echo wrote $d; done; echo end")...)
	if r.stdout != "end\n" {
		t.Errorf("it is %+v", r)
	}
}
